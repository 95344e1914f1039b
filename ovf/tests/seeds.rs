//! The fuzz targets' seeds, and the inputs that once made one fail, replayed.

use std::path::{Path, PathBuf};

#[allow(unreachable_pub, reason = "the fuzz crate's library, where they are reached")]
#[path = "../../fuzz/src/packages.rs"]
mod bodies;

/// Calls a target's body with every file of its seeds.
fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target);
    let mut seeds: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder of seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 3, "{target} has {} seeds", seeds.len());
    for seed in &seeds {
        // Shown only where the body fails: which input it was.
        println!("{}", seed.display());
        body(&std::fs::read(seed).expect("a seed"));
    }
}

#[test]
fn archives_read_the_same_in_every_way() {
    replay("archive", bodies::archive);
}

#[test]
fn certificate_files_are_read_and_written_the_same() {
    replay("certificate", bodies::certificate);
}

#[test]
fn descriptors_are_read_and_written_the_same() {
    replay("descriptor", bodies::descriptor);
}

#[test]
fn environments_are_read_and_written_the_same() {
    replay("environment", bodies::environment);
}

#[test]
fn files_read_the_same_in_every_way_and_stay_under_their_limits() {
    replay("file", bodies::file);
}

#[test]
fn manifests_are_read_and_written_the_same() {
    replay("manifest", bodies::manifest);
}
