//! Tenants: whose things are kept apart.

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{Name, Principal};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// An organization that uses clouds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// How often it has changed; its ETag.
    pub revision: i64,
}

impl Tenant {
    fn read(row: &SqliteRow) -> Self {
        Self {
            id: row.get("id"),
            name: row.get("name"),
            created: Moment(row.get("created")),
            revision: row.get("revision"),
        }
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`Kind::Taken`] for a name that is in use.
    pub async fn create(db: &mut Transaction<'_, Sqlite>, name: Name, now: Moment) -> Result<Self> {
        let tenant = Self {
            id: Uuid::new_v4().to_string(),
            name: name.to_string(),
            created: now,
            revision: 1,
        };
        sqlx::query("INSERT INTO tenants (id, name, created, revision) VALUES ($1, $2, $3, $4)")
            .bind(&tenant.id)
            .bind(&tenant.name)
            .bind(tenant.created.0)
            .bind(tenant.revision)
            .execute(&mut **db)
            .await?;
        Ok(tenant)
    }

    /// Those that a principal sees, by name, after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        after: &str,
        most: u32,
    ) -> Result<Vec<Self>> {
        let statement = "SELECT id, name, created, revision FROM tenants \
                         WHERE name > $1 AND ($2 IS NULL OR id = $2) ORDER BY name LIMIT $3";
        let rows = sqlx::query(statement)
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
            "SELECT id, name, created, revision FROM tenants WHERE id = $1 AND ($2 IS NULL OR id = $2)";
        let row = sqlx::query(statement)
            .bind(id)
            .bind(&seen_by.tenant)
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.as_ref().map(Self::read))
    }

    /// The one of a name, if the principal sees it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn named(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        name: &Name,
    ) -> Result<Option<Self>> {
        let statement =
            "SELECT id, name, created, revision FROM tenants WHERE name = $1 AND ($2 IS NULL OR id = $2)";
        let row = sqlx::query(statement)
            .bind(name.as_str())
            .bind(&seen_by.tenant)
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.as_ref().map(Self::read))
    }

    /// Removes it, if it is still as it was read and nothing belongs to it.
    ///
    /// # Errors
    /// [`Kind::Changed`], [`Kind::Unknown`] while something belongs to it.
    pub async fn delete(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        // What was moved for it is history, and keeps nobody.
        sqlx::query("DELETE FROM transfers WHERE tenant = $1 AND ended IS NOT NULL")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        let deleted = sqlx::query("DELETE FROM tenants WHERE id = $1 AND revision = $2")
            .bind(&self.id)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        match deleted.rows_affected() {
            0 => Err(Error::new(
                Kind::Changed,
                format!("tenant {}", self.name),
                "has changed since it was read",
            )),
            _ => Ok(()),
        }
    }
}
