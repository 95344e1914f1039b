//! A node's side of its enrolment: it asks a server for a certificate, waits for a person to decide, and then tells the server
//! now and again that it lives.
//!
//! All that a restart must not lose (the key, how the request stands, the number that was agreed on with the server) is in the
//! database before the server hears of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::{Method, StatusCode};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Sqlite, Transaction};
use tokio::time::sleep;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Secret;
use crate::authority::{EnrolmentCode, KeyDigest};
use crate::client::Client;
use crate::database;
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::node::{Beat, Heartbeat, Standing, State};
use crate::product::PROGRAM_VERSION;
use crate::service::{Context, Ground};

const SETTING: &str = "enrolment";
/// Between two questions how the request stands, and after a failure.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Heartbeats after which server and node agree on the next number.
const AGREE_EVERY: u32 = 30;

/// What a node keeps of its enrolment.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    server: SocketAddr,
    authority: [u8; 32],
    node: Uuid,
    /// Asks how the request stands.
    poll: String,
    /// PKCS#8, base64.
    key: String,
    fingerprint: String,
    state: State,
    /// DER, base64.
    certificate: Option<String>,
    counter: i64,
    /// That of a next number that was asked for and not answered.
    nonce: Option<String>,
}

/// How a node's enrolment stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Enrolment {
    /// The server's address.
    pub server: String,
    /// The node's id there.
    pub node: String,
    /// What was decided there.
    pub state: State,
    /// The digest of the node's key: whoever approves it compares it with what the server shows.
    pub fingerprint: String,
}

