//! A server of files: whoever shows the token `good` may send them.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use appliance::blob::{Blobs, Owner, Partial};
use appliance::digest::Digest;
use appliance::http::connections::Connections;
use appliance::http::download::Download;
use appliance::http::problem::Problem;
use appliance::http::upload::{Admitted, Pieces};
use appliance::http::{self, Limits};
use appliance::role::Role;
use appliance::service::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Segment, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, put};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE};
use hyper::{HeaderMap, Method};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use uuid::Uuid;

const OWNER: Owner = Owner::Provider;

/// A running server; dropped, it ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<Connections>,
    pub(crate) blobs: Arc<Blobs>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    directory: tempfile::TempDir,
}

pub(crate) fn start() -> Server {
    start_with(Limits::default())
}

pub(crate) fn start_with(limits: Limits) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let context = Context::open(Role::Node, &directory.path().join("state"), None).unwrap();
    let blobs = Arc::new(Blobs::open(directory.path()).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let (stop, stopped) = watch::channel(false);
    let connections = Arc::new(Connections::default());
    let server = http::Server {
        tls: context.tls().unwrap(),
        router: router(Arc::clone(&blobs)),
        uploads: |method, path| *method == Method::PUT && path.starts_with("/uploads/"),
        connections: Arc::clone(&connections),
        limits,
    };
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            server.serve(listener, stopped).await;
        });
    });
    Server {
        address,
        connections,
        blobs,
        stop,
        thread: Some(thread),
        directory,
    }
}

fn router(blobs: Arc<Blobs>) -> Router {
    Router::new()
        .route("/", get(|| async { "here" }))
        .route("/uploads/{id}", put(receive).get(received))
        .route("/files/{digest}", get(send))
        // As the connector does with all that changes something.
        .layer(from_fn(|request: Request, next: Next| async move {
            tokio::spawn(next.run(request)).await.unwrap()
        }))
        .with_state(blobs)
}

async fn receive(
    State(blobs): State<Arc<Blobs>>,
    Segment(id): Segment<Uuid>,
    admitted: Admitted,
    fields: HeaderMap,
    body: Body,
) -> Result<String, Problem> {
    match fields.get(AUTHORIZATION).map(|value| value.as_bytes()) {
        Some(b"Bearer good") => admitted.begin()?,
        Some(b"Bearer unread") => return Pieces::of(body).next().await.map(|_| String::new()),
        Some(b"Bearer undecided") => std::future::pending().await,
        _ => return Err(Problem::UNAUTHENTICATED),
    }
    let number = |name, at: usize| {
        let text = fields.get(name)?.to_str().ok()?;
        let mut numbers = text
            .split(|letter: char| !letter.is_ascii_digit())
            .filter(|text| !text.is_empty());
        numbers.nth(at)?.parse::<u64>().ok()
    };
    let mut offset = number(CONTENT_RANGE, 0).unwrap_or(0);
    let size = number(CONTENT_RANGE, 2)
        .or_else(|| number(CONTENT_LENGTH, 0))
        .unwrap_or(1 << 30);
    let mut partial = spawn_blocking({
        let blobs = Arc::clone(&blobs);
        move || {
            blobs
                .resume(&OWNER, id)
                .or_else(|_| blobs.receive(&OWNER, id, size))
        }
    })
    .await
    .unwrap()?;
    let mut pieces = Pieces::of(body);
    loop {
        let piece = match pieces.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(problem) => {
                partial.sync()?;
                return Err(problem);
            }
        };
        let written: Result<Partial, Problem> = spawn_blocking(move || {
            partial.write(offset, &piece)?;
            Ok(partial)
        })
        .await
        .unwrap();
        partial = written?;
        offset = partial.received();
    }
    let digest = spawn_blocking(move || blobs.adopt(&OWNER, partial.seal(None)?));
    Ok(digest.await.unwrap()?.to_string())
}

/// How much of a file was received, where nobody receives it now.
async fn received(State(blobs): State<Arc<Blobs>>, Segment(id): Segment<Uuid>) -> Result<String, Problem> {
    let partial = spawn_blocking(move || blobs.resume(&OWNER, id)).await.unwrap()?;
    Ok(partial.received().to_string())
}

async fn send(
    State(blobs): State<Arc<Blobs>>,
    Segment(digest): Segment<String>,
    method: Method,
    fields: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let digest: Digest = digest.parse().map_err(|_| Problem::NOT_FOUND)?;
    let (file, size) = blobs.open_blob(&OWNER, &digest).map_err(|_| Problem::NOT_FOUND)?;
    let download = Download {
        file,
        size,
        digest,
        name: "disk.vmdk",
        media_type: "application/octet-stream",
    };
    Ok(download.answer(&method, &fields))
}

impl Server {
    /// Keeps a file of so many bytes, all of them letters; its contents are there under the path that is given back, too.
    pub(crate) fn keep(&self, length: u64) -> (Digest, String) {
        let path = self.file(length);
        let id = Uuid::new_v4();
        let mut partial = self.blobs.receive(&OWNER, id, length).unwrap();
        partial.write(0, &std::fs::read(&path).unwrap()).unwrap();
        let digest = self.blobs.adopt(&OWNER, partial.seal(None).unwrap()).unwrap();
        (digest, path)
    }

    /// A file of so many bytes.
    pub(crate) fn file(&self, length: u64) -> String {
        use std::io::Write as _;
        let path = self.directory.path().join(format!("sent-{length}"));
        let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
        let mut left = length;
        for number in 0_u64.. {
            let line = format!("{number:015}\n");
            let part = left.min(16);
            file.write_all(&line.as_bytes()[..usize::try_from(part).unwrap()])
                .unwrap();
            left -= part;
            if left == 0 {
                break;
            }
        }
        file.flush().unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
