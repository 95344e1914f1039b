//! A node that was taken in: who it is at each request, its signs of life, and its next certificate.

use serde::{Deserialize, Serialize};
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use super::{HEARTBEAT, News, Node, State, ahead};
use crate::authority::{Authority, KeyDigest, NodeCertificate};
use crate::clock::Moment;
use crate::configuration::{Push, Report};
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
    /// The number is one of the past: the node is suspended.
    Past,
}

/// Whether a node is let in by the certificate that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is one of the server's.
    Granted,
    /// It is suspended.
    Suspended,
    /// It is not one of the server's, or not by this certificate.
    Revoked,
    /// The server's authority made the certificate, and the server doesn't know of it: it has lost what it knew.
    Unexplained,
}

/// Lets a node in by a certificate that was made for it.
///
/// `authority` is the key that signed it, if that is known.
pub(super) async fn know(
    db: &mut Transaction<'_, Sqlite>,
    certificate: &NodeCertificate,
    authority: Option<KeyDigest>,
) -> Result<()> {
    let node = certificate.node.to_string();
    let statement = "INSERT INTO certificates (serial, number, node, key, begins, expires, authority) VALUES ($1, \
         (SELECT COALESCE(MAX(number), 0) + 1 FROM certificates WHERE node = $2), $2, $3, $4, $5, $6)";
    sqlx::query(statement)
        .bind(&certificate.serial)
        .bind(&node)
        .bind(certificate.key.to_string())
        .bind(certificate.begins.0)
        .bind(certificate.expires.0)
        .bind(authority.map(String::from).unwrap_or_default())
        .execute(&mut **db)
        .await?;
    sqlx::query("UPDATE nodes SET expires = $1 WHERE id = $2")
        .bind(certificate.expires.0)
        .bind(&node)
        .execute(&mut **db)
        .await?;
    Ok(())
}

impl Node {
    /// Whether a node is let in by a certificate of our authority's. With the first use of the certificate that it was given last,
    /// the one before is void.
    ///
    /// # Errors
    /// The database fails.
    pub async fn admit(
        db: &mut Transaction<'_, Sqlite>,
        shown: &NodeCertificate,
        now: Moment,
    ) -> Result<Admission> {
        if now >= shown.expires {
            return Ok(Admission::Revoked);
        }
        let node = shown.node.to_string();
        let statement = "SELECT state, (SELECT MAX(begins) FROM certificates WHERE node = id) AS newest, \
                         (SELECT MAX(number) FROM certificates WHERE node = id) AS last, \
                         (SELECT COUNT(*) FROM certificates WHERE node = id) AS many, \
                         (SELECT number FROM certificates WHERE node = id AND serial = $2) AS number \
                         FROM nodes WHERE id = $1";
        let row = sqlx::query(statement)
            .bind(&node)
            .bind(&shown.serial)
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else {
            return Ok(Admission::Revoked);
        };
        let state: State = row.get::<String, _>("state").parse()?;
        let number: Option<i64> = row.get("number");
        let is_the_last = number.is_some() && number == row.get("last");
        // Our authority made it after all that we know of: our state is an older one.
        let newest: Option<i64> = row.get("newest");
        let is_forgotten = state == State::Active
            && number.is_none()
            && newest.is_some_and(|newest| shown.begins.0 > newest);
        if number.is_none() && !is_forgotten {
            return Ok(Admission::Revoked);
        }
        if is_forgotten && !ahead::is_expected(db, &node).await? {
            return Ok(Admission::Unexplained);
        }
        if is_forgotten {
            know(db, shown, None).await?;
        }
        if is_forgotten || (is_the_last && row.get::<i64, _>("many") > 1) {
            sqlx::query("DELETE FROM certificates WHERE node = $1 AND serial <> $2")
                .bind(&node)
                .bind(&shown.serial)
                .execute(&mut **db)
                .await?;
            sqlx::query("UPDATE nodes SET key = $1 WHERE id = $2")
                .bind(shown.key.to_string())
                .bind(&node)
                .execute(&mut **db)
                .await?;
        }
        Ok(match state {
            State::Active => Admission::Granted,
            State::Suspended => Admission::Suspended,
            State::Pending | State::Revoked => Admission::Revoked,
        })
    }

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
                let statement = "UPDATE nodes SET state = $1, reason = $2, revision = revision + 1 \
                                 WHERE id = $3 AND state = 'ACTIVE'";
                sqlx::query(statement)
                    .bind(State::Suspended.as_str())
                    .bind(reason)
                    .bind(id)
                    .execute(&mut **db)
                    .await?;
                return Ok(Sign::Past);
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

impl NodeCertificate {
    /// The key that signed it, if that is known.
    ///
    /// # Errors
    /// The database fails.
    pub async fn signer(&self, db: &mut Transaction<'_, Sqlite>) -> Result<Option<KeyDigest>> {
        let row = sqlx::query("SELECT authority FROM certificates WHERE serial = $1")
            .bind(&self.serial)
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.and_then(|row| row.get::<String, _>("authority").try_into().ok()))
    }
}

impl Beat {
    /// With a number, and no news.
    pub fn new(counter: i64, authorities: Vec<KeyDigest>) -> Self {
        Self {
            counter,
            interval: u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX),
            authorities,
            renew: false,
            configuration: None,
            tasks: Vec::new(),
        }
    }
}
