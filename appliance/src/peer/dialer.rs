//! How a destination gets to its source.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::streams::Wanted;
use super::{GRANT, grant_field};
use crate::authority::node_name;
use crate::client::{Client, Reaching, Tls, Trust, Way};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::http::upgrade::PROTOCOL;
use crate::http::wire::Stream;
use crate::service::Context;
use crate::transfer::{Part, Route, Signed, admit};

/// The longest that a connection takes to be there, on whatever way.
const PATIENCE: Duration = Duration::from_secs(45);

/// Makes connections to the source of a transfer, each an HTTP client of its own.
///
/// Each connection is made with the certificate that this node has at that moment, to the node that is meant and nobody else. A
/// client whose connection has gone makes another by the same way.
#[derive(Clone)]
pub struct Dialer {
    way: Arc<ToSource>,
    grant: Arc<str>,
}

struct ToSource {
    context: Arc<Context>,
    source: Uuid,
    transfer: Uuid,
    route: Route,
    grant: Arc<str>,
    /// Streams that the source brings, for as long as there is a dialer.
    wanted: Option<Arc<Wanted>>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dialer")
            .field(&self.way.source)
            .field(&self.way.route)
            .finish()
    }
}

impl Dialer {
    /// For the transfer of a grant, in which this node is the destination and `source` is the source.
    ///
    /// # Errors
    /// [`Kind::Refused`] for a grant that is not good for these two; [`Kind::Unreachable`] where this node is not one of a server's
    /// now.
    pub fn new(context: Arc<Context>, source: Uuid, route: Route, grant: &Signed) -> Result<Self> {
        let nowhere = || Error::new(Kind::Unreachable, "this node", "its state can't be used");
        let ground = context.ground().ok_or_else(nowhere)?;
        let own = ground.peering.expect()?;
        let now = ground.clock.now();
        let granted = admit(
            grant,
            own.authorities(),
            own.node(),
            source,
            Part::Destination,
            now,
        )
        .map_err(|refusal| Error::new(Kind::Refused, "the grant", refusal.to_string()))?;
        let wanted = match route {
            Route::Reversed {} => Some(ground.streams.want(granted.transfer, source)),
            Route::Direct { .. } | Route::Relay { .. } | Route::Carried {} => None,
        };
        let grant: Arc<str> = grant_field(grant).into();
        Ok(Self {
            grant: Arc::clone(&grant),
            way: Arc::new(ToSource {
                transfer: granted.transfer,
                context,
                source,
                route,
                grant,
                wanted,
            }),
        })
    }

    /// What goes into the header field [`GRANT`] of each request.
    pub fn grant_field(&self) -> &str {
        &self.grant
    }

    /// A client of the source, connected; for several connections at once, call it as often.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] where there is no way now; [`Kind::Stranger`] where somebody else is there; [`Kind::Refused`] by a relay
    /// that doesn't take the grant; [`Kind::Clock`].
    pub async fn client(&self) -> Result<Client> {
        let way: Arc<dyn Way> = Arc::clone(&self.way) as _;
        let mut client = Client::on(way, node_name(self.way.source));
        let place = || format!("node {}", self.way.source);
        client
            .prepare(PATIENCE)
            .await
            .map_err(|error| match error.place() {
                "the server" => error.at(place()),
                _ => error,
            })?;
        Ok(client)
    }
}

impl Way for ToSource {
    fn reach(&self) -> Reaching<'_> {
        Box::pin(async {
            let stream = match (&self.route, &self.wanted) {
                (Route::Direct { endpoint }, _) => connect(&self.context, endpoint).await?,
                (Route::Relay { node, endpoint }, _) => {
                    let path = format!("/api/v1/peer/relays/{}", self.transfer);
                    open(&self.context, *node, endpoint, &path, &self.grant).await?
                }
                (Route::Reversed {}, Some(wanted)) => wanted.take().await?,
                (Route::Reversed {}, None) => {
                    return Err(Error::new(Kind::Unreachable, "the source", "nobody waits for it"));
                }
                (Route::Carried {}, _) => {
                    return Err(Error::new(
                        Kind::Unreachable,
                        "the source",
                        "people carry what it has",
                    ));
                }
            };
            Ok((stream, tls(&self.context, self.source)?))
        })
    }
}

async fn connect(context: &Context, endpoint: &Endpoint) -> Result<Stream> {
    let stream = endpoint.connect(&context.resolver()).await?;
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

/// The client's side of a connection to a node.
fn tls(context: &Context, node: Uuid) -> Result<Tls> {
    let nowhere = || Error::new(Kind::Unreachable, "this node", "its state can't be used");
    let own = context.ground().ok_or_else(nowhere)?.peering.expect()?;
    let trust = Trust::Node(own.authorities().to_vec(), node);
    Tls::new(None, trust, Some(own.shown()))
}

/// A node, where it takes connections.
struct Direct {
    context: Arc<Context>,
    node: Uuid,
    endpoint: Endpoint,
}

impl Way for Direct {
    fn reach(&self) -> Reaching<'_> {
        Box::pin(async {
            let stream = connect(&self.context, &self.endpoint).await?;
            Ok((stream, tls(&self.context, self.node)?))
        })
    }
}

/// Has a node give its connection for a stream.
///
/// # Errors
/// [`Kind::Unreachable`], [`Kind::Stranger`], [`Kind::Clock`]; [`Kind::Refused`] for a grant that it doesn't take;
/// [`Kind::Incomplete`] where it has no place for it just now.
pub(super) async fn open(
    context: &Arc<Context>,
    node: Uuid,
    endpoint: &Endpoint,
    path: &str,
    grant: &str,
) -> Result<Stream> {
    let way = Arc::new(Direct {
        context: Arc::clone(context),
        node,
        endpoint: endpoint.clone(),
    });
    let client = Client::on(way, node_name(node));
    let place = || format!("node {node}");
    let opened = client.upgrade(path, PROTOCOL, &[(GRANT, grant)]).await;
    let opened = opened.map_err(|error| match error.place() {
        "the server" => error.at(place()),
        _ => error,
    })?;
    opened.map_err(|answer| {
        let kind = match answer.status.as_u16() {
            403 | 422 => Kind::Refused,
            _ => Kind::Incomplete,
        };
        Error::new(kind, place(), format!("gives no stream: {}", answer.code()))
    })
}
