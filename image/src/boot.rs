//! The boot disk: one GPT disk that boots by BIOS and by UEFI, with two slots for the system.
//!
//! | # | name | size | content | why |
//! |---|---|---|---|---|
//! | 1 | `bios-boot` | 1 MiB | GRUB's core image | where a BIOS disk with a GPT keeps what does not fit its first sector |
//! | 2 | `esp` | 40 MiB | FAT32 with `/EFI/BOOT/BOOTX64.EFI` | the one path that all UEFI firmware boots without being told; FAT32 cannot be smaller than 33 MiB |
//! | 3 | `boot-env` | 1 MiB | GRUB's environment block, its first 1024 bytes | loader and runtime rewrite one sector in place |
//! | 4 | `slot-a` | 128 MiB | ISO 9660: kernel, initramfs, `slot.cfg` | a slot is written as one image and never changed, so a read-only format that needs no tools serves |
//! | 5 | `slot-b` | 128 MiB | nothing yet | the first upgrade goes there; a deployed disk cannot be parted anew |
//!
//! GRUB (2.06) can read a bare list of blocks as an environment but not write one: it asks a file system where the blocks
//! of a file are. So an ISO 9660 volume follows the environment block, in which that block is the file `grubenv`: its place
//! is the area that the format leaves unused at a volume's start. GRUB writes by name, the runtime by place, the same sector.
//!
//! Partitions begin at whole MiB. The disk's 300 MiB cost a package nothing: holes are left out. GUIDs derive from the
//! disk's own, so the same content gives the same bytes.

mod layout;

pub use layout::{
    BIOS_BOOT, BOOT_ENV, DISK_SIZE, ESP, Place as PartitionPlace, SLOT_A, SLOT_B, slot_partition,
};

use crate::error::{Error, Place, Result};
use crate::fat32;
use crate::gpt::Table;
use crate::grub::{self, Environment};
use crate::guid::Guid;
use crate::iso9660::Volume;
use crate::slot::Slot;
use crate::source::{Composed, SECTOR};

/// The kernel's command line where a recipe adds nothing: screen and first serial port, restart after a panic.
pub const COMMAND_LINE: &str = "console=tty0 console=ttyS0,115200 panic=10 quiet loglevel=4";

/// The longest command line of a slot; x86 kernels take 2047 characters, and the loader adds its own.
const COMMAND_LINE_LIMIT: usize = 1536;

/// What a slot boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotContent {
    /// The kernel, a bzImage.
    pub kernel: Vec<u8>,
    /// The initramfs.
    pub initrd: Vec<u8>,
    /// The kernel's command line; the loader adds `vcc.slot=` and `vcc.try=`.
    pub command_line: String,
}

/// All that goes onto a boot disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// GRUB's `i386-pc/boot.img`.
    pub boot_img: Vec<u8>,
    /// GRUB's core image for BIOS; see [`grub`].
    pub core_img: Vec<u8>,
    /// GRUB's image for UEFI, as `grub-mkimage` makes it; see [`grub`]. It goes onto the disk with
    /// [`grub::limit_heap`] applied.
    pub boot_efi: Vec<u8>,
    /// The first system, for slot A.
    pub slot: SlotContent,
    /// The disk's GUID; those of its partitions derive from it.
    pub disk_guid: Guid,
}

/// The boot disk of [`DISK_SIZE`] bytes: slot A filled and good, slot B empty.
///
/// # Errors
/// [`Kind::Capacity`](crate::error::Kind::Capacity) naming the partition that something does not fit;
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for loader files that are none; as [`slot_image`].
pub fn disk(inputs: Inputs) -> Result<Composed> {
    let mut disk = Composed::new(DISK_SIZE);
    let partitions = layout::ALL
        .iter()
        .map(|place| place.partition(&inputs.disk_guid))
        .collect();
    let table = Table {
        disk: inputs.disk_guid,
        partitions,
    };
    table.place(&grub::boot_code(&inputs.boot_img, BIOS_BOOT.first)?, &mut disk)?;
    embed(&mut disk, &BIOS_BOOT, core(&inputs.core_img))?;
    embed(&mut disk, &ESP, esp(inputs.boot_efi, &inputs.disk_guid))?;
    embed(&mut disk, &BOOT_ENV, environment())?;
    embed(&mut disk, &SLOT_A, slot_image(inputs.slot))?;
    Ok(disk)
}

/// A slot's content as the image that goes to the start of its partition: an upgrade writes this and nothing else.
///
/// # Errors
/// [`Kind::Invalid`](crate::error::Kind::Invalid) for a command line that is longer than 1536 characters or has
/// others than printable ASCII without quotes, `$`, `\` and backquotes, which GRUB's shell would take for its own.
pub fn slot_image(content: SlotContent) -> Result<Composed> {
    let legal = |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && !b"\"'$\\`".contains(&byte));
    let line = content.command_line.trim();
    if line.len() > COMMAND_LINE_LIMIT || !line.bytes().all(legal) {
        return Err(Error::invalid(
            Place::File("slot.cfg".into()),
            "a kernel command line is at most 1536 printable ASCII characters without quotes, `$`, `\\` and backquotes",
        ));
    }
    let mut volume = Volume::new("VCC_SLOT")?;
    volume.file("slot.cfg", format!("set cmdline=\"{line}\"\n").into_bytes())?;
    volume.file("vmlinuz", content.kernel)?;
    volume.file("initrd.img", content.initrd)?;
    volume.build()
}

