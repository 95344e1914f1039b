//! A package of this machine, its files opened once: what is judged and what is read afterwards are the same files, whatever
//! names are given to others meanwhile.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::source::{RawFile, Source as _};
use ovf::descriptor::Descriptor;
use ovf::package::{Directory, Folder, FolderFile, MemberName, Source};
use ovf::verify::{Policy, Taker};

use crate::error::{Error, Result};
use crate::section::Section;

/// An archive, or a descriptor with the files beside it.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Archive(File, RawFile),
    Folder(MemberName, Files),
}

/// The files of a folder that have been opened, and what was known of each then: before it was judged.
type Files = Arc<Mutex<HashMap<String, (File, RawFile)>>>;

/// Files of a folder that are held open.
const HELD_LIMIT: usize = 256;

impl Opened {
    /// Opens the archive, or takes note of the descriptor's place.
    ///
    /// # Errors
    /// It is not there, or is no regular file.
    pub fn new(path: &Path) -> Result<Self> {
        if !path.metadata().map_err(Error::io(path, "open"))?.is_file() {
            let reason = format!("{}: this needs a regular file", path.display());
            return Err(Error::Usage(reason));
        }
        let held = if Source::is_descriptor(path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Held::Folder(MemberName::parse(&name)?, Files::default())
        } else {
            let file = File::open(path).map_err(Error::io(path, "open"))?;
            let known = RawFile::new(file.try_clone().map_err(Error::io(path, "open again"))?)?;
            Held::Archive(file, known)
        };
        Ok(Self {
            path: path.to_owned(),
            held,
        })
    }

    /// The package at its beginning.
    ///
    /// # Errors
    /// The archive can't be rewound.
    pub fn source(&self) -> Result<Source> {
        Ok(match &self.held {
            Held::Archive(file, _) => {
                let mut file = file.try_clone().map_err(Error::io(&self.path, "open again"))?;
                file.rewind().map_err(Error::io(&self.path, "rewind"))?;
                Source::seekable(file)
            }
            Held::Folder(descriptor, files) => {
                let folder = Kept {
                    directory: Directory::new(self.folder()),
                    files: Arc::clone(files),
                };
                Source::folder(folder, descriptor.clone())
            }
        })
    }

    /// The archive's length in bytes; none of a folder, whose files only its descriptor tells.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.held {
            Held::Archive(_, known) => Some(known.size()),
            Held::Folder(..) => None,
        }
    }

    /// A member's bytes where they lie, after [`Opened::source`] has been read to its end under the same policy.
    ///
    /// # Errors
    /// The package has no such member, or has it under other names or in more files than are held open.
    pub fn section(&self, member: &str, policy: &Policy) -> Result<Section> {
        let missing = || Error::Refused(format!("{member} is not in the package"));
        match &self.held {
            Held::Archive(_, known) => {
                let mut source = self.source()?;
                policy.tolerate_in(&mut source);
                while let Some(found) = source.next_member()? {
                    if found.name().as_str() == member {
                        return Ok(Section::new(unchanged(known)?, found.offset(), found.size())?);
                    }
                }
                Err(missing())
            }
            Held::Folder(_, files) => {
                let files = files.lock().unwrap_or_else(PoisonError::into_inner);
                let (_, known) = files.get(member).ok_or_else(missing)?;
                let file = unchanged(known)?;
                let size = file.size();
                Ok(Section::new(file, 0, size)?)
            }
        }
    }

    fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        }
    }
}

/// The file, if it is as it was before it was judged.
fn unchanged(known: &RawFile) -> Result<RawFile> {
    known.settled()?;
    Ok(known.try_clone()?)
}

/// A folder whose files stay open.
struct Kept {
    directory: Directory,
    files: Files,
}

impl Folder for Kept {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, ovf::Error> {
        let failed = |error| ovf::Error::new(ovf::Kind::Io, "opening the file").caused_by(error);
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match files.get(name.as_str()) {
            Some((file, _)) => file.try_clone().map_err(failed)?,
            None => match self.directory.file(name)? {
                Some(file) => file,
                None => return Ok(None),
            },
        };
        if files.len() < HELD_LIMIT && !files.contains_key(name.as_str()) {
            let known = RawFile::new(file.try_clone().map_err(failed)?);
            let known = known.map_err(|error| failed(std::io::Error::other(error)))?;
            files.insert(
                name.as_str().to_owned(),
                (file.try_clone().map_err(failed)?, known),
            );
        }
        let mut body = file;
        body.rewind().map_err(failed)?;
        Ok(Some(FolderFile {
            size: body.metadata().map_err(failed)?.len(),
            body: Box::new(body),
        }))
    }
}

