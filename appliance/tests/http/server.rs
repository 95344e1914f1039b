//! A service of the test's own, on a free port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use appliance::check::Check;
use appliance::http::{self, Limits};
use appliance::machine::{Machine, StateDisk};
use appliance::role::Role;
use appliance::service::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A running service; dropped, it ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    report: PathBuf,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

pub(crate) fn start() -> Server {
    start_with(Limits::default())
}

pub(crate) fn start_with(limits: Limits) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("machine.json");
    machine(Vec::new()).write(&report).unwrap();
    let state = directory.path().join("state");
    let context = Context::open(Role::Node, &state, Some(report.clone())).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    rustix::net::listen(&listener, 4096).unwrap();
    let (stop, stopped) = watch::channel(false);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(serve(context, listener, limits, stopped));
    });
    Server {
        address,
        report,
        stop,
        thread: Some(thread),
        _directory: directory,
    }
}

async fn serve(
    context: Context,
    listener: std::net::TcpListener,
    limits: Limits,
    stopped: watch::Receiver<bool>,
) {
    let context = Arc::new(context.with_ground().await);
    let server = http::Server {
        tls: context.tls().unwrap(),
        router: appliance::api::router(Arc::clone(&context)),
        uploads: appliance::api::takes_file,
        connections: Arc::clone(context.connections()),
        limits,
    };
    server
        .serve(TcpListener::from_std(listener).unwrap(), stopped)
        .await;
}

fn machine(checks: Vec<Check>) -> Machine {
    Machine {
        state: StateDisk {
            mounted: true,
            device: None,
            boots: 1,
        },
        checks,
        ..Machine::default()
    }
}

impl Server {
    /// Lets PID 1's report say that a check fails.
    pub(crate) fn report_failure(&self, name: &str, reason: &str) {
        let report: &Path = &self.report;
        machine(vec![Check::fail(name, reason, "")])
            .write(report)
            .unwrap();
    }

    /// Ends it and waits for that.
    pub(crate) fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
