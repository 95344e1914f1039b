//! A serial console, through a terminal that libvirt's command takes for a person's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::virsh::{Asked, Virsh, option};
use crate::error::{Error, Kind, Result};
use crate::manager::Console;

/// The byte (Ctrl-]) by which a person leaves virsh's console: it can't be sent.
const ESCAPE: u8 = 0x1d;

/// The near end of a command that runs until every copy of this is dropped.
pub(super) struct Terminal {
    near: File,
    asked: Arc<Asked>,
}

impl Terminal {
    pub(super) fn open(virsh: &Virsh, name: &str) -> Result<Self> {
        let domain = option("domain", name)?;
        // A machine without a console, or that is off, is told before anybody waits for it.
        let state = virsh.run(&["domstate", &domain])?;
        if state.trim() != "running" {
            return Err(Error::new(
                Kind::Off,
                name,
                format!("the machine is {}", state.trim()),
            ));
        }
        let (near, far) = terminal().map_err(|error| {
            Error::new(Kind::Refused, name, "this system gives no terminal").because(error)
        })?;
        // Whoever had it before is not asked: a person who left a window open is no reason to be locked out.
        let asked = virsh.attach(&["console", &domain, "--force"], far)?;
        Ok(Self {
            near: File::from(near),
            asked: Arc::new(asked),
        })
    }
}

/// A terminal that passes bytes on as they are: the near and the far end.
fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&near)?;
    unlockpt(&near)?;
    let path = ptsname(&near, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let far = open(path.as_c_str(), flags, Mode::empty())?;
    let mut modes = tcgetattr(&far)?;
    modes.make_raw();
    tcsetattr(&far, OptionalActions::Now, &modes)?;
    Ok((near, far))
}

impl Read for Terminal {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.near.read(buffer) {
            // Nobody has the far end open: the machine is off.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => Ok(0),
            other => other,
        }
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The one that virsh takes for its own: whatever follows it waits for the next turn.
        let own = bytes
            .iter()
            .position(|byte| *byte == ESCAPE)
            .unwrap_or(bytes.len());
        match own {
            0 if !bytes.is_empty() => Ok(1),
            _ => self.near.write(&bytes[..own]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.near.flush()
    }
}

impl Console for Terminal {
    fn try_clone(&self) -> Result<Box<dyn Console>> {
        let near = self.near.try_clone();
        Ok(Box::new(Self {
            near: near.map_err(|error| {
                Error::new(Kind::Refused, "", "the terminal can't be shared").because(error)
            })?,
            asked: Arc::clone(&self.asked),
        }))
    }
}
