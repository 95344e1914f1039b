//! A way to a service that breaks, or stops, where a test wants it to.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(10);

/// A direction of it.
#[derive(Debug)]
pub(crate) struct Way {
    passed: AtomicU64,
    limit: AtomicU64,
    cuts: AtomicBool,
}

impl Way {
    fn new() -> Self {
        Self {
            passed: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            cuts: AtomicBool::new(false),
        }
    }

    /// Bytes that went this way so far.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// Breaks the connection after so many bytes more, once.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.cuts.store(true, Ordering::SeqCst);
        self.limit.store(self.passed() + bytes, Ordering::SeqCst);
    }

    /// Lets no more than so many bytes more pass.
    pub(crate) fn hold_after(&self, bytes: u64) {
        self.cuts.store(false, Ordering::SeqCst);
        self.limit.store(self.passed() + bytes, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.limit.store(u64::MAX, Ordering::SeqCst);
    }

    /// Waits until nothing more passes.
    pub(crate) fn wait(&self) {
        while self.passed() < self.limit.load(Ordering::SeqCst) {
            sleep(PAUSE);
        }
    }

    /// Whether the next bytes may pass.
    fn opens(&self) -> bool {
        loop {
            if self.passed() < self.limit.load(Ordering::SeqCst) {
                return true;
            }
            if self.cuts.load(Ordering::SeqCst) {
                self.release();
                return false;
            }
            sleep(PAUSE);
        }
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = [0; 16 << 10];
        while let Ok(length) = from.read(&mut piece) {
            if length == 0 || !self.opens() || to.write_all(&piece[..length]).is_err() {
                break;
            }
            self.passed.fetch_add(length as u64, Ordering::SeqCst);
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Connections that are carried on to a service.
pub(crate) struct Relay {
    pub(crate) address: String,
    pub(crate) up: Arc<Way>,
    pub(crate) down: Arc<Way>,
}

impl Relay {
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap().to_string(),
            up: Arc::new(Way::new()),
            down: Arc::new(Way::new()),
        };
        let (up, down, target) = (Arc::clone(&relay.up), Arc::clone(&relay.down), target.to_owned());
        spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(service) = TcpStream::connect(&target) else {
                    continue;
                };
                let (up, down) = (Arc::clone(&up), Arc::clone(&down));
                let (from, to) = (client.try_clone().unwrap(), service.try_clone().unwrap());
                spawn(move || up.carry(from, to));
                spawn(move || down.carry(service, client));
            }
        });
        relay
    }
}
