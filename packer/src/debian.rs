//! Debian packages as locked inputs: the kernel and its modules, the boot loader, the ext4 maker.
//!
//! A lock file names each package's version and SHA-256. Packages are fetched through the machine's own apt into a
//! cache, compared with the lock, and unpacked, never installed: no maintainer script runs, and the host's versions
//! don't leak into the image.

mod archive;
mod cache;
mod lock;

pub use cache::{Cache, Unpacked};
pub use lock::{Lock, LockedPackage, SourcePackage, resolve};

/// A package that the builder itself needs, whatever the recipe says.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Package name.
    pub name: &'static str,
    /// SPDX expression of what it carries into, or does for, the image.
    pub licence: &'static str,
    /// Whether bytes of it end up in the image, or it only makes them.
    pub shipped: bool,
}

/// What boot and state disks are made with.
pub const TOOLS: &[Tool] = &[
    Tool {
        name: "grub-pc-bin",
        licence: "GPL-3.0-or-later",
        shipped: true,
    },
    Tool {
        name: "grub-efi-amd64-bin",
        licence: "GPL-3.0-or-later",
        shipped: true,
    },
    Tool {
        name: "grub-common",
        licence: "GPL-3.0-or-later",
        shipped: false,
    },
    Tool {
        name: "libdevmapper1.02.1",
        licence: "LGPL-2.1-only",
        shipped: false,
    },
    Tool {
        name: "liblzma5",
        licence: "LicenseRef-public-domain",
        shipped: false,
    },
    Tool {
        name: "e2fsprogs",
        licence: "GPL-2.0-only",
        shipped: false,
    },
    Tool {
        name: "libext2fs2",
        licence: "LGPL-2.0-only",
        shipped: false,
    },
    Tool {
        name: "libcom-err2",
        licence: "MIT",
        shipped: false,
    },
];

/// Licence of Debian's kernel packages.
pub const KERNEL_LICENCE: &str = "GPL-2.0-only WITH Linux-syscall-note";
