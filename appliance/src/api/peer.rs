//! `/api/v1/peer`: on a node, what another node of the same server gets, by a grant that names both.
//!
//! Nothing is kept about who takes what: each request brings the grant, and is judged by it and by what there is.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use axum::{RequestPartsExt as _, body::Body};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::{HeaderMap, Method};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::request::{FromPeer, Standing};
use super::versions::intake;
use crate::blob::Owner;
use crate::catalog::{File, Intake, Version, owner_of};
use crate::chunk::{Index, SMALLEST};
use crate::digest::Digest;
use crate::error::{Error, Kind};
use crate::http::download::Download;
use crate::http::problem::{Document, Problem};
use crate::sending::is_granted;
use crate::service::{Context, Ground};
use crate::transfer::{Grant, Offer, OfferedFile, Part, Purpose, Signed};

/// The most groups of an index that are given at once.
const GROUPS: usize = 64;
/// Seconds after which an index that is being made may be there.
const SOON: u64 = 2;

/// What a grant lets a peer have.
pub(super) struct Granted {
    peer: FromPeer,
    grant: Grant,
}

impl FromRequestParts<Arc<Context>> for Granted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Problem> {
        let peer = FromPeer::from_request_parts(parts, context).await?;
        let ground = context.ground().ok_or(Problem::STATE_UNAVAILABLE)?;
        let grant = peer.granted(&parts.headers, Part::Source, ground.clock.now())?;
        Ok(Self { peer, grant })
    }
}

impl Granted {
    /// The version that it names, as it is now.
    async fn version(&self, ground: &Ground) -> Result<(Version, Owner), Problem> {
        let mut db = ground.database.begin().await?;
        let found = Version::of_id(&mut db, &self.grant.version.to_string()).await?;
        let (version, tenant) = found.ok_or(Problem::NOT_FOUND)?;
        match is_granted(&mut db, &version, tenant.as_deref(), &self.grant).await? {
            true => Ok((version, owner_of(tenant.as_deref())?)),
            false => Err(Problem::NOT_FOUND),
        }
    }

    async fn file(&self, ground: &Ground, name: &str) -> Result<(Digest, u64, Owner), Problem> {
        let (version, owner) = self.version(ground).await?;
        let file = version.files.iter().find(|file| file.name == name);
        let file = file.ok_or(Problem::NOT_FOUND)?;
        let digest = file.digest.as_deref().and_then(|digest| digest.parse().ok());
        let bytes = u64::try_from(file.bytes).ok();
        let (digest, bytes) = digest.zip(bytes).ok_or(Problem::INTERNAL)?;
        Ok((digest, bytes, owner))
    }
}

/// A file's name, in a path.
pub(super) struct FileName(String);

impl<S: Send + Sync> FromRequestParts<S> for FileName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.extract::<Path<String>>().await;
        path.map(|Path(name)| Self(name)).map_err(|_| Problem::NOT_FOUND)
    }
}

/// Read what a granted version consists of
#[utoipa::path(get, path = "/api/v1/peer/version", tag = "peers", security(()),
    params(("VCC-Grant" = String, Header, description = "The grant: base64 of a signed document in JSON")), responses(
    (status = 200, body = Offer),
    (status = 401, body = Document, description = "No certificate of a node was shown"),
    (status = 403, body = Document, description = "The grant is not good for these two nodes"),
    (status = 404, body = Document, description = "The version is not here, or is another"),
    (status = 422, body = Document),
))]
pub(super) async fn version(standing: Standing, granted: Granted) -> Result<Json<Offer>, Problem> {
    let (version, _) = granted.version(standing.ground()?).await?;
    let offered = |file: &File| {
        Some(OfferedFile {
            name: file.name.clone(),
            bytes: u64::try_from(file.bytes).ok()?,
            digest: file.digest.as_deref()?.parse().ok()?,
        })
    };
    let files: Option<Vec<_>> = version.files.iter().map(offered).collect();
    Ok(Json(Offer {
        label: version.version.to_string(),
        kind: granted.grant.kind,
        files: files.ok_or(Problem::INTERNAL)?,
    }))
}

