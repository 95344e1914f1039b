//! The C library's allocator.

/// Blocks of this size have pages of their own.
#[cfg(target_env = "gnu")]
const THRESHOLD: libc::c_int = 1 << 20;

/// Gives large blocks back to the system as soon as they are freed. glibc keeps one as large as it has freed before, for ever:
/// after two logins that is the memory in which a password is hashed.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "mallopt(3) is the C library's alone")]
pub(crate) fn return_large_blocks() {
    // SAFETY: it sets a number, under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD);
    }
}

/// Others do so by themselves.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn return_large_blocks() {}
