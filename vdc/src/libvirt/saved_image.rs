//! The head of a state that libvirt saved (`LibvirtQemudSave`, its qemu_saveimage.h): numbers, and a definition that libvirt reads
//! before it looks at the one that it is given. So the one in the head is replaced before a target sees it.

use std::ops::Range;

use image::error::{Error as ImageError, Kind as ImageKind, Place, Result as ImageResult};
use image::source::Source;

use crate::error::{Error, Kind, Result};

const MAGIC: &[u8; 16] = b"LibvirtQemudSave";
const VERSION: u32 = 2;
/// Magic, version, length of the data, running, compression, place of the cookie, and 14 numbers that are not used.
const HEADER: usize = 16 + 5 * 4 + 14 * 4;
/// The longest data: a definition and what libvirt notes beside it.
const DATA_LIMIT: u32 = 4 << 20;

/// The numbers of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    bytes: [u8; HEADER],
    data: u32,
}

impl Head {
    fn read(source: &dyn Source) -> Result<Self> {
        let broken = |reason: &str| Error::new(Kind::Invalid, "the saved state", reason);
        let mut bytes = [0; HEADER];
        source
            .read_at(0, &mut bytes)
            .map_err(|error| broken("it can't be read").because(error))?;
        let number = |index: usize| {
            let at = MAGIC.len() + index * 4;
            let mut number = [0; 4];
            number.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(number)
        };
        if !bytes.starts_with(MAGIC) || number(0) != VERSION {
            return Err(broken("it is none of libvirt's, or was not saved to its end"));
        }
        if number(3) != 0 {
            let reason = "it is compressed: save_image_format in the host's qemu.conf has to be raw";
            return Err(Error::new(Kind::Unsupported, "the saved state", reason));
        }
        let data = number(1);
        if data > DATA_LIMIT || u64::from(data) + HEADER as u64 > source.size() {
            return Err(broken("its definition is longer than any"));
        }
        Ok(Self { bytes, data })
    }
}

/// Refuses a state that can't be given another definition.
pub(super) fn check(source: &dyn Source) -> Result<()> {
    Head::read(source).map(drop)
}

/// A state with another definition in its head.
pub(super) struct Redefined<'a> {
    head: Vec<u8>,
    state: &'a dyn Source,
}

impl<'a> Redefined<'a> {
    pub(super) fn new(state: &'a dyn Source, definition: &[u8]) -> Result<Self> {
        let Head { bytes, data } = Head::read(state)?;
        let mut head = bytes.to_vec();
        // What was noted beside the definition goes with it.
        let cookie = MAGIC.len() + 4 * 4;
        head[cookie..cookie + 4].fill(0);
        head.extend(definition);
        let length = HEADER + data as usize;
        // It ends with a zero.
        if head.len() >= length {
            let reason = "the machine's definition has no room in it: choose shorter names";
            return Err(Error::new(Kind::Unsupported, "the saved state", reason));
        }
        head.resize(length, 0);
        Ok(Self { head, state })
    }
}

impl Source for Redefined<'_> {
    fn size(&self) -> u64 {
        self.state.size()
    }

    fn next_data(&self, from: u64) -> ImageResult<Option<Range<u64>>> {
        let head = self.head.len() as u64;
        match from < head {
            true => Ok(Some(from..head)),
            false => self.state.next_data(from),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> ImageResult<()> {
        let before = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.head.get(offset..))
            .unwrap_or_default();
        let (own, rest) = buffer.split_at_mut(before.len().min(buffer.len()));
        own.copy_from_slice(&before[..own.len()]);
        if rest.is_empty() {
            return Ok(());
        }
        let from = offset.checked_add(own.len() as u64).ok_or_else(|| {
            ImageError::new(
                ImageKind::Truncated,
                Place::Offset(offset),
                "past the end".to_owned(),
            )
        })?;
        self.state.read_at(from, rest)
    }

    fn reading_memory(&self) -> u64 {
        self.state.reading_memory()
    }

    fn settled(&self) -> ImageResult<()> {
        self.state.settled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::source::Memory;

    fn state(version: u32, compressed: u32, data: u32) -> Memory {
        let mut bytes = MAGIC.to_vec();
        for number in [version, data, 1, compressed, 40] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.resize(HEADER, 0);
        bytes.extend(b"<domain><emulator>/bin/evil</emulator></domain>\0<cookie/>\0");
        bytes.resize(HEADER + 64, 0);
        bytes.extend([7; 1000]);
        Memory(bytes)
    }

    fn bytes(source: &dyn Source) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(source.size()).unwrap()];
        source.read_at(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_definition_in_the_head_is_replaced_whole_and_the_memory_behind_it_stays() {
        let original = state(VERSION, 0, 64);
        let redefined = Redefined::new(&original, b"<domain/>").unwrap();
        let (before, after) = (bytes(&original), bytes(&redefined));
        assert_eq!(after.len(), before.len());
        assert_eq!(
            &after[HEADER..HEADER + 64],
            [b"<domain/>".as_slice(), &[0; 55]].concat()
        );
        assert_eq!(after[HEADER + 64..], before[HEADER + 64..]);
        assert_eq!(after[32..36], [0; 4], "no cookie");
        let mut middle = [0; 10];
        redefined.read_at(HEADER as u64 + 60, &mut middle).unwrap();
        assert_eq!(middle, [0, 0, 0, 0, 7, 7, 7, 7, 7, 7]);
        assert!(Redefined::new(&original, &[b'x'; 64]).is_err());
    }

    #[test]
    fn a_head_that_is_none_or_lies_about_its_length_is_refused() {
        for (version, compressed, data) in [(1, 0, 64), (2, 1, 64), (2, 0, 1065), (2, 0, u32::MAX)] {
            assert!(
                check(&state(version, compressed, data)).is_err(),
                "{version} {compressed} {data}"
            );
        }
        assert!(check(&Memory(vec![0; 10])).is_err());
        assert!(check(&Memory(vec![0; 1000])).is_err());
        check(&state(VERSION, 0, 1064)).unwrap();
    }
}
