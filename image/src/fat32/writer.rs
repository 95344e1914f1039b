//! From content to sectors.

use std::collections::BTreeSet;

use super::geometry::{FATS, Geometry, RESERVED};
use super::name::{ShortName, long_entries, shorten};
use super::{Directory, Node, Volume};
use crate::error::{Error, Kind, Place, Result};
use crate::field::put;
use crate::source::{Composed, SECTOR};

const ROOT_CLUSTER: u32 = 2;
const END_OF_CHAIN: u32 = 0x0fff_ffff;
const INFO_SECTOR: u64 = 1;
const BACKUP_SECTOR: u64 = 6;
const ATTRIBUTE_LABEL: u8 = 0x08;
const ATTRIBUTE_DIRECTORY: u8 = 0x10;
const ATTRIBUTE_ARCHIVE: u8 = 0x20;
/// 1980-01-01, the first day that FAT can tell.
const DATE: u16 = 0x0021;

pub(super) fn build(volume: &Volume, size: u64, first_sector: u64) -> Result<Composed> {
    let geometry = Geometry::of(size)?;
    let mut writer = Writer {
        geometry,
        image: Composed::new(size),
        fat: vec![0x0fff_fff8, END_OF_CHAIN],
    };
    let label = entry(&volume.label, ATTRIBUTE_LABEL, 0, 0);
    writer.directory(&volume.root, &[label], None)?;
    writer.finish(volume, first_sector)
}

struct Writer {
    geometry: Geometry,
    image: Composed,
    /// One entry a cluster, as far as clusters are handed out.
    fat: Vec<u32>,
}

/// An entry whose content has no place yet.
struct Pending<'a> {
    name: &'a str,
    short: ShortName,
    whole: bool,
    node: &'a Node,
}

impl Writer {
    /// Writes a directory and all below it; its first cluster. Without a parent it is the root.
    fn directory(&mut self, directory: &Directory, head: &[[u8; 32]], parent: Option<u32>) -> Result<u32> {
        let mut taken = BTreeSet::new();
        let mut pending = Vec::new();
        for (name, node) in directory.0.values() {
            let (short, whole) = shorten(name, &taken);
            taken.insert(short);
            pending.push(Pending {
                name,
                short,
                whole,
                node,
            });
        }
        let long = |item: &Pending| {
            if item.whole {
                0
            } else {
                item.name.len().div_ceil(13)
            }
        };
        let dots = if parent.is_some() { 2 } else { 0 };
        let count: usize = dots + head.len() + pending.iter().map(|item| 1 + long(item)).sum::<usize>();
        // An empty directory has a cluster all the same.
        let first = self.allocate(count.max(1) * 32)?;
        let mut entries = head.concat();
        if let Some(parent) = parent {
            // The root is cluster 0 where a directory names its parent.
            let up = if parent == ROOT_CLUSTER { 0 } else { parent };
            entries.extend(entry(b".          ", ATTRIBUTE_DIRECTORY, first, 0));
            entries.extend(entry(b"..         ", ATTRIBUTE_DIRECTORY, up, 0));
        }
        for item in pending {
            if !item.whole {
                entries.extend(long_entries(item.name, &item.short).concat());
            }
            entries.extend(self.node(&item, first)?);
        }
        self.store(first, entries)?;
        Ok(first)
    }

    fn node(&mut self, item: &Pending<'_>, parent: u32) -> Result<[u8; 32]> {
        match item.node {
            Node::Directory(inner) => {
                let first = self.directory(inner, &[], Some(parent))?;
                Ok(entry(&item.short, ATTRIBUTE_DIRECTORY, first, 0))
            }
            Node::File(data) if data.is_empty() => Ok(entry(&item.short, ATTRIBUTE_ARCHIVE, 0, 0)),
            Node::File(data) => {
                let first = self.allocate(data.len())?;
                self.store(first, data.clone())?;
                let length = u32::try_from(data.len()).expect("checked when the file was added");
                Ok(entry(&item.short, ATTRIBUTE_ARCHIVE, first, length))
            }
        }
    }

