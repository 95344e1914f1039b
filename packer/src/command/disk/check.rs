use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::Input;
use crate::progress::Progress;
use crate::report::{self, printable};

/// Prove a disk image's structure: tables inside the file, nothing twice, sizes as claimed
///
/// Exit code 1 if data read from the image could not be trusted. What lies beneath the image isn't looked at.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The image
    image: PathBuf,
    #[command(flatten)]
    input: Input,
}

impl Arguments {
    pub(super) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let progress = Progress::new("checking", json);
        let findings = image::open::check(&self.image, &self.input.options())?;
        progress.finish();
        if json {
            report::print_json(&json!({
                "image": self.image,
                "sound": findings.is_sound(),
                "findings": findings.list().iter().map(|finding| json!({
                    "severity": finding.severity.to_string(),
                    "place": finding.place.to_string(),
                    "reason": finding.reason,
                })).collect::<Vec<_>>(),
                "omitted": findings.omitted(),
            }))?;
        } else {
            let mut text = String::new();
            for finding in findings.list() {
                text.push_str(&format!("{}\n", printable(&finding.to_string())));
            }
            if findings.omitted() > 0 {
                text.push_str(&format!("and {} more\n", findings.omitted()));
            }
            let verdict = if findings.is_sound() { "sound" } else { "NOT SOUND" };
            text.push_str(&format!("{}: {verdict}\n", self.image.display()));
            report::print(&text)?;
        }
        Ok(ExitCode::from(u8::from(!findings.is_sound())))
    }
}
