//! Transfers, as their server has them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{End, Purpose, Receipt, Refusal, Route, Signed, State, Told, Wish};
use crate::access::Principal;
use crate::catalog::{Label, Sort};
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// What a source says that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// The version's id there.
    pub version: Uuid,
    /// What it is called.
    pub label: Label,
    /// What it is.
    pub kind: Sort,
    /// Its digest.
    pub digest: Digest,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many they are.
    pub files: u32,
}

/// A way that the bytes could not go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tried {
    /// Which.
    pub route: Route,
    /// Why not.
    pub reason: String,
}

/// The same, as people are told: where nodes are reached is the provider's to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TransferTry)]
pub struct Try {
    /// `direct`, `reversed`, `relay` or `carried`.
    pub route: &'static str,
    /// Why the bytes could not go so.
    pub reason: String,
}

/// A transfer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Transfer {
    /// Its id.
    pub id: String,
    /// The tenant whose it is, where that is one of the server's; the provider's own has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Who has it.
    pub source: End,
    /// Who gets it.
    pub destination: End,
    /// How far it has come.
    pub state: State,
    /// Whether somebody wants it stopped.
    pub cancel: bool,
    /// The version that was asked for; the newest, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub version: Option<Label>,
    /// The version that is moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub label: Option<Label>,
    /// Its digest, by its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[0-9a-f]{64}$")]
    pub digest: Option<Digest>,
    /// How many files it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// How the bytes go, or went last: `direct`, `reversed`, `relay` or `carried`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub route: Option<&'static str>,
    /// How they could not.
    pub tried: Vec<Try>,
    /// Bytes done.
    pub done: i64,
    /// Bytes in all; 0 while nobody knows.
    pub total: i64,
    /// Bytes that came over the network: content and indexes.
    pub wire: u64,
    /// Bytes that the destination had already.
    pub reused: u64,
    /// Bytes done in a second, so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Milliseconds until it is done, as far as can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// What it is about just now, or why it failed.
    pub message: String,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What the destination vouches for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// The same as the destination signed it; in lists and events there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_receipt: Option<Signed>,
    /// Whether it is removed at the source after the receipt.
    pub moves: bool,
    /// Whether that was done; none while it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<bool>,
    /// The subscription that it follows from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Who ordered it.
    pub actor: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// When it is to begin, or was.
    #[schema(value_type = String, format = DateTime)]
    pub starts: Moment,
    /// When its first bytes came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub begun: Option<Moment>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Moment>,
    /// How often it has changed; its ETag.
    pub revision: i64,
}

/// The row of a transfer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub(super) id: String,
    pub(super) tenant: Option<String>,
    pub(super) wish: Wish,
    pub(super) state: State,
    pub(super) cancel: bool,
    pub(super) number: Option<i64>,
    pub(super) grant: Option<Signed>,
    pub(super) found: Option<Found>,
    pub(super) route: Option<Route>,
    pub(super) tried: Vec<Tried>,
    pub(super) task: Option<String>,
    pub(super) reach: Option<String>,
    pub(super) done: i64,
    pub(super) total: i64,
    pub(super) message: String,
    pub(super) told: Option<Told>,
    pub(super) receipt: Option<Signed>,
    pub(super) released: Option<bool>,
    pub(super) subscription: Option<String>,
    pub(super) actor: String,
    pub(super) created: Moment,
    pub(super) starts: Moment,
    pub(super) begun: Option<Moment>,
    pub(super) ended: Option<Moment>,
    pub(super) revision: i64,
}

/// What is looked for in a list.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// In this state.
    pub state: Option<State>,
    /// From or to this node, by its id or name.
    pub node: Option<String>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this subscription.
    pub subscription: Option<String>,
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(Kind::Malformed, "transfers", "can't be written").because(error))
}

fn json_of<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    value.map(json).transpose()
}

fn read<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>> {
    let value = text.map(serde_json::from_str).transpose();
    value.map_err(|error| Error::new(Kind::StateCorrupt, "transfers", "a document is damaged").because(error))
}

