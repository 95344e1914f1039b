//! What nodes tell of transfers: a source's offer, a destination's progress and its receipt.

use sqlx::{Sqlite, Transaction};

use super::dispatch::Dispatch;
use super::life::{Event, State};
use super::order::{Found, Tried};
use super::{Outcome, Phase, Purpose, Refusal, Row, Signed, Told, floors, vouching};
use crate::audit::{self, Deed};
use crate::error::Result;
use crate::task::{Kind, Stage, Task};

impl Dispatch<'_> {
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

    pub(super) async fn take_receipt(
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
}
