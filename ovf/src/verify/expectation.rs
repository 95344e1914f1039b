//! What a descriptor says its package holds.

use std::collections::{HashMap, HashSet};

use crate::descriptor::{Compression, Descriptor, File};
use crate::error::{Error, Kind, quoted};
use crate::package::{MAX_MEMBERS, MemberName};

/// The members that a descriptor's package holds besides it, in the order of the References, by what is `present` with
/// its size: which name a file of one chunk has, and how many chunks one without size.
///
/// # Errors
/// [`Kind::PackageMissing`] for one that is not present, [`Kind::PackageSize`] for one of another size than the
/// descriptor says; [`Kind::MemberName`], [`Kind::DescriptorDuplicate`], [`Kind::DescriptorValue`],
/// [`Kind::PackageLimit`].
pub fn files_in_order(
    descriptor: &Descriptor,
    present: &HashMap<MemberName, u64>,
) -> Result<Vec<MemberName>, Error> {
    let mut names = Vec::new();
    for mut expectation in Expectation::all(descriptor)? {
        expectation.settle(present);
        expectation.check_sizes(present)?;
        names.append(&mut expectation.names);
    }
    Ok(names)
}

/// A file of the References, as members of the package.
pub(super) struct Expectation {
    file: File,
    /// Its members, in order: one, or its chunks.
    pub(super) names: Vec<MemberName>,
}

impl Expectation {
    /// The files of a descriptor that are members of its package, in order.
    ///
    /// # Errors
    /// [`Kind::MemberName`] for a name that leads out of the package; [`Kind::DescriptorDuplicate`] for a name that
    /// two files have; [`Kind::DescriptorValue`] for a compression that nobody can undo; [`Kind::PackageLimit`].
    pub(super) fn all(descriptor: &Descriptor) -> Result<Vec<Self>, Error> {
        let mut taken = HashSet::new();
        let mut all = Vec::new();
        for file in descriptor.files.iter().filter(|file| !file.is_external()) {
            let expectation = Self::of(file)?;
            for name in &expectation.names {
                if !taken.insert(name.collision_key()) {
                    let error = Error::new(Kind::DescriptorDuplicate, format!("two files are called {name}"));
                    return Err(file.origin.place(error));
                }
            }
            if taken.len() > MAX_MEMBERS {
                let reason = format!("the descriptor refers to more than {MAX_MEMBERS} files");
                return Err(Error::new(Kind::PackageLimit, reason));
            }
            all.push(expectation);
        }
        Ok(all)
    }

    fn of(file: &File) -> Result<Self, Error> {
        if let Compression::Other(name) = &file.compression {
            let error = Error::new(
                Kind::DescriptorValue,
                format!("compression {} is not supported", quoted(name)),
            );
            return Err(file.origin.place(error));
        }
        // Of chunks in unknown number only the first is certain.
        let most = if file.size.is_none() { 1 } else { MAX_MEMBERS + 1 };
        let names = file.member_names(most).collect::<Result<_, _>>()?;
        Ok(Expectation {
            file: file.clone(),
            names,
        })
    }

    /// Settles what the descriptor leaves open, by what the package holds: under which of its two names a file of one
    /// chunk is, and how many chunks a file without size has.
    pub(super) fn settle(&mut self, seen: &HashMap<MemberName, u64>) {
        if self.file.chunk_size.is_none() {
            return;
        }
        if self.names.len() == 1
            && let Ok(whole) = self.file.whole_name()
            && seen.contains_key(&whole)
        {
            self.names = vec![whole];
        } else if self.file.size.is_none() {
            let found = self.file.member_names(MAX_MEMBERS).map_while(Result::ok);
            let found: Vec<_> = found.take_while(|name| seen.contains_key(name)).collect();
            if !found.is_empty() {
                self.names = found;
            }
        }
    }

    /// Whether every member is present, in the size that the descriptor says.
    ///
    /// # Errors
    /// [`Kind::PackageMissing`], [`Kind::PackageSize`].
    pub(super) fn check_sizes(&self, present: &HashMap<MemberName, u64>) -> Result<(), Error> {
        let mut total = 0u64;
        for (index, name) in self.names.iter().enumerate() {
            let Some(size) = present.get(name).copied() else {
                let reason = "the descriptor refers to a file that the package has not";
                return Err(Error::new(Kind::PackageMissing, reason).in_member(name));
            };
            if let Some(chunk) = self.chunk_size(index).filter(|chunk| *chunk != size) {
                let reason = format!("the chunk has {size} bytes, the descriptor says {chunk}");
                return Err(Error::new(Kind::PackageSize, reason).in_member(name));
            }
            total = total.saturating_add(size);
        }
        match (self.size(), self.names.first()) {
            (Some(size), Some(first)) if size != total => {
                let reason = format!("the file has {total} bytes, the descriptor says {size}");
                Err(Error::new(Kind::PackageSize, reason).in_member(first))
            }
            _ => Ok(()),
        }
    }

    /// The size of all members together.
    pub(super) fn size(&self) -> Option<u64> {
        self.file.size
    }

    /// The size that the member at `index` must have, if it is one of several chunks and not the last.
    fn chunk_size(&self, index: usize) -> Option<u64> {
        self.file.chunk_size.filter(|_| index + 1 < self.names.len())
    }
}
