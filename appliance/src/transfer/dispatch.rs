//! Carries out what follows from the steps of transfers: orders for nodes, grants, receipts, entries of the audit log. All of it
//! is done in the transaction of what caused it, so that a server which is killed goes on from its tables; what is outside of
//! them, nodes that wait for news and people who look, is told after the commit.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::{Row as _, Sqlite, Transaction};
use uuid::Uuid;

use super::life::{self, Event, State};
use super::order::{Found, Tried};
use super::subscription::Subscription;
use super::wish::PARALLEL;
use super::{
    Grant, Outcome, Outreach, Party, Phase, Purpose, Refusal, Route, Row, Signed, Told, Wish, choice, floors,
    vouching,
};
use crate::audit::{self, Deed};
use crate::authority::Keys;
use crate::clock::Moment;
use crate::database::{set, setting};
use crate::error::{Error, Kind as Fault, Result};
use crate::node::News;
use crate::service::Ground;
use crate::task::{Kind, Stage, Task};

/// How long a grant is good.
const GOOD: std::time::Duration = std::time::Duration::from_hours(7 * 24);
/// Unfinished tasks of a node above which transfers wait, so that people can order theirs.
const ROOM: i64 = 32;
/// Transfers of a tenant that have not ended; more are not taken.
const OPEN: i64 = 5000;
/// Counts the grants.
const GRANTS: &str = "grants";
/// Who acts where nobody else does.
const SERVER: &str = "server";

/// Steps of transfers in one transaction, and whom they concern.
#[derive(Debug)]
pub struct Dispatch<'a> {
    pub(super) keys: &'a Keys,
    pub(super) news: News<'a>,
    woken: BTreeSet<String>,
    moved: Vec<Row>,
    changed: Vec<Subscription>,
}

/// Who orders a transfer, whose, and when it is to begin.
#[derive(Debug, Clone, Copy)]
pub struct Ordered<'a> {
    /// Who.
    pub actor: &'a str,
    /// The tenant whose it is.
    pub tenant: Option<&'a str>,
    /// When; now, if not.
    pub starts: Option<Moment>,
    /// The subscription that it follows from.
    pub subscription: Option<&'a str>,
}

