//! The boot disk's partitions. Deployed disks have them for good: a change here is a new kind of disk.

use crate::gpt::{BACKUP_SECTORS, Partition};
use crate::guid::Guid;
use crate::slot::Slot;
use crate::source::SECTOR;

/// Sectors of a MiB, at whose multiples partitions begin.
const MIB: u64 = (1 << 20) / SECTOR;

const BIOS_BOOT_KIND: Guid = guid(0x2168_6148_6449_6e6f_744e_6565_6445_4649);
const ESP_KIND: Guid = guid(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
const LINUX_KIND: Guid = guid(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);

/// A partition's place; sectors of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 1, as in `/dev/sda1`.
    pub number: u32,
    /// Its name in the partition table.
    pub name: &'static str,
    /// What it is for.
    pub kind: Guid,
    /// Its first sector.
    pub first: u64,
    /// Its length.
    pub sectors: u64,
}

/// GRUB's core image for BIOS.
pub const BIOS_BOOT: Place = Place {
    number: 1,
    name: "bios-boot",
    kind: BIOS_BOOT_KIND,
    first: MIB,
    sectors: MIB,
};
/// The EFI system partition.
pub const ESP: Place = Place {
    number: 2,
    name: "esp",
    kind: ESP_KIND,
    first: after(&BIOS_BOOT),
    sectors: 40 * MIB,
};
/// The loader's environment, in its first 1024 bytes. What follows is there for GRUB and never changes.
pub const BOOT_ENV: Place = Place {
    number: 3,
    name: "boot-env",
    kind: LINUX_KIND,
    first: after(&ESP),
    sectors: MIB,
};
/// The first slot.
pub const SLOT_A: Place = Place {
    number: 4,
    name: "slot-a",
    kind: LINUX_KIND,
    first: after(&BOOT_ENV),
    sectors: 128 * MIB,
};
/// The second slot.
pub const SLOT_B: Place = Place {
    number: 5,
    name: "slot-b",
    kind: LINUX_KIND,
    first: after(&SLOT_A),
    sectors: 128 * MIB,
};

pub(super) const ALL: [Place; 5] = [BIOS_BOOT, ESP, BOOT_ENV, SLOT_A, SLOT_B];

/// The disk's size in bytes: 300 MiB. Its last MiB holds the backup of the partition table.
pub const DISK_SIZE: u64 = (after(&SLOT_B) + MIB) * SECTOR;

const _: () = assert!(BACKUP_SECTORS <= MIB, "the backup table fits the disk's last MiB");

/// The partition of a slot.
pub const fn slot_partition(slot: Slot) -> &'static Place {
    match slot {
        Slot::A => &SLOT_A,
        Slot::B => &SLOT_B,
    }
}

impl Place {
    pub(super) fn partition(&self, disk: &Guid) -> Partition {
        Partition {
            name: self.name.into(),
            kind: self.kind,
            guid: disk.child(self.name),
            first: self.first,
            sectors: self.sectors,
        }
    }
}

const fn after(place: &Place) -> u64 {
    place.first + place.sectors
}

const fn guid(digits: u128) -> Guid {
    Guid::from_bytes(digits.to_be_bytes())
}
