use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use ovf::Kind;
use ovf::descriptor::Descriptor;
use ovf::manifest::Manifest;
use ovf::package::{MemberName, Role, Source};
use ovf::verify::files_in_order;

use crate::error::{Error, Result};

/// A package as it is before it is signed: what it holds, and where.
pub(super) struct Survey {
    path: PathBuf,
    /// The folder, of a package that is no archive.
    pub(super) folder: Option<PathBuf>,
    pub(super) descriptor_name: MemberName,
    pub(super) descriptor: Vec<u8>,
    /// The files in the order of the descriptor's References.
    pub(super) files: Vec<Located>,
    /// The manifest that is there, if it can be read.
    pub(super) manifest: Option<Manifest>,
    /// Whether there is a certificate file.
    pub(super) signed: bool,
}

/// A file and where it is.
#[derive(Clone)]
pub(super) struct Located {
    pub(super) name: MemberName,
    pub(super) size: u64,
    offset: u64,
}

impl Survey {
    /// Walks over a package and reads its small members.
    ///
    /// # Errors
    /// [`Error::Refused`] if it breaks a rule of the archive or the descriptor: nobody would accept it, signed or not.
    pub(super) fn of(path: &Path) -> Result<Self> {
        Self::read(path).map_err(|error| match error.kind() {
            Kind::Io => Error::Ovf(error),
            _ => Error::Refused(format!("{}: {}: {error}", path.display(), error.code())),
        })
    }

    fn read(path: &Path) -> Result<Self, ovf::Error> {
        let mut source = Source::open(path)?;
        let folder = (!source.is_archive()).then(|| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        });
        let (mut descriptor, mut manifest, mut signed) = (None, None, false);
        let mut files = Vec::new();
        while let Some(mut member) = source.next_member()? {
            match member.role() {
                Role::Descriptor => descriptor = Some((member.name().clone(), member.read_all()?)),
                Role::Manifest => manifest = Manifest::parse(&member.read_all()?).ok(),
                Role::Certificate => signed = true,
                Role::File => files.push(Located {
                    name: member.name().clone(),
                    size: member.size(),
                    offset: member.offset(),
                }),
            }
        }
        let (descriptor_name, descriptor) = descriptor
            .ok_or_else(|| ovf::Error::new(Kind::PackageFormat, "the package has no descriptor"))?;
        let files = in_order(&descriptor, files).map_err(|error| error.in_member(&descriptor_name))?;
        Ok(Self {
            path: path.to_owned(),
            folder,
            descriptor_name,
            descriptor,
            files,
            manifest,
            signed,
        })
    }

    /// The bytes of all files together.
    pub(super) fn total(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// A file's bytes, and what may follow them.
    ///
    /// # Errors
    /// It can't be opened.
    pub(super) fn open(&self, file: &Located) -> Result<Box<dyn Read>> {
        let path = match &self.folder {
            Some(folder) => file.name.under(folder),
            None => self.path.clone(),
        };
        let mut opened = File::open(&path).map_err(Error::io(&path, "open"))?;
        opened
            .seek(SeekFrom::Start(file.offset))
            .map_err(Error::io(&path, "seek in"))?;
        Ok(Box::new(opened))
    }
}

/// The files as the descriptor refers to them: each is there, none else is.
fn in_order(descriptor: &[u8], files: Vec<Located>) -> Result<Vec<Located>, ovf::Error> {
    let descriptor = Descriptor::parse(descriptor)?;
    let present: HashMap<_, _> = files.iter().map(|file| (file.name.clone(), file.size)).collect();
    let names = files_in_order(&descriptor, &present)?;
    if let Some(stranger) = files.iter().find(|file| !names.contains(&file.name)) {
        let reason = "the descriptor does not refer to the member";
        return Err(ovf::Error::new(Kind::PackageUnlisted, reason).in_member(&stranger.name));
    }
    let mut located: HashMap<_, _> = files.into_iter().map(|file| (file.name.clone(), file)).collect();
    Ok(names.iter().filter_map(|name| located.remove(name)).collect())
}
