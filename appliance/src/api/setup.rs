//! `/api/v1/setup`: the first administrator.

mod machine;

use axum::Json;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::enrolment::NewEnrolment;
use super::request::{Body, Standing};
use crate::access::{Name, Password, User};
use crate::configuration::{Own, Settings};
use crate::error::Kind;
use crate::http::problem::{Document, Problem};
use crate::role::Role;
use machine::Wishes;

/// What is asked of whoever sets the connector up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    /// The code on the machine's console.
    #[schema(example = "4F7K-92QM-XD0A")]
    code: String,
    /// The first administrator.
    administrator: Administrator,
    /// The connector's settings; what is left out holds as the appliance has it.
    settings: Option<Settings>,
    /// How an appliance is reached from then on, as `network.json` has it; nothing but an appliance takes it.
    #[schema(value_type = Option<Object>)]
    network: Option<Value>,
    /// What the connector is from then on. An appliance whose properties name no role takes it, and starts again with it within
    /// seconds; elsewhere it has to be the role that the connector has.
    role: Option<Role>,
    /// Of a node: the server that is asked to take it in. Where that refuses, nothing is set up.
    enrolment: Option<NewEnrolment>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Administrator {
    name: Name,
    /// 10 characters at least.
    #[schema(format = Password, min_length = 10, max_length = 256)]
    password: String,
}

impl Administrator {
    pub(super) fn into_parts(self) -> (Name, String) {
        (self.name, self.password)
    }
}

/// Set the connector up
#[utoipa::path(post, path = "/api/v1/setup", tag = "set-up", request_body = Setup, security(()), responses(
    (status = 201, body = User),
    (status = 401, body = Document, description = "The code is wrong"),
    (status = 410, body = Document, description = "The connector is set up already"),
    (status = 422, body = Document),
    (status = 502, body = Document, description = "The server can't be reached, is another, or refuses"),
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
    let settings = body.settings.unwrap_or_default();
    settings
        .check()
        .map_err(|reason| Problem::INVALID.about(reason))?;
    let wishes = Wishes::read(&standing.0, body.network.as_ref(), body.role)?;
    let role = body.role.unwrap_or(standing.0.role());
    let hash = ground.passwords.hash(password).await?;
    let name = body.administrator.name;
    if let Some(enrolment) = body.enrolment {
        if role == Role::Server {
            return Err(Problem::INVALID.about("enrolment is for a node, and this is a server"));
        }
        enrolment.begin(&standing.0, name.as_str()).await?;
    }
    let mut db = ground.database.begin().await?;
    // Whoever was faster keeps what was kept then.
    if !ground.setup.is_open(&mut db).await? {
        return Err(Problem::SETUP_DONE);
    }
    if settings != Settings::default() {
        let known = Own::read(&mut db).await?;
        Own::change(&mut db, settings.clone(), known.revision).await?;
    }
    let former = wishes.map(Wishes::keep).transpose()?;
    match ground.setup.finish(db, name, hash, now).await {
        Ok(user) => {
            if let Some(former) = former {
                former.tell(&standing.0);
            }
            ground.settings.send_replace(settings);
            Ok((StatusCode::CREATED, Json(user)))
        }
        Err(error) => {
            if let Some(former) = former {
                former.restore()?;
            }
            Err(match error.kind() {
                Kind::Taken => Problem::SETUP_DONE,
                _ => error.into(),
            })
        }
    }
}
