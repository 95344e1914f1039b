//! GUID partition tables, after the UEFI specification 2.10, chapter 5.

use crate::error::{Error, Kind, Place, Result};
use crate::field::put;
use crate::guid::Guid;
use crate::source::{Composed, SECTOR, Source as _};

/// Bytes of the first sector that a BIOS runs.
pub const BOOT_CODE_LENGTH: usize = 440;

const ENTRIES: usize = 128;
const ENTRY_LENGTH: usize = 128;
const ENTRIES_SECTORS: u64 = (ENTRIES * ENTRY_LENGTH) as u64 / SECTOR;
const HEADER_LENGTH: usize = 92;
const NAME_LIMIT: usize = 36;

/// The first sector that a partition may have: after boot sector, header and entries.
pub const FIRST_USABLE: u64 = 2 + ENTRIES_SECTORS;
/// Sectors at the disk's end that the backup takes: entries, then header.
pub const BACKUP_SECTORS: u64 = ENTRIES_SECTORS + 1;

/// A disk's partitions, numbered from 1 in their order here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The disk's own GUID.
    pub disk: Guid,
    /// At most 128 partitions.
    pub partitions: Vec<Partition>,
}

/// One partition; places and sizes in sectors of 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// At most 36 UTF-16 units.
    pub name: String,
    /// What it is for.
    pub kind: Guid,
    /// Its own GUID.
    pub guid: Guid,
    /// Its first sector.
    pub first: u64,
    /// Its length, not zero.
    pub sectors: u64,
}

impl Table {
    /// Places the protective MBR with `boot_code`, the table and its backup at the end on `disk`.
    ///
    /// # Errors
    /// [`Kind::Capacity`] for a partition outside the usable sectors, too many of them, or a disk too small;
    /// [`Kind::Overlap`] for partitions over each other; [`Kind::Invalid`] for a name too long.
    pub fn place(&self, boot_code: &[u8; BOOT_CODE_LENGTH], disk: &mut Composed) -> Result<()> {
        let sectors = disk.size() / SECTOR;
        self.check(sectors)?;
        let entries = self.entries();
        let last = sectors - 1;
        disk.put(0, protective_mbr(boot_code, sectors).to_vec())?;
        disk.put(SECTOR, self.header(1, last, 2, &entries).to_vec())?;
        disk.put(2 * SECTOR, entries.clone())?;
        let backup = last - ENTRIES_SECTORS;
        disk.put(last * SECTOR, self.header(last, 1, backup, &entries).to_vec())?;
        disk.put(backup * SECTOR, entries)
    }

    fn check(&self, sectors: u64) -> Result<()> {
        let refuse = |kind, partition: &Partition, reason: &str| {
            Err(Error::new(kind, Place::Partition(partition.name.clone()), reason))
        };
        if sectors < FIRST_USABLE + BACKUP_SECTORS || self.partitions.len() > ENTRIES {
            return Err(Error::new(
                Kind::Capacity,
                Place::Whole,
                "a partition table does not fit",
            ));
        }
        let mut by_place: Vec<&Partition> = self.partitions.iter().collect();
        by_place.sort_by_key(|partition| partition.first);
        let mut free = FIRST_USABLE;
        for partition in by_place {
            let end = partition.first.checked_add(partition.sectors);
            let end = end.filter(|&end| partition.sectors > 0 && end <= sectors - BACKUP_SECTORS);
            let Some(end) = end else {
                return refuse(
                    Kind::Capacity,
                    partition,
                    "is empty or reaches past the usable sectors",
                );
            };
            if partition.first < free {
                return refuse(
                    Kind::Overlap,
                    partition,
                    "lies over the table or another partition",
                );
            }
            if partition.name.encode_utf16().count() > NAME_LIMIT {
                return refuse(Kind::Invalid, partition, "has a name of more than 36 characters");
            }
            free = end;
        }
        Ok(())
    }

    fn entries(&self) -> Vec<u8> {
        let mut entries = vec![0; ENTRIES * ENTRY_LENGTH];
        for (partition, entry) in self.partitions.iter().zip(entries.chunks_exact_mut(ENTRY_LENGTH)) {
            put(entry, 0, &partition.kind.to_disk());
            put(entry, 16, &partition.guid.to_disk());
            put(entry, 32, &partition.first.to_le_bytes());
            put(
                entry,
                40,
                &(partition.first + partition.sectors - 1).to_le_bytes(),
            );
            for (unit, at) in partition.name.encode_utf16().zip((56..).step_by(2)) {
                put(entry, at, &unit.to_le_bytes());
            }
        }
        entries
    }

