use std::path::Path;

use ovf::package::ova::{Layout, Writer};

use super::{Pass, Signed};
use crate::error::{Error, Result};
use crate::output::Output;

/// Writes the package as an archive, which appears whole or not at all.
pub(super) fn write(pass: &mut Pass<'_, '_>, path: &Path) -> Result<Signed> {
    let survey = pass.survey;
    let layout = Layout {
        base_name: survey.descriptor_name.stem().to_owned(),
        files: survey.files.iter().map(|file| file.name.clone()).collect(),
        descriptor_len: survey.descriptor.len() as u64,
        algorithm: pass.seal.digest,
        signer: Some(pass.seal.signer),
        mtime: 0,
    };
    let (manifest, certificate) = (layout.manifest_name()?, layout.certificate_name()?);
    let mut output = Output::create(path)?;
    let mut archive = Writer::create(output.file(), layout)?;
    for at in 0..survey.files.len() {
        let mut member = archive.next_member()?;
        pass.copy(at, &mut member)?;
        member.finish()?;
    }
    let written = archive.finish(survey.descriptor.clone())?;
    // A package that only its owner may read stays one.
    if let Ok(old) = path.metadata() {
        output
            .file()
            .set_permissions(old.permissions())
            .map_err(Error::io(path, "set the permissions of"))?;
    }
    output.commit()?;
    let covered = written.members.into_iter();
    let covered = covered
        .filter(|member| member.name != manifest && member.name != certificate)
        .map(|member| pass.covered(member.name, member.size, member.digest))
        .collect();
    Ok(Signed {
        package: path.to_owned(),
        covered,
    })
}
