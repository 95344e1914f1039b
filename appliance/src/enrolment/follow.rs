//! Following a server for as long as the service runs.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::kept::{Kept, Key};
use super::refusal;
use crate::access::Secret;
use crate::client::Client;
use crate::configuration::Own;
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::node::{Beat, HEARTBEAT, Heartbeat, Standing, State};
use crate::product::PROGRAM_VERSION;
use crate::service::{Context, Ground};
use crate::work::Work;

/// Between the first questions how the request stands: somebody may be waiting at the server.
const ASK_SOON: Duration = Duration::from_secs(1);
/// How many these are.
const FIRST: u32 = 120;
/// Between the others, and after a failure.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Between two heartbeats at least, however soon the server answers.
const BREATH: Duration = Duration::from_millis(200);
/// Heartbeats after which server and node agree on the next number.
const AGREE_EVERY: u32 = 30;
/// Between two tries to renew a certificate that grows old, whatever came of the first: a clock that is wrong makes it old again.
const RENEW_EVERY: Duration = Duration::from_secs(3600);
/// Likewise where the server wants another one.
const RENEW_AGAIN: Duration = Duration::from_secs(60);

/// What lasts from one step to the next.
#[derive(Default)]
struct Connected {
    /// The enrolment that the client is for; work that goes on connects by what it is then.
    to: watch::Sender<Option<Kept>>,
    client: Option<Client>,
    beats: u32,
    asked: u32,
    /// The server wants another certificate to be asked for.
    renew: bool,
    /// When it was last tried to renew the certificate.
    renewed: Option<Instant>,
    work: Work,
}

