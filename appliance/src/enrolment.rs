//! A node's side of its enrolment: it asks a server for a certificate, waits for a person to decide, and then tells the server
//! now and again that it lives, and follows what that wants.
//!
//! All that a restart must not lose (the key, how the request stands, the number that was agreed on with the server) is in the
//! database before the server hears of it. Whoever writes reads again in the same transaction: an answer that belongs to an
//! enrolment of before changes nothing.

mod application;
mod follow;
mod kept;
mod refusal;

use serde::Serialize;
use sqlx::{Sqlite, Transaction};
use utoipa::ToSchema;

pub use application::{NewEnrolment, begin};
pub use follow::follow;

use crate::audit::{self, Deed};
use crate::clock::Moment;
use crate::configuration::Own;
use crate::error::Result;
use crate::node::State;
use crate::service::Ground;
use crate::transfer::{Purpose, Signed};
use kept::Kept;

/// How a node's enrolment stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Enrolment {
    /// The server's name or address, and its port.
    pub server: String,
    /// The node's id there.
    pub node: String,
    /// What was decided there.
    pub state: State,
    /// The digest of the node's key: whoever approves it compares it with what the server shows.
    pub fingerprint: String,
    /// When its certificate ends; it is renewed long before, as long as the server can be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Moment>,
    /// When the server was last spoken with, since the node was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub spoken: Option<Moment>,
    /// What keeps the node from its server, or why that no longer takes it, and what to do. The reason of a node that was sent
    /// away is kept over a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// How it stands; nothing if no server was ever asked.
///
/// # Errors
/// The database fails.
pub async fn standing(ground: &Ground) -> Result<Option<Enrolment>> {
    let kept = Kept::read(&mut ground.database.begin().await?).await?;
    let (spoken, trouble) = ground.link.now();
    kept.as_ref().map(|kept| kept.told(spoken, trouble)).transpose()
}

/// Has other nodes know this one by its enrolment, before any of them can ask who it is.
///
/// # Errors
/// The database fails.
pub(crate) async fn be_known(ground: &Ground) -> Result<()> {
    follow::read(ground).await.map(drop)
}

/// Leaves the server, which isn't asked; whether there was one.
///
/// # Errors
/// The database fails.
pub async fn leave(ground: &Ground, actor: &str) -> Result<bool> {
    let mut db = ground.database.begin().await?;
    let Some(kept) = Kept::read(&mut db).await? else {
        return Ok(false);
    };
    Kept::forget(&mut db).await?;
    Own::leave(&mut db).await?;
    let deed = Deed {
        actor,
        tenant: None,
        action: "enrolment.delete",
        object: &kept.server.to_string(),
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    db.commit().await?;
    // Whoever follows the enrolment reads and takes it in one transaction, so that nothing of before comes after this.
    ground.peering.take(None)?;
    Ok(true)
}

/// Has the node vouch for a document, in a transaction with whatever goes with it; nothing while it has no server.
///
/// # Errors
/// The database fails, or there is no randomness.
pub async fn vouch(
    db: &mut Transaction<'_, Sqlite>,
    purpose: Purpose,
    document: &impl Serialize,
) -> Result<Option<Signed>> {
    let kept = Kept::read(db).await?;
    kept.and_then(|kept| kept.vouch(purpose, document).transpose())
        .transpose()
}

/// How a node gets on with its server, as far as that is known since it was started.
#[derive(Debug, Default)]
pub struct Link(std::sync::Mutex<(Option<Moment>, Option<String>)>);

impl Link {
    fn now(&self) -> (Option<Moment>, Option<String>) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn spoke(&self, now: Moment) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (Some(now), None);
    }

    /// Notes a trouble; whether it is another than before.
    fn has_trouble(&self, told: String) -> bool {
        let mut link = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_new = link.1.as_ref() != Some(&told);
        link.1 = Some(told);
        is_new
    }
}
