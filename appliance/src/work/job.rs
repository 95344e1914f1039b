//! What can be ordered of a node, and how it is done.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::audit;
use crate::error::{Error, Kind as Fault, Result};
use crate::peer::reach;
use crate::product::PROGRAM_VERSION;
use crate::service::Context;
use crate::task::{Kind, Order, Progress, Stage};
use crate::{receiving, sending};

/// Of what has just begun.
pub(super) fn beginning() -> Progress {
    Progress {
        state: Stage::Running,
        done: 0,
        total: 0,
        message: String::new(),
        result: None,
    }
}

/// Of what was stopped.
pub(super) async fn stopped(context: &Arc<Context>, order: &Order, at: Progress) -> Progress {
    if Kind::named(&order.kind) == Some(Kind::Receive) {
        return receiving::cancel(context, order.details.as_ref(), &at).await;
    }
    Progress {
        state: Stage::Cancelled,
        ..at
    }
}

/// Does it, and tells how it ended.
pub(super) async fn run(
    context: &Arc<Context>,
    order: &Order,
    progress: &watch::Sender<Progress>,
) -> Progress {
    let details = order.details.as_ref();
    let done = match Kind::named(&order.kind) {
        Some(Kind::Diagnose) => Ok(diagnosis(context)),
        Some(Kind::VerifyAudit) => verify_audit(context, progress).await,
        Some(Kind::Receive) => return receiving::receive(context, details, progress).await,
        Some(Kind::Reach) => reach::run(context, details, progress).await,
        Some(Kind::Offer) => sending::offer(context, details).await,
        Some(Kind::Browse) => sending::browse(context, details).await,
        Some(Kind::Release) => sending::release(context, details).await,
        Some(Kind::Withdraw) => receiving::withdraw(context, details).await,
        None => Err(Error::new(
            Fault::Unknown,
            "the task",
            format!("version {PROGRAM_VERSION} of the node can't do it"),
        )),
    };
    let at = progress.borrow().clone();
    match done {
        Ok(result) => Progress {
            state: Stage::Done,
            result: Some(result),
            ..at
        },
        Err(error) => Progress {
            state: Stage::Failed,
            message: error.chain().to_string().chars().take(500).collect(),
            ..at
        },
    }
}

fn diagnosis(context: &Context) -> Value {
    let view = context.view();
    json!({
        "version": PROGRAM_VERSION,
        "uptime_seconds": context.uptime().as_secs(),
        "boots": view.boots,
        "hostname": view.machine.hostname.as_str(),
        "checks": view.checks,
        "state": view.space.map(|space| json!({ "available": space.available, "size": space.total })),
        "connections": context.connections().open(),
    })
}

async fn verify_audit(context: &Context, progress: &watch::Sender<Progress>) -> Result<Value> {
    let missing = || Error::new(Fault::StateMissing, "the audit log", "there is no state");
    let ground = context.ground().ok_or_else(missing)?;
    let total = audit::count(&mut ground.database.begin().await?).await?;
    let mut chain = audit::Chain::default();
    loop {
        // Others have their turn between two pieces.
        let goes_on = chain.verify_next(&mut ground.database.begin().await?).await?;
        progress.send_modify(|progress| (progress.done, progress.total) = (chain.number(), total));
        if !goes_on {
            return Ok(json!({ "entries": chain.number(), "digest": chain.digest() }));
        }
        tokio::task::yield_now().await;
    }
}
