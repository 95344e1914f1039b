//! ISO 9660 volumes with files in their root directory: boot slots and the CD that carries an OVF environment.
//!
//! After ECMA-119, with Rock Ridge and Joliet names: Linux and GRUB show names as they were given by either, Windows by
//! Joliet; what knows neither sees upper-case 8.3 names. All times are 1980-01-01; same content, same bytes.
//!
//! ```
//! let mut cd = image::iso9660::Volume::new("OVF_ENV")?;
//! cd.file("ovf-env.xml", b"<Environment/>".to_vec())?;
//! let disc = cd.build()?;
//! let files = image::iso9660::files(&disc)?;
//! assert_eq!(files[0].name, "ovf-env.xml");
//! # Ok::<(), image::error::Error>(())
//! ```

mod directory;
mod reader;
mod writer;

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Place, Result};
use crate::source::Composed;

pub use reader::{File, files};

/// Bytes of a logical block.
pub const BLOCK: u64 = 2048;

/// The longest name, in characters: Joliet's.
const NAME_LIMIT: usize = 64;
const FILE_LIMIT: usize = 1000;
/// What the format leaves to the system at a volume's start, in bytes.
const SYSTEM_AREA: usize = 32_768;

/// The content of a volume being put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    id: String,
    files: BTreeMap<String, Vec<u8>>,
    /// The file whose content begins the image.
    at_start: Option<String>,
}

impl Volume {
    /// An empty volume. Its id has 1 to 16 upper-case letters, digits and `_`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for another id.
    pub fn new(id: &str) -> Result<Self> {
        let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if id.is_empty() || id.len() > 16 || !id.bytes().all(legal) {
            return Err(Error::invalid(
                Place::Whole,
                format!("{id:?} cannot be an ISO 9660 volume's id"),
            ));
        }
        Ok(Self {
            id: id.to_owned(),
            files: BTreeMap::new(),
            at_start: None,
        })
    }

    /// Adds a file to the root directory.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a name that is not 1 to 64 of `A-Z a-z 0-9 . _ -`, or begins with a dot;
    /// [`Kind::Overlap`] for one that is taken; [`Kind::Capacity`] for 4 GiB and more, or above 1000 files.
    pub fn file(&mut self, name: &str, data: Vec<u8>) -> Result<()> {
        let place = || Place::File(name.to_owned());
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > NAME_LIMIT || name.starts_with('.') || !name.bytes().all(legal) {
            return Err(Error::invalid(place(), "cannot be a name on an ISO 9660 volume"));
        }
        if u32::try_from(data.len()).is_err() || self.files.len() >= FILE_LIMIT {
            return Err(Error::new(
                Kind::Capacity,
                place(),
                "does not fit an ISO 9660 volume",
            ));
        }
        if self.files.contains_key(name) {
            return Err(Error::new(Kind::Overlap, place(), "is on the volume already"));
        }
        self.files.insert(name.to_owned(), data);
        Ok(())
    }

    /// Adds a file whose content begins the image, in the 32 KiB that the format leaves to the system: it has a name for those
    /// that read the volume and a fixed place for those that write into it.
    ///
    /// # Errors
    /// As [`Volume::file`]; [`Kind::Capacity`] above 32 KiB, [`Kind::Overlap`] for a second one.
    pub fn file_at_start(&mut self, name: &str, data: Vec<u8>) -> Result<()> {
        if data.len() > SYSTEM_AREA {
            return Err(Error::new(
                Kind::Capacity,
                Place::File(name.into()),
                "is longer than 32 KiB",
            ));
        }
        if self.at_start.is_some() {
            return Err(Error::new(
                Kind::Overlap,
                Place::File(name.into()),
                "another file begins the volume",
            ));
        }
        self.file(name, data)?;
        self.at_start = Some(name.to_owned());
        Ok(())
    }

    /// The volume as an image; its size follows from its content.
    ///
    /// # Errors
    /// [`Kind::Capacity`] for a volume of 8 TiB and more.
    pub fn build(self) -> Result<Composed> {
        writer::build(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source as _, write_raw};
    use std::process::{Command, Output};

    fn sample() -> Volume {
        let mut volume = Volume::new("VCC_SLOT").unwrap();
        volume.file("vmlinuz", b"kernel".repeat(1000)).unwrap();
        volume.file("initrd.img", b"initrd".repeat(3000)).unwrap();
        volume
            .file("slot.cfg", b"set cmdline=\"quiet\"\n".to_vec())
            .unwrap();
        volume.file("ovf-env.xml", b"<Environment/>".to_vec()).unwrap();
        volume.file("empty", vec![]).unwrap();
        for n in 0..60 {
            volume
                .file(
                    &format!("a-longer-file-name-of-no-meaning-{n}.txt"),
                    vec![b'x'; n],
                )
                .unwrap();
        }
        volume
    }

    fn on_disk() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_raw(&sample().build().unwrap(), &file.reopen().unwrap()).unwrap();
        file
    }

