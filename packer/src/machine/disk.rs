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
/// qemu-img is absent or fails.
pub fn layer(backing: &Backing, layer: &Path, size: Option<u64>) -> Result<()> {
    if layer.exists() {
        return Ok(());
    }
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", "vmdk", "-b"]);
    command.arg(format!("json:{}", backing.node())).arg(layer);
    if let Some(size) = size {
        command.arg(size.to_string());
    }
    let output = command
        .output()
        .map_err(|error| Error::program("qemu-img", error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::program(
        "qemu-img",
        String::from_utf8_lossy(&output.stderr).trim(),
    ))
}
