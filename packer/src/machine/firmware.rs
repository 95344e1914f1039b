use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What starts the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, which comes with QEMU.
    Bios,
    /// OVMF: code, and a private copy of its variables.
    Efi {
        /// Read-only firmware volume.
        code: PathBuf,
        /// Variables, written to.
        variables: PathBuf,
    },
}

/// Code and variables as Debian, Fedora and Arch install them.
const OVMF: [(&str, &str); 4] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
];

impl Firmware {
    /// UEFI, with its variables in `folder`; variables that are there already are kept.
    ///
    /// # Errors
    /// OVMF is not installed, or the folder can't be written to.
    pub fn efi(folder: &Path) -> Result<Self> {
        let (code, template) = OVMF
            .iter()
            .map(|(code, variables)| (Path::new(code), Path::new(variables)))
            .find(|(code, variables)| code.exists() && variables.exists())
            .ok_or_else(|| Error::Usage("UEFI needs OVMF: install the package 'ovmf'".into()))?;
        let variables = folder.join("efi-variables.fd");
        if !variables.exists() {
            std::fs::copy(template, &variables).map_err(Error::io(&variables, "write"))?;
        }
        Ok(Self::Efi {
            code: code.to_owned(),
            variables,
        })
    }
}
