//! Sessions of people and tokens of programs: a secret that is shown once, and kept as its digest.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Moment, Principal, Result, Rights};
use crate::digest::{hex, sha256};
use crate::error::{Error, Kind};

/// What every secret begins with, so that programs that look for leaked ones find it.
const PREFIX: &str = "vcc_";
/// A session ends so long after its last request.
const IDLE: Duration = Duration::from_secs(3600);
/// And so long after its beginning.
const SESSION: Duration = Duration::from_secs(12 * 3600);
/// The last use is written down so often.
const NOTED: Duration = Duration::from_secs(60);
/// Sessions of one user; the oldest make room.
const SESSIONS: i64 = 32;

/// A secret that opens the connector to whoever has it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A new one, of 256 random bits.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new() -> Result<Self> {
        let mut bytes = [0; 32];
        crate::entropy::fill(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// One that somebody shows.
    pub fn shown(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// To be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> String {
        hex(&sha256(self.0.as_bytes()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A token of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The user it acts for.
    pub owner: String,
    /// What it may do at most, beside what its owner may.
    pub scope: Vec<super::Right>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Moment,
    /// When it was last used, to the minute.
    #[schema(value_type = String, format = DateTime)]
    pub used: Moment,
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for; a session has no name.
    pub name: Option<String>,
    /// The user it acts for.
    pub owner: String,
    /// What it may do.
    pub scope: Rights,
    /// When it ends.
    pub expires: Moment,
}

impl NewToken {
    /// A session of a user, from now.
    pub fn session(owner: &str, now: Moment) -> Self {
        Self {
            name: None,
            owner: owner.to_owned(),
            scope: Rights::all(),
            expires: now.after(SESSION),
        }
    }

    /// Makes it; gives its id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn create(
        self,
        db: &mut Transaction<'_, Sqlite>,
        secret: &Secret,
        now: Moment,
    ) -> Result<String> {
        let id = Uuid::new_v4().to_string();
        let statement = "INSERT INTO tokens (id, digest, owner, name, scope, created, expires, used) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $6)";
        sqlx::query(statement)
            .bind(&id)
            .bind(secret.digest())
            .bind(&self.owner)
            .bind(&self.name)
            .bind(self.scope.to_string())
            .bind(now.0)
            .bind(self.expires.0)
            .execute(&mut **db)
            .await?;
        if self.name.is_none() {
            let statement = "DELETE FROM tokens WHERE owner = $1 AND name IS NULL AND id NOT IN \
                             (SELECT id FROM tokens WHERE owner = $1 AND name IS NULL ORDER BY created DESC, id LIMIT $2)";
            sqlx::query(statement)
                .bind(&self.owner)
                .bind(SESSIONS)
                .execute(&mut **db)
                .await?;
        }
        sqlx::query("DELETE FROM tokens WHERE expires <= $1")
            .bind(now.0)
            .execute(&mut **db)
            .await?;
        Ok(id)
    }
}

const COLUMNS: &str =
    "tokens.id, tokens.name, tokens.owner, tokens.scope, tokens.created, tokens.expires, tokens.used";

impl Token {
    fn read(row: &SqliteRow) -> Result<Self> {
        Ok(Self {
            id: row.get("id"),
            name: row.get("name"),
            owner: row.get("owner"),
            scope: rights(row)?.each().collect(),
            created: Moment(row.get("created")),
            expires: Moment(row.get("expires")),
            used: Moment(row.get("used")),
        })
    }

    /// Who shows this secret, if it is good now. What is no use of a session doesn't keep it from its end.
    ///
    /// # Errors
    /// The database fails.
    pub async fn principal(
        db: &mut Transaction<'_, Sqlite>,
        secret: &Secret,
        is_use: bool,
        now: Moment,
    ) -> Result<Option<Principal>> {
        let statement = "SELECT tokens.id AS token, tokens.name AS purpose, scope, expires, used, users.id, users.login, \
                         role, tenant FROM tokens JOIN users ON users.id = tokens.owner WHERE digest = $1";
        let row = sqlx::query(statement)
            .bind(secret.digest())
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (purpose, used): (Option<String>, _) = (row.get("purpose"), Moment(row.get("used")));
        let is_session = purpose.is_none();
        let ended = now >= Moment(row.get("expires")) || (is_session && now.since(used) >= IDLE);
        if ended {
            return Ok(None);
        }
        let role: String = row.get("role");
        let role: super::Role = role
            .parse()
            .map_err(|reason: String| Error::new(Kind::StateCorrupt, "users", reason))?;
        let token: String = row.get("token");
        if is_use && now.since(used) >= NOTED {
            sqlx::query("UPDATE tokens SET used = $1 WHERE id = $2")
                .bind(now.0)
                .bind(&token)
                .execute(&mut **db)
                .await?;
        }
        let tenant: Option<String> = row.get("tenant");
        // Nodes and tenants are the provider's, whatever a role or a scope says.
        let most = match &tenant {
            Some(_) => Rights::of_tenants(),
            None => Rights::all(),
        };
        Ok(Some(Principal {
            id: row.get("id"),
            name: row.get("login"),
            role,
            tenant,
            rights: role.rights().and(rights(&row)?).and(most),
            token,
            is_session,
        }))
    }

    /// Whether a principal may act as it was found to: its session or token is there, and its user is as it was.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_good(db: &mut Transaction<'_, Sqlite>, principal: &Principal) -> Result<bool> {
        let statement =
            "SELECT 1 FROM tokens JOIN users ON users.id = tokens.owner WHERE tokens.id = $1 AND role = $2";
        let row = sqlx::query(statement)
            .bind(&principal.token)
            .bind(principal.role.as_str())
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.is_some())
    }

    /// The same, and it has not ended meanwhile.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_alive(
        db: &mut Transaction<'_, Sqlite>,
        principal: &Principal,
        now: Moment,
    ) -> Result<bool> {
        let statement = "SELECT expires, used, name FROM tokens WHERE id = $1";
        let row = sqlx::query(statement)
            .bind(&principal.token)
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let is_session = row.get::<Option<String>, _>("name").is_none();
        let idle = is_session && now.since(Moment(row.get("used"))) >= IDLE;
        Ok(now < Moment(row.get("expires")) && !idle && Self::is_good(db, principal).await?)
    }

    /// Those of users that a principal sees, by id, after `after`; `own` for its own alone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        own: bool,
        after: &str,
        most: u32,
    ) -> Result<Vec<Self>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM tokens JOIN users ON users.id = tokens.owner WHERE tokens.name IS NOT NULL \
             AND tokens.id > $1 AND ($2 IS NULL OR tenant = $2) AND ($3 IS NULL OR owner = $3) ORDER BY tokens.id LIMIT $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(after)
            .bind(&seen_by.tenant)
            .bind(own.then_some(&seen_by.id))
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(Self::read).collect()
    }

    /// The tenant of a token's owner, if a principal sees the token; `own` for its own alone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tenant_of(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        own: bool,
        id: &str,
    ) -> Result<Option<Option<String>>> {
        let statement = "SELECT tenant FROM tokens JOIN users ON users.id = tokens.owner WHERE tokens.id = $1 \
                         AND tokens.name IS NOT NULL AND ($2 IS NULL OR tenant = $2) AND ($3 IS NULL OR owner = $3)";
        let row = sqlx::query(statement)
            .bind(id)
            .bind(&seen_by.tenant)
            .bind(own.then_some(&seen_by.id))
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.map(|row| row.get("tenant")))
    }

    /// Ends a session or a token at once; whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revoke(db: &mut Transaction<'_, Sqlite>, id: &str) -> Result<bool> {
        let deleted = sqlx::query("DELETE FROM tokens WHERE id = $1")
            .bind(id)
            .execute(&mut **db)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }
}

fn rights(row: &SqliteRow) -> Result<Rights> {
    let scope: String = row.get("scope");
    scope
        .parse()
        .map_err(|reason: String| Error::new(Kind::StateCorrupt, "tokens", reason))
}
