//! Nodes, as their server has them: enrolled by a code, approved by a person, alive by their heartbeats.
//!
//! ```text
//! code ──► PENDING ──approve──► ACTIVE ──heartbeats──► LIVE, STALE, UNREACHABLE
//!             └──────revoke─────►  │  ──counter comes back──► SUSPENDED
//!                                  └──revoke──► REVOKED
//! ```
//!
//! Server and node count together: the node asks for the next number now and then, and both write it down. A node that comes
//! back with an old number was reverted to a snapshot, or there are two of it; it is suspended and shown.

mod freshness;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

pub use freshness::{Freshness, HEARTBEAT, News, Seen};

use crate::access::{Name, Secret};
use crate::authority::{Authority, Issued, key_of_request};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// How long a node may ask for a certificate before somebody decides: after that it has to come again.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Requests that wait for a decision; more are not taken.
const WAITING: i64 = 1000;

/// What was decided about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// It waits for somebody to compare its key, and to decide.
    Pending,
    /// It is one of the server's.
    Active,
    /// It was reverted or cloned.
    Suspended,
    /// It is no longer one of the server's.
    Revoked,
}

impl State {
    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Revoked => "REVOKED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Pending, Self::Active, Self::Suspended, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::new(Kind::StateCorrupt, "nodes", format!("'{text}' is no state")))
    }
}

/// A node of the server's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Node {
    /// Its id, which its certificate names.
    pub id: String,
    /// The name that it gave itself.
    pub name: String,
    /// What was decided about it.
    pub state: State,
    /// How old the news of it are.
    pub status: Freshness,
    /// The digest of its key, to be compared with what the node shows.
    pub fingerprint: String,
    /// Its program's version.
    pub version: String,
    /// When it asked.
    #[schema(value_type = String, format = DateTime)]
    pub requested: Moment,
    /// When it was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen: Option<Moment>,
    /// When its certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Moment>,
    /// Why it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it was changed by people; its ETag.
    pub revision: i64,
}

/// How a node's request stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// What was decided.
    pub state: State,
    /// The certificate in DER, base64, once it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// A sign of life.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The number that was last agreed on.
    pub counter: i64,
    /// Whether the next one is wanted.
    pub advance: bool,
    /// Made anew for each next number, and the same where an answer was lost.
    #[schema(max_length = 64)]
    pub nonce: String,
    /// The program's version.
    #[schema(max_length = 64)]
    pub version: String,
}

/// The answer to a sign of life.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Beat {
    /// The number that is agreed on now.
    pub counter: i64,
    /// Milliseconds until the next heartbeat.
    pub interval: u64,
}

const COLUMNS: &str = "id, name, state, key, version, requested, seen, expires, reason, revision";

/// Notes a code that is given out.
///
/// # Errors
/// The database fails.
pub async fn give_code(
    db: &mut Transaction<'_, Sqlite>,
    secret: &[u8],
    expires: Moment,
    now: Moment,
) -> Result<()> {
    sqlx::query("DELETE FROM codes WHERE expires <= $1")
        .bind(now.0)
        .execute(&mut **db)
        .await?;
    sqlx::query("INSERT INTO codes (digest, created, expires) VALUES ($1, $2, $3)")
        .bind(digest(secret))
        .bind(now.0)
        .bind(expires.0)
        .execute(&mut **db)
        .await?;
    Ok(())
}

/// Takes a code back, once; whether it was good.
async fn take_code(db: &mut Transaction<'_, Sqlite>, secret: &[u8], now: Moment) -> Result<bool> {
    let taken = sqlx::query("DELETE FROM codes WHERE digest = $1 AND expires > $2")
        .bind(digest(secret))
        .bind(now.0)
        .execute(&mut **db)
        .await?;
    Ok(taken.rows_affected() == 1)
}

fn digest(secret: &[u8]) -> String {
    crate::authority::KeyDigest::of(secret).to_string()
}

