//! The appliance imported into libvirt, where it runs with the properties it was given; and what refuses leaves nothing.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use e2e::libvirt::{self, Libvirtd};
use e2e::{artefacts, conformance, counterpart, recipe};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vdc::error::Kind;
use vdc::libvirt::Libvirt;
use vdc::manager::{Manager as _, Power};

fn deploy(daemon: &Libvirtd, name: &str, more: &[&str]) -> Command {
    let mut command = artefacts::ova();
    command
        .args(["--json", "deploy"])
        .arg(artefacts::package())
        .arg(daemon.uri());
    command.args(["--name", name, "--prop", "hostname=deployed", "--trust"]);
    command.arg(artefacts::key("ca.pem")).args(more);
    command
}

const NET: [&str; 2] = ["--net", "VM Network=default"];

#[test]
fn the_appliance_runs_with_its_properties_moves_and_goes_with_its_disks() {
    let Some(daemon) = Libvirtd::start() else { return };
    let offered = artefacts::success(artefacts::ova().args(["--json", "targets", &daemon.uri()]));
    let offered: Value = serde_json::from_str(&offered).unwrap();
    assert_eq!(
        (&offered["pools"][0]["name"], &offered["networks"][0]["active"]),
        (&"disks".into(), &true.into())
    );

    let planned = artefacts::success(deploy(&daemon, "node", &NET).arg("--dry-run"));
    assert!(
        planned.contains("node-system.raw") && planned.contains("<domain type="),
        "{planned}"
    );
    assert_eq!(daemon.holds(), [""; 0]);

    let made = artefacts::success(deploy(&daemon, "node", &NET).args(["--power-on", "--wait-ready"]));
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(
        (&made["name"], &made["state"]),
        (&"node".into(), &"running".into())
    );
    // A state disk of gigabytes takes the room of what is in it.
    assert!(libvirt::allocated(&daemon.path("disks/node-state.raw")) < 64 << 20);
    let address = made["addresses"][0].as_str().unwrap();
    assert_eq!(address, daemon.address("node"));
    let about = about(&daemon, address);
    assert_eq!(about["hostname"], "deployed");

    let taken = artefacts::exits(&mut deploy(&daemon, "node", &NET), 2);
    assert!(taken.contains("there is a machine of this name"), "{taken}");

    let target = Libvirt::connect(&daemon.uri()).unwrap();
    assert_eq!(
        target.power("nobody", Power::On).unwrap_err().kind(),
        Kind::Missing
    );
    target.power("node", Power::Shutdown).unwrap();
    let (start, state) = (Instant::now(), || {
        target.inventory().unwrap().machines[0].state.clone()
    });
    while state() != "shut off" {
        assert!(start.elapsed() < Duration::from_secs(180), "{}", state());
        thread::sleep(Duration::from_secs(1));
    }
    let package = daemon.path("exported.ova");
    export(&daemon, "node", &package);
    elsewhere(&package, &about);

    target.power("node", Power::On).unwrap();
    artefacts::exits(
        artefacts::ova().args(["export", &format!("{}/node", daemon.uri()), "-o", "never.ova"]),
        2,
    );
    target.delete("node").unwrap();
    assert_eq!(daemon.holds(), [""; 0]);
}

fn export(daemon: &Libvirtd, name: &str, package: &Path) {
    let mut export = artefacts::ova();
    export
        .args(["export", &format!("{}/{name}", daemon.uri()), "-o"])
        .arg(package);
    export.arg("--sign").arg(artefacts::key("key.pem"));
    artefacts::success(export.arg("--cert").arg(artefacts::key("cert.pem")));
    let mut verify = artefacts::ova();
    verify.arg("verify").arg(package).args(["--strict", "--trust"]);
    artefacts::success(verify.arg(artefacts::key("ca.pem")));
}

/// What was exported runs under another libvirt, and is the same node: its state disk came along.
fn elsewhere(package: &Path, about: &Value) {
    let Some(daemon) = Libvirtd::start() else { return };
    let mut deploy = artefacts::ova();
    deploy
        .arg("deploy")
        .arg(package)
        .arg(daemon.uri())
        .args(["--name", "moved", "--power-on", "--trust"]);
    artefacts::success(deploy.arg(artefacts::key("ca.pem")));
    let there = self::about(&daemon, &daemon.address("moved"));
    assert_eq!(there["instance_id"], about["instance_id"]);
    assert_eq!(there["fingerprint"], about["fingerprint"]);
    assert_ne!(there["boot_id"], about["boot_id"], "it was started anew");
}

