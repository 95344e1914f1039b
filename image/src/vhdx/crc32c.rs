//! CRC-32C (RFC 3720, appendix B.4), which guards a few tables of 64 KiB: a table of 256 entries does.

const POLYNOMIAL: u32 = 0x82f6_3b78;
const TABLE: [u32; 256] = table();

/// The checksum of `bytes` with the four bytes at `field`, where it is stored, taken as zeros.
pub(super) fn crc32c(bytes: &[u8], field: usize) -> u32 {
    let mut sum = u32::MAX;
    for (at, &byte) in bytes.iter().enumerate() {
        let byte = if (field..field + 4).contains(&at) { 0 } else { byte };
        let [low, ..] = (sum ^ u32::from(byte)).to_le_bytes();
        sum = TABLE[usize::from(low)] ^ (sum >> 8);
    }
    !sum
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256u32 {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                (sum >> 1) ^ POLYNOMIAL
            } else {
                sum >> 1
            };
            bit += 1;
        }
        table[byte as usize] = sum;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        assert_eq!(crc32c(&[0; 32], 0), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32], 100), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789", 100), 0xe306_9283);
    }
}
