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
    /// How what is shipped differs from what Debian built.
    pub changed: Option<&'static str>,
}

/// What boot and state disks are made with.
pub const TOOLS: &[Tool] = &[
    Tool {
        name: "grub-pc-bin",
        licence: "GPL-3.0-or-later",
        shipped: true,
        changed: None,
    },
    Tool {
        name: "grub-efi-amd64-bin",
        licence: "GPL-3.0-or-later",
        shipped: true,
        changed: Some(
            "in the linked image, MAX_HEAP_SIZE of grub-core/kern/efi/mm.c is 16 MiB instead of 1600, so that the loader \
             leaves room for the kernel in 256 MiB of memory",
        ),
    },
    Tool {
        name: "grub-common",
        licence: "GPL-3.0-or-later",
        shipped: false,
        changed: None,
    },
    Tool {
        name: "libdevmapper1.02.1",
        licence: "LGPL-2.1-only",
        shipped: false,
        changed: None,
    },
    Tool {
        name: "liblzma5",
        licence: "LicenseRef-public-domain",
        shipped: false,
        changed: None,
    },
    Tool {
        name: "e2fsprogs",
        licence: "GPL-2.0-only",
        shipped: false,
        changed: None,
    },
    Tool {
        name: "libext2fs2",
        licence: "LGPL-2.0-only",
        shipped: false,
        changed: None,
    },
    Tool {
        name: "libcom-err2",
        licence: "MIT",
        shipped: false,
        changed: None,
    },
];

/// Licence of Debian's kernel packages.
pub const KERNEL_LICENCE: &str = "GPL-2.0-only WITH Linux-syscall-note";