impl From<&Kept> for Enrolment {
    fn from(kept: &Kept) -> Self {
        Self {
            server: kept.server.to_string(),
            node: kept.node.to_string(),
            state: kept.state,
            fingerprint: kept.fingerprint.clone(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Request {
    node: Uuid,
    poll: String,
}

async fn read(db: &mut Transaction<'_, Sqlite>) -> Result<Option<Kept>> {
    let text = database::setting(db, SETTING).await?;
    let kept = text.map(|text| serde_json::from_str(&text)).transpose();
    kept.map_err(|error| Error::new(Kind::StateCorrupt, SETTING, "is damaged").because(error))
}

async fn keep(ground: &Ground, kept: &Kept) -> Result<()> {
    let text = serde_json::to_string(kept)
        .map_err(|error| Error::new(Kind::Malformed, SETTING, "cannot be kept").because(error))?;
    let mut db = ground.database.begin().await?;
    database::set(&mut db, SETTING, &text).await?;
    Ok(db.commit().await?)
}

/// How it stands; nothing if no server was ever asked.
///
/// # Errors
/// The database fails.
pub async fn standing(ground: &Ground) -> Result<Option<Enrolment>> {
    let kept = read(&mut ground.database.begin().await?).await?;
    Ok(kept.as_ref().map(Enrolment::from))
}

/// Asks a server for a certificate, with a new key.
///
/// # Errors
/// [`Kind::Taken`] while the node has a server; [`Kind::Stranger`], [`Kind::Unreachable`]; [`Kind::Refused`] by a server that
/// doesn't take the code.
pub async fn begin(
    ground: &Ground,
    server: SocketAddr,
    code: &EnrolmentCode,
    name: &str,
) -> Result<Enrolment> {
    let known = read(&mut ground.database.begin().await?).await?;
    if known.is_some_and(|kept| matches!(kept.state, State::Active | State::Suspended)) {
        return Err(Error::new(Kind::Taken, SETTING, "the node has a server already"));
    }
    let failed = |error| Error::new(Kind::Identity, SETTING, "cannot make a key").because(error);
    let key = KeyPair::generate().map_err(failed)?;
    let request = CertificateParams::new(Vec::new()).and_then(|template| template.serialize_request(&key));
    let request = request.map_err(failed)?;
    let body = json!({
        "code": BASE64_STANDARD.encode(code.secret),
        "name": name,
        "request": BASE64_STANDARD.encode(request.der()),
        "version": PROGRAM_VERSION,
    });
    let mut client = Client::new(server, code.authority, None)?;
    let answer = client
        .ask(Method::POST, "/api/v1/enrolments", None, Some(&body))
        .await?;
    if answer.status != StatusCode::ACCEPTED {
        let reason = format!("refuses: {}", answer.code());
        return Err(Error::new(Kind::Refused, "the server", reason));
    }
    let Request { node, poll } = answer.json()?;
    let kept = Kept {
        server,
        authority: code.authority.0,
        node,
        poll,
        key: BASE64_STANDARD.encode(key.serialize_der()),
        fingerprint: KeyDigest::of_key(&key).to_string(),
        state: State::Pending,
        certificate: None,
        counter: 0,
        nonce: None,
    };
    keep(ground, &kept).await?;
    Ok(Enrolment::from(&kept))
}

/// Follows the enrolment for as long as the service runs.
pub async fn follow(context: Arc<Context>) {
    let Some(ground) = context.ground() else { return };
    let begun = context.begun();
    let mut beats = 0;
    let mut connected: Option<(Uuid, State, Client)> = None;
    let mut last = String::new();
    loop {
        let wait = match step(ground, &mut connected, &mut beats).await {
            Ok(Some(wait)) => {
                last.clear();
                wait
            }
            // There is nothing to follow.
            Ok(None) => {
                begun.notified().await;
                continue;
            }
            Err(error) => {
                connected = None;
                let told = error.chain().to_string();
                if told != last {
                    log::warn(format_args!("enrolment: {told}"));
                    last = told;
                }
                ASK_AGAIN
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = begun.notified() => connected = None,
        }
    }
}

async fn step(
    ground: &Ground,
    connected: &mut Option<(Uuid, State, Client)>,
    beats: &mut u32,
) -> Result<Option<Duration>> {
    let kept = read(&mut ground.database.begin().await?).await?;
    let Some(mut kept) = kept.filter(|kept| matches!(kept.state, State::Pending | State::Active)) else {
        return Ok(None);
    };
    if connected
        .as_ref()
        .is_none_or(|(node, state, _)| (*node, *state) != (kept.node, kept.state))
    {
        // With the first heartbeat after a start the next number is agreed on.
        *beats = 0;
        *connected = Some((kept.node, kept.state, kept.client()?));
    }
    let Some((_, _, client)) = connected else {
        return Ok(None);
    };
    match kept.state {
        State::Pending => kept.ask(ground, client).await.map(Some),
        _ => {
            let wait = kept
                .beat(ground, client, beats.is_multiple_of(AGREE_EVERY))
                .await?;
            *beats += 1;
            Ok(Some(wait))
        }
    }
}

impl Kept {
    fn client(&self) -> Result<Client> {
        let broken = |error| Error::new(Kind::StateCorrupt, SETTING, "is damaged").because(error);
        let own = match &self.certificate {
            Some(certificate) => Some((
                CertificateDer::from(BASE64_STANDARD.decode(certificate).map_err(broken)?),
                PrivateKeyDer::Pkcs8(BASE64_STANDARD.decode(&self.key).map_err(broken)?.into()),
            )),
            None => None,
        };
        Client::new(self.server, KeyDigest(self.authority), own)
    }

    /// How the request stands.
    async fn ask(&mut self, ground: &Ground, client: &mut Client) -> Result<Duration> {
        let path = format!("/api/v1/enrolments/{}", self.node);
        let poll = Secret::shown(&self.poll);
        let answer = client.ask(Method::GET, &path, Some(&poll), None::<&()>).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return self.end(ground, "the server has forgotten the request").await;
        }
        let standing: Standing = answer.json()?;
        if standing.state == State::Revoked {
            return self.end(ground, "the server has refused the request").await;
        }
        if let Some(certificate) = standing.certificate.filter(|_| standing.state == State::Active) {
            (self.state, self.certificate) = (State::Active, Some(certificate));
            keep(ground, self).await?;
            log::info(format_args!("enrolled node={}", self.node));
            return Ok(Duration::ZERO);
        }
        Ok(ASK_AGAIN)
    }

    /// Tells that the node lives.
    async fn beat(&mut self, ground: &Ground, client: &mut Client, agree: bool) -> Result<Duration> {
        // A number that was asked for is asked for again until there is an answer.
        let advance = agree || self.nonce.is_some();
        if advance && self.nonce.is_none() {
            self.nonce = Some(Uuid::new_v4().to_string());
            keep(ground, self).await?;
        }
        let sign = Heartbeat {
            counter: self.counter,
            advance,
            nonce: self.nonce.clone().unwrap_or_default(),
            version: PROGRAM_VERSION.to_owned(),
        };
        let answer = client
            .ask(Method::POST, "/api/v1/heartbeats", None, Some(&sign))
            .await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => {
                self.state = match answer.code().as_str() {
                    "node-suspended" => State::Suspended,
                    _ => State::Revoked,
                };
                keep(ground, self).await?;
                log::error(format_args!(
                    "the server no longer takes this node: {}",
                    self.state
                ));
                return Ok(ASK_AGAIN);
            }
            other => {
                let reason = format!("answers {other}: {}", answer.code());
                return Err(Error::new(Kind::Refused, "the server", reason));
            }
        }
        let beat: Beat = answer.json()?;
        if advance {
            (self.counter, self.nonce) = (beat.counter, None);
            keep(ground, self).await?;
        }
        // Whatever a server says, it isn't asked without a pause, nor forgotten.
        Ok(Duration::from_millis(beat.interval.clamp(1000, 600_000)))
    }

    async fn end(&mut self, ground: &Ground, why: &str) -> Result<Duration> {
        self.state = State::Revoked;
        keep(ground, self).await?;
        log::error(format_args!("{why}: enrol the node anew"));
        Ok(ASK_AGAIN)
    }
}
