//! Nodes, as their server has them: enrolled by a code, approved by a person, alive by their heartbeats.
//!
//! ```text
//! code ──► PENDING ──approve──► ACTIVE ──heartbeats──► LIVE, STALE, UNREACHABLE
//!             └──────revoke─────►  │  ──counter comes back──► SUSPENDED
//!                                  └──revoke──► REVOKED
//! ```
//!
//! Server and node count together: the node asks for the next number now and then, and both write it down. A node that comes
//! back with an old number, or with a certificate in whose place it used another, was reverted to a snapshot, or there are two
//! of it; it is suspended and shown.

mod admission;
mod ahead;
mod application;
mod freshness;
mod life;
mod nudge;
mod pace;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

pub use admission::Admission;
pub use ahead::expect as expect_ahead;
pub use application::{Application, Standing, give_code};
pub use freshness::{Freshness, HEARTBEAT, News, Seen};
pub use life::{Beat, Heartbeat, Sign};
pub use nudge::Nudges;
pub use pace::{Cost, Pace};

use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

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
    /// The name of its cloud.
    pub cloud: String,
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
    /// Why it is suspended, or not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where other nodes reach it, HOST:PORT: as it told, or where its heartbeats come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How often it was changed by people; its ETag.
    pub revision: i64,
}

const COLUMNS: &str =
    "id, name, cloud, state, key, version, requested, seen, expires, reason, endpoint, revision";

impl Node {
    fn read(row: &SqliteRow, news: News<'_>) -> Result<Self> {
        let (state, written): (String, Option<i64>) = (row.get("state"), row.get("seen"));
        let id: String = row.get("id");
        let seen = news.seen.of(&id).or(written.map(Moment));
        Ok(Self {
            id,
            name: row.get("name"),
            cloud: row.get("cloud"),
            state: state.parse()?,
            status: Freshness::of(seen, news.now),
            fingerprint: row.get("key"),
            version: row.get("version"),
            requested: Moment(row.get("requested")),
            seen,
            expires: row.get::<Option<i64>, _>("expires").map(Moment),
            reason: row.get("reason"),
            endpoint: Some(row.get::<String, _>("endpoint")).filter(|endpoint| !endpoint.is_empty()),
            revision: row.get("revision"),
        })
    }

    /// All, or those of a cloud, by id, after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        cloud: Option<&str>,
        after: &str,
        most: u32,
        news: News<'_>,
    ) -> Result<Vec<Self>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM nodes WHERE id > $1 AND ($2 IS NULL OR cloud = $2) ORDER BY id LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(after)
            .bind(cloud)
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

    /// Sends it away for good.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub async fn revoke(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let statement = "UPDATE nodes SET state = $1, certificate = NULL, revision = revision + 1 WHERE id = $2 AND revision = $3";
        let changed = sqlx::query(statement)
            .bind(State::Revoked.as_str())
            .bind(&self.id)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(changed.rows_affected())?;
        sqlx::query("DELETE FROM certificates WHERE node = $1")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Ok(())
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
}
