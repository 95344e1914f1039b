//! Subscriptions: catalogs whose items follow those of a catalog on another node.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Window;
use super::wish::{Known, check_pace, of_own_tenant, wrong};
use crate::access::{Name, Principal};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// How often a source is asked, in seconds, where nobody said.
const USUAL: u32 = 300;
/// The most often.
const SHORTEST: u32 = 10;
/// The least often.
const LONGEST: u32 = 30 * 24 * 3600;
/// Subscriptions of a tenant; more are not taken.
const MOST: i64 = 1000;

/// What is kept at the destination of an item that has a newer version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SubscriptionKeep)]
pub enum Keep {
    /// All versions that came.
    #[default]
    All,
    /// The newest.
    Current,
}

/// What somebody wants followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// The id or the name of the node whose catalog is followed.
    pub source: String,
    /// The tenant's name, at both ends; none for what is the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Name>,
    /// The catalog's name there.
    #[schema(value_type = String)]
    pub catalog: Name,
    /// The id or the name of the node that follows.
    pub destination: String,
    /// The catalog's name here; as at the source, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub to_catalog: Option<Name>,
    /// Seconds between two looks; 300, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 10, maximum = 2592000)]
    pub every: Option<u32>,
    /// What is kept of older versions.
    #[serde(default)]
    pub keep: Keep,
    /// Whether what vanishes at the source is removed at the destination, as far as it came so.
    #[serde(default)]
    pub mirror: bool,
    /// Bytes a second of each transfer at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1024)]
    pub rate: Option<u64>,
    /// Connections of each transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 8)]
    pub parallel: Option<u8>,
    /// The hours of the day in which bytes move, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "22:00-06:00")]
    pub window: Option<Window>,
}

/// A catalog of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SubscriptionEnd)]
pub struct Shelf {
    /// The node's id.
    pub node: String,
    /// Its name.
    pub name: String,
    /// Its cloud's name.
    pub cloud: String,
    /// The tenant's name; none for what is the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Name>,
    /// The catalog's name.
    #[schema(value_type = String)]
    pub catalog: Name,
}

/// What is followed, checked against the nodes that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Followed {
    /// What is followed.
    pub source: Shelf,
    /// What follows.
    pub destination: Shelf,
    /// Seconds between two looks.
    pub every: u32,
    /// What is kept of older versions.
    pub keep: Keep,
    /// Whether what vanishes at the source is removed at the destination.
    pub mirror: bool,
    /// Bytes a second of each transfer at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Connections of each transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u8>,
    /// The hours of the day in which bytes move, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub window: Option<Window>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// The tenant whose it is, where that is one of the server's; the provider's own has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What is followed, and how.
    #[serde(flatten)]
    pub wish: Followed,
    /// When the source is asked next, or was; a moment that is past while it is being asked.
    #[schema(value_type = String, format = DateTime)]
    pub due: Moment,
    /// When its answer was last seen through.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub looked: Option<Moment>,
    /// What came of that.
    pub message: String,
    /// Who made it.
    pub actor: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// How often it has changed; its ETag.
    pub revision: i64,
    #[serde(skip)]
    pub(super) forced: bool,
    #[serde(skip)]
    pub(super) forcing: bool,
    #[serde(skip)]
    pub(super) round: i64,
    #[serde(skip)]
    pub(super) after: Option<String>,
    #[serde(skip)]
    pub(super) task: Option<String>,
}

impl NewSubscription {
    /// Checks it against the nodes that there are. What belongs to a tenant's user is of `own`, its tenant's name.
    ///
    /// # Errors
    /// [`Kind::Malformed`] with what is wrong.
    pub async fn check(self, db: &mut Transaction<'_, Sqlite>, own: Option<&Name>) -> Result<Followed> {
        let tenant = of_own_tenant(self.tenant, own, "tenant")?;
        check_pace(self.rate, self.parallel)?;
        let every = self.every.unwrap_or(USUAL);
        if !(SHORTEST..=LONGEST).contains(&every) {
            return Err(wrong("every", format_args!("is {SHORTEST} to {LONGEST} seconds")));
        }
        let source = Known::find(db, "source", &self.source).await?;
        let destination = Known::find(db, "destination", &self.destination).await?;
        if source.id == destination.id {
            return Err(wrong("destination", "is the source: nothing has to move"));
        }
        let shelf = |known: Known, catalog: Name| Shelf {
            node: known.id,
            name: known.name,
            cloud: known.cloud,
            tenant: tenant.clone(),
            catalog,
        };
        let to = self.to_catalog.unwrap_or_else(|| self.catalog.clone());
        Ok(Followed {
            source: shelf(source, self.catalog),
            destination: shelf(destination, to),
            every,
            keep: self.keep,
            mirror: self.mirror,
            rate: self.rate,
            parallel: self.parallel,
            window: self.window,
        })
    }
}

