//! The HTTPS server: TLS 1.3 and HTTP/1.1 on one port, under limits that no client can exceed.
//!
//! What a slow or malicious client meets, each with a test in `tests/http.rs`:
//!
//! | attack | answer |
//! |---|---|
//! | connects and says nothing, or drips its handshake | closed after [`Limits::handshake`] |
//! | drips a request's head, or keeps an idle connection | closed after [`Limits::head`] |
//! | sends heads without end | 431 above [`HEAD_BYTES`] or [`HEADERS`] |
//! | sends bodies without end | 413 above [`BODY_BYTES`], never kept in memory |
//! | announces a body and doesn't send it | counts as idle, and makes room as such |
//! | sends a file that nobody let it send | is refused unread, and counts as idle until then |
//! | drips a file | 408 below 30 KiB in [`Limits::pace`] |
//! | sends or takes files over every connection | 503 above half of them: the others are for everybody else |
//! | does not read what it asked for | closed after [`Limits::stall`] without progress |
//! | opens connections without end | the oldest idle one makes room for each above [`Limits::connections`] |
//! | speaks plain HTTP | TLS alert, closed |
//!
//! Files are the exception to the ceilings of bodies and of time: see [`upload`] and [`download`].
//!
//! HTTP/2 is left out on purpose: one connection's streams, resets and pings are a surface of their own, and nothing
//! that the connector serves yet gains from it.

mod answering;
pub mod connections;
pub mod download;
mod leftover;
pub mod peer;
pub(crate) mod percent;
pub mod problem;
pub mod requests;
mod sending;
mod stall;
pub mod tls;
pub mod upgrade;
pub mod upload;
mod whole;
pub mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use answering::Answering;
use connections::{Connections, Ticket};
use peer::Peer;
use sending::Unsent;
use stall::Stall;
use tls::Tls;
use wire::Stream;

/// The waits and numbers that a client can use up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest TLS handshake.
    pub handshake: Duration,
    /// The longest wait for a request's head to be whole, from when the connection is ready for it.
    pub head: Duration,
    /// The longest wait for a client to take what was written.
    pub stall: Duration,
    /// The longest wait for the next [`upload::PACE_BYTES`] of a file.
    pub pace: Duration,
    /// The most connections at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            stall: Duration::from_secs(20),
            pace: Duration::from_secs(30),
            connections: 256,
        }
    }
}

/// The longest a request may take to answer, or to be let send a file.
const REQUEST: Duration = Duration::from_secs(60);
/// The largest head of a request in bytes.
pub const HEAD_BYTES: usize = 16 << 10;
/// The most header fields of a request.
pub const HEADERS: usize = 64;
/// The largest body of a request in bytes, unless it is a file.
pub const BODY_BYTES: usize = 64 << 10;
/// The longest that requests under way may take after the server was told to stop.
const FAREWELL: Duration = Duration::from_secs(5);
/// The wait after the system had no descriptor or memory for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A server, before it has a socket.
#[derive(Clone)]
pub struct Server {
    /// The server's side of TLS.
    pub tls: Tls,
    /// What is served.
    pub router: Router,
    /// Which requests send files: they are judged by method and path, before their bodies are read.
    pub uploads: fn(&Method, &str) -> bool,
    /// The table of its connections.
    pub connections: Arc<Connections>,
    /// What clients can use up.
    pub limits: Limits,
}

impl Server {
    /// Serves on `listener` until `stop` becomes true, then ends requests under way and returns.
    pub async fn serve(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.changed() => break,
            };
            match accepted {
                Ok((stream, from)) => {
                    let _ = stream.set_nodelay(true);
                    let _ = self.admit(Box::new(stream), from.ip(), &stop);
                }
                Err(error) if is_the_clients(&error) => {}
                Err(_) => tokio::time::sleep(EXHAUSTED).await,
            }
        }
        drop(listener);
        self.connections.stop();
        let _ = timeout(FAREWELL, self.connections.all_closed()).await;
    }

    /// Serves one stream that is there already until it ends, as if it were one that was taken; it counts as one, too. Dropped, it
    /// ends. Whether there was a place for it.
    pub async fn serve_stream(&self, stream: Stream, from: IpAddr) -> bool {
        let stop = self.connections.stopping();
        match self.admit(stream, from, &stop) {
            Some(task) => {
                let mut task = Aborting(task);
                let _ = (&mut task.0).await;
                true
            }
            None => false,
        }
    }

    fn admit(&self, stream: Stream, from: IpAddr, stop: &watch::Receiver<bool>) -> Option<JoinHandle<()>> {
        let ticket = self.connections.admit(self.limits.connections)?;
        let id = ticket.id();
        let task = tokio::spawn(self.clone().converse(stream, from, ticket, stop.clone()));
        self.connections.started(id, task.abort_handle());
        Some(task)
    }

    /// One connection from handshake to close. How it ends concerns nobody but the client.
    async fn converse(self, stream: Stream, from: IpAddr, ticket: Ticket, mut stop: watch::Receiver<bool>) {
        let Ok(Ok(stream)) = timeout(self.limits.handshake, self.tls.accept(stream)).await else {
            return;
        };
        let (peer, unsent) = (Peer::of(&stream, from), Arc::new(Unsent::default()));
        let answering = Answering {
            router: TowerToHyperService::new(self.router),
            uploads: self.uploads,
            pace: self.limits.pace,
            ticket: Arc::new(ticket),
            stop: self.connections.stopping(),
            unsent: Arc::clone(&unsent),
        };
        let answering = Arc::new(answering);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let answering = Arc::clone(&answering);
            async move { answering.answer(request).await }
        });
        let stream = TokioIo::new(Stall::new(stream, self.limits.stall, unsent));
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.limits.head)
                .max_buf_size(HEAD_BYTES)
                .max_headers(HEADERS)
                .serve_connection(stream, service)
                .with_upgrades()
        );
        tokio::select! {
            _ = &mut connection => return,
            _ = stop.wait_for(|stop| *stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// A task that ends with whoever waits for it.
struct Aborting(JoinHandle<()>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection that failed before it was taken says nothing about the next.
fn is_the_clients(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
