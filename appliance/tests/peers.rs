//! Nodes of one server reach each other, and strangers don't.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;
#[path = "connector/reachable.rs"]
mod reachable;

use appliance::error::Kind;
use appliance::peer::Dialer;
use appliance::transfer::Route;
use enrolled::Listening;
use hyper::Method;
use reachable::{Reachable, grant};
use uuid::Uuid;

fn direct(to: &Reachable) -> Route {
    Route::Direct {
        endpoint: to.endpoint(),
    }
}

/// What a source answers a destination over a way.
async fn asked(server: &Listening, destination: &Reachable, source: Uuid, route: Route) -> Result<u16, Kind> {
    let grant = grant(server, source, destination.id, None);
    let dialer = Dialer::new(destination.context(), source, route, &grant).unwrap();
    let mut client = dialer.client().await.map_err(|error| error.kind())?;
    let answer = client
        .ask(Method::GET, "/api/v1/peer/nothing", None, None::<&()>)
        .await;
    answer
        .map(|answer| answer.status.as_u16())
        .map_err(|error| error.kind())
}

#[tokio::test]
async fn a_node_reaches_another_of_its_server_and_no_other_than_it_means() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let destination = Reachable::new(&server, &folder.path().join("destination")).await;
    assert_eq!(
        asked(&server, &destination, source.id, direct(&source)).await,
        Ok(404)
    );
    assert_eq!(
        asked(&server, &destination, Uuid::new_v4(), direct(&source)).await,
        Err(Kind::Stranger),
        "another node was meant"
    );
}