    fn run(program: &str, arguments: &[&str]) -> Option<Output> {
        let output = Command::new(program).args(arguments).output();
        if output.is_err() {
            eprintln!("skipped: {program} is not installed");
        }
        output.ok()
    }

    fn lines(output: &Output) -> Vec<String> {
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.trim_matches(['\'', '/']).to_owned())
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn our_own_reader_gives_back_names_and_bytes() {
        let disc = sample().build().unwrap();
        let found = files(&disc).unwrap();
        assert_eq!(found.len(), sample().files.len());
        for file in found {
            assert_eq!(file.read(&disc, 1 << 20).unwrap(), sample().files[&file.name]);
        }
    }

    #[test]
    fn xorriso_lists_the_names_as_given_and_extracts_the_bytes() {
        let file = on_disk();
        let disc = file.path().to_str().unwrap();
        let Some(listed) = run("xorriso", &["-indev", disc, "-find", "/", "-type", "f"]) else {
            return;
        };
        let names: Vec<String> = sample().files.into_keys().collect();
        assert_eq!(lines(&listed), names);
        let warnings = String::from_utf8_lossy(&listed.stderr).into_owned();
        assert!(
            !warnings.contains("WARNING") && !warnings.contains("FAILURE"),
            "{warnings}"
        );
        let out = tempfile::tempdir().unwrap();
        let copy = out.path().join("copy");
        let copy = copy.to_str().unwrap();
        run(
            "xorriso",
            &["-osirrox", "on", "-indev", disc, "-extract", "/initrd.img", copy],
        )
        .unwrap();
        assert_eq!(std::fs::read(copy).unwrap(), sample().files["initrd.img"]);
    }

    #[test]
    fn isoinfo_reads_all_three_kinds_of_names() {
        let file = on_disk();
        let disc = file.path().to_str().unwrap();
        let Some(joliet) = run("isoinfo", &["-J", "-f", "-i", disc]) else {
            return;
        };
        let names: Vec<String> = sample().files.into_keys().collect();
        assert_eq!(lines(&joliet), names);
        assert_eq!(lines(&run("isoinfo", &["-R", "-f", "-i", disc]).unwrap()), names);
        let plain = lines(&run("isoinfo", &["-f", "-i", disc]).unwrap());
        for name in [
            "VMLINUZ.;1",
            "INITRD.IMG;1",
            "SLOT.CFG;1",
            "OVF_ENV.XML;1",
            "A_LON001.TXT;1",
        ] {
            assert!(plain.iter().any(|found| found == name), "{name}: {plain:?}");
        }
    }

    #[test]
    fn bsdtar_reads_every_file() {
        let file = on_disk();
        let Some(listed) = run("bsdtar", &["-tf", file.path().to_str().unwrap()]) else {
            return;
        };
        let found = lines(&listed);
        assert!(
            sample().files.keys().all(|name| found.contains(name)),
            "{found:?}"
        );
    }

    #[test]
    fn the_same_content_gives_the_same_bytes_whatever_the_order() {
        let mut turned = Volume::new("VCC_SLOT").unwrap();
        for (name, data) in sample().files.into_iter().rev() {
            turned.file(&name, data).unwrap();
        }
        assert_eq!(turned.build().unwrap(), sample().build().unwrap());
    }

    #[test]
    fn a_file_at_the_start_has_a_name_and_a_fixed_place() {
        let mut volume = sample();
        volume.file_at_start("grubenv", b"# GRUB".to_vec()).unwrap();
        assert_eq!(
            volume.file_at_start("second", vec![]).unwrap_err().kind(),
            Kind::Overlap
        );
        let disc = volume.build().unwrap();
        let found = files(&disc)
            .unwrap()
            .into_iter()
            .find(|file| file.name == "grubenv")
            .unwrap();
        assert_eq!(
            (found.offset, found.read(&disc, 10).unwrap()),
            (0, b"# GRUB".to_vec())
        );
    }

    #[test]
    fn names_that_are_not_portable_are_refused() {
        let mut volume = sample();
        for name in ["", "a/b", ".hidden", "ü", "a b", &"x".repeat(65)] {
            assert_eq!(
                volume.file(name, vec![]).unwrap_err().kind(),
                Kind::Invalid,
                "{name:?}"
            );
        }
        assert_eq!(volume.file("vmlinuz", vec![]).unwrap_err().kind(), Kind::Overlap);
        assert_eq!(Volume::new("a").unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn truncated_volumes_are_refused_and_no_damage_panics() {
        let disc = sample().build().unwrap();
        let mut bytes = vec![0; usize::try_from(disc.size()).unwrap()];
        disc.read_at(0, &mut bytes).unwrap();
        let check = |bytes: Vec<u8>| files(&crate::source::Memory(bytes)).map(|files| files.len());
        assert_eq!(check(bytes.clone()).unwrap(), sample().files.len());
        assert!(check(bytes[..bytes.len() - 2048].to_vec()).is_err());
        for at in (32_768..57_344).step_by(3) {
            for value in [0, 1, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                let _ = check(damaged);
                if at > 40_960 {
                    break;
                }
            }
        }
    }
}
