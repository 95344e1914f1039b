//! Two slots, and a loader that tries one once and falls back, on both firmwares.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::Path;

use e2e::guest::{Guest, kept_disks};
use e2e::{artefacts, disk};
use image::grub::{ENVIRONMENT_LENGTH, Environment};
use image::slot::Slot;

#[test]
fn bios_tries_slot_b_once_and_goes_back_to_slot_a() {
    tried_once_then_back(&["--firmware", "bios", "--disk-bus", "pvscsi"]);
}

#[test]
fn efi_tries_slot_b_once_and_goes_back_to_slot_a() {
    tried_once_then_back(&["--firmware", "efi", "--disk-bus", "virtio-blk"]);
}

#[test]
fn bios_starts_slot_a_at_once_where_slot_b_is_empty() {
    empty_slot_is_passed_over(&["--firmware", "bios"]);
}

#[test]
fn efi_starts_slot_a_at_once_where_slot_b_is_empty() {
    empty_slot_is_passed_over(&["--firmware", "efi"]);
}

#[test]
fn bios_starts_slot_a_where_the_environment_block_is_lost() {
    lost_environment_means_slot_a(&["--firmware", "bios"]);
}

#[test]
fn efi_starts_slot_a_where_the_environment_block_is_lost() {
    lost_environment_means_slot_a(&["--firmware", "efi"]);
}

fn tried_once_then_back(machine: &[&str]) {
    let (_folder, disks) = kept_disks();
    with_system_disk(&disks, |raw| {
        let slot_a = disk::read(raw, disk::partition(raw, "slot-a"));
        disk::write(raw, disk::partition(raw, "slot-b").start, &slot_a);
        try_slot_b(raw);
    });
    let guest = start(machine, &disks);
    guest.wait_healthy();
    assert_eq!(slot(&guest), "b", "{}", guest.console());
    guest.reset();
    guest.wait_for("/api/v1/about", |answer| {
        answer.status == 200 && answer.json()["boots"] == 2
    });
    assert_eq!(slot(&guest), "a", "{}", guest.console());
    guest.power_down();
    assert_eq!(environment(&disks), (Slot::A, None));
}

fn empty_slot_is_passed_over(machine: &[&str]) {
    let (_folder, disks) = kept_disks();
    with_system_disk(&disks, try_slot_b);
    let guest = start(machine, &disks);
    guest.wait_healthy();
    assert_eq!(
        (slot(&guest).as_str(), boots(&guest)),
        ("a", 1),
        "{}",
        guest.console()
    );
}

fn lost_environment_means_slot_a(machine: &[&str]) {
    let (_folder, disks) = kept_disks();
    with_system_disk(&disks, |raw| {
        disk::write(
            raw,
            disk::partition(raw, "boot-env").start,
            &[0; ENVIRONMENT_LENGTH],
        );
    });
    let guest = start(machine, &disks);
    guest.wait_healthy();
    assert_eq!(
        (slot(&guest).as_str(), boots(&guest)),
        ("a", 1),
        "{}",
        guest.console()
    );
}

fn start(machine: &[&str], disks: &Path) -> Guest {
    let mut arguments = machine.to_vec();
    arguments.extend(["--state", disks.to_str().unwrap()]);
    Guest::start(&arguments)
}

/// Lays the package's system disk, changed, where `ova run --state` takes it from.
fn with_system_disk(disks: &Path, change: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_package(&artefacts::package(), "system", folder.path());
    change(&raw);
    disk::into_layer(&raw, disks, "system");
}

fn try_slot_b(raw: &Path) {
    let mut environment = Environment::fresh(Slot::A);
    environment.try_once(Some(Slot::B));
    disk::write(
        raw,
        disk::partition(raw, "boot-env").start,
        &environment.render().unwrap(),
    );
}

/// The good slot and the slot to try, as the loader left them.
fn environment(disks: &Path) -> (Slot, Option<Slot>) {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_layer(disks, "system", folder.path());
    let start = disk::partition(&raw, "boot-env").start;
    let environment =
        Environment::parse(&disk::read(&raw, start..start + ENVIRONMENT_LENGTH as u64)).unwrap();
    (environment.slot(), environment.trying())
}

fn slot(guest: &Guest) -> String {
    guest.get("/api/v1/about").json()["slot"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn boots(guest: &Guest) -> u64 {
    guest.get("/api/v1/about").json()["boots"].as_u64().unwrap()
}
