//! Writing an archive in one pass: the head's place is kept, members stream in and are hashed, the head comes last.

use std::io::{self, Seek, SeekFrom, Write};

use super::layout::{Head, Layout};
use super::{BLOCK, RECORD, header, padding};
use crate::error::{Error, Kind};
use crate::manifest::{Digest, Digester, Manifest};
use crate::package::MemberName;

/// A member as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenMember {
    /// Its name.
    pub name: MemberName,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
}

/// An archive as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The members in archive order: descriptor, manifest, certificate file if signed, files.
    pub members: Vec<WrittenMember>,
    /// The archive's size in bytes.
    pub size: u64,
}

/// Writes an OVA to a file, in one pass and constant memory, the same bytes for the same members.
///
/// ```
/// use std::io::{Cursor, Write};
/// use ovf::manifest::DigestAlgorithm;
/// use ovf::package::MemberName;
/// use ovf::package::ova::{Layout, Writer};
///
/// let layout = Layout {
///     base_name: "product".to_owned(),
///     files: vec![MemberName::parse("product-disk1.vmdk")?],
///     descriptor_len: 4096,
///     algorithm: DigestAlgorithm::Sha256,
///     signer: None,
///     mtime: 0,
/// };
/// let mut archive = Cursor::new(Vec::new());
/// let mut writer = Writer::create(&mut archive, layout)?;
/// let mut member = writer.next_member()?;
/// member.write_all(b"disk")?;
/// let disk = member.finish()?;
/// // Now the sizes are known that the descriptor must tell.
/// let descriptor = format!("<Envelope><!-- {} has {} bytes --></Envelope>", disk.name, disk.size);
/// let written = writer.finish(descriptor.into_bytes())?;
/// assert_eq!(written.members.len(), 3);
/// assert_eq!(written.size % 10240, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer<'a, W: Write + Seek> {
    out: W,
    layout: Layout<'a>,
    head: Head,
    /// Where the next member's header goes.
    offset: u64,
    files: Vec<WrittenMember>,
    /// Whether a member was begun and not finished.
    open: bool,
}

impl<'a, W: Write + Seek> Writer<'a, W> {
    /// Begins an archive at the start of `out`, which should be empty; its head is kept free.
    ///
    /// # Errors
    /// [`Kind::PackageLayout`] for a manifest of SHA-1; [`Kind::MemberName`] for names that no header holds;
    /// [`Kind::MemberDuplicate`] for names that collide; [`Kind::PackageLimit`]; [`Kind::Io`].
    pub fn create(mut out: W, layout: Layout<'a>) -> Result<Self, Error> {
        let head = Head::plan(&layout)?;
        out.seek(SeekFrom::Start(0)).map_err(failed)?;
        write_zeros(&mut out, head.end)?;
        let offset = head.end;
        Ok(Writer {
            out,
            layout,
            head,
            offset,
            files: Vec::new(),
            open: false,
        })
    }

    /// Begins the next file of the layout, its length not known yet.
    ///
    /// # Errors
    /// [`Kind::PackageLayout`] if the layout has no more files, or the one before was not finished; [`Kind::Io`].
    pub fn next_member(&mut self) -> Result<MemberWriter<'_, 'a, W>, Error> {
        if self.open {
            return Err(Error::new(
                Kind::PackageLayout,
                "the member before was not finished",
            ));
        }
        let name = self.layout.files.get(self.files.len()).cloned();
        let name = name.ok_or_else(|| Error::new(Kind::PackageLayout, "the layout has no more files"))?;
        let header = header::write(&name, 0, self.layout.mtime)?;
        self.out.write_all(&header).map_err(failed)?;
        self.open = true;
        let digester = Digester::new(self.layout.algorithm);
        Ok(MemberWriter {
            writer: self,
            name,
            size: 0,
            digester,
        })
    }

