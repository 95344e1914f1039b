//! Packing, converting, extracting and verifying disks, beside the programs that people use for it today.
//!
//! Run by `make bench-disks`, after `scripts/bench-disks.sh` has made the disks; prints Markdown and draws
//! `docs/performance-disks.svg`. Both sides of a row take turns (A B A B), read from memory and write to the same folder;
//! what is written has reached the disk when either is done (`ova` never gives a name to less, the others by `sync`).
//! `vmdk-convert` (open-vmdk) is used where it is on the path; rows against it are counted where it is not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed measurement is a panic"
)]

mod plot;

use std::path::Path;
use std::process::Command;

use e2e::artefacts;
use e2e::measure::{self, Cost};

const ROUNDS: usize = 5;

/// One comparison: scripts that write `$OUT`, with `$OVA`, `$KEYS`, `$DISKS` and `$WORK` given.
struct Row {
    name: &'static str,
    peer_name: &'static str,
    ours: &'static str,
    peer: &'static str,
    target: Target,
}

/// What is asked for, as ours by the peer's.
struct Target {
    cpu: Option<f64>,
    wall: Option<f64>,
    size: Option<f64>,
}

impl Row {
    const fn new(
        name: &'static str,
        ours: &'static str,
        peer_name: &'static str,
        peer: &'static str,
    ) -> Self {
        let target = Target {
            cpu: None,
            wall: None,
            size: None,
        };
        Self {
            name,
            peer_name,
            ours,
            peer,
            target,
        }
    }

    const fn cpu(mut self, most: f64) -> Self {
        self.target.cpu = Some(most);
        self
    }

    const fn wall(mut self, most: f64) -> Self {
        self.target.wall = Some(most);
        self
    }

    const fn size(mut self, most: f64) -> Self {
        self.target.size = Some(most);
        self
    }
}

const BUILD: &str =
    r#""$OVA" pack "$DISKS/realistic.raw" -o "$OUT" --sign "$KEYS/key.pem" --cert "$KEYS/cert.pem""#;
const BUILD_FAST: &str = r#""$OVA" pack "$DISKS/realistic.raw" -o "$OUT" --level fast --sign "$KEYS/key.pem" --cert "$KEYS/cert.pem""#;
const BUILD_SMALL: &str = r#""$OVA" pack "$DISKS/realistic.raw" -o "$OUT" --level small --sign "$KEYS/key.pem" --cert "$KEYS/cert.pem""#;
const BUILD_BY_HAND: &str = r#"cd "$WORK" && cp vm.ovf x.ovf &&
  qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "$DISKS/realistic.raw" x.vmdk &&
  sha256sum --tag x.ovf x.vmdk >x.mf &&
  (openssl dgst -sha256 -sign "$KEYS/key.pem" -hex x.mf; cat "$KEYS/cert.pem") >x.cert &&
  tar -cf "$OUT" --format=ustar x.ovf x.mf x.cert x.vmdk && rm x.* && sync "$OUT""#;
const EXTRACT_BY_HAND: &str = r#"mkdir "$WORK/x" && cd "$WORK/x" && tar -xf ../realistic.ova && sha256sum --status -c ../vm.sums &&
  qemu-img convert -f vmdk -O raw *.vmdk "$OUT" && rm -r "$WORK/x" && sync "$OUT""#;

const EMPTY: &str = r#""$OVA" disk convert "$DISKS/empty.raw" "$OUT" --to vmdk"#;
const TO_RAW: &str = r#""$OVA" disk convert "$WORK/realistic.vmdk" "$OUT" --to raw"#;
const TO_QCOW2: &str = r#""$OVA" disk convert "$WORK/realistic.vmdk" "$OUT" --to qcow2"#;

