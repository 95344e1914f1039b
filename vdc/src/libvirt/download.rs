//! A volume's bytes, fetched in windows: the one after the last that was asked for is on its way.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::error::{Error as ImageError, Kind as ImageKind, Place, Result as ImageResult};
use image::source::{RawFile, Source};

use super::memory;
use super::virsh::{Asked, TRANSFER_PATIENCE, Virsh};
use crate::error::{Error, Result};

/// Bytes of a window.
const WINDOW: u64 = 16 << 20;
/// Windows in memory, beside the one on its way: threads that read side by side are seldom further apart.
const KEPT: usize = 2;

/// A volume that is read, its holes known as the target tells them.
pub(super) struct Download {
    virsh: Virsh,
    /// The machine whose disk it is.
    domain: String,
    volume: [String; 2],
    size: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The least recently fetched first.
    kept: Vec<(u64, Arc<RawFile>)>,
    coming: Option<(u64, Asked, File)>,
}

impl Download {
    pub(super) fn new(virsh: &Virsh, domain: &str, volume: [String; 2], size: u64) -> Self {
        Self {
            virsh: virsh.clone(),
            domain: domain.to_owned(),
            volume,
            size,
            state: Mutex::new(State::default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn window(&self, index: u64) -> ImageResult<Arc<RawFile>> {
        let mut state = self.lock();
        if let Some((_, window)) = state.kept.iter().find(|(known, _)| *known == index) {
            return Ok(Arc::clone(window));
        }
        let failed = |error: Error| {
            let reason = format!("the target's volume can't be read: {error}");
            ImageError::new(ImageKind::Io, Place::Offset(index * WINDOW), reason)
        };
        let fetched = self.fetched(&mut state, index).map_err(failed)?;
        let window = Arc::new(RawFile::new(fetched)?);
        if state.kept.len() >= KEPT {
            state.kept.remove(0);
        }
        state.kept.push((index, Arc::clone(&window)));
        Ok(window)
    }

    fn fetched(&self, state: &mut State, index: u64) -> Result<File> {
        let (asked, file) = match state.coming.take() {
            Some((coming, asked, file)) if coming == index => (asked, file),
            // What is on its way is broken off: nobody wants it any more.
            _ => self.ask(index)?,
        };
        asked.answer(TRANSFER_PATIENCE)?;
        let length = WINDOW.min(self.size - index * WINDOW);
        file.set_len(length).map_err(memory::failed)?;
        if (index + 1) * WINDOW < self.size {
            let (asked, file) = self.ask(index + 1)?;
            state.coming = Some((index + 1, asked, file));
        }
        Ok(file)
    }

    fn ask(&self, index: u64) -> Result<(Asked, File)> {
        let file = memory::empty()?;
        let start = index * WINDOW;
        let [pool, volume] = &self.volume;
        let count = WINDOW.min(self.size - start);
        let (path, offset, length) = (
            memory::option(&file),
            format!("--offset={start}"),
            format!("--length={count}"),
        );
        let question = ["vol-download", pool, volume, &path, &offset, &length, "--sparse"];
        let asked = self.virsh.ask_within(&question, count)?;
        Ok((asked, file))
    }
}

impl Source for Download {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> ImageResult<Option<Range<u64>>> {
        let mut at = from;
        while at < self.size {
            let base = at / WINDOW * WINDOW;
            if let Some(data) = self.window(at / WINDOW)?.next_data(at - base)? {
                return Ok(Some(base + data.start..base + data.end));
            }
            at = base + WINDOW;
        }
        Ok(None)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> ImageResult<()> {
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let left = usize::try_from(WINDOW - at % WINDOW).unwrap_or(usize::MAX);
            let (target, after) = rest.split_at_mut(left.min(rest.len()));
            self.window(at / WINDOW)?.read_at(at % WINDOW, target)?;
            at += target.len() as u64;
            rest = after;
        }
        Ok(())
    }

    /// The machine is still off: nobody has written to its disks.
    fn settled(&self) -> ImageResult<()> {
        super::export::off(&self.virsh, &self.domain)
            .map_err(|error| ImageError::new(ImageKind::Changed, Place::Whole, error.to_string()))
    }

    /// What holds data is known only once it has come.
    fn data_length(&self) -> ImageResult<u64> {
        Ok(self.size)
    }
}
