//! The package's own disks boot and answer, on every kind of machine that the image is made for.
//!
//! What a loader needs of its firmware is the disk, so the pairs that matter are firmware and disk bus: with those of
//! `slots.rs`, every pair is booted that Debian's firmware can start from (its OVMF is built without a driver for
//! pvscsi). Firmware plays no part in networking, and a driver for a network adapter none in the disk: each adapter and
//! each way of handing the environment over is met once or twice.
//!
//! | firmware | bus | adapter | environment | test |
//! |---|---|---|---|---|
//! | BIOS | virtio-blk | virtio-net | ISO | two clones |
//! | BIOS | pvscsi | vmxnet3 | fw_cfg | here |
//! | BIOS | ahci | e1000 | ISO | here |
//! | BIOS | virtio-scsi | virtio-net | ISO | `slots.rs` |
//! | UEFI | virtio-scsi | e1000 | ISO | here |
//! | UEFI | ahci | vmxnet3 | fw_cfg | two clones |
//! | UEFI | virtio-blk | virtio-net | ISO | two clones, the first one again |
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::Path;
use std::process::Command;

use e2e::guest::{Guest, kept_disks};
use e2e::{artefacts, disk, ext4};

#[derive(Clone, Copy)]
struct Setting {
    firmware: &'static str,
    bus: &'static str,
    nic: &'static str,
    transport: &'static str,
    hostname: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    instance: String,
    fingerprint: String,
}

#[test]
fn the_appliance_boots_by_bios_from_pvscsi_and_answers_through_vmxnet3() {
    let setting = Setting {
        firmware: "bios",
        bus: "pvscsi",
        nic: "vmxnet3",
        transport: "fw-cfg",
        hostname: "paravirtual",
    };
    check(&boot(setting, None), setting, 1);
}

#[test]
fn the_appliance_boots_by_bios_from_ahci_and_answers_through_e1000() {
    let setting = Setting {
        firmware: "bios",
        bus: "ahci",
        nic: "e1000",
        transport: "iso",
        hostname: "plain",
    };
    check(&boot(setting, None), setting, 1);
}

#[test]
fn the_appliance_boots_by_efi_from_virtio_scsi_and_answers_through_e1000() {
    let setting = Setting {
        firmware: "efi",
        bus: "virtio-scsi",
        nic: "e1000",
        transport: "iso",
        hostname: "scsi",
    };
    check(&boot(setting, None), setting, 1);
}

#[test]
fn two_clones_have_different_identities_and_each_keeps_its_own_on_another_machine() {
    let first = Setting {
        firmware: "bios",
        bus: "virtio-blk",
        nic: "virtio-net",
        transport: "iso",
        hostname: "first",
    };
    let second = Setting {
        firmware: "efi",
        bus: "ahci",
        nic: "vmxnet3",
        transport: "fw-cfg",
        hostname: "second",
    };
    let (_first_folder, first_disks) = kept_disks();
    let (_second_folder, second_disks) = kept_disks();

    let guest = boot(first, Some(&first_disks));
    let first_identity = check(&guest, first, 1);
    guest.power_down();
    let guest = boot(second, Some(&second_disks));
    let second_identity = check(&guest, second, 1);
    guest.power_down();
    assert_ne!(first_identity.instance, second_identity.instance);
    assert_ne!(first_identity.fingerprint, second_identity.fingerprint);
    let uuids = [&first_disks, &second_disks].map(|disks| uuid_of_state(disks));
    assert!(uuids[0] != uuids[1], "both file systems are {uuids:?}");

    let moved = Setting {
        firmware: "efi",
        hostname: "moved",
        ..first
    };
    let guest = boot(moved, Some(&first_disks));
    assert_eq!(check(&guest, moved, 2), first_identity);
    guest.power_down();
    assert_eq!(uuid_of_state(&first_disks), uuids[0]);
}

/// The second start presumes DHCP, because the first one used it, and gets a lease before the environment is read.
#[test]
fn an_address_set_after_a_start_by_dhcp_replaces_what_was_presumed() {
    let (_folder, disks) = kept_disks();
    let disks = disks.to_str().unwrap();
    let package = artefacts::package();
    let first = Guest::start_package(&package, &["--state", disks]);
    first.wait_console("ready", 1);
    first.power_down();

    let properties = [
        ["--prop", "ip=10.0.2.77/24"],
        ["--prop", "ip6=fec0::77/64"],
        [
            "--prop",
            "routes=198.51.100.0/24 via 10.0.2.2, 2001:db8:1::/48 via fec0::2",
        ],
        ["--prop", "mtu=1400"],
        ["--prop", "role=server"],
    ];
    let second = Guest::start_package(
        &package,
        &[&["--state", disks][..], properties.as_flattened()].concat(),
    );
    second.wait_console("ready address=10.0.2.77 ", 1);
    let console = second.console();
    let place = |text: &str| {
        console
            .find(text)
            .unwrap_or_else(|| panic!("no '{text}' in\n{console}"))
    };
    assert!(
        place("lost=10.0.2.15/24") < place("address=10.0.2.77/24"),
        "{console}"
    );
    assert!(console.contains("the role is server"), "{console}");
    second.wait_console("ready address=fec0::77 ", 1);
    assert!(!second.console().contains("the kernel refuses"), "{console}");
    second.power_down();

    // Somebody has taken the drive away: it stays what it is.
    let third = Guest::start_package(&package, &["--state", disks, "--transport", "none"]);
    third.wait_console("ready address=10.0.2.77 ", 1);
    let console = third.console();
    assert!(
        console.contains("role=server") && !console.contains("role=node"),
        "{console}"
    );
    third.power_down();
}

