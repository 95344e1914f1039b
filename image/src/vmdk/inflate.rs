//! A grain's zlib data, inflated under the rules that both readers keep.

use libdeflater::{Decompressor, adler32};

use crate::error::{Error, Kind, Place, Result};

/// Refuses a grain at byte `at` whose data is longer than any compressor makes it.
pub(super) fn check_length(packed: usize, grain_bytes: usize, at: u64) -> Result<()> {
    if packed > 2 * grain_bytes {
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
