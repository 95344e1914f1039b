//! GRUB's environment block: 1024 bytes of `key=value` lines that loader and runtime both rewrite in place.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Place, Result};
use crate::slot::Slot;

/// The block's fixed length in bytes: `DEFAULT_ENVBLK_SIZE` of GRUB.
pub const LENGTH: usize = 1024;

const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";
const SLOT: &str = "slot";
const TRY: &str = "try";

/// Variables kept between boots, by name.
///
/// The variables that this product keeps are `slot` (the slot known to be good, `a` or `b`) and `try` (a slot to boot once, or
/// empty); others are carried along untouched.
///
/// ```
/// use image::{grub::Environment, slot::Slot};
/// let mut kept = Environment::fresh(Slot::A);
/// kept.try_once(Some(Slot::B));
/// let block = kept.render()?;
/// assert_eq!(Environment::parse(&block)?.trying(), Some(Slot::B));
/// # Ok::<(), image::error::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The environment of a new disk: `slot` is good, nothing to try.
    pub fn fresh(slot: Slot) -> Self {
        let variables = [(SLOT, slot.as_str()), (TRY, "")];
        Self {
            variables: variables.map(|(name, value)| (name.into(), value.into())).into(),
        }
    }

    /// Reads a block: exactly [`LENGTH`] bytes.
    ///
    /// # Errors
    /// [`Kind::Truncated`] for another length; [`Kind::Malformed`] without GRUB's signature, for a line without `=`,
    /// a name that is none, a value that is not UTF-8; [`Kind::Overlap`] for a variable set twice.
    pub fn parse(block: &[u8]) -> Result<Self> {
        if block.len() != LENGTH {
            return Err(Error::new(
                Kind::Truncated,
                Place::Whole,
                "a GRUB environment block has 1024 bytes",
            ));
        }
        let mut rest = block
            .strip_prefix(SIGNATURE)
            .ok_or_else(|| Error::malformed(Place::Offset(0), "no GRUB environment block"))?;
        let mut environment = Self::default();
        while !rest.iter().all(|&byte| byte == b'#') {
            let at = Place::Offset((LENGTH - rest.len()) as u64);
            let (line, after) = split_line(rest)
                .ok_or_else(|| Error::malformed(at.clone(), "the last line of the environment has no end"))?;
            // grub-editenv begins its blocks with a warning to people, as a comment.
            if !line.starts_with(b"#") {
                environment.line(line).map_err(|error| error.at(at))?;
            }
            rest = after;
        }
        Ok(environment)
    }

    /// The block as GRUB reads it: variables in order of name, the rest filled with `#`.
    ///
    /// Our two variables lie in its first sector, so that one sector written changes both or none.
    ///
    /// # Errors
    /// [`Kind::Capacity`] if the variables do not fit.
    pub fn render(&self) -> Result<[u8; LENGTH]> {
        let mut text = SIGNATURE.to_vec();
        for (name, value) in &self.variables {
            text.extend(name.as_bytes());
            text.push(b'=');
            for byte in value.bytes() {
                if matches!(byte, b'\\' | b'\n') {
                    text.push(b'\\');
                }
                text.push(byte);
            }
            text.push(b'\n');
        }
        let mut block = [b'#'; LENGTH];
        block
            .get_mut(..text.len())
            .map(|head| head.copy_from_slice(&text))
            .ok_or_else(|| {
                Error::new(
                    Kind::Capacity,
                    Place::Whole,
                    "the environment's variables need more than 1024 bytes",
                )
            })?;
        Ok(block)
    }

    /// The slot known to be good. As the loader does, anything but `b` counts as `a`.
    pub fn slot(&self) -> Slot {
        if self.get(SLOT) == Some("b") {
            Slot::B
        } else {
            Slot::A
        }
    }

    /// Makes `slot` the good one.
    pub fn keep(&mut self, slot: Slot) {
        self.variables.insert(SLOT.into(), slot.as_str().into());
    }

    /// The slot that the next boot tries once.
    pub fn trying(&self) -> Option<Slot> {
        self.get(TRY).and_then(|value| value.parse().ok())
    }

    /// Asks the loader to boot `slot` once, or takes that back.
    pub fn try_once(&mut self, slot: Option<Slot>) {
        self.variables
            .insert(TRY.into(), slot.map_or("", Slot::as_str).into());
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Sets a variable.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a name that is no GRUB identifier or a value with a zero byte.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        if !is_identifier(name) || value.contains('\0') {
            return Err(Error::invalid(
                Place::Whole,
                format!("{name:?} cannot be kept in GRUB's environment"),
            ));
        }
        self.variables.insert(name.into(), value.into());
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(line)
            .map_err(|e| Error::malformed(Place::Whole, "a variable is not UTF-8").because(e))?;
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Error::malformed(Place::Whole, "a line of the environment has no `=`"))?;
        if self.variables.contains_key(name) {
            return Err(Error::new(
                Kind::Overlap,
                Place::Whole,
                format!("{name:?} is set twice"),
            ));
        }
        self.set(name, &unescape(value))
    }
}

