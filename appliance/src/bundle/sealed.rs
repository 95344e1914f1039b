//! Ciphertext in segments: Tink's wire format of `AesGcmHkdfStreaming`.
//!
//! A header (its length in one byte, a salt, the nonces' beginning) takes room from the first segment. Each segment's nonce ends with
//! its number and whether it is the last: none can be left out, put elsewhere or added, and nothing can be cut off.

use std::io::Write;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use super::Key;
use crate::entropy;
use crate::error::{Error, Kind, Result};

pub(super) const KEY: usize = 32;
const PREFIX: usize = 7;
/// Bytes of the header.
pub(super) const HEADER: usize = 1 + KEY + PREFIX;
const TAG: usize = 16;
/// Bytes of a segment as it is sealed.
pub(super) const SEGMENT: usize = 1 << 20;

/// What seals and opens the segments of one stream.
pub(super) struct Segments {
    key: LessSafeKey,
    prefix: [u8; PREFIX],
    /// Bytes of one, as it is sealed.
    length: usize,
}

impl std::fmt::Debug for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Segments")
    }
}

fn failed() -> Error {
    Error::new(Kind::Io, "the bundle", "can't be sealed")
}

impl Segments {
    /// For a new stream, with its header.
    pub(super) fn create(key: &Key, associated: &[u8], length: usize) -> Result<(Self, [u8; HEADER])> {
        let mut header = [0; HEADER];
        entropy::fill(&mut header)?;
        header[0] = u8::try_from(HEADER).unwrap_or_default();
        let segments = Self::of(key, associated, length, &header).ok_or_else(failed)?;
        Ok((segments, header))
    }

    /// For the stream of a header, if that can be one.
    pub(super) fn of(key: &Key, associated: &[u8], length: usize, header: &[u8; HEADER]) -> Option<Self> {
        let (bytes, rest) = header.split_first()?;
        let (salt, prefix) = rest.split_at_checked(KEY)?;
        if usize::from(*bytes) != HEADER || length <= HEADER + TAG {
            return None;
        }
        let secret = Salt::new(HKDF_SHA256, salt).extract(key.bytes());
        let info = [associated];
        let derived = secret.expand(&info, &AES_256_GCM).ok()?;
        Some(Self {
            key: LessSafeKey::new(UnboundKey::from(derived)),
            prefix: prefix.try_into().ok()?,
            length,
        })
    }

    /// Bytes that a segment has room for.
    pub(super) fn room(&self, number: u32) -> usize {
        let header = if number == 0 { HEADER } else { 0 };
        self.length.saturating_sub(TAG + header)
    }

    fn nonce(&self, number: u32, is_last: bool) -> Nonce {
        let mut nonce = [0; 12];
        let (prefix, rest) = nonce.split_at_mut(PREFIX);
        prefix.copy_from_slice(&self.prefix);
        let (counter, last) = rest.split_at_mut(4);
        counter.copy_from_slice(&number.to_be_bytes());
        last.fill(u8::from(is_last));
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, number: u32, is_last: bool, bytes: &mut Vec<u8>) -> Result<()> {
        self.key
            .seal_in_place_append_tag(self.nonce(number, is_last), Aad::empty(), bytes)
            .map_err(|_| failed())
    }

    /// What is in a segment; nothing, if it is not the one that was sealed with this key at this place.
    pub(super) fn open(&self, number: u32, is_last: bool, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let nonce = self.nonce(number, is_last);
        let length = self
            .key
            .open_in_place(nonce, Aad::empty(), &mut bytes)
            .ok()?
            .len();
        bytes.truncate(length);
        Some(bytes)
    }
}

/// Where segments are in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where the stream begins.
    pub(super) start: u64,
    /// Bytes of the stream.
    pub(super) sealed: u64,
    /// Bytes of a segment.
    pub(super) segment: u64,
}

impl Layout {
    /// How many there are, if a stream can be that long.
    pub(super) fn count(&self) -> Option<u32> {
        let count = self.sealed.div_ceil(self.segment);
        let last = self
            .sealed
            .checked_sub(count.checked_sub(1)?.checked_mul(self.segment)?)?;
        let least = if count == 1 { HEADER + TAG } else { TAG + 1 };
        let is_whole = last >= least as u64;
        u32::try_from(count).ok().filter(|_| is_whole)
    }

    /// How many bytes are in it.
    pub(super) fn opened(&self) -> Option<u64> {
        let tags = u64::from(self.count()?) * TAG as u64;
        self.sealed.checked_sub(HEADER as u64 + tags)
    }

    /// Where a segment begins in the file, and how long it is.
    pub(super) fn place(&self, number: u32) -> (u64, u64) {
        let begin = u64::from(number) * self.segment;
        let end = (begin + self.segment).min(self.sealed);
        let begin = if number == 0 { HEADER as u64 } else { begin };
        (self.start + begin, end.saturating_sub(begin))
    }

    /// The segment that has a byte, and which of its bytes that is.
    pub(super) fn find(&self, at: u64) -> (u32, u64) {
        let full = self.segment - TAG as u64;
        let at = at + HEADER as u64;
        // The first has less room, by the header's length.
        match at / full {
            0 => (0, at - HEADER as u64),
            number => (u32::try_from(number).unwrap_or(u32::MAX), at % full),
        }
    }
}

/// Seals what is written.
#[derive(Debug)]
pub(super) struct Sealing<W> {
    out: W,
    segments: Segments,
    number: u32,
    /// What is not sealed yet.
    open: Vec<u8>,
}

