//! Versions: what an item was, is, or is to be.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{File, Item, Label, NewFile, Seen, Sort, current};
use crate::access::Principal;
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// How far a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = VersionState)]
pub enum State {
    /// Its files come.
    Receiving,
    /// All are there, and are judged.
    Verifying,
    /// It can be had.
    Published,
    /// It was refused: its bytes are gone, and what was wrong is kept.
    Rejected,
}

impl State {
    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiving => "RECEIVING",
            Self::Verifying => "VERIFYING",
            Self::Published => "PUBLISHED",
            Self::Rejected => "REJECTED",
        }
    }

    fn of(text: &str) -> Result<Self> {
        [Self::Receiving, Self::Verifying, Self::Published, Self::Rejected]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    Kind::StateCorrupt,
                    "the database",
                    "has a version of an unknown state",
                )
            })
    }
}

/// A version of an item.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ItemVersion)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// The item's id.
    pub item: String,
    /// What it is called.
    #[schema(value_type = String, example = "1.4.0")]
    pub version: Label,
    /// How far it is.
    pub state: State,
    /// Bytes of all its files.
    pub bytes: i64,
    /// SHA-256, in hexadecimal, of a line for each file, in their order: digest, length and name, with a space between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whom the signer's certificate names, once it was judged. That this is so only a published version vouches for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// What was found about it: who signed it, and each rule that it keeps or breaks; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub verdict: Option<Value>,
    /// Who brought it.
    pub author: String,
    /// Its files; lists leave them out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// When its first file was announced.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// When it came to be in this state.
    #[schema(value_type = String, format = DateTime)]
    pub changed: Moment,
    /// How often it has changed; its ETag.
    pub revision: i64,
}

/// A version that is to come.
#[derive(Debug)]
pub struct NewVersion {
    /// What it is called.
    pub label: Label,
    /// Its files.
    pub files: Vec<NewFile>,
    /// Who brings it.
    pub author: String,
}

const COLUMNS: &str = "versions.id, versions.item, versions.label, versions.state, versions.bytes, versions.digest, \
                       versions.verdict, versions.signer, versions.author, versions.created, versions.changed, versions.revision";
const FROM: &str =
    "FROM versions JOIN items ON items.id = versions.item JOIN catalogs ON catalogs.id = items.catalog";

impl Version {
    fn read(row: &SqliteRow) -> Result<Self> {
        let corrupt = |reason: &str| Error::new(Kind::StateCorrupt, "the database", reason);
        let (label, state): (String, String) = (row.get("label"), row.get("state"));
        let verdict: Option<String> = row.get("verdict");
        Ok(Self {
            id: row.get("id"),
            item: row.get("item"),
            version: Label::try_from(label).map_err(corrupt)?,
            state: State::of(&state)?,
            bytes: row.get("bytes"),
            digest: row.get("digest"),
            signer: row.get("signer"),
            verdict: verdict.and_then(|text| serde_json::from_str(&text).ok()),
            author: row.get("author"),
            files: Vec::new(),
            created: Moment(row.get("created")),
            changed: Moment(row.get("changed")),
            revision: row.get("revision"),
        })
    }

    /// Announces one.
    ///
    /// # Errors
    /// [`Kind::Taken`] for a label that is there or on its way.
    pub async fn create(
        db: &mut Transaction<'_, Sqlite>,
        item: &Item,
        new: NewVersion,
        now: Moment,
    ) -> Result<Self> {
        let id = Uuid::new_v4().to_string();
        let bytes = new.files.iter().map(|file| file.bytes).sum();
        let statement = "INSERT INTO versions (id, item, label, state, bytes, author, created, changed, attempts, revision) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0, 1)";
        sqlx::query(statement)
            .bind(&id)
            .bind(&item.id)
            .bind(new.label.as_str())
            .bind(State::Receiving.as_str())
            .bind(bytes)
            .bind(&new.author)
            .bind(now.0)
            .execute(&mut **db)
            .await?;
        Ok(Self {
            files: File::create(db, &id, new.files).await?,
            id,
            item: item.id.clone(),
            version: new.label,
            state: State::Receiving,
            bytes,
            digest: None,
            signer: None,
            verdict: None,
            author: new.author,
            created: now,
            changed: now,
            revision: 1,
        })
    }

