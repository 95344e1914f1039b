//! The database: SQLite in one file of the state directory.
//!
//! Statements are text, with `$n` for values, in what SQLite and PostgreSQL share. SQLite has one writer, so there is one
//! connection: what is written waits its turn, and a transaction never meets another. A commit is on the disk when it returns.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite, SqlitePool, Transaction};

use crate::error::{Error, Kind, Result};

/// The file, in the state directory.
const FILE: &str = "vcc.db";
/// How long a statement waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);
/// Steps from an empty file to the newest tables, in their order; one that was released never changes.
const STEPS: [&str; 8] = [
    include_str!("database/1-ground.sql"),
    include_str!("database/2-nodes.sql"),
    include_str!("database/3-work.sql"),
    include_str!("database/4-authorities.sql"),
    include_str!("database/5-answers.sql"),
    include_str!("database/6-catalogs.sql"),
    include_str!("database/7-transfers.sql"),
    include_str!("database/8-subscribers.sql"),
];

/// The database, open.
#[derive(Debug, Clone)]
pub struct Database {
    pool: SqlitePool,
    /// Device and number of the file.
    file: Option<(u64, u64)>,
}

impl Database {
    /// Opens the database of a state directory, makes it where it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// [`Kind::StateCorrupt`] for a file that is damaged or of a newer version, [`Kind::StateFull`] and its like where it can't
    /// be written.
    pub async fn open(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let opened = Self::connect(
            SqliteConnectOptions::new()
                .filename(&path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full),
        )
        .await
        .map_err(|error| {
            Error::new(error.kind(), path.display().to_string(), "cannot be used").because(error)
        })?;
        let file = path
            .metadata()
            .map_err(|error| Error::file(&path, "look at", error))?;
        Ok(Self {
            file: Some((file.dev(), file.ino())),
            ..opened
        })
    }

    /// Writes to it, and sees that its file is still the one of its name in the directory: what is written to another is lost.
    ///
    /// # Errors
    /// It can't be written; [`Kind::StateCorrupt`] where the file is another.
    pub async fn probe(&self, directory: &Path) -> Result<()> {
        let mut db = self.begin().await?;
        sqlx::query("UPDATE settings SET value = value WHERE name = $1")
            .bind(VERSION)
            .execute(&mut *db)
            .await?;
        db.commit().await?;
        let path = directory.join(FILE);
        let there = match path.metadata() {
            Ok(file) => Some((file.dev(), file.ino())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::file(&path, "look at", error)),
        };
        if there != self.file {
            let reason = "is not the file in use any more: what is written is lost with the next start";
            return Err(Error::new(Kind::StateCorrupt, path.display().to_string(), reason));
        }
        Ok(())
    }

