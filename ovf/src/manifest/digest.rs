//! Digests: algorithm, value, and the streaming computation.

use std::fmt;
use std::io;

use ring::digest::{self, Context};
use sha1::Digest as _;

use crate::error::{Error, Kind, quoted};

/// A digest algorithm that manifests and certificate files name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// SHA-1: read where policy allows it, never written.
    Sha1,
    /// SHA-256: the one written by default.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl DigestAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Reads a name, in any case: `SHA256`, `SHA-256`, `SHA2-256`.
    ///
    /// # Errors
    /// [`Kind::ManifestAlgorithm`] for any other, MD5 included.
    pub fn parse(name: &str) -> Result<Self, Error> {
        match name.to_ascii_uppercase().as_str() {
            "SHA1" | "SHA-1" => Ok(Self::Sha1),
            "SHA256" | "SHA-256" | "SHA2-256" => Ok(Self::Sha256),
            "SHA384" | "SHA-384" | "SHA2-384" => Ok(Self::Sha384),
            "SHA512" | "SHA-512" | "SHA2-512" => Ok(Self::Sha512),
            _ => {
                let shown = quoted(name);
                Err(Error::new(
                    Kind::ManifestAlgorithm,
                    format!("digest algorithm {shown} is not supported"),
                ))
            }
        }
    }

    /// The name as manifests write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    /// The digest's length in bytes.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name as command lines and settings write it: `sha256`.
    pub const fn option_name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Whether new packages may use it: SHA-1 is broken.
    pub const fn is_strong(self) -> bool {
        !matches!(self, Self::Sha1)
    }

    /// The digest of bytes in memory.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut digester = Digester::new(self);
        digester.update(bytes);
        digester.finish()
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A digest with its algorithm; shown as lower-case hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    bytes: Box<[u8]>,
}

impl Digest {
    /// Reads hexadecimal text of either case.
    ///
    /// # Errors
    /// [`Kind::ManifestMalformed`] if it is not hexadecimal of the algorithm's length.
    pub fn from_hex(algorithm: DigestAlgorithm, hex: &str) -> Result<Self, Error> {
        Self::of_len(algorithm, decode_hex(hex))
    }

    /// A digest of these bytes, if they are as many as the algorithm gives.
    pub(super) fn of_len(algorithm: DigestAlgorithm, bytes: Option<Vec<u8>>) -> Result<Self, Error> {
        let bytes = bytes
            .filter(|bytes| bytes.len() == algorithm.output_len())
            .ok_or_else(|| {
                let digits = 2 * algorithm.output_len();
                Error::new(
                    Kind::ManifestMalformed,
                    format!("a {algorithm} digest has {digits} hexadecimal digits"),
                )
            })?;
        Ok(Digest {
            algorithm,
            bytes: bytes.into(),
        })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.bytes))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.algorithm)
    }
}

/// Computes a digest of bytes as they come.
#[derive(Clone)]
pub struct Digester {
    algorithm: DigestAlgorithm,
    state: State,
}

/// ring's SHA-2 is the fastest there is for every length; its SHA-1 makes no use of the processor's instructions.
#[derive(Clone)]
enum State {
    Sha1(sha1::Sha1),
    Sha2(Context),
}

impl Digester {
    /// A digester that has seen nothing.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        let state = match algorithm {
            DigestAlgorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            DigestAlgorithm::Sha256 => State::Sha2(Context::new(&digest::SHA256)),
            DigestAlgorithm::Sha384 => State::Sha2(Context::new(&digest::SHA384)),
            DigestAlgorithm::Sha512 => State::Sha2(Context::new(&digest::SHA512)),
        };
        Digester { algorithm, state }
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha1(state) => state.update(bytes),
            State::Sha2(state) => state.update(bytes),
        }
    }

    /// The digest of everything taken in.
    pub fn finish(self) -> Digest {
        let bytes = match self.state {
            State::Sha1(state) => state.finalize().to_vec(),
            State::Sha2(state) => state.finish().as_ref().to_vec(),
        };
        Digest {
            algorithm: self.algorithm,
            bytes: bytes.into(),
        }
    }
}

impl io::Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

pub(super) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_published_vectors() {
        let hex = |algorithm: DigestAlgorithm| algorithm.digest(b"abc").to_string();
        assert_eq!(
            hex(DigestAlgorithm::Sha1),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hex(DigestAlgorithm::Sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hex(DigestAlgorithm::Sha384).starts_with("cb00753f45a35e8bb5a03d699ac65007"));
        assert!(hex(DigestAlgorithm::Sha512).starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn bytes_in_pieces_give_the_digest_of_the_whole() {
        let mut digester = Digester::new(DigestAlgorithm::Sha256);
        for byte in b"abc" {
            io::Write::write_all(&mut digester, &[*byte]).unwrap();
        }
        assert_eq!(digester.finish(), DigestAlgorithm::Sha256.digest(b"abc"));
    }

    #[test]
    fn hexadecimal_reads_back_in_either_case() {
        assert_eq!(decode_hex("00fFA9"), Some(vec![0, 255, 169]));
        assert_eq!(encode_hex(&[0, 255, 169]), "00ffa9");
        for bad in ["0", "0g", "+1", "é"] {
            assert_eq!(decode_hex(bad), None, "{bad}");
        }
    }
}
