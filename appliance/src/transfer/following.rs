//! Following a catalog: a look at it every so often, a transfer for each item that is another than what came last, and the removal of
//! what is not to stay. A look is a round of questions to the source, page by page; each step is done in the transaction of the
//! answer that caused it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::subscription::{Followed, Keep, Shelf, Subscription};
use super::wish::{End, Way, Wish};
use super::{Dispatch, Ordered, Place, Row, State};
use crate::access::Name;
use crate::audit::{self, Deed};
use crate::catalog::{Label, Sort};
use crate::digest::Digest;
use crate::error::{Error, Kind as Fault, Result};
use crate::task::{Kind, Stage, Task};

/// One that failed rests so long before it is tried again, unless somebody asks for it.
const REST: Duration = Duration::from_mins(15);
/// Items that a subscription follows; more are not looked at.
const MOST: i64 = 20_000;
/// The longest mark at which a source's answer goes on.
const MARK: usize = 256;

/// What a source says that a catalog offers.
#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Offered>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Offered {
    item: Name,
    #[expect(dead_code, reason = "it has to be there, and the grant has the offer's")]
    kind: Sort,
    #[serde(alias = "label")]
    version: Label,
    digest: Digest,
}

/// An item that a subscription has met.
struct Met {
    item: Name,
    label: Label,
    digest: Digest,
    /// None stands while it is removed.
    transfer: Option<String>,
    /// Something is being removed.
    is_tidied: bool,
}

impl Met {
    fn read(row: &SqliteRow) -> Result<Self> {
        let broken = || Error::new(Fault::StateCorrupt, "followed", "an item is damaged");
        let text = |column: &str| row.get::<String, _>(column);
        Ok(Self {
            item: text("item").try_into().map_err(|_| broken())?,
            label: text("label").try_into().map_err(|_| broken())?,
            digest: text("digest").parse().map_err(|_| broken())?,
            transfer: row.get("transfer"),
            is_tidied: row.get::<Option<&str>, _>("task").is_some(),
        })
    }
}