const ROWS: [Row; 10] = [
    Row::new("build a signed OVA", BUILD, "qemu-img, sha256sum, openssl, tar", BUILD_BY_HAND)
        .cpu(0.36)
        .wall(0.2)
        .size(1.0),
    Row::new(
        "build, level fast",
        BUILD_FAST,
        "vmdk-convert -c 1",
        r#"vmdk-convert -c 1 "$DISKS/realistic.raw" "$OUT.vmdk" && mv "$OUT.vmdk" "$OUT" && sync "$OUT""#,
    )
    .cpu(0.55)
    .size(1.0),
    Row::new(
        "build, level small",
        BUILD_SMALL,
        "vmdk-convert -c 9",
        r#"vmdk-convert -c 9 "$DISKS/realistic.raw" "$OUT.vmdk" && mv "$OUT.vmdk" "$OUT" && sync "$OUT""#,
    )
    .cpu(0.25),
    Row::new(
        "nearly empty 10 GiB to VMDK",
        EMPTY,
        "qemu-img convert",
        r#"qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "$DISKS/empty.raw" "$OUT" && sync "$OUT""#,
    )
    .wall(1.0),
    Row::new(
        "nearly empty 10 GiB to VMDK",
        EMPTY,
        "vmdk-convert -c 9",
        r#"vmdk-convert -c 9 "$DISKS/empty.raw" "$OUT.vmdk" && mv "$OUT.vmdk" "$OUT" && sync "$OUT""#,
    )
    .size(1.0),
    Row::new(
        "verify an OVA of noise",
        r#""$OVA" verify "$WORK/noise.ova""#,
        "tar, openssl dgst",
        r#"tar -xOf "$WORK/noise.ova" | openssl dgst -sha256"#,
    )
    .cpu(1.0 / 1.7),
    Row::new(
        "VMDK to raw",
        TO_RAW,
        "qemu-img convert",
        r#"qemu-img convert -f vmdk -O raw "$WORK/realistic.vmdk" "$OUT" && sync "$OUT""#,
    )
    .cpu(0.4)
    .wall(0.25),
    Row::new(
        "VMDK to raw",
        TO_RAW,
        "vmdk-convert",
        r#"vmdk-convert "$WORK/realistic.vmdk" "$OUT" && sync "$OUT""#,
    ),
    Row::new(
        "VMDK to QCOW2",
        TO_QCOW2,
        "qemu-img convert",
        r#"qemu-img convert -f vmdk -O qcow2 "$WORK/realistic.vmdk" "$OUT" && sync "$OUT""#,
    )
    .cpu(0.4)
    .wall(0.25),
    Row::new(
        "OVA to raw, verified",
        r#""$OVA" extract "$WORK/realistic.ova" --disk 1 --format raw -o "$OUT" --trust "$KEYS/ca.pem""#,
        "tar, sha256sum, qemu-img",
        EXTRACT_BY_HAND,
    )
    .cpu(0.33)
    .wall(0.2),
];

/// What both sides of a row cost and gave.
struct Measured {
    row: &'static Row,
    ours: Side,
    peer: Side,
}

struct Side {
    cost: Cost,
    /// Bytes of the output; none where nothing was written.
    size: Option<u64>,
}

fn main() {
    let bench = Bench::new();
    let mut measured = Vec::new();
    let mut skipped = 0;
    for row in &ROWS {
        if row.peer.starts_with("vmdk-convert") && !on_path("vmdk-convert") {
            skipped += 1;
            continue;
        }
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        let (mut our_size, mut peer_size) = (None, None);
        for round in 0..ROUNDS {
            eprintln!("{}: {} of {ROUNDS}", row.name, round + 1);
            let (cost, size) = bench.run(row.ours);
            (our_size, _) = (size, ours.push(cost));
            let (cost, size) = bench.run(row.peer);
            (peer_size, _) = (size, peer.push(cost));
        }
        let side = |costs: &[Cost], size| Side {
            cost: measure::median(costs),
            size,
        };
        measured.push(Measured {
            row,
            ours: side(&ours, our_size),
            peer: side(&peer, peer_size),
        });
    }
    table(&measured);
    bench.memory();
    println!(
        "\nMedians of {ROUNDS}, in turn; {}; rows skipped because `vmdk-convert` is not installed: {skipped}. {}",
        measure::machine(),
        bench.inputs()
    );
    let jobs: Vec<plot::Job> = measured.iter().map(job).collect();
    let path = artefacts::workspace().join("docs/performance-disks.svg");
    std::fs::write(path, plot::draw(&jobs)).unwrap();
}

fn table(measured: &[Measured]) {
    println!(
        "| job | beside | CPU s, ours / theirs | ratio (target) | wall s, ours / theirs | ratio (target) | bytes, ours / theirs | ratio (target) |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for Measured { row, ours, peer } in measured {
        let ratio = |ratio: f64, target: Option<f64>| match target {
            Some(target) => format!("{ratio:.2} ({target:.2})"),
            None => format!("{ratio:.2}"),
        };
        let sizes = match (ours.size, peer.size) {
            (Some(ours), Some(peer)) => format!(
                "{ours} / {peer} | {}",
                match row.target.size {
                    Some(target) => format!("{:.3} ({target:.2})", ours as f64 / peer as f64),
                    None => format!("{:.3}", ours as f64 / peer as f64),
                }
            ),
            _ => " | ".to_owned(),
        };
        println!(
            "| {} | {} | {:.2} / {:.2} | {} | {:.2} / {:.2} | {} | {sizes} |",
            row.name,
            row.peer_name,
            ours.cost.cpu,
            peer.cost.cpu,
            ratio(ours.cost.cpu / peer.cost.cpu, row.target.cpu),
            ours.cost.wall,
            peer.cost.wall,
            ratio(ours.cost.wall / peer.cost.wall, row.target.wall),
        );
    }
}

