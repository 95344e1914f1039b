//! Tasks: work that a server orders of a node, with its progress, its result, and a way to stop it.
//!
//! A node asks for its orders with each sign of life and tells how they go. An order that it was given and forgot, for it was
//! restarted, it is given again: whatever can be ordered can be begun anew.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Moment;
use crate::error::{Error, Kind as Fault, Result};

/// Tasks that a node may have before it; more are not taken.
const UNFINISHED: i64 = 100;
/// Tasks that are done and kept, of each node.
const KEPT: i64 = 200;
/// The longest result in bytes of JSON.
const RESULT: usize = 32 << 10;
/// The longest message in characters.
const MESSAGE: usize = 500;

/// What can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Look at everything: checks, machine, network, room, clock.
    Diagnose,
    /// Read the node's whole audit log, and see that no entry was changed or taken out.
    VerifyAudit,
    /// Tell which version a source would send.
    Offer,
    /// Tell what a catalog offers.
    Browse,
    /// Take a version from another node.
    Receive,
    /// Reach out to a destination, or a relay, that then takes a version.
    Reach,
    /// Remove a version for which its destination gave a receipt.
    Release,
    /// Remove what a subscription brought.
    Withdraw,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Stage {
    /// The node has not told of it yet.
    Queued,
    /// It goes on.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// It was stopped.
    Cancelled,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// The node that does it.
    pub node: String,
    /// What is done.
    pub kind: Kind,
    /// How far it is.
    pub state: Stage,
    /// Items done.
    pub done: i64,
    /// Items in all; 0 while nobody knows.
    pub total: i64,
    /// Milliseconds until it is done, as far as can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// What it is about just now, or why it failed.
    pub message: String,
    /// What came of it; in lists and events there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// Whether somebody wants it stopped.
    pub cancel: bool,
    /// Who ordered it.
    pub actor: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Moment>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Moment>,
    /// How often it has changed; its ETag.
    pub revision: i64,
}

/// What a node is told of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// The task's id.
    pub id: String,
    /// What is to be done. A node that doesn't know it says so.
    #[schema(value_type = Kind)]
    pub kind: String,
    /// What it takes beside that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<Value>,
    /// Whether it is to be stopped.
    pub cancel: bool,
}

/// What a node tells of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// How far it is.
    pub state: Stage,
    /// Items done.
    #[schema(minimum = 0)]
    pub done: i64,
    /// Items in all; 0 while nobody knows.
    #[schema(minimum = 0)]
    pub total: i64,
    /// What it is about just now, or why it failed.
    #[schema(max_length = 500)]
    pub message: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
}

impl Stage {
    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether it has come to its end.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [
            Self::Queued,
            Self::Running,
            Self::Done,
            Self::Failed,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|stage| stage.as_str() == text)
        .ok_or_else(|| Error::new(Fault::StateCorrupt, "tasks", format!("'{text}' is no state")))
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Diagnose,
        Self::VerifyAudit,
        Self::Offer,
        Self::Browse,
        Self::Receive,
        Self::Reach,
        Self::Release,
        Self::Withdraw,
    ];

    /// Whether people order it by itself; the others are parts of transfers.
    pub fn is_ordered_by_people(self) -> bool {
        matches!(self, Self::Diagnose | Self::VerifyAudit)
    }

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Diagnose => "diagnose",
            Self::VerifyAudit => "verify-audit",
            Self::Offer => "offer",
            Self::Browse => "browse",
            Self::Receive => "receive",
            Self::Reach => "reach",
            Self::Release => "release",
            Self::Withdraw => "withdraw",
        }
    }

    /// The one of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Progress {
    /// Sees that it has the size that it may have.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), &'static str> {
        let result = self.result.as_ref().map_or(0, |result| result.to_string().len());
        match self.message.chars().count() <= MESSAGE && result <= RESULT {
            true if self.done >= 0 && self.total >= 0 => Ok(()),
            true => Err("done and total are not negative"),
            false => Err("message has 500 characters at most, and result 32768 bytes"),
        }
    }
}

