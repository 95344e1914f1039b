//! `vcc bundle create`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::task::yield_now;

use crate::admin::{
    Connector, Failure, Meter, Output, Resource, Result, document, or_interrupted, printable, text,
};
use crate::bundle::{Draft, Head, Key};
use crate::command::Call;
use crate::command::pull::{Part, Wanted, take};
use crate::error::{Error, Kind};
use crate::file;
use crate::http::percent::encoded;
use crate::transfer::{Grant, Offer, Purpose};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Take a granted version from its node, and seal it
///
/// One is logged in to the source node. What breaks off goes on with the same command: until it is sealed, what came is in the folder
/// BUNDLE.files.
#[derive(Debug, Args)]
pub(in crate::command) struct Create {
    /// The bundle to make
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The server's grant, from vcc transfer grant
    #[arg(long, value_name = "FILE")]
    grant: PathBuf,
    /// What opens the bundle: 64 hexadecimal digits; a file that isn't there is made, for its owner alone
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Replace a bundle that is there
    #[arg(long)]
    force: bool,
}

impl Create {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let grant = document::read(&self.grant)?;
        let granted: Grant = grant.read(Purpose::Grant)?;
        if !self.force {
            file::demand_new(&self.bundle).map_err(document::taken)?;
        }
        let mut connector = call.connector().await?;
        let (offer, paths) = offered(&mut connector, &granted).await?;
        let head = Head { grant, offer };
        head.granted()?;
        let is_new = file::demand_new(&self.key_file).is_ok();
        let key = match is_new {
            true => Key::create(&self.key_file)?,
            false => Key::read(&self.key_file)?,
        };
        let folder = folder(&self.bundle)?;
        let files = head.offer.files.iter().enumerate().zip(paths);
        let wanted: Vec<_> = files
            .map(|((number, file), path)| Wanted {
                path,
                // Names come from elsewhere, and lead nowhere so.
                name: folder.join(number.to_string()),
                bytes: file.bytes,
                digest: file.digest,
            })
            .collect();
        let made = async {
            let mut parts = take(&mut connector, call.output, &wanted).await?;
            let draft = Draft::create(&self.bundle, &key, &head)?;
            seal(draft, &head, &mut parts, call.output).await
        };
        let place = self.bundle.display().to_string();
        let draft = or_interrupted(made, || super::stopped(place)).await?;
        draft.keep(self.force).map_err(document::taken)?;
        std::fs::remove_dir_all(&folder).map_err(|error| Error::file(&folder, "remove", error))?;
        self.tell(&head, &granted, is_new, call.output)
    }

    fn tell(&self, head: &Head, granted: &Grant, is_new: bool, output: Output) -> Result<()> {
        let bytes = self.bundle.metadata();
        let bytes = bytes
            .map_err(|error| Error::file(&self.bundle, "read", error))?
            .len();
        let told = json!({
            "bundle": self.bundle, "bytes": bytes, "transfer": granted.transfer, "version": granted.label, "place": granted.destination.place,
            "files": head.offer.files, "key_file": self.key_file, "key_is_new": is_new, "expires": granted.expires,
        });
        output.result(&told, || {
            let key = if is_new { ", which was made," } else { "" };
            format!(
                "{}: {bytes} bytes, for {} of {} until {}\nThe key{key} is in {}: let it travel on another way.\n",
                printable(&self.bundle.display().to_string()),
                printable(&granted.destination.place.to_string()),
                printable(&granted.destination.cloud),
                granted.expires,
                printable(&self.key_file.display().to_string()),
            )
        })
    }
}

/// What the node has of a granted version, and where it has its files.
async fn offered(connector: &mut Connector, granted: &Grant) -> Result<(Offer, Vec<String>)> {
    let path = Resource::VERSION.path_of_given(&granted.version.to_string())?;
    let version =
        connector
            .get(&path)
            .await
            .map_err(|failure| match failure.has_status(StatusCode::NOT_FOUND) {
                true => Failure::refused(
                    format!("version {} of {}", granted.label, granted.source.place),
                    "is not on this node, or you don't see it",
                    format!(
                        "the grant is for what node {} of {} has: vcc login takes you there",
                        granted.source.node, granted.source.cloud
                    ),
                ),
                false => failure,
            })?;
    let wrong = |reason: &str| Error::new(Kind::Malformed, "the connector's answer", reason);
    let files: Vec<Value> = version["files"].as_array().cloned().unwrap_or_default();
    let paths = files.iter().map(|file| {
        format!(
            "{path}/files/{}",
            encoded(file["name"].as_str().unwrap_or_default())
        )
    });
    let offered = files.iter().map(|file| {
        serde_json::from_value(
            json!({ "name": file["name"], "bytes": file["bytes"], "digest": file["digest"] }),
        )
        .map_err(|error| wrong("has a file without a length or digest").because(error))
    });
    let offer = Offer {
        label: text(&version, "version"),
        kind: granted.kind,
        files: offered.collect::<Result<_, Error>>()?,
    };
    Ok((offer, paths.collect()))
}

/// The folder for what is not sealed yet.
fn folder(bundle: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut folder = bundle.as_os_str().to_owned();
    folder.push(".files");
    let folder = PathBuf::from(folder);
    let failed = |error| Error::file(&folder, "make", error);
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            // Whoever else may write here leads us nowhere.
            let is_folder = folder.symlink_metadata().map_err(failed)?.is_dir();
            is_folder.then_some(()).ok_or_else(|| failed(error))?;
        }
        made => made.map_err(failed)?,
    }
    Ok(folder)
}

async fn seal(mut draft: Draft, head: &Head, parts: &mut [Part], output: Output) -> Result<Draft> {
    let meter = Meter::new("sealing", head.offer.bytes(), output.json);
    let mut piece = vec![0; PIECE];
    for part in parts {
        let file = part.reread()?;
        loop {
            let read = file.read(&mut piece);
            let read = read.map_err(|error| Error::file(Path::new("what came"), "read", error))?;
            match piece.get(..read) {
                None | Some([]) => break,
                Some(read) => {
                    draft.write(read)?;
                    meter.add(read.len());
                    // Somebody may want it stopped.
                    yield_now().await;
                }
            }
        }
        draft.close()?;
    }
    Ok(draft)
}