impl<W: Write> Sealing<W> {
    /// Begins a stream.
    pub(super) fn begin(mut out: W, key: &Key, associated: &[u8], length: usize) -> Result<Self> {
        let (segments, header) = Segments::create(key, associated, length)?;
        out.write_all(&header).map_err(unwritten)?;
        Ok(Self {
            out,
            open: Vec::with_capacity(length),
            segments,
            number: 0,
        })
    }

    /// Takes the next bytes.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.segments.room(self.number).saturating_sub(self.open.len());
            if room == 0 {
                // Something follows: it is not the last.
                self.seal(false)?;
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn seal(&mut self, is_last: bool) -> Result<()> {
        self.segments.seal(self.number, is_last, &mut self.open)?;
        self.out.write_all(&self.open).map_err(unwritten)?;
        self.open.clear();
        self.number = self.number.checked_add(1).ok_or_else(failed)?;
        Ok(())
    }

    /// Seals the last segment.
    pub(super) fn finish(mut self) -> Result<W> {
        self.seal(true)?;
        Ok(self.out)
    }
}

fn unwritten(error: std::io::Error) -> Error {
    Error::file(std::path::Path::new("the bundle"), "write", error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bundle::ASSOCIATED;

    /// Short, so that there are many.
    const SHORT: usize = 64;

    fn key() -> Key {
        let mut bytes = [0; KEY];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(at).unwrap();
        }
        Key::of(bytes)
    }

    fn layout(sealed: &[u8]) -> Layout {
        Layout {
            start: 0,
            sealed: sealed.len() as u64,
            segment: SHORT as u64,
        }
    }

    fn opened(sealed: &[u8]) -> Option<Vec<u8>> {
        let layout = layout(sealed);
        let count = layout.count()?;
        let header = sealed.first_chunk()?;
        let segments = Segments::of(&key(), ASSOCIATED, SHORT, header)?;
        let mut all = Vec::new();
        for number in 0..count {
            let (begin, length) = layout.place(number);
            let begin = usize::try_from(begin).unwrap();
            let bytes = &sealed[begin..][..usize::try_from(length).unwrap()];
            all.extend(segments.open(number, number == count - 1, bytes.to_vec())?);
        }
        assert_eq!(layout.opened(), Some(all.len() as u64));
        Some(all)
    }

    fn sealed(bytes: &[u8]) -> Vec<u8> {
        let mut sealing = Sealing::begin(Vec::new(), &key(), ASSOCIATED, SHORT).unwrap();
        for piece in bytes.chunks(7) {
            sealing.write(piece).unwrap();
        }
        sealing.finish().unwrap()
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn what_tink_has_sealed_is_opened() {
        for (length, sealed) in [
            (
                0,
                "285fb647af693843bde69582fba12e989f96f326e2ad4285116082588a07e79b0426feca4ad652db1a12a31a91e22eaa6bf05046f29d07c3",
            ),
            (
                8,
                "28e74070dbb0789d8ddd82d5e8bf01f0596c11378ed13fc00684ccb3ce7d937659747b75aec42651ac4a9c79ed5d81a01fdd454739fc46450398152f8b1f7cd7",
            ),
            (
                9,
                "2863b5c996bdb90797e97a1a44179c40c4bd9280b4e1b7dc1a5772fa5f750f9c2adeb9fa92319b3b01654a4b8bff8bcc889c9f4b57d70d68bb0a1fd7fd4f3a99bb0698efa964dab8747dba9ae4105ca45b",
            ),
            (
                100,
                "28af4b850fbc5762e4c3a5dcdd773c185662a003e8e47a95904595d1e8b6895305db1941d3cb682374523c7e1d84e25ec2c449ba0ed240220cc8fa4f737d2f0cb13d1af3d44c7450d73fc1cdc49d7477d62c3d4a6932eb35a3cd530718a0ce1c42867e7b435a55e2b6e7514a3000e92baf84aceca8bef039baf1a142a887fb34c33c44c76b3b6081da875cc3c02ac1edf76c09fd8141b308b7e6b6b06440b1cd7fe6629e8a61dcc75931d711ea0fd35e423ed49d24e3bbb9a786673a",
            ),
        ] {
            let expected: Vec<u8> = (0..length).collect();
            assert_eq!(opened(&bytes(sealed)), Some(expected), "{length}");
        }
    }

    #[test]
    fn a_byte_is_found_in_its_segment() {
        let layout = layout(&[0; 64 * 3]);
        for (at, found) in [(0, (0, 0)), (7, (0, 7)), (8, (1, 0)), (55, (1, 47)), (56, (2, 0))] {
            assert_eq!(layout.find(at), found, "{at}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_and_nothing_that_was_changed_is(
            bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), bit in 0_u8..8,
        ) {
            let good = sealed(&bytes);
            prop_assert_eq!(opened(&good), Some(bytes.clone()));
            prop_assert_eq!(layout(&good).opened(), Some(bytes.len() as u64));
            let mut changed = good.clone();
            changed[at.index(good.len())] ^= 1 << bit;
            prop_assert_eq!(opened(&changed), None);
            prop_assert_eq!(opened(&good[..at.index(good.len())]), None);
            let mut longer = good.clone();
            longer.push(0);
            prop_assert_eq!(opened(&longer), None);
            // Two segments change places, or one is left out.
            let rest = good.len().div_ceil(SHORT);
            if rest > 3 {
                let mut swapped = good.clone();
                let (first, second) = swapped[SHORT..SHORT * 3].split_at_mut(SHORT);
                first.swap_with_slice(second);
                prop_assert_eq!(opened(&swapped), None);
                let shorter = [&good[..SHORT], &good[SHORT * 2..]].concat();
                prop_assert_eq!(opened(&shorter), None);
            }
            prop_assert_ne!(sealed(&bytes), good);
        }
    }
}
