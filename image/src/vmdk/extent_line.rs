//! A descriptor's line for one extent: access, size, kind and file.

use crate::error::{Error, Kind, Place, Result};

/// What a machine may do with an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `RW`.
    ReadWrite,
    /// `RDONLY`.
    ReadOnly,
    /// `NOACCESS`: its content is not for readers, who see zeros.
    None,
}

/// One of the pieces that a disk is put together from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// What a machine may do with it.
    pub access: Access,
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// Where its bytes are.
    pub kind: ExtentKind,
}

/// Where an extent's bytes are. Names are as given: what opens them refuses any that could leave the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtentKind {
    /// `FLAT` or `VMFS`: bytes as they are, from an offset in sectors.
    Flat {
        /// The file's name.
        name: String,
        /// Where the extent begins in the file, in sectors.
        offset: u64,
    },
    /// `SPARSE`: a file with a header, tables and grains.
    Sparse {
        /// The file's name.
        name: String,
    },
    /// `ZERO`: nothing but zeros.
    Zero,
}

/// Reads `RW 20480 SPARSE "name.vmdk"`, with an offset after the name of a flat one; nothing if `line` is no extent's.
pub(super) fn extent(line: &str) -> Result<Option<Extent>> {
    let Some((first, rest)) = line.split_once(' ') else {
        return Ok(None);
    };
    let access = match first {
        "RW" => Access::ReadWrite,
        "RDONLY" => Access::ReadOnly,
        "NOACCESS" => Access::None,
        _ => return Ok(None),
    };
    let bad = || Error::malformed(Place::Whole, "an extent is `ACCESS SECTORS TYPE \"NAME\" OFFSET`");
    let mut words = rest.splitn(3, ' ');
    let sectors = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
    let kind = words.next().ok_or_else(bad)?;
    let rest = words.next().unwrap_or("").trim();
    let named = || -> Result<(String, Option<u64>)> {
        let (name, after) = rest
            .strip_prefix('"')
            .and_then(|rest| rest.split_once('"'))
            .ok_or_else(bad)?;
        let offset = match after.trim() {
            "" => None,
            number => Some(number.parse().map_err(|_| bad())?),
        };
        Ok((name.to_owned(), offset))
    };
    let kind = match kind {
        "ZERO" if rest.is_empty() => ExtentKind::Zero,
        "FLAT" | "VMFS" => {
            let (name, offset) = named()?;
            let offset = offset.unwrap_or(0);
            ExtentKind::Flat { name, offset }
        }
        "SPARSE" => match named()? {
            (name, None | Some(0)) => ExtentKind::Sparse { name },
            _ => return Err(bad()),
        },
        "ZERO" => return Err(bad()),
        other => {
            let reason = format!("a VMDK extent of the kind `{}` is not read", other.escape_debug());
            return Err(Error::new(Kind::Unsupported, Place::Whole, reason));
        }
    };
    Ok(Some(Extent {
        access,
        sectors,
        kind,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_of_all_kinds_are_read() {
        let kind = |line| extent(line).unwrap().unwrap().kind;
        let name = || "a b.vmdk".to_owned();
        assert_eq!(
            kind("RW 8 SPARSE \"a b.vmdk\""),
            ExtentKind::Sparse { name: name() }
        );
        let flat = |offset| ExtentKind::Flat { name: name(), offset };
        assert_eq!(kind("RDONLY 8 FLAT \"a b.vmdk\" 63"), flat(63));
        assert_eq!(kind("RW 8 VMFS \"a b.vmdk\""), flat(0));
        assert_eq!(kind("NOACCESS 8 ZERO"), ExtentKind::Zero);
        assert_eq!(extent("CID=1").unwrap(), None);
    }

    #[test]
    fn kinds_of_devices_and_broken_lines_are_refused() {
        for kind in ["SESPARSE", "VMFSRAW", "VMFSRDM", "VMFSSPARSE"] {
            let refused = extent(&format!("RW 8 {kind} \"a.vmdk\"")).unwrap_err();
            assert!(refused.kind() == Kind::Unsupported && refused.reason().contains(kind));
        }
        for line in [
            "RW",
            "RW x",
            "RW 8",
            "RW -8 ZERO",
            "RW 8 FLAT a 0",
            "RW 8 FLAT \"a\" x",
            "RW 8 SPARSE \"a\" 1",
        ] {
            assert!(!matches!(extent(line), Ok(Some(_))), "{line}");
        }
    }
}