    /// Those of an item, the newest first, after the one of a cursor; without their files and what was found about them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        item: &Item,
        after: Option<(i64, &str)>,
        most: u32,
    ) -> Result<Vec<Self>> {
        let columns = COLUMNS.replace("versions.verdict", "NULL AS verdict");
        let statement = format!(
            "SELECT {columns} {FROM} WHERE versions.item = $1 \
             AND (versions.created < $2 OR (versions.created = $2 AND versions.id < $3)) \
             ORDER BY versions.created DESC, versions.id DESC LIMIT $4"
        );
        let (created, id) = after.unwrap_or((i64::MAX, ""));
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(&item.id)
            .bind(created)
            .bind(id)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(Self::read).collect()
    }

    /// Where the next page of a list begins.
    pub fn cursor(&self) -> String {
        format!("{}.{}", self.created.0, self.id)
    }

    /// The one of an id, if the principal sees it, with the tenant that it belongs to.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        id: &str,
    ) -> Result<Option<(Self, Option<String>)>> {
        let statement = format!(
            "SELECT {COLUMNS}, catalogs.tenant {FROM} WHERE versions.id = $1 AND ($2 IS NULL OR catalogs.tenant = $2)"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .bind(&seen_by.tenant)
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let files = File::list(db, id).await?;
        let version = Self {
            files,
            ..Self::read(&row)?
        };
        Ok(Some((version, row.get("tenant"))))
    }

    /// All of the connector's that are in a state: what a service that starts goes on with.
    ///
    /// # Errors
    /// The database fails.
    pub async fn in_state(
        db: &mut Transaction<'_, Sqlite>,
        state: State,
    ) -> Result<Vec<(Self, Option<String>)>> {
        let statement = format!(
            "SELECT {COLUMNS}, catalogs.tenant {FROM} WHERE versions.state = $1 ORDER BY versions.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(state.as_str())
            .fetch_all(&mut **db)
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            let version = Self::read(row)?;
            let files = File::list(db, &version.id).await?;
            found.push((Self { files, ..version }, row.get("tenant")));
        }
        Ok(found)
    }

    /// What the item is.
    pub(super) async fn sort(&self, db: &mut Transaction<'_, Sqlite>) -> Result<Sort> {
        let row = sqlx::query("SELECT kind FROM items WHERE id = $1")
            .bind(&self.item)
            .fetch_one(&mut **db)
            .await?;
        Ok(Sort::of(row.get("kind")))
    }

    /// What is remembered of it. All of its files have to be there.
    pub(super) fn seen(&self, release: Option<Label>) -> Seen {
        let known = self.files.iter().filter_map(|file| {
            let digest = file.digest.as_deref()?.parse::<Digest>().ok()?;
            Some((digest, u64::try_from(file.bytes).ok()?, file.name.as_str()))
        });
        Seen {
            label: self.version.clone(),
            release,
            digest: digest_of_files(known),
        }
    }

    /// Counts a judgement before it begins; the number of this one.
    pub(super) async fn attempt(&self, db: &mut Transaction<'_, Sqlite>) -> Result<i64> {
        sqlx::query("UPDATE versions SET attempts = attempts + 1 WHERE id = $1")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        let row = sqlx::query("SELECT attempts FROM versions WHERE id = $1")
            .bind(&self.id)
            .fetch_optional(&mut **db)
            .await?;
        row.map(|row| row.get("attempts"))
            .ok_or_else(|| super::changed("version", self.version.as_str()))
    }

    /// All files are there: they can be judged.
    ///
    /// # Errors
    /// [`Kind::Changed`] where it is not on its way any more.
    pub async fn complete(&self, db: &mut Transaction<'_, Sqlite>, now: Moment) -> Result<()> {
        self.pass(db, State::Receiving, State::Verifying, now).await
    }

    /// Makes it what can be had; where its label is the newest of all, it is what the item offers from now on.
    ///
    /// # Errors
    /// [`Kind::Changed`] where it is not being judged.
    pub async fn publish(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        verdict: &Value,
        now: Moment,
    ) -> Result<()> {
        self.pass(db, State::Verifying, State::Published, now).await?;
        let digest = self.seen(None).digest.to_string();
        self.judge(db, Some(digest), verdict).await?;
        self.switch(db).await
    }

    /// Refuses it. What there is of its files is nobody's any more.
    ///
    /// # Errors
    /// [`Kind::Changed`] where it is not being judged.
    pub async fn reject(&self, db: &mut Transaction<'_, Sqlite>, verdict: &Value, now: Moment) -> Result<()> {
        self.pass(db, State::Verifying, State::Rejected, now).await?;
        self.judge(db, None, verdict).await?;
        sqlx::query("UPDATE files SET digest = NULL WHERE version = $1")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// Refuses it while its files come.
    ///
    /// # Errors
    /// [`Kind::Changed`] where it comes no more.
    pub async fn break_off(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        verdict: &Value,
        now: Moment,
    ) -> Result<()> {
        self.pass(db, State::Receiving, State::Rejected, now).await?;
        self.judge(db, None, verdict).await?;
        sqlx::query("UPDATE files SET digest = NULL WHERE version = $1")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// The one of an id, whoever's it is, with its tenant: for the connector's own work.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_id(db: &mut Transaction<'_, Sqlite>, id: &str) -> Result<Option<(Self, Option<String>)>> {
        let statement = format!("SELECT {COLUMNS}, catalogs.tenant {FROM} WHERE versions.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let files = File::list(db, id).await?;
        let version = Self {
            files,
            ..Self::read(&row)?
        };
        Ok(Some((version, row.get("tenant"))))
    }

    /// Takes it away, if it is still as it was read; the item then offers the newest that is left.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub async fn delete(&self, db: &mut Transaction<'_, Sqlite>, revision: i64) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM versions WHERE id = $1 AND revision = $2")
            .bind(&self.id)
            .bind(revision)
            .execute(&mut **db)
            .await?;
        match deleted.rows_affected() {
            0 => Err(super::changed("version", self.version.as_str())),
            _ => self.switch(db).await,
        }
    }

    async fn pass(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        from: State,
        to: State,
        now: Moment,
    ) -> Result<()> {
        let statement = "UPDATE versions SET state = $1, changed = $2, revision = revision + 1 WHERE id = $3 AND state = $4";
        let passed = sqlx::query(statement)
            .bind(to.as_str())
            .bind(now.0)
            .bind(&self.id)
            .bind(from.as_str())
            .execute(&mut **db)
            .await?;
        match passed.rows_affected() {
            0 => Err(super::changed("version", self.version.as_str())),
            _ => Ok(()),
        }
    }

    async fn judge(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        digest: Option<String>,
        verdict: &Value,
    ) -> Result<()> {
        let signer = verdict["signer"]["subject"].as_str();
        sqlx::query("UPDATE versions SET digest = $1, verdict = $2, signer = $3 WHERE id = $4")
            .bind(digest)
            .bind(verdict.to_string())
            .bind(signer)
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// Has the item offer its newest version, by its label.
    async fn switch(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let rows = sqlx::query("SELECT id, label FROM versions WHERE item = $1 AND state = $2")
            .bind(&self.item)
            .bind(State::Published.as_str())
            .fetch_all(&mut **db)
            .await?;
        let labelled = |row: &SqliteRow| {
            let label: String = row.get("label");
            Some((Label::try_from(label).ok()?, row.get::<String, _>("id")))
        };
        let newest = rows.iter().filter_map(labelled).max().map(|(_, id)| id);
        sqlx::query("UPDATE items SET revision = revision + 1 WHERE id = $1")
            .bind(&self.item)
            .execute(&mut **db)
            .await?;
        let statement = "UPDATE items SET current = $1, content = content + 1 \
                         WHERE id = $2 AND current IS DISTINCT FROM $1";
        let switched = sqlx::query(statement)
            .bind(newest)
            .bind(&self.item)
            .execute(&mut **db)
            .await?;
        match switched.rows_affected() {
            0 => Ok(()),
            _ => current::has_changed(db, &self.item).await,
        }
    }
}

/// SHA-256 of a line for each file, in their order: digest in hexadecimal, length in bytes and name, with a space between them.
pub fn digest_of_files<'a>(files: impl Iterator<Item = (Digest, u64, &'a str)>) -> Digest {
    let lines: String = files
        .map(|(digest, bytes, name)| format!("{digest} {bytes} {name}\n"))
        .collect();
    Digest::of(lines.as_bytes())
}
