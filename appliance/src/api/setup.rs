//! `/api/v1/setup`: the first administrator.

use std::path::Path;

use axum::Json;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::enrolment::NewEnrolment;
use super::request::{Body, Standing};
use crate::access::{Name, Password, User};
use crate::addressing::{Addressing, kept};
use crate::configuration::{Own, Settings};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::role::Role;
use crate::service::Context;

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
    /// On a node: the server that is asked to take it in. Where that refuses, nothing is set up.
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
    let network = body
        .network
        .map(|network| read(&standing.0, &network))
        .transpose()?;
    let hash = ground.passwords.hash(password).await?;
    let name = body.administrator.name;
    if let Some(enrolment) = body.enrolment {
        if standing.0.role() == Role::Server {
            return Err(Problem::INVALID.about("enrolment is for a node, and this is a server"));
        }
        enrolment.begin(&standing.0, name.as_str()).await?;
    }
    let mut db = ground.database.begin().await?;
    if settings != Settings::default() {
        let known = Own::read(&mut db).await?;
        Own::change(&mut db, settings.clone(), known.revision).await?;
    }
    let former = network.map(|network| network.keep()).transpose()?;
    match ground.setup.finish(db, name, hash, now).await {
        Ok(user) => {
            if former.is_some() {
                standing.0.network_changed();
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

/// Settings of the network that somebody wants, and where they are kept.
struct Network<'a> {
    root: &'a Path,
    wanted: Addressing,
}

/// The settings before those.
struct Former<'a> {
    root: &'a Path,
    was: Option<Addressing>,
}

fn read<'a>(context: &'a Context, wanted: &Value) -> Result<Network<'a>, Problem> {
    if !context.is_appliance() {
        return Err(Problem::INVALID
            .about("network is set on an appliance alone; here it is the operating system's matter"));
    }
    let root = context.state_directory().ok_or(Problem::STATE_UNAVAILABLE)?;
    let wanted = kept::parse(wanted.to_string().as_bytes())
        .map_err(|error| Problem::INVALID.about(error.chain().to_string()))?;
    Ok(Network { root, wanted })
}

impl<'a> Network<'a> {
    fn keep(self) -> Result<Former<'a>, Error> {
        // A file that can't be read is of no use to go back to.
        let was = kept::read(self.root).ok().flatten();
        kept::write(self.root, &self.wanted)?;
        Ok(Former { root: self.root, was })
    }
}

impl Former<'_> {
    fn restore(self) -> Result<(), Error> {
        match self.was {
            Some(was) => kept::write(self.root, &was),
            None => kept::remove(self.root),
        }
    }
}
