//! Recipes made for one test.

use std::path::{Path, PathBuf};

use crate::artefacts;

/// A recipe of one raw disk; `more` is added at its end.
pub fn raw(folder: &Path, disk: &[u8], more: &str) -> PathBuf {
    std::fs::write(folder.join("disk.raw"), disk).unwrap();
    write(
        folder,
        &format!("{HEAD}\n[[disk]]\nid = \"data\"\nraw = \"disk.raw\"\n{more}"),
    )
}

pub fn write(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("recipe.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Everything a recipe must have, short of disks.
pub const HEAD: &str = r#"annotation = "A <small> & \"quoted\" machine"

[product]
name = "Test"
vendor = "Tester"
version = "1"

[system]
id = "test"
cpus = 1
memory = "64 MiB"
hardware = ["vmx-13"]
guest-os = { id = 96 }
"#;

/// The appliance's own recipe with passages exchanged, each of which it must have; its files stay where they are.
pub fn appliance(folder: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let home = artefacts::workspace().join("appliance");
    let mut text = std::fs::read_to_string(home.join("vcc-node.toml")).unwrap();
    let init = artefacts::vcc();
    let files = [
        ("\"debian.lock\"", home.join("debian.lock")),
        ("\"../out/vcc\"", init),
        ("\"../Cargo.toml\"", artefacts::workspace().join("Cargo.toml")),
        ("\"eula.txt\"", home.join("eula.txt")),
    ];
    for (name, path) in files {
        text = exchange(&text, name, &format!("{path:?}"));
    }
    for (old, new) in changes {
        text = exchange(&text, old, new);
    }
    write(folder, &text)
}

fn exchange(text: &str, old: &str, new: &str) -> String {
    assert_eq!(
        text.matches(old).count(),
        1,
        "the recipe should have this once: {old}"
    );
    text.replace(old, new)
}

/// Builds a recipe, unsigned, into the same folder.
pub fn build(recipe: &Path) -> PathBuf {
    let package = recipe.with_extension("ova");
    artefacts::success(artefacts::ova().arg("build").arg(recipe).arg("-o").arg(&package));
    package
}

/// Builds a recipe, signed with the development key, into the same folder.
pub fn build_signed(recipe: &Path) -> PathBuf {
    let package = recipe.with_extension("ova");
    let mut command = artefacts::ova();
    command.arg("build").arg(recipe).arg("-o").arg(&package);
    command
        .arg("--sign")
        .arg(artefacts::key("key.pem"))
        .arg("--cert")
        .arg(artefacts::key("cert.pem"));
    artefacts::success(&mut command);
    package
}
