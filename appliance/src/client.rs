//! The client of a connector, a node's or an administrator's: one kept connection, to the one that is trusted.

mod transfer;
mod trust;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderName, UPGRADE};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::version::TLS13;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::access::Secret;
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::http::wire::Stream;
use crate::identity::Fingerprint;
use crate::resolver::Resolver;

pub(crate) use transfer::STILL;
pub use trust::Trust;

/// What a request says.
type Told = UnsyncBoxBody<Bytes, io::Error>;

/// The longest that a connection, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection without a request is relied on: connectors close theirs after 15 seconds.
const FRESH: Duration = Duration::from_secs(8);
/// The longest answer in bytes.
const LIMIT: usize = 1 << 20;

/// A way to whoever is asked, on which connections are made anew as often as it takes.
pub(crate) trait Way: Send + Sync {
    /// Another connection, on which nothing was said yet, and how whoever is at its other end is known at this moment.
    fn reach(&self) -> Reaching<'_>;
}

/// Whoever reaches.
pub(crate) type Reaching<'a> = Pin<Box<dyn Future<Output = Result<(Stream, Tls)>> + Send + 'a>>;

/// A server, and how to know it.
pub struct Client {
    way: Arc<dyn Way>,
    /// What is asked for in the field `Host`.
    host: String,
    kept: Option<Kept>,
}

/// The client's side of TLS: version 1.3 alone.
#[derive(Clone)]
pub(crate) struct Tls {
    /// What is asked for in the field `Host`.
    host: String,
    /// What is asked for in TLS.
    name: ServerName<'static>,
    connector: TlsConnector,
    /// What is wrong with one who isn't it.
    stranger: &'static str,
}

/// A server, where it listens.
struct Direct {
    server: Endpoint,
    resolver: Resolver,
    tls: Tls,
}

impl Way for Direct {
    fn reach(&self) -> Reaching<'_> {
        Box::pin(async {
            let stream = self.server.connect(&self.resolver).await?;
            let _ = stream.set_nodelay(true);
            let stream: Stream = Box::new(stream);
            Ok((stream, self.tls.clone()))
        })
    }
}

impl Tls {
    /// For whoever is trusted; with certificates and their key, the other side knows who asks.
    ///
    /// # Errors
    /// [`Kind::Tls`].
    pub(crate) fn new(
        server: Option<&Endpoint>,
        trust: Trust,
        own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self> {
        let failed = |error| Error::new(Kind::Tls, "TLS", "the own certificate is unusable").because(error);
        let (host, name) = trust.asked_for(server)?;
        let stranger = trust.stranger();
        let provider = Arc::new(ring::default_provider());
        let verifier = trust.verifier(Arc::clone(&provider))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match own {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(failed)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            host,
            name,
            connector: TlsConnector::from(Arc::new(config)),
            stranger,
        })
    }
}

/// A connection that is ready for the next request.
struct Kept {
    sender: SendRequest<Told>,
    since: Instant,
}

/// An answer that is read as it comes.
pub(crate) struct Flow {
    sender: SendRequest<Told>,
    /// The answer.
    pub(crate) answer: Response<Incoming>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub fields: HeaderMap,
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

    /// Its bytes.
    pub fn into_bytes(self) -> Bytes {
        self.body
    }

    /// The stable code of a problem.
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or("none");
        code.chars().filter(char::is_ascii_graphic).take(64).collect()
    }
}

impl Client {
    /// A server, and how it is known. With a certificate and its key, the server knows who asks.
    ///
    /// # Errors
    /// [`Kind::Tls`].
    pub fn new(
        server: Endpoint,
        resolver: Resolver,
        trust: impl Into<Trust>,
        own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Result<Self> {
        let own = own.map(|(certificate, key)| (vec![certificate], key));
        let tls = Tls::new(Some(&server), trust.into(), own)?;
        Ok(Self {
            host: tls.host.clone(),
            way: Arc::new(Direct {
                server,
                resolver,
                tls,
            }),
            kept: None,
        })
    }

    /// Whoever is asked for by a name, on some way.
    pub(crate) fn on(way: Arc<dyn Way>, host: String) -> Self {
        Self {
            way,
            host,
            kept: None,
        }
    }

    /// Makes the connection now, for the first request.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) async fn prepare(&mut self, patience: Duration) -> Result<()> {
        let sender = timeout(patience, self.connect()).await.map_err(late)??;
        self.keep(sender);
        Ok(())
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
        self.ask_with(method, path, token, &[], body, PATIENCE).await
    }

