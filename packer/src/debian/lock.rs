use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::recipe::Spot;

/// The lock file: which Debian packages, to the byte.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The packages, by name.
    #[serde(default)]
    pub package: Vec<LockedPackage>,
}

/// One locked package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedPackage {
    /// Binary package name.
    pub name: String,
    /// Binary version.
    pub version: String,
    /// SHA-256 of the `.deb`, lower-case hex.
    pub sha256: Sha256Hex,
    /// Length of the `.deb` in bytes.
    pub size: u64,
    /// Source package name.
    pub source: String,
    /// Source version.
    pub source_version: String,
    /// The source that its binaries were really made from, where that is another one: Debian's signed kernels are
    /// repacked by a source package that holds signatures only (Built-Using, Debian policy 7.8).
    pub built_using: Option<SourcePackage>,
}

/// A source package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sha256Hex(String);

impl TryFrom<String> for Sha256Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let hex = text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex {
            Ok(Self(text))
        } else {
            Err("not a SHA-256 digest: 64 lower-case hex digits")
        }
    }
}

impl Sha256Hex {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const MAX_LOCK_BYTES: u64 = 1 << 20;

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// It can't be read, or is malformed: the error names line and column.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = crate::input::read_bounded(path, MAX_LOCK_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::recipe(path, None, "not UTF-8"))?;
        let lock: Self = toml::from_str(&text).map_err(|error| {
            let spot = error.span().map(|span| Spot::of(&text, span.start));
            Error::recipe(path, spot, error.message().to_owned())
        })?;
        for package in &lock.package {
            check_words(package).map_err(|reason| Error::recipe(path, None, reason))?;
        }
        Ok(lock)
    }

    /// The entry for a package.
    ///
    /// # Errors
    /// The lock has none.
    pub fn get(&self, name: &str) -> Result<&LockedPackage> {
        self.package
            .iter()
            .find(|package| package.name == name)
            .ok_or_else(|| Error::debian(name, "not in the lock file; 'ova lock RECIPE' writes it"))
    }

    /// The file's text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::from(
            "# Debian packages that the appliance is made from. `ova lock` writes this file; the build\n\
             # refuses a package whose digest differs.\n",
        );
        for package in &self.package {
            let LockedPackage {
                name,
                version,
                sha256,
                size,
                source,
                source_version,
                built_using,
            } = package;
            let sha256 = sha256.as_str();
            // Writing to a String can't fail.
            let _ = write!(
                text,
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsha256 = \"{sha256}\"\n\
                 size = {size}\nsource = \"{source}\"\nsource-version = \"{source_version}\"\n",
            );
            if let Some(SourcePackage { name, version }) = built_using {
                let _ = writeln!(
                    text,
                    "built-using = {{ name = \"{name}\", version = \"{version}\" }}"
                );
            }
        }
        text
    }
}

/// Names and versions go into command lines and file names: Debian policy's alphabets, nothing more.
fn check_words(package: &LockedPackage) -> Result<(), String> {
    let LockedPackage {
        name,
        version,
        source,
        source_version,
        built_using,
        ..
    } = package;
    let built_using = built_using
        .iter()
        .flat_map(|source| [&source.name, &source.version]);
    let named = [name, version, source, source_version]
        .into_iter()
        .chain(built_using);
    for word in named {
        let legal = |c: char| c.is_ascii_alphanumeric() || "+-.:~".contains(c);
        if !word.starts_with(|c: char| c.is_ascii_alphanumeric()) || !word.chars().all(legal) {
            return Err(format!("'{word}' is not a Debian package name or version"));
        }
    }
    Ok(())
}

/// Asks the machine's apt for the candidate versions of `names`.
///
/// # Errors
/// apt is absent, or knows no such package.
pub fn resolve(names: &[&str]) -> Result<Lock> {
    let package = names
        .iter()
        .map(|name| resolve_one(name))
        .collect::<Result<_>>()?;
    Ok(Lock { package })
}

fn resolve_one(name: &str) -> Result<LockedPackage> {
    let output = Command::new("apt-cache")
        .args(["show", "--no-all-versions", "--", name])
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| Error::program("apt-cache", error))?;
    if !output.status.success() {
        return Err(Error::debian(
            name,
            "apt knows no such package; has 'apt-get update' been run?",
        ));
    }
    parse_stanza(name, &String::from_utf8_lossy(&output.stdout))
}

fn parse_stanza(name: &str, stanza: &str) -> Result<LockedPackage> {
    let field = |key: &str| {
        let line = stanza
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        line.ok_or_else(|| Error::debian(name, format!("apt's record has no {key}")))
    };
    let version = field("Version")?;
    // "Source: name (version)" is left out where it repeats the binary's own.
    let (source, source_version) = match field("Source") {
        Ok(source) => source
            .split_once(" (")
            .map_or((source, version), |(source, rest)| {
                (source, rest.trim_end_matches(')'))
            }),
        Err(_) => (name, version),
    };
    let package = LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        sha256: field("SHA256")?
            .to_owned()
            .try_into()
            .map_err(|reason: &str| Error::debian(name, reason))?,
        size: field("Size")?
            .parse()
            .map_err(|_| Error::debian(name, "apt's record has no length"))?,
        source: source.to_owned(),
        source_version: source_version.to_owned(),
        built_using: field("Built-Using").ok().and_then(first_source),
    };
    check_words(&package).map_err(|reason| Error::debian(name, reason))?;
    Ok(package)
}

/// The first of `name (= version), ...`.
fn first_source(list: &str) -> Option<SourcePackage> {
    let (name, version) = list.split(',').next()?.trim().split_once(" (= ")?;
    Some(SourcePackage {
        name: name.to_owned(),
        version: version.trim_end_matches(')').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZA: &str = "Package: libext2fs2\nSource: e2fsprogs (1.47.0-2)\nVersion: 1.47.0-2+b2\nSize: 7\nBuilt-Using: linux (= 6.1-1), gcc (= 12)\n\
        SHA256: dff731f2318df99da4b8bf5f330f415f95b94c609bac29e7b2edba0a38f22a98\n";

    #[test]
    fn a_record_of_apt_becomes_a_lock_entry_that_reads_back() {
        let package = parse_stanza("libext2fs2", STANZA).unwrap();
        assert_eq!(
            (package.source.as_str(), package.source_version.as_str()),
            ("e2fsprogs", "1.47.0-2")
        );
        let built_using = package.built_using.as_ref().unwrap();
        assert_eq!(
            (built_using.name.as_str(), built_using.version.as_str()),
            ("linux", "6.1-1")
        );
        let lock = Lock {
            package: vec![package],
        };
        let again: Lock = toml::from_str(&lock.render()).unwrap();
        assert_eq!(again.package, lock.package);
    }

    #[test]
    fn a_version_that_is_an_option_or_a_path_is_refused() {
        for version in ["-oAPT::x=y", "../../x", "1 2", ""] {
            let stanza = STANZA.replace("1.47.0-2+b2", version);
            assert!(parse_stanza("libext2fs2", &stanza).is_err(), "{version}");
        }
    }
}
