//! A connector as the client of its server: one kept connection, to whoever has the key that was pinned.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::access::Secret;
use crate::authority::{KeyDigest, SERVER_NAME};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::resolver::Resolver;

/// The longest that a connection, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer in bytes.
const LIMIT: usize = 1 << 20;

/// A server, and how to know it.
pub struct Client {
    server: Endpoint,
    resolver: Resolver,
    tls: TlsConnector,
    kept: Option<SendRequest<Full<Bytes>>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    body: Bytes,
}

impl Answer {
    /// What it says.
    ///
    /// # Errors
    /// [`Kind::Malformed`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::new(Kind::Malformed, "the server's answer", "is not as it should be").because(error)
        })
    }

    /// The stable code of a problem.
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or("none");
        code.chars().filter(char::is_ascii_graphic).take(64).collect()
    }
}

impl Client {
    /// A server, known by one of its authority's keys. With a certificate and its key, the server knows who asks.
    ///
    /// # Errors
    /// [`Kind::Tls`].
    pub fn new(
        server: Endpoint,
        resolver: Resolver,
        authorities: Vec<KeyDigest>,
        own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Result<Self> {
        let failed =
            |error| Error::new(Kind::Tls, "TLS", "the node's certificate is unusable").because(error);
        let provider = Arc::new(ring::default_provider());
        let verifier = Pinned {
            authorities,
            provider: Arc::clone(&provider),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match own {
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate], key)
                .map_err(failed)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            server,
            resolver,
            tls: TlsConnector::from(Arc::new(config)),
            kept: None,
        })
    }

    /// Asks once; a kept connection that has gone meanwhile is made anew.
    ///
    /// # Errors
    /// [`Kind::Unreachable`]; [`Kind::Stranger`] where somebody else answers.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&impl Serialize>,
    ) -> Result<Answer> {
        let late = |_| self::unreachable("no answer in time");
        timeout(PATIENCE, self.ask_patiently(method, path, token, body))
            .await
            .map_err(late)?
    }

    async fn ask_patiently(
        &mut self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&impl Serialize>,
    ) -> Result<Answer> {
        let failed = |error: hyper::Error| unreachable("the connection broke").because(error);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, SERVER_NAME);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                serde_json::to_vec(body).unwrap_or_default()
            }
            None => Vec::new(),
        };
        let request = request
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| unreachable("the request can't be told").because(error))?;
        let mut kept = self.kept.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let answer = sender.send_request(request).await.map_err(failed)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LIMIT).collect().await;
        let body = body.map_err(|_| unreachable("the answer broke off, or is too long"))?;
        self.kept = Some(sender);
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = self.server.connect(&self.resolver).await?;
        let _ = stream.set_nodelay(true);
        let name = ServerName::try_from(SERVER_NAME)
            .map_err(|error| Error::new(Kind::Tls, "TLS", "no name").because(error))?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| {
            let is_stranger = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .is_some_and(|inner| matches!(inner, rustls::Error::InvalidCertificate(_)));
            match is_stranger {
                true => {
                    Error::new(Kind::Stranger, "the server", "has not the key that was pinned").because(error)
                }
                false => unreachable("it doesn't speak with us").because(error),
            }
        })?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable("it doesn't speak HTTP").because(error))?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn unreachable(reason: &str) -> Error {
    Error::new(Kind::Unreachable, "the server", reason)
}

/// Takes whoever shows a chain that ends in the key that was pinned, and has the name that only servers are given.
#[derive(Debug)]
struct Pinned {
    authorities: Vec<KeyDigest>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = others.iter().find(|certificate| {
            KeyDigest::of_certificate(certificate).is_some_and(|key| self.authorities.contains(&key))
        });
        let pinned = pinned.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, &[], name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
