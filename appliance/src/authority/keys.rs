//! The keys of a server's authority, as the database has them.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use sqlx::{Row as _, Sqlite, Transaction};

use super::rotation::Forced;
use super::{Authority, KeyDigest, PLACE, Pem, read_certificate};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// The authority with the key in use, and those before and after it while one follows the other.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs, and is shown to nodes.
    pub current: Arc<Authority>,
    /// When it was made.
    pub created: Moment,
    /// Nodes are told of it, and nothing else is done with it yet.
    pub next: Option<(KeyDigest, CertificateDer<'static>)>,
    /// What it signed is still good; its private half is gone.
    pub former: Option<(KeyDigest, CertificateDer<'static>)>,
}

impl Keys {
    /// Reads them, and makes the first where there was none.
    ///
    /// # Errors
    /// [`Kind::Identity`] for damaged ones: none is made in their place, for no node would know it.
    pub async fn open(db: &mut Transaction<'_, Sqlite>, now: Moment) -> Result<Self> {
        if !Self::are_there(db).await? {
            keep(db, "CURRENT", now).await?;
        }
        Self::read(db).await
    }

    /// Whether there are any, as on each server.
    ///
    /// # Errors
    /// The database fails.
    pub async fn are_there(db: &mut Transaction<'_, Sqlite>) -> Result<bool> {
        Ok(Self::count(db).await? > 0)
    }

    /// How many there are.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count(db: &mut Transaction<'_, Sqlite>) -> Result<i64> {
        let row = sqlx::query("SELECT COUNT(*) AS many FROM authorities")
            .fetch_one(&mut **db)
            .await?;
        Ok(row.get("many"))
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`Kind::Identity`].
    pub async fn read(db: &mut Transaction<'_, Sqlite>) -> Result<Self> {
        let damaged = |reason: &str| Error::new(Kind::Identity, PLACE, reason);
        let rows = sqlx::query("SELECT key, state, private, certificate, created FROM authorities")
            .fetch_all(&mut **db)
            .await?;
        let (mut current, mut next, mut former) = (None, None, None);
        for row in rows {
            let digest: KeyDigest = row
                .get::<String, _>("key")
                .try_into()
                .map_err(|_| damaged("a digest of a key is none"))?;
            let certificate: String = row.get("certificate");
            match row.get::<String, _>("state").as_str() {
                "CURRENT" => {
                    let key = row.get::<Option<String>, _>("private").unwrap_or_default();
                    let authority = Authority::read(&Pem { key, certificate })?;
                    if authority.digest() != digest {
                        return Err(damaged("the key is another than the one that nodes know"));
                    }
                    current = Some((authority, Moment(row.get("created"))));
                }
                "NEXT" => next = Some((digest, read_certificate(&certificate)?)),
                "FORMER" => former = Some((digest, read_certificate(&certificate)?)),
                _ => return Err(damaged("a key is neither current nor next nor former")),
            }
        }
        let (current, created) = current.ok_or_else(|| damaged("there is no key in use"))?;
        Ok(Self {
            current: Arc::new(current),
            created,
            next,
            former,
        })
    }

    /// Those by which nodes are to know their server.
    pub fn pinned(&self) -> Vec<KeyDigest> {
        [Some(self.current.digest()), self.next_key()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The key that is to follow.
    pub fn next_key(&self) -> Option<KeyDigest> {
        self.next.as_ref().map(|(digest, _)| *digest)
    }

    /// The certificates by which nodes know each other: of the key in use, and of those before and after it.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let others = [&self.next, &self.former].into_iter().flatten();
        let others = others.map(|(_, certificate)| certificate.clone());
        [self.current.certificate().clone()]
            .into_iter()
            .chain(others)
            .collect()
    }

    /// What comes next, while one follows the other.
    pub fn next_step(&self) -> Option<Forced> {
        match (&self.next, &self.former) {
            (Some(_), _) => Some(Forced::Switch),
            (None, Some(_)) => Some(Forced::Retire),
            (None, None) => None,
        }
    }

    /// Whether one follows the other right now.
    pub fn is_rotating(&self) -> bool {
        self.next.is_some() || self.former.is_some()
    }
}

/// Makes a key, and keeps it.
pub(super) async fn keep(db: &mut Transaction<'_, Sqlite>, state: &str, now: Moment) -> Result<()> {
    let pem = Authority::make(now)?;
    let digest = Authority::read(&pem)?.digest();
    sqlx::query(
        "INSERT INTO authorities (key, state, private, certificate, created) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(digest.to_string())
    .bind(state)
    .bind(pem.key)
    .bind(pem.certificate)
    .bind(now.0)
    .execute(&mut **db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    const NOW: Moment = Moment(1_764_000_000_000);

    #[tokio::test]
    async fn an_authority_is_made_once_and_damage_never_replaced() {
        let database = Database::in_memory().await.unwrap();
        let mut db = database.begin().await.unwrap();
        let first = Keys::open(&mut db, NOW).await.unwrap();
        let second = Keys::open(&mut db, NOW).await.unwrap();
        assert_eq!(first.current.digest(), second.current.digest());
        for damage in [
            "UPDATE authorities SET private = NULL",
            "UPDATE authorities SET state = 'FORMER'",
            "UPDATE authorities SET certificate = ''",
        ] {
            let mut db = sqlx::Acquire::begin(&mut *db).await.unwrap();
            sqlx::query(damage).execute(&mut *db).await.unwrap();
            let error = Keys::open(&mut db, NOW).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Identity, "{damage}");
        }
    }
}
