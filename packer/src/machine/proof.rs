use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A boot sector that tells QEMU's debug-exit device to leave with status 33: `mov al, 0x10; out 0xf4, al; hlt`.
const CODE: [u8; 6] = [0xb0, 0x10, 0xe6, 0xf4, 0xf4, 0xeb];
const EXIT_STATUS: i32 = 0x10 << 1 | 1;
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a guest really runs under KVM here.
///
/// The device may be there and yet refuse to open, or hang the guest (nested virtualisation switched off half way): so
/// a one-sector guest is run on the same machine and processor as the package will be, and has to say so.
#[must_use]
pub fn kvm_works() -> bool {
    if std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return false;
    }
    let Ok(mut disk) = tempfile::NamedTempFile::new() else {
        return false;
    };
    if disk.write_all(&boot_sector()).is_err() {
        return false;
    }
    let child = Command::new("qemu-system-x86_64")
        .args(["-machine", "q35,accel=kvm", "-cpu", "host", "-m", "64"])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-snapshot"])
        .arg("-drive")
        .arg(format!("file={},format=raw,if=virtio", disk.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.is_ok_and(leaves_in_time)
}

fn leaves_in_time(mut child: Child) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) => return status.code() == Some(EXIT_STATUS),
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => break,
        }
    }
    // It hangs, which is the answer; what remains is to be rid of it.
    let _ = child.kill();
    let _ = child.wait();
    false
}

fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    for (place, byte) in sector.iter_mut().zip(CODE) {
        *place = byte;
    }
    sector[6] = 0xfd;
    sector[510] = 0x55;
    sector[511] = 0xaa;
    sector
}
