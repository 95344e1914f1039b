//! A package as a folder: a descriptor, with its files beside it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{MAX_MEMBERS, Member, MemberName, Role};
use crate::descriptor::Descriptor;
use crate::error::{Error, Kind};

/// Reads a folder's files in the order that an archive of them would have: descriptor, manifest, certificate file, then
/// the files of the References that are there.
///
/// Files that nothing refers to are nobody's business. Links are refused: they could lead out of the folder.
pub(super) struct Reader {
    folder: PathBuf,
    queue: VecDeque<(MemberName, Role)>,
    body: Option<io::Take<File>>,
}

impl Reader {
    pub(super) fn open(descriptor: &Path) -> Result<Self, Error> {
        let name = descriptor.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::new(Kind::MemberName, "the descriptor's name is not UTF-8"))?;
        let name = MemberName::parse(name)?;
        let folder = match descriptor.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Reader {
            folder,
            queue: VecDeque::from([(name, Role::Descriptor)]),
            body: None,
        })
    }

    pub(super) fn next_member(&mut self) -> Result<Option<Member<'_>>, Error> {
        while let Some((name, role)) = self.queue.pop_front() {
            let Some((file, size)) = self.open_member(&name, role)? else {
                continue;
            };
            let body = self.body.insert(file.take(size));
            if role == Role::Descriptor {
                // The descriptor is small, and what comes next stands in it.
                let bytes = read_again(&self.folder, &name)?;
                self.queue = followers(&self.folder, &name, &bytes);
            }
            return Ok(Some(Member {
                name,
                role,
                size,
                offset: 0,
                body,
            }));
        }
        Ok(None)
    }

    /// The file of a member; none if it is not there, which only the descriptor may not do.
    fn open_member(&self, name: &MemberName, role: Role) -> Result<Option<(File, u64)>, Error> {
        let failed = |error: io::Error| Error::io("opening the file", error).in_member(name);
        refuse_links(&self.folder, name)?;
        let file = match File::open(name.under(&self.folder)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && role != Role::Descriptor => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::new(Kind::MemberType, "not a regular file").in_member(name));
        }
        role.check_size(name, metadata.len())?;
        Ok(Some((file, metadata.len())))
    }
}

/// Refuses a member that is, or stands under, a symbolic link.
fn refuse_links(folder: &Path, name: &MemberName) -> Result<(), Error> {
    let mut path = folder.to_owned();
    for part in name.as_str().split('/') {
        path.push(part);
        if path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_symlink())
        {
            return Err(Error::new(Kind::MemberType, "a symbolic link").in_member(name));
        }
    }
    Ok(())
}

fn read_again(folder: &Path, name: &MemberName) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(name.under(folder))
        .and_then(|file| file.take(super::MAX_DESCRIPTOR_BYTES).read_to_end(&mut bytes))
        .map_err(|error| Error::io("reading the descriptor", error).in_member(name))?;
    Ok(bytes)
}

/// What follows the descriptor. One that cannot be read has no files: whoever reads it next says why.
fn followers(folder: &Path, name: &MemberName, bytes: &[u8]) -> VecDeque<(MemberName, Role)> {
    let beside = [("mf", Role::Manifest), ("cert", Role::Certificate)];
    let mut queue: VecDeque<_> = beside
        .iter()
        .filter_map(|(extension, role)| {
            Some((
                MemberName::parse(&format!("{}.{extension}", name.stem())).ok()?,
                *role,
            ))
        })
        .collect();
    if let Ok(descriptor) = Descriptor::parse(bytes) {
        let names = descriptor.files.iter().flat_map(|file| {
            let whole = file.chunk_size.and_then(|_| file.whole_name().ok());
            // Chunks in unknown number end where the next one is not there.
            let open_ended = file.chunk_size.is_some() && file.size.is_none();
            let chunks = file.member_names(MAX_MEMBERS).map_while(Result::ok);
            whole
                .into_iter()
                .chain(chunks.take_while(move |name| !open_ended || name.under(folder).exists()))
        });
        queue.extend(names.take(MAX_MEMBERS).map(|name| (name, Role::File)));
    }
    queue
}
