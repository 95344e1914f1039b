//! Files of a version, in their order.

use ovf::package::MemberName;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use uuid::Uuid;

use crate::digest::Digest;
use crate::error::Result;

/// The most files of a version.
pub(super) const MOST: usize = 256;
/// The most bytes of a file: 64 TiB.
pub(super) const LARGEST: i64 = 64 << 40;

/// A file that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// Its name in the package, without a folder.
    pub name: String,
    /// Its length.
    #[schema(minimum = 0)]
    pub bytes: i64,
    /// Its SHA-256 digest, where whoever brings it knows that: it is compared.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub digest: Option<String>,
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CatalogFile)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: i64,
    /// Its SHA-256 digest, in hexadecimal, once all of it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How much of it is there, while it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// What it is called while it comes.
    #[serde(skip)]
    pub id: Uuid,
    /// What it was said to be.
    #[serde(skip)]
    pub expected: Option<Digest>,
    /// Its place among the others.
    #[serde(skip)]
    pub position: i64,
}

impl NewFile {
    /// What is wrong with files that are to make a version; nothing if they may.
    pub fn fault(files: &[Self]) -> Option<String> {
        if !(1..=MOST).contains(&files.len()) {
            return Some(format!("a version has 1 to {MOST} files"));
        }
        for (index, file) in files.iter().enumerate() {
            let name = match MemberName::parse(&file.name) {
                Ok(name) => name,
                Err(error) => return Some(error.to_string()),
            };
            if name.as_str().contains('/') {
                return Some(format!("the file '{}' has a folder in its name", file.name));
            }
            if !(0..=LARGEST).contains(&file.bytes) {
                return Some(format!("the file '{}' has more than {LARGEST} bytes", file.name));
            }
            let digest = file.digest.as_deref().map(str::parse::<Digest>);
            if let Some(Err(shape)) = digest {
                return Some(format!("the digest of '{}' is none: {shape}", file.name));
            }
            // As file systems that don't tell capitals from small letters would see them.
            let is_same = |other: &Self| other.name.to_lowercase() == file.name.to_lowercase();
            if files.iter().take(index).any(is_same) {
                return Some(format!("two files are called '{}'", file.name));
            }
        }
        None
    }
}

impl File {
    fn read(row: &SqliteRow) -> Self {
        let (id, expected): (String, Option<String>) = (row.get("id"), row.get("expected"));
        Self {
            id: id.parse().unwrap_or_default(),
            name: row.get("name"),
            bytes: row.get("bytes"),
            digest: row.get("digest"),
            received: None,
            expected: expected.and_then(|text| text.parse().ok()),
            position: row.get("position"),
        }
    }

    /// Writes down those that are to come.
    pub(super) async fn create(
        db: &mut Transaction<'_, Sqlite>,
        version: &str,
        files: Vec<NewFile>,
    ) -> Result<Vec<Self>> {
        let mut made = Vec::new();
        for (position, new) in (0..).zip(files) {
            let id = Uuid::new_v4();
            let statement = "INSERT INTO files (id, version, position, name, bytes, expected) VALUES ($1, $2, $3, $4, $5, $6)";
            sqlx::query(statement)
                .bind(id.to_string())
                .bind(version)
                .bind(position)
                .bind(&new.name)
                .bind(new.bytes)
                .bind(&new.digest)
                .execute(&mut **db)
                .await?;
            made.push(Self {
                id,
                name: new.name,
                bytes: new.bytes,
                digest: None,
                received: None,
                expected: new.digest.and_then(|text| text.parse().ok()),
                position,
            });
        }
        Ok(made)
    }

    /// Those of a version.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(db: &mut Transaction<'_, Sqlite>, version: &str) -> Result<Vec<Self>> {
        let statement = "SELECT id, position, name, bytes, expected, digest FROM files WHERE version = $1 ORDER BY position";
        let rows = sqlx::query(statement).bind(version).fetch_all(&mut **db).await?;
        Ok(rows.iter().map(Self::read).collect())
    }

    /// Writes down what one turned out to be.
    ///
    /// # Errors
    /// The database fails.
    pub async fn arrived(&self, db: &mut Transaction<'_, Sqlite>, digest: &Digest) -> Result<()> {
        sqlx::query("UPDATE files SET digest = $1 WHERE id = $2")
            .bind(digest.to_string())
            .bind(self.id.to_string())
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// Whether a file in quarantine is one of a version that is to be published.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_expected(db: &mut Transaction<'_, Sqlite>, id: Uuid) -> Result<bool> {
        let statement = "SELECT 1 FROM files JOIN versions ON versions.id = files.version \
                         WHERE files.id = $1 AND versions.state IN ('RECEIVING', 'VERIFYING')";
        let row = sqlx::query(statement)
            .bind(id.to_string())
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.is_some())
    }

    /// Files of published versions that have so many bytes or more: id, tenant and digest of each, by id, after `after`.
    pub(super) async fn published(
        db: &mut Transaction<'_, Sqlite>,
        least: u64,
        after: &str,
        most: u32,
    ) -> Result<Vec<(String, Option<String>, Option<Digest>)>> {
        let statement = "SELECT files.id, files.digest, catalogs.tenant \
                         FROM files JOIN versions ON versions.id = files.version \
                         JOIN items ON items.id = versions.item JOIN catalogs ON catalogs.id = items.catalog \
                         WHERE versions.state = 'PUBLISHED' AND files.bytes >= $1 AND files.id > $2 \
                         ORDER BY files.id LIMIT $3";
        let rows = sqlx::query(statement)
            .bind(i64::try_from(least).unwrap_or(i64::MAX))
            .bind(after)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        let read = |row: &SqliteRow| {
            let digest: Option<String> = row.get("digest");
            let digest = digest.and_then(|text| text.parse().ok());
            (row.get("id"), row.get("tenant"), digest)
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Whether a file of the tenant's needs the blob of this digest.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_kept(
        db: &mut Transaction<'_, Sqlite>,
        tenant: Option<&str>,
        digest: &Digest,
    ) -> Result<bool> {
        let statement = "SELECT 1 FROM files JOIN versions ON versions.id = files.version \
                         JOIN items ON items.id = versions.item JOIN catalogs ON catalogs.id = items.catalog \
                         WHERE files.digest = $1 AND COALESCE(catalogs.tenant, '') = $2 LIMIT 1";
        let row = sqlx::query(statement)
            .bind(digest.to_string())
            .bind(tenant.unwrap_or_default())
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: i64) -> NewFile {
        NewFile {
            name: name.to_owned(),
            bytes,
            digest: None,
        }
    }

    #[test]
    fn names_that_lead_elsewhere_or_are_one_are_refused() {
        assert_eq!(NewFile::fault(&[file("a.ovf", 1), file("a.vmdk", 0)]), None);
        for bad in [
            vec![],
            vec![file("../a", 1)],
            vec![file("/a", 1)],
            vec![file("a/b", 1)],
            vec![file("", 1)],
            vec![file("a\n", 1)],
            vec![file("a", -1)],
            vec![file("a", LARGEST + 1)],
            vec![file("a", 1), file("A", 1)],
            vec![file("a", 1); MOST + 1],
        ] {
            assert!(NewFile::fault(&bad).is_some(), "{bad:?}");
        }
    }
}
