//! The boot disk under QEMU, with SeaBIOS and with OVMF: which slot is booted, and what the loader writes back.
//!
//! Ignored by default: each boot takes up to a minute under software emulation. `IMAGE_TEST_KERNEL` names a kernel; run with
//! `cargo test -p image --test boots -- --ignored`. The kernel has no working init, so it prints its command line, which
//! is what the loader gave it, panics and ends.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::boot::{self, BOOT_ENV, Inputs, SLOT_A, SLOT_B, SlotContent};
use image::cpio::Archive;
use image::grub::{self, ENVIRONMENT_LENGTH, Environment};
use image::guid::Guid;
use image::slot::Slot;
use image::source::{SECTOR, Source as _, write_raw};

const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const BOOT_LIMIT: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, Debug)]
enum Firmware {
    Bios,
    Uefi,
}

/// A boot disk in a folder of its own, and the content of its slot A.
struct Machine {
    folder: tempfile::TempDir,
    firmware: Firmware,
    content: SlotContent,
}

impl Machine {
    fn new(firmware: Firmware) -> Option<Self> {
        let kernel = std::env::var_os("IMAGE_TEST_KERNEL").map(PathBuf::from);
        let Some(kernel) = kernel.and_then(|path| fs::read(path).ok()) else {
            eprintln!("skipped: IMAGE_TEST_KERNEL names no kernel");
            return None;
        };
        let mut initrd = Archive::new(0);
        initrd.file("init", 0o755, b"no program".to_vec()).unwrap();
        let command_line = "console=ttyS0,115200 earlyprintk=ttyS0,115200 panic=-1".into();
        let content = SlotContent {
            kernel,
            initrd: initrd.render(),
            command_line,
        };
        let folder = tempfile::tempdir().unwrap();
        let (core_img, boot_efi) = loaders(folder.path())?;
        let inputs = Inputs {
            boot_img: fs::read("/usr/lib/grub/i386-pc/boot.img").unwrap(),
            core_img,
            boot_efi,
            slot: content.clone(),
            disk_guid: Guid::derive(b"boots"),
        };
        let machine = Self {
            folder,
            firmware,
            content,
        };
        write_raw(
            &boot::disk(inputs).unwrap(),
            &mut File::create(machine.disk()).unwrap(),
        )
        .unwrap();
        Some(machine)
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }

    fn open(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.disk())
            .unwrap()
    }

    fn fill(&self, place: &boot::PartitionPlace, content: SlotContent) {
        let image = boot::slot_image(content).unwrap();
        let mut bytes = vec![0; usize::try_from(image.size()).unwrap()];
        image.read_at(0, &mut bytes).unwrap();
        self.open().write_all_at(&bytes, place.first * SECTOR).unwrap();
    }

    fn empty(&self, place: &boot::PartitionPlace) {
        self.open()
            .write_all_at(&vec![0; 1 << 20], place.first * SECTOR)
            .unwrap();
    }

    fn environment(&self) -> Environment {
        let mut block = [0; ENVIRONMENT_LENGTH];
        self.open()
            .read_exact_at(&mut block, BOOT_ENV.first * SECTOR)
            .unwrap();
        Environment::parse(&block).unwrap()
    }

    fn set(&self, slot: Slot, once: Option<Slot>) {
        let mut environment = Environment::fresh(slot);
        environment.try_once(once);
        self.open()
            .write_all_at(&environment.render().unwrap(), BOOT_ENV.first * SECTOR)
            .unwrap();
    }

    /// Boots until the serial line shows `wanted`, the kernel gives up, or time is over; all that was shown.
    fn boot(&self, wanted: &str) -> String {
        let serial = self.folder.path().join("serial.log");
        fs::write(&serial, "").unwrap();
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-accel",
            "tcg",
            "-m",
            "512",
            "-nographic",
            "-no-reboot",
            "-net",
            "none",
            "-monitor",
            "none",
        ]);
        command
            .arg("-drive")
            .arg(format!("file={},format=raw,if=virtio", self.disk().display()));
        command.arg("-serial").arg(format!("file:{}", serial.display()));
        if let Firmware::Uefi = self.firmware {
            let vars = self.folder.path().join("vars.fd");
            fs::copy(OVMF_VARS, &vars).unwrap();
            command
                .arg("-drive")
                .arg(format!("if=pflash,format=raw,readonly=on,file={OVMF_CODE}"));
            command
                .arg("-drive")
                .arg(format!("if=pflash,format=raw,file={}", vars.display()));
        }
        let mut qemu = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let shown = loop {
            let shown = String::from_utf8_lossy(&fs::read(&serial).unwrap_or_default()).into_owned();
            let ended = qemu.try_wait().unwrap().is_some();
            if shown.contains(wanted) || ended || start.elapsed() > BOOT_LIMIT {
                break shown;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        let _ = qemu.kill();
        let _ = qemu.wait();
        eprintln!("{:?} {wanted:?} after {:?}", self.firmware, start.elapsed());
        shown
    }

    /// Boots, and finds that the kernel was given `parameters`.
    fn boots_with(&self, parameters: &str) -> String {
        let shown = self.boot(parameters);
        assert!(
            shown.contains(parameters),
            "{:?}: no {parameters:?} in:\n{shown}",
            self.firmware
        );
        shown
    }
}

