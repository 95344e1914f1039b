//! `Idempotency-Key`: a request that comes again, for its answer was lost, is answered as before and does nothing twice.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{Row as _, Sqlite, Transaction};

use super::request::{self, LoggedIn};
use crate::access::Principal;
use crate::clock::Moment;
use crate::digest::{hex, sha256};
use crate::error::Error;
use crate::http::problem::Problem;
use crate::service::Context;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key.
const LONGEST: usize = 64;
/// How long an answer is kept, in milliseconds.
const KEPT: i64 = 24 * 3600 * 1000;
const PASSWORD: &str = "password";
/// What is kept in place of an answer that holds a secret.
const SECRET: i64 = 0;

/// Somebody's wish that something be made, once.
pub(super) struct Wish<T> {
    /// Who.
    pub(super) user: LoggedIn,
    /// What.
    pub(super) body: T,
    /// By what it is known again.
    pub(super) once: Once,
}

/// By what a request is known again.
pub(super) struct Once {
    key: Option<String>,
    request: String,
}

impl<T: DeserializeOwned> FromRequest<Arc<Context>> for Wish<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Arc<Context>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let user = LoggedIn::from_request_parts(&mut parts, context).await?;
        let key = parts.headers.get(KEY).map(|key| {
            let key = key.to_str().ok().filter(|key| (1..=LONGEST).contains(&key.len()));
            key.map(str::to_owned)
                .ok_or(Problem::INVALID.about("Idempotency-Key has 1 to 64 visible characters"))
        });
        let key = key.transpose()?;
        let bytes = Bytes::from_request(Request::new(body), context)
            .await
            .map_err(|_| Problem::TOO_LARGE)?;
        let mut text = format!("{} {}\n", parts.method, parts.uri.path()).into_bytes();
        text.extend_from_slice(&without_password(&bytes));
        let once = Once {
            key,
            request: hex(&sha256(&text)),
        };
        let again = Request::from_parts(parts, Body::from(bytes));
        let request::Body(body) = request::Body::from_request(again, context).await?;
        Ok(Self { user, body, once })
    }
}

/// The body without the member that nobody may learn from its digest by trying; what is no object is left as it is.
fn without_password(body: &[u8]) -> Vec<u8> {
    let read = serde_json::from_slice::<serde_json::Map<String, Value>>(body);
    let Some(mut members) = read.ok().filter(|members| members.contains_key(PASSWORD)) else {
        return body.to_vec();
    };
    members.shift_remove(PASSWORD);
    Value::from(members).to_string().into_bytes()
}

impl Once {
    /// The answer that was given before, if there was one.
    pub(super) async fn answered(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        user: &Principal,
        now: Moment,
    ) -> Result<Option<Response>, Problem> {
        let Some(key) = &self.key else { return Ok(None) };
        let statement =
            "SELECT request, status, body FROM answers WHERE owner = $1 AND key = $2 AND created > $3";
        let row = sqlx::query(statement)
            .bind(&user.id)
            .bind(key)
            .bind(now.0.saturating_sub(KEPT))
            .fetch_optional(&mut **db)
            .await
            .map_err(Error::from)?;
        let Some(row) = row else { return Ok(None) };
        let (request, status, body): (String, i64, String) =
            (row.get("request"), row.get("status"), row.get("body"));
        if request != self.request || status == SECRET {
            return Err(Problem::KEY_REUSED);
        }
        let status = u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        let fields = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (REPLAYED, HeaderValue::from_static("true")),
        ];
        Ok(Some(
            (status.unwrap_or(StatusCode::OK), fields, body).into_response(),
        ))
    }

    /// Keeps an answer, in the transaction of what it tells of.
    pub(super) async fn keep(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        user: &Principal,
        now: Moment,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<(), Problem> {
        let body = serde_json::to_string(body).map_err(|_| Problem::INTERNAL)?;
        self.write(db, user, now, i64::from(status.as_u16()), &body).await
    }

    /// Keeps that there was an answer, and none of the secret in it.
    pub(super) async fn keep_secret(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        user: &Principal,
        now: Moment,
    ) -> Result<(), Problem> {
        self.write(db, user, now, SECRET, "").await
    }

    async fn write(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        user: &Principal,
        now: Moment,
        status: i64,
        body: &str,
    ) -> Result<(), Problem> {
        let Some(key) = &self.key else { return Ok(()) };
        sqlx::query("DELETE FROM answers WHERE created <= $1")
            .bind(now.0.saturating_sub(KEPT))
            .execute(&mut **db)
            .await
            .map_err(Error::from)?;
        let statement = "INSERT INTO answers (owner, key, request, status, body, created) VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(statement)
            .bind(&user.id)
            .bind(key)
            .bind(&self.request)
            .bind(status)
            .bind(body)
            .bind(now.0)
            .execute(&mut **db)
            .await
            .map_err(Error::from)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_request_says_nothing_about_a_password() {
        let body =
            |password: &str| format!("{{\"name\":\"a\",\"password\":\"{password}\",\"role\":\"auditor\"}}");
        let [one, other] = ["one", "other"].map(|password| without_password(body(password).as_bytes()));
        assert_eq!(one, other);
        assert_eq!(one, br#"{"name":"a","role":"auditor"}"#);
        for body in ["{\"name\": \"a\"}", "password", "[\"password\"]", ""] {
            assert_eq!(without_password(body.as_bytes()), body.as_bytes());
        }
    }
}
