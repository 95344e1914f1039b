//! Which modules a list of wanted ones brings along.

use std::collections::{BTreeMap, BTreeSet};

use super::{Alias, Index, Modinfo, Name};
use crate::error::{Error, Kind, Place, Result};

/// Where modules come from: a kernel package's tree, read as needed.
pub trait Lookup {
    /// The uncompressed `.ko` file of a module, or nothing if the kernel has no such module file.
    ///
    /// # Errors
    /// Whatever reading gives.
    fn file(&self, name: &Name) -> Result<Option<Vec<u8>>>;

    /// Whether the kernel itself contains it (`modules.builtin`).
    fn is_builtin(&self, name: &Name) -> bool;

    /// All modules that [`Lookup::file`] knows, for hints in errors.
    fn names(&self) -> Vec<Name>;
}

/// Modules with everything that they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What goes into the initramfs as `lib/modules/index`.
    pub index: Index,
    /// The module files, as given by the lookup.
    pub files: BTreeMap<Name, Vec<u8>>,
    /// What each says of itself: licences for a bill of materials, among others.
    pub modules: BTreeMap<Name, Modinfo>,
}

/// Chooses `wanted` and `always` modules and all that they depend on; `always` ones are marked to be loaded whatever the
/// hardware, in the order given. Names that the kernel has built in need nothing.
///
/// A soft `pre` dependency is followed where it names a module. Where it names an alias (ext4 asks for `crc32c`, which
/// `crc32c_generic` answers to) it is ordered after those chosen modules that carry the alias: which of several to
/// bring along is the caller's choice, made by listing it. Soft `post` dependencies are not followed.
///
/// # Errors
/// [`Kind::ModuleMissing`] naming the module, who asked for it and modules of similar names; [`Kind::Malformed`] for a
/// file that is no module or that was built for another kernel than the rest; [`Kind::ModuleCycle`].
pub fn select(lookup: &dyn Lookup, wanted: &[Name], always: &[Name]) -> Result<Selection> {
    let mut closure = Closure {
        lookup,
        files: BTreeMap::new(),
        modules: BTreeMap::new(),
    };
    closure.gather(wanted.iter().chain(always))?;
    let mut loaded = always.to_vec();
    loaded.retain(|name| closure.modules.contains_key(name));
    let index = Index::new(closure.dependencies(), closure.aliases(), loaded)?;
    Ok(Selection {
        index,
        files: closure.files,
        modules: closure.modules,
    })
}

/// The modules named by a kernel's `modules.builtin` file (a path such as `kernel/fs/ext4/ext4.ko` a line).
pub fn builtin_names(text: &str) -> BTreeSet<Name> {
    text.lines().filter_map(Name::from_path).collect()
}

struct Closure<'a> {
    lookup: &'a dyn Lookup,
    files: BTreeMap<Name, Vec<u8>>,
    modules: BTreeMap<Name, Modinfo>,
}

impl Closure<'_> {
    fn gather<'n>(&mut self, wanted: impl Iterator<Item = &'n Name>) -> Result<()> {
        let mut queue: Vec<(Name, Option<Name>)> = wanted.map(|name| (name.clone(), None)).collect();
        while let Some((name, asked_by)) = queue.pop() {
            if self.modules.contains_key(&name) || self.lookup.is_builtin(&name) {
                continue;
            }
            let file = self
                .lookup
                .file(&name)?
                .ok_or_else(|| self.missing(&name, asked_by.as_ref()))?;
            let info = Modinfo::parse(&name, &file)?;
            self.check(&name, &info)?;
            queue.extend(
                info.depends
                    .iter()
                    .map(|needed| (needed.clone(), Some(name.clone()))),
            );
            for soft in soft_names(&info) {
                if self.lookup.file(&soft)?.is_some() {
                    queue.push((soft, Some(name.clone())));
                }
            }
            self.files.insert(name.clone(), file);
            self.modules.insert(name, info);
        }
        Ok(())
    }

    /// A module under another's name would never be found; one of another kernel would never load.
    fn check(&self, name: &Name, info: &Modinfo) -> Result<()> {
        let refuse = |reason| Err(Error::malformed(Place::Module(name.to_string()), reason));
        if info.name != *name {
            return refuse(format!("the file is of module {}", info.name));
        }
        match self.modules.values().next() {
            Some(other) if other.vermagic != info.vermagic => refuse(format!(
                "is built for kernel {:?}, {} for {:?}",
                info.vermagic, other.name, other.vermagic
            )),
            _ => Ok(()),
        }
    }

    fn dependencies(&self) -> BTreeMap<Name, Vec<Name>> {
        let mut all = BTreeMap::new();
        for (name, info) in &self.modules {
            let soft = info.soft.pre.iter().flat_map(|soft| self.providers(soft));
            let mut needed = Vec::new();
            for dependency in info.depends.iter().chain(soft) {
                if self.modules.contains_key(dependency) && !needed.contains(dependency) {
                    needed.push(dependency.clone());
                }
            }
            all.insert(name.clone(), needed);
        }
        all
    }

    /// The chosen modules that a soft dependency means: the one of that name or those with that alias.
    fn providers<'s>(&'s self, soft: &'s str) -> Vec<&'s Name> {
        let by_name = soft
            .parse::<Name>()
            .ok()
            .and_then(|name| self.modules.get_key_value(&name));
        match by_name {
            Some((name, _)) => vec![name],
            None => {
                let answers = |info: &Modinfo| info.aliases.iter().any(|alias| alias == soft);
                self.modules
                    .iter()
                    .filter(|(_, info)| answers(info))
                    .map(|(name, _)| name)
                    .collect()
            }
        }
    }

    fn aliases(&self) -> Vec<Alias> {
        let of = |(name, info): (&Name, &Modinfo)| {
            let aliases: BTreeSet<&String> = info.aliases.iter().collect();
            aliases
                .into_iter()
                .map(|pattern| Alias {
                    pattern: pattern.clone(),
                    module: name.clone(),
                })
                .collect::<Vec<_>>()
        };
        self.modules.iter().flat_map(of).collect()
    }

    fn missing(&self, name: &Name, asked_by: Option<&Name>) -> Error {
        let mut reason = String::from("the kernel has no such module");
        if let Some(asked_by) = asked_by {
            reason += &format!(" ({asked_by} depends on it)");
        }
        let near = near(name, &self.lookup.names());
        if !near.is_empty() {
            reason += &format!("; near names: {}", near.join(", "));
        }
        Error::new(Kind::ModuleMissing, Place::Module(name.to_string()), reason)
    }
}