/// Keeps the descriptor of a package as it is judged.
#[derive(Debug, Default)]
pub struct JudgedDescriptor(Option<Vec<u8>>);

impl Taker for JudgedDescriptor {
    fn take(&mut self, name: &MemberName, _: u64, bytes: &mut dyn Read) -> std::io::Result<()> {
        if self.0.is_none() && name.has_extension("ovf") {
            let mut descriptor = Vec::new();
            bytes.read_to_end(&mut descriptor)?;
            self.0 = Some(descriptor);
        }
        Ok(())
    }
}

impl JudgedDescriptor {
    /// The descriptor.
    ///
    /// # Errors
    /// There was none, or it is none.
    pub fn parse(&self) -> Result<Descriptor> {
        let bytes = self.0.as_deref().unwrap_or_default();
        Ok(Descriptor::parse(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use image::error::Kind;
    use ovf::descriptor::{File as Reference, VirtualSystem};
    use ovf::manifest::DigestAlgorithm;
    use ovf::package::ova::{Layout, Writer};

    use super::*;

    /// A package with the file `disk`, as an archive and as a folder.
    fn packages(folder: &Path) -> [PathBuf; 2] {
        let system = VirtualSystem {
            id: "s".to_owned(),
            ..VirtualSystem::default()
        };
        let mut descriptor = Descriptor::new(system);
        descriptor.files.push(Reference {
            id: "f".to_owned(),
            href: "disk".to_owned(),
            ..Reference::default()
        });
        let descriptor = descriptor.render().unwrap();
        let [archive, beside] = ["a.ova", "a.ovf"].map(|name| folder.join(name));
        let layout = Layout {
            base_name: "a".to_owned(),
            files: vec![MemberName::parse("disk").unwrap()],
            descriptor_len: 4096,
            algorithm: DigestAlgorithm::Sha256,
            signer: None,
            mtime: 0,
        };
        let mut writer = Writer::create(File::create(&archive).unwrap(), layout).unwrap();
        let mut member = writer.next_member().unwrap();
        member.write_all(b"judged").unwrap();
        member.finish().unwrap();
        writer.finish(descriptor.clone()).unwrap();
        std::fs::write(&beside, descriptor).unwrap();
        std::fs::write(folder.join("disk"), b"judged").unwrap();
        [archive, beside]
    }

    fn judged(path: &Path) -> (Opened, Policy) {
        let (package, policy) = (Opened::new(path).unwrap(), Policy::at(0));
        let mut source = package.source().unwrap();
        while let Some(mut member) = source.next_member().unwrap() {
            std::io::copy(&mut member, &mut std::io::sink()).unwrap();
        }
        (package, policy)
    }

    #[test]
    fn what_gets_the_name_after_the_verdict_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        for path in packages(folder.path()) {
            let (package, policy) = judged(&path);
            for name in ["disk", "a.ova"] {
                let other = folder.path().join("other");
                std::fs::write(&other, b"another").unwrap();
                std::fs::rename(&other, folder.path().join(name)).unwrap();
            }
            // A new name in the place of the old one changes the file that had it, too.
            let section = package.section("disk", &policy);
            if let Ok(section) = section {
                let mut bytes = [0; 6];
                section.read_at(0, &mut bytes).unwrap();
                assert_eq!(&bytes, b"judged");
            }
            packages(folder.path());
        }
    }

    #[test]
    fn what_is_changed_after_it_was_opened_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in packages(folder.path()) {
            let (package, policy) = judged(&path);
            assert!(package.section("disk", &policy).is_ok());
            // A tick of the file system's clock.
            std::thread::sleep(Duration::from_millis(20));
            for name in ["disk", "a.ova"] {
                let file = File::options().append(true).open(folder.path().join(name));
                file.unwrap().write_all(b"more").unwrap();
            }
            match package.section("disk", &policy).unwrap_err() {
                Error::Image(error) => assert_eq!(error.kind(), Kind::Changed),
                other => assert!(matches!(other, Error::Ovf(_)), "{other}"),
            }
            packages(folder.path());
        }
    }
}