fn embed(disk: &mut Composed, place: &PartitionPlace, content: Result<Composed>) -> Result<()> {
    let mut partition = Composed::new(place.sectors * SECTOR);
    let named = |error: Error| error.at(Place::Partition(place.name.into()));
    partition.embed(0, content.map_err(named)?).map_err(named)?;
    disk.embed(place.first * SECTOR, partition)
}

fn core(core_img: &[u8]) -> Result<Composed> {
    let core = grub::core_image(core_img, BIOS_BOOT.first)?;
    let mut image = Composed::new(core.len() as u64);
    image.put(0, core)?;
    Ok(image)
}

fn esp(boot_efi: Vec<u8>, disk_guid: &Guid) -> Result<Composed> {
    let [a, b, c, d, ..] = *disk_guid.child("esp-serial").as_bytes();
    let mut volume = fat32::Volume::new("ESP", u32::from_le_bytes([a, b, c, d]))?;
    volume.file("EFI/BOOT/BOOTX64.EFI", grub::limit_heap(boot_efi)?)?;
    volume.build(ESP.sectors * SECTOR, ESP.first)
}

fn environment() -> Result<Composed> {
    let mut volume = Volume::new("VCC_BOOT_ENV")?;
    volume.file_at_start("grubenv", Environment::fresh(Slot::A).render()?.to_vec())?;
    volume.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::grub::tests::loader;
    use crate::source::{Source as _, write_raw};
    use crate::{iso9660, vmdk};
    use std::process::Command;

    fn inputs() -> Inputs {
        let mut boot_img = vec![0x90; 510];
        boot_img.extend([0x55, 0xaa]);
        Inputs {
            boot_img,
            core_img: vec![1; 100_000],
            boot_efi: loader(200_000),
            slot: SlotContent {
                kernel: vec![2; 1_000_000],
                initrd: vec![3; 500_000],
                command_line: COMMAND_LINE.into(),
            },
            disk_guid: Guid::derive(b"test"),
        }
    }

    #[test]
    fn sgdisk_finds_the_five_partitions_at_whole_mib() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_raw(&disk(inputs()).unwrap(), &file.reopen().unwrap()).unwrap();
        let Ok(output) = Command::new("sgdisk")
            .args(["-v", "-p"])
            .arg(file.path())
            .output()
        else {
            eprintln!("skipped: sgdisk is not installed");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("No problems found"), "{text}");
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<&str>| row.len() == 7 && row[0].parse::<u8>().is_ok())
            .collect();
        let shown: Vec<(&str, &str, &str)> = rows.iter().map(|row| (row[1], row[5], row[6])).collect();
        let expected = [
            ("2048", "EF02", "bios-boot"),
            ("4096", "EF00", "esp"),
            ("86016", "8300", "boot-env"),
            ("88064", "8300", "slot-a"),
            ("350208", "8300", "slot-b"),
        ];
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn slot_a_holds_the_system_and_slot_b_nothing() {
        let disk = disk(inputs()).unwrap();
        let image = slot_image(inputs().slot).unwrap();
        let names: Vec<String> = iso9660::files(&image)
            .unwrap()
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["initrd.img", "slot.cfg", "vmlinuz"]);
        let mut bytes = vec![0; usize::try_from(image.size()).unwrap()];
        let mut on_disk = bytes.clone();
        image.read_at(0, &mut bytes).unwrap();
        disk.read_at(SLOT_A.first * SECTOR, &mut on_disk).unwrap();
        assert!(bytes == on_disk);
        let after = disk.next_data(SLOT_B.first * SECTOR).unwrap().unwrap();
        assert!(
            after.start >= (SLOT_B.first + SLOT_B.sectors) * SECTOR,
            "only the backup table follows"
        );
    }

    #[test]
    fn the_environment_begins_its_partition() {
        let disk = disk(inputs()).unwrap();
        let mut block = [0; grub::ENVIRONMENT_LENGTH];
        disk.read_at(BOOT_ENV.first * SECTOR, &mut block).unwrap();
        assert_eq!(Environment::parse(&block).unwrap(), Environment::fresh(Slot::A));
    }

    #[test]
    fn the_same_inputs_give_the_same_stream() {
        let stream = || {
            let mut bytes = Vec::new();
            vmdk::write(
                &disk(inputs()).unwrap(),
                &mut bytes,
                &vmdk::Options::default(),
                &mut |_| {},
            )
            .unwrap();
            bytes
        };
        assert!(stream() == stream());
    }

    #[test]
    fn what_does_not_fit_is_refused_by_partition() {
        let refused = |change: fn(&mut Inputs)| {
            let mut inputs = inputs();
            change(&mut inputs);
            let error = disk(inputs).unwrap_err();
            (error.kind(), error.place().clone())
        };
        let partition = |name: &str| Place::Partition(name.into());
        assert_eq!(
            refused(|i| i.core_img = vec![0; (1 << 20) + 1]),
            (Kind::Capacity, partition("bios-boot"))
        );
        assert_eq!(
            refused(|i| i.boot_efi = loader(41 << 20)),
            (Kind::Capacity, partition("esp"))
        );
        assert_eq!(
            refused(|i| i.slot.initrd = vec![0; 128 << 20]),
            (Kind::Capacity, partition("slot-a"))
        );
    }

    #[test]
    fn a_command_line_cannot_reach_the_loaders_shell() {
        for line in [
            "a\"; reboot",
            "$root",
            "a\\",
            "`x`",
            "a\nb",
            "é",
            &"x".repeat(1537),
        ] {
            let content = SlotContent {
                kernel: vec![1],
                initrd: vec![1],
                command_line: line.into(),
            };
            assert_eq!(slot_image(content).unwrap_err().kind(), Kind::Invalid, "{line:?}");
        }
    }
}