    /// The same with more header fields, and with as much patience as it takes.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask_with(
        &mut self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        fields: &[(HeaderName, &str)],
        body: Option<&impl Serialize>,
        patience: Duration,
    ) -> Result<Answer> {
        let request = self.question(method, path, token, fields, body)?;
        self.answer(request, LIMIT, patience).await
    }

    /// Asks for what may be longer than other answers: `longest` bytes.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn fetch(
        &mut self,
        path: &str,
        token: Option<&Secret>,
        longest: usize,
        patience: Duration,
    ) -> Result<Answer> {
        let request = self.question(Method::GET, path, token, &[], None::<&()>)?;
        self.answer(request, longest, patience).await
    }

    /// The same with header fields, and no token.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) async fn fetch_with(
        &mut self,
        path: &str,
        fields: &[(HeaderName, &str)],
        longest: usize,
        patience: Duration,
    ) -> Result<Answer> {
        let request = self.question(Method::GET, path, None, fields, None::<&()>)?;
        self.answer(request, longest, patience).await
    }

    async fn answer(&mut self, request: Request<Told>, longest: usize, patience: Duration) -> Result<Answer> {
        let asked = async {
            let (sender, answer) = self.send(request).await?;
            let answer = whole(answer, longest).await?;
            self.keep(sender);
            Ok(answer)
        };
        timeout(patience, asked).await.map_err(late)?
    }

    /// Keeps a connection for the next request.
    fn keep(&mut self, sender: SendRequest<Told>) {
        self.kept = Some(Kept {
            sender,
            since: Instant::now(),
        });
    }

    /// Asks for what is long or has no end, and leaves the reading to the caller. An answer that is no success is told whole.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn open(
        &mut self,
        path: &str,
        token: Option<&Secret>,
        fields: &[(HeaderName, &str)],
    ) -> Result<Result<Response<Incoming>, Answer>> {
        let request = self.question(Method::GET, path, token, fields, None::<&()>)?;
        let opened = async {
            let (_, answer) = self.send(request).await?;
            match answer.status().is_success() {
                true => Ok(Ok(answer)),
                false => Ok(Err(whole(answer, LIMIT).await?)),
            }
        };
        timeout(PATIENCE, opened).await.map_err(late)?
    }

    /// Asks for what is long, and leaves the reading to the caller, who gives the connection back in the end with
    /// [`Client::reuse`]. An answer that is no success is told whole.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) async fn flow(
        &mut self,
        path: &str,
        fields: &[(HeaderName, &str)],
    ) -> Result<Result<Flow, Answer>> {
        let request = self.question(Method::GET, path, None, fields, None::<&()>)?;
        let opened = async {
            let (sender, answer) = self.send(request).await?;
            match answer.status().is_success() {
                true => Ok(Ok(Flow { sender, answer })),
                false => Ok(Err(whole(answer, LIMIT).await?)),
            }
        };
        timeout(PATIENCE, opened).await.map_err(late)?
    }

    /// Keeps a connection whose answer was read to its end for the next request.
    pub(crate) fn reuse(&mut self, flow: Flow) {
        self.keep(flow.sender);
    }

    /// Asks by POST that the connection carries a stream of a protocol from now on, and takes it; an answer that is another is told
    /// whole.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) async fn upgrade(
        mut self,
        path: &str,
        protocol: &str,
        fields: &[(HeaderName, &str)],
    ) -> Result<Result<Stream, Answer>> {
        let mut all = fields.to_vec();
        all.extend([(CONNECTION, "upgrade"), (UPGRADE, protocol)]);
        let request = self.question(Method::POST, path, None, &all, None::<&()>)?;
        let upgraded = async {
            let (_sender, answer) = self.send(request).await?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Err(whole(answer, LIMIT).await?));
            }
            let stream = hyper::upgrade::on(answer).await;
            let stream =
                stream.map_err(|error| unreachable("the connection carries no stream").because(error))?;
            let stream: Stream = Box::new(TokioIo::new(stream));
            Ok(Ok(stream))
        };
        timeout(PATIENCE, upgraded).await.map_err(late)?
    }

    /// A request whose body is JSON, if it has one.
    fn question(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        fields: &[(HeaderName, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Request<Told>> {
        let json = (CONTENT_TYPE, "application/json");
        let mut all = fields.to_vec();
        let bytes = match body {
            Some(body) => {
                all.push(json);
                serde_json::to_vec(body).unwrap_or_default()
            }
            None => Vec::new(),
        };
        let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {});
        self.request(method, path, token, &all, body.boxed_unsync())
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        fields: &[(HeaderName, &str)],
        body: Told,
    ) -> Result<Request<Told>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        for (name, value) in fields {
            request = request.header(name, *value);
        }
        request
            .body(body)
            .map_err(|error| unreachable("the request can't be told").because(error))
    }

    async fn send(&mut self, request: Request<Told>) -> Result<(SendRequest<Told>, Response<Incoming>)> {
        // Who sat at a prompt meanwhile has not seen that the other side closed.
        let kept = self.kept.take().filter(|kept| kept.since.elapsed() < FRESH);
        let mut kept = kept.map(|kept| kept.sender);
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| unreachable("the connection broke").because(error))?;
        Ok((sender, answer))
    }

    async fn connect(&self) -> Result<SendRequest<Told>> {
        let (stream, tls) = self.way.reach().await?;
        let stream = tls.connector.connect(tls.name, stream).await;
        let stream = stream.map_err(|error| trust::failure(error, tls.stranger))?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable("it doesn't speak HTTP").because(error))?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

/// An answer with its body, of at most `longest` bytes.
async fn whole(answer: Response<Incoming>, longest: usize) -> Result<Answer> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, longest).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Error::new(Kind::Ceiling, "the answer", "is longer than it may be"),
        false => unreachable("the answer broke off"),
    })?;
    Ok(Answer {
        status: head.status,
        fields: head.headers,
        body: body.to_bytes(),
    })
}

/// The fingerprint of whoever is there, who is told nothing.
///
/// # Errors
/// [`Kind::Unreachable`].
pub async fn meet(server: &Endpoint, resolver: &Resolver) -> Result<Fingerprint> {
    let met = Arc::new(OnceLock::new());
    let trust = Trust::Nobody(Arc::clone(&met));
    let client = Client::new(server.clone(), resolver.clone(), trust, None)?;
    let refused = timeout(PATIENCE, client.connect()).await.map_err(late)?.err();
    match (met.get(), refused) {
        (Some(fingerprint), _) => Ok(*fingerprint),
        (None, Some(error)) => Err(error),
        (None, None) => Err(unreachable("it shows no certificate")),
    }
}

fn late(_: tokio::time::error::Elapsed) -> Error {
    unreachable("no answer in time")
}

fn unreachable(reason: &str) -> Error {
    Error::new(Kind::Unreachable, "the server", reason)
}
