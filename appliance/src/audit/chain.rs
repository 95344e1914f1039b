//! The chain of digests: forwards from the first entry, as the database has them, and back from the newest, as lists have them.

use sqlx::{Sqlite, Transaction};

use super::{BEGINNING, COLUMNS, Entry};
use crate::error::{Error, Kind, Result};

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

#[cfg(test)]
mod tests {
    use super::super::{Deed, record};
    use super::*;
    use crate::clock::Moment;
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
