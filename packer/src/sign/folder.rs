use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use ovf::manifest::{Digester, Manifest};
use ovf::package::MemberName;

use super::{Covered, Pass, Signed};
use crate::error::{Error, Result};
use crate::output::{Output, write_whole};

/// Signs a folder where it is: the two files beside the descriptor `path` are written, and take their names together.
///
/// Two names can't be taken at once: were the machine to stop between them, the package would have a certificate file
/// for another manifest, which is refused everywhere. Where the second can't be had, the first is given back.
pub(super) fn in_place(pass: &mut Pass<'_, '_>, path: &Path) -> Result<Signed> {
    let covered = cover(pass, |_| Ok(Box::new(std::io::sink())))?;
    let folder = pass.survey.folder.clone().unwrap_or_default();
    let (manifest, certificate) = seal(pass, &covered)?;
    let stage = |(name, bytes): &(MemberName, Vec<u8>)| -> Result<(PathBuf, Output)> {
        let path = name.under(&folder);
        let mut output = Output::create(&path)?;
        output
            .file()
            .write_all(bytes)
            .map_err(Error::io(&path, "write"))?;
        output.file().sync_all().map_err(Error::io(&path, "write"))?;
        Ok((path, output))
    };
    let (manifest_path, new_manifest) = stage(&manifest)?;
    let (_, new_certificate) = stage(&certificate)?;
    let old = fs::read(&manifest_path).ok();
    new_manifest.commit()?;
    if let Err(error) = new_certificate.commit() {
        match old {
            Some(old) => write_whole(&manifest_path, &old)?,
            None => fs::remove_file(&manifest_path).map_err(Error::io(&manifest_path, "remove"))?,
        }
        return Err(error);
    }
    Ok(Signed {
        package: path.to_owned(),
        covered,
    })
}

/// Copies the package into a folder that isn't there yet, and appears whole or not at all.
pub(super) fn copy(pass: &mut Pass<'_, '_>, folder: &Path) -> Result<Signed> {
    if folder.exists() {
        return Err(Error::Usage(format!(
            "{}: exists already; name a new folder, or an archive that ends in .ova",
            folder.display()
        )));
    }
    let hidden = Hidden::create(folder)?;
    let place = |name: &MemberName| -> Result<Box<dyn Write>> {
        let path = name.under(&hidden.0);
        let parent = path.parent().unwrap_or(&hidden.0);
        fs::create_dir_all(parent).map_err(Error::io(parent, "create"))?;
        let file = File::create_new(&path).map_err(Error::io(&path, "create"))?;
        Ok(Box::new(Durable(file)))
    };
    let covered = cover(pass, place)?;
    let (manifest, certificate) = seal(pass, &covered)?;
    let descriptor = (
        pass.survey.descriptor_name.clone(),
        pass.survey.descriptor.clone(),
    );
    for (name, bytes) in [&descriptor, &manifest, &certificate] {
        write_whole(&name.under(&hidden.0), bytes)?;
    }
    hidden.commit(folder)?;
    Ok(Signed {
        package: descriptor.0.under(folder),
        covered,
    })
}

/// The digest of the descriptor and of every file, each file's bytes going to `place` on the way.
fn cover(
    pass: &mut Pass<'_, '_>,
    place: impl Fn(&MemberName) -> Result<Box<dyn Write>>,
) -> Result<Vec<Covered>> {
    let survey = pass.survey;
    let (name, algorithm) = (survey.descriptor_name.clone(), pass.seal.digest);
    let digest = algorithm.digest(&survey.descriptor);
    let mut covered = vec![pass.covered(name, survey.descriptor.len() as u64, digest)];
    for (at, file) in survey.files.iter().enumerate() {
        let mut out = Digesting(Digester::new(algorithm), place(&file.name)?);
        pass.copy(at, &mut out)?;
        out.flush()
            .map_err(Error::io(Path::new(file.name.as_str()), "write"))?;
        covered.push(pass.covered(file.name.clone(), file.size, out.0.finish()));
    }
    Ok(covered)
}

/// Manifest and certificate file, each with its name.
type Sealed = ((MemberName, Vec<u8>), (MemberName, Vec<u8>));

fn seal(pass: &Pass<'_, '_>, covered: &[Covered]) -> Result<Sealed> {
    let stem = pass.survey.descriptor_name.stem();
    let manifest_name = MemberName::parse(&format!("{stem}.mf"))?;
    let certificate_name = MemberName::parse(&format!("{stem}.cert"))?;
    let mut manifest = Manifest::new();
    for member in covered {
        manifest.add(member.name.clone(), member.digest.clone())?;
    }
    let manifest = manifest.render();
    let certificate = pass.seal.signer.sign(manifest_name.as_str(), &manifest)?;
    Ok(((manifest_name, manifest), (certificate_name, certificate)))
}

/// Digests what is written on its way.
struct Digesting(Digester, Box<dyn Write>);

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.1.write(bytes)?;
        self.0.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.1.flush()
    }
}

/// A file whose bytes are on the disk once it is flushed.
struct Durable(File);

impl Write for Durable {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.sync_all()
    }
}

/// A folder under a hidden name, removed unless it takes its own.
struct Hidden(PathBuf);

impl Hidden {
    fn create(folder: &Path) -> Result<Self> {
        let mut name = OsString::from(".");
        name.push(folder.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let hidden = folder.with_file_name(name);
        fs::create_dir(&hidden).map_err(Error::io(&hidden, "create"))?;
        Ok(Self(hidden))
    }

    fn commit(self, folder: &Path) -> Result<()> {
        fs::rename(&self.0, folder).map_err(Error::io(folder, "put in place"))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Once it has taken its name there is nothing here to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}
