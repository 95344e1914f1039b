//! `/api/v1/administrator-reset`: a new password for an administrator, with a code of the machine's console.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;

use super::request::{Body, Standing};
use super::setup::Administrator;
use crate::access::{NewUser, Password, Role, User, UserChange};
use crate::audit::{self, Deed};
use crate::error::Error;
use crate::http::problem::{Document, Problem};

fn wrong_code() -> Problem {
    Problem::WRONG_CREDENTIALS.about(
        "The code is wrong, was used, or is older than an hour: the menu on the console makes another.",
    )
}

/// What is asked of whoever has the console.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdministratorReset {
    /// The code that the menu on the console made.
    #[schema(example = "4F7K-92QM-XD0A")]
    code: String,
    /// An administrator of the provider and the new password; one that there is not yet is made.
    administrator: Administrator,
}

/// Give an administrator a new password; its sessions end
#[utoipa::path(post, path = "/api/v1/administrator-reset", tag = "set-up", request_body = AdministratorReset,
    security(()), responses(
    (status = 200, body = User),
    (status = 401, body = Document, description = "The code is wrong, void or was never made"),
    (status = 422, body = Document),
))]
pub(super) async fn create(
    standing: Standing,
    Body(body): Body<AdministratorReset>,
) -> Result<Json<User>, Problem> {
    let ground = standing.ground()?;
    // Sixty random bits need no limit, as when the connector is set up.
    if !standing.0.is_recovery_code(&body.code) {
        return Err(wrong_code());
    }
    let (name, password) = body.administrator.into_parts();
    let password = Password::new(password).map_err(|reason| Problem::INVALID.about(reason))?;
    let hash = Some(ground.passwords.hash(password).await?);
    let now = ground.clock.now();
    let mut db = ground.database.begin().await?;
    let user = match User::of_login(&mut db, name.as_str()).await? {
        Some((user, _)) if user.role != Role::ProviderAdmin => {
            return Err(Problem::INVALID.about("that user is no administrator of the provider"));
        }
        Some((user, _)) => user.change(&mut db, UserChange { role: None, hash }).await?,
        None => {
            let new = NewUser {
                name,
                role: Role::ProviderAdmin,
                tenant: None,
                hash,
            };
            User::create(&mut db, new, now).await?
        }
    };
    let deed = Deed {
        actor: "console",
        tenant: None,
        action: "user.reset",
        object: &user.login,
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    // Of two who have the code one is served; where the commit then fails, the console makes another.
    if !standing.0.claim_recovery_code(&body.code) {
        return Err(wrong_code());
    }
    db.commit().await.map_err(Error::from)?;
    Ok(Json(user))
}