/// What a node tells of itself.
fn about(daemon: &Libvirtd, address: &str) -> Value {
    serde_json::from_str(&libvirt::https(
        daemon,
        &format!("https://{address}/api/v1/about"),
    ))
    .unwrap()
}

#[test]
fn a_machine_that_runs_goes_on_under_another_libvirt_with_what_was_in_its_memory() {
    let Some(daemon) = Libvirtd::start() else { return };
    artefacts::success(deploy(&daemon, "node", &NET).args(["--power-on", "--wait-ready"]));
    let address = daemon.address("node");
    let before = about(&daemon, &address);
    let package = daemon.path("running.ova");
    let export = |more: &[&str]| {
        let mut export = artefacts::ova();
        export
            .args(["export", &format!("{}/node", daemon.uri()), "-o"])
            .arg(&package)
            .args(more)
            .arg("--sign")
            .arg(artefacts::key("key.pem"));
        export.arg("--cert").arg(artefacts::key("cert.pem"));
        export
    };
    let state = || daemon.run(&["domstate", "node"]).trim().to_owned();
    let volumes = daemon.holds();

    // Broken off while it is packed, it goes on here, and nothing is left of it.
    let mut broken_off = export(&["--save-state", "--level", "small"]).spawn().unwrap();
    while state() != "shut off" {
        assert!(broken_off.try_wait().unwrap().is_none(), "done before the signal");
        thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&broken_off), Signal::TERM).unwrap();
    assert!(!broken_off.wait().unwrap().success());
    assert_eq!((state().as_str(), daemon.holds()), ("running", volumes.clone()));
    assert!(!package.exists());
    assert_eq!(about(&daemon, &address)["start_id"], before["start_id"]);

    artefacts::success(&mut export(&["--save-state"]));
    assert_eq!((state().as_str(), daemon.holds()), ("shut off", volumes));
    let mut verify = artefacts::ova();
    verify.arg("verify").arg(&package).args(["--strict", "--trust"]);
    artefacts::success(verify.arg(artefacts::key("ca.pem")));
    artefacts::success(artefacts::ova().arg("validate").arg(&package));
    let inspected = artefacts::success(artefacts::ova().arg("inspect").arg(&package));
    assert!(inspected.contains("saved while it ran"), "{inspected}");
    let said = artefacts::exits(artefacts::ova().arg("run").arg(&package), 1);
    assert!(said.contains("deploy it"), "{said}");
    read_by_another_tool(&package);

    let Some(elsewhere) = Libvirtd::start() else {
        return;
    };
    let resume = |more: &[&str]| {
        let mut deploy = artefacts::ova();
        deploy.arg("deploy").arg(&package).arg(elsewhere.uri()).args(more);
        deploy
    };
    let trusting = artefacts::key("ca.pem");
    let trusting = ["--trust", trusting.to_str().unwrap()];
    let said = artefacts::exits(&mut resume(&["--power-on"]), 1);
    assert!(said.contains("trusted only"), "{said}");
    let said = artefacts::exits(resume(&trusting).args(["--name", "other"]), 2);
    assert!(said.contains("keeps its name, 'node'"), "{said}");
    assert_eq!(elsewhere.holds(), [""; 0]);
    artefacts::success(resume(&trusting).arg("--power-on"));
    let after = about(&elsewhere, &address);
    for same in ["boot_id", "start_id", "boots", "instance_id", "fingerprint"] {
        assert!(!before[same].is_null());
        assert_eq!(after[same], before[same], "{same}");
    }
    assert!(after["uptime_seconds"].as_u64() >= before["uptime_seconds"].as_u64());
    assert!(!elsewhere.holds().contains(&"node-memory.save".to_owned()));

    let target = Libvirt::connect(&elsewhere.uri()).unwrap();
    let mut console = target.console("node").unwrap();
    let reading = thread::spawn(move || {
        let mut said = Vec::new();
        console.read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    });
    target.power("node", Power::Shutdown).unwrap();
    let said = reading.join().unwrap();
    assert!(said.contains("reboot: Power down"), "{said}");
    target.delete("node").unwrap();
    assert_eq!(elsewhere.holds(), [""; 0]);

    // Here it has stayed saved.
    daemon.run(&["start", "node"]);
    assert_eq!(about(&daemon, &address)["start_id"], before["start_id"]);
}

/// virt-v2v sees the machine that was exported as it was.
fn read_by_another_tool(package: &Path) {
    let Some(mut v2v) = counterpart::find("virt-v2v") else {
        return;
    };
    v2v.args(["-i", "ova", "--print-source"])
        .arg(package)
        .env("LIBGUESTFS_BACKEND", "direct");
    let source = artefacts::success(&mut v2v);
    let source: Vec<String> = source
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "source name: node",
        "memory: 268435456 (bytes)",
        "nr vCPUs: 1",
        "firmware: bios",
        "0 [sata]",
        "1 [sata]",
        "Bridge \"default\" [e1000]",
    ] {
        assert!(
            source.iter().any(|told| told == line),
            "'{line}' is not in {source:#?}"
        );
    }
}

