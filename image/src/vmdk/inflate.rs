//! A grain's zlib data, inflated under the rules that both readers keep.

use std::ops::Range;

use libdeflater::{Decompressor, adler32};

use crate::error::{Error, Kind, Place, Result};

/// A grain as it is stored.
pub(super) struct PackedGrain {
    /// Where it belongs on the disk, in bytes.
    pub(super) offset: u64,
    /// How many of its bytes lie on the disk.
    pub(super) length: usize,
    /// Where its marker was in the stream.
    pub(super) at: u64,
    /// Where its zlib data is, in the bytes it was added to.
    pub(super) data: Range<usize>,
}

impl PackedGrain {
    /// The same where its bytes, which began at `start`, have been moved to the start of others.
    pub(super) fn moved_to_start(mut self, start: usize) -> Self {
        self.data = self.data.start - start..self.data.end - start;
        self
    }

    /// Inflates it into `grain`, which is a whole one.
    pub(super) fn inflate(&self, bytes: &[u8], with: &mut Decompressor, grain: &mut [u8]) -> Result<()> {
        inflate(with, &bytes[self.data.clone()], grain, self.length, self.at)
    }
}

/// Refuses a grain at byte `at` whose data is longer than any compressor makes it.
pub(super) fn check_length(packed: usize, grain_bytes: usize, at: u64) -> Result<()> {
    // Incompressible data grows by less than an eighth, whatever the coder chooses.
    if packed > grain_bytes + grain_bytes / 4 + 1024 {
        return Err(Error::new(
            Kind::Ceiling,
            Place::Offset(at),
            "a VMDK grain is longer than it could be",
        ));
    }
    Ok(())
}

/// Inflates `packed` into `grain`. Writers either fill a disk's last grain up or cut it at the disk's end, `left`.
pub(super) fn inflate(
    decompressor: &mut Decompressor,
    packed: &[u8],
    grain: &mut [u8],
    left: usize,
    at: u64,
) -> Result<()> {
    let malformed = |reason: &str| Error::malformed(Place::Offset(at), reason);
    let length = decompressor
        .zlib_decompress(packed, grain)
        .map_err(|e| malformed("a VMDK grain does not inflate to a grain").because(e))?;
    if length != grain.len() && length != left {
        return Err(malformed("a VMDK grain inflates to less than a grain"));
    }
    // The decompressor stops at the checksum and does not tell where that was.
    if !packed.ends_with(&adler32(&grain[..length]).to_be_bytes()) {
        return Err(malformed("a VMDK grain's data goes on after its end"));
    }
    Ok(())
}
