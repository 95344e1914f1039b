//! Waiting until somebody at the server has decided about a node.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::admin::{Connector, Failure, Progress, Result, text};
use crate::error::{Error, Kind};

/// A node's enrolment.
pub(super) const PATH: &str = "/api/v1/enrolment";
/// Between two looks at the node.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits so long at most; gives the enrolment of a node that is taken in.
pub(super) async fn wait(connector: &mut Connector, begun: Value, longest: Duration) -> Result<Value> {
    let failed = |error| Error::new(Kind::Io, "SIGINT", "can't be waited for").because(error);
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut enrolment = begun;
    let is_decided = tokio::select! {
        followed = follow(connector, &mut enrolment, longest) => followed.map(|()| true)?,
        () = sleep(longest) => false,
        _ = interrupted.recv() => false,
    };
    match (is_decided, enrolment["state"].as_str()) {
        (false, _) => Err(in_vain(&enrolment)),
        (true, Some("ACTIVE")) => Ok(enrolment),
        (true, _) => Err(refused(&enrolment)),
    }
}

/// Looks at the node until it no longer waits, and tells what for.
async fn follow(connector: &mut Connector, enrolment: &mut Value, longest: Duration) -> Result<()> {
    let (start, mut progress) = (Instant::now(), Progress::default());
    while enrolment["state"] == "PENDING" {
        let minutes = (start.elapsed().as_secs() / 60, longest.as_secs().div_ceil(60));
        progress.tell(&told(enrolment, minutes));
        sleep(PAUSE).await;
        match connector.get(PATH).await {
            Ok(now) => *enrolment = now,
            // It is started again, or its network is changed.
            Err(failure) if failure.is_unheard() => progress.tell("the node itself doesn't answer just now"),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// How whoever decides says yes.
pub(super) fn approval(enrolment: &Value) -> String {
    let (node, fingerprint) = (text(enrolment, "node"), text(enrolment, "fingerprint"));
    format!("vcc node approve {node} {fingerprint}")
}

/// What it waits for, after some minutes of many.
fn told(enrolment: &Value, (waited, longest): (u64, u64)) -> String {
    let (server, approval) = (text(enrolment, "server"), approval(enrolment));
    match enrolment["trouble"].as_str() {
        Some(trouble) => {
            format!("can't speak with {server}, and tries again: {trouble} ({waited} of {longest} min)")
        }
        None => {
            format!("waits for somebody at {server} to approve it ({waited} of {longest} min): {approval}")
        }
    }
}

fn in_vain(enrolment: &Value) -> Failure {
    const GOES_ON: &str =
        "the node goes on asking by itself; vcc status tells how it stands, and what is in the way";
    let server = text(enrolment, "server");
    match enrolment["trouble"].as_str() {
        Some(trouble) => {
            let reason = format!("the node can't speak with it: {trouble}");
            Failure::pending(false, server, reason, GOES_ON)
        }
        None => {
            let hint = format!("there: {}. {GOES_ON}", approval(enrolment));
            Failure::pending(true, server, "nobody has decided about the node yet", hint)
        }
    }
}

fn refused(enrolment: &Value) -> Failure {
    let (server, state) = (text(enrolment, "server"), text(enrolment, "state"));
    let why = enrolment["trouble"].as_str().unwrap_or("no reason is told");
    Failure::refused(
        server,
        format!("the node is {state}: {why}"),
        "with another code it asks anew: vcc node code there, vcc node join here",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_told_what_is_waited_for_and_that_the_node_goes_on() {
        let mut enrolment =
            json!({ "server": "s:443", "state": "PENDING", "node": "id", "fingerprint": "AB" });
        assert_eq!(
            told(&enrolment, (2, 10)),
            "waits for somebody at s:443 to approve it (2 of 10 min): vcc node approve id AB"
        );
        let failure = in_vain(&enrolment);
        assert_eq!(
            failure.to_string(),
            "s:443: nobody has decided about the node yet"
        );
        assert!(matches!(failure, Failure::Pending { is_reached: true, .. }));

        enrolment["trouble"] = json!("no route");
        assert_eq!(
            told(&enrolment, (2, 10)),
            "can't speak with s:443, and tries again: no route (2 of 10 min)"
        );
        let failure = in_vain(&enrolment);
        assert!(
            failure.to_string().ends_with("can't speak with it: no route"),
            "{failure}"
        );
        assert!(matches!(
            failure,
            Failure::Pending {
                is_reached: false,
                ..
            }
        ));
    }
}
