//! `role` of the state disk: what was chosen when the machine was set up, and what is wrong with it.

use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::event::Event;
use super::state::MOUNT_POINT;
use crate::check::{Check, ROLE};
use crate::log;
use crate::role::{Role, kept};

const REMEDY: &str =
    "Name the role by the property role and restart; until then the machine stays what it was.";

/// What a look at the file gave.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The role; none where none was chosen.
    pub role: Option<Role>,
    /// The check `role`; none where nothing is wrong.
    pub check: Option<Check>,
}

/// Looks at the state disk in a thread of its own, which reports [`Event::Role`].
pub fn look(events: SyncSender<Event>) {
    let look = move || {
        let _ = events.send(Event::Role(Box::new(Kept::read(Path::new(MOUNT_POINT)))));
    };
    if let Err(error) = thread::Builder::new().name("role".to_owned()).spawn(look) {
        log::error(format_args!("{ROLE}: cannot be looked at: {error}"));
    }
}

impl Kept {
    /// Reads the file in `directory`. One that cannot be used counts as none, and the check says why.
    pub fn read(directory: &Path) -> Self {
        match kept::read(directory) {
            Ok(role) => Self { role, check: None },
            Err(error) => {
                log::error(error.chain());
                Self {
                    role: None,
                    check: Some(Check::fail(ROLE, error.chain().to_string(), REMEDY)),
                }
            }
        }
    }

    /// A role was chosen, and which one can't be told.
    pub fn is_lost(&self) -> bool {
        self.check.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_told_and_none_is_nothing_to_tell() {
        let folder = tempfile::tempdir().unwrap();
        let none = Kept::read(folder.path());
        assert!(none.role.is_none() && !none.is_lost());
        kept::write(folder.path(), Role::Server).unwrap();
        assert_eq!(Kept::read(folder.path()).role, Some(Role::Server));
        std::fs::write(folder.path().join(kept::NAME), "king").unwrap();
        let lost = Kept::read(folder.path());
        assert!(lost.role.is_none() && lost.is_lost());
    }
}
