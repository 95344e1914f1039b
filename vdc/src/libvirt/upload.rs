//! A disk written into a volume, in windows: each is gathered in memory, holes left out, and sent while the next is gathered.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use image::error::{Error as ImageError, Kind as ImageKind, Place};
use image::source::Sink;

use super::import::go_on;
use super::memory;
use super::virsh::{Asked, TRANSFER_PATIENCE, Virsh};
use crate::error::{Error, Result};

/// Bytes of a window; two of them are in memory.
const WINDOW: u64 = 16 << 20;

/// A volume that takes a disk front to back.
pub(super) struct Upload<'a> {
    virsh: &'a Virsh,
    /// The options that name the volume.
    volume: [String; 2],
    size: u64,
    stopped: &'a dyn Fn() -> bool,
    state: RefCell<State>,
}

struct State {
    /// The window that is gathered, and whether anything is in it.
    window: u64,
    held: bool,
    memory: File,
    /// The one that is being sent.
    sending: Option<(Asked, File)>,
    /// What the target said, which the disk's reader can only pass on in words.
    failure: Option<Error>,
}

impl<'a> Upload<'a> {
    pub(super) fn new(
        virsh: &'a Virsh,
        volume: [String; 2],
        size: u64,
        stopped: &'a dyn Fn() -> bool,
    ) -> Result<Self> {
        Ok(Self {
            virsh,
            volume,
            size,
            stopped,
            state: RefCell::new(State {
                window: 0,
                held: false,
                memory: memory::empty()?,
                sending: None,
                failure: None,
            }),
        })
    }

    /// Sends what is left. The last window goes in any case: it gives the volume its length.
    pub(super) fn finish(&self) -> Result<()> {
        let mut state = self.state.borrow_mut();
        let last = self.size.saturating_sub(1) / WINDOW;
        if state.window != last {
            self.send(&mut state)?;
            state.window = last;
        }
        state.held = true;
        self.send(&mut state)?;
        state.settle()
    }

    /// The target's own words, where it was the target that failed.
    pub(super) fn failure(&self) -> Option<Error> {
        self.state.borrow_mut().failure.take()
    }

    fn put(&self, state: &mut State, offset: u64, bytes: &[u8]) -> Result<()> {
        let (mut at, mut bytes) = (offset, bytes);
        while !bytes.is_empty() {
            if at / WINDOW != state.window {
                self.send(state)?;
                state.window = at / WINDOW;
            }
            let room = usize::try_from(WINDOW - at % WINDOW)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let (piece, rest) = bytes.split_at(room);
            state
                .memory
                .write_all_at(piece, at % WINDOW)
                .map_err(memory::failed)?;
            state.held = true;
            (at, bytes) = (at + room as u64, rest);
        }
        Ok(())
    }

    /// Begins to send the window, once the one before has arrived.
    fn send(&self, state: &mut State) -> Result<()> {
        if !std::mem::take(&mut state.held) {
            return Ok(());
        }
        go_on(self.stopped)?;
        state.settle()?;
        let start = state.window * WINDOW;
        let length = WINDOW.min(self.size - start);
        state.memory.set_len(length).map_err(memory::failed)?;
        let file = std::mem::replace(&mut state.memory, memory::empty()?);
        let (path, offset, count) = (
            memory::option(&file),
            format!("--offset={start}"),
            format!("--length={length}"),
        );
        let [pool, volume] = &self.volume;
        let asked = self
            .virsh
            .ask(&["vol-upload", pool, volume, &path, &offset, &count, "--sparse"])?;
        state.sending = Some((asked, file));
        Ok(())
    }
}

impl State {
    fn settle(&mut self) -> Result<()> {
        match self.sending.take() {
            Some((asked, _file)) => asked.answer(TRANSFER_PATIENCE).map(drop),
            None => Ok(()),
        }
    }
}

impl Sink for Upload<'_> {
    /// The volume has its size.
    fn set_size(&self, _: u64) -> image::error::Result<()> {
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> image::error::Result<()> {
        let mut state = self.state.borrow_mut();
        self.put(&mut state, offset, bytes).map_err(|error| {
            let told = ImageError::new(ImageKind::Io, Place::Offset(offset), error.to_string());
            state.failure = Some(error);
            told
        })
    }
}