/// Fetch a file of a granted version, or a part of it
#[utoipa::path(get, path = "/api/v1/peer/files/{name}", tag = "peers", security(()),
    params(("name" = String, Path), ("VCC-Grant" = String, Header),
        ("Range" = Option<String>, Header), ("If-Match" = Option<String>, Header)), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document),
    (status = 416, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn file(
    standing: Standing,
    granted: Granted,
    FileName(name): FileName,
    method: Method,
    fields: HeaderMap,
) -> Result<Response, Problem> {
    let ground = standing.ground()?;
    let (digest, _, owner) = granted.file(ground, &name).await?;
    let blobs = Arc::clone(intake(ground)?.blobs());
    let opened = spawn_blocking(move || blobs.open_blob(&owner, &digest)).await;
    let (file, size) = opened.map_err(|_| Problem::INTERNAL)?.map_err(lost)?;
    let download = Download {
        file,
        size,
        digest,
        name: &name,
        media_type: "application/octet-stream",
    };
    Ok(download.answer(&method, &fields))
}

/// Its bytes are lost, or damaged.
fn lost(error: Error) -> Problem {
    match error.kind() {
        Kind::Unknown => Problem::NOT_FOUND,
        _ => error.into(),
    }
}

/// Read the root of a file's chunk index, signed by this node
///
/// What is signed is the version's digest (32 bytes) and after it the root.
#[utoipa::path(get, path = "/api/v1/peer/files/{name}/index", tag = "peers", security(()),
    params(("name" = String, Path), ("VCC-Grant" = String, Header)), responses(
    (status = 200, body = Signed),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document, description = "The file is too small for an index"),
    (status = 422, body = Document),
    (status = 503, body = Document, description = "It is being made"),
))]
pub(super) async fn root(
    standing: Standing,
    granted: Granted,
    FileName(name): FileName,
) -> Result<Json<Signed>, Problem> {
    let ground = standing.ground()?;
    let index = index(intake(ground)?, granted.file(ground, &name).await?).await?;
    let document = [granted.grant.digest.as_bytes().as_slice(), &index.root().encode()].concat();
    let own = granted.peer.own();
    let signed = Signed::bytes(Purpose::Index, &document, own.certificate(), |bytes| {
        own.sign(bytes)
    });
    Ok(Json(signed?))
}

async fn index(intake: &Intake, (digest, bytes, owner): (Digest, u64, Owner)) -> Result<Index, Problem> {
    if bytes < SMALLEST {
        return Err(Problem::NOT_FOUND);
    }
    let blobs = Arc::clone(intake.blobs());
    let opened = spawn_blocking(move || Index::open(&blobs, &owner, &digest)).await;
    match opened.map_err(|_| Problem::INTERNAL)?? {
        Some(index) => Ok(index),
        None => {
            intake.is_published();
            Err(Problem::INDEX_PENDING.with(RETRY_AFTER, SOON))
        }
    }
}

/// Which groups are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Many {
    count: Option<usize>,
}

/// Fetch groups of a file's chunk index, one directly after the other
#[utoipa::path(get, path = "/api/v1/peer/files/{name}/index/{group}", tag = "peers", security(()),
    params(("name" = String, Path), ("group" = usize, Path, description = "The first one's number"), ("VCC-Grant" = String, Header),
        ("count" = Option<usize>, Query, minimum = 1, maximum = 64)), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 422, body = Document),
    (status = 503, body = Document, description = "It is being made"),
))]
pub(super) async fn groups(
    standing: Standing,
    granted: Granted,
    path: Result<Path<(String, usize)>, axum::extract::rejection::PathRejection>,
    many: Result<Query<Many>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Path((name, first)) = path.map_err(|_| Problem::NOT_FOUND)?;
    let Query(many) = many.map_err(|error| Problem::INVALID.about(error.body_text()))?;
    let many = many.count.unwrap_or(1);
    if !(1..=GROUPS).contains(&many) {
        return Err(Problem::INVALID.about("count is 1 to 64"));
    }
    let ground = standing.ground()?;
    let intake = intake(ground)?;
    let (digest, bytes, owner) = granted.file(ground, &name).await?;
    let index = index(intake, (digest, bytes, owner)).await?;
    let last = first
        .checked_add(many)
        .filter(|last| *last <= index.root().groups().len());
    let last = last.ok_or(Problem::NOT_FOUND)?;
    let read = move || {
        let mut all = Vec::new();
        for number in first..last {
            all.extend(index.encoded(number)?);
        }
        Ok::<_, Error>(all)
    };
    match spawn_blocking(read).await.map_err(|_| Problem::INTERNAL)? {
        Ok(all) => {
            let kind = [(CONTENT_TYPE, "application/octet-stream")];
            Ok((kind, Body::from(all)).into_response())
        }
        // The disk damaged it: it is made again.
        Err(error) if error.kind() == Kind::StateCorrupt => {
            let blobs = Arc::clone(intake.blobs());
            let removed = spawn_blocking(move || blobs.remove_index(&owner, &digest)).await;
            removed.map_err(|_| Problem::INTERNAL)??;
            intake.is_published();
            Err(Problem::INDEX_PENDING.with(RETRY_AFTER, SOON))
        }
        Err(error) => Err(error.into()),
    }
}
