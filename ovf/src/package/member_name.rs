//! A member's name: a foreign string that has been found harmless.

use std::fmt;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Kind, quoted};

/// The name of a file in a package: relative, inside the package, and the same on every system.
///
/// What it stops: absolute names and drive letters, `.` and `..`, empty parts, backslashes, control characters, names
/// longer than a tar header holds. Two names that some file system holds for one are told by
/// [`MemberName::collision_key`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberName(String);

impl MemberName {
    /// The longest name, in bytes: what USTAR's name and prefix hold.
    pub const MAX_BYTES: usize = 255;

    /// Takes a name from outside.
    ///
    /// # Errors
    /// [`Kind::MemberName`], with the rule that it breaks.
    pub fn parse(name: &str) -> Result<Self, Error> {
        match fault(name) {
            None => Ok(MemberName(name.to_owned())),
            Some(rule) => {
                let shown = quoted(name);
                Err(Error::new(Kind::MemberName, format!("the name {shown} {rule}")))
            }
        }
    }

    /// The name as it stands in archive, manifest and descriptor.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its extension: `a.b.ovf` gives `a.b`.
    pub fn stem(&self) -> &str {
        let file = self.0.rfind('/').map_or(0, |slash| slash + 1);
        match self.0.rfind('.') {
            Some(dot) if dot > file => &self.0[..dot],
            _ => &self.0,
        }
    }

    /// Whether the extension is `extension`, in any case.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.0[self.stem().len()..]
            .strip_prefix('.')
            .is_some_and(|own| own.eq_ignore_ascii_case(extension))
    }

    /// Names with one key are one file on systems that ignore case or normalise Unicode.
    pub fn collision_key(&self) -> String {
        // Upper case first: it unfolds what has several lower-case forms, such as sharp and final s.
        let folded: String = self
            .0
            .nfc()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .collect();
        folded.nfc().collect()
    }

    /// The place of the file under a folder.
    pub fn under(&self, folder: &Path) -> PathBuf {
        self.0
            .split('/')
            .fold(folder.to_owned(), |path, part| path.join(part))
    }
}

fn fault(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > MemberName::MAX_BYTES {
        return Some("is longer than 255 bytes");
    }
    if name.chars().any(char::is_control) {
        return Some("has a control character");
    }
    if name.contains('\\') {
        return Some("has a backslash");
    }
    if name.starts_with('/') || (bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':') {
        return Some("is absolute");
    }
    if name.split('/').any(|part| matches!(part, "." | "..")) {
        return Some("climbs out with a dot part");
    }
    if name.split('/').any(str::is_empty) {
        return Some("has an empty part");
    }
    None
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for MemberName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for MemberName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::parse(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_lead_out_of_the_package_are_refused() {
        let long = "a".repeat(256);
        for bad in [
            "", "/a", "..", "../a", "a/../b", "a//b", "a/", "./a", ".", "a\\b", "C:x", "c:/x", "a\0", "a\n",
            "a\u{85}", &long,
        ] {
            assert_eq!(
                MemberName::parse(bad).unwrap_err().kind(),
                Kind::MemberName,
                "{bad:?}"
            );
        }
        for good in ["a", "a.ovf", "a..b", "...", "disks/a b (1).vmdk", "é", "ab:c"] {
            assert!(MemberName::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_that_differ_in_case_or_composition_collide() {
        let key = |name: &str| MemberName::parse(name).unwrap().collision_key();
        assert_eq!(key("Disk.vmdk"), key("disk.VMDK"));
        assert_eq!(key("caf\u{e9}"), key("cafe\u{301}"));
        assert_eq!(key("stra\u{df}e"), key("STRASSE"));
        assert_ne!(key("a"), key("b"));
    }

    #[test]
    fn stem_and_extension_part_at_the_last_dot_of_the_last_part() {
        let name = MemberName::parse("x.d/a.b.OVF").unwrap();
        assert_eq!(name.stem(), "x.d/a.b");
        assert!(name.has_extension("ovf"));
        assert_eq!(MemberName::parse("x.d/a").unwrap().stem(), "x.d/a");
    }

    proptest! {
        #[test]
        fn an_accepted_name_stays_under_its_folder(name in "[a./\\\\: \\PC]{0,12}") {
            if let Ok(name) = MemberName::parse(&name) {
                let path = name.under(Path::new("/root"));
                prop_assert!(path.starts_with("/root") && path != Path::new("/root"));
                prop_assert!(path.components().all(|part| part.as_os_str() != ".."));
            }
        }
    }
}