fn boot(setting: Setting, disks: Option<&Path>) -> Guest {
    let Setting {
        firmware,
        bus,
        nic,
        transport,
        hostname,
    } = setting;
    let hostname = format!("hostname={hostname}");
    let mut arguments = vec![
        "--firmware",
        firmware,
        "--disk-bus",
        bus,
        "--nic",
        nic,
        "--transport",
        transport,
    ];
    arguments.extend([
        "--prop",
        "role=server",
        "--prop",
        &hostname,
        "--disk-size",
        "state=12 GiB",
    ]);
    if let Some(disks) = disks {
        arguments.extend(["--state", disks.to_str().unwrap()]);
    }
    Guest::start(&arguments)
}

/// What every boot must show, whatever the machine.
fn check(guest: &Guest, setting: Setting, boots: u64) -> Identity {
    guest.wait_healthy();
    check_readiness(guest);
    check_setup_required(guest);
    check_plain_http(guest);
    check_resources(guest, boots);
    check_identity(guest, setting, boots)
}

fn check_readiness(guest: &Guest) {
    let ready = guest.wait_for("/readyz", |answer| answer.status == 200);
    let body = ready.json();
    let checks = body["checks"].as_array().unwrap();
    assert!(!checks.is_empty());
    for check in checks {
        assert_eq!(check["status"], "pass", "{check}\n{}", guest.console());
    }
    for name in ["state-disk", "identity", "network", "environment"] {
        ready.check(name);
    }
}

fn check_setup_required(guest: &Guest) {
    // Whoever comes with a browser comes to the wizard.
    let wizard = guest.get("/setup");
    assert_eq!(wizard.status, 200, "{wizard:?}");
    assert!(wizard.body.contains("<h1>Set up</h1>"), "{wizard:?}");
    assert_eq!(guest.get("/").status, 303);
    for path in [
        "/api/v1/users",
        "/api/v1/packages",
        "/api/v1/about/more",
        "/..%2fetc",
    ] {
        let answer = guest.get(path);
        assert_eq!(
            (answer.status, answer.content_type.as_str()),
            (503, "application/problem+json"),
            "{path}"
        );
        assert_eq!(answer.json()["code"], "setup-required", "{path}");
    }
}

/// Nobody who types `http:` is talked to in clear.
fn check_plain_http(guest: &Guest) {
    let address = guest.origin().replace("https:", "http:");
    let output = artefacts::output(Command::new("curl").args([
        "-s",
        "--max-time",
        "20",
        &format!("{address}/healthz"),
    ]));
    assert!(!output.status.success(), "plain HTTP was answered: {output:?}");
}

const RESIDENT_LIMIT: f64 = 16.0 * 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

fn check_resources(guest: &Guest, boots: u64) {
    let metrics = guest.get("/metrics");
    assert_eq!(metrics.status, 200);
    let resident = metrics.metric("process_resident_memory_bytes");
    assert!(
        resident > 0.0 && resident <= RESIDENT_LIMIT,
        "{resident} bytes resident"
    );
    assert!((metrics.metric("vcc_boots_total") - f64::from(u32::try_from(boots).unwrap())).abs() < 0.5);
    // The package's 8 GiB became 12 at launch; some of it is inode tables and the journal.
    let size = metrics.metric("vcc_state_size_bytes");
    assert!(size > 11.5 * GIB && size <= 12.0 * GIB, "{size}");
}

fn check_identity(guest: &Guest, setting: Setting, boots: u64) -> Identity {
    let about = guest.get("/api/v1/about").json();
    assert_eq!(about["role"], "server", "{about}");
    assert_eq!(about["hostname"], setting.hostname, "{about}");
    assert_eq!(about["ephemeral"], false, "{about}");
    assert_eq!(about["boots"], boots, "{about}");
    assert_eq!(about["slot"], "a", "{about}");
    assert!(about["version"].is_string(), "{about}");
    let fingerprint = guest.fingerprint();
    guest.wait_console(&format!("fingerprint={fingerprint}"), 1);
    assert!(
        guest.console().contains("address=10.0.2.15"),
        "{}",
        guest.console()
    );
    Identity {
        instance: about["instance_id"].as_str().unwrap().to_owned(),
        fingerprint,
    }
}

fn uuid_of_state(disks: &Path) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    ext4::field(&disk::of_layer(disks, "state", folder.path()), "Filesystem UUID")
}
