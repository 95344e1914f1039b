//! FAT32 volumes, written from scratch: an EFI system partition.
//!
//! After Microsoft's *FAT32 File System Specification* 1.03. Names that are not plain upper-case 8.3 get long-name
//! entries. All times are 1980-01-01 00:00, the format's first; clusters are handed out in order. Same content, same bytes.
//!
//! ```
//! let mut volume = image::fat32::Volume::new("ESP", 0x1234_5678)?;
//! volume.file("EFI/BOOT/BOOTX64.EFI", b"MZ".to_vec())?;
//! let partition = volume.build(40 << 20, 4096)?;
//! # Ok::<(), image::error::Error>(())
//! ```

mod geometry;
mod name;
mod writer;

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Place, Result};
use crate::source::Composed;

/// How deep directories may lie.
const DEPTH_LIMIT: usize = 16;

/// The content of a volume being put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    label: [u8; 11],
    serial: u32,
    root: Directory,
}

/// By upper-case name, as FAT compares names: entries with the names as given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Directory(BTreeMap<String, (String, Node)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(Vec<u8>),
    Directory(Directory),
}

impl Volume {
    /// An empty volume with a label (1 to 11 upper-case letters, digits, `-` and `_`) and a serial number.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for another label.
    pub fn new(label: &str, serial: u32) -> Result<Self> {
        let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if label.is_empty() || label.len() > 11 || !label.bytes().all(legal) {
            return Err(Error::invalid(
                Place::Whole,
                format!("{label:?} cannot label a FAT volume"),
            ));
        }
        let mut padded = [b' '; 11];
        padded[..label.len()].copy_from_slice(label.as_bytes());
        Ok(Self {
            label: padded,
            serial,
            root: Directory::default(),
        })
    }

    /// Adds a file, with the directories that its path needs. `/` parts the path.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a name that FAT does not allow or that is not ASCII, or more than 16 directories;
    /// [`Kind::Overlap`] for a path that is taken, in any case of letters, or that leads through a file;
    /// [`Kind::Capacity`] for 4 GiB and more.
    pub fn file(&mut self, path: &str, data: Vec<u8>) -> Result<()> {
        let place = || Place::File(path.to_owned());
        let parts: Vec<&str> = path.split('/').collect();
        let (file, directories) = parts.split_last().expect("split gives one part at least");
        if u32::try_from(data.len()).is_err() {
            return Err(Error::new(
                Kind::Capacity,
                place(),
                "a file of 4 GiB or more does not fit FAT32",
            ));
        }
        if directories.len() > DEPTH_LIMIT || !parts.iter().all(|part| name::is_legal(part)) {
            return Err(Error::invalid(place(), "cannot be a path on a FAT volume"));
        }
        let mut directory = &mut self.root;
        for part in directories {
            let fresh = || ((*part).to_owned(), Node::Directory(Directory::default()));
            directory = match &mut directory
                .0
                .entry(part.to_ascii_uppercase())
                .or_insert_with(fresh)
                .1
            {
                Node::Directory(inner) => inner,
                Node::File(_) => return Err(Error::new(Kind::Overlap, place(), "leads through a file")),
            };
        }
        let entry = ((*file).to_owned(), Node::File(data));
        if directory.0.insert(file.to_ascii_uppercase(), entry).is_some() {
            return Err(Error::new(Kind::Overlap, place(), "is on the volume already"));
        }
        Ok(())
    }

