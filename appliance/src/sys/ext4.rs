//! The ioctls of a mounted ext4 file system, after the kernel's `include/uapi/linux/ext4.h` and `fs/ext4/ext4.h`.

use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Setter, ioctl, opcode};

/// `struct fsuuid` with its flexible array of the only length there is.
#[repr(C)]
struct FsUuid {
    length: u32,
    flags: u32,
    uuid: [u8; 16],
}

/// The number counts the fields before the flexible array alone.
const SET_UUID: rustix::ioctl::Opcode = opcode::write::<[u32; 2]>(b'f', 44);
const RESIZE: rustix::ioctl::Opcode = opcode::write::<u64>(b'f', 16);

/// Grows the file system that `mounted` lies on to `blocks` of its own blocks.
pub(crate) fn resize_ext4(mounted: impl AsFd, blocks: u64) -> io::Result<()> {
    #[allow(
        unsafe_code,
        reason = "EXT4_IOC_RESIZE_FS reads one u64 and rustix has no wrapper for it"
    )]
    // SAFETY: the opcode is defined for a pointer to a `__u64`, which the kernel only reads.
    let done = unsafe { ioctl(mounted, Setter::<RESIZE, u64>::new(blocks)) };
    Ok(done?)
}

/// Gives the file system that `mounted` lies on another UUID.
pub(crate) fn set_ext4_uuid(mounted: impl AsFd, uuid: [u8; 16]) -> io::Result<()> {
    let argument = FsUuid {
        length: 16,
        flags: 0,
        uuid,
    };
    #[allow(
        unsafe_code,
        reason = "EXT4_IOC_SETFSUUID reads a struct and rustix has no wrapper for it"
    )]
    // SAFETY: the opcode is defined for a pointer to a `struct fsuuid` whose array has `fsu_len` bytes; ours has the
    // same layout and sixteen, and the kernel only reads it.
    let done = unsafe { ioctl(mounted, Setter::<SET_UUID, FsUuid>::new(argument)) };
    Ok(done?)
}