impl Dispatch<'_> {
    /// Makes a subscription, and has the source looked at.
    ///
    /// # Errors
    /// [`Fault::Ceiling`] where the tenant has too many; [`Fault::Taken`] where one does the same.
    pub async fn subscribe(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        wish: Followed,
        tenant: Option<&str>,
        actor: &str,
    ) -> Result<Subscription> {
        let mut made = Subscription::create(db, wish, tenant, actor, self.news.now).await?;
        self.note(db, &made, actor, "subscription.create").await?;
        self.ask(db, &mut made).await?;
        self.keep_subscription(db, made).await
    }

    /// Looks now, and tries also what was refused.
    ///
    /// # Errors
    /// The database fails.
    pub async fn sync(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        mut subscription: Subscription,
        actor: &str,
    ) -> Result<Subscription> {
        self.note(db, &subscription, actor, "subscription.sync").await?;
        subscription.forced = true;
        if subscription.task.is_none() && subscription.after.is_none() {
            subscription.due = self.news.now;
            self.ask(db, &mut subscription).await?;
        }
        self.keep_subscription(db, subscription).await
    }

    /// Follows no more; what is under way is stopped, and what came is removed where that is asked for: by the task that is given.
    ///
    /// # Errors
    /// [`Fault::Ceiling`] where the destination has too much before it.
    pub async fn unsubscribe(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        subscription: &Subscription,
        removes: bool,
        actor: &str,
    ) -> Result<Option<Task>> {
        self.note(db, subscription, actor, "subscription.delete").await?;
        if let Some(task) = &subscription.task {
            self.stop(db, task).await?;
        }
        let open = sqlx::query("SELECT id FROM transfers WHERE subscription = $1 AND ended IS NULL")
            .bind(&subscription.id)
            .fetch_all(&mut **db)
            .await?;
        for one in open {
            if let Some(row) = Row::of_id(db, one.get("id")).await? {
                self.cancel(db, row, actor).await?;
            }
        }
        subscription.delete(db).await?;
        if !removes {
            return Ok(None);
        }
        let node = &subscription.wish.destination.node;
        let details = json!({ "subscription": subscription.id });
        let task = Task::order(db, node, Kind::Withdraw, Some(&details), actor, self.news.now).await?;
        self.wake(node);
        Ok(Some(task))
    }

    /// Has the sources asked whose time has come.
    pub(super) async fn look_at_subscriptions(&mut self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        for mut subscription in Subscription::due(db, self.news.now).await? {
            self.ask(db, &mut subscription).await?;
            if subscription.task.is_some() {
                self.keep_subscription(db, subscription).await?;
            }
        }
        Ok(())
    }

    /// Takes a source's answer, or what became of a removal.
    pub(super) async fn hear_of_subscription(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        task: &Task,
    ) -> Result<()> {
        if !task.state.has_ended() {
            return Ok(());
        }
        match task.kind {
            Kind::Browse => self.hear_of_catalog(db, task).await,
            Kind::Withdraw => hear_of_removal(db, task).await,
            _ => Ok(()),
        }
    }

    /// Asks for the next page, if the source has room for the question.
    async fn ask(&mut self, db: &mut Transaction<'_, Sqlite>, subscription: &mut Subscription) -> Result<()> {
        let source = &subscription.wish.source;
        let mut details = json!({ "catalog": source.catalog });
        if let Some(details) = details.as_object_mut() {
            let tenant = source.tenant.as_ref().map(|tenant| json!(tenant));
            details.extend(tenant.map(|tenant| ("tenant".to_owned(), tenant)));
            let after = subscription.after.as_ref().map(|after| json!(after));
            details.extend(after.map(|after| ("after".to_owned(), after)));
        }
        let (node, actor) = (source.node.clone(), subscription.actor.clone());
        let task = self.task(db, &node, Kind::Browse, &details, &actor).await?;
        if task.is_some() && subscription.after.is_none() {
            subscription.round = subscription.round.saturating_add(1);
            (subscription.forcing, subscription.forced) = (subscription.forced, false);
        }
        subscription.task = task;
        Ok(())
    }

    async fn hear_of_catalog(&mut self, db: &mut Transaction<'_, Sqlite>, task: &Task) -> Result<()> {
        let Some(mut subscription) = Subscription::of_task(db, &task.id).await? else {
            return Ok(());
        };
        subscription.task = None;
        let page = match (
            task.state,
            task.result.clone().map(serde_json::from_value::<Page>),
        ) {
            (Stage::Done, Some(Ok(page))) => Ok(page),
            (Stage::Done, Some(Err(error))) => Err(format!("the source's answer is not understood: {error}")),
            (Stage::Done, None) => Err("the source's answer is empty".to_owned()),
            _ => Err(task.message.clone()),
        };
        let taken = match page {
            Ok(page) => self.take_page(db, &subscription, page).await?,
            Err(reason) => Err(reason),
        };
        match taken {
            // A source that goes in circles comes to the end of what is followed.
            Ok(Some(next)) => {
                subscription.after = Some(next);
                self.ask(db, &mut subscription).await?;
            }
            Ok(None) => {
                self.tidy(db, &subscription).await?;
                let many = sqlx::query(
                    "SELECT COUNT(*) AS many FROM followed WHERE subscription = $1 AND round = $2",
                )
                .bind(&subscription.id)
                .bind(subscription.round)
                .fetch_one(&mut **db)
                .await?;
                subscription.looked = Some(self.news.now);
                self.rest(
                    &mut subscription,
                    format!("{} items are followed", many.get::<i64, _>("many")),
                );
            }
            Err(reason) => self.rest(&mut subscription, reason),
        }
        self.keep_subscription(db, subscription).await?;
        Ok(())
    }

    /// Until the next round.
    fn rest(&self, subscription: &mut Subscription, message: String) {
        let every = Duration::from_secs(u64::from(subscription.wish.every));
        subscription.message = message.chars().take(500).collect();
        subscription.after = None;
        subscription.due = match subscription.forced {
            true => self.news.now,
            false => self.news.now.after(every),
        };
    }

    /// Takes a page; gives where the next begins, or why the round ends before its end.
    async fn take_page(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        subscription: &Subscription,
        page: Page,
    ) -> Result<Result<Option<String>, String>> {
        let known = sqlx::query("SELECT COUNT(*) AS many FROM followed WHERE subscription = $1")
            .bind(&subscription.id)
            .fetch_one(&mut **db)
            .await?;
        if known.get::<i64, _>("many") >= MOST {
            return Ok(Err(format!("the catalog has more than {MOST} items")));
        }
        let goes_on = page.next.as_ref().is_some_and(|next| {
            // Each page begins after the one before: nothing leads in circles.
            let is_after = subscription.after.as_ref().is_none_or(|after| next > after);
            next.len() <= MARK && !page.items.is_empty() && is_after
        });
        if page.next.is_some() && !goes_on {
            return Ok(Err("the source's answer goes on nowhere".to_owned()));
        }
        for offered in page.items {
            match self.follow(db, subscription, &offered).await {
                Ok(()) => {}
                Err(error) if error.kind() == Fault::Ceiling => {
                    return Ok(Err("too many transfers have not ended: the rest waits".to_owned()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(page.next))
    }

    /// Orders a transfer of an item where another version is to come.
    async fn follow(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        subscription: &Subscription,
        offered: &Offered,
    ) -> Result<()> {
        let statement = "UPDATE followed SET round = $1 WHERE subscription = $2 AND item = $3 RETURNING *";
        let met = sqlx::query(statement)
            .bind(subscription.round)
            .bind(&subscription.id)
            .bind(offered.item.as_str())
            .fetch_optional(&mut **db)
            .await?;
        let met = met.as_ref().map(Met::read).transpose()?;
        if met.as_ref().is_some_and(|met| met.is_tidied) {
            // What comes now could be taken for what is to go. The next round sees to it.
            return Ok(());
        }
        if let Some(Met {
            digest,
            transfer: Some(transfer),
            ..
        }) = &met
        {
            let last = Row::of_id(db, transfer).await?;
            let carried = last.as_ref().and_then(|last| last.found.as_ref());
            let is_the_same = carried.map_or(*digest, |found| found.digest) == offered.digest;
            match last {
                Some(last) if !last.state.has_ended() => return Ok(()),
                Some(last) if is_the_same && self.is_tried_again(&last, subscription.forcing) => {
                    self.retry(db, last, &subscription.actor).await?;
                    return Ok(());
                }
                _ if is_the_same => return Ok(()),
                _ => {}
            }
        }
        let wish = wish(&subscription.wish, offered);
        let ordered = Ordered {
            actor: &subscription.actor,
            tenant: subscription.tenant.as_deref(),
            starts: None,
            subscription: Some(&subscription.id),
        };
        let row = self.order(db, wish, ordered).await?;
        let statement = "INSERT INTO followed (subscription, item, label, digest, transfer, round, untidy) \
                         VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT (subscription, item) DO UPDATE SET \
                         label = excluded.label, digest = excluded.digest, transfer = excluded.transfer, untidy = 1";
        sqlx::query(statement)
            .bind(&subscription.id)
            .bind(offered.item.as_str())
            .bind(offered.version.as_str())
            .bind(offered.digest.to_string())
            .bind(&row.id)
            .bind(subscription.round)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// Whether the last transfer of what is still the same is begun again.
    fn is_tried_again(&self, last: &Row, forced: bool) -> bool {
        let has_rested = last.ended.is_none_or(|ended| self.news.now.since(ended) >= REST);
        match last.state {
            State::Failed => forced || has_rested,
            State::Rejected | State::Cancelled => forced,
            _ => false,
        }
    }

    /// Removes at the destination, at the end of a round, what vanished and older versions, where that is wanted.
    async fn tidy(&mut self, db: &mut Transaction<'_, Sqlite>, subscription: &Subscription) -> Result<()> {
        let wish = &subscription.wish;
        let statement = "SELECT * FROM followed WHERE subscription = $1 AND task IS NULL AND (($2 = 1 AND round < $3) \
                         OR ($4 = 1 AND untidy = 1 AND round = $3)) ORDER BY item";
        let rows = sqlx::query(statement)
            .bind(&subscription.id)
            .bind(i64::from(wish.mirror))
            .bind(subscription.round)
            .bind(i64::from(wish.keep == Keep::Current))
            .fetch_all(&mut **db)
            .await?;
        for row in rows {
            let (met, round) = (Met::read(&row)?, row.get::<i64, _>("round"));
            let last = match &met.transfer {
                Some(transfer) => Row::of_id(db, transfer).await?,
                None => None,
            };
            let has_vanished = round < subscription.round;
            match last {
                Some(last) if !last.state.has_ended() => {
                    if has_vanished {
                        self.cancel(db, last, &subscription.actor).await?;
                    }
                    // The next round sees what it came to.
                    continue;
                }
                Some(last) if !has_vanished && last.state != State::Published => continue,
                _ => {}
            }
            let place = place(&wish.destination, &met.item);
            let mut details = json!({ "subscription": subscription.id, "place": place });
            if let (Some(details), false) = (details.as_object_mut(), has_vanished) {
                details.insert("keep".to_owned(), json!(met.label));
            }
            let node = &wish.destination.node;
            let task = self
                .task(db, node, Kind::Withdraw, &details, &subscription.actor)
                .await?;
            let statement = "UPDATE followed SET task = $1, transfer = CASE WHEN $2 = 1 THEN NULL ELSE transfer END \
                             WHERE subscription = $3 AND item = $4";
            sqlx::query(statement)
                .bind(&task)
                .bind(i64::from(has_vanished && task.is_some()))
                .bind(&subscription.id)
                .bind(met.item.as_str())
                .execute(&mut **db)
                .await?;
        }
        Ok(())
    }

    async fn note(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        subscription: &Subscription,
        actor: &str,
        action: &str,
    ) -> Result<()> {
        let deed = Deed {
            actor,
            tenant: subscription.tenant.as_deref(),
            action,
            object: &subscription.id,
            outcome: "done",
        };
        audit::record(db, deed, self.news.now).await
    }
}

/// What was removed is met no more, or is tidy; what was not is tried in the next round.
async fn hear_of_removal(db: &mut Transaction<'_, Sqlite>, task: &Task) -> Result<()> {
    let statements: &[&'static str] = match task.state {
        Stage::Done => &[
            "DELETE FROM followed WHERE task = $1 AND transfer IS NULL",
            "UPDATE followed SET task = NULL, untidy = 0 WHERE task = $1",
        ],
        _ => &["UPDATE followed SET task = NULL WHERE task = $1"],
    };
    for statement in statements {
        sqlx::query(*statement).bind(&task.id).execute(&mut **db).await?;
    }
    Ok(())
}

fn place(shelf: &Shelf, item: &Name) -> Place {
    Place {
        tenant: shelf.tenant.clone(),
        catalog: shelf.catalog.clone(),
        item: item.clone(),
    }
}

fn wish(followed: &Followed, offered: &Offered) -> Wish {
    let end = |shelf: &Shelf| End {
        node: shelf.node.clone(),
        name: shelf.name.clone(),
        cloud: shelf.cloud.clone(),
        place: place(shelf, &offered.item),
    };
    Wish {
        source: end(&followed.source),
        destination: end(&followed.destination),
        version: Some(offered.version.clone()),
        moves: false,
        rate: followed.rate,
        parallel: followed.parallel,
        window: followed.window,
        way: Way::Auto,
        relay: None,
        dry_run: false,
    }
}