    /// The first of a run of clusters for so many bytes.
    fn allocate(&mut self, bytes: usize) -> Result<u32> {
        let full = || {
            Error::new(
                Kind::Capacity,
                Place::Whole,
                "the FAT volume is too small for its content",
            )
        };
        let first = u32::try_from(self.fat.len()).map_err(|_| full())?;
        let count = u32::try_from(bytes.div_ceil(self.geometry.cluster_bytes())).map_err(|_| full())?;
        let end = first
            .checked_add(count)
            .filter(|&end| end <= self.geometry.clusters + 2)
            .ok_or_else(full)?;
        self.fat.extend(first + 1..end);
        self.fat.push(END_OF_CHAIN);
        Ok(first)
    }

    fn store(&mut self, cluster: u32, bytes: Vec<u8>) -> Result<()> {
        self.image.put(self.geometry.cluster(cluster), bytes)
    }

    fn finish(mut self, volume: &Volume, first_sector: u64) -> Result<Composed> {
        let fat: Vec<u8> = self.fat.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        for copy in 0..FATS {
            self.image.put(self.geometry.fat(copy), fat.clone())?;
        }
        let boot = self.boot_sector(volume, first_sector)?;
        let info = self.info_sector();
        for base in [0, BACKUP_SECTOR] {
            self.image.put(base * SECTOR, boot.to_vec())?;
            self.image.put((base + INFO_SECTOR) * SECTOR, info.to_vec())?;
        }
        Ok(self.image)
    }

    fn boot_sector(&self, volume: &Volume, first_sector: u64) -> Result<[u8; 512]> {
        let hidden = u32::try_from(first_sector).map_err(|_| {
            Error::new(
                Kind::Capacity,
                Place::Whole,
                "a FAT volume begins within 2 TiB of its disk",
            )
        })?;
        let cluster_sectors =
            u8::try_from(self.geometry.cluster_sectors).expect("clusters have 1 to 64 sectors");
        let mut sector = [0; 512];
        put(&mut sector, 0, &[0xeb, 0x58, 0x90]);
        put(&mut sector, 3, b"MSWIN4.1");
        put(&mut sector, 11, &512u16.to_le_bytes());
        sector[13] = cluster_sectors;
        put(&mut sector, 14, &RESERVED.to_le_bytes()[..2]);
        put(&mut sector, 16, &[2]);
        // A hard disk; its tracks and heads are what BIOSes make up for large ones.
        put(&mut sector, 21, &[0xf8, 0, 0, 63, 0, 255, 0]);
        put(&mut sector, 28, &hidden.to_le_bytes());
        put(&mut sector, 32, &self.geometry.sectors.to_le_bytes());
        put(&mut sector, 36, &self.geometry.fat_sectors.to_le_bytes());
        put(&mut sector, 44, &ROOT_CLUSTER.to_le_bytes());
        put(&mut sector, 48, &[1, 0, 6, 0]);
        put(&mut sector, 64, &[0x80, 0, 0x29]);
        put(&mut sector, 67, &volume.serial.to_le_bytes());
        put(&mut sector, 71, &volume.label);
        put(&mut sector, 82, b"FAT32   ");
        // Started as code by mistake, it stays where it is.
        put(&mut sector, 90, &[0xf4, 0xeb, 0xfd]);
        put(&mut sector, 510, &[0x55, 0xaa]);
        Ok(sector)
    }

    fn info_sector(&self) -> [u8; 512] {
        let next = u32::try_from(self.fat.len()).expect("clusters are counted in 28 bits");
        let free = self.geometry.clusters + 2 - next;
        let mut sector = [0; 512];
        put(&mut sector, 0, b"RRaA");
        put(&mut sector, 484, b"rrAa");
        put(&mut sector, 488, &free.to_le_bytes());
        put(&mut sector, 492, &next.to_le_bytes());
        put(&mut sector, 508, &[0, 0, 0x55, 0xaa]);
        sector
    }
}

fn entry(short: &ShortName, attribute: u8, cluster: u32, length: u32) -> [u8; 32] {
    let mut entry = [0; 32];
    let [low0, low1, high0, high1] = cluster.to_le_bytes();
    put(&mut entry, 0, short);
    entry[11] = attribute;
    put(&mut entry, 16, &DATE.to_le_bytes());
    put(&mut entry, 18, &DATE.to_le_bytes());
    put(&mut entry, 20, &[high0, high1]);
    put(&mut entry, 24, &DATE.to_le_bytes());
    put(&mut entry, 26, &[low0, low1]);
    put(&mut entry, 28, &length.to_le_bytes());
    entry
}