const COLUMNS: &str =
    "id, node, kind, state, done, total, message, result, cancel, actor, created, started, ended, revision";

impl Task {
    fn read(row: &SqliteRow, now: Moment) -> Result<Self> {
        let broken = |what: &str| Error::new(Fault::StateCorrupt, "tasks", format!("{what} is damaged"));
        let (state, kind): (String, String) = (row.get("state"), row.get("kind"));
        let result: Option<String> = row.get("result");
        let result = result.map(|text| serde_json::from_str(&text)).transpose();
        let mut task = Self {
            id: row.get("id"),
            node: row.get("node"),
            kind: Kind::named(&kind).ok_or_else(|| broken("a kind"))?,
            state: state.parse()?,
            done: row.get("done"),
            total: row.get("total"),
            remaining: None,
            message: row.get("message"),
            result: result.map_err(|error| broken("a result").because(error))?,
            cancel: row.get::<i64, _>("cancel") != 0,
            actor: row.get("actor"),
            created: Moment(row.get("created")),
            started: row.get::<Option<i64>, _>("started").map(Moment),
            ended: row.get::<Option<i64>, _>("ended").map(Moment),
            revision: row.get("revision"),
        };
        task.remaining = task.left(now);
        Ok(task)
    }

    /// The same, without what came of it.
    #[must_use]
    pub fn without_result(&self) -> Self {
        Self {
            result: None,
            ..self.clone()
        }
    }

    /// How long it takes yet, if it goes on as it went.
    fn left(&self, now: Moment) -> Option<u64> {
        let since = now.since(self.started.filter(|_| self.state == Stage::Running)?);
        let (done, total) = (u64::try_from(self.done).ok()?, u64::try_from(self.total).ok()?);
        let each = since.as_millis().checked_div(u128::from(done))?;
        u64::try_from(each.checked_mul(u128::from(total.checked_sub(done)?))?).ok()
    }