impl Subscription {
    fn read(row: &SqliteRow) -> Result<Self> {
        let wish = serde_json::from_str(row.get("wish"));
        let broken =
            |error| Error::new(Kind::StateCorrupt, "subscriptions", "a wish is damaged").because(error);
        Ok(Self {
            id: row.get("id"),
            tenant: row.get("tenant"),
            wish: wish.map_err(broken)?,
            due: Moment(row.get("due")),
            looked: row.get::<Option<i64>, _>("looked").map(Moment),
            message: row.get("message"),
            actor: row.get("actor"),
            created: Moment(row.get("created")),
            revision: row.get("revision"),
            forced: row.get::<i64, _>("forced") != 0,
            forcing: row.get::<i64, _>("forcing") != 0,
            round: row.get("round"),
            after: row.get("after"),
            task: row.get("task"),
        })
    }

    /// A new one, that is not written down yet.
    ///
    /// # Errors
    /// [`Kind::Ceiling`] where the tenant has too many; [`Kind::Taken`] where one does the same.
    pub(super) async fn create(
        db: &mut Transaction<'_, Sqlite>,
        wish: Followed,
        tenant: Option<&str>,
        actor: &str,
        now: Moment,
    ) -> Result<Self> {
        let statement = "SELECT COUNT(*) AS many FROM subscriptions WHERE tenant IS NOT DISTINCT FROM $1";
        let row = sqlx::query(statement).bind(tenant).fetch_one(&mut **db).await?;
        if row.get::<i64, _>("many") >= MOST {
            return Err(Error::new(Kind::Ceiling, "subscriptions", "there are too many"));
        }
        let others = sqlx::query("SELECT * FROM subscriptions WHERE source = $1 AND destination = $2")
            .bind(&wish.source.node)
            .bind(&wish.destination.node)
            .fetch_all(&mut **db)
            .await?;
        for other in &others {
            let other = Self::read(other)?;
            if other.wish.destination == wish.destination && other.wish.source == wish.source {
                return Err(Error::new(Kind::Taken, "subscriptions", "another does the same"));
            }
        }
        Ok(Self {
            id: Uuid::new_v4().to_string(),
            tenant: tenant.map(str::to_owned),
            wish,
            due: now,
            looked: None,
            message: String::new(),
            actor: actor.to_owned(),
            created: now,
            revision: 0,
            forced: false,
            forcing: false,
            round: 0,
            after: None,
            task: None,
        })
    }

    /// Writes it down, as it is now.
    pub(super) async fn write(&mut self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        self.revision = self.revision.saturating_add(1);
        let wish = serde_json::to_string(&self.wish).map_err(|error| {
            Error::new(Kind::Malformed, "subscriptions", "can't be written").because(error)
        })?;
        let statement = "INSERT INTO subscriptions (id, tenant, source, destination, wish, due, forced, forcing, round, after, task, \
             message, looked, actor, created, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             ON CONFLICT (id) DO UPDATE SET due = excluded.due, forced = excluded.forced, forcing = excluded.forcing, \
             round = excluded.round, after = excluded.after, task = excluded.task, message = excluded.message, \
             looked = excluded.looked, revision = excluded.revision";
        sqlx::query(statement)
            .bind(&self.id)
            .bind(&self.tenant)
            .bind(&self.wish.source.node)
            .bind(&self.wish.destination.node)
            .bind(wish)
            .bind(self.due.0)
            .bind(i64::from(self.forced))
            .bind(i64::from(self.forcing))
            .bind(self.round)
            .bind(&self.after)
            .bind(&self.task)
            .bind(&self.message)
            .bind(self.looked.map(|at| at.0))
            .bind(&self.actor)
            .bind(self.created.0)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// Forgets it, and which items it has met.
    pub(super) async fn delete(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        sqlx::query("DELETE FROM subscriptions WHERE id = $1")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Ok(())
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
        let statement =
            "SELECT * FROM subscriptions WHERE id > $1 AND ($2 IS NULL OR tenant = $2) ORDER BY id LIMIT $3";
        let rows = sqlx::query(statement)
            .bind(after)
            .bind(&seen_by.tenant)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(Self::read).collect()
    }

    /// The one of an id, if a principal sees it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        id: &str,
    ) -> Result<Option<Self>> {
        let found = Self::one(db, "id", id).await?;
        Ok(found.filter(|found| seen_by.sees(found.tenant.as_deref())))
    }

    /// The one that waits for a task.
    pub(super) async fn of_task(db: &mut Transaction<'_, Sqlite>, task: &str) -> Result<Option<Self>> {
        Self::one(db, "task", task).await
    }

    async fn one(db: &mut Transaction<'_, Sqlite>, column: &str, value: &str) -> Result<Option<Self>> {
        let statement = format!("SELECT * FROM subscriptions WHERE {column} = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(value)
            .fetch_optional(&mut **db)
            .await?;
        row.as_ref().map(Self::read).transpose()
    }

    /// Those whose source is to be asked now, the longest due first.
    pub(super) async fn due(db: &mut Transaction<'_, Sqlite>, now: Moment) -> Result<Vec<Self>> {
        let statement = "SELECT subscriptions.* FROM subscriptions JOIN nodes AS one ON one.id = source \
                         JOIN nodes AS other ON other.id = destination \
                         WHERE due <= $1 AND task IS NULL AND one.state = 'ACTIVE' AND other.state = 'ACTIVE' \
                         ORDER BY due LIMIT 100";
        let rows = sqlx::query(statement).bind(now.0).fetch_all(&mut **db).await?;
        rows.iter().map(Self::read).collect()
    }
}
