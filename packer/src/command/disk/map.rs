use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use image::source::Source as _;
use serde_json::json;

use super::Input;
use crate::report;

/// List the stretches of a disk that may hold anything but zeros
///
/// Each as offset and length in bytes; the rest of the disk is holes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The image
    image: PathBuf,
    #[command(flatten)]
    input: Input,
}

impl Arguments {
    pub(super) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let disk = self.input.open(&self.image)?;
        let mut from = 0;
        // A line each, as they are found: a disk may have millions.
        while let Some(data) = disk.next_data(from)? {
            let length = data.end - data.start;
            if json {
                report::print_json_line(&json!({ "offset": data.start, "length": length }))?;
            } else {
                report::print(&format!("{:>16} {length:>16}\n", data.start))?;
            }
            from = data.end;
        }
        Ok(ExitCode::SUCCESS)
    }
}