impl Node {
    fn read(row: &SqliteRow, news: News<'_>) -> Result<Self> {
        let (state, written): (String, Option<i64>) = (row.get("state"), row.get("seen"));
        let id: String = row.get("id");
        let seen = news.seen.of(&id).or(written.map(Moment));
        Ok(Self {
            id,
            name: row.get("name"),
            state: state.parse()?,
            status: Freshness::of(seen, news.now),
            fingerprint: row.get("key"),
            version: row.get("version"),
            requested: Moment(row.get("requested")),
            seen,
            expires: row.get::<Option<i64>, _>("expires").map(Moment),
            reason: row.get("reason"),
            revision: row.get("revision"),
        })
    }

    /// Takes a node's request, with a code that is used up by it. Gives the node, and the secret by which it asks again; nothing
    /// where the code is not good.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no request; [`Kind::Ceiling`] while too many wait.
    pub async fn enrol(
        db: &mut Transaction<'_, Sqlite>,
        code: &[u8],
        name: Name,
        request: &[u8],
        version: &str,
        news: News<'_>,
    ) -> Result<Option<(Self, Secret)>> {
        let now = news.now;
        let key = key_of_request(request)?.to_string();
        if !take_code(db, code, now).await? {
            return Ok(None);
        }
        sqlx::query("DELETE FROM nodes WHERE state = $1 AND requested < $2")
            .bind(State::Pending.as_str())
            .bind(
                now.0
                    .saturating_sub(i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX)),
            )
            .execute(&mut **db)
            .await?;
        let waiting = sqlx::query("SELECT COUNT(*) AS count FROM nodes WHERE state = $1")
            .bind(State::Pending.as_str())
            .fetch_one(&mut **db)
            .await?;
        if waiting.get::<i64, _>("count") >= WAITING {
            return Err(Error::new(Kind::Ceiling, "nodes", "too many wait for a decision"));
        }
        let (id, secret) = (Uuid::new_v4().to_string(), Secret::new()?);
        let statement = "INSERT INTO nodes (id, name, state, key, request, poll, requested, version, counter, nonce, revision) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '', 1)";
        sqlx::query(statement)
            .bind(&id)
            .bind(name.as_str())
            .bind(State::Pending.as_str())
            .bind(&key)
            .bind(BASE64_STANDARD.encode(request))
            .bind(secret.digest())
            .bind(now.0)
            .bind(version)
            .execute(&mut **db)
            .await?;
        let node = Self::find(db, &id, news).await?;
        Ok(node.map(|node| (node, secret)))
    }

    /// How the request of a node stands that shows its secret.
    ///
    /// # Errors
    /// The database fails.
    pub async fn standing(
        db: &mut Transaction<'_, Sqlite>,
        id: &str,
        secret: &Secret,
    ) -> Result<Option<Standing>> {
        let row = sqlx::query("SELECT state, certificate FROM nodes WHERE id = $1 AND poll = $2")
            .bind(id)
            .bind(secret.digest())
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let state: String = row.get("state");
        Ok(Some(Standing {
            state: state.parse()?,
            certificate: row.get("certificate"),
        }))
    }

    /// All, by id, after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        after: &str,
        most: u32,
        news: News<'_>,
    ) -> Result<Vec<Self>> {
        let statement = format!("SELECT {COLUMNS} FROM nodes WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(after)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(|row| Self::read(row, news)).collect()
    }

    /// The one of an id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(db: &mut Transaction<'_, Sqlite>, id: &str, news: News<'_>) -> Result<Option<Self>> {
        let statement = format!("SELECT {COLUMNS} FROM nodes WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(&mut **db)
            .await?;
        row.as_ref().map(|row| Self::read(row, news)).transpose()
    }

    /// Takes it in: gives it a certificate.
    ///
    /// # Errors
    /// [`Kind::Changed`] unless it waits for that, as it was read.
    pub async fn approve(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        authority: &Authority,
        now: Moment,
    ) -> Result<()> {
        let row = sqlx::query("SELECT request FROM nodes WHERE id = $1")
            .bind(&self.id)
            .fetch_one(&mut **db)
            .await?;
        let request: String = row.get("request");
        let broken = || Error::new(Kind::StateCorrupt, "nodes", "a request is damaged");
        let request = BASE64_STANDARD
            .decode(request)
            .map_err(|error| broken().because(error))?;
        let id = self.id.parse().map_err(|error| broken().because(error))?;
        let Issued {
            certificate,
            serial,
            expires,
        } = authority.certify(&request, id, now)?;
        let statement = "UPDATE nodes SET state = $1, certificate = $2, serial = $3, expires = $4, revision = revision + 1 \
                         WHERE id = $5 AND state = $6 AND revision = $7";
        let changed = sqlx::query(statement)
            .bind(State::Active.as_str())
            .bind(BASE64_STANDARD.encode(&certificate))
            .bind(serial)
            .bind(expires.0)
            .bind(&self.id)
            .bind(State::Pending.as_str())
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(changed.rows_affected())
    }

    /// Sends it away for good.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub async fn revoke(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let statement = "UPDATE nodes SET state = $1, serial = NULL, certificate = NULL, revision = revision + 1 \
                         WHERE id = $2 AND revision = $3";
        let changed = sqlx::query(statement)
            .bind(State::Revoked.as_str())
            .bind(&self.id)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(changed.rows_affected())
    }

    fn was_changed(&self, rows: u64) -> Result<()> {
        match rows {
            0 => Err(Error::new(
                Kind::Changed,
                format!("node {}", self.name),
                "has changed since it was read",
            )),
            _ => Ok(()),
        }
    }

    /// The state of a node that shows this certificate; nothing if it is not the one that it was given last.
    ///
    /// # Errors
    /// The database fails.
    pub async fn admitted(db: &mut Transaction<'_, Sqlite>, id: Uuid, serial: &str) -> Result<Option<State>> {
        let row = sqlx::query("SELECT state FROM nodes WHERE id = $1 AND serial = $2")
            .bind(id.to_string())
            .bind(serial)
            .fetch_optional(&mut **db)
            .await?;
        row.map(|row| row.get::<String, _>("state").parse()).transpose()
    }

    /// Notes a sign of life. Gives nothing where the node's number is one of the past: it is suspended then.
    ///
    /// # Errors
    /// The database fails.
    pub async fn beat(
        db: &mut Transaction<'_, Sqlite>,
        id: Uuid,
        sign: &Heartbeat,
        news: News<'_>,
    ) -> Result<Option<Beat>> {
        let id = id.to_string();
        let row = sqlx::query("SELECT counter, nonce, version FROM nodes WHERE id = $1")
            .bind(&id)
            .fetch_one(&mut **db)
            .await?;
        let (counter, nonce, version): (i64, String, String) =
            (row.get("counter"), row.get("nonce"), row.get("version"));
        let next = match (sign.advance, sign.counter) {
            (false, told) if told == counter => (counter, nonce.clone()),
            (true, told) if told == counter => (counter + 1, sign.nonce.clone()),
            // The answer to the same question was lost.
            (true, told) if told == counter - 1 && sign.nonce == nonce => (counter, nonce.clone()),
            _ => {
                let reason = format!(
                    "it came back with number {} where {counter} was agreed on: it was reverted to a snapshot, or there are two of it",
                    sign.counter
                );
                sqlx::query(
                    "UPDATE nodes SET state = $1, reason = $2, revision = revision + 1 WHERE id = $3 AND state = 'ACTIVE'",
                )
                .bind(State::Suspended.as_str())
                .bind(reason)
                .bind(&id)
                .execute(&mut **db)
                .await?;
                return Ok(None);
            }
        };
        if next != (counter, nonce) || sign.version != version {
            sqlx::query("UPDATE nodes SET seen = $1, counter = $2, nonce = $3, version = $4 WHERE id = $5")
                .bind(news.now.0)
                .bind(next.0)
                .bind(&next.1)
                .bind(&sign.version)
                .bind(&id)
                .execute(&mut **db)
                .await?;
        }
        news.seen.note(&id, news.now);
        Ok(Some(Beat {
            counter: next.0,
            interval: u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX),
        }))
    }
}
