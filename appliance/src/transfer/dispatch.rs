//! Carries out what follows from the steps of transfers: orders for nodes, grants, receipts, entries of the audit log. What people
//! want is here, what nodes tell in `hearing`, what comes next in `proceeding`. All of it is done in the transaction of what caused it, so that a server which is killed goes on from its tables; what is outside of
//! them, nodes that wait for news and people who look, is told after the commit.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{Row as _, Sqlite, Transaction};

use super::life::{self, Event, State};
use super::subscription::Subscription;
use super::{Row, Wish};
use crate::audit::{self, Deed};
use crate::authority::Keys;
use crate::clock::Moment;
use crate::error::{Error, Kind as Fault, Result};
use crate::node::News;
use crate::service::Ground;
use crate::task::{Kind, Stage, Task};

/// Unfinished tasks of a node above which transfers wait, so that people can order theirs.
pub(super) const ROOM: i64 = 32;
/// Transfers of a tenant that have not ended; more are not taken.
const OPEN: i64 = 5000;
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

    pub(super) async fn has_released(
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

    pub(super) async fn has_stopped(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        row: &mut Row,
    ) -> Result<()> {
        if !row.cancel {
            record(db, row, SERVER, "transfer.cancel", "done", self.news.now).await?;
        }
        self.step(row, Event::Stopped);
        self.leave(db, row).await
    }

    pub(super) async fn fail(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        row: &mut Row,
        message: String,
    ) -> Result<()> {
        if !self.step(row, Event::Broke) {
            return Ok(());
        }
        row.message = message;
        record(db, row, SERVER, "transfer.fail", "refused", self.news.now).await?;
        self.leave(db, row).await
    }

    /// Takes back what is still ordered for one that has ended.
    pub(super) async fn leave(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
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

    pub(super) fn step(&self, row: &mut Row, event: Event) -> bool {
        let Some(state) = life::next(row.state, event) else {
            return false;
        };
        row.state = state;
        row.ended = state.has_ended().then_some(self.news.now);
        true
    }

    pub(super) async fn keep(&mut self, db: &mut Transaction<'_, Sqlite>, mut row: Row) -> Result<Row> {
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

    pub(super) async fn has_room(&self, db: &mut Transaction<'_, Sqlite>, node: &str) -> Result<bool> {
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
