//! `ova deploy` into libvirt, beside the programs that people import a disk with.
//!
//! Run by `make bench-deploy`; prints Markdown. Both sides take turns (A B A B) on the same daemon; ours verifies the package and
//! defines a machine besides. The processor's time is that of the clients: the daemon's isn't told apart.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed measurement is a panic"
)]

use e2e::artefacts;
use e2e::libvirt::Libvirtd;
use e2e::measure::{self, Cost};

const ROUNDS: usize = 5;

const OURS: &str = r#""$OVA" deploy "$WORK/realistic.ova" "$TARGET" --name ours --trust "$KEYS/ca.pem" --net 'VM Network=default'"#;
const THEIRS: &str = r#"cd "$WORK" && qemu-img convert -f vmdk -O raw realistic-disk1.vmdk theirs.raw &&
  virsh -q -c "$TARGET" vol-create-as disks theirs 805306368 --format raw --allocation 0 &&
  virsh -q -c "$TARGET" vol-upload --pool disks --vol theirs --file theirs.raw --sparse && rm theirs.raw"#;

fn main() {
    let daemon = Libvirtd::start().expect("libvirt is installed");
    let work = tempfile::tempdir().unwrap();
    let disks = artefacts::workspace().join("out/bench");
    let prepare = |bash: &mut std::process::Command| {
        bash.env("OVA", artefacts::ova().get_program())
            .env("KEYS", artefacts::key(""))
            .env("DISKS", &disks)
            .env("WORK", work.path())
            .env("TARGET", daemon.uri());
    };
    let pack = r#""$OVA" pack "$DISKS/realistic.raw" -o "$WORK/realistic.ova" --sign "$KEYS/key.pem" --cert "$KEYS/cert.pem" &&
        tar -xf "$WORK/realistic.ova" -C "$WORK""#;
    measure::command_with(pack, prepare);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(measure::command_with(OURS, prepare));
        daemon.run(&["undefine", "ours", "--remove-all-storage"]);
        theirs.push(measure::command_with(THEIRS, prepare));
        daemon.run(&["vol-delete", "--pool", "disks", "theirs"]);
    }
    let (our, their) = (measure::median(&ours), measure::median(&theirs));
    let each = |costs: &[Cost]| {
        let walls: Vec<String> = costs.iter().map(|cost| format!("{:.2}", cost.wall)).collect();
        walls.join(", ")
    };
    println!(
        "| a signed OVA of {} MB, a disk of 768 MiB | wall s | clients' CPU s | each, wall s |",
        size(work.path())
    );
    println!("|---|---|---|---|");
    println!(
        "| `ova deploy`, verified | {:.2} | {:.2} | {} |",
        our.wall,
        our.cpu,
        each(&ours)
    );
    println!(
        "| `qemu-img convert`, `virsh vol-upload --sparse` | {:.2} | {:.2} | {} |",
        their.wall,
        their.cpu,
        each(&theirs)
    );
    println!(
        "| ratio (at most 1 is asked for) | {:.2} | {:.2} | |",
        our.wall / their.wall,
        our.cpu / their.cpu
    );
    println!("\n{}.", measure::machine());
}

fn size(work: &std::path::Path) -> u64 {
    std::fs::metadata(work.join("realistic.ova")).unwrap().len() / 1_000_000
}
