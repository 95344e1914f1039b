//! `/api/v1/versions/{id}/files/{name}`: the files themselves, sent and fetched by whatever speaks HTTPS.
//!
//! A file is sent whole by PUT, or gone on with: HEAD tells in `Upload-Offset` how much is there, and PUT takes the rest with
//! `Content-Range: bytes FROM-TO/ALL`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, RETRY_AFTER};
use hyper::{HeaderMap, Method, StatusCode};
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;

use super::request::{LoggedIn, Standing};
use super::versions::{FilePath, intake};
use crate::access::Right;
use crate::blob::{Blobs, Owner};
use crate::catalog::{Coming, File, Intake, State, Version, owner_of};
use crate::digest::Digest;
use crate::error::{Error, Kind};
use crate::http::download::Download;
use crate::http::problem::{Document, Problem};
use crate::http::upload::{Admitted, Pieces};
use crate::service::Ground;

/// How much of a file is there.
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// Seconds after which whoever was cut off is given up.
const AGAIN: u64 = 30;

/// Which part of a file a request sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it begins; none for the whole file, anew.
    from: Option<u64>,
    /// Where it ends, as far as the request says so.
    to: Option<u64>,
    /// How long the file is, where the request says so.
    all: Option<u64>,
}

impl Part {
    /// What `Content-Range` (RFC 9110 section 14.4) says, or `Content-Length` where there is none.
    fn of(range: Option<&str>, length: Option<u64>) -> Result<Self, &'static str> {
        const SHAPE: &str = "Content-Range is 'bytes FROM-TO/ALL'";
        let Some(range) = range else {
            return Ok(Self {
                from: None,
                to: length,
                all: length,
            });
        };
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(|_| SHAPE),
            false => Err(SHAPE),
        };
        let (part, all) = range
            .strip_prefix("bytes ")
            .and_then(|range| range.split_once('/'))
            .ok_or(SHAPE)?;
        let (from, last) = part.split_once('-').ok_or(SHAPE)?;
        let (from, last, all) = (number(from)?, number(last)?, number(all)?);
        let to = last
            .checked_add(1)
            .filter(|to| from < *to && *to <= all)
            .ok_or(SHAPE)?;
        if length.is_some_and(|length| length != to - from) {
            return Err("Content-Range and Content-Length contradict each other");
        }
        Ok(Self {
            from: Some(from),
            to: Some(to),
            all: Some(all),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = |name: HeaderName| {
            let value = parts.headers.get(name).map(|value| value.to_str());
            value
                .transpose()
                .map_err(|_| Problem::INVALID.about("a header field is no text"))
        };
        let length = text(CONTENT_LENGTH)?.and_then(|length| length.parse().ok());
        Self::of(text(CONTENT_RANGE)?, length).map_err(|reason| Problem::INVALID.about(reason))
    }
}

/// Send a file of a version, or the rest of it
///
/// When the last file is there the version is judged.
#[utoipa::path(put, path = "/api/v1/versions/{id}/files/{name}", tag = "catalogs",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(("id" = String, Path), ("name" = String, Path),
        ("Content-Range" = Option<String>, Header, description = "`bytes FROM-TO/ALL`, to go on; without it the file begins anew")), responses(
    (status = 200, body = File, headers(("Upload-Offset" = u64, description = "How much is there"))),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 408, body = Document, description = "It came too slowly; what came is kept"),
    (status = 409, body = Document, description = "It comes over another connection, goes on elsewhere, broke off, or nothing is to come any more; what came is kept"),
    (status = 422, body = Document, description = "It is longer or shorter than was announced, or has another digest"),
))]
pub(super) async fn write(
    standing: Standing,
    user: LoggedIn,
    path: FilePath,
    part: Part,
    admitted: Admitted,
    body: Body,
) -> Result<Response, Problem> {
    let user = user.may(Right::WriteCatalogs)?;
    let ground = standing.ground()?;
    let intake = intake(ground)?;
    let (file, version, tenant) = path.found(&mut ground.database.begin().await?, &user).await?;
    if version.state != State::Receiving || file.digest.is_some() {
        return Err(Problem::NOT_EXPECTED.about(format!(
            "The file is there, and the version is {}.",
            version.state.as_str()
        )));
    }
    fits(part, &file)?;
    let mut receiving = Receiving::take(intake, owner_of(tenant.as_deref())?, file)?;
    receiving.fits(part).await?;
    admitted.begin()?;
    // It may have been taken away before this connection had it.
    receiving.demand_expected(ground).await?;
    receiving.begin(part).await?;
    let mut pieces = Pieces::of(body);
    let broken = loop {
        let done = match pieces.next().await {
            Ok(Some(piece)) => receiving.write(piece).await,
            Ok(None) => break None,
            Err(problem) => Err(problem),
        };
        if let Err(problem) = done {
            break Some(problem);
        }
    };
    let received = receiving.pause().await?;
    receiving.demand_expected(ground).await?;
    if let Some(problem) = broken {
        return Err(problem.with(UPLOAD_OFFSET, received));
    }
    let digest = receiving.seal().await?;
    if let Some(digest) = &digest {
        // The user may have been sent away meanwhile; what it sent is the version's all the same, and is judged.
        receiving.arrived(ground, &version, digest).await?;
    }
    let told = File {
        digest: digest.map(|digest| digest.to_string()),
        received: Some(received),
        ..receiving.file.clone()
    };
    Ok(([(UPLOAD_OFFSET, received)], Json(told)).into_response())
}

