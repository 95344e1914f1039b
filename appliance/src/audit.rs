//! The audit log: who did what to what. Each entry's digest covers the one before it, so that none can be changed or taken
//! out unnoticed by whoever knows a later digest.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use crate::access::Principal;
use crate::clock::Moment;
use crate::digest::hex;
use crate::error::{Error, Kind, Result};

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
    let last = sqlx::query("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut **db)
        .await?;
    let (number, before): (i64, String) = match last {
        Some(row) => (row.get("number"), row.get("digest")),
        None => (0, BEGINNING.to_owned()),
    };
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

/// The log as far as it was verified.
#[derive(Debug)]
pub struct Chain {
    number: i64,
    digest: String,
}

/// The log, read from its newest entry back to the first.
#[derive(Debug, Default)]
pub struct Backwards {
    /// The one that was read last: what it covers is yet to come.
    later: Option<Entry>,
}

impl Backwards {
    /// Sees that an entry is the one before, and that the later one is as it was written.
    ///
    /// # Errors
    /// [`Kind::StateCorrupt`], with the number of the later one.
    pub fn follow(&mut self, entry: Entry) -> Result<()> {
        if let Some(later) = self.later.take() {
            let mut chain = Chain {
                number: entry.number,
                digest: entry.digest.clone(),
            };
            chain.follow(later)?;
        }
        self.later = Some(entry);
        Ok(())
    }

    /// Sees that the last that was read is the first of all.
    ///
    /// # Errors
    /// [`Kind::StateCorrupt`].
    pub fn end(self) -> Result<()> {
        match self.later {
            Some(first) => Chain::default().follow(first),
            None => Ok(()),
        }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            number: 0,
            digest: BEGINNING.to_owned(),
        }
    }
}

impl Chain {
    /// Entries that were seen.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The digest of the last one.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Sees that an entry is the next one, and as it was written.
    ///
    /// # Errors
    /// [`Kind::StateCorrupt`], with the number of the entry that was to come.
    pub fn follow(&mut self, entry: Entry) -> Result<()> {
        let number = self.number + 1;
        if entry.number != number || entry.digest != entry.covering(&self.digest) {
            let reason = format!("entry {number} is missing or not as it was written");
            return Err(Error::new(Kind::StateCorrupt, "the audit log", reason));
        }
        *self = Self {
            number,
            digest: entry.digest,
        };
        Ok(())
    }

    /// Sees that the next thousand are there and as they were written; whether there may be more.
    ///
    /// # Errors
    /// [`Kind::StateCorrupt`], with the number of the first entry that is not.
    pub async fn verify_next(&mut self, db: &mut Transaction<'_, Sqlite>) -> Result<bool> {
        let statement = format!("SELECT {COLUMNS} FROM audit WHERE number > $1 ORDER BY number LIMIT 1000");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(self.number)
            .fetch_all(&mut **db)
            .await?;
        for row in &rows {
            self.follow(Entry::read(row))?;
        }
        Ok(!rows.is_empty())
    }
}

/// Sees that every entry is there and as it was written; gives their number and the last digest.
///
/// # Errors
/// [`Kind::StateCorrupt`], with the number of the first entry that is not.
pub async fn verify(db: &mut Transaction<'_, Sqlite>) -> Result<(i64, String)> {
    let mut chain = Chain::default();
    while chain.verify_next(db).await? {}
    Ok((chain.number, chain.digest))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    /// As a client reads it: from the newest back.
    async fn backwards(db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let statement = format!("SELECT {COLUMNS} FROM audit ORDER BY number DESC");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .fetch_all(&mut **db)
            .await?;
        let mut log = Backwards::default();
        for row in &rows {
            log.follow(Entry::read(row))?;
        }
        log.end()
    }

    #[tokio::test]
    async fn an_entry_that_was_changed_moved_or_taken_out_is_found() {
        let database = Database::in_memory().await.unwrap();
        let mut db = database.begin().await.unwrap();
        for object in ["a", "b", "c"] {
            let deed = Deed {
                actor: "root",
                tenant: (object == "b").then_some("t"),
                action: "user.create",
                object,
                outcome: "done",
            };
            record(&mut db, deed, Moment(7)).await.unwrap();
        }
        assert_eq!(verify(&mut db).await.unwrap().0, 3);
        backwards(&mut db).await.unwrap();
        db.commit().await.unwrap();
        for tampering in [
            "UPDATE audit SET actor = 'somebody' WHERE number = 2",
            "UPDATE audit SET tenant = '' WHERE number = 1",
            "UPDATE audit SET at = 8 WHERE number = 3",
            "DELETE FROM audit WHERE number = 1",
            "UPDATE audit SET number = 9 WHERE number = 3",
        ] {
            let mut db = database.begin().await.unwrap();
            sqlx::raw_sql(tampering).execute(&mut *db).await.unwrap();
            assert_eq!(
                verify(&mut db).await.unwrap_err().kind(),
                Kind::StateCorrupt,
                "{tampering}"
            );
            let read_back = backwards(&mut db).await.unwrap_err();
            assert_eq!(read_back.kind(), Kind::StateCorrupt, "{tampering}");
        }
    }
}
