//! The list of an initramfs's kernel modules: what depends on what, which alias means which, what to load always.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Name, matches};
use crate::error::{Error, Kind, Place, Result};

/// Ceilings of [`Index::parse`]: an order of magnitude above what a full Debian kernel would need.
const TEXT_LIMIT: usize = 8 << 20;
const LINE_LIMIT: usize = 4096;
const MODULE_LIMIT: usize = 16_384;

/// Kernel modules with their dependencies, aliases and the ones that are loaded whatever the hardware.
///
/// Its text form has one statement a line, words parted by one space:
///
/// ```text
/// module NAME DEP DEP...
/// alias PATTERN NAME
/// always NAME
/// ```
///
/// Dependencies are direct ones, loaded before the module itself; a soft `pre` dependency counts as one. Every module
/// that is named has its own `module` line, and no module needs itself, however indirectly.
///
/// ```
/// let index = image::modules::Index::parse(b"module ext4 jbd2\nmodule jbd2\nalias fs-ext4 ext4\nalways ext4\n")?;
/// let order: Vec<&str> = index.load_order("ext4")?.iter().map(|name| name.as_str()).collect();
/// assert_eq!(order, ["jbd2", "ext4"]);
/// assert_eq!(index.matching("fs-ext4")[0].as_str(), "ext4");
/// # Ok::<(), image::error::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    modules: BTreeMap<Name, Vec<Name>>,
    aliases: Vec<Alias>,
    always: Vec<Name>,
}

/// A pattern that a device's modalias is compared with, and the module to load where it fits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alias {
    /// As in the module's `alias=` line; see [`matches()`].
    pub pattern: String,
    /// What to load.
    pub module: Name,
}

impl Index {
    /// Checks and keeps `modules` (name to direct dependencies), `aliases` and the modules to load `always`, in order.
    ///
    /// # Errors
    /// [`Kind::ModuleMissing`] for a name without an entry in `modules`, [`Kind::ModuleCycle`] for a ring,
    /// [`Kind::Invalid`] for a pattern that would not survive being written as a line.
    pub fn new(modules: BTreeMap<Name, Vec<Name>>, aliases: Vec<Alias>, always: Vec<Name>) -> Result<Self> {
        let index = Self {
            modules,
            aliases,
            always,
        };
        for alias in &index.aliases {
            check_pattern(&alias.pattern)?;
            index.known(&alias.module)?;
        }
        for name in &index.always {
            index.known(name)?;
        }
        index.order(index.modules.keys())?;
        Ok(index)
    }

    /// Reads what [`Index::render`] writes.
    ///
    /// # Errors
    /// The line and the reason of the first statement that is not exactly of the form above, ceilings (8 MiB of text,
    /// 4096 bytes a line, 16384 modules), and everything that [`Index::new`] refuses.
    pub fn parse(text: &[u8]) -> Result<Self> {
        if text.len() > TEXT_LIMIT {
            return Err(Error::new(
                Kind::Ceiling,
                Place::Whole,
                "the module index is larger than 8 MiB",
            ));
        }
        let text = std::str::from_utf8(text)
            .map_err(|e| Error::malformed(Place::Whole, "the module index is not UTF-8").because(e))?;
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(Error::new(
                Kind::Truncated,
                Place::Whole,
                "the module index's last line has no end",
            ));
        }
        let mut index = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            index.statement(line).map_err(|e| e.at(Place::Line(number)))?;
        }
        Self::new(index.modules, index.aliases, index.always)
    }

    /// The text form: modules by name, then aliases and always-lines in the order given.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, dependencies) in &self.modules {
            let _ = write!(text, "module {name}");
            for dependency in dependencies {
                let _ = write!(text, " {dependency}");
            }
            text.push('\n');
        }
        for Alias { pattern, module } in &self.aliases {
            let _ = writeln!(text, "alias {pattern} {module}");
        }
        for name in &self.always {
            let _ = writeln!(text, "always {name}");
        }
        text
    }

    /// The modules to load for `name`, in order, the module itself last. `-` and `_` are the same.
    ///
    /// # Errors
    /// [`Kind::ModuleMissing`] if the index has no such module.
    pub fn load_order(&self, name: &str) -> Result<Vec<&Name>> {
        let name = self.known(&name.parse()?)?;
        self.order([name])
    }

    /// The modules whose alias fits `modalias` (as in sysfs's `modalias` files), each once, in the index's order.
    pub fn matching(&self, modalias: &str) -> Vec<&Name> {
        let mut seen = BTreeSet::new();
        let fitting = self
            .aliases
            .iter()
            .filter(|alias| matches(&alias.pattern, modalias));
        fitting
            .map(|alias| &alias.module)
            .filter(|module| seen.insert(*module))
            .collect()
    }

    /// The modules to load whatever the hardware, in order.
    pub fn always(&self) -> &[Name] {
        &self.always
    }

    /// All modules, by name.
    pub fn modules(&self) -> impl Iterator<Item = &Name> {
        self.modules.keys()
    }

    /// All aliases, in order.
    pub fn aliases(&self) -> &[Alias] {
        &self.aliases
    }

    /// Whether there is a module of this (normalised) name.
    pub fn contains(&self, name: &str) -> bool {
        self.modules.contains_key(name)
    }

    fn known(&self, name: &Name) -> Result<&Name> {
        self.modules
            .get_key_value(name)
            .map(|(name, _)| name)
            .ok_or_else(|| {
                Error::new(
                    Kind::ModuleMissing,
                    Place::Module(name.to_string()),
                    "is not in the index",
                )
            })
    }

    /// `wanted` and all they need, what is needed first. Keeps its own stack: a long chain must not end the thread's.
    fn order<'a>(&'a self, wanted: impl IntoIterator<Item = &'a Name>) -> Result<Vec<&'a Name>> {
        let mut order = Vec::new();
        let (mut open, mut done) = (BTreeSet::new(), BTreeSet::new());
        for root in wanted {
            let mut stack = vec![root];
            while let Some(&name) = stack.last() {
                if done.contains(name) {
                    stack.pop();
                } else if open.insert(name) {
                    for dependency in self.dependencies(name)?.iter().rev() {
                        if open.contains(dependency) && !done.contains(dependency) {
                            let reason = format!("and {name} need each other");
                            return Err(Error::new(
                                Kind::ModuleCycle,
                                Place::Module(dependency.to_string()),
                                reason,
                            ));
                        }
                        stack.push(dependency);
                    }
                } else {
                    stack.pop();
                    done.insert(name);
                    order.push(name);
                }
            }
        }
        Ok(order)
    }

    fn dependencies(&self, name: &Name) -> Result<&[Name]> {
        self.known(name)?;
        Ok(self.modules.get(name).map_or(&[], Vec::as_slice))
    }

    fn statement(&mut self, line: &str) -> Result<()> {
        if line.len() > LINE_LIMIT {
            return Err(Error::new(Kind::Ceiling, Place::Whole, "longer than 4096 bytes"));
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "module" => self.module(rest),
            "alias" => {
                let (pattern, module) = rest
                    .rsplit_once(' ')
                    .ok_or_else(|| Error::malformed(Place::Whole, "an alias needs a pattern and a module"))?;
                check_pattern(pattern)?;
                self.aliases.push(Alias {
                    pattern: pattern.to_owned(),
                    module: module.parse()?,
                });
                Ok(())
            }
            "always" => {
                self.always.push(rest.parse()?);
                Ok(())
            }
            _ => Err(Error::malformed(
                Place::Whole,
                "begins with none of `module`, `alias` and `always`",
            )),
        }
    }

    fn module(&mut self, words: &str) -> Result<()> {
        let mut names = words.split(' ').map(str::parse::<Name>);
        let name = names.next().unwrap_or_else(|| "".parse())?;
        let dependencies = names.collect::<Result<Vec<_>>>()?;
        if self.modules.len() >= MODULE_LIMIT {
            return Err(Error::new(Kind::Ceiling, Place::Whole, "more than 16384 modules"));
        }
        if self.modules.contains_key(&name) {
            return Err(Error::new(
                Kind::Overlap,
                Place::Module(name.to_string()),
                "is listed twice",
            ));
        }
        self.modules.insert(name, dependencies);
        Ok(())
    }
}

