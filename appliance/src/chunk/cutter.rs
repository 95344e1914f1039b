//! Where chunks end: by what is in a file, so that what is inserted moves no other chunk's end but those beside it.
//!
//! Both ends of a transfer, and a node and its older self, have to cut alike. These are the rules, version [`VERSION`]:
//!
//! - `GEAR` is the first 256 outputs of SplitMix64 from the state `0x7663_632d_6368_756e` ("vcc-chun").
//! - The hash at a byte is the sum, modulo 2^64, of `GEAR[b] << k` for it (k = 0) and the 63 bytes before it (k = 1 to 63).
//! - With an average of 2^n bytes, a chunk ends after its first byte at which it is at least 2^(n-2) bytes long and
//!   - shorter than 2^n, and the upper n + 2 bits of the hash are zero; or
//!   - 2^n or longer, and the upper n - 2 bits are zero; or
//!   - 2^(n+2) bytes long.
//! - The last chunk ends where the file does.
//!
//! That the first condition is the stricter one keeps lengths close to the average. As the shortest chunk is longer than 64
//! bytes, what decides about an end is always the last 64 bytes and nothing else: two files that share bytes agree on ends again
//! after them. `GEAR[0]` is such that zeros end no chunk: they come in longest chunks, which are all the same one.

use super::Class;

/// The version of the rules.
pub const VERSION: u8 = 1;

/// Bytes that the hash is made of.
const WINDOW: usize = 64;
const SEED: u64 = 0x7663_632d_6368_756e;
static GEAR: [u64; 256] = gear();

/// Cuts one file, whose bytes come in pieces.
#[derive(Debug, Clone)]
pub struct Cutter {
    class: Class,
    /// Bytes of the chunk so far.
    length: usize,
    hash: u64,
}

impl Cutter {
    /// At the beginning of a file.
    pub fn new(class: Class) -> Self {
        Self {
            class,
            length: 0,
            hash: 0,
        }
    }

    /// Bytes of the chunk that has not ended.
    pub fn pending(&self) -> usize {
        self.length
    }

    /// Takes the next bytes up to the end of the chunk: how many of them belong to it, or nothing where all do and it goes on.
    pub fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let bits = self.class.average_bits();
        let (shortest, average, longest) = (1 << (bits - 2), 1 << bits, 1 << (bits + 2));
        let mut rest = bytes;
        // Bytes without influence on the first hash that counts.
        self.pass(&mut rest, shortest - WINDOW);
        let warming = self.pass(&mut rest, shortest - 1);
        (self.hash, _) = roll(self.hash, warming, 0);
        for (target, zeros) in [(average - 1, bits + 2), (longest - 1, bits - 2)] {
            let part = self.pass(&mut rest, target);
            let found;
            (self.hash, found) = roll(self.hash, part, 1 << (u64::BITS - zeros));
            if let Some(found) = found {
                let end = bytes.len() - rest.len() - (part.len() - found);
                return self.end(end);
            }
        }
        if self.length == longest - 1 && !rest.is_empty() {
            return self.end(bytes.len() - rest.len() + 1);
        }
        None
    }

    fn end(&mut self, taken: usize) -> Option<usize> {
        (self.length, self.hash) = (0, 0);
        Some(taken)
    }

    /// Takes bytes until the chunk has `target`.
    fn pass<'a>(&mut self, rest: &mut &'a [u8], target: usize) -> &'a [u8] {
        let most = target.saturating_sub(self.length).min(rest.len());
        let (part, after) = rest.split_at(most);
        *rest = after;
        self.length += most;
        part
    }
}

/// Rolls the hash over bytes until it is below `limit`: the hash then, and how many bytes that took.
///
/// Four bytes a turn, written out: the runtime is built for size, and nothing unrolls it there. What a turn adds to the hash does
/// not depend on the hash, which leaves one shift and one addition to wait for.
fn roll(mut hash: u64, bytes: &[u8], limit: u64) -> (u64, Option<usize>) {
    let gear = |byte: u8| GEAR[usize::from(byte)];
    let (turns, rest) = bytes.as_chunks::<4>();
    let mut at = 0;
    for [a, b, c, d] in turns {
        let one = gear(*a);
        let two = (one << 1).wrapping_add(gear(*b));
        let three = (two << 1).wrapping_add(gear(*c));
        let four = (three << 1).wrapping_add(gear(*d));
        let first = (hash << 1).wrapping_add(one);
        if first < limit {
            return (first, Some(at + 1));
        }
        let second = (hash << 2).wrapping_add(two);
        if second < limit {
            return (second, Some(at + 2));
        }
        let third = (hash << 3).wrapping_add(three);
        if third < limit {
            return (third, Some(at + 3));
        }
        hash = (hash << 4).wrapping_add(four);
        at += 4;
        if hash < limit {
            return (hash, Some(at));
        }
    }
    for byte in rest {
        hash = (hash << 1).wrapping_add(gear(*byte));
        at += 1;
        if hash < limit {
            return (hash, Some(at));
        }
    }
    (hash, None)
}

