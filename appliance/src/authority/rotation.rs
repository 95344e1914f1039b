//! The next key of a server's authority takes the place of the one in use.
//!
//! ```text
//! begin ──► all nodes are told of the next key, and tell that they keep it
//!       ──► switch: the server shows the next key, and signs with it; the private half of the former one is gone
//!       ──► all nodes come for certificates signed by it
//!       ──► retire: nothing that the former key signed is good any more
//! ```
//!
//! Each step waits for the last node, or is forced: a node that was away then is left behind, and has to be enrolled anew. Whether
//! a certificate has ended doesn't count: a clock that is wrong for a while leaves no node behind.

use serde::{Deserialize, Serialize};
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use super::keys::keep;
use super::{KeyDigest, Keys};
use crate::audit::{self, Deed};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// Why a node that was away doesn't come back.
const LEFT_BEHIND: &str =
    "the key of the server's authority was replaced while the node was away: enrol it anew";
/// Names of nodes that are told at most.
const MOST_NAMES: usize = 100;

/// How the authority stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Standing {
    /// The key in use.
    pub key: KeyDigest,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// The key that is to follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<KeyDigest>,
    /// The key that was in use before, as long as nodes have certificates that it signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former: Option<KeyDigest>,
    /// How many nodes the next step waits for.
    pub waiting: u64,
    /// Their names, or the first hundred of them.
    pub waiting_for: Vec<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Forced {
    /// The next key is used, whoever doesn't know it.
    Switch,
    /// The former key goes, whoever has no certificate of another.
    Retire,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is a next key.
    Begun,
    /// It is in use.
    Switched,
    /// The former one is gone.
    Retired,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Begun => "nodes are told of the next key",
            Self::Switched => "the next key is in use",
            Self::Retired => "the former key is gone",
        })
    }
}

impl Step {
    fn action(self) -> &'static str {
        match self {
            Self::Begun => "authority.begin",
            Self::Switched => "authority.switch",
            Self::Retired => "authority.retire",
        }
    }
}

/// Makes the next key.
///
/// # Errors
/// [`Kind::Taken`] while one follows the other already.
pub async fn begin(db: &mut Transaction<'_, Sqlite>, actor: &str, now: Moment) -> Result<()> {
    if Keys::read(db).await?.is_rotating() {
        let reason = "another key is on its way already";
        return Err(Error::new(Kind::Taken, "authority", reason));
    }
    keep(db, "NEXT", now).await?;
    note(db, Step::Begun, actor, now).await
}

/// Takes the next step if nothing has to be waited for, or if it is forced; tells which.
///
/// # Errors
/// [`Kind::Changed`] where another step is the next than the one that is forced.
pub async fn proceed(
    db: &mut Transaction<'_, Sqlite>,
    actor: &str,
    forced: Option<Forced>,
    now: Moment,
) -> Result<Option<Step>> {
    let keys = Keys::read(db).await?;
    let next = keys.next_step();
    if forced.is_some() && forced != next {
        let reason = match next {
            None => "there is no other key on its way",
            Some(Forced::Switch) => "the next step is to switch",
            Some(Forced::Retire) => "the next step is to retire the former key",
        };
        return Err(Error::new(Kind::Changed, "authority", reason));
    }
    let waiting = waiting(db, &keys).await?;
    if next.is_none() || (forced.is_none() && !waiting.is_empty()) {
        return Ok(None);
    }
    for (id, _) in &waiting {
        leave_behind(db, id, actor, now).await?;
    }
    let (step, statements): (_, &[&str]) = match keys.next {
        Some(_) => (
            Step::Switched,
            &[
                "UPDATE authorities SET state = 'FORMER', private = NULL WHERE state = 'CURRENT'",
                "UPDATE authorities SET state = 'CURRENT' WHERE state = 'NEXT'",
                // Who came with one of them would look for the former key.
                "DELETE FROM codes",
            ],
        ),
        None => (Step::Retired, &["DELETE FROM authorities WHERE state = 'FORMER'"]),
    };
    for statement in statements {
        sqlx::query(*statement).execute(&mut **db).await?;
    }
    note(db, step, actor, now).await?;
    Ok(Some(step))
}

/// How the authority stands.
///
/// # Errors
/// The database fails.
pub async fn standing(db: &mut Transaction<'_, Sqlite>) -> Result<Standing> {
    let keys = Keys::read(db).await?;
    let nodes = waiting(db, &keys).await?;
    let waiting = nodes.len() as u64;
    let names = nodes.into_iter().map(|(_, name)| name).take(MOST_NAMES);
    Ok(Standing {
        key: keys.current.digest(),
        created: keys.created,
        next: keys.next_key(),
        former: keys.former.map(|(digest, _)| digest),
        waiting,
        waiting_for: names.collect(),
    })
}

/// Ids and names of the nodes that keep the rotation from its next step.
async fn waiting(db: &mut Transaction<'_, Sqlite>, keys: &Keys) -> Result<Vec<(String, String)>> {
    let (statement, key) = match (keys.next_key(), &keys.former) {
        (Some(next), _) => {
            let statement = "SELECT id, name FROM nodes WHERE state = 'PENDING' OR (state = 'ACTIVE' AND knows <> $1) \
                             ORDER BY name, id";
            (statement, next)
        }
        (None, Some(_)) => {
            let statement = "SELECT id, name FROM nodes WHERE state = 'ACTIVE' AND EXISTS (SELECT 1 FROM certificates \
                             WHERE node = id AND authority <> $1) ORDER BY name, id";
            (statement, keys.current.digest())
        }
        (None, None) => return Ok(Vec::new()),
    };
    let rows = sqlx::query(statement)
        .bind(key.to_string())
        .fetch_all(&mut **db)
        .await?;
    Ok(rows.iter().map(|row| (row.get("id"), row.get("name"))).collect())
}

async fn leave_behind(db: &mut Transaction<'_, Sqlite>, id: &str, actor: &str, now: Moment) -> Result<()> {
    sqlx::query("UPDATE nodes SET reason = $1, revision = revision + 1 WHERE id = $2")
        .bind(LEFT_BEHIND)
        .bind(id)
        .execute(&mut **db)
        .await?;
    let deed = Deed {
        actor,
        tenant: None,
        action: "node.leave-behind",
        object: id,
        outcome: "done",
    };
    audit::record(db, deed, now).await
}

async fn note(db: &mut Transaction<'_, Sqlite>, step: Step, actor: &str, now: Moment) -> Result<()> {
    let object = Keys::read(db).await?;
    let key = object.next_key().unwrap_or(object.current.digest());
    let deed = Deed {
        actor,
        tenant: None,
        action: step.action(),
        object: &key.to_string(),
        outcome: "done",
    };
    audit::record(db, deed, now).await
}
