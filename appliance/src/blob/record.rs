//! How much of a file that is being received is on the disk.

use std::io::Read as _;

use super::RECEIVED;
use super::folder::Folder;
use crate::error::{Error, Kind, Result};

/// Two numbers of twenty digits, and room to see that it is more.
const LIMIT: u64 = 64;

/// What is true after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// The first bytes, which were synced.
    pub(super) received: u64,
    /// All bytes that there will be.
    pub(super) size: u64,
}

impl Record {
    /// Replaces the record in `folder`.
    pub(super) fn keep(self, folder: &Folder) -> Result<()> {
        let text = format!("{} {}\n", self.received, self.size);
        folder.replace_durably(RECEIVED, text.as_bytes())
    }

    /// Reads the record in `folder`.
    ///
    /// # Errors
    /// [`Kind::Unknown`], [`Kind::StateCorrupt`] and what the system says.
    pub(super) fn read(folder: &Folder) -> Result<Self> {
        let (file, _) = folder.open_file(RECEIVED)?;
        let path = folder.path(RECEIVED);
        let mut text = String::new();
        file.take(LIMIT)
            .read_to_string(&mut text)
            .map_err(|error| Error::file(&path, "read", error))?;
        Self::parse(&text).ok_or_else(|| {
            Error::new(
                Kind::StateCorrupt,
                path.display().to_string(),
                "is not two numbers",
            )
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (received, size) = text.strip_suffix('\n')?.split_once(' ')?;
        let record = Self {
            received: received.parse().ok()?,
            size: size.parse().ok()?,
        };
        (record.received <= record.size).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_reads_the_same_and_nothing_cut_short_does(
            numbers in any::<(u64, u64)>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let record = Record { received: numbers.0.min(numbers.1), size: numbers.0.max(numbers.1) };
            let directory = tempfile::tempdir().unwrap();
            let folder = Folder::open(directory.path()).unwrap();
            record.keep(&folder).unwrap();
            prop_assert_eq!(Record::read(&folder).unwrap(), record);
            let text = std::fs::read_to_string(directory.path().join(RECEIVED)).unwrap();
            prop_assert_eq!(Record::parse(&text[..cut.index(text.len())]), None);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,64}") {
            let _ = Record::parse(&text);
        }
    }
}