const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state = SEED;
    let mut at = 0;
    while at < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[at] = word ^ (word >> 31);
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::noise;

    fn cuts(pieces: &[&[u8]], class: Class) -> Vec<usize> {
        let mut cutter = Cutter::new(class);
        let mut lengths = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            loop {
                let before = cutter.pending();
                let Some(end) = cutter.take(rest) else { break };
                lengths.push(before + end);
                rest = &rest[end..];
            }
        }
        lengths.extend(Some(cutter.pending()).filter(|length| *length > 0));
        lengths
    }

    /// The rules, as they are written.
    fn cuts_by_the_rules(bytes: &[u8], class: Class) -> Vec<usize> {
        let bits = class.average().trailing_zeros();
        let (mut lengths, mut start) = (Vec::new(), 0);
        for at in 0..bytes.len() {
            let length = at + 1 - start;
            if length < class.shortest() as usize {
                continue;
            }
            let hash = (0..64).fold(0_u64, |sum, k| {
                sum.wrapping_add(GEAR[usize::from(bytes[at - k])] << k)
            });
            let zeros = match length < class.average() as usize {
                true => bits + 2,
                false => bits - 2,
            };
            if hash.leading_zeros() >= zeros || length == class.longest() as usize {
                lengths.push(length);
                start = at + 1;
            }
        }
        lengths.extend(Some(bytes.len() - start).filter(|length| *length > 0));
        lengths
    }

    #[test]
    fn the_table_and_the_cuts_are_those_that_another_program_finds() {
        let bytes: Vec<u8> = GEAR.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(
            crate::digest::Digest::of(&bytes).to_string(),
            "c799b888b9e66f6562ec1da6e0423a6a07de009a0680682af4876daabb39384d"
        );
        let bytes: Vec<u8> = (0..6250_u64)
            .flat_map(|number| crate::digest::sha256(&number.to_be_bytes()))
            .collect();
        assert_eq!(
            cuts(&[&bytes], Class::of(0)),
            [
                16_723, 19_938, 17_735, 16_445, 20_330, 17_626, 8_707, 13_563, 17_605, 22_868, 21_862, 6_598
            ]
        );
    }

    #[test]
    fn zeros_come_in_longest_chunks() {
        for size in [1, 5 << 30, 33 << 30, 600 << 30] {
            let class = Class::of(size);
            let longest = class.longest() as usize;
            assert_eq!(
                cuts(&[&vec![0; 2 * longest + 5]], class),
                [longest, longest, 5],
                "{class:?}"
            );
        }
    }

    #[test]
    fn chunks_are_as_long_as_they_should_be_on_average() {
        let bytes = noise(1, 8 << 20);
        let count = cuts(&[&bytes], Class::of(0)).len();
        let average = bytes.len() / count;
        assert!((14 << 10..22 << 10).contains(&average), "{average}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn chunks_end_where_the_rules_say_however_the_bytes_come(
            seed in any::<u64>(),
            length in 0_usize..300_000,
            // Some of it is one and the same byte.
            same in (any::<u8>(), 0_usize..300_000, 0_usize..150_000),
            pieces in prop::collection::vec(prop_oneof![1_usize..4, 1_usize..9000, 1_usize..100_000], 1..40),
        ) {
            let class = Class::of(0);
            let mut bytes = noise(seed, length);
            let start = same.1.min(length);
            let end = (same.1 + same.2).min(length);
            bytes[start..end].fill(same.0);
            let expected = cuts_by_the_rules(&bytes, class);
            prop_assert_eq!(&cuts(&[&bytes], class), &expected);
            let (mut parts, mut rest) = (Vec::new(), bytes.as_slice());
            for piece in pieces.iter().cycle() {
                let (part, after) = rest.split_at((*piece).min(rest.len()));
                parts.push(part);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(cuts(&parts, class), expected);
        }
    }
}
