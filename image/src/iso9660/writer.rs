//! From content to blocks.
//!
//! ```text
//! 0..16   one file     17  Joliet's descriptor   19..23  four path tables            ..  its directory again for Joliet
//! 16      descriptor   18  end of descriptors    23..    the root directory          ..  files
//! ```

use std::collections::BTreeSet;

use super::directory::{
    Extent, FLAG_DIRECTORY, alternate_name, blocks, both_16, both_32, plain_identifier, posix, record,
    rock_ridge_root, utf16_be,
};
use super::{BLOCK, Volume};
use crate::error::{Error, Kind, Place, Result};
use crate::field::put;
use crate::source::Composed;

const DESCRIPTORS: u64 = 16;
const PATH_TABLES: u32 = 19;
const ROOT: u32 = 23;
const PATH_TABLE_LENGTH: u32 = 10;
const CREATED: &[u8; 17] = b"1980010100000000\0";
const NO_TIME: &[u8; 17] = b"0000000000000000\0";

pub(super) fn build(volume: Volume) -> Result<Composed> {
    let names = Names::of(&volume);
    // Directories hold where files are, but their lengths do not depend on it.
    let nowhere = vec![Extent { block: 0, length: 0 }; volume.files.len()];
    let primary_length = names.primary(ROOT, 0, &nowhere).len();
    let joliet_length = names.joliet(ROOT, 0, &nowhere).len();
    let joliet_root = ROOT + count(primary_length)?;
    let mut next = joliet_root + count(joliet_length)?;
    // Empty files share a block of zeros: readers want every file's place inside the volume and outside its directories.
    let empty = next;
    next += u32::from(volume.files.values().any(Vec::is_empty));
    let mut extents = Vec::new();
    for (name, data) in &volume.files {
        let length = u32::try_from(data.len()).map_err(|_| too_large())?;
        if volume.at_start.as_ref() == Some(name) {
            extents.push(Extent { block: 0, length });
            continue;
        }
        extents.push(Extent {
            block: if length == 0 { empty } else { next },
            length,
        });
        next = next.checked_add(count(data.len())?).ok_or_else(too_large)?;
    }
    let mut image = Composed::new(u64::from(next) * BLOCK);
    let length = |bytes: usize| u32::try_from(bytes).map_err(|_| too_large());
    let primary = Extent {
        block: ROOT,
        length: length(primary_length)?,
    };
    let joliet = Extent {
        block: joliet_root,
        length: length(joliet_length)?,
    };
    place_descriptors(&mut image, &volume.id, next, primary, joliet)?;
    image.put(block(ROOT), names.primary(ROOT, primary.length, &extents))?;
    image.put(
        block(joliet_root),
        names.joliet(joliet_root, joliet.length, &extents),
    )?;
    for (extent, data) in extents.iter().zip(volume.files.into_values()) {
        image.put(block(extent.block), data)?;
    }
    Ok(image)
}

/// The files' names in the forms that the two directories need, in the order of each.
struct Names {
    /// Number of the file, identifier, name as given; by identifier.
    plain: Vec<(usize, String, String)>,
    /// Number of the file, name in UCS-2; by name.
    joliet: Vec<(usize, Vec<u8>)>,
}

impl Names {
    fn of(volume: &Volume) -> Self {
        let mut taken = BTreeSet::new();
        let (mut plain, mut joliet) = (Vec::new(), Vec::new());
        for (number, name) in volume.files.keys().enumerate() {
            let identifier = plain_identifier(name, &taken);
            taken.insert(identifier.clone());
            plain.push((number, identifier, name.clone()));
            joliet.push((number, utf16_be(name)));
        }
        plain.sort_by_cached_key(|(_, identifier, _)| ordered(identifier));
        joliet.sort_by(|a, b| a.1.cmp(&b.1));
        Self { plain, joliet }
    }

    fn primary(&self, root: u32, length: u32, extents: &[Extent]) -> Vec<u8> {
        let root = Extent { block: root, length };
        let mut records = vec![
            record(&[0], root, FLAG_DIRECTORY, &rock_ridge_root()),
            record(&[1], root, FLAG_DIRECTORY, &posix(0o040_555, 2)),
        ];
        for (number, identifier, name) in &self.plain {
            let rock_ridge = [posix(0o100_444, 1), alternate_name(name)].concat();
            records.push(record(identifier.as_bytes(), extents[*number], 0, &rock_ridge));
        }
        blocks(&records)
    }

