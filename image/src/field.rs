//! Fixed-width fields of on-disk structures. Callers slice blocks of known size first, so an offset outside is a bug here.

pub(crate) fn u16_le(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes(block, at))
}

pub(crate) fn u32_le(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(block, at))
}

pub(crate) fn u64_le(block: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes(block, at))
}

pub(crate) fn u32_be(block: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes(block, at))
}

pub(crate) fn u64_be(block: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes(block, at))
}

pub(crate) fn put(block: &mut [u8], at: usize, value: &[u8]) {
    block[at..at + value.len()].copy_from_slice(value);
}

fn bytes<const N: usize>(block: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&block[at..at + N]);
    field
}
