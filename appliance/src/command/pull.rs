//! `vcc pull`.

mod part;
mod taking;

use std::path::{Path, PathBuf};

use clap::Args;
use ovf::package::MemberName;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{
    Connector, Failure, ItemName, Resource, Result, or_interrupted, printable, text, version,
};
use crate::error::{Error, Kind};
use crate::file;
use crate::http::percent::encoded;
use taking::refusal;

pub(super) use part::Part;
pub(super) use taking::{Wanted, take};

/// Take what an item of a catalog offers
///
/// Each file is NAME.part until all of it is there and has the digest that the node told; what breaks off goes on where it ended.
/// Whether a package is signed by somebody whom you believe, 'ova verify' tells: the node has judged it by what the tenant believes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// CATALOG/ITEM, or an item's name or id
    #[arg(value_name = "CATALOG/ITEM")]
    item: ItemName,
    /// This version, by what it is called or its id; the current one if not given
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// The folder that the files go to, this one if not given; or, of one file, its name
    #[arg(short, long, value_name = "FOLDER|FILE", default_value = ".")]
    output: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  vcc pull images/web
  vcc pull images/web --version 1.4.0 -o /srv/web.ova
  vcc pull images/db -o db/ --json
  vcc pull images/web && ova verify web.ova --trust ca.pem";

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        let item = self.item.find(&mut connector).await?;
        let version = self.chosen(&mut connector, &item).await?;
        let wanted = self.wanted(&version)?;
        let stopped = || {
            Failure::interrupted(
                self.item.to_string(),
                "was stopped, and what came is kept in NAME.part",
                "the same command goes on where it ended",
            )
        };
        for part in or_interrupted(take(&mut connector, call.output, &wanted), stopped).await? {
            part.keep(self.force).map_err(refusal)?;
        }
        let files = wanted
            .iter()
            .map(|file| json!({ "file": file.name, "bytes": file.bytes, "sha256": file.digest.to_string() }));
        let told = json!({
            "item": item["id"], "version": version["version"], "id": version["id"], "files": files.collect::<Vec<_>>(),
        });
        call.output.result(&told, || {
            let line = |file: &Wanted| {
                let name = file.name.display().to_string();
                format!(
                    "{}: {} bytes, SHA-256 {}\n",
                    printable(&name),
                    file.bytes,
                    file.digest
                )
            };
            wanted.iter().map(line).collect()
        })
    }

    /// The version that is meant, with its files.
    async fn chosen(&self, connector: &mut Connector, item: &Value) -> Result<Value> {
        let version = match (&self.version, item["current"].as_str()) {
            (Some(wanted), _) => version(connector, item, wanted).await?,
            (None, Some(current)) => connector.get(&Resource::VERSION.path_of_given(current)?).await?,
            (None, None) => {
                return Err(Failure::refused(
                    self.item.to_string(),
                    "offers nothing yet",
                    "vcc catalog versions ITEM shows what is on its way",
                ));
            }
        };
        match version["state"] == "PUBLISHED" {
            true => Ok(version),
            false => Err(Failure::refused(
                format!("{} {}", self.item, text(&version, "version")),
                format!("is {}", text(&version, "state")),
                "only what is PUBLISHED can be had",
            )),
        }
    }

    /// Its files, and where they go.
    fn wanted(&self, version: &Value) -> Result<Vec<Wanted>> {
        let wrong = |reason: &str| Error::new(Kind::Malformed, "the connector's answer", reason);
        let files = version["files"].as_array().map(Vec::as_slice).unwrap_or_default();
        let into = self.folder(files.len())?;
        let path = Resource::VERSION.path_of(version)?;
        let mut wanted = Vec::new();
        for file in files {
            let name = file["name"].as_str().unwrap_or_default();
            let digest = file["digest"].as_str().and_then(|digest| digest.parse().ok());
            wanted.push(Wanted {
                path: format!("{path}/files/{}", encoded(name)),
                name: match into {
                    Some(folder) => folder.join(local(name)?),
                    None => self.output.clone(),
                },
                bytes: file["bytes"]
                    .as_u64()
                    .ok_or_else(|| wrong("has a file without a length"))?,
                digest: digest.ok_or_else(|| wrong("has a file without a digest"))?,
            });
        }
        if !self.force {
            // What can't be kept is not fetched.
            for file in &wanted {
                file::demand_new(&file.name).map_err(refusal)?;
            }
        }
        Ok(wanted)
    }

    /// The folder that so many files go to; none where one goes to a name of its own.
    fn folder(&self, files: usize) -> Result<Option<&Path>> {
        if self.output.is_dir() {
            return Ok(Some(&self.output));
        }
        let is_folder = self.output.as_os_str().as_encoded_bytes().ends_with(b"/");
        if files == 1 && !is_folder {
            return Ok(None);
        }
        std::fs::create_dir(&self.output).map_err(|error| Error::file(&self.output, "make", error))?;
        Ok(Some(&self.output))
    }
}

/// A connector's name of a file, if it leads nowhere and hides nothing.
fn local(name: &str) -> Result<&str> {
    let is_fine = MemberName::parse(name).is_ok() && !name.contains('/') && !name.starts_with('.');
    let wrong = || {
        Failure::Rejected(
            Error::new(Kind::Malformed, printable(name), "is no name for a file here"),
            "-o FILE gives it another",
        )
    };
    is_fine.then_some(name).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_s_names_lead_to_no_other_folder_and_hide_no_file() {
        for good in ["web.ova", "disk 1.vmdk", "Gerät.iso", "-o"] {
            assert_eq!(local(good).unwrap(), good);
        }
        for bad in ["", "..", "../a", "/etc/a", "a/b", ".profile", "a\n"] {
            assert!(local(bad).is_err(), "{bad:?}");
        }
    }
}
