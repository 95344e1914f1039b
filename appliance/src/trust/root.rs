//! Certificates that are believed: authorities, or publishers by their own.

use ovf::certificate::Certificate;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{Name, Principal};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// The most that one tenant names.
const MOST: usize = 64;

/// A certificate that a tenant believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TrustRoot)]
pub struct Root {
    /// Its id.
    pub id: String,
    /// Who believes it; for the provider's own there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What it is called here.
    pub name: String,
    /// Whom it names.
    pub subject: String,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
    /// The certificate, PEM.
    pub certificate: String,
    /// When it was named.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
}

const COLUMNS: &str = "id, tenant, name, certificate, fingerprint, created";

impl Root {
    fn read(row: &SqliteRow) -> Result<Self> {
        let pem: String = row.get("certificate");
        let certificate = parse(&pem)?;
        Ok(Self {
            id: row.get("id"),
            tenant: row.get("tenant"),
            name: row.get("name"),
            subject: certificate.subject().to_owned(),
            not_after: certificate.not_after(),
            fingerprint: row.get("fingerprint"),
            certificate: pem,
            created: Moment(row.get("created")),
        })
    }

    /// Names one.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is not one certificate in PEM, [`Kind::Taken`] for one that is named already,
    /// [`Kind::Ceiling`] where there are too many.
    pub async fn create(
        db: &mut Transaction<'_, Sqlite>,
        tenant: Option<String>,
        name: Name,
        pem: &str,
        now: Moment,
    ) -> Result<Self> {
        let certificate = parse(pem)?;
        if Self::of(db, tenant.as_deref()).await?.len() >= MOST {
            let reason = format!("names {MOST} certificates already");
            return Err(Error::new(Kind::Ceiling, "the tenant", reason));
        }
        let root = Self {
            id: Uuid::new_v4().to_string(),
            tenant,
            name: name.to_string(),
            subject: certificate.subject().to_owned(),
            not_after: certificate.not_after(),
            fingerprint: certificate.fingerprint().to_string(),
            // As we write it: what else stood in the text is nobody's statement.
            certificate: certificate.to_pem(),
            created: now,
        };
        let statement = format!("INSERT INTO trust_roots ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(&root.id)
            .bind(&root.tenant)
            .bind(&root.name)
            .bind(&root.certificate)
            .bind(&root.fingerprint)
            .bind(root.created.0)
            .execute(&mut **db)
            .await?;
        Ok(root)
    }

    /// Those that a tenant believes; the provider's own where there is none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(db: &mut Transaction<'_, Sqlite>, tenant: Option<&str>) -> Result<Vec<Self>> {
        let statement =
            format!("SELECT {COLUMNS} FROM trust_roots WHERE COALESCE(tenant, '') = $1 ORDER BY id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(tenant.unwrap_or_default())
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(Self::read).collect()
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
            "SELECT {COLUMNS} FROM trust_roots WHERE id > $1 AND ($2 IS NULL OR tenant = $2) ORDER BY id LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(after)
            .bind(&seen_by.tenant)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(Self::read).collect()
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
            format!("SELECT {COLUMNS} FROM trust_roots WHERE id = $1 AND ($2 IS NULL OR tenant = $2)");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .bind(&seen_by.tenant)
            .fetch_optional(&mut **db)
            .await?;
        row.as_ref().map(Self::read).transpose()
    }

    /// Believes it no more. What was published under it stays.
    ///
    /// # Errors
    /// The database fails.
    pub async fn delete(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        sqlx::query("DELETE FROM trust_roots WHERE id = $1")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// The certificate itself.
    ///
    /// # Errors
    /// [`Kind::Malformed`].
    pub fn certificate(&self) -> Result<Certificate> {
        parse(&self.certificate)
    }
}

fn parse(pem: &str) -> Result<Certificate> {
    let wrong = || {
        Error::new(
            Kind::Malformed,
            "the certificate",
            "is not one certificate in PEM",
        )
    };
    let mut found = Certificate::all_from_pem(pem.as_bytes()).map_err(|error| wrong().because(error))?;
    match (found.pop(), found.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => Err(wrong()),
    }
}
