//! Directory records and the names in them.

use std::collections::BTreeSet;

use crate::field::put;

/// A record's fixed part.
const RECORD_HEAD: usize = 33;
/// 1980-01-01 00:00:00 UTC.
pub(super) const TIME: [u8; 7] = [80, 1, 1, 0, 0, 0, 0];
pub(super) const FLAG_DIRECTORY: u8 = 2;

/// Where a file or directory is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Its first block.
    pub(super) block: u32,
    /// Its length in bytes.
    pub(super) length: u32,
}

/// A directory record: identifier as stored, then what Rock Ridge adds.
pub(super) fn record(identifier: &[u8], extent: Extent, flags: u8, system_use: &[u8]) -> Vec<u8> {
    let name_end = (RECORD_HEAD + identifier.len()).next_multiple_of(2);
    let mut record = vec![0; (name_end + system_use.len()).next_multiple_of(2)];
    record[0] = u8::try_from(record.len()).expect("names are short enough for a record of 254 bytes");
    put(&mut record, 2, &both_32(extent.block));
    put(&mut record, 10, &both_32(extent.length));
    put(&mut record, 18, &TIME);
    record[25] = flags;
    put(&mut record, 28, &both_16(1));
    record[32] = u8::try_from(identifier.len()).expect("an identifier is shorter than its record");
    put(&mut record, RECORD_HEAD, identifier);
    put(&mut record, name_end, system_use);
    record
}

/// Records laid out in blocks: none crosses a block's end.
pub(super) fn blocks(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for record in records {
        let left = bytes.len().next_multiple_of(2048) - bytes.len();
        if left < record.len() {
            bytes.resize(bytes.len() + left, 0);
        }
        bytes.extend(record);
    }
    bytes.resize(bytes.len().next_multiple_of(2048), 0);
    bytes
}

/// A number in both byte orders, as ECMA-119 7.3.3 has it.
pub(super) fn both_32(value: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&value.to_le_bytes());
    bytes[4..].copy_from_slice(&value.to_be_bytes());
    bytes
}

/// A number in both byte orders, as ECMA-119 7.2.3 has it.
pub(super) fn both_16(value: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d]
}

/// Rock Ridge in the root's own record: SUSP is in use (SP), which extension (ER), and what the root is (PX).
pub(super) fn rock_ridge_root() -> Vec<u8> {
    let mut fields = vec![b'S', b'P', 7, 1, 0xbe, 0xef, 0];
    fields.extend(posix(0o040_555, 2));
    fields.extend([b'E', b'R', 18, 1, 10, 0, 0, 1]);
    fields.extend(b"RRIP_1991A");
    fields
}

/// Rock Ridge's file attributes (PX): mode and links; owned by root.
pub(super) fn posix(mode: u32, links: u32) -> Vec<u8> {
    let mut field = vec![b'P', b'X', 36, 1];
    for value in [mode, links, 0, 0] {
        field.extend(both_32(value));
    }
    field
}

/// Rock Ridge's name (NM).
pub(super) fn alternate_name(name: &str) -> Vec<u8> {
    let length = u8::try_from(5 + name.len()).expect("a name has at most 64 characters");
    let mut field = vec![b'N', b'M', length, 1, 0];
    field.extend(name.bytes());
    field
}

/// The upper-case 8.3 identifier with its version, different from those `taken`.
pub(super) fn plain_identifier(name: &str, taken: &BTreeSet<String>) -> String {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let legal = |text: &str, most: usize| -> String {
        let letter = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        };
        text.chars().take(most).map(letter).collect()
    };
    let (base, extension) = (legal(base, 8), legal(extension, 3));
    let numbered = |number: u32| format!("{}{number:03}.{extension};1", &base[..base.len().min(5)]);
    let first = format!("{base}.{extension};1");
    // A thousand files at most: a number is always free.
    std::iter::once(first.clone())
        .chain((1..=999).map(numbered))
        .find(|candidate| !taken.contains(candidate))
        .unwrap_or(first)
}

/// UCS-2, big-endian: Joliet's text. Names go without a version, which most readers would show.
pub(super) fn utf16_be(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}
