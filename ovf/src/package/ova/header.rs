//! A tar header: what of it an OVA may use, checked.

use tar::{EntryType, Header};

use super::{BLOCK, BLOCK_LEN};
use crate::error::{Error, Kind, quoted};
use crate::package::MemberName;

/// A block of an archive.
pub(super) type Block = [u8; BLOCK_LEN];

/// The largest size a member may claim: what a signed 64-bit file offset can reach, less room for padding.
const MAX_SIZE: u64 = i64::MAX as u64 - BLOCK;

/// What stands before a member's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A regular file.
    File { name: MemberName, size: u64 },
    /// A PAX header for the next member, of so many bytes.
    Extension { size: u64 },
    /// GNU's header for the next member's long name, of so many bytes.
    LongName { size: u64 },
}

impl Entry {
    /// How many bytes follow that say something about the next member; none follow a regular file's header.
    pub(super) fn extension_size(&self) -> u64 {
        match self {
            Entry::File { .. } => 0,
            Entry::Extension { size } | Entry::LongName { size } => *size,
        }
    }
}

/// Reads a header that is not all zeros.
pub(super) fn read(block: &Block) -> Result<Entry, Error> {
    let header = Header::from_byte_slice(block);
    check_sum(block)?;
    if header.as_ustar().is_none() && header.as_gnu().is_none() {
        return Err(damaged("the header is neither USTAR's nor GNU's"));
    }
    let size = number(&block[124..136]).filter(|size| *size <= MAX_SIZE);
    let size = size.ok_or_else(|| damaged("the size in the header is no number in range"))?;
    let bytes = header.path_bytes();
    match header.entry_type() {
        EntryType::Regular => {}
        EntryType::XHeader => return Ok(Entry::Extension { size }),
        EntryType::GNULongName => return Ok(Entry::LongName { size }),
        other => {
            let shown = quoted(&String::from_utf8_lossy(&bytes));
            return Err(Error::new(
                Kind::MemberType,
                format!("{shown} is {}, not a regular file", describe(other)),
            ));
        }
    }
    let name = std::str::from_utf8(&bytes)
        .map_err(|_| Error::new(Kind::MemberName, "the name in the header is not UTF-8"))?;
    Ok(Entry::File {
        name: MemberName::parse(name)?,
        size,
    })
}

/// The header of a regular file: the same for the same name, size and time.
pub(super) fn write(name: &MemberName, size: u64, mtime: u64) -> Result<Block, Error> {
    let mut header = Header::new_ustar();
    let field = &mut header.as_old_mut().name;
    let bytes = name.as_str().as_bytes();
    // A name that fills the field has no NUL after it, which USTAR allows.
    let Some(place) = field.get_mut(..bytes.len()) else {
        let reason = format!(
            "the name {name} is longer than the {} bytes a header holds",
            field.len()
        );
        return Err(Error::new(Kind::MemberName, reason));
    };
    place.copy_from_slice(bytes);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    // Above 8 GiB this writes base 256: vSphere and every tar read it, where PAX is refused.
    header.set_size(size);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    Ok(*header.as_bytes())
}

/// The sum of the header's bytes, those of the sum itself taken as spaces.
fn check_sum(block: &Block) -> Result<(), Error> {
    let field = 148..156;
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| u64::from(if field.contains(&at) { b' ' } else { *byte }))
        .sum();
    if octal(&block[field]) == Some(sum) {
        Ok(())
    } else {
        Err(damaged("the header's checksum is wrong"))
    }
}

/// A number field: octal, or base 256 where the first byte says so.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((0x80, rest)) => {
            let (high, low) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
            let low: [u8; 8] = low.try_into().ok()?;
            high.iter()
                .all(|byte| *byte == 0)
                .then(|| u64::from_be_bytes(low))
        }
        // Negative, or of more than 88 bits.
        Some((first, _)) if first & 0x80 != 0 => None,
        _ => octal(field),
    }
}

/// Octal digits, spaces before them, spaces and NULs after them.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_start_matches(' ').trim_end_matches([' ', '\0']);
    if digits.is_empty() || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'7')) {
        return None;
    }
    u64::from_str_radix(digits, 8).ok()
}

fn describe(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char => "a character device",
        EntryType::Block => "a block device",
        EntryType::Directory => "a folder",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        EntryType::GNULongLink => "a link with a long name",
        EntryType::XGlobalHeader => "a global PAX header",
        _ => "of an unknown type",
    }
}

fn damaged(reason: &str) -> Error {
    Error::new(Kind::ArchiveHeader, reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> MemberName {
        MemberName::parse(text).unwrap()
    }

    /// A header with one part changed, its sum made right again.
    fn changed(change: impl FnOnce(&mut Header)) -> Result<Entry, Error> {
        let mut header = Header::from_byte_slice(&write(&name("a"), 1, 0).unwrap()).clone();
        change(&mut header);
        header.set_cksum();
        read(header.as_bytes())
    }

    #[test]
    fn sizes_above_eight_gibibytes_and_long_names_read_back() {
        for size in [0, 1, (1 << 33) - 1, 1 << 33, 1 << 62] {
            let long = name(&"n".repeat(100));
            let block = write(&long, size, 0).unwrap();
            assert_eq!(read(&block).unwrap(), Entry::File { name: long, size });
        }
        assert_eq!(
            write(&name(&"n".repeat(101)), 0, 0).unwrap_err().kind(),
            Kind::MemberName
        );
    }

    #[test]
    fn anything_but_a_regular_file_is_refused() {
        for kind in [
            b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'K', b'S', b'g', b'V', b'Z',
        ] {
            let error = changed(|header| header.set_entry_type(EntryType::new(kind))).unwrap_err();
            assert_eq!(error.kind(), Kind::MemberType, "{}", char::from(kind));
        }
    }

    #[test]
    fn sizes_out_of_range_and_foreign_magic_are_refused() {
        let size = |bytes: [u8; 12]| {
            changed(|header| header.as_old_mut().size = bytes)
                .unwrap_err()
                .kind()
        };
        assert_eq!(size([0xFF; 12]), Kind::ArchiveHeader);
        assert_eq!(size([0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Kind::ArchiveHeader);
        assert_eq!(
            size([0x80, 0, 0, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0]),
            Kind::ArchiveHeader
        );
        assert_eq!(size(*b"-0000000001\0"), Kind::ArchiveHeader);
        assert_eq!(size([0; 12]), Kind::ArchiveHeader);
        assert_eq!(
            changed(|header| header.as_mut_bytes()[257] = b'x')
                .unwrap_err()
                .kind(),
            Kind::ArchiveHeader
        );
        assert_eq!(
            changed(|header| header.as_mut_bytes()[0] = 0xFF)
                .unwrap_err()
                .kind(),
            Kind::MemberName
        );
    }

    proptest! {
        #[test]
        fn no_block_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 512)) {
            let block: Block = bytes.try_into().unwrap();
            let _ = read(&block);
        }
    }
}
