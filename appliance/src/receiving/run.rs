//! A transfer at its destination, from its order to its receipt.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::beginning::{Begun, announce, begin, granted, made};
use super::decision::{decision, refuse};
use super::fault::Fault;
use super::file::Receiving;
use super::pace::Pace;
use super::source::Source;
use super::standing::Standing;
use super::worker::Shared;
use super::{Arrival, Wish, carried, glance, leading, version};
use crate::catalog::{self, Intake, Sort, State, Version, owner_of};
use crate::client::Client;
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::peer::Dialer;
use crate::service::{Context, Ground};
use crate::task::{Progress, Stage};
use crate::transfer::{Grant, Offer, OfferedFile, Phase, Purpose, Refusal, Route, Told};
use crate::trust::Policy;

/// How often it is told how far it is.
const TELL: Duration = Duration::from_millis(500);
/// Reports between which what was counted is written down.
const WRITE_EVERY: u32 = 20;

/// Receives what a server orders, and tells how it ended.
pub(crate) async fn receive(
    context: &Arc<Context>,
    details: Option<&Value>,
    progress: &watch::Sender<Progress>,
) -> Progress {
    let standing = Standing::new();
    let mut going = std::pin::pin!(transfer(context, details, &standing));
    let mut tick = interval(TELL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = loop {
        tokio::select! {
            end = &mut going => break end,
            _ = tick.tick() => {
                let now = standing.progress();
                progress.send_if_modified(|told| {
                    let is_new = *told != now;
                    if is_new {
                        *told = now;
                    }
                    is_new
                });
            }
        }
    };
    let at = standing.progress();
    match end {
        Ok(arrival) => ended(&arrival, at),
        Err(Fault::Refused(refusal)) => {
            log::warn(format_args!("transfer: {refusal}"));
            let told = Told {
                refusal: Some(refusal.clone()),
                ..standing.told()
            };
            failed(at, refusal.to_string(), &told)
        }
        Err(Fault::Failed(error)) => {
            log::warn(format_args!("transfer: {}", error.chain()));
            let told = Told {
                refusal: Some(Refusal::new(error.kind().code(), error.chain())),
                ..standing.told()
            };
            failed(at, error.chain().to_string(), &told)
        }
    }
}

/// Of one that was decided.
fn ended(arrival: &Arrival, at: Progress) -> Progress {
    let told = Told {
        phase: arrival.phase,
        wire: arrival.wire,
        reused: arrival.reused,
        refusal: arrival.refusal(),
        receipt: arrival.receipt.clone(),
    };
    let message = told
        .refusal
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    Progress {
        state: Stage::Done,
        message: message.chars().take(500).collect(),
        result: serde_json::to_value(told).ok(),
        ..at
    }
}

fn failed(at: Progress, message: String, told: &Told) -> Progress {
    Progress {
        state: Stage::Failed,
        message: message.chars().take(500).collect(),
        result: serde_json::to_value(told).ok(),
        ..at
    }
}

/// Breaks a transfer off that its server wants no more; one that was decided meanwhile is told as such.
pub(crate) async fn cancel(context: &Arc<Context>, details: Option<&Value>, at: &Progress) -> Progress {
    let stopped = Progress {
        state: Stage::Cancelled,
        ..at.clone()
    };
    let cancelled = async {
        let (ground, intake) = at_work(context)?;
        let wish = wish(details)?;
        let grant: Grant = wish.grant.read(Purpose::Grant)?;
        let mut db = ground.database.begin().await?;
        let Some(arrival) = Arrival::find(&mut db, grant.transfer).await? else {
            return Ok(None);
        };
        drop(db);
        if arrival.phase.has_ended() {
            return Ok(Some(arrival));
        }
        let refusal = Refusal::new("transfer.cancelled", "it was stopped at the server");
        refuse(ground, intake, &arrival, refusal).await.map(Some)
    };
    match cancelled.await {
        Ok(Some(arrival)) if arrival.phase == Phase::Published => ended(&arrival, stopped),
        Ok(_) => stopped,
        Err(error) => {
            let error: Error = error;
            log::warn(error.chain());
            stopped
        }
    }
}

pub(super) fn at_work(context: &Context) -> Result<(&Ground, &Intake)> {
    let missing = || Error::new(Kind::StateMissing, "the catalogs", "there is no state");
    let ground = context.ground().ok_or_else(missing)?;
    Ok((ground, ground.intake.as_ref().ok_or_else(missing)?))
}

pub(super) fn wish(details: Option<&Value>) -> Result<Wish> {
    let wrong = || Error::new(Kind::Malformed, "the order", "is not as it should be");
    let details = details.ok_or_else(wrong)?;
    serde_json::from_value(details.clone()).map_err(|error| wrong().because(error))
}

async fn transfer(
    context: &Arc<Context>,
    details: Option<&Value>,
    standing: &Standing,
) -> Result<Arrival, Fault> {
    let (ground, intake) = at_work(context)?;
    let wish = wish(details)?;
    let grant = granted(ground, &wish.grant)?;
    standing.total(grant.bytes);
    let mut db = ground.database.begin().await?;
    let Begun { arrival, is_new } = begin(ground, &mut db, &wish.grant, &grant).await?;
    db.commit().await.map_err(Error::from)?;
    if arrival.phase.has_ended() {
        return Ok(arrival);
    }
    standing.counts.begin_at(arrival.wire, arrival.reused);
    let come = async {
        is_new?;
        match wish.route {
            Route::Carried {} => carried::wait(ground, intake, &arrival, standing).await,
            _ => bring(context, &wish, arrival.clone(), standing).await,
        }
    };
    let come = counting(ground, &arrival, standing, come).await;
    match come {
        Ok(()) => Ok(decision(ground, intake, &arrival, standing).await?),
        Err(Fault::Refused(refusal)) => Ok(refuse(ground, intake, &arrival, refusal).await?),
        Err(failed) => Err(failed),
    }
}

/// Writes down now and then what was counted.
async fn counting<T>(
    ground: &Ground,
    arrival: &Arrival,
    standing: &Standing,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let keep = async || {
        let (_, wire, reused) = standing.counts.read();
        if let Err(error) = arrival.count(ground, wire, reused).await {
            log::warn(error.chain());
        }
    };
    loop {
        match timeout(TELL * WRITE_EVERY, &mut work).await {
            Ok(done) => {
                keep().await;
                return done;
            }
            Err(_) => keep().await,
        }
    }
}

/// Brings everything that isn't here yet.
async fn bring(
    context: &Arc<Context>,
    wish: &Wish,
    mut arrival: Arrival,
    standing: &Standing,
) -> Result<(), Fault> {
    let (ground, intake) = at_work(context)?;
    let known = made(ground, intake, &arrival).await?;
    if known
        .as_ref()
        .is_some_and(|version| version.state != State::Receiving)
    {
        return Ok(());
    }
    let source = dial(context, wish, &arrival)?;
    let clock = Arc::clone(context);
    let now = move || clock.ground().map_or(Moment(0), |ground| ground.clock.now());
    let pace = Pace::new(wish.rate, wish.window, Box::new(now));
    if let Some(wait) = pace.closed_for() {
        standing.is(
            Phase::Granted,
            format!("waits {} minutes for its hours", wait.as_secs() / 60 + 1),
        );
        pace.open().await;
    }
    let shared = Arc::new(Shared {
        source,
        pace,
        counts: Arc::clone(&standing.counts),
        failures: AtomicU32::new(0),
    });
    standing.is(Phase::Unreachable, "connects to the source");
    let mut client = shared.source.connect().await?;
    standing.is(Phase::Granted, "asks the source what it has");
    let offer = shared.source.offer(&mut client).await?;
    let mut clients = vec![client];
    let version = match known {
        Some(version) => version,
        None => announce(context, ground, &mut arrival, &offer).await?,
    };
    standing.is(Phase::Receiving, "");
    files(
        ground,
        intake,
        &arrival,
        &version,
        &offer,
        &shared,
        wish.connections(),
        &mut clients,
        standing,
    )
    .await
}

fn dial(context: &Arc<Context>, wish: &Wish, arrival: &Arrival) -> Result<Source> {
    let node = arrival.grant.source.node;
    let dialer = Dialer::new(Arc::clone(context), node, wish.route.clone(), &wish.grant)?;
    let ground = context
        .ground()
        .ok_or_else(|| Error::new(Kind::StateMissing, "the catalogs", "there is no state"))?;
    Ok(Source::new(dialer, ground.peering.expect()?, &arrival.grant))
}

#[allow(
    clippy::too_many_arguments,
    reason = "what a transfer has in hand when its files come"
)]
async fn files(
    ground: &Ground,
    intake: &Intake,
    arrival: &Arrival,
    version: &Version,
    offer: &Offer,
    shared: &Arc<Shared>,
    connections: u8,
    clients: &mut Vec<Client>,
    standing: &Standing,
) -> Result<(), Fault> {
    let tenant = arrival.tenant.as_deref();
    let owner = owner_of(tenant)?;
    let pairs: Vec<_> = version.files.iter().zip(&offer.files).collect();
    let is_whole = pairs.len() == offer.files.len()
        && pairs
            .iter()
            .all(|(file, offered)| file.name == offered.name && file.expected == Some(offered.digest));
    if !is_whole {
        return Err(Refusal::new(
            "source.other-package",
            "the source offers other files than before",
        )
        .into());
    }
    let is_leading = |(_, offered): &&(&catalog::File, &OfferedFile)| {
        offer.kind == Sort::Package && Offer::is_leading(offered)
    };
    for (file, offered) in pairs.iter().filter(is_leading) {
        if file.digest.is_some() {
            standing.counts.here(offered.bytes);
            continue;
        }
        standing.is(Phase::Receiving, offered.name.clone());
        let digest = leading::receive(intake, owner, file, offered, shared, clients).await?;
        version.arrived(ground, file, &digest).await?;
    }
    if offer.kind == Sort::Package {
        let policy =
            Policy::in_force(&mut ground.database.begin().await?, tenant, ground.clock.now()).await?;
        let foreseen = match pairs.as_slice() {
            [(file, archive)] if Offer::is_archive(archive) && file.digest.is_none() => {
                glance::look_ahead(shared, archive, clients, policy).await?
            }
            [(_, archive)] if Offer::is_archive(archive) => None,
            _ => leading::look_ahead(intake, owner, version, offer, policy).await?,
        };
        if let Some((false, verdict)) = foreseen {
            return Err(super::arrival::refusal_of(&verdict).into());
        }
    }
    for (file, offered) in pairs.iter().filter(|pair| !is_leading(pair)) {
        if file.digest.is_some() {
            standing.counts.here(offered.bytes);
            continue;
        }
        standing.is(Phase::Receiving, offered.name.clone());
        let mut db = ground.database.begin().await?;
        let candidates = version::candidates(&mut db, version, tenant, &offered.name).await?;
        drop(db);
        let receiving = Receiving {
            intake,
            owner,
            file,
            offered,
            candidates,
        };
        let digest = receiving.receive(shared, connections, clients).await?;
        version.arrived(ground, file, &digest).await?;
    }
    Ok(())
}
