use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use image::compare::first_difference;
use image::source::Source as _;
use serde_json::json;

use super::Input;
use crate::progress::Progress;
use crate::report;

/// Tell whether two disks hold the same bytes, whatever their formats
///
/// A longer one is the same if its rest is zeros. Exit code 1 if they differ, with the first byte that does.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An image
    one: PathBuf,
    /// Another
    other: PathBuf,
    #[command(flatten)]
    input: Input,
}

impl Arguments {
    pub(super) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let (one, other) = (self.input.open(&self.one)?, self.input.open(&self.other)?);
        let progress = Progress::new("comparing", json);
        let difference = first_difference(&one, &other, &mut |at| progress.set(at.done, at.total))?;
        one.settled().and_then(|()| other.settled())?;
        progress.finish();
        if json {
            let sizes = [one.size(), other.size()];
            report::print_json(
                &json!({ "same": difference.is_none(), "differs_at": difference, "sizes": sizes }),
            )?;
        } else {
            let said = match difference {
                None if one.size() == other.size() => "the same bytes".to_owned(),
                None => format!(
                    "the same bytes; one is longer ({} and {}), with zeros",
                    one.size(),
                    other.size()
                ),
                Some(at) => format!("different from byte {at} on"),
            };
            report::print(&format!("{said}\n"))?;
        }
        Ok(ExitCode::from(u8::from(difference.is_some())))
    }
}
