//! The files of a folder in the order that an archive of them would have.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};

use super::{Folder, FolderFile};
use crate::descriptor::{Descriptor, File};
use crate::error::{Error, Kind};
use crate::package::{MAX_MEMBERS, MemberInfo, MemberName, Role};

/// Reads descriptor, manifest, certificate file, then the files of the References that are there.
///
/// Files that nothing refers to are nobody's business.
pub(in crate::package) struct Reader {
    folder: Box<dyn Folder + Send>,
    queue: VecDeque<Ahead>,
    given: usize,
    body: io::Take<Box<dyn Read + Send>>,
}

/// What may be next.
enum Ahead {
    One(MemberName, Role),
    /// Chunks in a number that nobody tells: they end where one is not there.
    Chunks {
        file: File,
        index: usize,
    },
}

impl Reader {
    pub(in crate::package) fn new(folder: Box<dyn Folder + Send>, descriptor: MemberName) -> Self {
        let nothing: Box<dyn Read + Send> = Box::new(io::empty());
        Reader {
            folder,
            queue: VecDeque::from([Ahead::One(descriptor, Role::Descriptor)]),
            given: 0,
            body: nothing.take(0),
        }
    }

    /// Goes to the next file that is there.
    pub(in crate::package) fn advance(&mut self) -> Result<Option<MemberInfo>, Error> {
        while let Some(ahead) = self.queue.pop_front() {
            let (name, role) = match &ahead {
                Ahead::One(name, role) => (name.clone(), *role),
                Ahead::Chunks { file, index } => (file.chunk_name(*index)?, Role::File),
            };
            let opened = self.open(&name, role)?;
            let Some(FolderFile { size, body }) = opened else {
                if role == Role::Descriptor {
                    let missing = io::Error::from(io::ErrorKind::NotFound);
                    return Err(Error::io("opening the descriptor", missing).in_member(name));
                }
                continue;
            };
            if let Ahead::Chunks { file, index } = ahead {
                let index = index + 1;
                self.queue.push_front(Ahead::Chunks { file, index });
            }
            self.body = body.take(size);
            if role == Role::Descriptor {
                self.look_into_descriptor(&name)?;
            }
            return Ok(Some(MemberInfo {
                name,
                role,
                size,
                offset: 0,
            }));
        }
        Ok(None)
    }

    /// What is left of the file that [`Reader::advance`] went to.
    pub(in crate::package) fn body(&mut self) -> &mut dyn Read {
        &mut self.body
    }

    /// The files below, to be opened in any order.
    pub(in crate::package) fn into_inner(self) -> Box<dyn Folder + Send> {
        self.folder
    }

    fn open(&mut self, name: &MemberName, role: Role) -> Result<Option<FolderFile>, Error> {
        let opened = self.folder.open(name).map_err(|error| error.in_member(name))?;
        if let Some(file) = &opened {
            role.check_size(name, file.size)?;
            self.given += 1;
            if self.given > MAX_MEMBERS {
                let reason = format!("more than {MAX_MEMBERS} members");
                return Err(Error::new(Kind::PackageLimit, reason).in_member(name));
            }
        }
        Ok(opened)
    }

    /// Reads the descriptor, which is small and tells what comes next; whoever asks for it gets these same bytes.
    fn look_into_descriptor(&mut self, name: &MemberName) -> Result<(), Error> {
        let mut bytes = Vec::new();
        self.body
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("reading the descriptor", error).in_member(name))?;
        self.queue = followers(name, &bytes);
        let length = bytes.len() as u64;
        let body: Box<dyn Read + Send> = Box::new(Cursor::new(bytes));
        self.body = body.take(length);
        Ok(())
    }
}

/// What follows the descriptor. One that cannot be read has no files: whoever reads it next says why.
fn followers(name: &MemberName, bytes: &[u8]) -> VecDeque<Ahead> {
    let beside = [("mf", Role::Manifest), ("cert", Role::Certificate)];
    let mut queue: VecDeque<_> = beside
        .iter()
        .filter_map(|(extension, role)| {
            let name = MemberName::parse(&format!("{}.{extension}", name.stem())).ok()?;
            Some(Ahead::One(name, *role))
        })
        .collect();
    if let Ok(descriptor) = Descriptor::parse(bytes) {
        queue.extend(descriptor.files.iter().flat_map(members_of).take(MAX_MEMBERS));
    }
    queue
}

/// The members that a file may be made of. A file of a single chunk may stand under its own name as well.
fn members_of(file: &File) -> Vec<Ahead> {
    let one = |name| Ahead::One(name, Role::File);
    let whole = file.chunk_size.and_then(|_| file.whole_name().ok());
    let mut members: Vec<_> = whole
        .filter(|_| !file.is_external())
        .map(one)
        .into_iter()
        .collect();
    if file.chunk_size.is_some() && file.size.is_none() && !file.is_external() {
        let file = file.clone();
        members.push(Ahead::Chunks { file, index: 0 });
    } else {
        let names = file.member_names(MAX_MEMBERS).map_while(Result::ok);
        members.extend(names.map(one));
    }
    members
}
