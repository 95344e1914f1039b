//! Users, as the database has them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Moment, Principal, Result, Role};
use crate::error::{Error, Kind};

/// A name that people type: 1 to 64 letters, digits and `.-_@`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        match begins && text.len() <= 64 && text.chars().all(fine) {
            true => Ok(Self(text)),
            false => Err(
                "a name has 1 to 64 letters, digits and .-_@, and begins with a letter or a digit".to_owned(),
            ),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody, or a program, that may log in or have tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The tenant it belongs to; the provider's users have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What it logs in with: its name, after its tenant's and a slash where it has one.
    pub login: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// How often it has changed; its ETag.
    pub revision: i64,
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its name.
    pub name: Name,
    /// Its role.
    pub role: Role,
    /// Its tenant.
    pub tenant: Option<String>,
    /// The hash of its password; a robot has none.
    pub hash: Option<String>,
}

/// What is changed of a user.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// Another role.
    pub role: Option<Role>,
    /// The hash of another password.
    pub hash: Option<String>,
}

const COLUMNS: &str = "id, name, login, role, tenant, created, revision";

async fn tenant_name(db: &mut Transaction<'_, Sqlite>, id: &str) -> Result<String> {
    let row = sqlx::query("SELECT name FROM tenants WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut **db)
        .await?;
    let unknown = || Error::new(Kind::Unknown, "users", "there is no such tenant");
    Ok(row.ok_or_else(unknown)?.get("name"))
}

/// Whether a text can be what somebody logs in with.
pub fn is_login(text: &str) -> bool {
    let is_name = |part: &str| Name::try_from(part.to_owned()).is_ok();
    match text.split_once('/') {
        Some((tenant, name)) => is_name(tenant) && is_name(name),
        None => is_name(text),
    }
}

impl User {
    fn read(row: &SqliteRow) -> Result<Self> {
        let role: String = row.get("role");
        Ok(Self {
            id: row.get("id"),
            name: row.get("name"),
            login: row.get("login"),
            role: role
                .parse()
                .map_err(|reason: String| Error::new(Kind::StateCorrupt, "users", reason))?,
            tenant: row.get("tenant"),
            created: Moment(row.get("created")),
            revision: row.get("revision"),
        })
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`Kind::Taken`] for a name that is in use, [`Kind::Unknown`] for a tenant that is not there.
    pub async fn create(db: &mut Transaction<'_, Sqlite>, new: NewUser, now: Moment) -> Result<Self> {
        let login = match &new.tenant {
            Some(tenant) => format!("{}/{}", tenant_name(db, tenant).await?, new.name),
            None => new.name.to_string(),
        };
        let user = Self {
            id: Uuid::new_v4().to_string(),
            name: new.name.to_string(),
            login,
            role: new.role,
            tenant: new.tenant,
            created: now,
            revision: 1,
        };
        let statement = "INSERT INTO users (id, name, login, tenant, role, password, created, revision) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        sqlx::query(statement)
            .bind(&user.id)
            .bind(&user.name)
            .bind(&user.login)
            .bind(&user.tenant)
            .bind(user.role.as_str())
            .bind(new.hash.unwrap_or_default())
            .bind(user.created.0)
            .bind(user.revision)
            .execute(&mut **db)
            .await?;
        Ok(user)
    }

    /// Those that a principal sees, by login, after `after`.
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
            "SELECT {COLUMNS} FROM users WHERE login > $1 AND ($2 IS NULL OR tenant = $2) ORDER BY login LIMIT $3"
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
        let statement = format!("SELECT {COLUMNS} FROM users WHERE id = $1 AND ($2 IS NULL OR tenant = $2)");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .bind(&seen_by.tenant)
            .fetch_optional(&mut **db)
            .await?;
        row.as_ref().map(Self::read).transpose()
    }

    /// The one who logs in so, and the hash of its password.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_login(db: &mut Transaction<'_, Sqlite>, login: &str) -> Result<Option<(Self, String)>> {
        let statement = format!("SELECT {COLUMNS}, password FROM users WHERE login = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(login)
            .fetch_optional(&mut **db)
            .await?;
        let user = row
            .as_ref()
            .map(|row| Ok((Self::read(row)?, row.get("password"))));
        user.transpose()
    }

    /// Changes it, if it is still as it was read. Its sessions end where its password or role changes.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub async fn change(&self, db: &mut Transaction<'_, Sqlite>, change: UserChange) -> Result<Self> {
        let role = change.role.unwrap_or(self.role);
        let statement = "UPDATE users SET role = $1, password = COALESCE($2, password), revision = revision + 1 \
                         WHERE id = $3 AND revision = $4";
        let changed = sqlx::query(statement)
            .bind(role.as_str())
            .bind(&change.hash)
            .bind(&self.id)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(changed.rows_affected())?;
        sqlx::query("DELETE FROM tokens WHERE owner = $1 AND name IS NULL")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Ok(Self {
            role,
            revision: self.revision + 1,
            ..self.clone()
        })
    }

    /// Removes it with its sessions and tokens, if it is still as it was read.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub async fn delete(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM users WHERE id = $1 AND revision = $2")
            .bind(&self.id)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(deleted.rows_affected())
    }

    fn was_changed(&self, rows: u64) -> Result<()> {
        match rows {
            0 => Err(Error::new(
                Kind::Changed,
                format!("user {}", self.name),
                "has changed since it was read",
            )),
            _ => Ok(()),
        }
    }

    /// How many administrators of the provider there are: the last one stays.
    ///
    /// # Errors
    /// The database fails.
    pub async fn administrators(db: &mut Transaction<'_, Sqlite>) -> Result<i64> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM users WHERE role = $1")
            .bind(Role::ProviderAdmin.as_str())
            .fetch_one(&mut **db)
            .await?;
        Ok(row.get("count"))
    }
}
