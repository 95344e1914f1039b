//! The audit log: who did what to what. Each entry's digest covers the one before it, so that none can be changed or taken
//! out unnoticed by whoever knows a later digest. A checkpoint is such a digest, signed, for keeping elsewhere.

mod chain;
mod checkpoint;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use crate::access::Principal;
use crate::clock::Moment;
use crate::digest::hex;
use crate::error::Result;

pub use chain::{Backwards, Chain, verify};
pub use checkpoint::Checkpoint;

/// What is written down.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    /// The user's name, or the part of the connector that acted by itself.
    pub actor: &'a str,
    /// The tenant that it concerns.
    pub tenant: Option<&'a str>,
    /// What was done, such as `user.create`.
    pub action: &'a str,
    /// What it was done to.
    pub object: &'a str,
    /// `done`, or `refused`.
    pub outcome: &'a str,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Its place, from 1, without gaps.
    pub number: i64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Moment,
    /// Who.
    pub actor: String,
    /// The tenant that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// `done` or `refused`.
    pub outcome: String,
    /// SHA-256, in hexadecimal, of the digest before it and of all of the above.
    pub digest: String,
}

/// What the first entry's digest covers in place of the one before it.
const BEGINNING: &str = "vcc audit log 1";

const COLUMNS: &str = "number, at, actor, tenant, action, object, outcome, digest";

/// Adds an entry, as part of what it tells of.
///
/// # Errors
/// The database fails.
pub async fn record(db: &mut Transaction<'_, Sqlite>, deed: Deed<'_>, now: Moment) -> Result<()> {
    let (number, before) = last(db).await?;
    let mut entry = Entry {
        number: number + 1,
        at: now,
        actor: deed.actor.to_owned(),
        tenant: deed.tenant.map(str::to_owned),
        action: deed.action.to_owned(),
        object: deed.object.to_owned(),
        outcome: deed.outcome.to_owned(),
        digest: String::new(),
    };
    entry.digest = entry.covering(&before);
    let statement = "INSERT INTO audit (number, at, actor, tenant, action, object, outcome, digest) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(statement)
        .bind(entry.number)
        .bind(entry.at.0)
        .bind(&entry.actor)
        .bind(&entry.tenant)
        .bind(&entry.action)
        .bind(&entry.object)
        .bind(&entry.outcome)
        .bind(&entry.digest)
        .execute(&mut **db)
        .await?;
    Ok(())
}

/// Entries that a principal sees, the newest first, before number `before`.
///
/// # Errors
/// The database fails.
pub async fn list(
    db: &mut Transaction<'_, Sqlite>,
    seen_by: &Principal,
    before: i64,
    most: u32,
) -> Result<Vec<Entry>> {
    let statement = format!(
        "SELECT {COLUMNS} FROM audit WHERE number < $1 AND ($2 IS NULL OR tenant = $2) ORDER BY number DESC LIMIT $3"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(before)
        .bind(&seen_by.tenant)
        .bind(i64::from(most))
        .fetch_all(&mut **db)
        .await?;
    Ok(rows.iter().map(Entry::read).collect())
}

/// Up to a hundred entries of all tenants after number `after`, the oldest first.
///
/// # Errors
/// The database fails.
pub async fn list_after(db: &mut Transaction<'_, Sqlite>, after: i64) -> Result<Vec<Entry>> {
    let statement = format!("SELECT {COLUMNS} FROM audit WHERE number > $1 ORDER BY number LIMIT 100");
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(after)
        .fetch_all(&mut **db)
        .await?;
    Ok(rows.iter().map(Entry::read).collect())
}

/// The newest entry's number and digest; of an empty log those that its first entry covers.
///
/// # Errors
/// The database fails.
pub async fn last(db: &mut Transaction<'_, Sqlite>) -> Result<(i64, String)> {
    let last = sqlx::query("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut **db)
        .await?;
    Ok(match last {
        Some(row) => (row.get("number"), row.get("digest")),
        None => (0, BEGINNING.to_owned()),
    })
}

/// How many entries there are.
///
/// # Errors
/// The database fails.
pub async fn count(db: &mut Transaction<'_, Sqlite>) -> Result<i64> {
    let row = sqlx::query("SELECT COUNT(*) AS count FROM audit")
        .fetch_one(&mut **db)
        .await?;
    Ok(row.get("count"))
}

impl Entry {
    fn read(row: &SqliteRow) -> Self {
        Self {
            number: row.get("number"),
            at: Moment(row.get("at")),
            actor: row.get("actor"),
            tenant: row.get("tenant"),
            action: row.get("action"),
            object: row.get("object"),
            outcome: row.get("outcome"),
            digest: row.get("digest"),
        }
    }

    fn covering(&self, before: &str) -> String {
        let mut context = Context::new(&SHA256);
        let (number, at) = (self.number.to_string(), self.at.0.to_string());
        let tenant = self.tenant.as_deref();
        let fields = [
            Some(before),
            Some(&number),
            Some(&at),
            Some(&self.actor),
            tenant,
            Some(&self.action),
            Some(&self.object),
            Some(&self.outcome),
        ];
        // Lengths keep two neighbours from being cut elsewhere; a tenant that is none is not an empty one.
        for field in fields {
            let length = field.map_or(u64::MAX, |field| field.len() as u64);
            context.update(&length.to_be_bytes());
            context.update(field.unwrap_or_default().as_bytes());
        }
        hex(context.finish().as_ref())
    }
}
