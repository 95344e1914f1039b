//! How a source gets to a destination that doesn't reach it, and answers there as on connections that it took.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::dialer::open;
use super::grant_field;
use crate::error::{Error, Kind, Result};
use crate::http::tls::Tls;
use crate::http::wire::Stream;
use crate::http::{Limits, Server};
use crate::service::Context;
use crate::task::Progress;
use crate::transfer::{Grant, Outreach, Part, Purpose, Signed, admit};

/// Streams that are kept open at most.
const MOST: usize = 8;
/// Between two tries at first, and at most.
const SOON: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(5);
/// How long a stream may wait at the other end before anything is said on it; the destination lets it wait for less.
const WAIT: Duration = Duration::from_secs(90);

/// What is ordered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    grant: Signed,
    route: Outreach,
    streams: usize,
}

/// Keeps streams to a destination open, and answers what comes over them, for as long as the grant is good and nobody stops it.
///
/// # Errors
/// [`Kind::Malformed`]; [`Kind::Refused`] for a grant that is not good, here or there.
pub(crate) async fn run(
    context: &Arc<Context>,
    details: Option<&Value>,
    progress: &watch::Sender<Progress>,
) -> Result<Value> {
    let wrong = |reason: &str| Error::new(Kind::Malformed, "the order", reason);
    let details = details.cloned().ok_or_else(|| wrong("says nothing"))?;
    let wish: Wish =
        serde_json::from_value(details).map_err(|error| wrong("is not understood").because(error))?;
    if !(1..=MOST).contains(&wish.streams) {
        return Err(wrong("wants no stream, or more than 8"));
    }
    let server = server(context)?;
    let (tell, mut told) = mpsc::channel(1);
    let mut streams = JoinSet::new();
    for _ in 0..wish.streams {
        let keeping = Keeping {
            context: Arc::clone(context),
            wish: wish.clone(),
            server: server.clone(),
            told: tell.clone(),
        };
        streams.spawn(keeping.run());
    }
    loop {
        tokio::select! {
            Some(message) = told.recv() => {
                progress.send_if_modified(|progress| {
                    let is_new = progress.message != message;
                    progress.message = message;
                    is_new
                });
            }
            ended = streams.join_next() => return match ended {
                Some(Ok(error)) => Err(error),
                _ => Err(Error::new(Kind::Io, "the streams", "have ended")),
            },
        }
    }
}

/// What answers over the streams: the node's own server, for nobody but other nodes.
fn server(context: &Arc<Context>) -> Result<Server> {
    let connections = Arc::clone(context.connections());
    let limits = Limits::default();
    Ok(Server {
        tls: Tls::of_peers(Arc::clone(&ground(context)?.peering)),
        router: crate::api::router(Arc::clone(context)),
        uploads: |_, _| false,
        limits: Limits {
            handshake: WAIT,
            connections: connections.limit().unwrap_or(limits.connections),
            ..limits
        },
        connections,
    })
}

fn ground(context: &Context) -> Result<&crate::service::Ground> {
    let nowhere = || Error::new(Kind::Unreachable, "this node", "its state can't be used");
    context.ground().ok_or_else(nowhere)
}

/// One stream after the other.
struct Keeping {
    context: Arc<Context>,
    wish: Wish,
    server: Server,
    told: mpsc::Sender<String>,
}

impl Keeping {
    /// Until there is no sense in another try; tells why.
    async fn run(self) -> Error {
        let mut pause = SOON;
        loop {
            match self.open().await {
                Ok(stream) => {
                    self.tell(String::new());
                    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                    pause = match self.server.serve_stream(stream, nobody).await {
                        true => SOON,
                        false => later(pause),
                    };
                }
                Err(error) if matches!(error.kind(), Kind::Refused | Kind::Malformed) => return error,
                Err(error) => {
                    self.tell(error.chain().to_string().chars().take(500).collect());
                    pause = later(pause);
                }
            }
            sleep(pause).await;
        }
    }

    /// A stream to the destination.
    async fn open(&self) -> Result<Stream> {
        let ground = ground(&self.context)?;
        let own = ground.peering.expect()?;
        let says: Grant = self.wish.grant.read(Purpose::Grant)?;
        let (grant, peer) = (&self.wish.grant, says.destination.node);
        let now = ground.clock.now();
        let granted = admit(grant, own.authorities(), own.node(), peer, Part::Source, now)
            .map_err(|refusal| Error::new(Kind::Refused, "the grant", refusal.to_string()))?;
        let (node, endpoint, path) = match &self.wish.route {
            Outreach::Reversed { endpoint } => (peer, endpoint, "/api/v1/peer/streams".to_owned()),
            Outreach::Relay { node, endpoint } => (
                *node,
                endpoint,
                format!("/api/v1/peer/relays/{}", granted.transfer),
            ),
        };
        open(&self.context, node, endpoint, &path, &grant_field(grant)).await
    }

    fn tell(&self, message: String) {
        // Of many at once one is enough.
        let _ = self.told.try_send(message);
    }
}

fn later(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(LATER)
}
