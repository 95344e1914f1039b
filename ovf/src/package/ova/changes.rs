//! What a header before a member changes about it: PAX records, and GNU's long names.

use crate::error::{Error, Kind, quoted};
use crate::package::MemberName;

/// A member's name and size as told outside its own header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    path: Option<MemberName>,
    size: Option<u64>,
}

impl Changes {
    /// Reads the records of a PAX header: those that change nothing, and `path` and `size` where they are tolerated.
    ///
    /// Python's tarfile writes such a header for every file, for the fraction of its modification time.
    pub(super) fn pax(records: &[u8], tolerated: bool) -> Result<Self, Error> {
        let mut changes = Changes::default();
        let mut rest = records;
        while !rest.is_empty() {
            let (key, value, after) =
                record(rest).ok_or_else(|| damaged("a PAX header that cannot be read"))?;
            match key {
                "mtime" | "atime" | "ctime" | "uid" | "gid" | "uname" | "gname" | "comment" => {}
                "path" if tolerated => changes.set_path(value)?,
                "size" if tolerated => changes.set_size(value)?,
                _ => {
                    let shown = quoted(key);
                    let reason =
                        format!("a PAX header with {shown}: importers disagree about what it changes");
                    return Err(Error::new(Kind::ArchiveHeader, reason));
                }
            }
            rest = after;
        }
        Ok(changes)
    }

    /// Reads the bytes of GNU's header for a long name: the name, and a NUL after it.
    pub(super) fn long_name(bytes: &[u8]) -> Result<Self, Error> {
        let mut changes = Changes::default();
        changes.set_path(bytes.strip_suffix(b"\0").unwrap_or(bytes))?;
        Ok(changes)
    }

    /// The member's name and size, these changes made to what its own header says.
    ///
    /// A size may be repeated, never changed: whoever ignores it would find the next header elsewhere.
    pub(super) fn apply(self, name: MemberName, size: u64) -> Result<(MemberName, u64), Error> {
        match self.size {
            Some(told) if told != size => {
                let reason = format!("the PAX header says {told} bytes, the member's own header {size}");
                Err(Error::new(Kind::ArchiveHeader, reason).in_member(self.path.unwrap_or(name)))
            }
            _ => Ok((self.path.unwrap_or(name), size)),
        }
    }

    fn set_path(&mut self, value: &[u8]) -> Result<(), Error> {
        let name = std::str::from_utf8(value)
            .map_err(|_| Error::new(Kind::MemberName, "the name in the header is not UTF-8"))?;
        match self.path.replace(MemberName::parse(name)?) {
            None => Ok(()),
            Some(_) => Err(damaged("a PAX header with two paths")),
        }
    }

    fn set_size(&mut self, value: &[u8]) -> Result<(), Error> {
        let size = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        let size = size.ok_or_else(|| damaged("a PAX header with a size that is no number in range"))?;
        match self.size.replace(size) {
            None => Ok(()),
            Some(_) => Err(damaged("a PAX header with two sizes")),
        }
    }
}

/// `length key=value\n`: the key, the value, and what follows the record.
fn record(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    // A sign would be taken for part of the number here, and not by other readers.
    let digits = bytes
        .get(..space)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let content = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = content.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(&content[..equals]).ok()?;
    Some((key, &content[equals + 1..], &bytes[length..]))
}

fn damaged(reason: &str) -> Error {
    Error::new(Kind::ArchiveHeader, reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> MemberName {
        MemberName::parse(text).unwrap()
    }

    #[test]
    fn records_that_change_nothing_pass_and_all_others_do_not() {
        assert!(Changes::pax(b"20 mtime=1700000.25\n", false).is_ok());
        for bad in [
            &b"12 size=123\n"[..],
            b"13 path=evil\n",
            b"17 linkpath=evil\n",
            b"99 mtime=1\n",
            b"x",
            b"11 mtime=1\n\n",
            b"0 ",
            b"3 a",
            b"+12 mtime=1\n",
        ] {
            let error = Changes::pax(bad, false).unwrap_err();
            assert_eq!(
                error.kind(),
                Kind::ArchiveHeader,
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
    }

    /// A record with the length that it must tell of itself.
    fn told(key: &str, value: &str) -> Vec<u8> {
        let rest = format!(" {key}={value}\n");
        let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length);
        format!("{}{rest}", length.unwrap()).into_bytes()
    }

    #[test]
    fn a_tolerated_header_renames_and_repeats_the_size_and_does_no_more() {
        let both = [told("path", "long"), told("size", "5")].concat();
        let changes = Changes::pax(&both, true);
        assert_eq!(
            changes.unwrap().apply(name("short"), 5).unwrap(),
            (name("long"), 5)
        );
        for (records, kind) in [
            (told("path", "../a"), Kind::MemberName),
            (told("path", ""), Kind::MemberName),
            (told("size", "+5"), Kind::ArchiveHeader),
            (told("size", ""), Kind::ArchiveHeader),
            (told("size", "5").repeat(2), Kind::ArchiveHeader),
            (told("path", "a").repeat(2), Kind::ArchiveHeader),
            (told("linkpath", "evil"), Kind::ArchiveHeader),
            (told("GNU.sparse.name", "evil"), Kind::ArchiveHeader),
        ] {
            let error = Changes::pax(&records, true).unwrap_err();
            assert_eq!(error.kind(), kind, "{}", String::from_utf8_lossy(&records));
        }
    }

    #[test]
    fn a_size_that_disagrees_with_the_header_is_refused_even_where_pax_is_tolerated() {
        for other in [0, 4, 6, u64::MAX] {
            let changes = Changes::pax(&told("size", &other.to_string()), true).unwrap();
            let error = changes.apply(name("disk"), 5).unwrap_err();
            assert_eq!(error.kind(), Kind::ArchiveHeader);
            assert_eq!(error.place().member.as_deref(), Some("disk"));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in "[0-9 =a-z\n]{0,40}", tolerated: bool) {
            let _ = Changes::pax(bytes.as_bytes(), tolerated);
            let _ = Changes::long_name(bytes.as_bytes());
        }
    }
}
