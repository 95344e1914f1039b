//! A backup as an archive: plain files in a known order, read from start to end and nothing skipped.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use ring::digest::{Context, SHA256};
use tar::{Archive, Builder, EntryType, Header};

use super::manifest::{LIMIT, Manifest, Member, NAME};
use crate::digest::hex;
use crate::error::{Error, Kind, Result};
use crate::file;

/// Writes a backup of the members in `root`.
pub(super) fn write(manifest: &Manifest, root: &Path, to: &Path) -> Result<()> {
    let failed = |error| Error::file(to, "write", error);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(failed)?;
    let mut archive = Builder::new(file);
    let text = manifest.bytes()?;
    archive
        .append_data(&mut header(text.len() as u64, manifest), NAME, text.as_slice())
        .map_err(failed)?;
    for member in &manifest.members {
        let path = root.join(&member.name);
        let source = File::open(&path).map_err(|error| Error::file(&path, "open", error))?;
        archive
            .append_data(
                &mut header(member.size, manifest),
                &member.name,
                source.take(member.size),
            )
            .map_err(failed)?;
    }
    let file = archive.into_inner().map_err(failed)?;
    file.sync_all().map_err(failed)
}

fn header(size: u64, manifest: &Manifest) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    header.set_mtime(u64::try_from(manifest.made.0 / 1000).unwrap_or(0));
    header
}

/// The member of a file that is to be written.
pub(super) fn member(root: &Path, name: &str) -> Result<Member> {
    let path = root.join(name);
    let mut source = File::open(&path).map_err(|error| Error::file(&path, "open", error))?;
    let (size, sha256) =
        copy(&mut source, &mut std::io::sink()).map_err(|error| Error::file(&path, "read", error))?;
    Ok(Member {
        name: name.to_owned(),
        size,
        sha256,
    })
}

/// Reads a whole backup into `root`, an empty directory, where its files are then durable.
///
/// # Errors
/// [`Kind::Malformed`], with the member, for an archive that is not exactly what its manifest says; [`Kind::Ceiling`];
/// [`Kind::Io`] and its like.
pub(super) fn read(backup: &Path, root: &Path) -> Result<Manifest> {
    let place = backup.display().to_string();
    let refused = |reason: String| Error::new(Kind::Malformed, place.clone(), reason);
    let file = File::open(backup).map_err(|error| Error::file(backup, "open", error))?;
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Err(refused("is no file".to_owned()));
    }
    let mut archive = Archive::new(file);
    // Raw: names and sizes that other entries would change are no part of the format.
    let entries = archive
        .entries()
        .map_err(|error| Error::file(backup, "read", error))?;
    let mut entries = entries.raw(true);
    let mut next = |name: &str| {
        let entry = entries
            .next()
            .ok_or_else(|| refused(format!("ends before {name}")))?
            .map_err(|error| refused(format!("is no archive at {name}")).because(error))?;
        if *entry.path_bytes() != *name.as_bytes() {
            let found = String::from_utf8_lossy(&entry.path_bytes())
                .escape_default()
                .to_string();
            return Err(refused(format!("has '{found}' in the place of {name}")));
        }
        if entry.header().entry_type() != EntryType::Regular {
            return Err(refused(format!("has a {name} that is no plain file")));
        }
        Ok(entry)
    };

    let mut text = Vec::new();
    let first = next(NAME)?;
    if first.size() > LIMIT {
        return Err(Error::new(
            Kind::Ceiling,
            NAME,
            format!("is longer than {LIMIT} bytes"),
        ));
    }
    first
        .take(LIMIT)
        .read_to_end(&mut text)
        .map_err(|error| refused(format!("ends in {NAME}")).because(error))?;
    let manifest = Manifest::read(&text)?;
    for member in &manifest.members {
        let name = &member.name;
        let entry = next(name)?;
        if entry.size() != member.size {
            return Err(refused(format!("has not the {name} that its manifest tells of")));
        }
        let (size, sha256) = keep(entry.take(member.size), root, name)?;
        if (size, &sha256) != (member.size, &member.sha256) {
            return Err(refused(format!("has not the {name} that its manifest tells of")));
        }
    }
    match entries.next() {
        None => Ok(manifest),
        Some(_) => Err(refused("goes on after its last member".to_owned())),
    }
}

/// Writes a member; gives its length and digest.
fn keep(mut from: impl Read, root: &Path, name: &str) -> Result<(u64, String)> {
    let path = root.join(name);
    let failed = |error| Error::file(&path, "write", error);
    let directory = path.parent().unwrap_or(root);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    let kept = copy(&mut from, &mut to).map_err(failed)?;
    to.sync_all().map_err(failed)?;
    file::sync_directory(directory)?;
    Ok(kept)
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<(u64, String)> {
    let (mut digest, mut size, mut buffer) = (Context::new(&SHA256), 0, vec![0; 64 << 10]);
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok((size, hex(digest.finish().as_ref())));
        }
        let part = buffer.get(..length).unwrap_or_default();
        digest.update(part);
        to.write_all(part)?;
        size += length as u64;
    }
}
