use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use image::modules::{Lookup, Name, builtin_names};

use crate::debian::{Cache, Lock, Unpacked};
use crate::error::{Error, Result};
use crate::input::read_bounded;

/// An unpacked `linux-image-*` package.
pub(super) struct Kernel {
    package: Unpacked,
    release: String,
    modules: BTreeMap<Name, PathBuf>,
    builtin: BTreeSet<Name>,
}

const MAX_LIST_BYTES: u64 = 4 << 20;
const MAX_MODULE_BYTES: u64 = 64 << 20;

impl Kernel {
    pub(super) fn open(name: &str, lock: &Lock, cache: &Cache) -> Result<Self> {
        let package = cache.unpacked(lock.get(name)?)?;
        let release = name
            .strip_prefix("linux-image-")
            .ok_or_else(|| Error::debian(name, "not a kernel: its name is linux-image-RELEASE"))?
            .to_owned();
        let tree = package.path("lib/modules").join(&release);
        let list = read_bounded(&tree.join("modules.builtin"), MAX_LIST_BYTES)?;
        let builtin = builtin_names(&String::from_utf8_lossy(&list));
        let mut modules = BTreeMap::new();
        collect(&tree.join("kernel"), &mut modules)?;
        Ok(Self {
            package,
            release,
            modules,
            builtin,
        })
    }

    /// The compressed kernel.
    pub(super) fn image(&self) -> PathBuf {
        self.package
            .path("boot")
            .join(format!("vmlinuz-{}", self.release))
    }
}

fn collect(folder: &Path, into: &mut BTreeMap<Name, PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "list"))? {
        let path = entry.map_err(Error::io(folder, "list"))?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if let Some(name) = path.to_str().and_then(Name::from_path) {
            into.insert(name, path);
        }
    }
    Ok(())
}

impl Lookup for Kernel {
    fn file(&self, name: &Name) -> image::error::Result<Option<Vec<u8>>> {
        let Some(path) = self.modules.get(name) else {
            return Ok(None);
        };
        read_bounded(path, MAX_MODULE_BYTES).map(Some).map_err(|error| {
            use image::error::{Error, Kind, Place};
            Error::new(Kind::Io, Place::Module(name.to_string()), error.to_string())
        })
    }

    fn is_builtin(&self, name: &Name) -> bool {
        self.builtin.contains(name)
    }

    fn names(&self) -> Vec<Name> {
        self.modules.keys().cloned().collect()
    }
}
