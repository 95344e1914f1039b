//! Locks on files: who has one has the file for itself, until it is closed.

use std::io;
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A process that somebody starts has the files of whoever starts it, until it is a program of its own.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// Takes a file for oneself. No if somebody else has it.
///
/// # Errors
/// The file system knows no locks.
pub fn lock(file: impl AsFd) -> io::Result<bool> {
    for attempt in 0..TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) if attempt + 1 < TRIES => sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_file_has_it_alone_until_it_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (first, second) = (file.reopen().unwrap(), file.reopen().unwrap());
        assert!(lock(&first).unwrap());
        assert!(!lock(&second).unwrap());
        let closing = std::thread::spawn(move || {
            sleep(PAUSE * 2);
            drop(first);
        });
        assert!(lock(&second).unwrap(), "it is waited for a moment");
        closing.join().unwrap();
    }
}