    /// The volume as an image of `size` bytes for a partition that begins at sector `first_sector` of its disk.
    ///
    /// # Errors
    /// [`Kind::Capacity`] for a size that is no FAT32 volume's (about 33 MiB to 2 TiB), or too small for the content.
    pub fn build(&self, size: u64, first_sector: u64) -> Result<Composed> {
        writer::build(self, size, first_sector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::write_raw;
    use std::process::{Command, Output};

    fn sample() -> Volume {
        let mut volume = Volume::new("ESP", 0xcafe_0001).unwrap();
        volume
            .file("EFI/BOOT/BOOTX64.EFI", b"loader ".repeat(30_000))
            .unwrap();
        volume
            .file(
                "EFI/vcc/A rather long name, with spaces.config",
                b"x=1\n".to_vec(),
            )
            .unwrap();
        volume.file("grub/grub.cfg", b"normal\n".to_vec()).unwrap();
        volume.file("EMPTY", vec![]).unwrap();
        for n in 0..40 {
            volume
                .file(&format!("many/a long file name {n}.txt"), n.to_string().into())
                .unwrap();
        }
        volume
    }

    fn image() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_raw(&sample().build(40 << 20, 4096).unwrap(), &file.reopen().unwrap()).unwrap();
        file
    }

    fn run(program: &str, arguments: &[&str]) -> Option<Output> {
        let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
        if output.is_err() {
            eprintln!("skipped: {program} is not installed");
        }
        output.ok()
    }

    #[test]
    fn fsck_finds_nothing_to_mend() {
        let file = image();
        let Some(output) = run("fsck.fat", &["-n", "-v", file.path().to_str().unwrap()]) else {
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        for trouble in ["differ", "Dirty", "wrong", "bad", "Bad"] {
            assert!(!text.contains(trouble), "{text}");
        }
    }

    #[test]
    fn mtools_reads_every_name_and_byte_back() {
        let file = image();
        let image = file.path().to_str().unwrap();
        let Some(loader) = run("mtype", &["-i", image, "::/efi/boot/bootx64.efi"]) else {
            return;
        };
        assert!(loader.status.success() && loader.stdout == b"loader ".repeat(30_000));
        let long = run(
            "mtype",
            &["-i", image, "::EFI/vcc/A rather long name, with spaces.config"],
        )
        .unwrap();
        assert_eq!(long.stdout, b"x=1\n");
        let listed = run("mdir", &["-i", image, "-/", "-b", "::"]).unwrap();
        let text = String::from_utf8_lossy(&listed.stdout);
        assert!(
            text.contains("::/many/a long file name 39.txt") && text.contains("::/grub/grub.cfg"),
            "{text}"
        );
        assert!(
            text.contains("::/EFI/vcc/A rather long name, with spaces.config"),
            "{text}"
        );
    }

    #[test]
    fn the_image_holds_no_more_than_its_content() {
        let bytes: usize = sample()
            .build(40 << 20, 0)
            .unwrap()
            .pieces()
            .map(|(_, bytes)| bytes.len())
            .sum();
        assert!(bytes < 260_000, "{bytes}");
    }

    #[test]
    fn names_that_clash_or_are_not_allowed_are_refused() {
        let mut volume = sample();
        let mut refused = |path: &str| volume.file(path, vec![]).unwrap_err().kind();
        assert_eq!(refused("efi/boot/bootx64.efi"), Kind::Overlap);
        assert_eq!(refused("EMPTY/x"), Kind::Overlap);
        assert_eq!(refused("EFI"), Kind::Overlap);
        for path in [
            "",
            "a//b",
            "..",
            "a:b",
            "a?",
            "trailing.",
            " lead",
            "ü",
            &"x".repeat(256),
            &"a/".repeat(20),
        ] {
            assert_eq!(refused(path), Kind::Invalid, "{path:?}");
        }
        assert_eq!(Volume::new("lower", 0).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn sizes_that_are_no_fat32_or_too_small_are_refused() {
        assert_eq!(sample().build(32 << 20, 0).unwrap_err().kind(), Kind::Capacity);
        assert_eq!(sample().build(3 << 40, 0).unwrap_err().kind(), Kind::Capacity);
        let mut full = sample();
        full.file("big", vec![1; 41 << 20]).unwrap();
        assert_eq!(full.build(40 << 20, 0).unwrap_err().kind(), Kind::Capacity);
    }
}
