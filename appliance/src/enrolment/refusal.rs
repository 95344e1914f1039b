//! Why a server doesn't take a node, and what to do, for whoever sits at the node.

use crate::error::{Error, Kind};
use crate::node::State;

const SUSPENDED: &str = "the server has suspended this node: it came back with a number or a certificate of the past, so it was \
                         reverted to a snapshot or restored from a backup, or there are two of it. Stop the other one, if there \
                         are two; then enrol this one anew, and have it approved there in its own place (--replaces)";
const REVOKED: &str =
    "the server's administrator has sent this node away: to come back it is enrolled anew, with another code";
const UNKNOWN: &str = "the server doesn't know this node any more: its state was put back to one of before the node came. Enrol \
                       the node anew, with another code";
/// Nobody decided about the request, or the server has lost it.
pub(super) const FORGOTTEN: &str = "the server doesn't know the request any more: nobody decided within a day, or its state was \
                                    put back. Ask anew, with another code";
/// Somebody decided against the request.
pub(super) const REFUSED: &str = "the server's administrator has refused the request: ask anew, with another code, if that was a \
                                  mistake";

/// What becomes of a node that is answered this, and why; nothing for what may pass.
pub(super) fn sent_away(code: &str) -> Option<(State, &'static str)> {
    match code {
        "node-suspended" => Some((State::Suspended, SUSPENDED)),
        "node-revoked" => Some((State::Revoked, REVOKED)),
        "node-unknown" => Some((State::Revoked, UNKNOWN)),
        _ => None,
    }
}

/// Why a node of this state is not taken, where nobody wrote it down.
pub(super) fn of(state: State) -> Option<&'static str> {
    match state {
        State::Pending | State::Active => None,
        State::Suspended => Some(SUSPENDED),
        State::Revoked => Some(REVOKED),
    }
}

/// The code of a problem, and what it is to people.
pub(super) fn told(code: &str) -> String {
    let words = match code {
        "wrong-credentials" => {
            "the code is wrong, was used, or its time is over; the server's administrator makes another (vcc node code)"
        }
        "too-many-wait" => "too many nodes wait there for a decision",
        "setup-required" => "it is not set up yet",
        "state-unavailable" | "state-full" => "its state can't be used just now",
        "not-found" => "it takes no nodes: is it a server?",
        "certificate-expired" => {
            "this node's certificate has ended by its clock: compare the clocks of both sides; a node whose certificate has ended \
             is enrolled anew"
        }
        "certificate-replaced" => "this node has used a newer certificate than it shows",
        "server-behind" => {
            "its state is older than this node's: it was put back, and not by vcc restore; its administrator makes a backup of it \
             and restores that"
        }
        "clock-implausible" => "its clock can't be right",
        "too-fast" => "this node asks too often",
        "internal" => "it failed, and its log says what",
        _ => return code.to_owned(),
    };
    format!("{words} ({code})")
}

/// What failed, and what to do where that is not said by it.
pub(super) fn trouble(error: &Error) -> String {
    let told = error.chain().to_string();
    match error.kind() {
        Kind::Stranger => format!(
            "{told}. Somebody else answers there, or the server was set up anew, or given another key while this node was away: if \
             that is so, have the node leave it (vcc node leave), and enrol it anew with another code"
        ),
        _ => told,
    }
}
