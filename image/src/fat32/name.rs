//! File names: 8.3 and long ones.

use std::collections::BTreeSet;

/// Characters of a name in one long-name entry, and where each has its place.
const UNIT_PLACES: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const ATTRIBUTE_LONG_NAME: u8 = 0x0f;
const LAST_ENTRY: u8 = 0x40;

/// An 8.3 name as it is stored, padded with spaces.
pub(super) type ShortName = [u8; 11];

/// Whether FAT allows a name: ASCII, 1 to 255 characters, none of them reserved, no dot or space where tools drop it.
pub(super) fn is_legal(name: &str) -> bool {
    let legal = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !b"\"*/:<>?\\|".contains(&byte);
    let edges = name.starts_with(' ') || name.ends_with(['.', ' ']);
    !name.is_empty() && name.len() <= 255 && !edges && name.bytes().all(legal)
}

/// The stored 8.3 name, and whether it says all of `name`. `taken` are the directory's other short names.
pub(super) fn shorten(name: &str, taken: &BTreeSet<ShortName>) -> (ShortName, bool) {
    let upper = name.to_ascii_uppercase();
    let (base, extension) = match upper.rsplit_once('.') {
        Some((base, extension)) if !base.is_empty() => (base, extension),
        _ => (upper.as_str(), ""),
    };
    let plain = |text: &str| text.bytes().all(is_short_character);
    let fits = plain(base) && plain(extension) && base.len() <= 8 && extension.len() <= 3;
    let short = padded(base, extension);
    if fits && !taken.contains(&short) {
        return (short, upper == name);
    }
    let keep = |text: &str, most: usize| -> String {
        text.bytes()
            .filter(|&byte| is_short_character(byte))
            .map(char::from)
            .take(most)
            .collect()
    };
    let (base, extension) = (keep(base, 8), keep(extension, 3));
    let numbered = |number: u32| {
        let tail = format!("~{number}");
        let head = &base[..base.len().min(8 - tail.len())];
        padded(&format!("{head}{tail}"), &extension)
    };
    let free = (1..1_000_000).map(numbered).find(|short| !taken.contains(short));
    (free.unwrap_or(short), false)
}

/// The directory entries that spell `name` out, in the order in which they precede the short one.
pub(super) fn long_entries(name: &str, short: &ShortName) -> Vec<[u8; 32]> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let sum = short
        .iter()
        .fold(0u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte));
    let mut entries: Vec<[u8; 32]> = (1u8..)
        .zip(units.chunks(UNIT_PLACES.len()))
        .map(|(order, part)| {
            let mut entry = [0; 32];
            entry[0] = order;
            entry[11] = ATTRIBUTE_LONG_NAME;
            entry[13] = sum;
            // A part that is not full ends in a zero; what follows that is all ones.
            let padded = part.iter().copied().chain([0]).chain(std::iter::repeat(0xffff));
            for (place, unit) in UNIT_PLACES.into_iter().zip(padded) {
                entry[place..place + 2].copy_from_slice(&unit.to_le_bytes());
            }
            entry
        })
        .collect();
    if let Some(last) = entries.last_mut() {
        last[0] |= LAST_ENTRY;
    }
    entries.reverse();
    entries
}

fn padded(base: &str, extension: &str) -> ShortName {
    let mut short = [b' '; 11];
    for (place, byte) in short.iter_mut().zip(base.bytes().take(8)) {
        *place = byte;
    }
    for (place, byte) in short[8..].iter_mut().zip(extension.bytes()) {
        *place = byte;
    }
    short
}

fn is_short_character(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"!#$%&'()-@^_`{}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_case_8_3_needs_no_long_name_and_all_else_does() {
        let none = BTreeSet::new();
        assert_eq!(shorten("BOOTX64.EFI", &none), (*b"BOOTX64 EFI", true));
        assert_eq!(shorten("grub.cfg", &none), (*b"GRUB    CFG", false));
        assert_eq!(shorten("a b.conf", &none), (*b"AB~1    CON", false));
        assert_eq!(shorten("VERYLONGNAME", &none), (*b"VERYLO~1   ", false));
        assert_eq!(shorten(".hidden", &none), (*b"HIDDEN~1   ", false));
    }

    #[test]
    fn short_names_in_one_directory_differ() {
        let mut taken = BTreeSet::new();
        for n in 0..120 {
            let (short, _) = shorten(&format!("a long name {n}.txt"), &taken);
            assert!(taken.insert(short));
        }
        assert!(taken.contains(b"ALON~100TXT"), "{taken:?}");
    }
}
