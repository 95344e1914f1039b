//! A transfer that is followed to its end.

use serde_json::Value;

use super::place;
use crate::admin::{Connector, Failure, Meter, Progress, Resource, Result, bytes, text};
use crate::command::Call;
use crate::transfer::State;

/// Shows a transfer at its end; one that is neither published nor what it was only asked for is a failure.
pub(super) async fn finish(call: &Call, connector: &mut Connector, transfer: Value) -> Result<()> {
    let ended = followed(call, connector, transfer).await?;
    call.output.result(&ended, || summary(&ended))?;
    match state(&ended) {
        Some(State::Published | State::Offered) => Ok(()),
        Some(State::Rejected) => Err(Failure::Unpublished(format!("transfer {}", text(&ended, "id")))),
        _ => Err(Failure::Unmoved {
            transfer: text(&ended, "id"),
            state: text(&ended, "state"),
            message: text(&ended, "message"),
        }),
    }
}

/// A transfer at its end, told of on the way: its bytes with a bar, everything else with a line.
pub(super) async fn followed(call: &Call, connector: &mut Connector, mut transfer: Value) -> Result<Value> {
    let path = Resource::TRANSFER.path_of(&transfer)?;
    let mut meter: Option<Meter> = None;
    let mut progress: Option<Progress> = None;
    while !has_ended(&transfer) {
        if state(&transfer) == Some(State::Receiving) {
            let done = transfer["done"].as_u64().unwrap_or_default();
            progress = None;
            meter
                .get_or_insert_with(|| {
                    let what = format!(
                        "{} to {}",
                        end(&transfer, "source"),
                        text(&transfer, "destination.name")
                    );
                    let meter = Meter::new(
                        &what,
                        transfer["total"].as_u64().unwrap_or_default(),
                        call.output.json,
                    );
                    meter.begin_at(done);
                    meter
                })
                .set(done);
        } else {
            meter = None;
            progress.get_or_insert_default().tell(&line(&transfer));
        }
        transfer = connector.get_changed(&path).await?;
    }
    Ok(transfer)
}

fn state(transfer: &Value) -> Option<State> {
    transfer["state"].as_str()?.parse().ok()
}

/// Whether nothing more is to come, also at the source of a move.
fn has_ended(transfer: &Value) -> bool {
    let waits = transfer["moves"] == true && transfer["released"].is_null();
    state(transfer).is_none_or(|state| state.has_ended() && !(state == State::Published && waits))
}

/// How a transfer goes, on a line.
fn line(transfer: &Value) -> String {
    let mut line = text(transfer, "state");
    if transfer["cancel"] == true {
        line.push_str(" (is being stopped)");
    }
    if transfer["message"]
        .as_str()
        .is_some_and(|message| !message.is_empty())
    {
        line.push_str(&format!(": {}", text(transfer, "message")));
    }
    line
}

/// One of both sides: `east:images/web`.
pub(super) fn end(transfer: &Value, side: &str) -> String {
    let end = &transfer[side];
    format!(
        "{}:{}/{}",
        text(end, "name"),
        text(end, "place.catalog"),
        text(end, "place.item")
    )
}

/// What a transfer is, and came to, in a few lines.
pub(super) fn summary(transfer: &Value) -> String {
    let version = ["label", "version"].map(|field| transfer[field].as_str());
    let version = version.iter().flatten().next().copied().unwrap_or("(the newest)");
    let mut told = format!(
        "{}: {} {} from {} to {} ({})\n",
        text(transfer, "state"),
        place(&transfer["source"]["place"]),
        crate::admin::printable(version),
        text(transfer, "source.name"),
        text(transfer, "destination.name"),
        text(transfer, "id"),
    );
    let number = |field: &str| transfer[field].as_u64().unwrap_or_default();
    if number("total") > 0 {
        told.push_str(&format!(
            "{} in {} files, {} over the network, {} were there already\n",
            bytes(number("total")),
            text(transfer, "files"),
            bytes(number("wire")),
            bytes(number("reused"))
        ));
    }
    let refusal = &transfer["refusal"];
    if !refusal.is_null() {
        told.push_str(&format!(
            "{}: {}\n",
            text(refusal, "rule"),
            text(refusal, "reason")
        ));
        told.push_str(&format!("vcc transfer why {} tells more\n", text(transfer, "id")));
    } else if !matches!(text(transfer, "message").as_str(), "-" | "") {
        told.push_str(&format!("{}\n", text(transfer, "message")));
    }
    match transfer["released"].as_bool() {
        Some(true) => told.push_str("It is removed at the source.\n"),
        Some(false) => {
            told.push_str("It is still at the source: vcc transfer retry tries to remove it there.\n")
        }
        None => {}
    }
    told
}
