//! What an archive will hold, and where its head's members will stand.

use std::collections::HashSet;

use super::header;
use super::{BLOCK, padding};
use crate::certificate::Signer;
use crate::error::{Error, Kind};
use crate::manifest::{DigestAlgorithm, Manifest};
use crate::package::{MAX_DESCRIPTOR_BYTES, MAX_MEMBERS, MemberName};

/// What an archive will hold, as far as its head must know before the first member is written.
#[derive(Debug, Clone)]
pub struct Layout<'a> {
    /// The package's name: the descriptor, manifest and certificate file are called this with their extension.
    pub base_name: String,
    /// The files, in the order of the descriptor's References.
    pub files: Vec<MemberName>,
    /// An upper bound of the descriptor's length in bytes: the length of one rendered with the largest sizes. The real
    /// one may be shorter; where it is by a block or more, line ends are added to it.
    pub descriptor_len: u64,
    /// The digest of the manifest's lines.
    pub algorithm: DigestAlgorithm,
    /// Who signs; nobody, and there is no certificate file.
    pub signer: Option<&'a Signer>,
    /// The modification time of every member, in Unix time.
    pub mtime: u64,
}

impl Layout<'_> {
    /// The descriptor's name.
    ///
    /// # Errors
    /// [`Kind::MemberName`] if the base name makes none.
    pub fn descriptor_name(&self) -> Result<MemberName, Error> {
        self.name("ovf")
    }

    /// The manifest's name.
    ///
    /// # Errors
    /// As [`Layout::descriptor_name`].
    pub fn manifest_name(&self) -> Result<MemberName, Error> {
        self.name("mf")
    }

    /// The certificate file's name.
    ///
    /// # Errors
    /// As [`Layout::descriptor_name`].
    pub fn certificate_name(&self) -> Result<MemberName, Error> {
        self.name("cert")
    }

    fn name(&self, extension: &str) -> Result<MemberName, Error> {
        MemberName::parse(&format!("{}.{extension}", self.base_name))
    }
}

/// The names, places and sizes of the members at the head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) descriptor: Slot,
    pub(super) manifest: Slot,
    pub(super) certificate: Option<Slot>,
    pub(super) end: u64,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: MemberName,
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Head {
    /// Lays the head out, and refuses a layout that no archive could have.
    pub(super) fn plan(layout: &Layout<'_>) -> Result<Self, Error> {
        check(layout)?;
        let mut end = 0u64;
        let mut slot = |name: MemberName, size: u64| {
            let offset = end;
            end += BLOCK + size + padding(size);
            Slot { name, offset, size }
        };
        let descriptor = layout.descriptor_name()?;
        let manifest = layout.manifest_name()?;
        let covered = std::iter::once(&descriptor).chain(&layout.files);
        let manifest_len = Manifest::rendered_len(layout.algorithm, covered);
        let certificate_len = layout.signer.map(|signer| signer.file_len(manifest.as_str()));
        let descriptor = slot(descriptor, layout.descriptor_len);
        let manifest = slot(manifest, manifest_len);
        let certificate = match certificate_len {
            Some(size) => Some(slot(layout.certificate_name()?, size)),
            None => None,
        };
        let head = Head {
            descriptor,
            manifest,
            certificate,
            end,
        };
        check_names(&head, layout)?;
        Ok(head)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        [&self.descriptor, &self.manifest]
            .into_iter()
            .chain(&self.certificate)
    }
}

fn check(layout: &Layout<'_>) -> Result<(), Error> {
    if !layout.algorithm.is_strong() {
        return Err(Error::new(Kind::PackageLayout, "SHA-1 manifests are not written"));
    }
    if layout.descriptor_len == 0 || layout.descriptor_len > MAX_DESCRIPTOR_BYTES {
        return Err(Error::new(
            Kind::PackageLimit,
            format!("a descriptor has 1 to {MAX_DESCRIPTOR_BYTES} bytes"),
        ));
    }
    if layout.files.len() + 3 > MAX_MEMBERS {
        return Err(Error::new(
            Kind::PackageLimit,
            format!("more than {MAX_MEMBERS} members"),
        ));
    }
    Ok(())
}

fn check_names(head: &Head, layout: &Layout<'_>) -> Result<(), Error> {
    let mut keys = HashSet::new();
    // The certificate file's name stays free in an unsigned package too, so that it can be signed later.
    let certificate = layout.certificate_name()?;
    let names = [&head.descriptor.name, &head.manifest.name, &certificate]
        .into_iter()
        .chain(&layout.files);
    for name in names {
        header::write(name, 0, 0)?;
        if !keys.insert(name.collision_key()) {
            return Err(
                Error::new(Kind::MemberDuplicate, "two members would have this name").in_member(name),
            );
        }
    }
    Ok(())
}
