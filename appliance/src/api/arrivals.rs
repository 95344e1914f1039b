//! `/api/v1/arrivals`: on a node, what people bring it in a bundle, by a grant of its server.

use axum::Json;
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::request::{Body, Id, LoggedIn, Standing};
use crate::access::{Principal, Right};
use crate::clock::Moment;
use crate::http::problem::{Document, Problem};
use crate::receiving::{Arrival, bring, granted};
use crate::tenant::Tenant;
use crate::transfer::{Offer, Phase, Place, Refusal, Signed};

/// What is brought.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTransferArrival)]
pub(super) struct New {
    /// The server's grant.
    grant: Signed,
    /// What the source has: the grant names its digest.
    offer: Offer,
}

/// A transfer, at its destination.
#[derive(Serialize, ToSchema)]
#[schema(as = TransferArrival)]
pub(super) struct Told {
    /// The transfer's id.
    #[schema(value_type = String)]
    transfer: Uuid,
    /// Where it goes.
    place: Place,
    /// What the version is called.
    label: String,
    /// The version's id here, to which the files are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// How far it is.
    phase: Phase,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
    /// What was signed in the end: it goes back to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Signed>,
    /// Until when it can be begun.
    #[schema(value_type = String, format = DateTime)]
    expires: Moment,
}

impl Told {
    fn of(arrival: Arrival) -> Self {
        Self {
            transfer: arrival.id,
            refusal: arrival.refusal(),
            place: arrival.grant.destination.place,
            label: arrival.grant.label,
            version: arrival.version,
            phase: arrival.phase,
            receipt: arrival.receipt,
            expires: arrival.grant.expires,
        }
    }
}

/// Bring what a bundle has, by its grant; its files come next
///
/// The grant is used up by that. Room for all of it is reserved, and each file is then sent by PUT to
/// `/api/v1/versions/ID/files/NAME`. What was brought already is answered as far as it is. What breaks a rule for good is REJECTED at
/// once, and the receipt says so.
#[utoipa::path(post, path = "/api/v1/arrivals", tag = "transfers", request_body = New, responses(
    (status = 200, body = Told),
    (status = 401, body = Document),
    (status = 403, body = Document, description = "The grant is not for this node, or not good"),
    (status = 404, body = Document, description = "It is for a tenant that this user doesn't see"),
    (status = 409, body = Document, description = "The grant was used, or such a version is there"),
    (status = 422, body = Document),
    (status = 503, body = Document, description = "The node's clock cannot be right"),
    (status = 507, body = Document, description = "There is no room for it"),
))]
pub(super) async fn create(
    standing: Standing,
    user: LoggedIn,
    Body(new): Body<New>,
) -> Result<Json<Told>, Problem> {
    let user = user.may(Right::WriteCatalogs)?;
    let ground = standing.ground()?;
    standing.plausible_time()?;
    let grant = granted(ground, &new.grant).map_err(|refusal| refused(&refusal))?;
    // Another one may be a mistake of whoever brings it, and ends nothing.
    if !new.offer.is_of(&grant) {
        return Err(Problem::INVALID.about("The offer is of another version than the grant."));
    }
    let mut db = standing.begin(&user).await?;
    sees(&mut db, &user, &grant.destination.place).await?;
    drop(db);
    match bring(&standing.0, &user.name, &new.grant, &grant, &new.offer).await? {
        Ok(arrival) => Ok(Json(Told::of(arrival))),
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// Read how far a transfer to this node is, and in the end its receipt
#[utoipa::path(get, path = "/api/v1/arrivals/{transfer}", tag = "transfers", params(("transfer" = String, Path)), responses(
    (status = 200, body = Told),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(transfer): Id,
) -> Result<Json<Told>, Problem> {
    let user = user.may(Right::ReadCatalogs)?;
    let transfer = transfer.parse().map_err(|_| Problem::NOT_FOUND)?;
    let mut db = standing.ground()?.database.begin().await?;
    let arrival = Arrival::find(&mut db, transfer).await?;
    let arrival = arrival.filter(|arrival| user.sees(arrival.tenant.as_deref()));
    Ok(Json(Told::of(arrival.ok_or(Problem::NOT_FOUND)?)))
}

/// Sees that a place is of a tenant that a user sees.
async fn sees(db: &mut Transaction<'_, Sqlite>, user: &Principal, place: &Place) -> Result<(), Problem> {
    let is_seen = match &place.tenant {
        Some(name) => Tenant::named(db, user, name).await?.is_some(),
        None => user.sees(None),
    };
    is_seen.then_some(()).ok_or(Problem::NOT_FOUND)
}

fn refused(refusal: &Refusal) -> Problem {
    let problem = match refusal.rule.as_str() {
        "quota.exceeded" | "disk.full" => Problem::NO_ROOM,
        "version.taken" | "grant.used" => Problem::CONFLICT,
        _ => Problem::GRANT_REFUSED,
    };
    problem.about(format!("{refusal}."))
}
