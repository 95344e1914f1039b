//! Files that come: each is received by one connection at a time, and is gone on with where the last one ended.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turn, Notify, OwnedMutexGuard};
use uuid::Uuid;

use super::File;
use crate::blob::{Blobs, Owner, Partial, Sealed};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// Files that stay open between two connections. Others are opened anew, which takes reading what there is of them.
const OPEN: usize = 16;

/// The large files of a connector, and those of them that come.
#[derive(Debug)]
pub struct Intake {
    blobs: Arc<Blobs>,
    table: Mutex<Table>,
    /// Versions have come to be whole.
    complete: Notify,
    /// Something was decided about one that came from elsewhere.
    decided: Notify,
    /// Some have been published.
    published: Notify,
    /// Held by whoever makes blobs of files, or takes those away that no table names.
    pub(super) tending: Turn<()>,
}

#[derive(Debug, Default)]
struct Table {
    turns: HashMap<Uuid, Arc<Turn<Coming>>>,
    /// Files that nobody works on, the one that was left first before the others.
    resting: VecDeque<Uuid>,
}

/// A file that comes, as far as this process knows it.
#[derive(Debug, Default)]
pub enum Coming {
    /// Nobody has looked.
    #[default]
    Unseen,
    /// Some of it is there.
    Partial(Box<Partial>),
    /// All of it is there.
    Sealed(Box<Sealed>),
}

impl Intake {
    /// Over these.
    pub fn new(blobs: Blobs) -> Self {
        Self {
            blobs: Arc::new(blobs),
            table: Mutex::default(),
            complete: Notify::new(),
            decided: Notify::new(),
            published: Notify::new(),
            tending: Turn::new(()),
        }
    }

    /// The files that are whole.
    pub fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    /// Has a file for oneself; [`Intake::rest`] has to follow.
    ///
    /// # Errors
    /// [`Kind::Taken`] while it is received over another connection.
    pub fn take(&self, file: &File) -> Result<OwnedMutexGuard<Coming>> {
        self.turn(file.id).try_lock_owned().map_err(|_| {
            Error::new(
                Kind::Taken,
                format!("the file '{}'", file.name),
                "is being received over another connection",
            )
        })
    }

    pub(super) fn turn(&self, id: Uuid) -> Arc<Turn<Coming>> {
        Arc::clone(self.table().turns.entry(id).or_default())
    }

    /// Leaves a file alone, which stays open if it is one of the last that were.
    pub fn rest(&self, id: Uuid) {
        let mut table = self.table();
        table.resting.retain(|other| *other != id);
        table.resting.push_back(id);
        while table.resting.len() > OPEN {
            let Some(oldest) = table.resting.pop_front() else {
                return;
            };
            // Whoever has it will leave it alone in turn.
            let is_free = |turn: &Arc<Turn<Coming>>| Arc::strong_count(turn) == 1;
            if table.turns.get(&oldest).is_some_and(is_free) {
                table.turns.remove(&oldest);
            }
        }
    }

    /// Forgets a file that comes no more.
    pub(super) fn forget(&self, id: Uuid) {
        let mut table = self.table();
        table.turns.remove(&id);
        table.resting.retain(|other| *other != id);
    }

    /// Tells that a version is whole.
    pub fn is_complete(&self) {
        self.complete.notify_one();
    }

    /// Tells those who wait for a decision that there is one.
    pub(super) fn has_decided(&self) {
        self.decided.notify_waiters();
    }

    /// What tells that something was decided.
    pub fn decided(&self) -> &Notify {
        &self.decided
    }

    /// Waits until one is.
    pub(super) async fn completed(&self) {
        self.complete.notified().await;
    }

    /// Tells that a version has come to be published, or that an index is missed.
    pub fn is_published(&self) {
        self.published.notify_one();
    }

    /// Waits until one has.
    pub(super) async fn published(&self) {
        self.published.notified().await;
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coming {
    /// Looks what there is of a file; nothing is begun. It waits for the disk, which may read all of it.
    ///
    /// # Errors
    /// Those of [`Blobs::resume`].
    pub fn look(&mut self, blobs: &Blobs, owner: &Owner, file: &File) -> Result<u64> {
        if matches!(self, Self::Unseen) {
            match blobs.resume(owner, file.id) {
                Ok(partial) => *self = Self::Partial(Box::new(partial)),
                Err(error) if error.kind() == Kind::Unknown => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        Ok(match self {
            Self::Unseen => 0,
            Self::Partial(partial) => partial.received(),
            Self::Sealed(sealed) => sealed.size(),
        })
    }

    /// Begins a file that nothing is there of, or begins it anew. It waits for the disk.
    ///
    /// # Errors
    /// Those of [`Blobs::receive`].
    pub fn begin(&mut self, blobs: &Blobs, owner: &Owner, file: &File) -> Result<()> {
        *self = Self::Unseen;
        blobs.discard(owner, file.id)?;
        let bytes = u64::try_from(file.bytes).unwrap_or_default();
        *self = Self::Partial(Box::new(blobs.receive(owner, file.id, bytes)?));
        Ok(())
    }

    /// Takes the next bytes. It waits for the disk.
    ///
    /// # Errors
    /// Those of [`Partial::write`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Partial(partial) => partial.write(partial.received(), bytes),
            Self::Unseen | Self::Sealed(_) => Err(Error::new(Kind::Ceiling, "the file", "takes no more")),
        }
    }

    /// Makes durable what came so far, as whoever sent it goes. It waits for the disk.
    pub fn pause(&mut self) {
        if let Self::Partial(partial) = self
            && partial.sync().is_err()
        {
            // What the disk has is seen by the next one.
            *self = Self::Unseen;
        }
    }

    /// Seals a file that is whole, once, and gives its digest; nothing where more has to come. It waits for the disk.
    ///
    /// # Errors
    /// Those of [`Partial::seal`]; what is not what it was said to be is gone.
    pub fn seal(&mut self, blobs: &Blobs, owner: &Owner, file: &File) -> Result<Option<Digest>> {
        let partial = match std::mem::take(self) {
            Self::Partial(partial) if partial.received() == partial.size() => partial,
            other => {
                *self = other;
                return Ok(match self {
                    Self::Sealed(sealed) => Some(sealed.digest()),
                    Self::Unseen | Self::Partial(_) => None,
                });
            }
        };
        match partial.seal(file.expected) {
            Ok(sealed) => {
                let digest = sealed.digest();
                *self = Self::Sealed(Box::new(sealed));
                Ok(Some(digest))
            }
            Err(error) => {
                if error.kind() == Kind::Mismatch {
                    blobs.discard(owner, file.id)?;
                }
                Err(error)
            }
        }
    }
}