    /// One in memory, for tests.
    ///
    /// # Errors
    /// There is no room for it.
    pub async fn in_memory() -> Result<Self> {
        Self::connect(SqliteConnectOptions::new().in_memory(true)).await
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self> {
        let options = options.foreign_keys(true).busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            // On a full disk SQLite rolls back by itself; sqlx, told to do that too, then counts a transaction that isn't there
            // and begins no other one.
            .before_acquire(|connection, _| {
                let is_free = !connection.is_in_transaction();
                Box::pin(async move { Ok(is_free) })
            })
            .connect_with(options)
            .await?;
        let database = Self { pool, file: None };
        database.migrate().await?;
        Ok(database)
    }

    async fn migrate(&self) -> Result<()> {
        let mut transaction = self.begin().await?;
        let known = sqlx::query("SELECT name FROM sqlite_master WHERE name = 'settings'")
            .fetch_optional(&mut *transaction)
            .await?;
        let version = match known {
            None => 0,
            Some(_) => setting(&mut transaction, VERSION)
                .await?
                .and_then(|text| text.parse().ok())
                .unwrap_or(usize::MAX),
        };
        let Some(missing) = STEPS.get(version..) else {
            let reason = format!(
                "is of version {version}; this program knows {} at most",
                STEPS.len()
            );
            return Err(Error::new(Kind::StateCorrupt, FILE, reason));
        };
        for step in missing {
            sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        }
        if !missing.is_empty() {
            set(&mut transaction, VERSION, &STEPS.len().to_string()).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Sees that a file which nobody has open is a whole database of this program's: its pages, what refers to what, its
    /// version, and its tables, to which nobody has added anything.
    ///
    /// # Errors
    /// [`Kind::StateCorrupt`].
    pub async fn verify(path: &Path) -> Result<()> {
        let corrupt = |reason: String| Error::new(Kind::StateCorrupt, path.display().to_string(), reason);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .immutable(true)
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON");
        let unusable = |error| corrupt("cannot be used".to_owned()).because(Error::from(error));
        let mut own = options.connect().await.map_err(unusable)?;
        // First: nothing is asked of tables that are not ours.
        let version = sqlx::query("SELECT value FROM settings WHERE name = $1")
            .bind(VERSION)
            .fetch_optional(&mut own)
            .await
            .map_err(unusable)?;
        let version = version.and_then(|row| row.try_get::<String, _>("value").ok());
        let version = version.and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
        let Some(steps) = STEPS.get(..version).filter(|steps| !steps.is_empty()) else {
            let reason = format!("is of version {version}; this program knows 1 to {}", STEPS.len());
            return Err(corrupt(reason));
        };
        let mut model = SqliteConnectOptions::new().in_memory(true).connect().await?;
        for step in steps {
            sqlx::raw_sql(*step).execute(&mut model).await?;
        }
        if schema(&mut own).await.map_err(unusable)? != schema(&mut model).await? {
            return Err(corrupt(format!("has other tables than version {version} has")));
        }
        let found = sqlx::query("PRAGMA integrity_check(1)")
            .fetch_all(&mut own)
            .await
            .map_err(unusable)?;
        let told: Vec<String> = found.iter().map(|row| row.get(0)).collect();
        if told != ["ok"] {
            return Err(corrupt(format!("is damaged: {}", told.join("; "))));
        }
        let dangling = sqlx::query("PRAGMA foreign_key_check")
            .fetch_optional(&mut own)
            .await
            .map_err(unusable)?;
        if dangling.is_some() {
            return Err(corrupt("refers to what it has not".to_owned()));
        }
        Ok(())
    }

    /// What is done in it is done whole when it is committed, or not at all.
    ///
    /// # Errors
    /// The database is overloaded, or its disk fails.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// For statements that stand alone.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Ends what is under way, and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Copies the database of a state directory as it is at one moment, while others go on with it.
///
/// # Errors
/// It can't be read, or the copy not written.
pub async fn copy(directory: &Path, to: &Path) -> Result<()> {
    let path = directory.join(FILE);
    let name = to
        .to_str()
        .ok_or_else(|| Error::new(Kind::Malformed, to.display().to_string(), "is not UTF-8"))?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .read_only(true)
        .busy_timeout(PATIENCE);
    let failed = |error| {
        let error = Error::from(error);
        Error::new(error.kind(), path.display().to_string(), "cannot be copied").because(error)
    };
    let mut own = options.connect().await.map_err(failed)?;
    sqlx::query("VACUUM INTO $1")
        .bind(name)
        .execute(&mut own)
        .await
        .map_err(failed)?;
    own.close().await.map_err(failed)
}

/// What a database consists of: kind, name and statement of each part.
async fn schema(own: &mut SqliteConnection) -> Result<Vec<(String, String, String)>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT type, name, COALESCE(sql, '') AS sql FROM sqlite_master ORDER BY type, name")
            .fetch_all(own)
            .await?;
    let part = |row: &sqlx::sqlite::SqliteRow| (row.get("type"), row.get("name"), row.get("sql"));
    Ok(rows.iter().map(part).collect())
}

const VERSION: &str = "version";

/// The value of a setting.
///
/// # Errors
/// The database fails.
pub async fn setting(transaction: &mut Transaction<'_, Sqlite>, name: &str) -> Result<Option<String>> {
    let row = sqlx::query("SELECT value FROM settings WHERE name = $1")
        .bind(name)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(row.map(|row| row.get("value")))
}

/// Changes a setting.
///
/// # Errors
/// The database fails.
pub async fn set(transaction: &mut Transaction<'_, Sqlite>, name: &str, value: &str) -> Result<()> {
    let statement = "INSERT INTO settings (name, value) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    sqlx::query(statement)
        .bind(name)
        .bind(value)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Removes a setting.
///
/// # Errors
/// The database fails.
pub async fn unset(transaction: &mut Transaction<'_, Sqlite>, name: &str) -> Result<()> {
    sqlx::query("DELETE FROM settings WHERE name = $1")
        .bind(name)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let told = match &error {
            sqlx::Error::Database(told) => Some(told),
            _ => None,
        };
        if told.is_some_and(|told| told.is_unique_violation()) {
            return Error::new(Kind::Taken, "the database", "the name is in use").because(error);
        }
        if told.is_some_and(|told| told.is_foreign_key_violation()) {
            return Error::new(
                Kind::Unknown,
                "the database",
                "what it belongs to, or what belongs to it, is not so",
            )
            .because(error);
        }
        let code = match &error {
            sqlx::Error::Database(told) => told.code().and_then(|code| code.parse::<u32>().ok()),
            _ => None,
        };
        // SQLite's primary codes are the low byte of its extended ones.
        let kind = match code.map(|code| code & 0xff) {
            Some(8) => Kind::StateReadOnly,
            Some(11 | 26) => Kind::StateCorrupt,
            Some(13) => Kind::StateFull,
            _ => Kind::Database,
        };
        Error::new(kind, "the database", "a statement failed").because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn version(database: &Database) -> Option<String> {
        setting(&mut database.begin().await.unwrap(), VERSION)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_was_committed_is_there_when_it_is_opened_again_and_the_rest_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path()).await.unwrap();
        let mut transaction = database.begin().await.unwrap();
        set(&mut transaction, "kept", "1").await.unwrap();
        transaction.commit().await.unwrap();
        let mut transaction = database.begin().await.unwrap();
        set(&mut transaction, "lost", "1").await.unwrap();
        drop(transaction);
        database.close().await;
        let database = Database::open(directory.path()).await.unwrap();
        assert_eq!(version(&database).await, Some(STEPS.len().to_string()));
        let mut transaction = database.begin().await.unwrap();
        assert_eq!(
            setting(&mut transaction, "kept").await.unwrap().as_deref(),
            Some("1")
        );
        assert_eq!(setting(&mut transaction, "lost").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_damaged_file_and_one_of_a_newer_version_are_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        std::fs::write(&path, [7; 8192]).unwrap();
        assert_eq!(
            Database::open(directory.path()).await.unwrap_err().kind(),
            Kind::StateCorrupt
        );
        assert_eq!(std::fs::read(&path).unwrap(), [7; 8192]);
        std::fs::remove_file(&path).unwrap();
        let database = Database::open(directory.path()).await.unwrap();
        let mut transaction = database.begin().await.unwrap();
        set(&mut transaction, VERSION, "999").await.unwrap();
        transaction.commit().await.unwrap();
        database.close().await;
        let refused = Database::open(directory.path()).await.unwrap_err();
        assert!(refused.chain().to_string().contains("999"), "{}", refused.chain());
    }
}
