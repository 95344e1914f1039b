//! One file of a package while it is read.

use std::io::{self, Read};

use super::source::Observer;
use super::{MAX_DESCRIPTOR_BYTES, MemberName};
use crate::error::{Error, Kind};

/// What a member is in its package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The descriptor.
    Descriptor,
    /// The manifest: the descriptor's name with `.mf`.
    Manifest,
    /// The certificate file: the descriptor's name with `.cert`.
    Certificate,
    /// Any other file: disks, images, string bundles.
    File,
}

impl Role {
    /// The role of `name` beside the descriptor `descriptor`.
    pub(super) fn beside(descriptor: &MemberName, name: &MemberName) -> Self {
        if name.stem() != descriptor.stem() {
            Role::File
        } else if name.has_extension("mf") {
            Role::Manifest
        } else if name.has_extension("cert") {
            Role::Certificate
        } else {
            Role::File
        }
    }

    /// The largest member of this role, in bytes.
    pub(super) fn max_bytes(self) -> u64 {
        match self {
            Role::Descriptor => MAX_DESCRIPTOR_BYTES,
            Role::Manifest => crate::manifest::MAX_BYTES as u64,
            Role::Certificate => crate::certificate::MAX_BYTES as u64,
            Role::File => u64::MAX,
        }
    }

    pub(super) fn check_size(self, name: &MemberName, size: u64) -> Result<(), Error> {
        if size <= self.max_bytes() {
            return Ok(());
        }
        let reason = format!("the member has {size} bytes, the limit is {}", self.max_bytes());
        Err(Error::new(Kind::PackageLimit, reason).in_member(name))
    }
}

/// What is known of a member before its bytes are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its name.
    pub name: MemberName,
    /// What it is in its package.
    pub role: Role,
    /// Its size in bytes.
    pub size: u64,
    /// Where its bytes begin in the archive; 0 for a file of a folder.
    pub offset: u64,
}

/// A member of a package, its bytes to be read through [`Read`] and never past its end.
///
/// What is not read is passed over when the next member is asked for.
pub struct Member<'a> {
    pub(super) info: MemberInfo,
    pub(super) body: &'a mut dyn Read,
    pub(super) observer: Option<&'a mut Observer>,
}

impl Member<'_> {
    /// All that is known of it without its bytes.
    pub fn info(&self) -> &MemberInfo {
        &self.info
    }

    /// Its name.
    pub fn name(&self) -> &MemberName {
        &self.info.name
    }

    /// What it is in its package.
    pub fn role(&self) -> Role {
        self.info.role
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.info.size
    }

    /// Where its bytes begin in the archive; 0 for a file of a folder.
    pub fn offset(&self) -> u64 {
        self.info.offset
    }

    /// All its bytes, for a descriptor, manifest or certificate file.
    ///
    /// # Errors
    /// [`Kind::PackageLimit`] for another member above the descriptor's ceiling; those of reading.
    pub fn read_all(&mut self) -> Result<Vec<u8>, Error> {
        if self.info.size > MAX_DESCRIPTOR_BYTES {
            let reason = format!("a member of {} bytes is not read into memory", self.info.size);
            return Err(Error::new(Kind::PackageLimit, reason).in_member(&self.info.name));
        }
        let mut bytes = Vec::new();
        let read = self.read_to_end(&mut bytes);
        read.map_err(|error| Error::io("reading", error).in_member(&self.info.name))?;
        Ok(bytes)
    }
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        if let Some(observer) = &mut self.observer {
            observer(read as u64);
        }
        Ok(read)
    }
}
