//! Content that nothing packs.

/// Bytes without any order, the same ones for the same seed; eight at a time.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let word = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (word ^ (word >> 32)).to_be_bytes()
    });
    words.take(bytes / 8).flatten().collect()
}
