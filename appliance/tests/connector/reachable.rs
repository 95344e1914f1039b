//! Nodes that take connections of each other, and grants of their server's.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use appliance::catalog::Sort;
use appliance::clock::{Clock, Moment};
use appliance::digest::Digest;
use appliance::endpoint::Endpoint;
use appliance::http::{Limits, Server};
use appliance::peer::Credentials;
use appliance::service::Context;
use appliance::transfer::{Grant, Party, Place, Purpose, Signed};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::enrolled::{Following, Listening, enrol_on};

/// A node that is taken in, and takes connections.
pub(crate) struct Reachable {
    pub(crate) node: Following,
    pub(crate) id: Uuid,
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Reachable {
    pub(crate) async fn new(server: &Listening, state: &Path) -> Self {
        Self::on(server, state, Clock::System).await
    }

    /// One that goes by a clock.
    pub(crate) async fn on(server: &Listening, state: &Path, clock: Clock) -> Self {
        let (node, id) = enrol_on(server, state, clock).await;
        let own = Self::serve(node, id.parse().unwrap(), "127.0.0.1:0").await;
        own.credentials().await;
        own
    }

    /// One that was there before, after a restart.
    pub(crate) async fn again(state: &Path, id: Uuid, address: SocketAddr) -> Self {
        let node = Following::start(state).await;
        let own = Self::serve(node, id, &address.to_string()).await;
        own.credentials().await;
        own
    }

    async fn serve(node: Following, id: Uuid, listen: &str) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let context = &node.own.context;
        context.ground().unwrap().peering.listens_on(address.port());
        let server = Server {
            tls: context.tls().unwrap(),
            router: appliance::pages::over(Arc::clone(context), appliance::api::router(Arc::clone(context))),
            uploads: appliance::api::takes_file,
            connections: Arc::clone(context.connections()),
            limits: Limits::default(),
        };
        let (stop, stopped) = watch::channel(false);
        Self {
            serving: tokio::spawn(server.serve(listener, stopped)),
            node,
            id,
            address,
            stop,
        }
    }

    pub(crate) fn context(&self) -> Arc<Context> {
        Arc::clone(&self.node.own.context)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.address.into()
    }

    /// What it shows others, once it has heard of the authority.
    pub(crate) async fn credentials(&self) -> Arc<Credentials> {
        let context = self.context();
        let wait = async {
            loop {
                if let Some(own) = context.ground().unwrap().peering.credentials() {
                    return own;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap()
    }

    /// Stops as a service does.
    pub(crate) async fn end(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
        self.node.end().await;
    }
}

fn party(node: Uuid) -> Party {
    let place = serde_json::json!({ "catalog": "images", "item": "app" });
    Party {
        node,
        cloud: "north".to_owned(),
        place: serde_json::from_value::<Place>(place).unwrap(),
    }
}

/// A grant for an hour.
pub(crate) fn grant(server: &Listening, source: Uuid, destination: Uuid, relay: Option<Uuid>) -> Signed {
    let now = Clock::System.now();
    grant_until(
        server,
        source,
        destination,
        relay,
        now.after(Duration::from_secs(3600)),
    )
}

pub(crate) fn grant_until(
    server: &Listening,
    source: Uuid,
    destination: Uuid,
    relay: Option<Uuid>,
    expires: Moment,
) -> Signed {
    let keys = server.own.context.issuing().unwrap().keys();
    let grant = Grant {
        transfer: Uuid::new_v4(),
        number: 1,
        source: party(source),
        destination: party(destination),
        version: Uuid::new_v4(),
        label: "1".to_owned(),
        kind: Sort::File,
        digest: Digest::of(b""),
        bytes: 0,
        floor: None,
        relay,
        moves: false,
        subscription: None,
        issued: Clock::System.now(),
        expires,
    };
    let authority = &keys.current;
    Signed::new(Purpose::Grant, &grant, authority.certificate(), |bytes| {
        authority.sign(bytes)
    })
    .unwrap()
}

/// The transfer that a grant is for.
pub(crate) fn transfer_of(grant: &Signed) -> Uuid {
    grant.read::<Grant>(Purpose::Grant).unwrap().transfer
}