impl Row {
    fn read(row: &SqliteRow) -> Result<Self> {
        let text = |column: &str| row.get::<Option<&str>, _>(column);
        let flag = |column: &str| row.get::<Option<i64>, _>(column).map(|flag| flag != 0);
        let wish = read(text("wish"))?;
        Ok(Self {
            id: row.get("id"),
            tenant: row.get("tenant"),
            wish: wish.ok_or_else(|| Error::new(Kind::StateCorrupt, "transfers", "a wish is missing"))?,
            state: row.get::<String, _>("state").parse()?,
            cancel: flag("cancel").unwrap_or_default(),
            number: row.get("number"),
            grant: read(text("grant_text"))?,
            found: read(text("offer"))?,
            route: read(text("route"))?,
            tried: read(text("tried"))?.unwrap_or_default(),
            task: row.get("task"),
            reach: row.get("reach"),
            done: row.get("done"),
            total: row.get("total"),
            message: row.get("message"),
            told: read(text("told"))?,
            receipt: read(text("receipt"))?,
            released: flag("released"),
            subscription: row.get("subscription"),
            actor: row.get("actor"),
            created: Moment(row.get("created")),
            starts: Moment(row.get("starts")),
            begun: row.get::<Option<i64>, _>("begun").map(Moment),
            ended: row.get::<Option<i64>, _>("ended").map(Moment),
            revision: row.get("revision"),
        })
    }

