//! Asking a server to take the node in.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::kept::{Kept, Key};
use super::{Enrolment, refusal};
use crate::access::{Name, Secret};
use crate::audit::{self, Deed};
use crate::authority::EnrolmentCode;
use crate::client::Client;
use crate::database;
use crate::digest::{hex, sha256};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::node::{Application, State};
use crate::product::PROGRAM_VERSION;
use crate::service::Ground;

const SETTING: &str = "enrolment-asked";

/// What it takes to ask a server.
#[derive(Debug, Clone)]
pub struct NewEnrolment {
    /// The server.
    pub server: Endpoint,
    /// What its administrator gave.
    pub code: EnrolmentCode,
    /// The node's name.
    pub name: Name,
    /// Its cloud's.
    pub cloud: Name,
    /// Who asks.
    pub actor: String,
}

/// What is kept before a server is asked: whoever asks again with the same code, for the answer was lost, has the same key.
#[derive(Serialize, Deserialize)]
struct Asked {
    /// The code's digest.
    code: String,
    key: Key,
    poll: String,
}

#[derive(Deserialize)]
struct Waiting {
    node: Uuid,
}

/// Asks a server for a certificate.
///
/// # Errors
/// [`Kind::Taken`] while the node has a server, or another enrolment was faster; [`Kind::Stranger`], [`Kind::Unreachable`];
/// [`Kind::Refused`] by a server that doesn't take the code.
pub async fn begin(ground: &Ground, new: NewEnrolment) -> Result<Enrolment> {
    let mut db = ground.database.begin().await?;
    let before = Kept::read(&mut db).await?;
    if let Some(kept) = before.as_ref().filter(|kept| kept.state == State::Active) {
        let ends = kept.validity()?.map(|(_, expires)| expires);
        if ends.is_some_and(|ends| ground.clock.now() < ends) {
            return Err(Error::new(
                Kind::Taken,
                "enrolment",
                "the node has a server already",
            ));
        }
    }
    let code = hex(&sha256(&new.code.secret));
    let known = database::setting(&mut db, SETTING).await?;
    let known = known.and_then(|text| serde_json::from_str::<Asked>(&text).ok());
    let asked = match known.filter(|known| known.code == code) {
        Some(known) => known,
        None => Asked {
            code,
            key: Key::new()?,
            poll: Secret::new()?.reveal().to_owned(),
        },
    };
    let text = serde_json::to_string(&asked)
        .map_err(|error| Error::new(Kind::Malformed, SETTING, "cannot be kept").because(error))?;
    database::set(&mut db, SETTING, &text).await?;
    db.commit().await?;

    let node = ask(ground, &new, &asked).await?;
    let kept = Kept {
        server: new.server.clone(),
        authorities: vec![new.code.authority],
        certificates: Vec::new(),
        node,
        poll: asked.poll,
        key: asked.key,
        state: State::Pending,
        certificate: None,
        counter: 0,
        nonce: None,
        next: None,
        reason: None,
    };
    let mut db = ground.database.begin().await?;
    if Kept::read(&mut db).await?.map(|kept| kept.node) != before.map(|kept| kept.node) {
        return Err(Error::new(Kind::Taken, "enrolment", "another one was faster"));
    }
    kept.write(&mut db).await?;
    database::unset(&mut db, SETTING).await?;
    let deed = Deed {
        actor: &new.actor,
        tenant: None,
        action: "enrolment.create",
        object: &kept.server.to_string(),
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    db.commit().await?;
    kept.told(None, None)
}

async fn ask(ground: &Ground, new: &NewEnrolment, asked: &Asked) -> Result<Uuid> {
    let application = Application {
        code: BASE64_STANDARD.encode(new.code.secret),
        poll: Secret::shown(&asked.poll).digest(),
        name: new.name.clone(),
        cloud: new.cloud.clone(),
        request: asked.key.request()?,
        version: PROGRAM_VERSION.to_owned(),
    };
    let mut client = Client::new(
        new.server.clone(),
        ground.resolver.clone(),
        vec![new.code.authority],
        None,
    )?;
    let answer = client
        .ask(Method::POST, "/api/v1/enrolments", None, Some(&application))
        .await?;
    if answer.status != StatusCode::ACCEPTED {
        let reason = format!("refuses: {}", refusal::told(&answer.code()));
        return Err(Error::new(Kind::Refused, "the server", reason));
    }
    Ok(answer.json::<Waiting>()?.node)
}
