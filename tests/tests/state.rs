//! A state disk that is missing, foreign, damaged or full: the appliance says so and stays up.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::fs::File;
use std::path::Path;

use e2e::guest::{Guest, kept_disks};
use e2e::{artefacts, disk, ext4, recipe};

const STATE_DISK: &str =
    "[[disk]]\nid = \"state\"\n\n[disk.state]\nsize = \"8 GiB\"\nlabel = \"vcc-state\"\n";

#[test]
fn without_a_state_disk_the_appliance_says_so_and_stays_up() {
    let folder = tempfile::tempdir().unwrap();
    let package = recipe::build(&recipe::appliance(folder.path(), &[(STATE_DISK, "")]));
    check_unready(&Guest::start_package::<&str>(&package, &[]), true);
}

#[test]
fn a_disk_that_nobody_formatted_is_named_and_not_written_to() {
    let (folder, disks) = kept_disks();
    let blank = folder.path().join("blank.raw");
    File::create(&blank).unwrap().set_len(1 << 30).unwrap();
    disk::into_layer(&blank, &disks, "state");
    let guest = start(&disks);
    check_unready(&guest, true);
    guest.power_down();
    let after = disk::of_layer(&disks, "state", folder.path());
    artefacts::success(std::process::Command::new("cmp").arg(blank).arg(after));
}

#[test]
fn a_damaged_superblock_is_named_and_the_appliance_stays_up() {
    let (_folder, disks) = kept_disks();
    with_state_disk(&disks, |raw| {
        disk::write(raw, 1024, &garbage(1024));
        Some(())
    });
    check_unready(&start(&disks), true);
}

#[test]
fn a_damaged_journal_is_named_and_the_appliance_stays_up() {
    let (_folder, disks) = kept_disks();
    let damaged = with_state_disk(&disks, |raw| {
        let blocks = ext4::debug(raw, "blocks <8>")?;
        let first: u64 = blocks.split_whitespace().next().unwrap().parse().unwrap();
        disk::write(raw, first * 4096, &garbage(4096));
        Some(())
    });
    if damaged.is_some() {
        check_unready(&start(&disks), true);
    }
}

#[test]
fn a_full_state_disk_is_named_and_the_appliance_stays_up() {
    let (_folder, disks) = kept_disks();
    let full = with_state_disk(&disks, |raw| {
        let free = |raw: &Path| ext4::field(raw, "Free blocks").map(|text| text.parse::<u64>().unwrap());
        ext4::debug(raw, "write /dev/null fill")?;
        // The list of so many blocks takes a few itself.
        ext4::debug(raw, &format!("fallocate fill 0 {}", free(raw)? - 8));
        assert!(free(raw)? < 8, "{:?}", free(raw));
        Some(())
    });
    if full.is_some() {
        check_unready(&start(&disks), true);
    }
}

fn start(disks: &Path) -> Guest {
    Guest::start(&["--state", disks.to_str().unwrap()])
}

/// Alive, not ready, the disk named in both places; the identity lasts until the next restart.
fn check_unready(guest: &Guest, ephemeral: bool) {
    guest.wait_healthy();
    let ready = guest.get("/readyz");
    assert_eq!(ready.status, 503, "{ready:?}");
    let check = ready.check("state-disk");
    assert_eq!(check["status"], "fail", "{check}\n{}", guest.console());
    let reason = check["reason"].as_str().unwrap();
    assert!(!reason.is_empty());
    assert!(guest.console().contains("state disk"), "{}", guest.console());
    let about = guest.get("/api/v1/about").json();
    assert_eq!(about["ephemeral"], ephemeral, "{about}\n{}", guest.console());
    // It goes on living: the address, the adapter and the service are not the state disk's.
    assert_eq!(guest.get("/healthz").status, 200);
    assert_eq!(ready.check("network")["status"], "pass");
}

/// Lays the package's state disk, changed, where `ova run --state` takes it from; nothing where a tool is missing.
fn with_state_disk(disks: &Path, change: impl Fn(&Path) -> Option<()>) -> Option<()> {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_package(&artefacts::package(), "state", folder.path());
    change(&raw)?;
    disk::into_layer(&raw, disks, "state");
    Some(())
}

/// Bytes that are no structure of any file system.
fn garbage(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| u8::try_from(index * 167 % 251).unwrap() | 1)
        .collect()
}
