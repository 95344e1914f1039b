//! How a node comes to its server: with a code that is good once, and a request that waits for a person.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Node, State};
use crate::access::{Name, Secret};
use crate::authority::{Authority, KeyDigest, key_of_request};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// How long a node may ask for a certificate before somebody decides: after that it has to come again.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Requests that wait for a decision; more are not taken.
const WAITING: i64 = 1000;

/// What a node asks with.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The secret of its enrolment code, base64.
    #[schema(max_length = 64)]
    pub code: String,
    /// SHA-256 of the secret by which it will ask how its request stands, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub poll: String,
    /// Its name.
    pub name: Name,
    /// The name of its cloud.
    pub cloud: Name,
    /// A request for a certificate (PKCS#10) in DER, base64: of it the key counts.
    #[schema(max_length = 8192)]
    pub request: String,
    /// The program's version.
    #[schema(max_length = 64)]
    pub version: String,
}

/// How a node's request stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// What was decided.
    pub state: State,
    /// The certificate in DER, base64, once it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// Notes a code that is given out.
///
/// # Errors
/// The database fails.
pub async fn give_code(
    db: &mut Transaction<'_, Sqlite>,
    secret: &[u8],
    expires: Moment,
    now: Moment,
) -> Result<()> {
    sqlx::query("DELETE FROM codes WHERE expires <= $1")
        .bind(now.0)
        .execute(&mut **db)
        .await?;
    sqlx::query("INSERT INTO codes (digest, created, expires) VALUES ($1, $2, $3)")
        .bind(digest(secret))
        .bind(now.0)
        .bind(expires.0)
        .execute(&mut **db)
        .await?;
    Ok(())
}

/// Takes a code back, once; whether it was good.
async fn take_code(db: &mut Transaction<'_, Sqlite>, code: &str, now: Moment) -> Result<bool> {
    let taken = sqlx::query("DELETE FROM codes WHERE digest = $1 AND expires > $2")
        .bind(code)
        .bind(now.0)
        .execute(&mut **db)
        .await?;
    Ok(taken.rows_affected() == 1)
}

fn digest(secret: &[u8]) -> String {
    KeyDigest::of(secret).to_string()
}

impl Application {
    /// Takes it, with a code that is used up by it. Gives the node's id, and whether it is new: a node whose answer was lost
    /// asks again with the same code, key and secret. Nothing where the code is not good.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no request; [`Kind::Ceiling`] while too many wait.
    pub async fn take(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        now: Moment,
    ) -> Result<Option<(String, bool)>> {
        let malformed = |what: &str| Error::new(Kind::Malformed, "the request", what);
        let bytes = |name: &str, text: &str| {
            let bytes = BASE64_STANDARD.decode(text);
            bytes.map_err(|error| malformed(&format!("{name} is not base64")).because(error))
        };
        let (code, request) = (
            digest(&bytes("code", &self.code)?),
            bytes("request", &self.request)?,
        );
        if self.version.chars().count() > 64 || self.poll.len() != 64 {
            return Err(malformed("version has more than 64 characters, or poll not 64"));
        }
        let key = key_of_request(&request)?.to_string();
        let known = sqlx::query("SELECT id FROM nodes WHERE code = $1 AND key = $2 AND poll = $3")
            .bind(&code)
            .bind(&key)
            .bind(&self.poll)
            .fetch_optional(&mut **db)
            .await?;
        if let Some(known) = known {
            return Ok(Some((known.get("id"), false)));
        }
        if !take_code(db, &code, now).await? {
            return Ok(None);
        }
        make_room(db, now).await?;
        let id = Uuid::new_v4().to_string();
        let statement = "INSERT INTO nodes (id, name, cloud, state, code, key, request, poll, requested, version, counter, nonce, revision) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', 1)";
        sqlx::query(statement)
            .bind(&id)
            .bind(self.name.as_str())
            .bind(self.cloud.as_str())
            .bind(State::Pending.as_str())
            .bind(&code)
            .bind(&key)
            .bind(&self.request)
            .bind(&self.poll)
            .bind(now.0)
            .bind(&self.version)
            .execute(&mut **db)
            .await?;
        Ok(Some((id, true)))
    }
}

/// Forgets requests that nobody decided about in time.
async fn make_room(db: &mut Transaction<'_, Sqlite>, now: Moment) -> Result<()> {
    let patience = i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX);
    sqlx::query("DELETE FROM nodes WHERE state = $1 AND requested < $2")
        .bind(State::Pending.as_str())
        .bind(now.0.saturating_sub(patience))
        .execute(&mut **db)
        .await?;
    let waiting = sqlx::query("SELECT COUNT(*) AS count FROM nodes WHERE state = $1")
        .bind(State::Pending.as_str())
        .fetch_one(&mut **db)
        .await?;
    match waiting.get::<i64, _>("count") < WAITING {
        true => Ok(()),
        false => Err(Error::new(Kind::Ceiling, "nodes", "too many wait for a decision")),
    }
}

impl Node {
    /// How the request of a node stands that shows its secret.
    ///
    /// # Errors
    /// The database fails.
    pub async fn standing(
        db: &mut Transaction<'_, Sqlite>,
        id: &str,
        secret: &Secret,
    ) -> Result<Option<Standing>> {
        let row = sqlx::query("SELECT state, certificate FROM nodes WHERE id = $1 AND poll = $2")
            .bind(id)
            .bind(secret.digest())
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let state: String = row.get("state");
        Ok(Some(Standing {
            state: state.parse()?,
            certificate: row.get("certificate"),
        }))
    }

    /// Takes it in: gives it a certificate, and its cloud a place.
    ///
    /// # Errors
    /// [`Kind::Changed`] unless it waits for that, as it was read.
    pub async fn approve(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        authority: &Authority,
        now: Moment,
    ) -> Result<()> {
        let row = sqlx::query("SELECT request FROM nodes WHERE id = $1")
            .bind(&self.id)
            .fetch_one(&mut **db)
            .await?;
        let certificate = self
            .certify(db, authority, &row.get::<String, _>("request"), now)
            .await?;
        let statement = "UPDATE nodes SET state = $1, certificate = $2, revision = revision + 1 \
                         WHERE id = $3 AND state = $4 AND revision = $5";
        let changed = sqlx::query(statement)
            .bind(State::Active.as_str())
            .bind(certificate)
            .bind(&self.id)
            .bind(State::Pending.as_str())
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(changed.rows_affected())?;
        crate::cloud::Cloud::ensure(db, &self.cloud, now).await
    }

    /// Lets it take the place of another one: what belongs to that is its from now on, and the other is sent away.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub async fn replace(&self, db: &mut Transaction<'_, Sqlite>, other: &Self) -> Result<()> {
        other.revoke(db).await?;
        crate::configuration::inherit(db, &other.id, &self.id).await
    }

    /// A certificate for a request (base64), in DER, base64; the node is let in by it from now on.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no request.
    pub(super) async fn certify(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        authority: &Authority,
        request: &str,
        now: Moment,
    ) -> Result<String> {
        let broken = |what: &str| Error::new(Kind::Malformed, "the request", format!("{what} is damaged"));
        let request = BASE64_STANDARD
            .decode(request)
            .map_err(|error| broken("it").because(error))?;
        let id = self
            .id
            .parse()
            .map_err(|error| broken("the node's id").because(error))?;
        let (certificate, says) = authority.certify(&request, id, now)?;
        super::admission::know(db, &says, Some(authority.digest())).await?;
        Ok(BASE64_STANDARD.encode(&certificate))
    }
}
