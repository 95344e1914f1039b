//! What is asked of a source.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CONTENT_RANGE, HeaderName, IF_MATCH, RANGE};
use hyper::{HeaderMap, StatusCode};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::fault::Fault;
use super::queue::Part;
use crate::chunk::Root;
use crate::client::{Answer, Client, Flow};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http::percent::encoded;
use crate::peer::{Credentials, Dialer, GRANT};
use crate::transfer::{Grant, Offer, OfferedFile, Purpose, Refusal, Signed};

/// The longest offer, and the longest small file, in bytes.
const LONGEST_OFFER: usize = 1 << 20;
/// The longest index of groups, signed and in base64.
const LONGEST_ROOT: usize = 16 << 20;
/// Groups that are asked for at once.
pub(super) const GROUPS: usize = 64;
/// The longest answer with so many of them.
const LONGEST_GROUPS: usize = GROUPS * 256 * 64;
const PATIENCE: Duration = Duration::from_secs(60);
/// How fast a source makes an index at least, in bytes a second, and how often it is asked for that.
const READ_RATE: u64 = 50 << 20;
const AGAIN: Duration = Duration::from_millis(500);
/// The problem of an index that is being made.
const PENDING: &str = "index-pending";
/// How often a short answer is asked for.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// The source of a transfer.
#[derive(Debug)]
pub(super) struct Source {
    dialer: Dialer,
    own: Arc<Credentials>,
    node: Uuid,
    digest: Digest,
}

impl Source {
    pub(super) fn new(dialer: Dialer, own: Arc<Credentials>, grant: &Grant) -> Self {
        Self {
            dialer,
            own,
            node: grant.source.node,
            digest: grant.digest,
        }
    }

    /// Another connection.
    pub(super) async fn connect(&self) -> Result<Client> {
        self.dialer.client().await
    }

    /// What it has: what the grant names, and nothing else.
    pub(super) async fn offer(&self, client: &mut Client) -> Result<Offer, Fault> {
        let wrong = |reason: String| Refusal::new("source.other-package", reason);
        let answer = self.ask(client, "/api/v1/peer/version", LONGEST_OFFER).await;
        let answer = success(answer.map_err(|error| too_long(error, wrong))?)?;
        let offer: Offer = answer.json().map_err(|error| wrong(error.chain().to_string()))?;
        if offer.digest() != self.digest {
            let reason = format!(
                "the source offers files whose digest is {}, and the grant is for {}",
                offer.digest(),
                self.digest
            );
            return Err(wrong(reason).into());
        }
        Ok(offer)
    }

    /// The root of a file's index, for which it may have to be waited; nothing where the source has none.
    pub(super) async fn root(&self, client: &mut Client, file: &OfferedFile) -> Result<Option<Root>, Fault> {
        let path = format!("/api/v1/peer/files/{}/index", encoded(&file.name));
        let patience = PATIENCE + Duration::from_secs(file.bytes / READ_RATE);
        let until = Instant::now() + patience;
        let answer = loop {
            let answer = self.ask(client, &path, LONGEST_ROOT).await;
            let answer = answer.map_err(|error| too_long(error, |reason| index(file, reason)))?;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE || answer.code() != PENDING {
                break answer;
            }
            if Instant::now() >= until {
                // Then all of it comes.
                return Ok(None);
            }
            sleep(AGAIN).await;
        };
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let signed: Signed = success(answer)?
            .json()
            .map_err(|error| index(file, error.chain()))?;
        let root = self
            .read_root(&signed, file)
            .map_err(|error| index(file, error.chain()))?;
        Ok(Some(root))
    }

    fn read_root(&self, signed: &Signed, file: &OfferedFile) -> Result<Root> {
        let wrong = |reason: &str| Error::new(Kind::Mismatch, "the chunk index", reason);
        let certificate = signed.certificate(Purpose::Index)?;
        let signer = self.own.vouched(&certificate).map(|certificate| certificate.node);
        if signer != Some(self.node) {
            return Err(wrong("is signed by another than the source"));
        }
        let document = signed.open(Purpose::Index)?;
        let root = document.strip_prefix(self.digest.as_bytes().as_slice());
        let root = Root::decode(root.ok_or_else(|| wrong("is of another version"))?)?;
        match root.file() == file.digest && root.size() == file.bytes {
            true => Ok(root),
            false => Err(wrong("is of another file")),
        }
    }

    /// The encodings of groups that follow each other.
    pub(super) async fn groups(
        &self,
        client: &mut Client,
        file: &OfferedFile,
        from: usize,
        many: usize,
    ) -> Result<Bytes, Fault> {
        let path = format!(
            "/api/v1/peer/files/{}/index/{from}?count={many}",
            encoded(&file.name)
        );
        let answer = self.ask(client, &path, LONGEST_GROUPS).await;
        let answer = answer.map_err(|error| too_long(error, |reason| index(file, reason)))?;
        Ok(success(answer)?.into_bytes())
    }