    fn header(&self, at: u64, other: u64, entries_at: u64, entries: &[u8]) -> [u8; 512] {
        let last_usable = at.max(other) - BACKUP_SECTORS;
        let mut sector = [0; 512];
        put(&mut sector, 0, b"EFI PART");
        put(&mut sector, 8, &0x0001_0000u32.to_le_bytes());
        put(&mut sector, 12, &92u32.to_le_bytes());
        put(&mut sector, 24, &at.to_le_bytes());
        put(&mut sector, 32, &other.to_le_bytes());
        put(&mut sector, 40, &FIRST_USABLE.to_le_bytes());
        put(&mut sector, 48, &last_usable.to_le_bytes());
        put(&mut sector, 56, &self.disk.to_disk());
        put(&mut sector, 72, &entries_at.to_le_bytes());
        put(&mut sector, 80, &128u32.to_le_bytes());
        put(&mut sector, 84, &128u32.to_le_bytes());
        put(&mut sector, 88, &crc32fast::hash(entries).to_le_bytes());
        let crc = crc32fast::hash(&sector[..HEADER_LENGTH]);
        put(&mut sector, 16, &crc.to_le_bytes());
        sector
    }
}

/// An MBR whose one partition covers the disk, so that tools without GPT leave it alone.
fn protective_mbr(boot_code: &[u8; BOOT_CODE_LENGTH], sectors: u64) -> [u8; 512] {
    let mut sector = [0; 512];
    put(&mut sector, 0, boot_code);
    let covered = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    put(
        &mut sector,
        446,
        &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0],
    );
    put(&mut sector, 458, &covered.to_le_bytes());
    put(&mut sector, 510, &[0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::write_raw;
    use std::process::Command;

    fn partition(name: &str, first: u64, sectors: u64) -> Partition {
        let disk = Guid::derive(b"test");
        let kind = "0FC63DAF-8483-4772-8E79-3D69D8477DE4".parse().unwrap();
        Partition {
            name: name.into(),
            kind,
            guid: disk.child(name),
            first,
            sectors,
        }
    }

    fn table(partitions: Vec<Partition>) -> Table {
        Table {
            disk: Guid::derive(b"test"),
            partitions,
        }
    }

    #[test]
    fn sgdisk_finds_no_problem() {
        let mut disk = Composed::new(16 << 20);
        let table = table(vec![partition("one", 2048, 2048), partition("two", 4096, 10_000)]);
        table.place(&[0x90; BOOT_CODE_LENGTH], &mut disk).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        write_raw(&disk, &file.reopen().unwrap()).unwrap();
        let Ok(verified) = Command::new("sgdisk")
            .arg("-v")
            .arg("-p")
            .arg(file.path())
            .output()
        else {
            eprintln!("skipped: sgdisk is not installed");
            return;
        };
        let text = String::from_utf8_lossy(&verified.stdout);
        assert!(text.contains("No problems found"), "{text}");
        assert!(
            text.contains(&table.disk.to_string()) && text.contains("two"),
            "{text}"
        );
    }

    #[test]
    fn partitions_out_of_place_are_refused_by_name() {
        let refused = |partitions: Vec<Partition>| {
            let error = table(partitions)
                .place(&[0; BOOT_CODE_LENGTH], &mut Composed::new(1 << 20))
                .unwrap_err();
            (error.kind(), error.place().clone())
        };
        let named = |kind, name: &str| (kind, Place::Partition(name.into()));
        assert_eq!(refused(vec![partition("a", 33, 1)]), named(Kind::Overlap, "a"));
        assert_eq!(refused(vec![partition("a", 2015, 1)]), named(Kind::Capacity, "a"));
        assert_eq!(
            refused(vec![partition("a", u64::MAX, 2)]),
            named(Kind::Capacity, "a")
        );
        assert_eq!(refused(vec![partition("a", 40, 0)]), named(Kind::Capacity, "a"));
        assert_eq!(
            refused(vec![partition("b", 50, 9), partition("a", 40, 11)]),
            named(Kind::Overlap, "b")
        );
        let long = "x".repeat(37);
        assert_eq!(
            refused(vec![partition(&long, 40, 1)]),
            named(Kind::Invalid, &long)
        );
    }
}
