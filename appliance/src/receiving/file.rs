//! One file of a version: found, planned, fetched over several connections, put together, and sealed.

use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::task::{JoinSet, spawn_blocking};

use super::assembly::Assembly;
use super::fault::{Fault, ended};
use super::plan::{Indexed, plan_blindly};
use super::queue::Queue;
use super::worker::{Shared, work};
use crate::blob::{Blobs, Owner};
use crate::catalog::{Coming, File, Intake};
use crate::chunk::SMALLEST;
use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::transfer::{OfferedFile, Refusal};

/// Pieces of work that wait for the thread that puts a file together, half a MiB each.
const WORKS: usize = 8;

/// A file that comes to this node.
pub(super) struct Receiving<'a> {
    pub(super) intake: &'a Intake,
    pub(super) owner: Owner,
    pub(super) file: &'a File,
    pub(super) offered: &'a OfferedFile,
    /// Files of the owner in which some of it may be, the best first.
    pub(super) candidates: Vec<Digest>,
}

/// Has a thread that may wait do something about a file.
pub(super) async fn with<T: Send + 'static>(
    mut coming: OwnedMutexGuard<Coming>,
    blobs: &Arc<Blobs>,
    owner: Owner,
    file: &File,
    work: impl FnOnce(&mut Coming, &Blobs, &Owner, &File) -> Result<T> + Send + 'static,
) -> Result<(OwnedMutexGuard<Coming>, T)> {
    let (blobs, file) = (Arc::clone(blobs), file.clone());
    let done = move || {
        let done = work(&mut coming, &blobs, &owner, &file)?;
        Ok((coming, done))
    };
    spawn_blocking(done).await.map_err(ended)?
}

impl Receiving<'_> {
    /// Receives what is not there of it, and seals it.
    pub(super) async fn receive(
        &self,
        shared: &Arc<Shared>,
        connections: u8,
        clients: &mut Vec<Client>,
    ) -> Result<Digest, Fault> {
        let coming = self.intake.take(self.file)?;
        let received = self.received(coming, shared, connections, clients).await;
        self.intake.rest(self.file.id);
        received
    }

    async fn received(
        &self,
        coming: OwnedMutexGuard<Coming>,
        shared: &Arc<Shared>,
        connections: u8,
        clients: &mut Vec<Client>,
    ) -> Result<Digest, Fault> {
        let blobs = self.intake.blobs();
        let look = |coming: &mut Coming, blobs: &Blobs, owner: &Owner, file: &File| {
            match coming.look(blobs, owner, file) {
                Ok(0) => {}
                Ok(received) => return Ok(received),
                // What the disk lost of it comes again.
                Err(error) if error.kind() == Kind::StateCorrupt => {}
                Err(error) => return Err(error),
            }
            if !matches!(coming, Coming::Sealed(_)) {
                coming.begin(blobs, owner, file)?;
            }
            Ok(0)
        };
        let (mut coming, received) = with(coming, blobs, self.owner, self.file, look).await?;
        if received < self.offered.bytes {
            let indexed = self.index(shared, clients).await?;
            shared.counts.here(received);
            coming = self
                .fill(coming, received, indexed, shared, connections, clients)
                .await?;
        } else {
            shared.counts.here(received);
        }
        let name = self.offered.name.clone();
        let seal =
            |coming: &mut Coming, blobs: &Blobs, owner: &Owner, file: &File| coming.seal(blobs, owner, file);
        let sealed = with(coming, blobs, self.owner, self.file, seal).await;
        let (_, digest) = sealed.map_err(|error| match error.kind() {
            Kind::Mismatch => Fault::from(Refusal::new("source.digest", error.reason()).of_file(&name)),
            _ => error.into(),
        })?;
        digest.ok_or_else(|| Error::new(Kind::Incomplete, name, "is not whole").into())
    }

    async fn index(&self, shared: &Shared, clients: &mut Vec<Client>) -> Result<Option<Indexed>, Fault> {
        if self.offered.bytes < SMALLEST {
            return Ok(None);
        }
        let mut client = match clients.pop() {
            Some(client) => client,
            None => shared.source.connect().await?,
        };
        let root = shared.source.root(&mut client, self.offered).await?;
        clients.push(client);
        let Some(root) = root else { return Ok(None) };
        let candidates = self.candidates.clone();
        let indexed = Indexed::look(root, self.intake.blobs(), self.owner, candidates).await?;
        Ok(Some(indexed))
    }

    async fn fill(
        &self,
        coming: OwnedMutexGuard<Coming>,
        from: u64,
        indexed: Option<Indexed>,
        shared: &Arc<Shared>,
        connections: u8,
        clients: &mut Vec<Client>,
    ) -> Result<OwnedMutexGuard<Coming>, Fault> {
        let queue = Queue::new();
        let (sender, works) = mpsc::channel(WORKS);
        let assembly = Assembly::new(
            self.offered.name.clone(),
            coming,
            indexed.as_ref().map(|indexed| Arc::clone(&indexed.known)),
            Arc::clone(&queue),
            Arc::clone(&shared.counts),
        );
        let putting = spawn_blocking(move || assembly.run(works));
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            let (shared, file, queue) = (Arc::clone(shared), self.offered.clone(), Arc::clone(&queue));
            let (sender, client) = (sender.clone(), clients.pop());
            workers.spawn(async move { work(&shared, &file, &queue, sender, client).await });
        }
        let planned = match &indexed {
            Some(indexed) => {
                let mut client = None;
                indexed
                    .plan(from, shared, self.offered, &queue, &sender, &mut client)
                    .await
            }
            None => {
                plan_blindly(from, self.offered.bytes, &queue).await;
                Ok(())
            }
        };
        if let Err(fault) = planned {
            queue.fail(fault);
        }
        drop(sender);
        while let Some(worked) = workers.join_next().await {
            clients.extend(worked.map_err(ended)?);
        }
        let coming = putting.await.map_err(ended)?;
        match queue.fault() {
            Some(fault) => Err(fault),
            None => Ok(coming),
        }
    }
}