fn job(measured: &Measured) -> plot::Job {
    let Measured { row, ours, peer } = measured;
    plot::Job {
        name: row.name,
        peer: row.peer_name,
        cpu: plot::Share {
            ratio: ours.cost.cpu / peer.cost.cpu,
            target: row.target.cpu,
        },
        wall: plot::Share {
            ratio: ours.cost.wall / peer.cost.wall,
            target: row.target.wall,
        },
    }
}

/// The folder that is worked in, with what the rows read.
struct Bench {
    work: tempfile::TempDir,
    disks: std::path::PathBuf,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            work: tempfile::tempdir().unwrap(),
            disks: artefacts::workspace().join("out/bench"),
        };
        for script in [
            r#""$OVA" pack "$DISKS/realistic.raw" -o "$WORK/realistic.ova" --sign "$KEYS/key.pem" --cert "$KEYS/cert.pem""#,
            r#"cd "$WORK" && tar -xf realistic.ova && sha256sum realistic-disk1.vmdk realistic.ovf >vm.sums"#,
            r#"cd "$WORK" && mv realistic-disk1.vmdk realistic.vmdk && mv realistic.ovf vm.ovf && rm realistic.mf realistic.cert"#,
            r#""$OVA" pack "$DISKS/noise.raw" -o "$WORK/noise.ova""#,
        ] {
            bench.script(script);
        }
        bench
    }

    fn script(&self, script: &str) -> String {
        artefacts::success(self.bash(Command::new("bash").args(["-euc", script])))
    }

    fn bash<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("OVA", artefacts::ova().get_program())
            .env("KEYS", artefacts::key(""))
            .env("DISKS", &self.disks)
            .env("WORK", self.work.path())
            .env("OUT", self.work.path().join("out"))
    }

    /// What one run costs, and the length of what it wrote.
    fn run(&self, script: &str) -> (Cost, Option<u64>) {
        let out = self.work.path().join("out");
        let cost = measure::command_with(script, |bash| {
            self.bash(bash);
        });
        let size = out.metadata().ok().map(|found| found.len());
        let _ = std::fs::remove_file(out);
        (cost, size)
    }

    /// The most memory that each of our commands holds, on disks of different sizes.
    fn memory(&self) {
        println!("\n| command | most memory resident, MiB (limit 64) |\n|---|---|");
        for (name, arguments) in [
            ("pack, 768 MiB", "pack $DISKS/realistic.raw -o $OUT"),
            ("pack, 10 GiB nearly empty", "pack $DISKS/empty.raw -o $OUT"),
            (
                "pack, level small, of noise",
                "pack $DISKS/noise.raw -o $OUT --level small",
            ),
            ("VMDK to raw", "disk convert $WORK/realistic.vmdk $OUT --to raw"),
            (
                "VMDK to QCOW2",
                "disk convert $WORK/realistic.vmdk $OUT --to qcow2",
            ),
            ("VMDK to VHD", "disk convert $WORK/realistic.vmdk $OUT --to vhd"),
            (
                "OVA to raw",
                "extract $WORK/realistic.ova --disk 1 --format raw -o $OUT",
            ),
            (
                "OVA of noise to QCOW2",
                "extract $WORK/noise.ova --disk 1 --format qcow2 -o $OUT",
            ),
            ("verify, 541 MB", "verify $WORK/noise.ova"),
        ] {
            let script = format!("exec \"$OVA\" {arguments}");
            let mut command = Command::new("bash");
            let (status, peak) = measure::peak_memory(self.bash(command.args(["-c", &script])));
            assert!(status.success(), "{script}");
            let _ = std::fs::remove_file(self.work.path().join("out"));
            println!("| {name} | {:.1} |", peak as f64 / f64::from(1 << 20));
        }
    }

    fn inputs(&self) -> String {
        let kib = |name: &str| self.script(&format!("du -k \"$DISKS/{name}\" | cut -f1"));
        format!(
            "`realistic.raw` is an ext4 file system of 768 MiB with files of the machine, {} KiB of it on the disk; \
             `empty.raw` one of 10 GiB with none, {} KiB.",
            kib("realistic.raw").trim(),
            kib("empty.raw").trim()
        )
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).exists())
}
