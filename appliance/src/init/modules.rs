//! Kernel modules, loaded in the order of their dependencies (`/lib/modules/index`, see [`image::modules::Index`]).

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use image::modules::{Index, Name};
use rustix::io::Errno;
use rustix::system::finit_module;

use crate::check::{Check, MODULES};
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::log;

const DIRECTORY: &str = "/lib/modules";
const INDEX_LIMIT: usize = 8 << 20;
const REMEDY: &str = "The appliance's image is incomplete: install it again from its package.";

/// Loads each module once.
#[derive(Debug)]
pub struct Loader {
    index: Index,
    done: BTreeSet<String>,
    /// Kept for the end of the start: see [`Loader::finish`].
    last: Option<String>,
    loaded: usize,
    failures: Vec<String>,
}

/// When a module's driver looks at its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probing {
    /// In the background: loading returns at once.
    Background,
    /// Loading returns when it has, and everything before it as well: the kernel lets a module in only after all that
    /// goes on in the background is done (`do_init_module`).
    Finished,
}

impl Probing {
    fn parameters(self) -> &'static CStr {
        match self {
            Self::Background => c"async_probe",
            Self::Finished => c"",
        }
    }
}

impl Loader {
    /// Reads the index; without one nothing can be loaded, and the check says so.
    pub fn open() -> Self {
        let (index, failures) = match read_index(&Path::new(DIRECTORY).join("index")) {
            Ok(index) => (index, Vec::new()),
            Err(error) => {
                log::error(error.chain());
                (Index::default(), vec![error.chain().to_string()])
            }
        };
        Self {
            last: last(&index),
            index,
            done: BTreeSet::new(),
            loaded: 0,
            failures,
        }
    }

    /// The modules to load whatever the hardware, in order.
    pub fn always(&self) -> Vec<String> {
        self.index.always().iter().map(ToString::to_string).collect()
    }

    /// The modules for a device.
    pub fn matching(&self, modalias: &str) -> Vec<String> {
        let modules = self.index.matching(modalias);
        modules.into_iter().map(ToString::to_string).collect()
    }

    /// Loads `name` after all that it needs. A failure is noted for the check.
    pub fn load(&mut self, name: &str, probing: Probing) {
        if self.done.contains(name) || self.last.as_deref() == Some(name) {
            return;
        }
        let order = match self.index.load_order(name) {
            Ok(order) => order.into_iter().map(ToString::to_string).collect::<Vec<_>>(),
            Err(error) => return self.fail(&error.to_string()),
        };
        for name in order {
            if !self.done.contains(&name) {
                self.insert(&name, probing);
                self.done.insert(name);
            }
        }
    }

    /// Whether [`Loader::finish`] can wait.
    pub fn can_wait(&self) -> bool {
        self.last.is_some()
    }

    /// Waits for all that goes on in the background, by loading a module that was kept for this: nothing else that a
    /// program can do waits for it.
    pub fn finish(&mut self) {
        if let Some(name) = self.last.take() {
            self.load(&name, Probing::Finished);
        }
    }

    /// How many are loaded.
    pub fn loaded(&self) -> usize {
        self.loaded
    }

    /// The check `modules`.
    pub fn check(&self) -> Check {
        if self.failures.is_empty() {
            return Check::pass(MODULES, format!("{} loaded", self.loaded));
        }
        Check::warn(MODULES, self.failures.join("; "), REMEDY)
    }

    fn insert(&mut self, name: &str, probing: Probing) {
        let path = PathBuf::from(format!("{DIRECTORY}/{name}.ko"));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => return self.fail(&Error::file(&path, "open", error).chain().to_string()),
        };
        match finit_module(&file, probing.parameters(), 0) {
            Ok(()) => self.loaded += 1,
            Err(error) if is_normal(error) => {}
            Err(error) => {
                let error =
                    Error::new(Kind::Module, path.display().to_string(), "cannot be loaded").because(error);
                self.fail(&error.chain().to_string());
            }
        }
    }

    fn fail(&mut self, reason: &str) {
        log::warn(format_args!("module {reason}"));
        self.failures.push(reason.to_owned());
    }
}

/// Loads a module that no device asks for, and what it needs, after the start. What goes wrong is logged: the kernel
/// says no to what the module would have done.
pub fn load(name: &str) {
    Loader::open().load(name, Probing::Background);
}

/// The last module to load always that no other one needs.
fn last(index: &Index) -> Option<String> {
    let is_needed = |name: &Name| {
        let others = index.modules().filter(|other| *other != name);
        others
            .filter_map(|other| index.load_order(other.as_str()).ok())
            .any(|order| order.contains(&name))
    };
    let mut always = index.always().iter().rev();
    always.find(|name| !is_needed(name)).map(ToString::to_string)
}

/// Already there, or not for this machine: modules of other hypervisors and processors say so.
fn is_normal(error: Errno) -> bool {
    matches!(
        error,
        Errno::EXIST | Errno::NODEV | Errno::NOENT | Errno::NXIO | Errno::OPNOTSUPP | Errno::NOSYS
    )
}

fn read_index(path: &Path) -> Result<Index> {
    let text = file::read(path, INDEX_LIMIT)?;
    Index::parse(&text)
        .map_err(|e| Error::new(Kind::Module, path.display().to_string(), "cannot be read").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_that_is_waited_with_is_needed_by_no_other() {
        let text = b"module a\nmodule b a\nmodule c\nalways c\nalways b\nalways a\n";
        assert_eq!(last(&Index::parse(text).unwrap()).as_deref(), Some("b"));
        assert_eq!(last(&Index::parse(b"module a\n").unwrap()), None);
    }
}
