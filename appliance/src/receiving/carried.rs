//! What comes with a bundle that people carry. Its bytes are uploaded as any file is; what is asked before them, and the verdict on
//! them, are those of every transfer.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::Arrival;
use super::beginning::{Begun, announce, begin, made};
use super::decision::refuse;
use super::fault::Fault;
use super::run::{at_work, wish};
use super::standing::Standing;
use crate::audit::{self, Deed};
use crate::catalog::{Intake, State, Version};
use crate::error::Result;
use crate::service::{Context, Ground};
use crate::transfer::{EXPIRED, Grant, Offer, Phase, Refusal, Route, Signed};

/// Between two looks whether somebody has brought it.
const LOOK: Duration = Duration::from_secs(2);
/// What somebody here can do something about: it is told, and nothing is decided by it.
const MENDED_HERE: [&str; 4] = ["quota.exceeded", "disk.full", "version.taken", "tenant.unknown"];

/// Begins a transfer whose grant and offer somebody, `actor`, brings, or finds how far it is. What breaks a rule for good ends it, with a
/// receipt that says so.
///
/// # Errors
/// The rule that keeps it from being begun, and decides nothing; the database fails.
pub(crate) async fn bring(
    context: &Context,
    actor: &str,
    signed: &Signed,
    grant: &Grant,
    offer: &Offer,
) -> Result<Result<Arrival, Refusal>> {
    let (ground, intake) = at_work(context)?;
    let mut db = ground.database.begin().await?;
    let Begun { arrival, is_new } = match begin(ground, &mut db, signed, grant).await {
        Ok(begun) => begun,
        Err(Fault::Refused(refusal)) => return Ok(Err(refusal)),
        Err(Fault::Failed(error)) => return Err(error),
    };
    if arrival.version.is_none() && !arrival.phase.has_ended() {
        let deed = Deed {
            actor,
            tenant: arrival.tenant.as_deref(),
            action: "transfer.bring",
            object: &arrival.id.to_string(),
            outcome: "done",
        };
        audit::record(&mut db, deed, ground.clock.now()).await?;
    }
    db.commit().await?;
    if arrival.phase.has_ended() {
        return Ok(Ok(arrival));
    }
    let mut coming = arrival.clone();
    let begun = async {
        is_new?;
        if made(ground, intake, &coming).await?.is_none() {
            announce(context, ground, &mut coming, offer).await?;
        }
        Ok(())
    };
    match begun.await {
        Ok(()) => Ok(Ok(coming)),
        Err(Fault::Refused(refusal)) if MENDED_HERE.contains(&refusal.rule.as_str()) => Ok(Err(refusal)),
        Err(Fault::Refused(refusal)) => Ok(Ok(refuse(ground, intake, &arrival, refusal).await?)),
        Err(Fault::Failed(error)) => Err(error),
    }
}

/// Waits until a bundle has been brought, all of it.
pub(super) async fn wait(
    ground: &Ground,
    intake: &Intake,
    arrival: &Arrival,
    standing: &Standing,
) -> Result<(), Fault> {
    let mut seen = 0;
    loop {
        let mut db = ground.database.begin().await?;
        let known = Arrival::find(&mut db, arrival.id).await?;
        drop(db);
        let Some(known) = known.filter(|known| !known.phase.has_ended()) else {
            return Ok(());
        };
        match made(ground, intake, &known).await? {
            None => {
                standing.is(Phase::Granted, "waits for its bundle");
                if ground.clock.now() >= known.grant.expires {
                    let reason = format!(
                        "nobody brought it before the grant ended, on {}",
                        known.grant.expires
                    );
                    return Err(Refusal::new(EXPIRED, reason).into());
                }
            }
            Some(version) if version.state == State::Receiving => {
                standing.is(Phase::Receiving, "comes with a bundle");
                let came = came(&version);
                standing.counts.here(came.saturating_sub(seen));
                seen = came;
            }
            Some(_) => return Ok(()),
        }
        sleep(LOOK).await;
    }
}

/// Bytes of the files that are whole.
fn came(version: &Version) -> u64 {
    let whole = version.files.iter().filter(|file| file.digest.is_some());
    whole
        .map(|file| u64::try_from(file.bytes).unwrap_or_default())
        .sum()
}

/// Whether what a server orders comes with a bundle.
pub(crate) fn is_carried(details: Option<&Value>) -> bool {
    wish(details).is_ok_and(|wish| wish.route == Route::Carried {})
}
