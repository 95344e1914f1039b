//! What a grant begins here, before a byte of what it is for: its row, and the version that is announced with room for all of it.

use sqlx::{Sqlite, Transaction};

use super::fault::Fault;
use super::withdraw::take_away;
use super::{Arrival, version};
use crate::catalog::{Intake, State, Version};
use crate::error::{Error, Kind, Result};
use crate::service::{Context, Ground};
use crate::store::Space;
use crate::transfer::{Grant, Offer, Part, Purpose, Refusal, Signed, admit};

/// A transfer that has its row here.
pub(super) struct Begun {
    pub(super) arrival: Arrival,
    /// Whether what is granted isn't a thing of the past.
    pub(super) is_new: Result<(), Fault>,
}

/// The grant, if it is good for this node at this moment.
pub(crate) fn granted(ground: &Ground, signed: &Signed) -> Result<Grant, Refusal> {
    let own = ground
        .peering
        .expect()
        .map_err(|error| Refusal::new(error.kind().code(), error.chain()))?;
    let said: Grant = signed
        .read(Purpose::Grant)
        .map_err(|error| Refusal::new("grant.signature", error))?;
    let (source, now) = (said.source.node, ground.clock.now());
    admit(
        signed,
        own.authorities(),
        own.node(),
        source,
        Part::Destination,
        now,
    )
}

/// Takes a good grant, or finds what it has begun already.
pub(super) async fn begin(
    ground: &Ground,
    db: &mut Transaction<'_, Sqlite>,
    signed: &Signed,
    grant: &Grant,
) -> Result<Begun, Fault> {
    let now = ground.clock.now();
    if !now.is_plausible() {
        return Err(Error::new(Kind::Clock, "this node", "has a clock that can't be right").into());
    }
    if Arrival::find(db, grant.transfer).await?.is_none() {
        super::arrival::is_of_this_state(db, grant).await?;
    }
    let tenant = version::tenant(db, grant).await?;
    let arrival = Arrival::begin(db, signed, grant, tenant.clone(), now).await;
    let arrival = arrival.map_err(|error| match error.kind() {
        Kind::Taken => Fault::from(Refusal::new("grant.used", error)),
        _ => error.into(),
    })?;
    let is_new = match arrival.version.is_none() && !arrival.phase.has_ended() {
        true => version::is_new(db, grant, tenant).await,
        false => Ok(()),
    };
    Ok(Begun { arrival, is_new })
}

/// The version that a transfer has made here so far; one that came by an earlier grant for another is left, and there is none then.
pub(super) async fn made(
    ground: &Ground,
    intake: &Intake,
    arrival: &Arrival,
) -> Result<Option<Version>, Fault> {
    let Some(id) = &arrival.version else {
        return Ok(None);
    };
    let found = Version::of_id(&mut ground.database.begin().await?, id).await?;
    let gone = || Refusal::new("version.removed", "somebody took the version away while it came");
    let (version, _) = found.ok_or_else(gone)?;
    if version::is_of(&version, &arrival.grant) {
        return Ok(Some(version));
    }
    if version.state != State::Receiving {
        let reason = "is for another version than the one that has come, and is judged";
        return Err(Refusal::new("grant.used", reason).into());
    }
    let db = ground.database.begin().await?;
    take_away(ground, intake, db, &version, arrival.tenant.as_deref()).await?;
    Ok(None)
}

/// Announces the version that a transfer is to make here, or finds that somebody has.
pub(super) async fn announce(
    context: &Context,
    ground: &Ground,
    arrival: &mut Arrival,
    offer: &Offer,
) -> Result<Version, Fault> {
    let missing = || Error::new(Kind::StateMissing, "the catalogs", "there is no state");
    let space = Space::of(context.state_directory().ok_or_else(missing)?)?;
    let mut db = ground.database.begin().await?;
    let version = version::announce(&mut db, arrival, offer, space, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    Ok(version)
}