/// GRUB's images for BIOS and UEFI.
fn loaders(folder: &Path) -> Option<(Vec<u8>, Vec<u8>)> {
    let (memdisk, config) = (folder.join("memdisk"), folder.join("early.cfg"));
    fs::write(&memdisk, grub::memdisk().unwrap()).unwrap();
    fs::write(&config, grub::EARLY_CONFIG).unwrap();
    let make = |format: &str, modules: &[&str]| {
        let output = folder.join(format);
        let mut command = Command::new("grub-mkimage");
        command
            .args(["-O", format, "-m"])
            .arg(&memdisk)
            .args(["-p", grub::PREFIX, "-c"])
            .arg(&config);
        let made = command.arg("-o").arg(&output).args(modules).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: grub-mkimage or its modules are not installed");
            return None;
        }
        fs::read(output).ok()
    };
    Some((
        make("i386-pc", &grub::BIOS_MODULES)?,
        make("x86_64-efi", &grub::EFI_MODULES)?,
    ))
}

fn on_both(check: fn(Machine)) {
    for firmware in [Firmware::Bios, Firmware::Uefi] {
        let Some(machine) = Machine::new(firmware) else {
            return;
        };
        check(machine);
    }
}

#[test]
#[ignore = "boots QEMU"]
fn a_new_disk_boots_slot_a() {
    on_both(|machine| {
        let shown = machine.boots_with("panic=-1 vcc.slot=a vcc.try=0");
        assert!(shown.contains("Booting slot a"), "{shown}");
        assert!(!shown.contains("error"), "{shown}");
    });
}

#[test]
#[ignore = "boots QEMU"]
fn a_slot_to_try_is_booted_once_and_the_request_is_cleared_before() {
    on_both(|machine| {
        machine.fill(&SLOT_B, machine.content.clone());
        machine.set(Slot::A, Some(Slot::B));
        machine.boots_with("vcc.slot=b vcc.try=1");
        assert_eq!(
            (machine.environment().slot(), machine.environment().trying()),
            (Slot::A, None)
        );
        machine.boots_with("vcc.slot=a vcc.try=0");
        machine.set(Slot::B, None);
        machine.boots_with("vcc.slot=b vcc.try=0");
        assert_eq!(machine.environment().slot(), Slot::B);
    });
}

#[test]
#[ignore = "boots QEMU"]
fn a_slot_that_cannot_be_loaded_gives_way_to_the_other() {
    on_both(|machine| {
        machine.set(Slot::A, Some(Slot::B));
        machine.boots_with("vcc.slot=a vcc.try=0");
        assert_eq!(machine.environment().trying(), None);
        machine.set(Slot::B, None);
        machine.boots_with("vcc.slot=a vcc.try=0");
        let broken = SlotContent {
            kernel: b"no kernel".to_vec(),
            ..machine.content.clone()
        };
        machine.fill(&SLOT_B, broken);
        machine.boots_with("vcc.slot=a vcc.try=0");
    });
}

#[test]
#[ignore = "boots QEMU"]
fn a_damaged_environment_boots_slot_a_and_a_disk_without_slots_says_so() {
    on_both(|machine| {
        machine.empty(&BOOT_ENV);
        machine.boots_with("vcc.slot=a vcc.try=0");
        machine.empty(&SLOT_A);
        machine.boots_with("No slot of this disk can be booted");
    });
}