/// The first line without its end, and what follows. A newline after a backslash belongs to the value.
fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = text.iter().position(|&byte| {
        let ends = byte == b'\n' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

fn unescape(value: &str) -> String {
    let mut plain = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

fn is_identifier(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn a_new_disk_boots_slot_a_and_tries_nothing() {
        let block = Environment::fresh(Slot::A).render().unwrap();
        assert!(block.starts_with(b"# GRUB Environment Block\nslot=a\ntry=\n####"));
        let read = Environment::parse(&block).unwrap();
        assert_eq!((read.slot(), read.trying()), (Slot::A, None));
    }

    #[test]
    fn both_variables_lie_in_the_first_sector() {
        let mut environment = Environment::fresh(Slot::B);
        environment.try_once(Some(Slot::A));
        let block = environment.render().unwrap();
        assert!(block[512..].iter().all(|&byte| byte == b'#'));
    }

    #[test]
    fn grub_editenv_reads_ours_and_we_read_its_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let editenv = |arguments: &[&str]| {
            Command::new("grub-editenv")
                .arg(file.path())
                .args(arguments)
                .output()
        };
        if editenv(&["create"]).is_err() {
            eprintln!("skipped: grub-editenv is not installed");
            return;
        }
        editenv(&["set", "slot=b", "try=a", "path=c:\\d"]).unwrap();
        let theirs = Environment::parse(&std::fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(
            (theirs.slot(), theirs.trying(), theirs.get("path")),
            (Slot::B, Some(Slot::A), Some("c:\\d"))
        );
        std::fs::write(file.path(), theirs.render().unwrap()).unwrap();
        let listed = editenv(&["list"]).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&listed.stdout),
            "path=c:\\d\nslot=b\ntry=a\n"
        );
    }

    #[test]
    fn what_is_no_environment_is_refused() {
        let with = |text: &str| {
            let mut block = [b'#'; LENGTH];
            block[..text.len()].copy_from_slice(text.as_bytes());
            Environment::parse(&block).unwrap_err().kind()
        };
        assert_eq!(
            Environment::parse(&[0; LENGTH]).unwrap_err().kind(),
            Kind::Malformed
        );
        assert_eq!(Environment::parse(&[0; 512]).unwrap_err().kind(), Kind::Truncated);
        assert_eq!(with("# GRUB Environment Block\nslot\n"), Kind::Malformed);
        assert_eq!(with("# GRUB Environment Block\na b=c\n"), Kind::Invalid);
        assert_eq!(with("# GRUB Environment Block\nslot=a\nslot=b\n"), Kind::Overlap);
        assert_eq!(with("# GRUB Environment Block\nslot=a"), Kind::Malformed);
    }

    proptest! {
        #[test]
        fn values_survive_the_round_trip(value in "[^\0#]{0,80}") {
            let mut environment = Environment::fresh(Slot::A);
            environment.set("extra", &value).unwrap();
            prop_assert_eq!(Environment::parse(&environment.render().unwrap()).unwrap(), environment);
        }

        #[test]
        fn no_block_panics(tail in proptest::collection::vec(any::<u8>(), LENGTH - SIGNATURE.len())) {
            let _ = Environment::parse(&[SIGNATURE, &tail].concat());
        }
    }
}
