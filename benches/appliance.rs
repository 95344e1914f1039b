//! Sizes of the appliance, its idle memory, and how long it takes from kernel start to the first answer, beside the same
//! kernel, modules and initramfs with an `/init` that does nothing.
//!
//! Run by `make bench`; prints Markdown. Boots are taken in turn (A B A B) on disks that have booted before, each marked
//! by when its lines arrive from the serial console. QEMU's own CPU time stands beside the wall clock's, because machines
//! are shared.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed measurement is a panic"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::guest::Guest;
use e2e::{artefacts, recipe};

const PAIRS: usize = 5;
/// The kernel's first line reaches the serial port at once, with the few others of its level; the same for both.
const KERNEL: &str = "cmdline = \"loglevel=6 earlyprintk=serial,ttyS0,115200\"";
const KERNEL_STARTS: &str = "Linux version";
const PATIENCE: Duration = Duration::from_secs(300);
const IDLE: Duration = Duration::from_secs(20);

/// From the kernel's first line to the end of the boot.
#[derive(Debug, Clone, Copy)]
struct Boot {
    wall: f64,
    cpu: f64,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let appliance = Candidate::new(folder.path(), "appliance", &artefacts::vcc());
    let trivial = Candidate::new(folder.path(), "trivial", &build_trivial(folder.path()));
    let resident = first_boot(&appliance);
    trivial.boot(trivial_runs);

    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        ours.push(appliance.boot(first_answer));
        least.push(trivial.boot(trivial_runs));
    }
    print_sizes(resident);
    print_boots(&ours, &least);
}

struct Candidate {
    package: PathBuf,
    disks: PathBuf,
}

impl Candidate {
    fn new(folder: &Path, name: &str, init: &Path) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        let (was, now) = (
            format!("init = {:?}", artefacts::vcc()),
            format!("init = {init:?}"),
        );
        let kernel = format!("[disk.boot]\n{KERNEL}");
        let recipe = recipe::appliance(&folder, &[(&was, &now), ("[disk.boot]", &kernel)]);
        Self {
            package: recipe::build(&recipe),
            disks: folder.join("disks"),
        }
    }

    fn start(&self) -> Guest {
        Guest::start_package(&self.package, &["--state", self.disks.to_str().unwrap()])
    }

    fn boot(&self, end: impl Fn(&Guest)) -> Boot {
        let guest = self.start();
        wait_line(&guest, KERNEL_STARTS);
        let (start, cpu) = (Instant::now(), cpu_seconds(guest.pid));
        end(&guest);
        Boot {
            wall: start.elapsed().as_secs_f64(),
            cpu: cpu_seconds(guest.pid) - cpu,
        }
    }
}

fn first_answer(guest: &Guest) {
    // Asked before there are a listener and an address, QEMU's network would try again after six seconds only.
    wait_line(guest, "network interface=");
    wait_line(guest, "listening address=");
    let end = Instant::now() + PATIENCE;
    while guest
        .try_get("/healthz")
        .is_none_or(|answer| answer.status != 200)
    {
        assert!(Instant::now() < end, "no answer\n{}", guest.console());
    }
}

fn trivial_runs(guest: &Guest) {
    wait_line(guest, "trivial: running");
}

fn wait_line(guest: &Guest, line: &str) {
    let end = Instant::now() + PATIENCE;
    while !guest.console().contains(line) {
        assert!(Instant::now() < end, "no '{line}' in\n{}", guest.console());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Makes the identity and settles down; returns the service's resident bytes then.
fn first_boot(appliance: &Candidate) -> f64 {
    let guest = appliance.start();
    guest.wait_healthy();
    std::thread::sleep(IDLE);
    let resident = guest.get("/metrics").metric("process_resident_memory_bytes");
    guest.power_down();
    resident
}

/// CPU time of a process so far, of all its threads; the kernel counts hundredths (proc(5), `utime` and `stime`).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn build_trivial(folder: &Path) -> PathBuf {
    let program = folder.join("trivial-init");
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition",
        "2024",
        "--target",
        "x86_64-unknown-linux-gnu",
        "-C",
        "target-feature=+crt-static",
    ]);
    rustc
        .args([
            "-C",
            "opt-level=s",
            "-C",
            "panic=abort",
            "-C",
            "strip=symbols",
            "-o",
        ])
        .arg(&program);
    artefacts::success(rustc.arg(artefacts::workspace().join("benches/trivial.rs")));
    program
}

fn print_sizes(resident: f64) {
    let mib = |bytes: f64| format!("{:.1} MiB", bytes / f64::from(1 << 20));
    let size = |path: PathBuf| mib(std::fs::metadata(path).map(|file| file.len()).unwrap() as f64);
    println!("| what | measured | limit |\n|---|---|---|");
    println!("| package (OVA) | {} | 16 MiB |", size(artefacts::package()));
    println!("| runtime (`vcc`) | {} | 8 MiB |", size(artefacts::vcc()));
    println!(
        "| service, resident after {} s idle | {} | 16 MiB |",
        IDLE.as_secs(),
        mib(resident)
    );
    println!("| guest's memory in all of this | 256 MiB | 256 MiB |\n");
}

fn print_boots(ours: &[Boot], least: &[Boot]) {
    println!(
        "| from kernel start, {PAIRS} boots each, in turn | wall s (median) | QEMU's CPU s (median) | each, wall s |"
    );
    println!("|---|---|---|---|");
    let wall = [ours, least].map(|boots| median(boots, |boot| boot.wall));
    let cpu = [ours, least].map(|boots| median(boots, |boot| boot.cpu));
    println!(
        "| to the first 200 of `/healthz` | {:.2} | {:.2} | {} |",
        wall[0],
        cpu[0],
        each(ours)
    );
    println!(
        "| to the first line of a trivial `/init` | {:.2} | {:.2} | {} |",
        wall[1],
        cpu[1],
        each(least)
    );
    println!(
        "| ratio (limit 1.5, aim 1.3) | {:.2} | {:.2} | |",
        wall[0] / wall[1],
        cpu[0] / cpu[1]
    );
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load = load.split(' ').next().unwrap();
    let cores = std::thread::available_parallelism().unwrap();
    println!("\nQEMU's translator (no KVM), {cores} cores, load average {load} at the end.");
}

fn median(boots: &[Boot], value: impl Fn(&Boot) -> f64) -> f64 {
    let mut values: Vec<f64> = boots.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn each(boots: &[Boot]) -> String {
    boots
        .iter()
        .map(|boot| format!("{:.2}", boot.wall))
        .collect::<Vec<_>>()
        .join(", ")
}