    /// All bytes of a small file.
    pub(super) async fn whole(&self, client: &mut Client, file: &OfferedFile) -> Result<Bytes, Fault> {
        let path = format!("/api/v1/peer/files/{}", encoded(&file.name));
        let longest = usize::try_from(file.bytes).unwrap_or(usize::MAX);
        let answer = self.ask(client, &path, longest).await;
        let wrong = |reason| Refusal::new("source.digest", reason).of_file(&file.name);
        let answer = answer.map_err(|error| too_long(error, wrong))?;
        Ok(success(answer)?.into_bytes())
    }

    /// A short piece of a file, all of it.
    pub(super) async fn piece(
        &self,
        client: &mut Client,
        file: &OfferedFile,
        offset: u64,
        length: u64,
    ) -> Result<Bytes> {
        let wanted = Wanted::new(file, offset, length);
        let longest = usize::try_from(length).unwrap_or(usize::MAX);
        let fields = wanted.fields(self.dialer.grant_field());
        let answer = client
            .fetch_with(&wanted.path, &fields, longest, PATIENCE)
            .await?;
        let answer = success(answer)?;
        wanted.is(answer.status, &answer.fields)?;
        match answer.into_bytes() {
            bytes if bytes.len() == longest => Ok(bytes),
            _ => Err(Error::new(
                Kind::Malformed,
                "the source",
                "sends less than was asked for",
            )),
        }
    }

    /// A part of a file, to be read as it comes.
    pub(super) async fn part(&self, client: &mut Client, file: &OfferedFile, part: &Part) -> Result<Flow> {
        let wanted = Wanted::new(file, part.offset, part.length);
        let fields = wanted.fields(self.dialer.grant_field());
        let flow = match client.flow(&wanted.path, &fields).await? {
            Ok(flow) => flow,
            Err(answer) => return Err(refused(&answer)),
        };
        wanted.is(flow.answer.status(), flow.answer.headers())?;
        Ok(flow)
    }

    /// Asks for what is short. What broke on the way, or found the source busy, is asked for again; a connection that broke is made anew.
    async fn ask(&self, client: &mut Client, path: &str, longest: usize) -> Result<Answer> {
        let mut tries = 0;
        loop {
            tries += 1;
            let fields = [(GRANT, self.dialer.grant_field())];
            match client.fetch_with(path, &fields, longest, PATIENCE).await {
                Err(error) if error.kind() == Kind::Unreachable && tries < TRIES => sleep(PAUSE).await,
                // An index that is being made is waited for elsewhere.
                Ok(answer) if is_busy(answer.status) && answer.code() != PENDING && tries < TRIES => {
                    sleep(PAUSE).await;
                }
                asked => return asked,
            }
        }
    }
}

/// A range of a file that is asked for.
struct Wanted {
    path: String,
    range: String,
    /// What the file has to be.
    tag: String,
    /// What the answer has to say.
    told: String,
}

impl Wanted {
    fn new(file: &OfferedFile, offset: u64, length: u64) -> Self {
        let last = offset + length.saturating_sub(1);
        Self {
            path: format!("/api/v1/peer/files/{}", encoded(&file.name)),
            range: format!("bytes={offset}-{last}"),
            tag: format!("\"sha256-{}\"", file.digest),
            told: format!("bytes {offset}-{last}/{}", file.bytes),
        }
    }

    fn fields<'a>(&'a self, grant: &'a str) -> [(HeaderName, &'a str); 3] {
        [(GRANT, grant), (RANGE, &self.range), (IF_MATCH, &self.tag)]
    }

    /// Sees that an answer is that range.
    fn is(&self, status: StatusCode, fields: &HeaderMap) -> Result<()> {
        let told = fields.get(CONTENT_RANGE);
        match status == StatusCode::PARTIAL_CONTENT && told.is_some_and(|told| *told == *self.told) {
            true => Ok(()),
            false => Err(Error::new(
                Kind::Malformed,
                "the source",
                "sends another part than was asked for",
            )),
        }
    }
}

/// A source that says more than it may is at fault.
fn too_long(error: Error, refusal: impl FnOnce(String) -> Refusal) -> Fault {
    match error.kind() {
        Kind::Ceiling => refusal(error.to_string()).into(),
        _ => error.into(),
    }
}

fn index(file: &OfferedFile, reason: impl std::fmt::Display) -> Refusal {
    Refusal::new("source.index", reason).of_file(&file.name)
}

fn success(answer: Answer) -> Result<Answer> {
    match answer.status.is_success() {
        true => Ok(answer),
        false => Err(refused(&answer)),
    }
}

fn is_busy(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// What an answer that is no success says about trying again.
fn refused(answer: &Answer) -> Error {
    let kind = match is_busy(answer.status) {
        true => Kind::Incomplete,
        false => Kind::Refused,
    };
    Error::new(
        kind,
        "the source",
        format!("answers {}: {}", answer.status, answer.code()),
    )
}