    /// Begins the next file of the layout, which must be `name`.
    ///
    /// # Errors
    /// [`Kind::PackageLayout`] if another is next; otherwise as [`Writer::next_member`].
    pub fn member(&mut self, name: &str) -> Result<MemberWriter<'_, 'a, W>, Error> {
        match self.layout.files.get(self.files.len()) {
            Some(next) if next.as_str() != name => {
                let reason = format!("the next file of the layout is {next}, not {name}");
                Err(Error::new(Kind::PackageLayout, reason))
            }
            _ => self.next_member(),
        }
    }

    /// The files written so far, with sizes and digests.
    pub fn files(&self) -> &[WrittenMember] {
        &self.files
    }

    /// Ends the archive: its tail, then descriptor, manifest and certificate file at its head.
    ///
    /// # Errors
    /// [`Kind::PackageLayout`] if a file of the layout is missing or the descriptor is longer than its layout said;
    /// those of [`Signer::sign`](crate::certificate::Signer::sign); [`Kind::Io`].
    pub fn finish(mut self, descriptor: Vec<u8>) -> Result<Written, Error> {
        if self.open || self.files.len() < self.layout.files.len() {
            return Err(Error::new(
                Kind::PackageLayout,
                "a file of the layout was not written",
            ));
        }
        let end = self.offset + 2 * BLOCK;
        let size = end.next_multiple_of(RECORD);
        write_zeros(&mut self.out, size - self.offset)?;
        let descriptor = fill_blocks(descriptor, self.head.descriptor.size)?;
        let contents = self.head_contents(descriptor)?;
        let mut members = Vec::new();
        for (slot, content) in self.head.slots().zip(&contents) {
            let digest = self.layout.algorithm.digest(content);
            members.push(WrittenMember {
                name: slot.name.clone(),
                size: content.len() as u64,
                digest,
            });
            let header = header::write(&slot.name, content.len() as u64, self.layout.mtime)?;
            self.out.seek(SeekFrom::Start(slot.offset)).map_err(failed)?;
            self.out.write_all(&header).map_err(failed)?;
            self.out.write_all(content).map_err(failed)?;
        }
        self.out.seek(SeekFrom::Start(size)).map_err(failed)?;
        self.out.flush().map_err(failed)?;
        members.append(&mut self.files);
        Ok(Written { members, size })
    }

    fn head_contents(&self, descriptor: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
        let mut manifest = Manifest::new();
        manifest.add(
            self.head.descriptor.name.clone(),
            self.layout.algorithm.digest(&descriptor),
        )?;
        for file in &self.files {
            manifest.add(file.name.clone(), file.digest.clone())?;
        }
        let manifest = manifest.render();
        let certificate = match self.layout.signer {
            Some(signer) => Some(signer.sign(self.head.manifest.name.as_str(), &manifest)?),
            None => None,
        };
        let contents: Vec<_> = [descriptor, manifest].into_iter().chain(certificate).collect();
        let planned = self.head.slots().skip(1).map(|slot| slot.size);
        if !contents
            .iter()
            .skip(1)
            .map(|content| content.len() as u64)
            .eq(planned)
        {
            return Err(Error::new(
                Kind::PackageLayout,
                "the head's members are not of the length foreseen",
            ));
        }
        Ok(contents)
    }
}

/// Writes the bytes of one file; [`MemberWriter::finish`] must follow.
///
/// Bytes go to the archive as they come: give them in large pieces, or put a buffer under the [`Writer`].
pub struct MemberWriter<'w, 'a, W: Write + Seek> {
    writer: &'w mut Writer<'a, W>,
    name: MemberName,
    size: u64,
    digester: Digester,
}

impl<W: Write + Seek> MemberWriter<'_, '_, W> {
    /// The file's name.
    pub fn name(&self) -> &MemberName {
        &self.name
    }

