//! The server's side of TLS: version 1.3 alone. People meet the connector's own certificate; nodes, who ask for
//! [`SERVER_NAME`], meet one of the authority whose key they pinned, and show theirs. On a node, other nodes ask for its own name
//! ([`node_name`](crate::authority::node_name)), meet the certificate of its enrolment, and have to show theirs.

use std::io;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use uuid::Uuid;

use super::wire::Stream;
use crate::authority::{Issuing, Keys, SERVER_NAME};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};
use crate::identity::Identity;
use crate::peer::Peering;

/// Takes connections.
#[derive(Clone)]
pub struct Tls {
    /// None where nobody but nodes comes.
    people: Option<Arc<ServerConfig>>,
    nodes: Option<Arc<Issuing>>,
    peers: Option<Arc<Peering>>,
}

impl Tls {
    /// Shows `identity`'s certificate to whoever comes.
    ///
    /// # Errors
    /// [`Kind::Tls`].
    pub fn new(identity: &Identity) -> Result<Self> {
        let builder = builder()?.with_no_client_auth();
        Ok(Self {
            people: Some(finish(builder, &identity.certified_key())),
            nodes: None,
            peers: None,
        })
    }

    /// Takes other nodes and nobody else.
    pub fn of_peers(peers: Arc<Peering>) -> Self {
        Self {
            people: None,
            nodes: None,
            peers: Some(peers),
        }
    }

    /// The same, with other nodes that know this one.
    #[must_use]
    pub fn with_peers(self, peers: Arc<Peering>) -> Self {
        Self {
            peers: Some(peers),
            ..self
        }
    }

    /// The same, with nodes that an authority knows.
    #[must_use]
    pub fn with_nodes(self, nodes: Arc<Issuing>) -> Self {
        Self {
            nodes: Some(nodes),
            ..self
        }
    }

    /// Takes a connection.
    ///
    /// # Errors
    /// The client breaks off, or doesn't speak TLS 1.3.
    pub async fn accept(&self, stream: Stream) -> io::Result<TlsStream<Stream>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let config = self.config(&start.client_hello());
        let config = config.ok_or(io::ErrorKind::ConnectionRefused)?;
        start.into_stream(config).await
    }

    fn config(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let name = hello.server_name();
        if let Some(nodes) = &self.nodes
            && name == Some(SERVER_NAME)
        {
            return Some(nodes.connections());
        }
        let peers = self.peers.as_ref().and_then(|peers| peers.credentials());
        match peers.filter(|own| name == Some(own.name())) {
            Some(own) => Some(own.connections()),
            None => self.people.clone(),
        }
    }
}

/// How connections of nodes are taken: by the key in use; what a former one signed is good as well.
///
/// # Errors
/// [`Kind::Tls`].
pub fn for_nodes(keys: &Keys, server: Uuid, now: Moment) -> Result<Arc<ServerConfig>> {
    let failed = |reason: &str| Error::new(Kind::Tls, "TLS", reason);
    let mut roots = RootCertStore::empty();
    let former = keys.former.as_ref().map(|(_, certificate)| certificate);
    for certificate in former.into_iter().chain([keys.current.certificate()]) {
        roots
            .add(certificate.clone())
            .map_err(|error| failed("the authority's certificate is unusable").because(error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        // Who has not been approved yet has no certificate to show.
        .allow_unauthenticated()
        .build()
        .map_err(|error| failed("nodes can't be verified").because(error))?;
    let builder = builder()?.with_client_cert_verifier(verifier);
    let serving = keys.current.serving(server, now)?;
    Ok(finish(builder, &serving))
}

/// How a node takes connections of other nodes, each of which shows its certificate.
///
/// # Errors
/// [`Kind::Tls`].
pub fn for_peers(
    verifier: Arc<dyn ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>> {
    let provider = rustls::crypto::ring::default_provider();
    let own = CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| Error::new(Kind::Tls, "TLS", "the node's certificate is unusable").because(error))?;
    Ok(finish(builder()?.with_client_cert_verifier(verifier), &own))
}

type Builder<State> = rustls::ConfigBuilder<ServerConfig, State>;

fn builder() -> Result<Builder<rustls::WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| Error::new(Kind::Tls, "TLS", "version 1.3 is not available").because(e))
}

fn finish(builder: Builder<rustls::server::WantsServerCert>, key: &CertifiedKey) -> Arc<ServerConfig> {
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone())));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A session kept for resumption costs memory that clients decide about; a full handshake costs a millisecond.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}
