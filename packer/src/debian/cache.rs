use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use ovf::manifest::{DigestAlgorithm, Digester};

use super::{LockedPackage, archive};
use crate::error::{Error, Result};
use crate::unfinished::Unfinished;

/// Where fetched and unpacked packages are kept between builds.
///
/// Entries are named by digest and appear by rename, so that builds side by side and interrupted builds leave it whole.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// A package's files on disk.
#[derive(Debug, Clone)]
pub struct Unpacked {
    root: PathBuf,
}

impl Unpacked {
    /// The place of a file of the package.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// The folder that the package is unpacked in.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Cache {
    /// The user's cache: `$OVA_CACHE`, else `ova` below `$XDG_CACHE_HOME` or `~/.cache`.
    ///
    /// # Errors
    /// None of these is set.
    pub fn of_user() -> Result<Self> {
        let from = |variable: &str| {
            std::env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = from("OVA_CACHE")
            .or_else(|| from("XDG_CACHE_HOME").map(|cache| cache.join("ova")))
            .or_else(|| from("HOME").map(|home| home.join(".cache/ova")))
            .ok_or_else(|| Error::Usage("no place for the package cache: set OVA_CACHE or HOME".into()))?;
        Ok(Self { root })
    }

    /// The package's files, fetched and unpacked if they aren't there yet.
    ///
    /// # Errors
    /// It can't be fetched, isn't what the lock says, or can't be unpacked.
    pub fn unpacked(&self, package: &LockedPackage) -> Result<Unpacked> {
        let root = self.root.join("unpacked").join(package.sha256.as_str());
        if root.is_dir() {
            return Ok(Unpacked { root });
        }
        let deb = self.fetch(package)?;
        let parent = self.folder("unpacked")?;
        let staging = Unfinished::folder_in(&parent, ".unpacking-")?;
        let files = staging.path().join("files");
        archive::unpack(&deb, &files).map_err(Error::io(&deb, "unpack"))?;
        install(&files, &root)?;
        Ok(Unpacked { root })
    }

    fn fetch(&self, package: &LockedPackage) -> Result<PathBuf> {
        let parent = self.folder("debian")?;
        let deb = parent.join(format!("{}.deb", package.sha256.as_str()));
        if deb.is_file() && digest(&deb)? == package.sha256.as_str() {
            return Ok(deb);
        }
        let staging = Unfinished::folder_in(&parent, ".fetching-")?;
        let fetched = download(package, staging.path())?;
        let found = digest(&fetched)?;
        if found != package.sha256.as_str() {
            let reason = format!("SHA-256 is {found}, the lock says {}", package.sha256.as_str());
            return Err(Error::debian(&package.name, reason));
        }
        fs::rename(&fetched, &deb).map_err(Error::io(&deb, "put in place"))?;
        Ok(deb)
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        Ok(folder)
    }
}

fn install(files: &Path, root: &Path) -> Result<()> {
    match fs::rename(files, root) {
        // Another build was quicker, with the same bytes.
        Err(_) if root.is_dir() => Ok(()),
        outcome => outcome.map_err(Error::io(root, "put in place")),
    }
}

fn download(package: &LockedPackage, folder: &Path) -> Result<PathBuf> {
    let LockedPackage {
        name,
        version,
        source,
        source_version,
        ..
    } = package;
    let output = Command::new("apt-get")
        .args(["download", "-qq", "-o", "APT::Sandbox::User=root", "--"])
        .arg(format!("{name}={version}"))
        .env("LC_ALL", "C")
        .current_dir(folder)
        .output()
        .map_err(|error| Error::program("apt-get", error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = format!(
            "version {version} can't be fetched: {}; run 'apt-get update', or 'ova lock' to move to the version that \
             the mirror has now; old versions: https://snapshot.debian.org/package/{source}/{source_version}/",
            said.trim()
        );
        return Err(Error::debian(name, reason));
    }
    let fetched = fs::read_dir(folder)
        .map_err(Error::io(folder, "list"))?
        .flatten()
        .map(|entry| entry.path());
    let deb = fetched
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    deb.ok_or_else(|| Error::debian(name, "apt-get fetched nothing"))
}

fn digest(path: &Path) -> Result<String> {
    let mut digester = Digester::new(DigestAlgorithm::Sha256);
    let mut file = File::open(path).map_err(Error::io(path, "open"))?;
    io::copy(&mut file, &mut digester).map_err(Error::io(path, "read"))?;
    Ok(digester.finish().to_string())
}