    /// Orders one.
    ///
    /// # Errors
    /// [`Fault::Ceiling`] while the node has too many before it.
    pub async fn order(
        db: &mut Transaction<'_, Sqlite>,
        node: &str,
        kind: Kind,
        details: Option<&Value>,
        actor: &str,
        now: Moment,
    ) -> Result<Self> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM tasks WHERE node = $1 AND ended IS NULL")
            .bind(node)
            .fetch_one(&mut **db)
            .await?;
        if row.get::<i64, _>("count") >= UNFINISHED {
            return Err(Error::new(
                Fault::Ceiling,
                "tasks",
                "the node has too many before it",
            ));
        }
        let task = Self {
            id: Uuid::new_v4().to_string(),
            node: node.to_owned(),
            kind,
            state: Stage::Queued,
            done: 0,
            total: 0,
            remaining: None,
            message: String::new(),
            result: None,
            cancel: false,
            actor: actor.to_owned(),
            created: now,
            started: None,
            ended: None,
            revision: 1,
        };
        let statement = "INSERT INTO tasks (id, node, kind, state, done, total, message, cancel, actor, created, details, revision) \
                         VALUES ($1, $2, $3, $4, 0, 0, '', 0, $5, $6, $7, 1)";
        sqlx::query(statement)
            .bind(&task.id)
            .bind(&task.node)
            .bind(kind.as_str())
            .bind(task.state.as_str())
            .bind(actor)
            .bind(now.0)
            .bind(details.map(Value::to_string))
            .execute(&mut **db)
            .await?;
        let old = "DELETE FROM tasks WHERE node = $1 AND ended IS NOT NULL AND id NOT IN \
                   (SELECT id FROM tasks WHERE node = $1 AND ended IS NOT NULL ORDER BY ended DESC, id LIMIT $2)";
        sqlx::query(old).bind(node).bind(KEPT).execute(&mut **db).await?;
        Ok(task)
    }

    /// All, or those of a node, the newest first, before one of a moment and id, without their results.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        node: Option<&str>,
        before: Option<(i64, String)>,
        most: u32,
        now: Moment,
    ) -> Result<Vec<Self>> {
        let (at, id) = before.unwrap_or((i64::MAX, String::new()));
        let columns = COLUMNS.replace("result", "NULL AS result");
        let statement = format!(
            "SELECT {columns} FROM tasks WHERE (created, id) < ($1, $2) AND ($3 IS NULL OR node = $3) \
             ORDER BY created DESC, id DESC LIMIT $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(at)
            .bind(id)
            .bind(node)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(|row| Self::read(row, now)).collect()
    }

    /// The one of an id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(db: &mut Transaction<'_, Sqlite>, id: &str, now: Moment) -> Result<Option<Self>> {
        let statement = format!("SELECT {COLUMNS} FROM tasks WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(&mut **db)
            .await?;
        row.as_ref().map(|row| Self::read(row, now)).transpose()
    }

    /// What a node has before it, in the order in which it was ordered.
    ///
    /// # Errors
    /// The database fails.
    pub async fn orders(db: &mut Transaction<'_, Sqlite>, node: &str) -> Result<Vec<Order>> {
        let statement = "SELECT id, kind, details, cancel FROM tasks WHERE node = $1 AND ended IS NULL ORDER BY created, id";
        let rows = sqlx::query(statement).bind(node).fetch_all(&mut **db).await?;
        let details = |row: &SqliteRow| serde_json::from_str(row.get::<Option<&str>, _>("details")?).ok();
        let order = |row: &SqliteRow| Order {
            id: row.get("id"),
            kind: row.get("kind"),
            details: details(row),
            cancel: row.get::<i64, _>("cancel") != 0,
        };
        Ok(rows.iter().map(order).collect())
    }

    /// Wants it stopped. One that the node has not begun is stopped at once.
    ///
    /// # Errors
    /// [`Fault::Taken`] where it has ended.
    pub async fn cancel(&self, db: &mut Transaction<'_, Sqlite>, now: Moment) -> Result<Self> {
        if self.state.has_ended() {
            let reason = format!("it is {}", self.state.as_str());
            return Err(Error::new(Fault::Taken, format!("task {}", self.id), reason));
        }
        let at_once = self.state == Stage::Queued;
        let state = if at_once { Stage::Cancelled } else { self.state };
        let ended = at_once.then_some(now);
        let statement =
            "UPDATE tasks SET cancel = 1, state = $1, ended = $2, revision = revision + 1 WHERE id = $3";
        sqlx::query(statement)
            .bind(state.as_str())
            .bind(ended.map(|at| at.0))
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Ok(Self {
            cancel: true,
            state,
            ended,
            revision: self.revision + 1,
            ..self.clone()
        })
    }

    /// Takes what its node tells; nothing where it has ended, whatever is told.
    ///
    /// # Errors
    /// The database fails.
    pub async fn progress(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        told: Progress,
        now: Moment,
    ) -> Result<Option<Self>> {
        if self.state.has_ended() {
            return Ok(None);
        }
        let started = self.started.unwrap_or(now);
        let ended = told.state.has_ended().then_some(now);
        let statement = "UPDATE tasks SET state = $1, done = $2, total = $3, message = $4, result = $5, started = $6, \
                         ended = $7, revision = revision + 1 WHERE id = $8";
        sqlx::query(statement)
            .bind(told.state.as_str())
            .bind(told.done)
            .bind(told.total)
            .bind(&told.message)
            .bind(told.result.as_ref().map(Value::to_string))
            .bind(started.0)
            .bind(ended.map(|at| at.0))
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        Self::find(db, &self.id, now).await
    }
}

/// How often a node tells of progress at most.
pub const TELL_EVERY: Duration = Duration::from_millis(500);
