//! What a package is judged by comes first: descriptor, manifest and certificate.

use std::sync::Arc;

use ovf::package::MemberName;
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::fault::{Fault, ended};
use super::file::with;
use super::worker::Shared;
use crate::blob::{Blobs, Owner};
use crate::catalog::{Coming, File, Intake, Version};
use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::transfer::{Offer, OfferedFile, Refusal};
use crate::trust::{InForce, Package, Part, foresee};

/// The most bytes of such a file: as many as the verifier reads into memory.
const LONGEST: u64 = 64 << 20;

/// Fetches a small file whole, and seals it.
pub(super) async fn receive(
    intake: &Intake,
    owner: Owner,
    file: &File,
    offered: &OfferedFile,
    shared: &Shared,
    clients: &mut Vec<Client>,
) -> Result<Digest, Fault> {
    if offered.bytes > LONGEST {
        let reason = format!(
            "has {} bytes, and such a file has {LONGEST} at most",
            offered.bytes
        );
        return Err(Refusal::new("package.limit", reason)
            .of_file(&offered.name)
            .into());
    }
    let mut client = match clients.pop() {
        Some(client) => client,
        None => shared.source.connect().await?,
    };
    let bytes = shared.source.whole(&mut client, offered).await?;
    clients.push(client);
    shared.counts.came(bytes.len() as u64);
    let coming = intake.take(file)?;
    let write = move |coming: &mut Coming, blobs: &Blobs, owner: &Owner, file: &File| {
        coming.begin(blobs, owner, file)?;
        coming.write(&bytes)?;
        coming.seal(blobs, owner, file)
    };
    let written = with(coming, intake.blobs(), owner, file, write).await;
    intake.rest(file.id);
    let (_, digest) = written.map_err(|error| match error.kind() {
        Kind::Mismatch => Fault::from(Refusal::new("source.digest", error.reason()).of_file(&offered.name)),
        _ => error.into(),
    })?;
    let short = || Refusal::new("source.digest", "is shorter than the source said").of_file(&offered.name);
    Ok(digest.ok_or_else(short)?)
}

/// What the verdict on a package will be if its other files are what the source promises; nothing where that can't be told yet.
pub(super) async fn look_ahead(
    intake: &Intake,
    owner: Owner,
    version: &Version,
    offer: &Offer,
    policy: InForce,
) -> Result<Option<(bool, Value)>, Fault> {
    let mut parts = Vec::new();
    for (file, offered) in version.files.iter().zip(&offer.files) {
        let name = MemberName::parse(&offered.name)
            .map_err(|error| Refusal::new("source.other-package", error.reason()))?;
        let mut part = Part {
            name,
            bytes: offered.bytes,
            digest: offered.digest,
            file: None,
        };
        if Offer::is_leading(offered) {
            let open = |coming: &mut Coming, blobs: &Blobs, owner: &Owner, file: &File| {
                coming.look(blobs, owner, file)?;
                coming.seal(blobs, owner, file)?;
                match coming {
                    Coming::Sealed(sealed) => sealed.file(),
                    Coming::Unseen | Coming::Partial(_) => {
                        Err(Error::new(Kind::Incomplete, &*file.name, "is not there"))
                    }
                }
            };
            let (_, open) = with(intake.take(file)?, intake.blobs(), owner, file, open).await?;
            intake.rest(file.id);
            part.file = Some(open);
        }
        parts.push(part);
    }
    let policy = Arc::new(policy);
    let foreseen = spawn_blocking(move || foresee(&Package::new(parts), &policy)).await;
    Ok(foreseen.map_err(ended)??)
}