fn check_pattern(pattern: &str) -> Result<()> {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if pattern.is_empty() || pattern.len() > LINE_LIMIT / 2 || !pattern.bytes().all(printable) {
        return Err(Error::invalid(
            Place::Whole,
            "an alias pattern is 1 to 2048 printable ASCII characters",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(list: &[&Name]) -> Vec<String> {
        list.iter().map(|name| name.to_string()).collect()
    }

    const TEXT: &str = "module crc16\nmodule ext4 crc16 jbd2 mbcache\nmodule jbd2 crc16\nmodule mbcache\n\
        module virtio_net\nalias fs-ext4 ext4\nalias virtio:d00000001v* virtio_net\nalways ext4\n";

    #[test]
    fn what_is_rendered_is_what_was_parsed() {
        assert_eq!(Index::parse(TEXT.as_bytes()).unwrap().render(), TEXT);
    }

    #[test]
    fn dependencies_load_first_and_each_once() {
        let index = Index::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(
            names(&index.load_order("ext4").unwrap()),
            ["crc16", "jbd2", "mbcache", "ext4"]
        );
        assert_eq!(index.load_order("virtio-net").unwrap().len(), 1);
        assert_eq!(index.load_order("nvme").unwrap_err().kind(), Kind::ModuleMissing);
    }

    #[test]
    fn a_device_finds_its_module_by_modalias() {
        let index = Index::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(
            names(&index.matching("virtio:d00000001v00001AF4")),
            ["virtio_net"]
        );
        assert!(index.matching("virtio:d00000002v00001AF4").is_empty());
    }

    #[test]
    fn hostile_indexes_are_refused_with_line_and_kind() {
        let cases: [(&str, Kind, Place); 8] = [
            ("module a\nmodule a\n", Kind::Overlap, Place::Line(2)),
            ("module ../a\n", Kind::Invalid, Place::Line(1)),
            ("module a  b\n", Kind::Invalid, Place::Line(1)),
            ("alias x\n", Kind::Malformed, Place::Line(1)),
            ("load a\n", Kind::Malformed, Place::Line(1)),
            ("module a b\n", Kind::ModuleMissing, Place::Module("b".into())),
            (
                "module a b\nmodule b a\n",
                Kind::ModuleCycle,
                Place::Module("a".into()),
            ),
            ("module a", Kind::Truncated, Place::Whole),
        ];
        for (text, kind, place) in cases {
            let error = Index::parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.kind(), error.place()), (kind, &place), "{text:?}: {error}");
        }
        let ring = Index::parse(b"module a a\n").unwrap_err();
        assert_eq!(ring.kind(), Kind::ModuleCycle);
    }

    #[test]
    fn a_chain_of_many_modules_does_not_exhaust_the_stack() {
        let mut text = String::from("module m0\n");
        for n in 1..16_384 {
            let _ = writeln!(text, "module m{n} m{}", n - 1);
        }
        let index = Index::parse(text.as_bytes()).unwrap();
        assert_eq!(index.load_order("m16383").unwrap().len(), 16_384);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(module|alias|always| |\n|a|b|\\*|-|\\PC){0,40}") {
            let _ = Index::parse(text.as_bytes());
        }
    }
}
