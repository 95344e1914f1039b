//! Which files make a version.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ovf::package::{MemberName, Role, Source};

use super::outgoing::Outgoing;
use crate::admin::{Failure, Result};
use crate::error::{Error, Kind};

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::command) enum Sort {
    /// An OVF package, which the node verifies: an .ova, or an .ovf with the files that it names
    Package,
    /// Files of whatever kind, which are kept as they are
    File,
}

impl Sort {
    /// As the API has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::File => "file",
        }
    }

    /// What files are, by their names.
    fn of(paths: &[PathBuf]) -> Result<Self> {
        match (paths, paths.iter().any(|path| is_package(path))) {
            ([_], true) => Ok(Self::Package),
            (_, true) => Err(Failure::usage(
                "the files",
                "are several, and a package is among them",
                "a package is its .ova alone, or its .ovf alone, which names its files; --kind file keeps files unverified",
            )),
            (_, false) => Ok(Self::File),
        }
    }
}

fn is_package(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["ova", "ovf"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// The files that go, in their order, and what they are.
pub(super) fn collect(paths: &[PathBuf], sort: Option<Sort>) -> Result<(Sort, Vec<Outgoing>)> {
    let sort = match sort {
        Some(sort) => sort,
        None => Sort::of(paths)?,
    };
    let files = match (sort, paths) {
        (Sort::Package, [descriptor]) if Source::is_descriptor(descriptor) => of_descriptor(descriptor)?,
        (Sort::Package, [archive]) if is_package(archive) => vec![(archive.clone(), name_of(archive)?)],
        (Sort::Package, _) => {
            return Err(Failure::usage(
                "the files",
                "are no package",
                "a package is one .ova, or one .ovf, which names its files",
            ));
        }
        (Sort::File, paths) => {
            let named = paths.iter().map(|path| Ok((path.clone(), name_of(path)?)));
            named.collect::<Result<_>>()?
        }
    };
    let opened = files.into_iter().map(|(path, name)| Outgoing::open(&path, name));
    Ok((sort, opened.collect::<Result<_>>()?))
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let wrong = || {
        Error::new(
            Kind::Malformed,
            path.display().to_string(),
            "has no name in UTF-8",
        )
    };
    Ok(name.ok_or_else(wrong)?.to_owned())
}

/// A descriptor, manifest and certificate beside it, and the files that it names.
fn of_descriptor(path: &Path) -> Result<Vec<(PathBuf, String)>> {
    let wrong = |reason: String| {
        let hint = "ova validate tells what is wrong with a package; --kind file keeps files unverified";
        Failure::usage(path.display().to_string(), reason, hint)
    };
    let unread = |error: ovf::Error| wrong(format!("can't be read as a package: {error}"));
    let descriptor = Source::open(path)
        .and_then(|mut source| source.read_descriptor())
        .map_err(unread)?;
    let mut source = Source::open(path).map_err(unread)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut files, mut names) = (Vec::new(), Vec::new());
    while let Some(member) = source.next_member().map_err(unread)? {
        let name = member.name().clone();
        if name.as_str().contains('/') {
            let reason = format!("names '{name}' in a folder: an .ova takes it along");
            return Err(wrong(reason));
        }
        let path = match member.role() {
            // Its own name may be a link's.
            Role::Descriptor => path.to_owned(),
            _ => name.under(folder),
        };
        files.push((path, name.as_str().to_owned()));
        names.push(name);
    }
    for file in descriptor.files.iter().filter(|file| !file.is_external()) {
        let mut own = file.member_names(1).chain([file.whole_name()]);
        let is_there = own.any(|name| name.is_ok_and(|name: MemberName| names.contains(&name)));
        if !is_there {
            let reason = format!("names the file '{}', which is not beside it", file.href);
            return Err(wrong(reason));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[Outgoing]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn a_descriptor_brings_what_it_names_and_what_vouches_for_it_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let descriptor = "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" \
            xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"><References>\
            <File ovf:id=\"a\" ovf:href=\"a.vmdk\"/><File ovf:id=\"u\" ovf:href=\"https://example.com/b.vmdk\"/>\
            </References><VirtualSystem ovf:id=\"s\"><Info>s</Info></VirtualSystem></Envelope>";
        std::fs::write(path("web.ovf"), descriptor).unwrap();
        std::fs::write(path("web.mf"), "").unwrap();
        std::fs::write(path("other.vmdk"), "").unwrap();
        let missing = collect(&[path("web.ovf")], None).unwrap_err();
        assert!(
            missing.to_string().contains("'a.vmdk', which is not beside it"),
            "{missing}"
        );
        std::fs::write(path("a.vmdk"), [0; 7]).unwrap();
        let (sort, files) = collect(&[path("web.ovf")], None).unwrap();
        assert_eq!(
            (sort, names(&files)),
            (Sort::Package, vec!["web.ovf", "web.mf", "a.vmdk"])
        );
        assert_eq!(files[2].bytes, 7);
        let (sort, files) = collect(&[path("web.ovf"), path("web.mf")], Some(Sort::File)).unwrap();
        assert_eq!((sort, names(&files)), (Sort::File, vec!["web.ovf", "web.mf"]));
    }

    #[test]
    fn what_is_unverified_is_so_because_somebody_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| {
            std::fs::write(folder.path().join(name), "x").unwrap();
            folder.path().join(name)
        };
        let sort = |paths: &[PathBuf]| collect(paths, None).map(|(sort, _)| sort);
        assert_eq!(sort(&[path("a.OVA")]).unwrap(), Sort::Package);
        assert_eq!(sort(&[path("a.iso"), path("b")]).unwrap(), Sort::File);
        assert!(matches!(
            sort(&[path("a.ova"), path("b")]),
            Err(Failure::Usage(_))
        ));
        assert!(collect(&[path("a.iso")], Some(Sort::Package)).is_err());
        assert!(sort(&[folder.path().join("none.ova")]).is_err());
    }
}