    /// A new one, before anything was ordered for it.
    pub(super) fn new(wish: Wish, tenant: Option<String>, actor: &str, starts: Moment, now: Moment) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            tenant,
            wish,
            state: State::Scheduled,
            cancel: false,
            number: None,
            grant: None,
            found: None,
            route: None,
            tried: Vec::new(),
            task: None,
            reach: None,
            done: 0,
            total: 0,
            message: String::new(),
            told: None,
            receipt: None,
            released: None,
            subscription: None,
            actor: actor.to_owned(),
            created: now,
            starts,
            begun: None,
            ended: None,
            revision: 0,
        }
    }

    /// The same, as if it were new, with nothing known of what it came to.
    pub(super) fn anew(self, now: Moment) -> Self {
        let fresh = Self::new(self.wish, self.tenant, &self.actor, now, self.created);
        Self {
            id: self.id,
            state: self.state,
            subscription: self.subscription,
            revision: self.revision,
            ..fresh
        }
    }

    /// Writes it down, as it is now.
    pub(super) async fn write(&mut self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        self.revision = self.revision.saturating_add(1);
        let statement = "INSERT INTO transfers (id, tenant, source, destination, wish, moves, state, cancel, number, grant_text, offer, \
             route, tried, task, reach, done, total, message, told, receipt, released, subscription, actor, created, starts, \
             begun, ended, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
             $19, $20, $21, $22, $23, $24, $25, $26, $27, $28) \
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, cancel = excluded.cancel, number = excluded.number, \
             grant_text = excluded.grant_text, offer = excluded.offer, route = excluded.route, tried = excluded.tried, \
             task = excluded.task, reach = excluded.reach, done = excluded.done, total = excluded.total, \
             message = excluded.message, told = excluded.told, receipt = excluded.receipt, released = excluded.released, \
             starts = excluded.starts, begun = excluded.begun, ended = excluded.ended, revision = excluded.revision";
        sqlx::query(statement)
            .bind(&self.id)
            .bind(&self.tenant)
            .bind(&self.wish.source.node)
            .bind(&self.wish.destination.node)
            .bind(json(&self.wish)?)
            .bind(i64::from(self.wish.moves))
            .bind(self.state.as_str())
            .bind(i64::from(self.cancel))
            .bind(self.number)
            .bind(json_of(self.grant.as_ref())?)
            .bind(json_of(self.found.as_ref())?)
            .bind(json_of(self.route.as_ref())?)
            .bind(json(&self.tried)?)
            .bind(&self.task)
            .bind(&self.reach)
            .bind(self.done)
            .bind(self.total)
            .bind(&self.message)
            .bind(json_of(self.told.as_ref())?)
            .bind(json_of(self.receipt.as_ref())?)
            .bind(self.released.map(i64::from))
            .bind(&self.subscription)
            .bind(&self.actor)
            .bind(self.created.0)
            .bind(self.starts.0)
            .bind(self.begun.map(|at| at.0))
            .bind(self.ended.map(|at| at.0))
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    async fn one(db: &mut Transaction<'_, Sqlite>, column: &str, value: &str) -> Result<Option<Self>> {
        let statement = format!("SELECT * FROM transfers WHERE {column} = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(value)
            .fetch_optional(&mut **db)
            .await?;
        row.as_ref().map(Self::read).transpose()
    }

    /// The one of an id, whosoever it is.
    pub(super) async fn of_id(db: &mut Transaction<'_, Sqlite>, id: &str) -> Result<Option<Self>> {
        Self::one(db, "id", id).await
    }

    /// The one that waits for a task.
    pub(super) async fn of_task(db: &mut Transaction<'_, Sqlite>, task: &str) -> Result<Option<Self>> {
        Self::one(db, "task", task).await
    }

    /// The one of an id, if a principal sees it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        id: &str,
    ) -> Result<Option<Self>> {
        let row = Self::of_id(db, id).await?;
        Ok(row.filter(|row| seen_by.sees(row.tenant.as_deref())))
    }

    /// Those that a principal sees, the newest first, before one of a moment and id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        search: &Search,
        before: Option<(i64, String)>,
        most: u32,
    ) -> Result<Vec<Self>> {
        let (at, id) = before.unwrap_or((i64::MAX, String::new()));
        let statement = "SELECT * FROM transfers WHERE (created, id) < ($1, $2) AND ($3 IS NULL OR tenant = $3) \
                         AND ($4 IS NULL OR state = $4) AND ($5 IS NULL OR EXISTS (SELECT 1 FROM nodes \
                         WHERE nodes.id IN (source, destination) AND (nodes.id = $5 OR nodes.name = $5))) \
                         AND ($6 IS NULL OR tenant = $6) AND ($7 IS NULL OR subscription = $7) \
                         ORDER BY created DESC, id DESC LIMIT $8";
        let rows = sqlx::query(statement)
            .bind(at)
            .bind(id)
            .bind(&seen_by.tenant)
            .bind(search.state.map(State::as_str))
            .bind(&search.node)
            .bind(&search.tenant)
            .bind(&search.subscription)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(Self::read).collect()
    }

    /// The tenant whose it is.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// How often it has changed.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Whether it has come to its end, and nothing is to follow.
    pub fn has_ended(&self) -> bool {
        self.state.has_ended() && !self.waits_for_release()
    }

    /// Whether the source is yet to remove what it sent.
    pub(super) fn waits_for_release(&self) -> bool {
        self.state == State::Published && self.wish.moves && self.released.is_none()
    }

    /// As people are told; with what the destination signed, where it is asked for alone.
    pub fn told(&self, now: Moment) -> Transfer {
        let told = self.told.as_ref();
        let (rate, remaining) = self.pace(now);
        let read = |signed: &Signed| signed.read(Purpose::Receipt).ok();
        Transfer {
            id: self.id.clone(),
            tenant: self.tenant.clone(),
            source: self.wish.source.clone(),
            destination: self.wish.destination.clone(),
            state: self.state,
            cancel: self.cancel,
            version: self.wish.version.clone(),
            label: self.found.as_ref().map(|found| found.label.clone()),
            digest: self.found.as_ref().map(|found| found.digest),
            files: self.found.as_ref().map(|found| found.files),
            route: self.route.as_ref().map(name),
            tried: self
                .tried
                .iter()
                .map(|tried| Try {
                    route: name(&tried.route),
                    reason: tried.reason.clone(),
                })
                .collect(),
            done: self.done,
            total: self.total,
            wire: told.map_or(0, |told| told.wire),
            reused: told.map_or(0, |told| told.reused),
            rate,
            remaining,
            message: self.message.clone(),
            refusal: told.and_then(|told| told.refusal.clone()),
            receipt: self.receipt.as_ref().and_then(read),
            signed_receipt: self.receipt.clone(),
            moves: self.wish.moves,
            released: self.released,
            subscription: self.subscription.clone(),
            actor: self.actor.clone(),
            created: self.created,
            starts: self.starts,
            begun: self.begun,
            ended: self.ended,
            revision: self.revision,
        }
    }

    /// Bytes in a second, and milliseconds that are left if it goes on so.
    fn pace(&self, now: Moment) -> (Option<u64>, Option<u64>) {
        let until = self.ended.unwrap_or(now);
        let since = self.begun.map(|begun| until.since(begun).as_millis());
        let done = u64::try_from(self.done).unwrap_or(0);
        let left = u128::from(u64::try_from(self.total).unwrap_or(0).saturating_sub(done));
        let (Some(since), true) = (since, done > 0) else {
            return (None, None);
        };
        let rate = (u128::from(done) * 1000).checked_div(since);
        let remaining = since
            .checked_mul(left)
            .and_then(|all| all.checked_div(u128::from(done)));
        let number = |value: Option<u128>| value.and_then(|value| u64::try_from(value).ok());
        (number(rate), number(remaining).filter(|_| self.ended.is_none()))
    }
}

impl Transfer {
    /// The same, without the document that the destination signed.
    #[must_use]
    pub fn without_signature(self) -> Self {
        Self {
            signed_receipt: None,
            ..self
        }
    }
}

/// What a route is called.
fn name(route: &Route) -> &'static str {
    match route {
        Route::Direct { .. } => "direct",
        Route::Reversed {} => "reversed",
        Route::Relay { .. } => "relay",
        Route::Carried {} => "carried",
    }
}