fn soft_names(info: &Modinfo) -> impl Iterator<Item = Name> {
    info.soft.pre.iter().filter_map(|soft| soft.parse().ok())
}

/// At most three names that a typing error or a missing suffix could have meant, nearest first.
fn near(name: &Name, names: &[Name]) -> Vec<String> {
    let name = name.as_str();
    let mut close: Vec<(usize, &str)> = names
        .iter()
        .map(|other| (distance(name, other.as_str()), other.as_str()))
        .filter(|(steps, other)| *steps <= 2 || (name.len() >= 4 && other.contains(name)))
        .collect();
    close.sort_unstable();
    close
        .into_iter()
        .take(3)
        .map(|(_, other)| other.to_owned())
        .collect()
}

/// Levenshtein's distance: single-character insertions, deletions and replacements.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::modinfo::tests::module;
    use super::*;

    struct Kernel(BTreeMap<Name, Vec<u8>>);

    impl Lookup for Kernel {
        fn file(&self, name: &Name) -> Result<Option<Vec<u8>>> {
            Ok(self.0.get(name).cloned())
        }
        fn is_builtin(&self, name: &Name) -> bool {
            name.as_str() == "libcrc32c"
        }
        fn names(&self) -> Vec<Name> {
            self.0.keys().cloned().collect()
        }
    }

    fn kernel() -> Kernel {
        let files = [
            module(&[
                "name=ext4",
                "depends=jbd2,libcrc32c",
                "softdep=pre: crc32c",
                "alias=fs-ext4",
                "vermagic=1",
            ]),
            module(&["name=jbd2", "depends=", "vermagic=1"]),
            module(&["name=crc32c_generic", "depends=", "alias=crc32c", "vermagic=1"]),
            module(&[
                "name=virtio_net",
                "depends=net_failover",
                "alias=virtio:d00000001v*",
                "vermagic=1",
            ]),
            module(&["name=stray", "depends=", "vermagic=2"]),
        ];
        let name = |file: &Vec<u8>| Modinfo::parse(&"x".parse().unwrap(), file).unwrap().name;
        Kernel(files.into_iter().map(|file| (name(&file), file)).collect())
    }

    fn list(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_wanted_module_brings_its_dependencies_and_leaves_out_built_in_ones() {
        let chosen = select(&kernel(), &list(&["ext4"]), &list(&["libcrc32c"])).unwrap();
        assert_eq!(
            chosen.index.render(),
            "module ext4 jbd2\nmodule jbd2\nalias fs-ext4 ext4\n"
        );
        assert_eq!(chosen.files.len(), 2);
    }

    #[test]
    fn a_soft_dependency_by_alias_orders_the_chosen_provider_first() {
        let chosen = select(&kernel(), &list(&["crc32c_generic"]), &list(&["ext4"])).unwrap();
        let order = chosen.index.load_order("ext4").unwrap();
        assert_eq!(
            order.iter().map(|n| n.as_str()).collect::<Vec<_>>(),
            ["jbd2", "crc32c_generic", "ext4"]
        );
        assert_eq!(chosen.index.always(), list(&["ext4"]));
    }

    #[test]
    fn a_missing_module_is_named_with_who_asked_and_near_names() {
        let error = select(&kernel(), &list(&["ext5"]), &[]).unwrap_err();
        assert_eq!(
            (error.kind(), error.place()),
            (Kind::ModuleMissing, &Place::Module("ext5".into()))
        );
        assert!(error.reason().contains("ext4"), "{error}");
        let error = select(&kernel(), &list(&["virtio_net"]), &[]).unwrap_err();
        assert!(
            error.to_string().contains("net_failover") && error.reason().contains("virtio_net"),
            "{error}"
        );
    }

    #[test]
    fn modules_of_two_kernels_do_not_mix() {
        let error = select(&kernel(), &list(&["jbd2", "stray"]), &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
    }

    #[test]
    fn builtin_list_gives_normalised_names() {
        let names = builtin_names("kernel/lib/crc-t10dif.ko\nkernel/fs/binfmt_script.ko\n");
        assert_eq!(
            names.iter().map(Name::as_str).collect::<Vec<_>>(),
            ["binfmt_script", "crc_t10dif"]
        );
    }
}
