//! Catalogs of a node: what a tenant keeps here, in versions, for itself and for others.
//!
//! ```text
//! catalog ── item ── version ── file ─► blob (by its digest, the tenant's own)
//! ```
//!
//! A version is `RECEIVING` until all of its files are there, `VERIFYING` while they are judged by what the tenant believes, and
//! then `PUBLISHED` or `REJECTED` for good; nobody reads it before. What an item offers is its current version, which changes in
//! one step. Names are a tenant's own.

mod current;
mod file;
mod indexer;
mod intake;
mod item;
mod keeper;
mod label;
mod memory;
mod quota;
mod sweep;
mod version;

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{Name, Principal};
use crate::blob::Owner;
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

pub use current::{Current, count_on};
pub use file::{File, NewFile};
pub use intake::{Coming, Intake};
pub use item::{Item, ItemChange, Labels, Search, Sort};
pub use keeper::{keep, remove};
pub use label::Label;
pub use memory::{Downgrade, Past, Remembered, Seen};
pub use quota::{Quota, Usage};
pub use version::{NewVersion, State, Version, digest_of_files};

/// The most catalogs of a tenant.
const MOST: i64 = 256;
/// The longest description, in characters.
pub const DESCRIPTION: usize = 1024;

/// A tenant's, or the provider's, collection of what it offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Catalog {
    /// Its id.
    pub id: String,
    /// Whose it is; the provider's has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// How often it has changed; its ETag.
    pub revision: i64,
    /// How often what it offers has changed, or what it tells of itself: what subscribers compare.
    #[serde(skip)]
    pub offered: i64,
}

const COLUMNS: &str = "id, tenant, name, description, created, revision, offered";

impl Catalog {
    fn read(row: &SqliteRow) -> Self {
        Self {
            id: row.get("id"),
            tenant: row.get("tenant"),
            name: row.get("name"),
            description: row.get("description"),
            created: Moment(row.get("created")),
            revision: row.get("revision"),
            offered: row.get("offered"),
        }
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`Kind::Taken`] for a name that the tenant uses, [`Kind::Unknown`] for a tenant that is not there, [`Kind::Ceiling`] where it
    /// has too many.
    pub async fn create(
        db: &mut Transaction<'_, Sqlite>,
        tenant: Option<String>,
        name: Name,
        description: String,
        now: Moment,
    ) -> Result<Self> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM catalogs WHERE COALESCE(tenant, '') = $1")
            .bind(tenant.as_deref().unwrap_or_default())
            .fetch_one(&mut **db)
            .await?;
        if row.get::<i64, _>("count") >= MOST {
            let reason = format!("has {MOST} catalogs, and may have no more");
            return Err(Error::new(Kind::Ceiling, "the tenant", reason));
        }
        let catalog = Self {
            id: Uuid::new_v4().to_string(),
            tenant,
            name: name.to_string(),
            description,
            created: now,
            revision: 1,
            offered: 1,
        };
        let statement = format!("INSERT INTO catalogs ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(&catalog.id)
            .bind(&catalog.tenant)
            .bind(&catalog.name)
            .bind(&catalog.description)
            .bind(catalog.created.0)
            .bind(catalog.revision)
            .bind(catalog.offered)
            .execute(&mut **db)
            .await?;
        Ok(catalog)
    }

    /// Those that a principal sees, by id, after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        after: &str,
        most: u32,
    ) -> Result<Vec<Self>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM catalogs WHERE id > $1 AND ($2 IS NULL OR tenant = $2) ORDER BY id LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(after)
            .bind(&seen_by.tenant)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        Ok(rows.iter().map(Self::read).collect())
    }

    /// The one of an id, if the principal sees it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        id: &str,
    ) -> Result<Option<Self>> {
        let statement =
            format!("SELECT {COLUMNS} FROM catalogs WHERE id = $1 AND ($2 IS NULL OR tenant = $2)");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .bind(&seen_by.tenant)
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.as_ref().map(Self::read))
    }

    /// The tenant's catalog of a name, or the provider's.
    ///
    /// # Errors
    /// The database fails.
    pub async fn named(
        db: &mut Transaction<'_, Sqlite>,
        tenant: Option<&str>,
        name: &str,
    ) -> Result<Option<Self>> {
        let statement =
            format!("SELECT {COLUMNS} FROM catalogs WHERE COALESCE(tenant, '') = $1 AND name = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(tenant.unwrap_or_default())
            .bind(name)
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.as_ref().map(Self::read))
    }

    /// Gives it another description, if it is still as it was read.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub async fn describe(&self, db: &mut Transaction<'_, Sqlite>, description: String) -> Result<Self> {
        let statement = "UPDATE catalogs SET description = $1, revision = revision + 1, offered = offered + 1 \
                         WHERE id = $2 AND revision = $3";
        let changed = sqlx::query(statement)
            .bind(&description)
            .bind(&self.id)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(changed.rows_affected())?;
        Ok(Self {
            description,
            revision: self.revision + 1,
            offered: self.offered + 1,
            ..self.clone()
        })
    }

    /// Removes it, if it is still as it was read and offers nothing.
    ///
    /// # Errors
    /// [`Kind::Changed`], [`Kind::Unknown`] while it has items.
    pub async fn delete(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM catalogs WHERE id = $1 AND revision = $2")
            .bind(&self.id)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(deleted.rows_affected())
    }

    fn was_changed(&self, rows: u64) -> Result<()> {
        match rows {
            0 => Err(changed("catalog", &self.name)),
            _ => Ok(()),
        }
    }
}

/// Under whose name the files of a tenant are kept, or the provider's own.
///
/// # Errors
/// [`Kind::StateCorrupt`] for an id that is none.
pub fn owner_of(tenant: Option<&str>) -> Result<Owner> {
    let Some(tenant) = tenant else {
        return Ok(Owner::Provider);
    };
    let id = tenant.parse().map_err(|error| {
        Error::new(
            Kind::StateCorrupt,
            "the database",
            "has a tenant whose id is none",
        )
        .because(error)
    })?;
    Ok(Owner::Tenant(id))
}

/// The tenant of an owner.
fn tenant_of(owner: &Owner) -> Option<String> {
    match owner {
        Owner::Provider => None,
        Owner::Tenant(id) => Some(id.to_string()),
    }
}

/// It is another than was read.
fn changed(noun: &str, name: &str) -> Error {
    Error::new(
        Kind::Changed,
        format!("{noun} {name}"),
        "has changed since it was read",
    )
}
