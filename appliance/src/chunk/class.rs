//! How fine a file is cut.

/// How files of a size are cut, and how their chunks are grouped: the larger a file is, the fewer of either it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    average_bits: u32,
    group_bits: u32,
}

impl Class {
    /// That of files of `size` bytes: chunks of 16 KiB on average up to 4 GiB, of 64 KiB up to 32 GiB, of 256 KiB up to 512 GiB,
    /// each with 64 chunks to a group on average; of 1 MiB above, with 1024 chunks to a group.
    pub fn of(size: u64) -> Self {
        let (average_bits, group_bits) = match size {
            0..=0x1_0000_0000 => (14, 6),
            0x1_0000_0001..=0x8_0000_0000 => (16, 6),
            0x8_0000_0001..=0x80_0000_0000 => (18, 6),
            _ => (20, 10),
        };
        Self {
            average_bits,
            group_bits,
        }
    }

    pub(super) fn average_bits(self) -> u32 {
        self.average_bits
    }

    /// Bytes of a chunk, on average.
    pub fn average(self) -> u32 {
        1 << self.average_bits
    }

    /// Bytes of the shortest chunk but for the last of a file.
    pub fn shortest(self) -> u32 {
        1 << (self.average_bits - 2)
    }

    /// Bytes of the longest chunk.
    pub fn longest(self) -> u32 {
        1 << (self.average_bits + 2)
    }

    /// The most chunks of a group: four times as many as there are on average.
    pub fn most_chunks(self) -> u16 {
        1 << (self.group_bits + 2)
    }

    /// Whether a group ends with a chunk of this digest: where its last bits, as many as make the average, are zero.
    pub(super) fn ends_group(self, digest: &[u8; 32]) -> bool {
        let [.., high, low] = *digest;
        u16::from_be_bytes([high, low]).trailing_zeros() >= self.group_bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{LARGEST, LONGEST_FETCH, MOST_GROUPS};

    #[test]
    fn a_larger_file_has_longer_chunks_and_never_too_many_groups() {
        const GIB: u64 = 1 << 30;
        for (size, average) in [
            (0, 16 << 10),
            (4 * GIB, 16 << 10),
            (4 * GIB + 1, 64 << 10),
            (32 * GIB, 64 << 10),
            (32 * GIB + 1, 256 << 10),
            (512 * GIB, 256 << 10),
            (512 * GIB + 1, 1 << 20),
            (LARGEST, 1 << 20),
        ] {
            let class = Class::of(size);
            assert_eq!(class.average(), average, "{size}");
            assert_eq!(class.shortest() * 4, average);
            assert_eq!(class.longest(), average * 4);
            assert!(u64::from(class.longest()) <= LONGEST_FETCH);
            let groups = size / u64::from(average) / u64::from(class.most_chunks() / 4);
            assert!(groups * 2 <= MOST_GROUPS as u64, "{size}");
        }
    }

    #[test]
    fn a_group_ends_with_as_many_zero_bits_as_its_class_says() {
        let digest = |low: u16| {
            let mut digest = [0xff; 32];
            digest[30..].copy_from_slice(&low.to_be_bytes());
            digest
        };
        let (small, large) = (Class::of(0), Class::of(LARGEST));
        for (low, small_ends, large_ends) in [
            (0, true, true),
            (0x0400, true, true),
            (0x0200, true, false),
            (0x0040, true, false),
            (0x0020, false, false),
        ] {
            assert_eq!(small.ends_group(&digest(low)), small_ends, "{low:x}");
            assert_eq!(large.ends_group(&digest(low)), large_ends, "{low:x}");
        }
    }
}
