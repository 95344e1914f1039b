//! `ova verify` beside tar and openssl, which read and digest the same bytes and compare nothing.
//!
//! Run by `make bench-verify`; prints Markdown. The package holds a disk of noise, so that it is as large as the disk;
//! it is read once before, for both to find it in memory. They take turns (A B A B).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed measurement is a panic"
)]

use std::path::Path;

use e2e::measure::{self, Cost};
use e2e::{artefacts, recipe};

const ROUNDS: usize = 9;
const DISK: usize = 512 << 20;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let package = recipe::build(&recipe::raw(folder.path(), &noise(), ""));
    std::fs::remove_file(folder.path().join("disk.raw")).unwrap();
    let megabytes = std::fs::metadata(&package).unwrap().len() as f64 / 1e6;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    verify(&package);
    digest(&package);
    for _ in 0..ROUNDS {
        ours.push(verify(&package));
        theirs.push(digest(&package));
    }
    let (verify, digest) = (measure::median(&ours), measure::median(&theirs));
    println!(
        "| {megabytes:.0} MB, medians of {ROUNDS} in turn | CPU s | wall s | MB per CPU second | each, CPU s |"
    );
    println!("|---|---|---|---|---|");
    for (name, median, costs) in [
        ("`ova verify X.ova`", verify, &ours),
        ("`tar xOf X.ova \\| openssl dgst -sha256`", digest, &theirs),
    ] {
        let each: Vec<String> = costs.iter().map(|cost| format!("{:.2}", cost.cpu)).collect();
        println!(
            "| {name} | {:.3} | {:.3} | {:.0} | {} |",
            median.cpu,
            median.wall,
            megabytes / median.cpu,
            each.join(", ")
        );
    }
    println!(
        "| times as many MB per CPU second (target 1.7), as fast | {:.2} | {:.2} | | |",
        digest.cpu / verify.cpu,
        digest.wall / verify.wall
    );
    println!("\n{}.", measure::machine());
}

fn verify(package: &Path) -> Cost {
    let ova = artefacts::ova();
    let ova = ova.get_program().to_str().unwrap();
    measure::command("\"$2\" verify \"$1\"", &[package.to_str().unwrap(), ova], 1)
}

fn digest(package: &Path) -> Cost {
    let script = "tar -xOf \"$1\" | openssl dgst -sha256";
    measure::command(script, &[package.to_str().unwrap()], 1)
}

/// Bytes that don't compress, the same each time.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = vec![0; DISK];
    for word in bytes.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    bytes
}
