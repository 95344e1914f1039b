//! What a large file costs in memory. A process of its own: whatever else runs in it would count.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "transfer/curl.rs"]
mod curl;
#[path = "transfer/server.rs"]
mod server;

use std::io::Read as _;

use appliance::digest::{Digest, Hasher};
use curl::curl;
use server::start;
use uuid::Uuid;

const MIB: u64 = 1 << 20;

#[test]
fn a_file_of_a_hundred_mebibytes_comes_and_goes_in_little_memory() {
    const LIMIT: u64 = 48 * MIB;
    let server = start();
    let path = server.file(100 * MIB);
    let digest = digest_of(&path);
    assert_eq!(curl(&[&server.url("/")]).body, "here");

    let before = most_memory();
    let sent = curl(&[
        "-T",
        &path,
        "-H",
        "Authorization: Bearer good",
        &server.url(&format!("/uploads/{}", Uuid::new_v4())),
    ]);
    assert_eq!(
        (sent.status, sent.body),
        (200, digest.to_string()),
        "{}",
        sent.wire
    );
    assert_eq!(sent.sent, 100 * MIB);
    assert!(sent.wire.contains("100 Continue"));
    let grown = most_memory().saturating_sub(before);
    assert!(grown < LIMIT, "{grown} bytes for what came");

    let taken = format!("{path}-taken");
    let run = curl(&["-o", &taken, &server.url(&format!("/files/{digest}"))]);
    assert_eq!((run.status, digest_of(&taken)), (200, digest), "{}", run.wire);
    let grown = most_memory().saturating_sub(before);
    assert!(grown < LIMIT, "{grown} bytes for what came and went");
}

fn digest_of(path: &str) -> Digest {
    let mut file = std::fs::File::open(path).unwrap();
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).unwrap() {
            0 => return hasher.finish(),
            length => hasher.update(&piece[..length]),
        }
    }
}

/// The most memory that this process ever had, in bytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
