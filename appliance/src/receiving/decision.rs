//! What becomes of what came: the keeper's verdict, which is waited for, or a refusal before that.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::Arrival;
use super::standing::Standing;
use crate::catalog::{self, Intake, State, Version};
use crate::error::{Error, Kind, Result};
use crate::service::Ground;
use crate::transfer::{Phase, Refusal};
use crate::trust::Policy;

/// How long nobody tells that something was decided.
const LOOK: Duration = Duration::from_secs(2);

/// Waits until the keeper has decided.
pub(super) async fn decision(
    ground: &Ground,
    intake: &Intake,
    arrival: &Arrival,
    standing: &Standing,
) -> Result<Arrival> {
    standing.is(Phase::Receiving, "is judged");
    loop {
        let decided = intake.decided().notified();
        let mut db = ground.database.begin().await?;
        let now = Arrival::find(&mut db, arrival.id).await?;
        drop(db);
        let now = now.ok_or_else(|| Error::new(Kind::Unknown, "the transfer", "is not there any more"))?;
        if now.phase.has_ended() {
            return Ok(now);
        }
        standing.is(now.phase, "is judged");
        if let Some(version) = &now.version
            && Version::of_id(&mut ground.database.begin().await?, version)
                .await?
                .is_none()
        {
            let refusal = Refusal::new(
                "version.removed",
                "somebody took the version away before it was judged",
            );
            return refuse(ground, intake, &now, refusal).await;
        }
        let _ = timeout(LOOK, decided).await;
    }
}

/// Refuses what comes: its bytes go, and what was wrong is kept, and signed.
pub(super) async fn refuse(
    ground: &Ground,
    intake: &Intake,
    arrival: &Arrival,
    refusal: Refusal,
) -> Result<Arrival> {
    let now = ground.clock.now();
    let mut check = json!({ "code": refusal.rule, "outcome": "failed", "reason": refusal.reason });
    if let Some(file) = &refusal.file {
        check["member"] = json!(file);
    }
    if let Some(chunk) = refusal.chunk {
        check["chunk"] = json!(chunk);
    }
    let verdict = json!({ "accepted": false, "checks": [check] });
    let mut db = ground.database.begin().await?;
    let tenant = arrival.tenant.as_deref();
    let known = Arrival::find(&mut db, arrival.id).await?;
    let known = known.filter(|known| !known.phase.has_ended());
    let Some(known) = known else {
        drop(db);
        let decided = Arrival::find(&mut ground.database.begin().await?, arrival.id).await?;
        return decided.ok_or_else(|| Error::new(Kind::Unknown, "the transfer", "is not there any more"));
    };
    let version = match &known.version {
        Some(id) => Version::of_id(&mut db, id).await?.map(|(version, _)| version),
        None => None,
    };
    let version = version.filter(|version| matches!(version.state, State::Receiving | State::Verifying));
    match &version {
        // Whoever judges it finds that it was decided.
        Some(version) if version.state == State::Verifying => {
            version.reject(&mut db, &verdict, now).await?;
        }
        Some(version) => version.break_off(&mut db, &verdict, now).await?,
        None => {}
    }
    let policy = Policy::in_force(&mut db, tenant, now).await?;
    let decided = known.decided(&mut db, &verdict, policy.digest, now).await?;
    db.commit().await?;
    if let Some(version) = &version {
        catalog::remove(ground, intake, version, tenant).await;
    }
    Ok(decided)
}
