//! What opens a bundle.

use std::fmt;
use std::path::Path;

use super::sealed::KEY;
use crate::digest::{Digest, hex};
use crate::entropy;
use crate::error::{Error, Kind, Result};
use crate::file::{self, PrivateFile};

/// The longest key file in bytes.
const LONGEST: usize = 256;

/// 32 bytes, which travel on another way than the bundle; as text, 64 hexadecimal digits.
pub(crate) struct Key([u8; KEY]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Makes a new one, in a file for its owner alone.
    ///
    /// # Errors
    /// [`Kind::Taken`] where a file is there; [`Kind::Io`] and its like.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut key = [0; KEY];
        entropy::fill(&mut key)?;
        PrivateFile::create(path)?.keep_new(format!("{}\n", hex(&key)).as_bytes())?;
        Ok(Self(key))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Kind::Malformed`], [`Kind::Ceiling`], [`Kind::Io`].
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = file::read(path, LONGEST)?;
        let text = str::from_utf8(&bytes).unwrap_or_default().trim_ascii();
        let key: Result<Digest, _> = text.parse();
        let wrong = |_| {
            let reason = "is no key of a bundle: that is 64 hexadecimal digits, in small letters";
            Error::new(Kind::Malformed, path.display().to_string(), reason)
        };
        Ok(Self(*key.map_err(wrong)?.as_bytes()))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of(bytes: [u8; KEY]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_nothing_else_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = Key::create(&path).unwrap();
        assert_eq!(Key::read(&path).unwrap().bytes(), key.bytes());
        assert_ne!(key.bytes(), &[0; KEY]);
        assert_eq!(Key::create(&path).unwrap_err().kind(), Kind::Taken);
        for (bad, kind) in [
            (&b""[..], Kind::Malformed),
            (&[b'a'; 63], Kind::Malformed),
            (&[b'G'; 64], Kind::Malformed),
            (&[0xff; 64], Kind::Malformed),
            (&[b'a'; 300], Kind::Ceiling),
        ] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(Key::read(&path).unwrap_err().kind(), kind);
        }
    }
}
