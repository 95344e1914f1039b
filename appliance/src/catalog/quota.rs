//! How much room a tenant may take, and takes.

use serde::Serialize;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use crate::error::{Error, Kind, Result};

/// The most bytes that a tenant's versions may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// As their files are long; none for as much as the disk has.
    pub bytes: Option<i64>,
    /// How often it has changed; its ETag.
    pub revision: i64,
}

/// What a tenant takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Bytes of all files of all versions, also of those that are still to come.
    pub bytes: i64,
    /// The versions.
    pub versions: i64,
}

impl Quota {
    /// A tenant's.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(db: &mut Transaction<'_, Sqlite>, tenant: Option<&str>) -> Result<Self> {
        let row = sqlx::query("SELECT bytes, revision FROM quotas WHERE tenant = $1")
            .bind(tenant)
            .fetch_optional(&mut **db)
            .await?;
        Ok(match row {
            // What is not limited any more keeps its revision.
            Some(row) => Self {
                bytes: Some(row.get::<i64, _>("bytes")).filter(|bytes| *bytes >= 0),
                revision: row.get("revision"),
            },
            None => Self {
                bytes: None,
                revision: 0,
            },
        })
    }

    /// Sets it, if it is still of revision `was`. Less than is taken already only keeps more from coming.
    ///
    /// # Errors
    /// [`Kind::Changed`], [`Kind::Unknown`] for a tenant that is not there.
    pub async fn set(
        db: &mut Transaction<'_, Sqlite>,
        tenant: &str,
        bytes: Option<i64>,
        was: i64,
    ) -> Result<Self> {
        if Self::of(db, Some(tenant)).await?.revision != was {
            return Err(super::changed("quota", tenant));
        }
        let statement = "INSERT INTO quotas (tenant, bytes, revision) VALUES ($1, $2, $3) \
                         ON CONFLICT (tenant) DO UPDATE SET bytes = excluded.bytes, revision = excluded.revision";
        sqlx::query(statement)
            .bind(tenant)
            .bind(bytes.unwrap_or(-1))
            .bind(was + 1)
            .execute(&mut **db)
            .await?;
        Ok(Self {
            bytes,
            revision: was + 1,
        })
    }

    /// Sees that there is room for so many bytes more.
    ///
    /// # Errors
    /// [`Kind::Ceiling`], with what is left.
    pub async fn reserve(db: &mut Transaction<'_, Sqlite>, tenant: Option<&str>, bytes: i64) -> Result<()> {
        let Some(most) = Self::of(db, tenant).await?.bytes else {
            return Ok(());
        };
        let left = most.saturating_sub(Usage::of(db, tenant).await?.bytes).max(0);
        match bytes <= left {
            true => Ok(()),
            false => {
                let reason = format!("{bytes} bytes are wanted, and {left} of {most} are left");
                Err(Error::new(Kind::Ceiling, "the tenant's quota", reason))
            }
        }
    }
}

/// The most versions of a tenant that are kept, also of those that were refused, and that come at once.
const VERSIONS: i64 = 10_000;
const COMING: i64 = 64;

impl Usage {
    /// Sees that a tenant may announce one more version: each takes room in tables, however few bytes it has.
    ///
    /// # Errors
    /// [`Kind::Ceiling`].
    pub async fn reserve(db: &mut Transaction<'_, Sqlite>, tenant: Option<&str>) -> Result<()> {
        let statement = "SELECT COUNT(*) AS versions, \
                         COUNT(CASE WHEN versions.state = 'RECEIVING' THEN 1 END) AS coming FROM versions \
                         JOIN items ON items.id = versions.item JOIN catalogs ON catalogs.id = items.catalog \
                         WHERE COALESCE(catalogs.tenant, '') = $1";
        let row = sqlx::query(statement)
            .bind(tenant.unwrap_or_default())
            .fetch_one(&mut **db)
            .await?;
        let (versions, coming): (i64, i64) = (row.get("versions"), row.get("coming"));
        let reason = match (versions >= VERSIONS, coming >= COMING) {
            (true, _) => format!("has {versions} versions, and no more than {VERSIONS} are kept"),
            (_, true) => {
                format!("has {coming} versions that are still to come, and no more than {COMING} may")
            }
            _ => return Ok(()),
        };
        Err(Error::new(Kind::Ceiling, "the tenant", reason))
    }

    /// Bytes that were promised to whoever brings them, and did not come yet.
    ///
    /// # Errors
    /// The database fails.
    pub async fn promised(db: &mut Transaction<'_, Sqlite>) -> Result<i64> {
        let statement = "SELECT CAST(COALESCE(SUM(files.bytes), 0) AS BIGINT) AS bytes FROM files \
                         JOIN versions ON versions.id = files.version \
                         WHERE versions.state = 'RECEIVING' AND files.digest IS NULL";
        Ok(sqlx::query(statement).fetch_one(&mut **db).await?.get("bytes"))
    }

    /// A tenant's; the provider's own where there is none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(db: &mut Transaction<'_, Sqlite>, tenant: Option<&str>) -> Result<Self> {
        let statement = "SELECT COUNT(*) AS versions, CAST(COALESCE(SUM(versions.bytes), 0) AS BIGINT) AS bytes FROM versions \
                         JOIN items ON items.id = versions.item JOIN catalogs ON catalogs.id = items.catalog \
                         WHERE versions.state <> 'REJECTED' AND COALESCE(catalogs.tenant, '') = $1";
        let row = sqlx::query(statement)
            .bind(tenant.unwrap_or_default())
            .fetch_one(&mut **db)
            .await?;
        Ok(Self {
            bytes: row.get("bytes"),
            versions: row.get("versions"),
        })
    }
}