/// Follows the enrolment for as long as the service runs.
pub async fn follow(context: Arc<Context>) {
    let Some(ground) = context.ground() else { return };
    let begun = context.begun();
    let mut connected = Connected::default();
    loop {
        let wait = match connected.step(&context, ground).await {
            Ok(Some(wait)) => wait,
            // There is nothing to follow.
            Ok(None) => {
                connected = Connected::default();
                begun.notified().await;
                continue;
            }
            // The next step reads what it is now.
            Err(error) if error.kind() == Kind::Changed => Duration::ZERO,
            Err(error) => {
                (connected.client, connected.beats) = (None, 0);
                let told = refusal::trouble(&error);
                if ground.link.has_trouble(told.clone()) {
                    log::warn(format_args!("enrolment: {told}"));
                }
                ASK_AGAIN
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = begun.notified() => {}
        }
    }
}

impl Connected {
    async fn step(&mut self, context: &Arc<Context>, ground: &Ground) -> Result<Option<Duration>> {
        let kept = read(ground).await?;
        let Some(kept) = kept.filter(|kept| matches!(kept.state, State::Pending | State::Active)) else {
            return Ok(None);
        };
        let same = |to: &Kept| {
            (to.node, &to.certificate, &to.authorities) == (kept.node, &kept.certificate, &kept.authorities)
        };
        if self.client.is_none() || !self.to.borrow().as_ref().is_some_and(same) {
            // With the first heartbeat after a start the next number is agreed on.
            (self.client, self.beats) = (Some(kept.client(&ground.resolver)?), 0);
        }
        self.to.send_replace(Some(kept.clone()));
        let Some(client) = &mut self.client else {
            return Ok(None);
        };
        if kept.state == State::Pending {
            self.asked = self.asked.saturating_add(1);
            let pause = if self.asked < FIRST { ASK_SOON } else { ASK_AGAIN };
            return kept.ask(ground, client, pause).await.map(Some);
        }
        if let Some((begins, expires)) = kept.validity()? {
            let now = ground.clock.now();
            if now >= expires {
                return Err(Error::new(
                    Kind::Refused,
                    "enrolment",
                    format!("the node's certificate ended on {expires}: enrol the node anew"),
                ));
            }
            let pause = if self.renew { RENEW_AGAIN } else { RENEW_EVERY };
            let may_renew = self.renewed.is_none_or(|at| at.elapsed() >= pause);
            let grows_old = expires.since(now) < expires.since(begins) / 3;
            if may_renew && (self.renew || grows_old || !kept.is_for_peers()?) {
                // A server that doesn't renew is spoken with nevertheless.
                self.renewed = Some(Instant::now());
                return kept.renew(ground, client).await.map(Some);
            }
        }
        let agree = self.beats.is_multiple_of(AGREE_EVERY);
        let start = Instant::now();
        let Some(beat) = kept.beat(ground, client, agree).await? else {
            return Ok(Some(Duration::ZERO));
        };
        self.beats += 1;
        self.renew = beat.renew;
        ground.link.spoke(ground.clock.now());
        if let Some(push) = &beat.configuration {
            let mut db = ground.database.begin().await?;
            let followed = Own::follow(&mut db, push).await?;
            db.commit().await?;
            if let Some(own) = followed {
                match &own.refused {
                    None => log::info("the server's configuration is in effect"),
                    Some(reason) => {
                        log::warn(format_args!("the server's configuration is refused: {reason}"))
                    }
                }
                ground.settings.send_replace(own.settings);
            }
        }
        self.work
            .follow(context, &own_connections(context, &self.to), &beat.tasks);
        // Whatever a server says, it isn't asked without a pause, nor forgotten.
        let interval = Duration::from_millis(beat.interval.clamp(1000, 600_000));
        let held = start.elapsed() + BREATH >= interval;
        let has_news = beat.configuration.is_some() || !beat.tasks.is_empty();
        Ok(Some(match agree || held || has_news {
            true => BREATH,
            // It was woken for nothing.
            false => interval
                .saturating_sub(start.elapsed())
                .min(Duration::from_secs(1)),
        }))
    }
}

/// Reads the enrolment, and has other nodes know this one by it.
pub(super) async fn read(ground: &Ground) -> Result<Option<Kept>> {
    let mut db = ground.database.begin().await?;
    let kept = Kept::read(&mut db).await?;
    let basis = kept.as_ref().map(Kept::basis).transpose()?.flatten();
    if let Err(error) = ground.peering.take(basis) {
        log::error(format_args!("other nodes can't know this one: {}", error.chain()));
    }
    Ok(kept)
}

/// Makes connections of their own for those who tell how work goes.
fn own_connections(
    context: &Arc<Context>,
    to: &watch::Sender<Option<Kept>>,
) -> impl Fn() -> Result<Client> + Send + Sync + Clone + 'static {
    let (resolver, to) = (context.resolver(), to.subscribe());
    move || match to.borrow().as_ref() {
        Some(kept) => kept.client(&resolver),
        None => Err(Error::new(Kind::Unreachable, "the server", "there is none")),
    }
}

