//! An archive at its source, of which little is read: what it is judged by, wherever in it that is.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::fault::ended;
use super::worker::Shared;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::transfer::OfferedFile;
use crate::trust::{InForce, foresee_archive};

/// Bytes that are asked for at once.
const BLOCK: u64 = 64 << 10;
/// The most of them: whoever needs more is judged when all of it is here.
const MOST: usize = 256;
/// What may as well come.
const SHORT: u64 = 1 << 20;
/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(60);

/// What the verdict on an archive will be if it has what its manifest says; nothing where that can't be told yet, and where it is so
/// short that it may as well come.
pub(super) async fn look_ahead(
    shared: &Arc<Shared>,
    file: &OfferedFile,
    clients: &mut Vec<Client>,
    policy: InForce,
) -> Result<Option<(bool, Value)>> {
    if file.bytes <= SHORT {
        return Ok(None);
    }
    let blocks = Arc::new(Mutex::new(Blocks {
        shared: Arc::clone(shared),
        file: file.clone(),
        client: clients.pop(),
        until: Instant::now() + LONGEST,
        read: HashMap::new(),
        runtime: Handle::current(),
    }));
    let archive = Archive {
        blocks: Arc::clone(&blocks),
        bytes: file.bytes,
        place: 0,
    };
    let judged = spawn_blocking(move || foresee_archive(|| archive.clone(), &policy));
    let judged = judged.await.map_err(ended)?;
    clients.extend(
        blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .client
            .take(),
    );
    Ok(judged)
}

/// What was read of it.
struct Blocks {
    shared: Arc<Shared>,
    file: OfferedFile,
    client: Option<Client>,
    /// When it is given up.
    until: Instant,
    read: HashMap<u64, Bytes>,
    runtime: Handle,
}

impl Blocks {
    /// The block of a number.
    fn block(&mut self, number: u64) -> Result<Bytes> {
        if let Some(read) = self.read.get(&number) {
            return Ok(read.clone());
        }
        if self.read.len() >= MOST {
            return Err(Error::new(
                Kind::Ceiling,
                &*self.file.name,
                "has too much before what it is judged by",
            ));
        }
        let offset = number * BLOCK;
        let length = BLOCK.min(self.file.bytes.saturating_sub(offset));
        let runtime = self.runtime.clone();
        let bytes = runtime.block_on(self.fetch(offset, length))?;
        self.shared.counts.passed(length);
        self.read.insert(number, bytes.clone());
        Ok(bytes)
    }

    async fn fetch(&mut self, offset: u64, length: u64) -> Result<Bytes> {
        let late = |_| Error::new(Kind::Unreachable, "the source", "sends nothing any more");
        let source = &self.shared.source;
        let fetched = timeout_at(self.until, async {
            let client = match &mut self.client {
                Some(client) => client,
                none => none.insert(source.connect().await?),
            };
            source.piece(client, &self.file, offset, length).await
        });
        fetched.await.map_err(late).flatten()
    }
}

/// It as a file.
#[derive(Clone)]
struct Archive {
    blocks: Arc<Mutex<Blocks>>,
    bytes: u64,
    place: u64,
}

impl Read for Archive {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.place >= self.bytes || into.is_empty() {
            return Ok(0);
        }
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let block = blocks.block(self.place / BLOCK).map_err(io::Error::other)?;
        let from = usize::try_from(self.place % BLOCK).unwrap_or(usize::MAX);
        let there = block.get(from..).unwrap_or_default();
        let length = there.len().min(into.len());
        for (to, from) in into.iter_mut().zip(there) {
            *to = *from;
        }
        self.place += length as u64;
        Ok(length)
    }
}

impl Seek for Archive {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.place.checked_add_signed(by),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
        };
        self.place = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.place)
    }
}
