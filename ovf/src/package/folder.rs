//! A package as files side by side.

mod directory;
mod reader;

use std::io::Read;

pub use self::directory::Directory;
pub(super) use self::reader::Reader;
use super::MemberName;
use crate::error::Error;

/// A place where a package's files stand side by side: a folder of the file system, or what acts as one.
pub trait Folder {
    /// Opens a file; none if it is not there.
    ///
    /// # Errors
    /// [`Kind::MemberType`](crate::Kind::MemberType) for what is no regular file, and whatever keeps it from being
    /// opened. The member need not be named: whoever asked names it.
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, Error>;
}

/// An opened file of a folder.
pub struct FolderFile {
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes. No more than `size` are read.
    pub body: Box<dyn Read + Send>,
}