/// Sees that what is sent is no more and no less than was announced.
fn fits(part: Part, file: &File) -> Result<(), Problem> {
    let bytes = u64::try_from(file.bytes).unwrap_or_default();
    match part.all {
        Some(all) if all != bytes => Err(Problem::INVALID.about(format!(
            "the file was announced with {bytes} bytes, and has {all}"
        ))),
        _ => Ok(()),
    }
}

/// How much of a file that comes is on the disk. One that is whole, and of which a crash kept that from being written down, is
/// sealed.
async fn received(
    ground: &Ground,
    intake: &Intake,
    owner: Owner,
    file: File,
    version: &Version,
) -> Result<u64, Problem> {
    let (blobs, id) = (Arc::clone(intake.blobs()), file.id);
    let known = spawn_blocking(move || blobs.received(&owner, id)).await;
    let (received, size) = match known.map_err(|_| Problem::INTERNAL)? {
        Ok(known) => known,
        Err(error) if error.kind() == Kind::Unknown => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    if received == size
        && let Ok(mut receiving) = Receiving::take(intake, owner, file)
    {
        receiving
            .with(|coming, blobs, owner, file| coming.look(blobs, owner, file))
            .await?;
        if let Some(digest) = receiving.seal().await? {
            receiving.arrived(ground, version, &digest).await?;
        }
    }
    Ok(received)
}

/// A file that is being received over this connection.
struct Receiving<'a> {
    intake: &'a Intake,
    owner: Owner,
    file: File,
    /// Away while a thread works on it.
    coming: Option<OwnedMutexGuard<Coming>>,
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.coming = None;
        self.intake.rest(self.file.id);
    }
}

impl<'a> Receiving<'a> {
    /// Has the file for this connection alone.
    fn take(intake: &'a Intake, owner: Owner, file: File) -> Result<Self, Problem> {
        let coming = intake.take(&file).map_err(|error| match error.kind() {
            Kind::Taken => Problem::NOT_EXPECTED
                .about(error.to_string())
                .with(RETRY_AFTER, AGAIN),
            _ => error.into(),
        })?;
        Ok(Self {
            intake,
            owner,
            file,
            coming: Some(coming),
        })
    }

    /// Has a thread that may wait do something about the file.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Coming, &Blobs, &Owner, &File) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let ending = || Error::new(Kind::Io, "the file", "the service ends");
        let mut coming = self.coming.take().ok_or_else(ending)?;
        let (blobs, owner, file) = (Arc::clone(self.intake.blobs()), self.owner, self.file.clone());
        let worked = spawn_blocking(move || {
            let done = work(&mut coming, &blobs, &owner, &file);
            (coming, done)
        })
        .await;
        let (coming, done) = worked.map_err(|error| ending().because(error))?;
        self.coming = Some(coming);
        done.map_err(|error| match error.kind() {
            Kind::Ceiling => Problem::INVALID.about(error.to_string()),
            _ => Problem::from(error),
        })
    }

    /// Sees that a part begins where the file ends so far. One that is begun anew is not looked at.
    async fn fits(&mut self, part: Part) -> Result<(), Problem> {
        let Some(from) = part.from else { return Ok(()) };
        let received = self
            .with(|coming, blobs, owner, file| coming.look(blobs, owner, file))
            .await?;
        match from == received {
            true => Ok(()),
            false => Err(Problem::OFFSET
                .about(format!("The file goes on at byte {received}."))
                .with(UPLOAD_OFFSET, received)),
        }
    }

    /// Begins what is not there, or is to begin anew.
    async fn begin(&mut self, part: Part) -> Result<(), Problem> {
        self.with(move |coming, blobs, owner, file| {
            match part.from.is_none() || matches!(coming, Coming::Unseen) {
                true => coming.begin(blobs, owner, file),
                false => Ok(()),
            }
        })
        .await
    }

    /// Removes the file where its version is taken away.
    async fn demand_expected(&mut self, ground: &Ground) -> Result<(), Problem> {
        let mut db = ground.database.begin().await?;
        let is_expected = File::is_expected(&mut db, self.file.id).await?;
        drop(db);
        if is_expected {
            return Ok(());
        }
        self.with(|coming, blobs, owner, file| {
            *coming = Coming::Unseen;
            blobs.discard(owner, file.id)
        })
        .await?;
        Err(Problem::NOT_FOUND)
    }

    /// Writes down that it is there.
    async fn arrived(&self, ground: &Ground, version: &Version, digest: &Digest) -> Result<(), Problem> {
        let arrived = version.arrived(ground, &self.file, digest).await;
        arrived.map(drop).map_err(|error| match error.kind() {
            Kind::Changed => Problem::NOT_FOUND,
            _ => error.into(),
        })
    }

    async fn write(&mut self, piece: Vec<u8>) -> Result<(), Problem> {
        self.with(move |coming, _, _, _| coming.write(&piece)).await
    }

    /// Makes durable what came, and tells how much that is.
    async fn pause(&mut self) -> Result<u64, Problem> {
        self.with(|coming, blobs, owner, file| {
            coming.pause();
            coming.look(blobs, owner, file)
        })
        .await
    }

    async fn seal(&mut self) -> Result<Option<Digest>, Problem> {
        self.with(|coming, blobs, owner, file| coming.seal(blobs, owner, file))
            .await
    }
}

