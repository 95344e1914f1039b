//! Pipes, signals, full disks and disks that change: what is cut short says so, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use e2e::{artefacts, recipe};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// More than pipes and buffers hold, and not to be compressed.
const NOISE: usize = 24 << 20;

/// A folder with a disk of noise, and a place for temporary files.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state ^ (state >> 29)).to_be_bytes()
        });
        let noise: Vec<u8> = noise.take(NOISE / 8).flatten().collect();
        std::fs::write(folder.path().join("disk.raw"), noise).unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn ova(&self) -> Command {
        // Whoever starts the tests in the background may ignore SIGINT, and so would the command, rightly.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=INT")
            .arg(artefacts::ova().get_program());
        command.env("TMPDIR", self.path("tmp"));
        command
    }

    fn pack(&self, output: &str) -> Command {
        let mut command = self.ova();
        command.args([
            "--json",
            "pack",
            &self.path("disk.raw"),
            "--name",
            "vm",
            "-o",
            output,
        ]);
        command.arg("--sign").arg(artefacts::key("key.pem"));
        command.arg("--cert").arg(artefacts::key("cert.pem"));
        command
    }

    /// Starts packing into a pipe, and waits until the second pass has filled it.
    fn packing(&self) -> Child {
        let mut child = self
            .pack("-")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 600]).unwrap();
        child
    }

    fn names(&self) -> Vec<String> {
        let list = |folder: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(folder).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        let mut names = list(self.0.path());
        names.extend(list(&self.0.path().join("tmp")));
        names.sort();
        names
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_package_written_to_a_pipe_is_the_one_written_to_a_file() {
    let bench = Bench::new();
    artefacts::success(&mut bench.pack(&bench.path("file.ova")));
    let piped = artefacts::output(&mut bench.pack("-"));
    assert!(piped.status.success(), "{}", text(&piped));
    assert!(piped.stdout == std::fs::read(bench.path("file.ova")).unwrap());
    // Lines of progress come before it on a slow machine.
    let said = text(&piped);
    let said: serde_json::Value = serde_json::from_str(&said[said.find("{\n").unwrap()..]).unwrap();
    assert_eq!(said["bytes"], piped.stdout.len());
}

#[test]
fn progress_comes_as_lines_of_json_where_there_is_no_terminal() {
    let bench = Bench::new();
    let packing = bench.packing();
    // Nobody reads what is packed meanwhile, so that it takes longer than a second; on a slow machine so does what comes before.
    std::thread::sleep(Duration::from_secs(5));
    let done = packing.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let text = text(&done);
    let line = text
        .lines()
        .find(|line| line.starts_with("{\"progress\":\"packing"));
    let line: serde_json::Value = serde_json::from_str(line.unwrap_or_else(|| panic!("{text}"))).unwrap();
    assert_eq!(
        (&line["progress"], &line["total"]),
        (&"packing vm-disk1.vmdk".into(), &NOISE.into())
    );
    assert!(line["done"].as_u64() > Some(0) && line["bytes_per_second"].as_u64() > Some(0));
    assert!(line["seconds_left"].is_u64());
}

#[test]
fn a_pipe_that_closes_ends_the_command_with_an_error() {
    let bench = Bench::new();
    let mut packing = bench.packing();
    drop(packing.stdout.take());
    let ended = packing.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{}", text(&ended));
    assert!(text(&ended).contains("Broken pipe"), "{}", text(&ended));
}

#[test]
fn a_disk_that_changes_while_it_is_packed_is_told() {
    let bench = Bench::new();
    let packing = bench.packing();
    let disk = File::options().write(true).open(bench.path("disk.raw")).unwrap();
    disk.write_all_at(b"changed", NOISE as u64 - 100).unwrap();
    let ended = packing.wait_with_output().unwrap();
    let text = text(&ended);
    assert!(matches!(ended.status.code(), Some(1 | 2)), "{text}");
    assert!(
        text.contains("changed while it was read") || text.contains("has changed"),
        "{text}"
    );
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let bench = Bench::new();
    artefacts::success(&mut bench.pack(&bench.path("vm.ova")));
    let package = std::fs::read(bench.path("vm.ova")).unwrap();
    let before = bench.names();
    for arguments in [
        &["-o", &bench.path("members/deep")][..],
        &[
            "--disk",
            "1",
            "--format",
            "qcow2",
            "-o",
            &bench.path("disk.qcow2"),
        ],
    ] {
        let mut extract = bench.ova();
        extract.args(["extract", "-"]).args(arguments);
        let mut extracting = extract.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = extracting.stdin.take().unwrap();
        // What is taken has passed the pipe: the disk is being written.
        input.write_all(&package[..package.len() / 2]).unwrap();
        let pid = Pid::from_child(&extracting);
        kill_process(pid, Signal::INT).unwrap();
        assert!(!extracting.wait().unwrap().success());
        assert_eq!(bench.names(), before);
    }
    let mut packing = bench.packing();
    kill_process(Pid::from_child(&packing), Signal::TERM).unwrap();
    assert!(!packing.wait().unwrap().success());
    assert_eq!(bench.names(), before);
}

#[test]
fn a_signal_while_a_boot_disk_is_made_takes_its_temporary_files_along() {
    let bench = Bench::new();
    let recipe = recipe::appliance(bench.0.path(), &[]);
    let before = bench.names();
    let temporary = || std::fs::read_dir(bench.path("tmp")).unwrap().next().is_some();
    let mut build = bench.ova();
    build
        .arg("build")
        .arg(recipe)
        .arg("-o")
        .arg(bench.path("node.ova"));
    let mut building = build.spawn().unwrap();
    while !temporary() {
        assert!(
            building.try_wait().unwrap().is_none(),
            "no temporary file was seen"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&building), Signal::TERM).unwrap();
    assert!(!building.wait().unwrap().success());
    assert_eq!(bench.names(), before);
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let bench = Bench::new();
    artefacts::success(&mut bench.pack(&bench.path("vm.ova")));
    let before = bench.names();
    let [disk, package, out] = ["disk.raw", "vm.ova", "out"].map(|name| bench.path(name));
    let ova = artefacts::ova();
    let ova = ova.get_program().to_str().unwrap();
    for arguments in [
        &["disk", "convert", &disk, &out, "--to", "raw"][..],
        &["disk", "convert", &disk, &out, "--to", "vmdk"],
        &["disk", "convert", &disk, &out, "--to", "vmdk-sparse"],
        &["disk", "convert", &disk, &out, "--to", "qcow2"],
        &["disk", "convert", &disk, &out, "--to", "qcow2-compressed"],
        &["disk", "convert", &disk, &out, "--to", "vhd"],
        &["disk", "convert", &disk, &out, "--to", "vhd-fixed"],
        &["pack", &disk, "-o", &out],
        &["extract", &package, "-o", &out],
        &["extract", &package, "--disk", "1", "--format", "raw", "-o", &out],
    ] {
        // No file may grow beyond 10 MiB, which is told as a disk without room is.
        let mut limited = Command::new("bash");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 10240; exec \"$@\"", "bash", ova]);
        let said = artefacts::exits(limited.args(arguments), 2);
        assert!(said.contains("too large"), "{arguments:?}: {said}");
        assert_eq!(bench.names(), before, "{arguments:?}");
    }
}