#[test]
fn libvirt_does_what_every_adapter_has_to_do() {
    let Some(daemon) = Libvirtd::start() else { return };
    conformance::run(&Libvirt::connect(&daemon.uri()).unwrap(), "default");
    assert_eq!(daemon.holds(), [""; 0]);
}

#[test]
fn a_machine_with_uefi_runs_keeps_its_memory_here_and_goes_with_its_variables() {
    let Some(daemon) = Libvirtd::start() else { return };
    let extract = |disk: &str| {
        let image = daemon.path(&format!("{disk}.qcow2"));
        let mut extract = artefacts::ova();
        extract
            .arg("extract")
            .arg(artefacts::package())
            .args(["--disk", disk]);
        artefacts::success(extract.args(["--format", "qcow2", "-o"]).arg(&image));
        image
    };
    let package = daemon.path("efi.ova");
    let mut pack = artefacts::ova();
    pack.arg("pack")
        .arg(extract("system"))
        .arg(extract("state"))
        .arg("-o")
        .arg(&package);
    artefacts::success(pack.args(["--firmware", "efi", "--memory", "512MiB", "--nic", "default"]));
    let mut deploy = artefacts::ova();
    deploy.arg("deploy").arg(&package).arg(daemon.uri());
    artefacts::success(deploy.args(["--name", "efi", "--power-on", "--wait-ready"]));
    assert_eq!(about(&daemon, &daemon.address("efi"))["boots"], 1);
    let variables = daemon.path("lib/qemu/nvram/efi_VARS.fd");
    assert!(variables.exists());

    let mut export = artefacts::ova();
    export.args(["export", &format!("{}/efi", daemon.uri()), "--save-state", "-o"]);
    let said = artefacts::exits(export.arg(daemon.path("never.ova")), 2);
    assert!(said.contains("can't be taken along"), "{said}");
    assert_eq!(daemon.run(&["domstate", "efi"]).trim(), "running");
    Libvirt::connect(&daemon.uri()).unwrap().delete("efi").unwrap();
    assert_eq!(daemon.holds(), [""; 0]);
    assert!(!variables.exists());
}

/// Stands before libvirt's command, and sends more than it was asked for.
const ENDLESS: &str = r#"#!/bin/bash
for word; do case "$word" in --file=*) file="${word#--file=}" ;; esac; done
if [[ " $* " = *" vol-download "* ]]; then sleep 0.2; cat /dev/zero >"$file"; exit; fi
exec /usr/bin/virsh "$@"
"#;

#[test]
fn a_target_that_sends_a_disk_without_end_is_stopped_at_what_was_asked_for() {
    let Some(daemon) = Libvirtd::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let package = recipe::build(&recipe::raw(folder.path(), &[7; 1 << 20], ""));
    artefacts::success(artefacts::ova().arg("deploy").arg(&package).arg(daemon.uri()));
    let mut export = artefacts::ova();
    export.args(["export", &format!("{}/test", daemon.uri()), "-o"]);
    export
        .arg(daemon.path("never.ova"))
        .env("PATH", in_front(&daemon, ENDLESS));
    let said = artefacts::exits(&mut export, 2);
    assert!(
        said.contains("virsh left with") || said.contains("File too large"),
        "{said}"
    );
    assert!(!daemon.path("never.ova").exists());
}