    /// Ends the file: its padding, and its size into its header.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn finish(self) -> Result<WrittenMember, Error> {
        let writer = self.writer;
        write_zeros(&mut writer.out, padding(self.size))?;
        let header = header::write(&self.name, self.size, writer.layout.mtime)?;
        writer.out.seek(SeekFrom::Start(writer.offset)).map_err(failed)?;
        writer.out.write_all(&header).map_err(failed)?;
        writer.offset += BLOCK + self.size + padding(self.size);
        writer.out.seek(SeekFrom::Start(writer.offset)).map_err(failed)?;
        writer.open = false;
        let written = WrittenMember {
            name: self.name,
            size: self.size,
            digest: self.digester.finish(),
        };
        writer.files.push(written.clone());
        Ok(written)
    }
}

impl<W: Write + Seek> Write for MemberWriter<'_, '_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.out.write(bytes)?;
        self.digester.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.out.flush()
    }
}

/// A descriptor lengthened by line ends until it needs the blocks that were kept for it.
fn fill_blocks(mut descriptor: Vec<u8>, planned: u64) -> Result<Vec<u8>, Error> {
    let blocks = planned.div_ceil(BLOCK);
    let length = descriptor.len() as u64;
    if length.div_ceil(BLOCK) > blocks {
        let reason = format!("the descriptor has {length} bytes, its layout foresaw {planned}");
        return Err(Error::new(Kind::PackageLayout, reason));
    }
    let least = usize::try_from((blocks - 1) * BLOCK + 1).unwrap_or(usize::MAX);
    if descriptor.len() < least {
        descriptor.resize(least, b'\n');
    }
    Ok(descriptor)
}

fn write_zeros(out: &mut impl Write, count: u64) -> Result<(), Error> {
    io::copy(&mut io::Read::take(io::repeat(0), count), out)
        .map(drop)
        .map_err(failed)
}

fn failed(error: io::Error) -> Error {
    Error::io("writing the archive", error)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::manifest::DigestAlgorithm;
    use crate::package::{Index, Limits, Source};

    #[test]
    fn a_member_above_eight_gibibytes_is_written_and_read_back_and_listed_by_gnu_tar() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ova");
        let layout = Layout {
            base_name: "a".to_owned(),
            files: vec![
                MemberName::parse("big").unwrap(),
                MemberName::parse("next").unwrap(),
            ],
            descriptor_len: 1000,
            algorithm: DigestAlgorithm::Sha256,
            signer: None,
            mtime: 0,
        };
        let mut writer = Writer::create(std::fs::File::create(&path).unwrap(), layout).unwrap();
        let mut member = writer.next_member().unwrap();
        member.write_all(b"begin").unwrap();
        // A hole in the file takes neither room nor time, and what is in it is not this test's matter.
        let hole = 9 << 30;
        member.writer.out.seek(SeekFrom::Current(hole)).unwrap();
        member.size += hole.cast_unsigned();
        member.write_all(b"end").unwrap();
        let size = member.finish().unwrap().size;
        writer.member("next").unwrap().finish().unwrap();
        let descriptor = format!(
            "<Envelope xmlns='{ns}' xmlns:o='{ns}'><References><File o:id='f' o:href='big' o:size='{size}'/>\
             </References><VirtualSystem o:id='s'><Info/></VirtualSystem></Envelope>",
            ns = crate::descriptor::ENVELOPE_1
        );
        writer.finish(descriptor.into_bytes()).unwrap();

        let mut index = Index::read(Source::open(&path).unwrap()).unwrap();
        assert_eq!(index.members()[2].size, size);
        assert_eq!(index.members()[3].name.as_str(), "next");
        let file = index.descriptor().files[0].clone();
        let mut beginning = [0; 6];
        let mut reader = index.file(&file, &Limits::default()).unwrap();
        reader.read_exact(&mut beginning).unwrap();
        assert_eq!(&beginning, b"begin\0");

        let listed = std::process::Command::new("tar").arg("tvf").arg(&path).output();
        let Ok(listed) = listed else {
            return println!("skipped: no tar");
        };
        assert!(listed.status.success(), "{listed:?}");
        assert!(String::from_utf8_lossy(&listed.stdout).contains(&format!(" {size} ")));
    }
}
