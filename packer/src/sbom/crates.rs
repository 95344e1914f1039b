use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::error::{Error, Result};

/// A crate that is linked into a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SPDX expression, as its manifest has it.
    pub licence: Option<String>,
    /// Where its source can be had.
    pub source: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// The crates linked into `package` of the workspace at `manifest`, sorted; asks cargo, without the network.
///
/// # Errors
/// cargo is absent or fails, or the workspace has no such package.
pub fn crates_of(manifest: &Path, package: &str) -> Result<Vec<Crate>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform=x86_64-unknown-linux-gnu", "--manifest-path"])
        .arg(manifest)
        .output()
        .map_err(|error| Error::program("cargo", error))?;
    if !output.status.success() {
        return Err(Error::program(
            "cargo metadata",
            String::from_utf8_lossy(&output.stderr).trim(),
        ));
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).map_err(|error| Error::program("cargo metadata", error))?;
    linked(&metadata, package)
        .ok_or_else(|| Error::Usage(format!("{}: no package '{package}'", manifest.display())))
}

fn linked(metadata: &Metadata, root: &str) -> Option<Vec<Crate>> {
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|p| (p.id.as_str(), p)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|n| (n.id.as_str(), n))
        .collect();
    let root = metadata.packages.iter().find(|package| package.name == root)?;
    let mut reached = BTreeSet::new();
    let mut open = vec![root.id.as_str()];
    while let Some(id) = open.pop() {
        let Some(package) = packages.get(id) else { continue };
        let macros = package
            .targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "proc-macro"));
        if macros || !reached.insert(id) {
            continue;
        }
        let normal = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
        let dependencies = nodes.get(id).map_or(&[][..], |node| &node.deps);
        open.extend(
            dependencies
                .iter()
                .filter(normal)
                .map(|dependency| dependency.pkg.as_str()),
        );
    }
    let mut crates: Vec<Crate> = reached
        .iter()
        .filter_map(|id| packages.get(id))
        .map(|p| describe(p))
        .collect();
    crates.sort();
    Some(crates)
}

fn describe(package: &Package) -> Crate {
    let Package {
        name,
        version,
        license,
        repository,
        source,
        ..
    } = package;
    // The crate's own page stands for its source: the registry keeps every version published.
    let published = source
        .as_ref()
        .map(|_| format!("https://crates.io/crates/{name}/{version}"));
    Crate {
        name: name.clone(),
        version: version.clone(),
        licence: license.clone(),
        source: published.or_else(|| repository.clone()),
    }
}
