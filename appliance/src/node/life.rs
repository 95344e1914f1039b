//! A node that was taken in: its signs of life, and its next certificate.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use super::{HEARTBEAT, News, Node, State, ahead};
use crate::authority::{Authority, KeyDigest, Keys, NodeCertificate};
use crate::clock::Moment;
use crate::configuration::{Push, Report};
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::task::Order;

/// Numbers above are none that was agreed on, whoever tells them.
const HIGHEST: i64 = 1 << 53;
/// Why a node that is ahead is not taken.
const FORGOTTEN: &str = "it knows a number that this server does not know it agreed on: the server's state was put back to an older \
                         one, and not by a restore";

/// A sign of life.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The number that was last agreed on.
    #[schema(minimum = 0)]
    pub counter: i64,
    /// Whether the next one is wanted.
    pub advance: bool,
    /// Made anew for each next number, and the same where an answer was lost.
    #[schema(max_length = 64)]
    pub nonce: String,
    /// The program's version.
    #[schema(max_length = 64)]
    pub version: String,
    /// The configuration in effect.
    pub configuration: Report,
    /// The keys by which the node knows its server.
    #[serde(default)]
    #[schema(max_items = 8)]
    pub authorities: Vec<KeyDigest>,
    /// How long the server may wait for news before it answers, in milliseconds.
    #[schema(maximum = 30000)]
    pub wait: u32,
    /// Where other nodes reach it, where it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 300)]
    pub endpoint: Option<Endpoint>,
    /// The port on which it takes connections: others reach it there where its heartbeats come from, if nothing else was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub port: Option<u16>,
}

/// The answer to a sign of life.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Beat {
    /// The number that is agreed on now.
    pub counter: i64,
    /// Milliseconds from one heartbeat to the next.
    pub interval: u64,
    /// The keys by which the node is to know its server from now on.
    pub authorities: Vec<KeyDigest>,
    /// The authority's certificates in DER, base64, by which nodes know each other: of the key in use, of the one that is to follow
    /// and of the one before. They are told with numbers that are agreed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// Whether the node is to ask for its next certificate now, for another key signs them.
    #[serde(default)]
    pub renew: bool,
    /// What is to be in effect, where that is news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Push>,
    /// What the node has to do.
    #[serde(default)]
    pub tasks: Vec<Order>,
}

/// What became of a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is taken, with this number.
    Taken(i64),
    /// It is taken; the number is one that the server had forgotten, for its state was restored since.
    Ahead(i64),
    /// The number is one that was never agreed on, as far as the server knows.
    Unexplained {
        /// Nobody was told before.
        is_new: bool,
    },
    /// The number, or the certificate, is one of the past: the node is suspended.
    Past,
}

impl Node {
    /// Notes a sign of life.
    ///
    /// # Errors
    /// The database fails.
    pub async fn beat(
        db: &mut Transaction<'_, Sqlite>,
        id: &str,
        sign: &Heartbeat,
        news: News<'_>,
    ) -> Result<Sign> {
        let row = sqlx::query("SELECT counter, nonce, version, reason FROM nodes WHERE id = $1")
            .bind(id)
            .fetch_one(&mut **db)
            .await?;
        let (counter, nonce, version): (i64, String, String) =
            (row.get("counter"), row.get("nonce"), row.get("version"));
        let has_reason = row.get::<Option<String>, _>("reason").is_some();
        let ahead = sign.counter > counter && sign.counter < HIGHEST;
        let is_expected = ahead::is_expected(db, id).await?;
        if is_expected {
            ahead::has_come(db, id).await?;
        } else if ahead {
            sqlx::query("UPDATE nodes SET reason = $1 WHERE id = $2")
                .bind(FORGOTTEN)
                .bind(id)
                .execute(&mut **db)
                .await?;
            return Ok(Sign::Unexplained { is_new: !has_reason });
        }
        let next = match (sign.advance, sign.counter) {
            (false, told) if told == counter || ahead => (told, nonce.clone()),
            (true, told) if told == counter || ahead => (told + 1, sign.nonce.clone()),
            // The answer to the same question was lost.
            (true, told) if told == counter - 1 && sign.nonce == nonce => (counter, nonce.clone()),
            _ => {
                let reason = format!(
                    "it came back with number {} where {counter} was agreed on: it was reverted to a snapshot, or there are two of it",
                    sign.counter
                );
                return Self::suspend(db, id, &reason).await;
            }
        };
        if next != (counter, nonce) || sign.version != version || has_reason {
            let statement = "UPDATE nodes SET seen = $1, counter = $2, nonce = $3, version = $4, reason = NULL WHERE id = $5";
            sqlx::query(statement)
                .bind(news.now.0)
                .bind(next.0)
                .bind(&next.1)
                .bind(&sign.version)
                .bind(id)
                .execute(&mut **db)
                .await?;
        }
        news.seen.note(id, news.now);
        Ok(match ahead {
            true => Sign::Ahead(next.0),
            false => Sign::Taken(next.0),
        })
    }

