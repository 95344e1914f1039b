use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use image::open::Description;
use image::source::Source as _;
use serde_json::{Value, json};

use super::Input;
use crate::report::{self, printable};

/// Tell a disk image's format, sizes and what lies beneath it
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
        let data = disk.data_length()?;
        if json {
            report::print_json(&to_json(disk.description(), Some(data)))?;
        } else {
            report::print(&to_text(disk.description(), data))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn to_json(about: &Description, data: Option<u64>) -> Value {
    json!({
        "path": about.path,
        "format": about.format.as_str(),
        "variant": about.variant,
        "virtual_size": about.virtual_size,
        "data": data,
        "file_length": about.file_length,
        "allocated": about.allocated,
        "cluster": about.cluster,
        "compression": about.compression,
        "flags": about.flags,
        "data_file": about.data_file,
        "backing": about.backing.as_deref().map(|backing| to_json(backing, None)),
    })
}

fn to_text(about: &Description, data: u64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{name:<12}{}", printable(&value));
    };
    line(
        "Format",
        format!("{} {}", about.format, about.variant)
            .trim_end()
            .to_owned(),
    );
    line(
        "Disk",
        format!(
            "{} ({} bytes)",
            report::size(about.virtual_size),
            about.virtual_size
        ),
    );
    line("Data", report::size(data));
    line(
        "File",
        format!(
            "{} long, {} on disk",
            report::size(about.file_length),
            report::size(about.allocated)
        ),
    );
    if let Some(cluster) = about.cluster {
        line("Unit", report::size(cluster));
    }
    if let Some(compression) = about.compression {
        line("Compression", compression.to_owned());
    }
    if !about.flags.is_empty() {
        line("Notes", about.flags.join(", "));
    }
    for beneath in about.chain().skip(1) {
        line("Over", format!("{} ({})", beneath.path.display(), beneath.format));
    }
    text
}
