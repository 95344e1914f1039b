//! The kernel's randomness, ready before anything depends on it.
//!
//! Libraries that find no `getrandom` in a static program read `/dev/random` after polling it, and polling makes the
//! kernel wait for entropy without collecting any: on a machine without a hardware source that takes for ever. Asking
//! by the system call makes it collect.

use rustix::rand::{GetRandomFlags, getrandom};

/// Least urgent of all: the kernel collects by running in a loop, which must not slow a start down.
const NICE: i32 = 19;

/// Returns once the kernel has randomness to give. Without a hardware source that takes about a second.
pub fn wait() {
    let mut byte = [0];
    while getrandom(&mut byte, GetRandomFlags::empty()) == Err(rustix::io::Errno::INTR) {}
}

/// Makes the kernel collect in a thread of its own.
///
/// # Errors
/// What the system says of the thread.
pub fn collect() -> std::io::Result<()> {
    std::thread::Builder::new().name("entropy".to_owned()).spawn(|| {
        // Without the right to be nice it is collected all the same.
        let _ = rustix::process::setpriority_process(None, NICE);
        wait();
    })?;
    Ok(())
}

/// Fills a secret.
///
/// # Errors
/// [`Kind::Io`](crate::error::Kind::Io) where the kernel gives none.
pub fn fill(bytes: &mut [u8]) -> crate::error::Result<()> {
    use ring::rand::SecureRandom as _;
    ring::rand::SystemRandom::new()
        .fill(bytes)
        .map_err(|_| crate::error::Error::new(crate::error::Kind::Io, "randomness", "the system gives none"))
}
