//! The formats of disk images, told by their bytes.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Place, Result};
use crate::source::Source;

/// A disk image's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The disk's bytes as they are.
    Raw,
    /// QEMU's, versions 2 and 3.
    Qcow2,
    /// Hyper-V's.
    Vhdx,
    /// Virtual PC's and Azure's.
    Vhd,
    /// VMware's: an extent with its descriptor, or a descriptor that names extents.
    Vmdk,
}

impl Format {
    /// Its name as people and QEMU write it; VHD is `vhd` here, where QEMU says `vpc`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhdx => "vhdx",
            Self::Vhd => "vhd",
            Self::Vmdk => "vmdk",
        }
    }

    /// The format whose marks the bytes of `file` carry. No bytes tell a raw image: it is what nothing is found in, or what
    /// somebody has written anything into.
    ///
    /// # Errors
    /// Whatever reading gives.
    pub fn detect(file: &dyn Source) -> Result<Option<Self>> {
        let mut head = [0; 32];
        let length = usize::try_from(file.size()).map_or(head.len(), |size| size.min(head.len()));
        file.read_at(0, &mut head[..length])?;
        let marks: [(&[u8], Self); 5] = [
            (b"QFI\xfb", Self::Qcow2),
            (b"vhdxfile", Self::Vhdx),
            (b"conectix", Self::Vhd),
            (b"KDMV", Self::Vmdk),
            (b"# Disk DescriptorFile", Self::Vmdk),
        ];
        if let Some((_, format)) = marks.iter().find(|(mark, _)| head.starts_with(mark)) {
            return Ok(Some(*format));
        }
        // A fixed VHD is a raw image with a footer; old ones are of 511 bytes.
        for footer in [512, 511] {
            let mut mark = [0; 8];
            if let Some(at) = file.size().checked_sub(footer) {
                file.read_at(at, &mut mark)?;
            }
            if &mark == b"conectix" {
                return Ok(Some(Self::Vhd));
            }
        }
        Ok(None)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "raw" => Self::Raw,
            "qcow2" => Self::Qcow2,
            "vhdx" => Self::Vhdx,
            "vhd" | "vpc" => Self::Vhd,
            "vmdk" => Self::Vmdk,
            _ => {
                let reason = format!("no disk format: `{}`", name.escape_debug());
                return Err(Error::invalid(Place::Whole, reason));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Memory;

    #[test]
    fn bytes_tell_the_format_and_names_come_back() {
        let detect = |bytes: &[u8]| Format::detect(&Memory(bytes.to_vec())).unwrap();
        assert_eq!(detect(b""), None);
        assert_eq!(detect(b"QFI\xfb"), Some(Format::Qcow2));
        assert_eq!(detect(b"vhdxfile and more"), Some(Format::Vhdx));
        assert_eq!(detect(b"# Disk DescriptorFile\n"), Some(Format::Vmdk));
        assert_eq!(
            detect(&[&[0; 4096][..], b"conectix", &[0; 504]].concat()),
            Some(Format::Vhd)
        );
        assert_eq!(detect(&[0; 4096]), None);
        for format in [
            Format::Raw,
            Format::Qcow2,
            Format::Vhdx,
            Format::Vhd,
            Format::Vmdk,
        ] {
            assert_eq!(format.as_str().parse::<Format>().unwrap(), format);
        }
        assert!("qcow".parse::<Format>().is_err());
    }
}
