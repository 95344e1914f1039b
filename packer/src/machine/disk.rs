use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Where a disk's VMDK is: a file, or a range of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// The file.
    pub file: PathBuf,
    /// Offset and length in bytes, if the disk is a part of the file.
    pub range: Option<(u64, u64)>,
}

impl Backing {
    fn node(&self) -> Value {
        let file = json!({ "driver": "file", "filename": self.file });
        match self.range {
            None => json!({ "driver": "vmdk", "file": file }),
            Some((offset, size)) => json!({
                "driver": "vmdk",
                "file": { "driver": "raw", "offset": offset, "size": size, "file": file },
            }),
        }
    }
}

/// Makes a copy-on-write layer over a package's disk, larger than it if `size` says so; an existing layer is kept.
///
/// # Errors
/// qemu-img is absent or fails; the layer that is there lies over another disk.
pub fn layer(backing: &Backing, layer: &Path, size: Option<u64>) -> Result<()> {
    let below = format!("json:{}", backing.node());
    if layer.exists() {
        return lies_over(layer, &below);
    }
    let mut create = vec!["create", "-q", "-f", "qcow2", "-F", "vmdk", "-b", &below];
    let (path, size) = (layer.as_os_str(), size.map(|size| size.to_string()));
    create.extend(["--"]);
    let size = size.as_deref().map(OsStr::new);
    let arguments = create.into_iter().map(OsStr::new).chain([path]).chain(size);
    qemu_img(arguments).map(|_| ())
}

/// What a guest wrote over one disk makes no sense over another. A layer over none is a disk of its own, which somebody
/// put there on purpose.
fn lies_over(layer: &Path, below: &str) -> Result<()> {
    let info = ["info", "-U", "--output=json", "-f", "qcow2", "--"].map(OsStr::new);
    let info = qemu_img(info.into_iter().chain([layer.as_os_str()]));
    let made_over = info
        .ok()
        .and_then(|info| serde_json::from_slice::<Value>(&info).ok())
        .and_then(|info| Some(info.get("backing-filename")?.as_str()?.to_owned()));
    if made_over.is_none_or(|made_over| made_over == below) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{}: this layer was made over another package, or another build of it; delete it, or give another --state folder",
        layer.display()
    )))
}

fn qemu_img<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<Vec<u8>> {
    let output = Command::new("qemu-img")
        .args(arguments)
        .output()
        .map_err(|error| Error::program("qemu-img", error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::program(
        "qemu-img",
        String::from_utf8_lossy(&output.stderr).trim(),
    ))
}