/// Fetch a file of a published version; of one that comes, HEAD tells how much is there
#[utoipa::path(get, path = "/api/v1/versions/{id}/files/{name}", tag = "catalogs",
    params(("id" = String, Path), ("name" = String, Path),
        ("Range" = Option<String>, Header), ("If-Range" = Option<String>, Header),
        ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 204, description = "To HEAD, while it comes", headers(("Upload-Offset" = u64, description = "How much is there"))),
    (status = 304, description = "It is the one that is known"),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "It is not published"),
    (status = 412, body = Document),
    (status = 416, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    path: FilePath,
    method: Method,
    fields: HeaderMap,
) -> Result<Response, Problem> {
    let user = user.may(Right::ReadCatalogs)?;
    let ground = standing.ground()?;
    let intake = intake(ground)?;
    let (file, version, tenant) = path.found(&mut ground.database.begin().await?, &user).await?;
    let owner = owner_of(tenant.as_deref())?;
    if version.state != State::Published {
        if method != Method::HEAD || version.state != State::Receiving {
            let state = version.state.as_str();
            return Err(Problem::NOT_EXPECTED.about(format!("The version is {state}.")));
        }
        let received = match file.digest {
            // It waits for the others.
            Some(_) => u64::try_from(file.bytes).unwrap_or_default(),
            None => received(ground, intake, owner, file, &version).await?,
        };
        return Ok((StatusCode::NO_CONTENT, [(UPLOAD_OFFSET, received)]).into_response());
    }
    download(intake, owner, &file, &method, &fields).await
}

/// The answer to whoever may have a file of a published version.
pub(super) async fn download(
    intake: &Intake,
    owner: Owner,
    file: &File,
    method: &Method,
    fields: &HeaderMap,
) -> Result<Response, Problem> {
    let digest = file
        .digest
        .as_deref()
        .and_then(|digest| digest.parse::<Digest>().ok());
    let digest = digest.ok_or(Problem::INTERNAL)?;
    let blobs = Arc::clone(intake.blobs());
    let opened = spawn_blocking(move || blobs.open_blob(&owner, &digest)).await;
    let opened = opened.map_err(|_| Problem::INTERNAL)?;
    let (blob, size) = opened.map_err(|error| match error.kind() {
        Kind::Unknown => Problem::NOT_EXPECTED
            .about("Its bytes are not here any more: remove the version, and bring it anew."),
        _ => error.into(),
    })?;
    let download = Download {
        file: blob,
        size,
        digest,
        name: &file.name,
        media_type: "application/octet-stream",
    };
    Ok(download.answer(method, fields))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_reads_as_it_is_written(from in 0..1000u64, length in 1..1000u64, rest in 0..1000u64) {
            let (to, all) = (from + length, from + length + rest);
            let text = format!("bytes {from}-{}/{all}", to - 1);
            let part = Part { from: Some(from), to: Some(to), all: Some(all) };
            prop_assert_eq!(Part::of(Some(&text), Some(length)), Ok(part));
            prop_assert!(Part::of(Some(&text), Some(length + 1)).is_err());
        }

        #[test]
        fn other_texts_are_no_parts(text in "[b ]{0,2}ytes [0-9*+ -]{0,6}/[0-9*]{0,3}") {
            if let Ok(part) = Part::of(Some(&text), None) {
                let (from, to, all) = (part.from.unwrap(), part.to.unwrap(), part.all.unwrap());
                prop_assert!(text.starts_with("bytes ") && from < to && to <= all);
            }
        }
    }

    #[test]
    fn without_a_range_the_file_is_whole() {
        let whole = Part {
            from: None,
            to: Some(7),
            all: Some(7),
        };
        assert_eq!(Part::of(None, Some(7)), Ok(whole));
        for bad in [
            "",
            "bytes",
            "bytes 0-9",
            "bytes 5-4/9",
            "bytes 0-9/9",
            "bytes */9",
            "items 0-1/2",
            "bytes +0-1/2",
        ] {
            assert!(Part::of(Some(bad), None).is_err(), "{bad}");
        }
    }
}
