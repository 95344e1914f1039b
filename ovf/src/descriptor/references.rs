//! References: the files of a package (DSP0243 7.1).

use super::attributes::Attributes;
use super::element::{Faults, children, required, size};
use crate::error::Error;
use crate::package::MemberName;
use crate::xml::{Element, Origin, Writer};

/// A file that the package holds, or that stands at a URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct File {
    /// The name by which the rest of the descriptor refers to it.
    pub id: String,
    /// Its place: a name in the package, or an absolute URL.
    pub href: String,
    /// Its size in bytes as it stands in the package: compressed, all chunks together.
    pub size: Option<u64>,
    /// How it is compressed.
    pub compression: Compression,
    /// Size in bytes of each chunk but the last; the chunks are called `href.000000000` and so on.
    pub chunk_size: Option<u64>,
    /// Where it was read.
    pub origin: Origin,
}

/// How a file is compressed in the package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all (`""` or `identity`).
    #[default]
    None,
    /// With gzip.
    Gzip,
    /// In a way this crate does not know: such a package must be refused.
    Other(String),
}

impl File {
    /// The names of the package's members that the file is made of: its own, or those of its chunks, at most `most`.
    ///
    /// An external file has none. A file in chunks whose size is not told may have any number: `most` names are given.
    /// Every name is checked; one that leads out of the package is an error.
    pub fn member_names(&self, most: usize) -> impl Iterator<Item = Result<MemberName, Error>> {
        let count = match (self.is_external(), self.chunk_size, self.size) {
            (true, _, _) => 0,
            (false, None, _) => 1,
            (false, Some(chunk), Some(size)) => usize::try_from(size.div_ceil(chunk).max(1))
                .unwrap_or(most)
                .min(most),
            (false, Some(_), None) => most,
        };
        (0..count).map(|index| match self.chunk_size {
            None => self.name_of(&self.href),
            Some(_) => self.chunk_name(index),
        })
    }

    /// The name of the chunk at `index`, from 0.
    ///
    /// # Errors
    /// [`Kind::MemberName`](crate::Kind::MemberName) if it leads out of the package.
    pub fn chunk_name(&self, index: usize) -> Result<MemberName, Error> {
        self.name_of(&format!("{}.{index:09}", self.href))
    }

    /// The file's own name as a member. A file of a single chunk is found under it as well as under its chunk's.
    ///
    /// # Errors
    /// [`Kind::MemberName`](crate::Kind::MemberName) if it leads out of the package.
    pub fn whole_name(&self) -> Result<MemberName, Error> {
        self.name_of(&self.href)
    }

    fn name_of(&self, name: &str) -> Result<MemberName, Error> {
        MemberName::parse(name).map_err(|error| self.origin.place(error))
    }

    /// Whether the file stands at a URL with a scheme, outside the package.
    pub fn is_external(&self) -> bool {
        self.href.split_once(':').is_some_and(|(scheme, _)| {
            let mut chars = scheme.chars();
            scheme.len() > 1
                && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
                && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        })
    }
}

pub(super) fn read(section: Element<'_>, faults: &mut Faults) -> Vec<File> {
    children(section, "File")
        .map(|element| file(element, faults))
        .collect()
}

fn file(element: Element<'_>, faults: &mut Faults) -> File {
    let compression = match super::element::attribute(element, "compression") {
        None | Some("" | "identity") => Compression::None,
        Some("gzip") => Compression::Gzip,
        Some(other) => Compression::Other(other.to_owned()),
    };
    File {
        id: required(element, "id", faults),
        href: required(element, "href", faults),
        size: size(element, "size", faults),
        compression,
        chunk_size: size(element, "chunkSize", faults).filter(|size| *size > 0),
        origin: element.position().into(),
    }
}

pub(super) fn write(files: &[File], writer: &mut Writer) {
    writer.element("References", &[], |writer| {
        for file in files {
            let compression = match &file.compression {
                Compression::None => None,
                Compression::Gzip => Some("gzip"),
                Compression::Other(other) => Some(other.as_str()),
            };
            let attributes = Attributes::new()
                .with("ovf:id", &file.id)
                .with("ovf:href", &file.href)
                .maybe("ovf:size", file.size)
                .maybe("ovf:compression", compression)
                .maybe("ovf:chunkSize", file.chunk_size);
            writer.empty("File", &attributes.pairs());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_external_and_a_name_with_a_colon_path_is_not() {
        let external = |href: &str| {
            File {
                href: href.to_owned(),
                ..File::default()
            }
            .is_external()
        };
        assert!(external("http://example.com/a.vmdk"));
        assert!(external("file:///etc/passwd"));
        assert!(!external("disk1.vmdk"));
        assert!(!external("a/b:c.vmdk"));
    }
}