    fn joliet(&self, root: u32, length: u32, extents: &[Extent]) -> Vec<u8> {
        let root = Extent { block: root, length };
        let mut records = vec![
            record(&[0], root, FLAG_DIRECTORY, &[]),
            record(&[1], root, FLAG_DIRECTORY, &[]),
        ];
        records.extend(
            self.joliet
                .iter()
                .map(|(number, name)| record(name, extents[*number], 0, &[])),
        );
        blocks(&records)
    }
}

/// ECMA-119 9.3: by name, then by extension, each as if filled up with spaces.
fn ordered(identifier: &str) -> (String, String) {
    let (base, rest) = identifier.split_once('.').unwrap_or((identifier, ""));
    (format!("{base:8}"), format!("{rest:5}"))
}

fn place_descriptors(
    image: &mut Composed,
    id: &str,
    size: u32,
    primary: Extent,
    joliet: Extent,
) -> Result<()> {
    let at = |number: u64| (DESCRIPTORS + number) * BLOCK;
    image.put(at(0), descriptor(1, id.as_bytes(), size, PATH_TABLES, primary))?;
    image.put(at(1), descriptor(2, &utf16_be(id), size, PATH_TABLES + 2, joliet))?;
    let mut end = vec![0; 7];
    end[0] = 255;
    put(&mut end, 1, b"CD001\x01");
    image.put(at(2), end)?;
    for (tables, root) in [(PATH_TABLES, primary.block), (PATH_TABLES + 2, joliet.block)] {
        image.put(block(tables), path_table(root.to_le_bytes(), 1u16.to_le_bytes()))?;
        image.put(
            block(tables + 1),
            path_table(root.to_be_bytes(), 1u16.to_be_bytes()),
        )?;
    }
    Ok(())
}

/// A primary (1) or supplementary (2) volume descriptor.
fn descriptor(kind: u8, id: &[u8], size: u32, tables: u32, root: Extent) -> Vec<u8> {
    let joliet = kind == 2;
    let mut block = vec![0; 2048];
    block[0] = kind;
    put(&mut block, 1, b"CD001\x01");
    let blank: &[u8] = if joliet { &[0, b' '] } else { b" " };
    for (start, end) in [(8, 40), (40, 72), (190, 702), (702, 813)] {
        fill(&mut block[start..end], blank);
    }
    put(&mut block, 40, id);
    put(&mut block, 80, &both_32(size));
    if joliet {
        // UCS-2 level 3.
        put(&mut block, 88, b"%/E");
    }
    put(&mut block, 120, &both_16(1));
    put(&mut block, 124, &both_16(1));
    put(&mut block, 128, &both_16(2048));
    put(&mut block, 132, &both_32(PATH_TABLE_LENGTH));
    put(&mut block, 140, &tables.to_le_bytes());
    put(&mut block, 148, &(tables + 1).to_be_bytes());
    put(&mut block, 156, &record(&[0], root, FLAG_DIRECTORY, &[]));
    for (at, time) in [(813, CREATED), (830, CREATED), (847, NO_TIME), (864, NO_TIME)] {
        put(&mut block, at, time);
        block[at + 16] = 0;
    }
    block[881] = 1;
    block
}

fn path_table(root: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    let mut table = vec![1, 0];
    table.extend(root);
    table.extend(parent);
    table.extend([0, 0]);
    table
}

fn fill(field: &mut [u8], pattern: &[u8]) {
    for (place, byte) in field.iter_mut().zip(pattern.iter().cycle()) {
        *place = *byte;
    }
}

fn block(number: u32) -> u64 {
    u64::from(number) * BLOCK
}

fn count(bytes: usize) -> Result<u32> {
    u32::try_from(bytes.div_ceil(2048)).map_err(|_| too_large())
}

fn too_large() -> Error {
    Error::new(
        Kind::Capacity,
        Place::Whole,
        "the content does not fit an ISO 9660 volume",
    )
}
