//! What an item has been: the versions that were published of it, whatever became of them and of it since. Nothing that comes
//! writes to it, so that what is old is known as old.

use serde::Serialize;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use super::Label;
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::transfer::Refusal;

/// The most versions of an item that are remembered: the oldest go first, and the newest never.
const MOST: i64 = 1000;
/// The most permissions of a tenant that nobody has used.
const ALLOWED: i64 = 100;

/// An item, by names: it is remembered when it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The tenant's id, or nothing for the provider's own.
    pub tenant: Option<String>,
    /// The catalog's name.
    pub catalog: String,
    /// The item's name.
    pub item: String,
}

/// A version, as it is compared with those that are remembered.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it is called.
    pub label: Label,
    /// The product's own version, as its publisher signed it.
    pub release: Option<Label>,
    /// Its digest, by its files.
    pub digest: Digest,
}

/// An older version that an administrator allows once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Downgrade {
    /// The catalog's name.
    pub catalog: String,
    /// The item's.
    pub item: String,
    /// The version that is allowed.
    #[schema(value_type = String)]
    pub version: Label,
    /// Who allowed it.
    pub actor: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
}

impl Downgrade {
    /// What a tenant allows, and was not used.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(db: &mut Transaction<'_, Sqlite>, tenant: Option<&str>) -> Result<Vec<Self>> {
        let statement = "SELECT catalog, item, label, actor, created FROM downgrades WHERE tenant = $1 ORDER BY catalog, item, label";
        let rows = sqlx::query(statement)
            .bind(tenant.unwrap_or_default())
            .fetch_all(&mut **db)
            .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Some(Self {
                catalog: row.get("catalog"),
                item: row.get("item"),
                version: Label::try_from(row.get::<String, _>("label")).ok()?,
                actor: row.get("actor"),
                created: Moment(row.get("created")),
            })
        };
        Ok(rows.iter().filter_map(read).collect())
    }
}