    /// Suspends a node that comes with a certificate in whose place it has used another: it came from the past.
    ///
    /// # Errors
    /// The database fails.
    pub async fn comes_from_the_past(db: &mut Transaction<'_, Sqlite>, id: &str) -> Result<Sign> {
        let reason = "it came back with a certificate in whose place it had used another: it was reverted to a snapshot, or \
                      there are two of it";
        Self::suspend(db, id, reason).await
    }

    async fn suspend(db: &mut Transaction<'_, Sqlite>, id: &str, reason: &str) -> Result<Sign> {
        let statement = "UPDATE nodes SET state = $1, reason = $2, revision = revision + 1 \
                         WHERE id = $3 AND state = 'ACTIVE'";
        sqlx::query(statement)
            .bind(State::Suspended.as_str())
            .bind(reason)
            .bind(id)
            .execute(&mut **db)
            .await?;
        Ok(Sign::Past)
    }

    /// The next certificate, for a request (base64), in DER, base64. The one in use stays good until it is used.
    ///
    /// # Errors
    /// [`crate::error::Kind::Malformed`] for what is no request.
    pub async fn renew(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        authority: &Authority,
        shown: &NodeCertificate,
        request: &str,
        now: Moment,
    ) -> Result<String> {
        // Asked for twice, the one that was lost is void.
        sqlx::query("DELETE FROM certificates WHERE node = $1 AND serial <> $2")
            .bind(&self.id)
            .bind(&shown.serial)
            .execute(&mut **db)
            .await?;
        self.certify(db, authority, request, now).await
    }
}

impl Node {
    /// Notes where other nodes reach it; it is written where it is another.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_reached_at(
        db: &mut Transaction<'_, Sqlite>,
        id: &str,
        endpoint: &Endpoint,
    ) -> Result<()> {
        sqlx::query("UPDATE nodes SET endpoint = $1 WHERE id = $2 AND endpoint <> $1")
            .bind(endpoint.to_string())
            .bind(id)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// Notes that a node knows its server by the key that is to follow.
    ///
    /// # Errors
    /// The database fails.
    pub async fn knows(db: &mut Transaction<'_, Sqlite>, id: &str, next: KeyDigest) -> Result<()> {
        sqlx::query("UPDATE nodes SET knows = $1 WHERE id = $2 AND knows <> $1")
            .bind(next.to_string())
            .bind(id)
            .execute(&mut **db)
            .await?;
        Ok(())
    }
}

impl Beat {
    /// With a number, and no news.
    pub fn new(counter: i64, keys: &Keys) -> Self {
        Self {
            counter,
            interval: u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX),
            authorities: keys.pinned(),
            certificates: Vec::new(),
            renew: false,
            configuration: None,
            tasks: Vec::new(),
        }
    }

    /// The same, with the authority's certificates.
    #[must_use]
    pub fn with_certificates(self, keys: &Keys) -> Self {
        Self {
            certificates: keys
                .certificates()
                .iter()
                .map(|certificate| BASE64_STANDARD.encode(certificate))
                .collect(),
            ..self
        }
    }
}
