//! The state disk: an empty ext4 file system as large as the recipe says and as sparse as mke2fs can make it.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use crate::debian::{Cache, Lock, Unpacked};
use crate::error::{Error, Result};
use crate::recipe::StateImage;
use crate::unfinished::Unfinished;
use image::guid::Guid;

/// A raw image in a temporary folder that goes when this does.
#[derive(Debug)]
pub struct StateDisk {
    folder: Unfinished,
}

impl StateDisk {
    /// Where the raw image is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }
}

/// Features are spelled out, so that the host's mke2fs.conf has no say.
///
/// `metadata_csum_seed` lets the guest give itself a new UUID while mounted; few inodes, because what is kept is a
/// database and large files.
const MKE2FS_CONF: &str = "\
[defaults]
\tbase_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
\tdefault_mntopts = acl,user_xattr
\tenable_periodic_fsck = 0
\tblocksize = 4096
\tinode_size = 256
\tinode_ratio = 65536
[fs_types]
\text4 = {
\t\tfeatures = has_journal,extent,huge_file,flex_bg,metadata_csum,metadata_csum_seed,64bit,dir_nlink,extra_isize
\t}
";

/// Growing while mounted changes all 1024 blocks that are kept for group descriptors in one transaction, and the kernel takes
/// none larger than a quarter of the journal: 8 MiB (2048 blocks) are too few, 32 MiB are enough for any size.
const JOURNAL: &str = "size=32";

/// mke2fs 1.47.0 takes the time from here, in seconds; zero would mean the clock.
const CREATION_TIME: &str = "1577836800";

/// Makes the image with the locked mke2fs.
///
/// # Errors
/// The package can't be had, the temporary folder is full, or mke2fs fails.
pub fn make(state: &StateImage, seed: &Guid, lock: &Lock, cache: &Cache) -> Result<StateDisk> {
    let packages = ["e2fsprogs", "libext2fs2", "libcom-err2"].map(|name| cache.unpacked(lock.get(name)?));
    let [programs, libraries, errors] = packages;
    let (programs, libraries) = (programs?, [libraries?, errors?]);
    let disk = StateDisk {
        folder: Unfinished::folder()?,
    };
    File::create(disk.path())
        .and_then(|file| file.set_len(state.size.get_ref().bytes()))
        .map_err(Error::io(&disk.path(), "size"))?;
    let conf = disk.folder.path().join("mke2fs.conf");
    std::fs::write(&conf, MKE2FS_CONF).map_err(Error::io(&conf, "write"))?;
    let (uuid, hash_seed) = (
        uuid(&seed.child("file system")),
        uuid(&seed.child("directory hash")),
    );
    let output = Command::new(program(&programs, "mke2fs"))
        .args([
            "-q",
            "-F",
            "-t",
            "ext4",
            "-J",
            JOURNAL,
            "-m",
            "0",
            "-L",
            state.label.get_ref(),
            "-U",
            &uuid,
        ])
        .arg("-E")
        .arg(format!(
            "nodiscard,assume_storage_prezeroed=1,hash_seed={hash_seed},root_owner=0:0"
        ))
        .arg(disk.path())
        .env("LD_LIBRARY_PATH", library_path(&libraries))
        .env("MKE2FS_CONFIG", &conf)
        .env("E2FSPROGS_FAKE_TIME", CREATION_TIME)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| Error::program("mke2fs", error))?;
    if !output.status.success() {
        return Err(Error::program(
            "mke2fs",
            String::from_utf8_lossy(&output.stderr).trim(),
        ));
    }
    Ok(disk)
}

/// mke2fs takes lower case only.
fn uuid(guid: &Guid) -> String {
    guid.to_string().to_lowercase()
}

fn program(package: &Unpacked, name: &str) -> PathBuf {
    ["sbin", "usr/sbin"]
        .map(|folder| package.path(folder).join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| package.path("sbin").join(name))
}

/// Where the dynamic loader finds the locked libraries, before the host's.
pub(crate) fn library_path(packages: &[Unpacked]) -> std::ffi::OsString {
    let folders = packages.iter().flat_map(|package| {
        ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"].map(|folder| package.path(folder))
    });
    std::env::join_paths(folders).unwrap_or_default()
}