impl Kept {
    /// How the request stands.
    async fn ask(&self, ground: &Ground, client: &mut Client, pause: Duration) -> Result<Duration> {
        let path = format!("/api/v1/enrolments/{}", self.node);
        let poll = Secret::shown(&self.poll);
        let answer = client.ask(Method::GET, &path, Some(&poll), None::<&()>).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return self.end(ground, State::Revoked, refusal::FORGOTTEN).await;
        }
        if !answer.status.is_success() {
            let reason = format!(
                "doesn't say how the request stands: {}",
                refusal::told(&answer.code())
            );
            return Err(Error::new(Kind::Refused, "the server", reason));
        }
        let standing: Standing = answer.json()?;
        ground.link.spoke(ground.clock.now());
        if standing.state == State::Revoked {
            return self.end(ground, State::Revoked, refusal::REFUSED).await;
        }
        if let Some(certificate) = standing.certificate.filter(|_| standing.state == State::Active) {
            let taken = Self {
                state: State::Active,
                certificate: Some(certificate),
                ..self.clone()
            };
            // One that can't be read is refused here, and not kept.
            taken.client(&ground.resolver)?;
            taken.validity()?;
            taken.keep(ground, self).await?;
            log::info(format_args!("enrolled node={}", self.node));
            return Ok(Duration::ZERO);
        }
        Ok(pause)
    }

    /// Tells that the node lives; nothing where the server no longer takes it.
    async fn beat(&self, ground: &Ground, client: &mut Client, agree: bool) -> Result<Option<Beat>> {
        let mut own = self.clone();
        // A number that was asked for is asked for again until there is an answer.
        let advance = agree || self.nonce.is_some();
        if advance && self.nonce.is_none() {
            own.nonce = Some(Uuid::new_v4().to_string());
            own.keep(ground, self).await?;
        }
        let report = Own::read(&mut ground.database.begin().await?).await?.report();
        let wait = match advance {
            true => 0,
            false => u32::try_from(HEARTBEAT.as_millis()).unwrap_or_default(),
        };
        let sign = Heartbeat {
            counter: own.counter,
            advance,
            nonce: own.nonce.clone().unwrap_or_default(),
            version: PROGRAM_VERSION.to_owned(),
            configuration: report,
            authorities: own.authorities.clone(),
            wait,
            endpoint: ground.settings.borrow().peer_endpoint(),
            port: ground.peering.port(),
        };
        let answer = client
            .ask(Method::POST, "/api/v1/heartbeats", None, Some(&sign))
            .await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => {
                let code = answer.code();
                let Some((state, reason)) = refusal::sent_away(&code) else {
                    // A clock that is put right, or the next connection, may change it.
                    let reason = format!("doesn't take this node just now: {}", refusal::told(&code));
                    return Err(Error::new(Kind::Refused, "the server", reason));
                };
                own.end(ground, state, reason).await?;
                return Ok(None);
            }
            other => {
                let reason = format!("answers {other}: {}", refusal::told(&answer.code()));
                return Err(Error::new(Kind::Refused, "the server", reason));
            }
        }
        let beat: Beat = answer.json()?;
        let mut agreed = own.clone();
        if advance {
            (agreed.counter, agreed.nonce) = (beat.counter, None);
        }
        agreed.believe(&beat.authorities, &beat.certificates);
        if agreed != own {
            agreed.keep(ground, &own).await?;
        }
        Ok(Some(beat))
    }

    /// Asks for the next certificate, for another key.
    async fn renew(&self, ground: &Ground, client: &mut Client) -> Result<Duration> {
        let mut own = self.clone();
        let key = match &self.next {
            Some(key) => key.clone(),
            None => {
                let key = Key::new()?;
                own.next = Some(key.clone());
                own.keep(ground, self).await?;
                key
            }
        };
        let body = json!({ "request": key.request()? });
        let answer = client
            .ask(Method::POST, "/api/v1/certificates", None, Some(&body))
            .await?;
        if answer.status != StatusCode::CREATED {
            let reason = format!("doesn't renew the certificate: {}", refusal::told(&answer.code()));
            return Err(Error::new(Kind::Refused, "the server", reason));
        }
        let standing: Standing = answer.json()?;
        let renewed = Self {
            key,
            certificate: standing.certificate,
            next: None,
            ..own.clone()
        };
        renewed.client(&ground.resolver)?;
        renewed.validity()?;
        renewed.keep(ground, &own).await?;
        log::info("the node's certificate is renewed");
        Ok(Duration::ZERO)
    }

    /// Has done with a server that no longer takes the node; why is kept, for it isn't asked again.
    async fn end(&self, ground: &Ground, state: State, why: &str) -> Result<Duration> {
        let ended = Self {
            state,
            reason: Some(why.to_owned()),
            ..self.clone()
        };
        ended.keep(ground, self).await?;
        log::error(format_args!(
            "the server no longer takes this node: {state}: {why}"
        ));
        Ok(ASK_AGAIN)
    }
}
