//! Streams whose tables are all at the head, as `qemu-img` writes them.

use libdeflater::CompressionLvl;

use super::*;
use crate::pipeline::{self, Filled};
use crate::vmdk::grain::{self, GRAIN};

/// Such a stream of a disk, in QEMU's layout.
fn headed(disk: &dyn Source) -> Vec<u8> {
    let sparse = Header::sparse(disk.size() / 512);
    let header = Header {
        version: 3,
        flags: sparse.flags | Header::stream(1).flags,
        ..sparse
    };
    let mut bytes = vec![0; usize::try_from(header.overhead * 512).unwrap()];
    let text = Options::default().descriptor("streamOptimized", 7, header.capacity);
    bytes[..512].copy_from_slice(&header.render());
    bytes[512..512 + text.len()].copy_from_slice(text.as_bytes());
    let directories = [header.redundant_directory, header.directory];
    let put = |bytes: &mut [u8], at: u64, entry: u64| {
        let at = usize::try_from(at).unwrap();
        bytes[at..at + 4].copy_from_slice(&u32::try_from(entry).unwrap().to_le_bytes());
    };
    let table = |directory: u64, number: u64| directory + header.directory_sectors() + number * TABLE_SECTORS;
    for directory in directories {
        for number in 0..header.tables() as u64 {
            put(&mut bytes, directory * 512 + number * 4, table(directory, number));
        }
    }
    let mut packer = grain::packer(CompressionLvl::default());
    pipeline::run(
        &mut crate::feed::Scan::new(disk),
        GRAIN,
        1,
        &|| Ok(Box::new(Ok)),
        &mut |job: Filled| {
            for (index, grain) in packer(job).unwrap() {
                let at = bytes.len() as u64 / 512;
                for directory in directories {
                    put(
                        &mut bytes,
                        table(directory, index / 512) * 512 + index % 512 * 4,
                        at,
                    );
                }
                bytes.extend(grain);
            }
            Ok(())
        },
        &mut |_| {},
    )
    .unwrap();
    bytes.extend([0; 512 * 100]);
    bytes
}

fn read(bytes: &[u8], disk: &dyn Source) -> Result<Summary> {
    Stream::open(bytes, CAPACITY_LIMIT)?.compare(disk)
}

#[test]
fn a_stream_of_qemu_is_read_front_to_back() {
    let disk = crate::oracle::sample(70 * MIB);
    assert_eq!(read(&headed(&disk), &disk).unwrap().capacity, disk.size());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    crate::oracle::raw(&disk, &path("a.raw"));
    let convert = [
        "convert",
        "-f",
        "raw",
        "-O",
        "vmdk",
        "-o",
        "subformat=streamOptimized",
    ];
    let files = [path("a.raw"), path("a.vmdk")];
    if crate::oracle::qemu_img_succeeds(&convert, &files.each_ref().map(|file| file.as_path())) {
        let bytes = std::fs::read(path("a.vmdk")).unwrap();
        assert_ne!(Header::parse(&bytes).unwrap().directory, u64::MAX);
        assert_eq!(read(&bytes, &disk).unwrap().length, bytes.len() as u64);
    }
}

#[test]
fn grains_are_where_the_tables_say_and_nothing_else_is_there() {
    let disk = sample(64 * MIB);
    let bytes = headed(&disk);
    let header = Header::parse(&bytes).unwrap();
    let kind = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        read(&bytes, &disk).unwrap_err().kind()
    };
    let at = |sector: u64| usize::try_from(sector * 512).unwrap();
    // Where the disk's last grain is, in both tables.
    let entries = [header.redundant_directory, header.directory]
        .map(|directory| at(directory + header.directory_sectors() + 2 * TABLE_SECTORS) - 4);
    assert_eq!(kind(&|bytes| bytes[entries[0]] += 1), Kind::Malformed);
    assert_eq!(
        kind(&|bytes| entries.iter().for_each(|&at| bytes[at] += 1)),
        Kind::Malformed
    );
    // The directory names a table elsewhere.
    assert_eq!(kind(&|bytes| bytes[at(header.directory)] ^= 1), Kind::Unsupported);
    // Bytes between tables and grains, after the last grain, and beyond what QEMU fills up.
    assert_eq!(kind(&|bytes| bytes[at(header.overhead) - 1] = 1), Kind::Malformed);
    assert_eq!(kind(&|bytes| *bytes.last_mut().unwrap() = 1), Kind::Malformed);
    assert_eq!(kind(&|bytes| bytes.extend([0; 65_536])), Kind::Malformed);
    // A grain less than the tables name.
    let cut = bytes.len() - 512 * 101;
    assert_eq!(kind(&|bytes| bytes.truncate(cut)), Kind::Truncated);
    // Grains out of the disk's order are left to the reader that seeks.
    let swapped = |bytes: &mut Vec<u8>| entries.iter().for_each(|&at| bytes[at] -= 1);
    assert_eq!(kind(&swapped), Kind::Unsupported);
}

#[test]
fn grains_outside_the_disk_are_refused_before_they_are_read() {
    let disk = Memory(vec![1; 65_536]);
    let mut bytes = headed(&disk);
    let header = Header::parse(&bytes).unwrap();
    for directory in [header.redundant_directory, header.directory] {
        let table = usize::try_from((directory + header.directory_sectors()) * 512).unwrap();
        let first: [u8; 4] = bytes[table..table + 4].try_into().unwrap();
        bytes[table..table + 4].fill(0);
        bytes[table + 20..table + 24].copy_from_slice(&first);
    }
    let marker = usize::try_from(header.overhead * 512).unwrap();
    bytes[marker..marker + 8].copy_from_slice(&(5 * 128u64).to_le_bytes());
    assert_eq!(read(&bytes, &disk).unwrap_err().kind(), Kind::Malformed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn damage_is_refused_or_does_not_matter(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let disk = sample(64 * MIB);
        let mut bytes = headed(&disk);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // Compared with the disk: what is taken is right, but for a guest's bytes, which carry a checksum.
        if let Err(error) = read(&bytes, &disk) {
            prop_assert_ne!(error.kind(), Kind::Differs);
        }
    }
}
