//! `/api/v1/setup`: the first administrator.

use axum::Json;
use hyper::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::request::{Body, Standing};
use crate::access::{Name, Password, User};
use crate::http::problem::{Document, Problem};

/// What is asked of whoever sets the connector up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    /// The code on the machine's console.
    #[schema(example = "4F7K-92QM-XD0A")]
    code: String,
    /// The first administrator.
    administrator: Administrator,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Administrator {
    name: Name,
    /// 10 characters at least.
    #[schema(format = Password, min_length = 10, max_length = 256)]
    password: String,
}

/// Set the connector up
#[utoipa::path(post, path = "/api/v1/setup", tag = "set-up", request_body = Setup, security(()), responses(
    (status = 201, body = User),
    (status = 401, body = Document, description = "The code is wrong"),
    (status = 410, body = Document, description = "The connector is set up already"),
    (status = 422, body = Document),
))]
pub(super) async fn create(
    standing: Standing,
    Body(body): Body<Setup>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let Some(code) = ground.setup.code() else {
        return Err(Problem::SETUP_DONE);
    };
    // Sixty random bits need no limit, and one would let anybody keep the administrator out.
    if !code.is(&body.code) {
        return Err(Problem::WRONG_CREDENTIALS);
    }
    let password =
        Password::new(body.administrator.password).map_err(|reason| Problem::INVALID.about(reason))?;
    let hash = ground.passwords.hash(password).await?;
    let db = ground.database.begin().await?;
    let made = ground.setup.finish(db, body.administrator.name, hash, now).await;
    match made {
        Ok(user) => Ok((StatusCode::CREATED, Json(user))),
        Err(error) if error.kind() == crate::error::Kind::Taken => Err(Problem::SETUP_DONE),
        Err(error) => Err(error.into()),
    }
}
