//! Kernel modules, loaded in the order of their dependencies (`/lib/modules/index`, see [`image::modules::Index`]).

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use image::modules::Index;
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
    loaded: usize,
    failures: Vec<String>,
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
    pub fn load(&mut self, name: &str) {
        if self.done.contains(name) {
            return;
        }
        let order = match self.index.load_order(name) {
            Ok(order) => order.into_iter().map(ToString::to_string).collect::<Vec<_>>(),
            Err(error) => return self.fail(&error.to_string()),
        };
        for name in order {
            if !self.done.contains(&name) {
                self.insert(&name);
                self.done.insert(name);
            }
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

    fn insert(&mut self, name: &str) {
        let path = PathBuf::from(format!("{DIRECTORY}/{name}.ko"));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => return self.fail(&Error::file(&path, "open", error).chain().to_string()),
        };
        let t = std::time::Instant::now();
        let r = finit_module(&file, c"", 0);
        log::info(format_args!("TRACE {name} took {:?} at {:?}", t.elapsed(), t));
        match r {
            Ok(()) => self.loaded += 1,
            Err(error) if is_normal(error) => {}
            Err(error) => {
                let error = Error::new(Kind::Module, path.display().to_string(), "cannot be loaded").because(error);
                self.fail(&error.chain().to_string());
            }
        }
    }

    fn fail(&mut self, reason: &str) {
        log::warn(format_args!("module {reason}"));
        self.failures.push(reason.to_owned());
    }
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