impl Remembered {
    fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or_default()
    }

    /// The one that a version is of.
    ///
    /// # Errors
    /// The database fails; [`Kind::Changed`] where it is gone.
    pub async fn of_version(db: &mut Transaction<'_, Sqlite>, version: &str) -> Result<Self> {
        let statement = "SELECT catalogs.tenant, catalogs.name AS catalog, items.name AS item FROM versions \
                         JOIN items ON items.id = versions.item JOIN catalogs ON catalogs.id = items.catalog \
                         WHERE versions.id = $1";
        let row = sqlx::query(statement)
            .bind(version)
            .fetch_optional(&mut **db)
            .await?;
        let row = row.ok_or_else(|| super::changed("version", version))?;
        Ok(Self {
            tenant: row.get("tenant"),
            catalog: row.get("catalog"),
            item: row.get("item"),
        })
    }

    /// Why a version is a thing of the past; nothing for one that is new. `floor` is the newest that somebody else remembers.
    ///
    /// # Errors
    /// The database fails.
    pub async fn refuses(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        seen: &Seen,
        floor: Option<&Label>,
    ) -> Result<Option<Refusal>> {
        if self.allows(db, &seen.label).await? {
            return Ok(None);
        }
        let statement =
            "SELECT label, release, digest FROM heights WHERE tenant = $1 AND catalog = $2 AND item = $3";
        let rows = sqlx::query(statement)
            .bind(self.tenant())
            .bind(&self.catalog)
            .bind(&self.item)
            .fetch_all(&mut **db)
            .await?;
        let read = |name: &'static str| {
            let labels = rows
                .iter()
                .filter_map(move |row| Label::try_from(row.get::<String, _>(name)).ok());
            labels.max()
        };
        let newest = read("label").into_iter().chain(floor.cloned()).max();
        if let Some(newest) = newest.filter(|newest| seen.label < *newest) {
            let reason = format!("version {} is older than {newest}, which was here", seen.label);
            return Ok(Some(Refusal::new("rollback.version", reason)));
        }
        let digest = seen.digest.to_string();
        let same = rows.iter().find(|row| row.get::<&str, _>("digest") == digest);
        if let Some(label) = same.map(|row| row.get::<String, _>("label"))
            && label != seen.label.as_str()
        {
            let reason =
                format!("the files are those of version {label}, which was here, under another name");
            return Ok(Some(Refusal::new("rollback.replayed", reason)));
        }
        let (signed, newest) = (&seen.release, read("release"));
        if let (Some(signed), Some(newest)) = (signed, newest)
            && *signed < newest
        {
            let reason =
                format!("its publisher signed it as {signed}, which is older than {newest}, which was here");
            return Ok(Some(Refusal::new("rollback.release", reason)));
        }
        Ok(None)
    }

    /// Remembers a version that is published, and uses up the permission for it, if there was one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note(&self, db: &mut Transaction<'_, Sqlite>, seen: &Seen, now: Moment) -> Result<()> {
        let statement = "INSERT INTO heights (tenant, catalog, item, label, release, digest, at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                         ON CONFLICT (tenant, catalog, item, digest) DO UPDATE SET label = excluded.label, at = excluded.at";
        sqlx::query(statement)
            .bind(self.tenant())
            .bind(&self.catalog)
            .bind(&self.item)
            .bind(seen.label.as_str())
            .bind(seen.release.as_ref().map(Label::as_str).unwrap_or_default())
            .bind(seen.digest.to_string())
            .bind(now.0)
            .execute(&mut **db)
            .await?;
        self.forget_the_oldest(db).await?;
        let statement =
            "DELETE FROM downgrades WHERE tenant = $1 AND catalog = $2 AND item = $3 AND label = $4";
        sqlx::query(statement)
            .bind(self.tenant())
            .bind(&self.catalog)
            .bind(&self.item)
            .bind(seen.label.as_str())
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// Keeps an item whose versions are many from filling the table: the newest by name are what counts.
    async fn forget_the_oldest(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let statement =
            "SELECT label, release, digest FROM heights WHERE tenant = $1 AND catalog = $2 AND item = $3";
        let rows = sqlx::query(statement)
            .bind(self.tenant())
            .bind(&self.catalog)
            .bind(&self.item)
            .fetch_all(&mut **db)
            .await?;
        let Some(excess) = i64::try_from(rows.len())
            .ok()
            .and_then(|many| usize::try_from(many - MOST).ok())
        else {
            return Ok(());
        };
        let label =
            |row: &sqlx::sqlite::SqliteRow, name: &str| Label::try_from(row.get::<String, _>(name)).ok();
        let mut known: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    label(row, "label"),
                    label(row, "release"),
                    row.get::<String, _>("digest"),
                )
            })
            .collect();
        known.sort();
        let latest = known
            .iter()
            .map(|(_, release, _)| release.clone())
            .max()
            .flatten();
        // What others are compared with stays.
        let last = known.pop();
        known.retain(|(_, release, _)| release.is_none() || *release != latest);
        drop(last);
        for (_, _, digest) in known.into_iter().take(excess) {
            let statement =
                "DELETE FROM heights WHERE tenant = $1 AND catalog = $2 AND item = $3 AND digest = $4";
            sqlx::query(statement)
                .bind(self.tenant())
                .bind(&self.catalog)
                .bind(&self.item)
                .bind(digest)
                .execute(&mut **db)
                .await?;
        }
        Ok(())
    }

    /// Allows an older version, once.
    ///
    /// # Errors
    /// [`Kind::Ceiling`] where too many are allowed.
    pub async fn allow(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        version: Label,
        actor: &str,
        now: Moment,
    ) -> Result<Downgrade> {
        if i64::try_from(Downgrade::list(db, self.tenant.as_deref()).await?.len()).unwrap_or(i64::MAX)
            >= ALLOWED
        {
            let reason = format!("has {ALLOWED} permissions that nobody has used");
            return Err(Error::new(Kind::Ceiling, "the tenant", reason));
        }
        let statement = "INSERT INTO downgrades (tenant, catalog, item, label, actor, created) VALUES ($1, $2, $3, $4, $5, $6) \
                         ON CONFLICT (tenant, catalog, item, label) DO UPDATE SET actor = excluded.actor, created = excluded.created";
        sqlx::query(statement)
            .bind(self.tenant())
            .bind(&self.catalog)
            .bind(&self.item)
            .bind(version.as_str())
            .bind(actor)
            .bind(now.0)
            .execute(&mut **db)
            .await?;
        Ok(Downgrade {
            catalog: self.catalog.clone(),
            item: self.item.clone(),
            version,
            actor: actor.to_owned(),
            created: now,
        })
    }

    async fn allowed(&self, db: &mut Transaction<'_, Sqlite>) -> Result<Vec<Downgrade>> {
        let mut all = Downgrade::list(db, self.tenant.as_deref()).await?;
        all.retain(|allowed| allowed.catalog == self.catalog && allowed.item == self.item);
        Ok(all)
    }

    /// Takes a permission back; whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forbid(&self, db: &mut Transaction<'_, Sqlite>, version: &Label) -> Result<bool> {
        let statement =
            "DELETE FROM downgrades WHERE tenant = $1 AND catalog = $2 AND item = $3 AND label = $4";
        let deleted = sqlx::query(statement)
            .bind(self.tenant())
            .bind(&self.catalog)
            .bind(&self.item)
            .bind(version.as_str())
            .execute(&mut **db)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn allows(&self, db: &mut Transaction<'_, Sqlite>, label: &Label) -> Result<bool> {
        let allowed = self.allowed(db).await?;
        Ok(allowed.iter().any(|downgrade| downgrade.version == *label))
    }
}

