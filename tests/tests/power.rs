//! Power: switched off in order, cut, or reset by the watchdog.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::Path;

use e2e::guest::{Guest, kept_disks};
use e2e::{disk, ext4, recipe};

#[test]
fn the_power_button_unmounts_the_state_disk_and_switches_off() {
    let (_folder, disks) = kept_disks();
    let guest = Guest::start(&["--state", disks.to_str().unwrap()]);
    guest.wait_healthy();
    let console = guest.power_down();
    assert!(console.contains("unmounted"), "{console}");

    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_layer(&disks, "state", folder.path());
    let Some((code, text)) = ext4::check(&raw, "-fn") else {
        return;
    };
    assert_eq!(code, 0, "{text}");
    assert_eq!(ext4::field(&raw, "Filesystem state").unwrap(), "clean");
    let features = ext4::field(&raw, "Filesystem features").unwrap();
    assert!(!features.contains("needs_recovery"), "{features}");
}

#[test]
fn a_wedged_runtime_is_reset_by_the_watchdog_and_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let wedged = "[disk.boot]\ncmdline = \"vcc.fault=wedge-after=20\"";
    let package = recipe::build(&recipe::appliance(folder.path(), &[("[disk.boot]", wedged)]));
    let disks = folder.path().join("disks");
    let guest = Guest::start_package(&package, &["--state", disks.to_str().unwrap()]);
    guest.wait_healthy();
    let event = guest.wait_event("WATCHDOG");
    assert_eq!(event["action"], "reset");
    let again = guest.wait_for("/api/v1/about", |answer| {
        answer.status == 200 && answer.json()["boots"] == 2
    });
    assert_eq!(again.json()["ephemeral"], false);
}

#[test]
fn five_power_cuts_leave_a_state_disk_that_its_journal_mends() {
    let (_folder, disks) = kept_disks();
    for _ in 0..5 {
        let guest = Guest::start(&["--state", disks.to_str().unwrap()]);
        guest.wait_healthy();
        guest.pull_the_plug();
        check_after_power_cut(&disks);
    }
    let guest = Guest::start(&["--state", disks.to_str().unwrap()]);
    guest.wait_healthy();
    let about = guest.get("/api/v1/about").json();
    assert_eq!(about["boots"], 6, "{about}");
    assert_eq!(about["ephemeral"], false, "{about}");
}

/// `e2fsck -n` does not replay the journal, so a copy is mended first and looked at then.
fn check_after_power_cut(disks: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let copy = disk::of_layer(disks, "state", folder.path());
    let Some((code, text)) = ext4::check(&copy, "-fp") else {
        return;
    };
    assert!(code <= 1, "e2fsck -fp left with {code}\n{text}");
    let (code, text) = ext4::check(&copy, "-fn").unwrap();
    assert_eq!(code, 0, "{text}");
}