/// The search path with another command in front of libvirt's.
fn in_front(daemon: &Libvirtd, script: &str) -> String {
    let bin = daemon.path("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("virsh"), script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("virsh"), executable).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

/// Stands before libvirt's command, and loses the one question whose number is told, or its answer.
const CUT: &str = r#"#!/bin/bash
count=$(($(cat "$CUT_COUNT") + 1))
echo $count >"$CUT_COUNT"
if [ $count -eq "$CUT_AT" ]; then
  if [ "$CUT" = answer ]; then /usr/bin/virsh "$@" >/dev/null 2>&1; fi
  echo "error: End of file while reading data: Input/output error" >&2
  exit 1
fi
exec /usr/bin/virsh "$@"
"#;

#[test]
fn a_cut_in_every_phase_of_an_import_leaves_pools_and_machines_as_they_were() {
    let Some(daemon) = Libvirtd::start() else { return };
    let (path, count) = (in_front(&daemon, CUT), daemon.path("count"));
    let folder = tempfile::tempdir().unwrap();
    let package = recipe::build(&recipe::raw(folder.path(), &[7; 1 << 20], ""));
    for lost in ["question", "answer"] {
        let mut cuts = 0;
        loop {
            std::fs::write(&count, "0").unwrap();
            let mut command = artefacts::ova();
            command
                .arg("deploy")
                .arg(&package)
                .arg(daemon.uri())
                .arg("--power-on");
            command
                .env("PATH", &path)
                .env("CUT_COUNT", &count)
                .env("CUT_AT", (cuts + 1).to_string())
                .env("CUT", lost);
            let output = artefacts::output(&mut command);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() {
                break;
            }
            assert!(
                said.contains("End of file") && !said.contains("could not be removed"),
                "{said}"
            );
            assert_eq!(daemon.holds(), [""; 0], "after question {}: {said}", cuts + 1);
            cuts += 1;
        }
        // Names, volumes, their bytes, the domain, its start, and what is told of it.
        assert!(cuts >= 10, "{cuts}");
        assert_eq!(daemon.holds().len(), 3);
        Libvirt::connect(&daemon.uri()).unwrap().delete("test").unwrap();
        assert_eq!(daemon.holds(), [""; 0]);
    }
}

#[test]
fn a_signal_in_the_middle_of_a_disk_has_everything_removed() {
    let Some(daemon) = Libvirtd::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state ^ (state >> 29)).to_be_bytes()
    });
    let noise: Vec<u8> = noise.take(32 << 20).flatten().collect();
    let package = recipe::build(&recipe::raw(folder.path(), &noise, ""));
    let mut command = artefacts::ova();
    command.arg("deploy").arg(&package).arg(daemon.uri());
    let mut deploying = command.spawn().unwrap();
    let volume = daemon.path("disks/test-data.raw");
    while !(volume.exists() && libvirt::allocated(&volume) > 0) {
        assert!(deploying.try_wait().unwrap().is_none(), "done before the signal");
        thread::sleep(Duration::from_millis(2));
    }
    kill_process(Pid::from_child(&deploying), Signal::TERM).unwrap();
    assert_eq!(deploying.wait().unwrap().code(), Some(2));
    assert_eq!(daemon.holds(), [""; 0]);
}

#[test]
fn an_import_that_fails_leaves_pools_and_machines_as_they_were() {
    let Some(daemon) = Libvirtd::start() else { return };
    let fails = |code, expected: &str, more: &[&str]| {
        let said = artefacts::exits(&mut deploy(&daemon, "node", more), code);
        assert!(said.contains(expected), "{said}");
        assert_eq!(daemon.holds(), [""; 0], "{said}");
    };
    fails(2, "there are: default", &[]);
    fails(2, "the package has no such network", &["--net", "Other=default"]);
    fails(
        2,
        "no such pool; there are: disks",
        &["--net", "VM Network=default", "--pool", "none"],
    );
    fails(
        2,
        "no property",
        &["--net", "VM Network=default", "--prop", "nonsense=1"],
    );

    // A package that was tampered with is refused before the target hears of it.
    let bytes = std::fs::read(artefacts::package()).unwrap();
    let tampered = daemon.path("tampered.ova");
    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(&tampered, changed).unwrap();
    let mut command = artefacts::ova();
    command.arg("deploy").arg(&tampered).arg(daemon.uri()).args(NET);
    artefacts::exits(&mut command, 1);
    assert_eq!(daemon.holds(), [""; 0]);

    // A pool without room: it fails in the middle of the first disk.
    let small = daemon.path("small");
    let mount = ["-t", "tmpfs", "-o", "size=6m", "tmpfs", small.to_str().unwrap()];
    std::fs::create_dir(&small).unwrap();
    artefacts::success(daemon.namespace("mount").args(mount));
    daemon.run(&[
        "pool-define-as",
        "small",
        "dir",
        "--target",
        small.to_str().unwrap(),
    ]);
    daemon.run(&["pool-start", "small"]);
    fails(
        2,
        "No space left",
        &["--net", "VM Network=default", "--pool", "small"],
    );
    assert_eq!(daemon.run(&["vol-list", "small"]).trim(), "");

    // The domain can't be started: its network's bridge is gone.
    daemon.run(&["net-destroy", "default"]);
    fails(2, "the network is not active", &["--net", "VM Network=default"]);

    // A target that is not there.
    let nowhere = format!("qemu+unix:///system?socket={}", daemon.path("nothing").display());
    let mut command = artefacts::ova();
    command
        .arg("deploy")
        .arg(artefacts::package())
        .arg(nowhere)
        .args(NET);
    assert!(artefacts::exits(&mut command, 2).contains("Failed to connect"));
}
