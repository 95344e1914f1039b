//! An OVA taken apart block by block, so that it can be put together wrong.

use std::path::Path;

const BLOCK: usize = 512;
/// Two blocks of zeros end an archive, and more fill its last record (pax, "ustar Interchange Format").
const END: usize = 2 * BLOCK;
const RECORD: usize = 20 * BLOCK;

/// The members in order, each with the header that it came with.
#[derive(Debug, Clone)]
pub struct Archive {
    pub members: Vec<Member>,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub header: tar::Header,
    pub bytes: Vec<u8>,
}

impl Archive {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let (mut members, mut at) = (Vec::new(), 0);
        while bytes[at..at + BLOCK] != [0; BLOCK] {
            let header = tar::Header::from_byte_slice(&bytes[at..at + BLOCK]).clone();
            let (start, size) = (at + BLOCK, usize::try_from(header.size().unwrap()).unwrap());
            members.push(Member {
                header,
                bytes: bytes[start..start + size].to_vec(),
            });
            at = start + size.next_multiple_of(BLOCK);
        }
        Self { members }
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.to_bytes()).unwrap();
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for member in &self.members {
            bytes.extend(member.to_blocks());
        }
        bytes.resize((bytes.len() + END).next_multiple_of(RECORD), 0);
        bytes
    }

    /// The member's place in the order, by the end of its name.
    pub fn position(&self, suffix: &str) -> usize {
        let found = self
            .members
            .iter()
            .position(|member| member.name().ends_with(suffix));
        found.unwrap_or_else(|| panic!("no member {suffix}"))
    }

    pub fn member(&mut self, suffix: &str) -> &mut Member {
        let position = self.position(suffix);
        &mut self.members[position]
    }

    pub fn names(&self) -> Vec<String> {
        self.members.iter().map(Member::name).collect()
    }
}

impl Member {
    /// A regular file with the look of another member.
    pub fn like(other: &Self, name: &str, bytes: &[u8]) -> Self {
        let mut member = other.clone();
        member.rename(name);
        member.replace(bytes.to_vec());
        member
    }

    /// The header and the bytes, filled up to a block.
    pub fn to_blocks(&self) -> Vec<u8> {
        let mut blocks = [self.header.as_bytes(), &self.bytes[..]].concat();
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
        blocks
    }

    pub fn name(&self) -> String {
        String::from_utf8(self.header.path_bytes().into_owned()).unwrap()
    }

    pub fn rename(&mut self, name: &str) {
        self.header.set_path(name).unwrap();
        self.header.set_cksum();
    }

    /// New contents, with a header that fits them.
    pub fn replace(&mut self, bytes: Vec<u8>) {
        self.header.set_size(bytes.len() as u64);
        self.header.set_cksum();
        self.bytes = bytes;
    }
}
