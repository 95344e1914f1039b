//! The HTTPS server: TLS 1.3 and HTTP/1.1 on one port, under limits that no client can exceed.
//!
//! What a slow or malicious client meets, each with a test in `tests/service.rs`:
//!
//! | attack | answer |
//! |---|---|
//! | connects and says nothing, or drips its handshake | closed after [`HANDSHAKE`] |
//! | drips a request's head, or keeps an idle connection | closed after [`HEAD`] |
//! | sends heads without end | 431 above [`HEAD_BYTES`] or [`HEADERS`] |
//! | sends bodies without end | 413 above [`BODY_BYTES`], never kept in memory |
//! | does not read what it asked for | closed after [`STALL`] without progress |
//! | opens connections without end | the oldest idle one makes room for each above [`connections::LIMIT`] |
//! | speaks plain HTTP | TLS alert, closed |
//!
//! HTTP/2 is left out on purpose: one connection's streams, resets and pings are a surface of their own, and nothing
//! that the connector serves yet gains from it.

pub mod connections;
pub mod problem;
pub mod requests;
mod stall;
pub mod tls;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use connections::{Connections, Ticket};
use problem::Problem;
use stall::Stall;

/// The longest TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// The longest wait for a request's head to be whole, from when the connection is ready for it.
pub const HEAD: Duration = Duration::from_secs(15);
/// The longest wait for a client to take what was written.
pub const STALL: Duration = Duration::from_secs(20);
/// The longest a request may take to answer.
const REQUEST: Duration = Duration::from_secs(60);
/// The largest head of a request in bytes.
pub const HEAD_BYTES: usize = 16 << 10;
/// The most header fields of a request.
pub const HEADERS: usize = 64;
/// The largest body of a request in bytes.
pub const BODY_BYTES: usize = 64 << 10;
/// The longest that requests under way may take after the server was told to stop.
const FAREWELL: Duration = Duration::from_secs(5);
/// The wait after the system had no descriptor or memory for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `stop` becomes true, then ends requests under way and returns.
pub async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    router: Router,
    connections: Arc<Connections>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        match accepted {
            Ok((stream, _)) => admit(stream, &tls, &router, &connections, &stop),
            Err(error) if is_the_clients(&error) => {}
            Err(_) => tokio::time::sleep(EXHAUSTED).await,
        }
    }
    drop(listener);
    let _ = timeout(FAREWELL, connections.all_closed()).await;
}

/// A connection that failed before it was taken says nothing about the next.
fn is_the_clients(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

fn admit(
    stream: TcpStream,
    tls: &TlsAcceptor,
    router: &Router,
    connections: &Arc<Connections>,
    stop: &watch::Receiver<bool>,
) {
    let Some(ticket) = connections.admit() else {
        return;
    };
    let id = ticket.id();
    let task = tokio::spawn(converse(
        stream,
        tls.clone(),
        router.clone(),
        ticket,
        stop.clone(),
    ));
    connections.started(id, task.abort_handle());
}

/// One connection from handshake to close. How it ends concerns nobody but the client.
async fn converse(
    stream: TcpStream,
    tls: TlsAcceptor,
    router: Router,
    ticket: Ticket,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await else {
        return;
    };
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| answer(&router, &ticket, request));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(Stall::new(stream, STALL)), service)
    );
    tokio::select! {
        _ = &mut connection => return,
        _ = stop.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answer(
    router: &TowerToHyperService<Router>,
    ticket: &Ticket,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let _busy = ticket.busy();
    if declared_length(&request) > BODY_BYTES as u64 {
        return Ok(Problem::TOO_LARGE.response());
    }
    let request = request.map(|body| Body::new(Limited::new(body, BODY_BYTES)));
    match timeout(REQUEST, router.call(request)).await {
        Ok(answer) => answer,
        Err(_) => Ok(Problem::TIMEOUT.response()),
    }
}

/// What the request says that its body is long; hyper has checked that it is one number.
fn declared_length(request: &Request<Incoming>) -> u64 {
    let length = request.headers().get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}
