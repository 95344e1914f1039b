//! The files in a Joliet volume's root directory.

use super::BLOCK;
use super::directory::FLAG_DIRECTORY;
use crate::error::{Error, Kind, Place, Result};
use crate::field::u32_le;
use crate::source::Source;

/// Ceilings: descriptors looked at, and bytes of a root directory.
const DESCRIPTOR_LIMIT: u64 = 16;
const DIRECTORY_LIMIT: u32 = 1 << 20;
/// The file goes on in another extent, or its record tells more than this reader knows.
const FLAGS_UNSUPPORTED: u8 = !FLAG_DIRECTORY & !1;

/// A file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, without a version.
    pub name: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u32,
}

impl File {
    /// The file's content, if that is at most `limit` bytes.
    ///
    /// # Errors
    /// [`Kind::Ceiling`] above the limit, and whatever reading `disc` gives. The place is the file.
    pub fn read(&self, disc: &dyn Source, limit: u32) -> Result<Vec<u8>> {
        if self.length > limit {
            let reason = format!("is longer than {limit} bytes");
            return Err(Error::new(Kind::Ceiling, Place::File(self.name.clone()), reason));
        }
        let mut data = vec![0; self.length as usize];
        disc.read_at(self.offset, &mut data)
            .map_err(|e| e.at(Place::File(self.name.clone())))?;
        Ok(data)
    }
}

/// The files in the root directory of an ISO 9660 volume with Joliet names, in its order. Directories are passed over.
///
/// # Errors
/// [`Kind::Malformed`] or [`Kind::Truncated`] for what is no such volume, [`Kind::Unsupported`] for one without Joliet
/// names or with files in several parts, [`Kind::Ceiling`] for a root directory above 1 MiB.
pub fn files(disc: &dyn Source) -> Result<Vec<File>> {
    let root = joliet_root(disc)?;
    if root.length > DIRECTORY_LIMIT {
        return Err(Error::new(
            Kind::Ceiling,
            Place::Offset(root.offset),
            "the root directory is above 1 MiB",
        ));
    }
    let mut directory = vec![0; root.length as usize];
    disc.read_at(root.offset, &mut directory)?;
    let mut files = Vec::new();
    for (block, at) in directory.chunks(2048).zip((root.offset..).step_by(2048)) {
        let mut rest = block;
        while let Some(&length) = rest.first().filter(|&&length| length != 0) {
            let at = at + (block.len() - rest.len()) as u64;
            let (record, after) = rest.split_at_checked(length.into()).ok_or_else(|| {
                Error::malformed(Place::Offset(at), "a directory record crosses its block's end")
            })?;
            files.extend(file(record, disc.size()).map_err(|e| e.at(Place::Offset(at)))?);
            rest = after;
        }
    }
    Ok(files)
}

fn joliet_root(disc: &dyn Source) -> Result<File> {
    for number in 16..16 + DESCRIPTOR_LIMIT {
        let place = Place::Offset(number * BLOCK);
        let mut block = [0; 2048];
        disc.read_at(number * BLOCK, &mut block)?;
        if &block[1..6] != b"CD001" {
            return Err(Error::malformed(place, "no ISO 9660 volume descriptor"));
        }
        let joliet = matches!(&block[88..91], b"%/@" | b"%/C" | b"%/E");
        match block[0] {
            2 if joliet => {
                let root = &block[156..190];
                return extent(root, disc.size()).map_err(|e| e.at(place));
            }
            255 => break,
            _ => {}
        }
    }
    Err(Error::new(
        Kind::Unsupported,
        Place::Whole,
        "the ISO 9660 volume has no Joliet names",
    ))
}

/// What a directory record says, if it is of a file.
fn file(record: &[u8], size: u64) -> Result<Option<File>> {
    let malformed = |reason: &str| Error::malformed(Place::Whole, reason);
    if record.len() < 34 {
        return Err(malformed("a directory record is too short"));
    }
    let name = record
        .get(33..33 + usize::from(record[32]))
        .ok_or_else(|| malformed("a name leaves its record"))?;
    if record[25] & FLAG_DIRECTORY != 0 {
        return Ok(None);
    }
    if record[25] & FLAGS_UNSUPPORTED != 0 {
        return Err(Error::new(
            Kind::Unsupported,
            Place::Whole,
            "a file in several parts",
        ));
    }
    let units: Vec<u16> = name
        .chunks_exact(2)
        .map(|unit| u16::from_be_bytes([unit[0], unit[1]]))
        .collect();
    let name = String::from_utf16(&units).map_err(|e| malformed("a name is not Unicode").because(e))?;
    let name = name.rsplit_once(';').map_or(name.as_str(), |(name, _)| name);
    if name.is_empty() || name.contains(['/', '\0']) || matches!(name, "." | "..") {
        return Err(malformed("a file has no usable name"));
    }
    Ok(Some(File {
        name: name.to_owned(),
        ..extent(record, size)?
    }))
}

/// A record's extent, without a name; it lies within the volume.
fn extent(record: &[u8], size: u64) -> Result<File> {
    let (offset, length) = (u64::from(u32_le(record, 2)) * BLOCK, u32_le(record, 10));
    if offset + u64::from(length) > size {
        return Err(Error::new(
            Kind::Truncated,
            Place::Whole,
            "a file reaches past the volume's end",
        ));
    }
    Ok(File {
        name: String::new(),
        offset,
        length,
    })
}
