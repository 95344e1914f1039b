//! `/api/v1/peer/streams` and `/api/v1/peer/relays`: on a node, connections of other nodes that carry a stream from then on.
//!
//! Each brings the grant of its transfer in the header field `VCC-Grant`. What goes over the stream is TLS between the two ends.

use axum::body::Body;
use axum::extract::Request;
use hyper::Response;

use super::request::{FromPeer, Id, Standing};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::http::upgrade::Upgrade;
use crate::http::upload;
use crate::transfer::{OTHER_NODE, Part};

/// Bring a stream over which this node, a transfer's destination, then asks its source
#[utoipa::path(post, path = "/api/v1/peer/streams", tag = "peer", security(()),
    params(("VCC-Grant" = String, Header, description = "The grant, a signed document in JSON, base64"),
        ("Upgrade" = String, Header, description = "vcc-stream")), responses(
    (status = 101, description = "The connection carries the stream"),
    (status = 401, body = Document, description = "No certificate of a node of the same server was shown"),
    (status = 403, body = Document, description = "The grant is not for these nodes, or not good"),
    (status = 409, body = Document, description = "Nobody waits for it now"),
    (status = 422, body = Document),
    (status = 426, body = Document),
))]
pub(super) async fn bring(
    standing: Standing,
    peer: FromPeer,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let ground = standing.ground()?;
    let (mut parts, _) = request.into_parts();
    let grant = peer.granted(&parts.headers, Part::Destination, ground.clock.now())?;
    let expected = ground
        .streams
        .expect(grant.transfer, peer.node())
        .map_err(refused)?;
    let upgrade = Upgrade::of(&mut parts)?;
    Ok(upgrade.answer(move |stream| expected.wait(stream)))
}

/// Have this node pass bytes on between the two nodes of a transfer, of which this is one
#[utoipa::path(post, path = "/api/v1/peer/relays/{transfer}", tag = "peer", security(()),
    params(("transfer" = String, Path),
        ("VCC-Grant" = String, Header, description = "The grant, a signed document in JSON, base64"),
        ("Upgrade" = String, Header, description = "vcc-stream")), responses(
    (status = 101, description = "The connection carries the stream, once the other one has come"),
    (status = 401, body = Document, description = "No certificate of a node of the same server was shown"),
    (status = 403, body = Document, description = "The grant is not for these nodes, or not good"),
    (status = 422, body = Document),
    (status = 426, body = Document),
))]
pub(super) async fn relay(
    standing: Standing,
    peer: FromPeer,
    Id(transfer): Id,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let ground = standing.ground()?;
    let (mut parts, _) = request.into_parts();
    let grant = peer.granted(&parts.headers, Part::Relay, ground.clock.now())?;
    if grant.transfer.to_string() != transfer {
        return Err(Problem::GRANT_REFUSED.about(format!("{OTHER_NODE}: the grant is for another transfer.")));
    }
    let side = match peer.node() == grant.source.node {
        true => Part::Source,
        false => Part::Destination,
    };
    let seat = ground.relays.seat(grant.transfer, side).map_err(refused)?;
    let upgrade = Upgrade::of(&mut parts)?;
    Ok(upgrade.answer(move |stream| seat.meet(stream)))
}

fn refused(error: Error) -> Problem {
    match error.kind() {
        Kind::Unknown => Problem::NOT_EXPECTED.about(format!("{}.", error.reason())),
        Kind::Ceiling => upload::too_many(),
        _ => Problem::from(error),
    }
}
