//! Unpacking a `.deb`: an `ar` archive whose `data.tar.xz` holds the files (deb(5)).

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// A package's data may unpack to at most this much; Debian's kernel comes to some 400 MB.
const MAX_UNPACKED_BYTES: u64 = 4 << 30;

/// Unpacks every regular file and symbolic link that stays inside `into`.
pub(super) fn unpack(deb: &Path, into: &Path) -> io::Result<()> {
    let mut file = BufReader::new(File::open(deb)?);
    let (name, size) = find_data(&mut file)?;
    let data = file.take(size);
    let tar: Box<dyn Read> = match name.as_str() {
        "data.tar.xz" => Box::new(liblzma::read::XzDecoder::new(data)),
        "data.tar" => Box::new(data),
        other => return Err(invalid(format!("{other}: this compression is not read"))),
    };
    let mut archive = tar::Archive::new(tar.take(MAX_UNPACKED_BYTES));
    for entry in archive.entries()? {
        unpack_entry(&mut entry?, into)?;
    }
    Ok(())
}

const AR_MAGIC: &[u8; 8] = b"!<arch>\n";

fn find_data<R: Read + Seek>(file: &mut R) -> io::Result<(String, u64)> {
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    if &magic != AR_MAGIC {
        return Err(invalid("not a Debian package: no ar signature"));
    }
    loop {
        let mut header = [0; 60];
        file.read_exact(&mut header)?;
        let text = |range: std::ops::Range<usize>| {
            header
                .get(range)
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .unwrap_or_default()
                .trim_end()
        };
        let name = text(0..16).trim_end_matches('/').to_owned();
        let size: u64 = text(48..58)
            .parse()
            .map_err(|_| invalid("a member has no length"))?;
        if name.starts_with("data.tar") {
            return Ok((name, size));
        }
        let padded = i64::try_from(size + size % 2).map_err(|_| invalid("a member is too long"))?;
        file.seek(SeekFrom::Current(padded))?;
    }
}

fn unpack_entry(entry: &mut tar::Entry<'_, impl Read>, into: &Path) -> io::Result<()> {
    let path = inside(&entry.path()?).ok_or_else(|| invalid("a path leaves the package"))?;
    let target = into.join(path);
    let kind = entry.header().entry_type();
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind.is_file() {
        io::copy(entry, &mut File::create(&target)?)?;
        // Programs of the package are run from here; nothing else of its mode matters.
        if entry.header().mode()? & 0o111 != 0 {
            fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        }
    } else if kind.is_symlink() {
        // Shared libraries are found by such links; one that could lead out is no library's.
        let link = entry
            .link_name()?
            .ok_or_else(|| invalid("a link has no target"))?;
        if link.components().count() == 1 && inside(&link).is_some() {
            std::os::unix::fs::symlink(&link, &target)?;
        }
    }
    Ok(())
}

fn inside(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deb(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        let data = tar.into_inner().unwrap();
        let mut deb = AR_MAGIC.to_vec();
        for (name, bytes) in [("debian-binary", b"2.0\n".as_slice()), ("data.tar", &data)] {
            deb.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                    0,
                    0,
                    0,
                    644,
                    bytes.len()
                )
                .bytes(),
            );
            deb.extend(bytes);
        }
        deb
    }

    #[test]
    fn files_of_a_package_are_unpacked_below_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.deb");
        fs::write(&path, deb(&[("./boot/vmlinuz", b"kernel")])).unwrap();
        unpack(&path, &folder.path().join("out")).unwrap();
        assert_eq!(
            fs::read(folder.path().join("out/boot/vmlinuz")).unwrap(),
            b"kernel"
        );
    }

    #[test]
    fn a_path_that_climbs_out_of_the_package_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.deb");
        fs::write(&path, deb(&[("../evil", b"x")])).unwrap();
        assert!(unpack(&path, &folder.path().join("out")).is_err());
        assert!(!folder.path().join("evil").exists());
    }

    #[test]
    fn a_truncated_package_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.deb");
        let whole = deb(&[("./a", &[7; 2000])]);
        for length in [0, 7, 30, 100, 1000] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(unpack(&path, &folder.path().join("out")).is_err(), "{length}");
        }
    }
}
