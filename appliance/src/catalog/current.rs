//! What an item offers right now: its current version, as those see it who follow a catalog.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::{Catalog, File};
use crate::clock::Moment;
use crate::error::Result;

/// An item with its current version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The item's id.
    pub item: String,
    /// The item's name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When the item was made.
    pub created: Moment,
    /// How often another version came to be the current one.
    pub content: i64,
    /// How often the item was described.
    pub described: i64,
    /// The current version's id.
    pub version: String,
    /// The current version's files.
    pub files: Vec<File>,
}

/// More than the changes that anything saw between a backup and its restore.
const LEAP: i64 = 1_000_000;

const SELECT: &str = "SELECT items.id, items.name, items.description, items.created, items.content, items.described, \
                      versions.id AS version FROM items JOIN versions ON versions.id = items.current \
                      WHERE versions.state = 'PUBLISHED' AND items.catalog = $1";

impl Current {
    /// Grows with each change.
    pub fn revision(&self) -> i64 {
        self.content.saturating_add(self.described)
    }

    /// Those of a catalog, by the items' ids, after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        catalog: &Catalog,
        after: &str,
        most: u32,
    ) -> Result<Vec<Self>> {
        let statement = format!("{SELECT} AND items.id > $2 ORDER BY items.id LIMIT $3");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(&catalog.id)
            .bind(after)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            found.push(Self::read(db, row).await?);
        }
        Ok(found)
    }

    /// The one of a catalog's item, if that offers something.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(
        db: &mut Transaction<'_, Sqlite>,
        catalog: &Catalog,
        item: &str,
    ) -> Result<Option<Self>> {
        let statement = format!("{SELECT} AND items.id = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(&catalog.id)
            .bind(item)
            .fetch_optional(&mut **db)
            .await?;
        match row {
            Some(row) => Self::read(db, &row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn read(db: &mut Transaction<'_, Sqlite>, row: &SqliteRow) -> Result<Self> {
        let version: String = row.get("version");
        Ok(Self {
            item: row.get("id"),
            name: row.get("name"),
            description: row.get("description"),
            created: Moment(row.get("created")),
            content: row.get("content"),
            described: row.get("described"),
            files: File::list(db, &version).await?,
            version,
        })
    }
}

/// Counts that what a catalog offers has changed with an item.
pub(super) async fn has_changed(db: &mut Transaction<'_, Sqlite>, item: &str) -> Result<()> {
    let statement =
        "UPDATE catalogs SET offered = offered + 1 WHERE id = (SELECT catalog FROM items WHERE id = $1)";
    sqlx::query(statement).bind(item).execute(&mut **db).await?;
    Ok(())
}

/// Counts on from where nobody has been: subscribers have seen what came after the backup that this state is of, and would take
/// what comes now for that.
///
/// # Errors
/// The database fails.
pub async fn count_on(db: &mut Transaction<'_, Sqlite>) -> Result<()> {
    for statement in [
        "UPDATE catalogs SET offered = offered + $1",
        "UPDATE items SET content = content + $1, described = described + $1",
    ] {
        sqlx::query(statement).bind(LEAP).execute(&mut **db).await?;
    }
    Ok(())
}