impl<'a> Dispatch<'a> {
    /// Nothing has happened yet.
    pub fn new(keys: &'a Keys, news: News<'a>) -> Self {
        Self {
            keys,
            news,
            woken: BTreeSet::new(),
            moved: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Tells whoever waits, after the commit.
    pub fn tell(self, ground: &Ground) {
        for node in &self.woken {
            ground.nudges.wake(node);
        }
        for row in &self.moved {
            let data = row.told(self.news.now).without_signature();
            let tenant = data.tenant.clone();
            ground
                .events
                .tell_to("transfer", &row.id, tenant, &data, self.news.now);
        }
        for changed in &self.changed {
            let tenant = changed.tenant.clone();
            ground
                .events
                .tell_to("subscription", &changed.id, tenant, changed, self.news.now);
        }
    }

    /// Notes that a node has news.
    pub(super) fn wake(&mut self, node: &str) {
        self.woken.insert(node.to_owned());
    }

    /// Orders a transfer.
    ///
    /// # Errors
    /// [`Fault::Ceiling`] where too many of the tenant's have not ended.
    pub async fn order(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        wish: Wish,
        ordered: Ordered<'_>,
    ) -> Result<Row> {
        let now = self.news.now;
        let open =
            "SELECT COUNT(*) AS many FROM transfers WHERE ended IS NULL AND tenant IS NOT DISTINCT FROM $1";
        let open = sqlx::query(open)
            .bind(ordered.tenant)
            .fetch_one(&mut **db)
            .await?;
        if open.get::<i64, _>("many") >= OPEN {
            return Err(Error::new(Fault::Ceiling, "transfers", "too many have not ended"));
        }
        let starts = ordered.starts.unwrap_or(now).max(now);
        let tenant = ordered.tenant.map(str::to_owned);
        let mut row = Row::new(wish, tenant, ordered.actor, starts, now);
        row.subscription = ordered.subscription.map(str::to_owned);
        record(db, &row, ordered.actor, "transfer.create", "done", now).await?;
        if starts <= now {
            self.step(&mut row, Event::Due);
            self.go_on(db, &mut row).await?;
        }
        self.keep(db, row).await
    }

    /// Wants one stopped. What a destination has in hand goes on until it has stopped, or is done before.
    ///
    /// # Errors
    /// [`Fault::Taken`] where it has ended.
    pub async fn cancel(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        mut row: Row,
        actor: &str,
    ) -> Result<Row> {
        if row.state.has_ended() {
            return Err(Error::new(
                Fault::Taken,
                "transfers",
                format!("it is {}", row.state),
            ));
        }
        record(db, &row, actor, "transfer.cancel", "done", self.news.now).await?;
        row.cancel = true;
        let has_stopped = match &row.task {
            Some(task) => self.stop(db, task).await? == Some(Stage::Cancelled),
            None => true,
        };
        let event = if has_stopped {
            Event::Stopped
        } else {
            Event::Cancel
        };
        if self.step(&mut row, event) {
            self.leave(db, &mut row).await?;
        }
        self.keep(db, row).await
    }

    /// Begins one again that has ended without success, with another grant; one that was to be moved, with its release.
    ///
    /// # Errors
    /// [`Fault::Taken`] where there is nothing to begin again.
    pub async fn retry(&mut self, db: &mut Transaction<'_, Sqlite>, row: Row, actor: &str) -> Result<Row> {
        let is_kept = row.state == State::Published && row.wish.moves && row.released == Some(false);
        let mut row = match is_kept {
            true => Row {
                released: None,
                message: String::new(),
                task: None,
                ..row
            },
            false => {
                let Some(state) = life::next(row.state, Event::Retry) else {
                    return Err(Error::new(
                        Fault::Taken,
                        "transfers",
                        format!("it is {}", row.state),
                    ));
                };
                Row {
                    state,
                    ..row.anew(self.news.now)
                }
            }
        };
        record(db, &row, actor, "transfer.retry", "done", self.news.now).await?;
        self.go_on(db, &mut row).await?;
        self.keep(db, row).await
    }

    /// Takes what a task's progress means for the transfer that waits for it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn hear(&mut self, db: &mut Transaction<'_, Sqlite>, task: &Task) -> Result<()> {
        let Some(mut row) = Row::of_task(db, &task.id).await? else {
            return self.hear_of_subscription(db, task).await;
        };
        match task.kind {
            Kind::Offer if row.state == State::Requested && task.state.has_ended() => {
                row.task = None;
                self.hear_of_offer(db, &mut row, task).await?;
            }
            Kind::Receive if row.state.is_at_destination() => {
                self.hear_of_receipt(db, &mut row, task).await?
            }
            Kind::Release if row.waits_for_release() && task.state.has_ended() => {
                row.task = None;
                row.message.clone_from(&task.message);
                self.has_released(db, &mut row, task.state == Stage::Done).await?;
            }
            _ => return Ok(()),
        }
        self.keep(db, row).await?;
        Ok(())
    }

    async fn hear_of_offer(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        row: &mut Row,
        task: &Task,
    ) -> Result<()> {
        match task.state {
            Stage::Done => {}
            Stage::Cancelled => return self.has_stopped(db, row).await,
            _ => return self.fail(db, row, task.message.clone()).await,
        }
        let found = task.result.clone().map(serde_json::from_value::<Found>);
        let is_asked = |found: &Found| {
            let wanted = row.wish.version.as_ref();
            wanted.is_none_or(|wanted| *wanted == found.label) && i64::try_from(found.bytes).is_ok()
        };
        let Some(found) = found.and_then(|found| found.ok().filter(is_asked)) else {
            let message = "the source's answer is not about the version that was asked for";
            return self.fail(db, row, message.to_owned()).await;
        };
        row.total = i64::try_from(found.bytes).unwrap_or(i64::MAX);
        row.found = Some(found);
        row.message = String::new();
        let event = if row.wish.dry_run {
            Event::Shown
        } else {
            Event::Granted
        };
        self.step(row, event);
        self.go_on(db, row).await
    }

    async fn hear_of_receipt(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        row: &mut Row,
        task: &Task,
    ) -> Result<()> {
        let told = task.result.clone().map(serde_json::from_value::<Told>);
        let mut told = told.and_then(std::result::Result::ok);
        let receipt = told.as_mut().and_then(|told| told.receipt.take());
        let phase = told.as_ref().map(|told| told.phase);
        row.done = task.done.clamp(0, row.total);
        row.message.clone_from(&task.message);
        if told.is_some() {
            row.told = told;
        }
        match (task.state, phase) {
            (Stage::Queued | Stage::Running, phase) => {
                if let Some(phase) = phase {
                    self.step(row, Event::Told(phase));
                }
                if row.begun.is_none() && row.state > State::Granted {
                    row.begun = Some(self.news.now);
                }
                Ok(())
            }
            (Stage::Done, _) => self.take_receipt(db, row, receipt).await,
            (Stage::Cancelled, _) => self.has_stopped(db, row).await,
            (Stage::Failed, Some(Phase::Unreachable)) if row.cancel => self.has_stopped(db, row).await,
            (Stage::Failed, Some(Phase::Unreachable)) => {
                if let Some(route) = row.route.take() {
                    let reason = task.message.clone();
                    row.tried.push(Tried { route, reason });
                }
                row.task = None;
                if let Some(reach) = row.reach.take() {
                    self.stop(db, &reach).await?;
                }
                self.go_on(db, row).await
            }
            (Stage::Failed, _) => self.fail(db, row, task.message.clone()).await,
        }
    }

    async fn take_receipt(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        row: &mut Row,
        receipt: Option<Signed>,
    ) -> Result<()> {
        let now = self.news.now;
        let none = || "it has ended, and shows no receipt".to_owned();
        let checked = match &receipt {
            Some(signed) => vouching::check(row, signed, self.keys, now),
            None => Err(none()),
        };
        let receipt = match checked {
            Ok(checked) => receipt.zip(Some(checked)),
            Err(reason) => {
                let refusal = Refusal::new(vouching::WRONG, reason);
                let message = refusal.to_string();
                let told = row.told.take().unwrap_or_else(|| Told::at(Phase::Granted));
                row.told = Some(Told {
                    refusal: Some(refusal),
                    ..told
                });
                return self.fail(db, row, message).await;
            }
        };
        let Some((signed, receipt)) = receipt else {
            return Ok(());
        };
        self.step(row, Event::Vouched(receipt.outcome));
        let action = match receipt.outcome {
            Outcome::Published => "transfer.publish",
            Outcome::Rejected => "transfer.reject",
        };
        let deed = Deed {
            actor: &row.wish.destination.name,
            tenant: row.tenant.as_deref(),
            action,
            object: &format!("{} receipt {}", row.id, signed.digest(Purpose::Receipt)?),
            outcome: "done",
        };
        audit::record(db, deed, now).await?;
        if let Some(told) = &mut row.told {
            told.refusal = receipt.refusal;
        }
        row.receipt = Some(signed);
        row.task = None;
        self.leave(db, row).await?;
        if receipt.outcome == Outcome::Published {
            row.done = row.total;
            if let Some(found) = &row.found {
                let destination = &row.wish.destination;
                floors::raise(db, &destination.node, &destination.place, &found.label).await?;
            }
            self.go_on(db, row).await?;
        }
        Ok(())
    }

    /// Orders what comes next, as far as its node has room for it; otherwise it waits, and is looked at again.
    async fn go_on(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        match row.state {
            State::Requested if row.task.is_none() => self.ask_source(db, row).await,
            State::Granted | State::Receiving | State::Verified | State::Imported if row.task.is_none() => {
                self.set_out(db, row).await
            }
            State::Published if row.waits_for_release() && row.task.is_none() => self.release(db, row).await,
            _ => Ok(()),
        }
    }

    async fn ask_source(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        let source = &row.wish.source;
        let mut details = json!({ "transfer": row.id, "place": source.place });
        if let (Some(version), Some(details)) = (&row.wish.version, details.as_object_mut()) {
            details.insert("version".to_owned(), json!(version));
        }
        let node = source.node.clone();
        row.task = self.task(db, &node, Kind::Offer, &details, &row.actor).await?;
        Ok(())
    }

    /// Takes the next way there is.
    async fn set_out(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        let route = match row.route.take() {
            Some(route) => Some(route),
            None => choice::choose(db, row, self.news).await?,
        };
        let (source, destination) = (row.wish.source.node.clone(), row.wish.destination.node.clone());
        let Some(route) = route else {
            let why = match row.tried.is_empty() {
                true => "no way is known: no node that could be reached has told where",
                false => "none of the ways has worked",
            };
            let message = format!(
                "{why} (from {} to {})",
                row.wish.source.name, row.wish.destination.name
            );
            return self.fail(db, row, message).await;
        };
        let reach = match &route {
            Route::Direct { .. } => None,
            Route::Reversed {} => choice::endpoint(db, &destination)
                .await?
                .map(|endpoint| Outreach::Reversed { endpoint }),
            Route::Relay { node, endpoint } => Some(Outreach::Relay {
                node: *node,
                endpoint: endpoint.clone(),
            }),
        };
        let grant = self.grant(db, row, &route).await?;
        row.route = Some(route.clone());
        let parallel = row.wish.parallel.unwrap_or(PARALLEL);
        // Both, or none yet.
        if !self.has_room(db, &destination).await? || (reach.is_some() && !self.has_room(db, &source).await?)
        {
            return Ok(());
        }
        let mut details = json!({ "grant": grant, "route": route, "parallel": parallel });
        if let Some(details) = details.as_object_mut() {
            details.extend(row.wish.rate.map(|rate| ("rate".to_owned(), json!(rate))));
            details.extend(row.wish.window.map(|window| ("window".to_owned(), json!(window))));
        }
        if let Some(reach) = reach {
            let details = json!({ "grant": grant, "route": reach, "streams": parallel });
            row.reach = self.task(db, &source, Kind::Reach, &details, &row.actor).await?;
        }
        row.task = self
            .task(db, &destination, Kind::Receive, &details, &row.actor)
            .await?;
        Ok(())
    }

    /// The grant for a way: the one there is, unless another node is to pass the bytes on.
    async fn grant(&self, db: &mut Transaction<'_, Sqlite>, row: &mut Row, route: &Route) -> Result<Signed> {
        let relay = match route {
            Route::Relay { node, .. } => Some(*node),
            Route::Direct { .. } | Route::Reversed {} => None,
        };
        if let Some(signed) = &row.grant {
            let grant: Grant = signed.read(Purpose::Grant)?;
            if relay.is_none() || grant.relay == relay {
                return Ok(signed.clone());
            }
        }
        let broken = |what: &str| Error::new(Fault::StateCorrupt, "transfers", format!("{what} is damaged"));
        let id = |text: &str| text.parse::<Uuid>().map_err(|_| broken("an id"));
        let found = row.found.clone().ok_or_else(|| broken("an offer"))?;
        let (now, destination) = (self.news.now, &row.wish.destination);
        let last = setting(db, GRANTS).await?.and_then(|number| number.parse().ok());
        let number = last.unwrap_or(0_i64).saturating_add(1);
        set(db, GRANTS, &number.to_string()).await?;
        let party = |end: &super::End| {
            let node = id(&end.node)?;
            let (cloud, place) = (end.cloud.clone(), end.place.clone());
            Ok::<_, Error>(Party { node, cloud, place })
        };
        let grant = Grant {
            transfer: id(&row.id)?,
            number,
            source: party(&row.wish.source)?,
            destination: party(destination)?,
            version: found.version,
            label: found.label.to_string(),
            kind: found.kind,
            digest: found.digest,
            bytes: found.bytes,
            floor: floors::of(db, &destination.node, &destination.place).await?,
            relay,
            moves: row.wish.moves,
            subscription: row.subscription.as_deref().map(id).transpose()?,
            issued: now,
            expires: now.after(GOOD),
        };
        let authority = &self.keys.current;
        let signed = Signed::new(Purpose::Grant, &grant, authority.certificate(), |bytes| {
            authority.sign(bytes)
        })?;
        row.number = Some(number);
        row.grant = Some(signed.clone());
        Ok(signed)
    }

    async fn release(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        let details = json!({ "grant": row.grant, "receipt": row.receipt });
        let source = row.wish.source.node.clone();
        row.task = self
            .task(db, &source, Kind::Release, &details, &row.actor)
            .await?;
        Ok(())
    }

    async fn has_released(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        row: &mut Row,
        released: bool,
    ) -> Result<()> {
        row.released = Some(released);
        let outcome = if released { "done" } else { "refused" };
        let actor = row.wish.source.name.clone();
        record(db, row, &actor, "transfer.release", outcome, self.news.now).await
    }

    async fn has_stopped(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        if !row.cancel {
            record(db, row, SERVER, "transfer.cancel", "done", self.news.now).await?;
        }
        self.step(row, Event::Stopped);
        self.leave(db, row).await
    }

    async fn fail(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row, message: String) -> Result<()> {
        if !self.step(row, Event::Broke) {
            return Ok(());
        }
        row.message = message;
        record(db, row, SERVER, "transfer.fail", "refused", self.news.now).await?;
        self.leave(db, row).await
    }

    /// Takes back what is still ordered for one that has ended.
    async fn leave(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        for task in [row.task.take(), row.reach.take()].into_iter().flatten() {
            self.stop(db, &task).await?;
        }
        Ok(())
    }

    /// Has a task stopped; how far it is then.
    pub(super) async fn stop(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        task: &str,
    ) -> Result<Option<Stage>> {
        let now = self.news.now;
        let Some(task) = Task::find(db, task, now).await? else {
            return Ok(None);
        };
        if task.state.has_ended() {
            return Ok(Some(task.state));
        }
        self.wake(&task.node);
        Ok(Some(task.cancel(db, now).await?.state))
    }

    fn step(&self, row: &mut Row, event: Event) -> bool {
        let Some(state) = life::next(row.state, event) else {
            return false;
        };
        row.state = state;
        row.ended = state.has_ended().then_some(self.news.now);
        true
    }

    async fn keep(&mut self, db: &mut Transaction<'_, Sqlite>, mut row: Row) -> Result<Row> {
        row.write(db).await?;
        self.moved.retain(|moved| moved.id != row.id);
        self.moved.push(row.clone());
        Ok(row)
    }

    /// Writes a subscription down.
    pub(super) async fn keep_subscription(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        mut subscription: Subscription,
    ) -> Result<Subscription> {
        subscription.write(db).await?;
        self.changed.retain(|changed| changed.id != subscription.id);
        self.changed.push(subscription.clone());
        Ok(subscription)
    }

    async fn has_room(&self, db: &mut Transaction<'_, Sqlite>, node: &str) -> Result<bool> {
        let row = sqlx::query("SELECT COUNT(*) AS many FROM tasks WHERE node = $1 AND ended IS NULL")
            .bind(node)
            .fetch_one(&mut **db)
            .await?;
        Ok(row.get::<i64, _>("many") < ROOM)
    }

    /// Orders a task, if its node has room for it.
    pub(super) async fn task(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        node: &str,
        kind: Kind,
        details: &Value,
        actor: &str,
    ) -> Result<Option<String>> {
        if !self.has_room(db, node).await? {
            return Ok(None);
        }
        let task = Task::order(db, node, kind, Some(details), actor, self.news.now).await?;
        self.wake(node);
        Ok(Some(task.id))
    }
}

impl Dispatch<'_> {
    /// Looks after those that wait for a time, for room, or for a node that is gone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn look(&mut self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let gone = "SELECT transfers.id, nodes.name FROM nodes JOIN transfers ON nodes.id IN (source, destination) \
                    WHERE nodes.state = 'REVOKED' AND (transfers.ended IS NULL OR (moves = 1 AND released IS NULL \
                    AND transfers.state = 'PUBLISHED' AND nodes.id = source)) LIMIT 100";
        for one in sqlx::query(gone).fetch_all(&mut **db).await? {
            let (id, name): (String, String) = (one.get("id"), one.get("name"));
            let Some(mut row) = Row::of_id(db, &id).await? else {
                continue;
            };
            let message = format!("{name} is no longer one of the server's nodes");
            if row.waits_for_release() {
                self.leave(db, &mut row).await?;
                row.message = message;
                self.has_released(db, &mut row, false).await?;
            } else {
                self.fail(db, &mut row, message).await?;
            }
            self.keep(db, row).await?;
        }
        // Nodes that have no room are left out, so that nobody waits behind those who wait for them.
        let waiting = "WITH busy AS (SELECT node FROM tasks WHERE ended IS NULL GROUP BY node HAVING COUNT(*) >= $2) \
                       SELECT id, starts FROM transfers WHERE ended IS NULL AND starts <= $1 AND task IS NULL \
                       AND source NOT IN (SELECT node FROM busy) AND destination NOT IN (SELECT node FROM busy) \
                       UNION ALL SELECT id, starts FROM transfers WHERE moves = 1 AND released IS NULL AND state = 'PUBLISHED' \
                       AND task IS NULL AND source NOT IN (SELECT node FROM busy) ORDER BY starts LIMIT 100";
        let rows = sqlx::query(waiting)
            .bind(self.news.now.0)
            .bind(ROOM)
            .fetch_all(&mut **db)
            .await?;
        for one in rows {
            let id: String = one.get("id");
            let Some(before) = Row::of_id(db, &id).await? else {
                continue;
            };
            let mut row = before.clone();
            self.step(&mut row, Event::Due);
            self.go_on(db, &mut row).await?;
            if row != before {
                self.keep(db, row).await?;
            }
        }
        self.look_at_subscriptions(db).await
    }
}

pub(super) async fn record(
    db: &mut Transaction<'_, Sqlite>,
    row: &Row,
    actor: &str,
    action: &str,
    outcome: &str,
    now: Moment,
) -> Result<()> {
    let deed = Deed {
        actor,
        tenant: row.tenant.as_deref(),
        action,
        object: &row.id,
        outcome,
    };
    audit::record(db, deed, now).await
}