/// All that a node remembers of what was published on it, to be remembered by another state of it.
#[derive(Debug, Default)]
pub struct Past(Vec<[String; 6]>);

impl Past {
    /// Reads it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn read(db: &mut Transaction<'_, Sqlite>) -> Result<Self> {
        let statement = "SELECT tenant, catalog, item, label, release, digest FROM heights";
        let rows = sqlx::query(statement).fetch_all(&mut **db).await?;
        let names = ["tenant", "catalog", "item", "label", "release", "digest"];
        Ok(Self(
            rows.iter().map(|row| names.map(|name| row.get(name))).collect(),
        ))
    }

    /// Adds it to what another state remembers.
    ///
    /// # Errors
    /// The database fails.
    pub async fn carry_over(self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        for [tenant, catalog, item, label, release, digest] in self.0 {
            let statement = "INSERT INTO heights (tenant, catalog, item, label, release, digest, at) \
                             VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT (tenant, catalog, item, digest) DO NOTHING";
            sqlx::query(statement)
                .bind(tenant)
                .bind(catalog)
                .bind(item)
                .bind(label)
                .bind(release)
                .bind(digest)
                .execute(&mut **db)
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    const NOW: Moment = Moment(1_790_000_000_000);

    fn label(text: &str) -> Label {
        text.to_owned().try_into().unwrap()
    }

    fn item(name: &str) -> Remembered {
        Remembered {
            tenant: None,
            catalog: "images".to_owned(),
            item: name.to_owned(),
        }
    }

    fn seen(version: &str, release: Option<&str>, bytes: &str) -> Seen {
        Seen {
            label: label(version),
            release: release.map(label),
            digest: Digest::of(bytes.as_bytes()),
        }
    }

    /// The rule by which a version is refused after 1.0 (released as 1.0) and 2.0 (released as 2.0) were here.
    async fn refused(wanted: &Seen, floor: Option<&str>, allowed: &[&str]) -> Option<String> {
        let database = Database::in_memory().await.unwrap();
        let mut db = database.begin().await.unwrap();
        let web = item("web");
        for version in ["1.0", "2.0"] {
            web.note(&mut db, &seen(version, Some(version), version), NOW)
                .await
                .unwrap();
        }
        for version in allowed {
            web.allow(&mut db, label(version), "root", NOW).await.unwrap();
        }
        let refused = web
            .refuses(&mut db, wanted, floor.map(label).as_ref())
            .await
            .unwrap();
        assert_eq!(item("other").refuses(&mut db, wanted, None).await.unwrap(), None);
        refused.map(|refused| refused.rule)
    }

    #[tokio::test]
    async fn what_is_older_is_refused_by_name_by_content_and_by_what_its_publisher_signed() {
        let rule = async |version, release, bytes| refused(&seen(version, release, bytes), None, &[]).await;
        assert_eq!(rule("2.1", Some("2.1"), "new").await, None);
        assert_eq!(rule("2.0", Some("2.0"), "2.0").await, None, "again");
        assert_eq!(
            rule("1.5", Some("1.5"), "new").await.as_deref(),
            Some("rollback.version")
        );
        assert_eq!(
            rule("3.0", Some("1.0"), "1.0").await.as_deref(),
            Some("rollback.replayed")
        );
        assert_eq!(
            rule("3.0", Some("1.5"), "new").await.as_deref(),
            Some("rollback.release")
        );
    }

    #[tokio::test]
    async fn what_somebody_else_remembers_counts_as_well() {
        let new = seen("2.1", None, "new");
        assert_eq!(refused(&new, Some("2.0"), &[]).await, None);
        assert_eq!(
            refused(&new, Some("2.2"), &[]).await.as_deref(),
            Some("rollback.version")
        );
    }

    #[tokio::test]
    async fn what_is_allowed_by_name_may_come_once() {
        let old = seen("1.0", Some("1.0"), "1.0");
        assert_eq!(
            refused(&old, None, &["0.9"]).await.as_deref(),
            Some("rollback.version")
        );
        assert_eq!(refused(&old, None, &["1.0"]).await, None);
        let database = Database::in_memory().await.unwrap();
        let mut db = database.begin().await.unwrap();
        let web = item("web");
        web.allow(&mut db, label("1.0"), "root", NOW).await.unwrap();
        web.note(&mut db, &seen("2.0", None, "2.0"), NOW).await.unwrap();
        web.note(&mut db, &old, NOW).await.unwrap();
        let again = web.refuses(&mut db, &old, None).await.unwrap();
        assert_eq!(
            again.map(|refused| refused.rule).as_deref(),
            Some("rollback.version")
        );
    }

    #[tokio::test]
    async fn the_newest_is_never_forgotten() {
        let database = Database::in_memory().await.unwrap();
        let mut db = database.begin().await.unwrap();
        let web = item("web");
        let newest = seen("9999", None, "newest");
        web.note(&mut db, &newest, NOW).await.unwrap();
        for number in 0..MOST {
            let version = seen(&number.to_string(), None, &number.to_string());
            web.note(&mut db, &version, NOW).await.unwrap();
        }
        let refused = web
            .refuses(&mut db, &seen("9998", None, "other"), None)
            .await
            .unwrap();
        assert_eq!(
            refused.map(|refused| refused.rule).as_deref(),
            Some("rollback.version")
        );
    }

    #[tokio::test]
    async fn what_one_state_remembers_another_is_told() {
        let (old, new) = (
            Database::in_memory().await.unwrap(),
            Database::in_memory().await.unwrap(),
        );
        let (mut old, mut new) = (old.begin().await.unwrap(), new.begin().await.unwrap());
        let web = item("web");
        web.note(&mut old, &seen("2.0", Some("2.0"), "2.0"), NOW)
            .await
            .unwrap();
        web.note(&mut new, &seen("1.0", Some("1.0"), "1.0"), NOW)
            .await
            .unwrap();
        Past::read(&mut old)
            .await
            .unwrap()
            .carry_over(&mut new)
            .await
            .unwrap();
        let refused = web
            .refuses(&mut new, &seen("1.5", None, "other"), None)
            .await
            .unwrap();
        assert_eq!(
            refused.map(|refused| refused.rule).as_deref(),
            Some("rollback.version")
        );
    }
}
