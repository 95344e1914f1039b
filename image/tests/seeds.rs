//! The fuzz targets' seeds, and the inputs that once made one fail, replayed.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use image::source::{Composed, Seeking, write_raw};
use image::{qcow2, vhd, vmdk};

#[allow(unreachable_pub, reason = "the fuzz crate's library, where they are reached")]
#[path = "../../fuzz/src/images.rs"]
mod images;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds")
}

/// Calls a target's body with every file of its seeds.
fn replay(target: &str, body: fn(&[u8])) {
    let entries = std::fs::read_dir(folder().join(target)).expect("the folder of seeds");
    let mut seeds: Vec<PathBuf> = entries.map(|entry| entry.expect("a seed").path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 2, "{target} has {} seeds", seeds.len());
    for seed in &seeds {
        // Shown only where the body fails: which input it was.
        println!("{}", seed.display());
        let bytes = std::fs::read(seed).expect("a seed");
        body(&bytes);
        // What a fuzzer does first: a byte more or less, and another one.
        for at in (0..bytes.len()).step_by(1.max(bytes.len() / 16)) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            body(&changed);
            body(&bytes[..at]);
        }
    }
}

#[test]
fn streams_read_the_same_front_to_back_and_by_seeking() {
    replay("stream", images::stream);
}

#[test]
fn sparse_files_that_are_sound_are_read() {
    replay("sparse", images::sparse);
}

#[test]
fn qcow2_images_that_are_sound_are_read() {
    replay("qcow2", images::qcow2);
}

#[test]
fn vhds_that_are_sound_are_read() {
    replay("vhd", images::vhd);
}

#[test]
fn vhdxs_that_are_sound_are_read() {
    replay("vhdx", images::vhdx);
}

/// `cargo test -p image --test seeds -- --ignored` writes them to `fuzz/seeds`.
#[test]
#[ignore = "writes into the source tree, with qemu-img"]
fn seeds() {
    let mut disk = Composed::new(3 << 20);
    disk.put(0, b"head".repeat(100)).unwrap();
    disk.put((1 << 20) - 2, b"across".to_vec()).unwrap();
    disk.put((3 << 20) - 4, b"tail".to_vec()).unwrap();
    let write = |target: &str, name: &str, image: &[u8]| {
        let folder = folder().join(target);
        std::fs::create_dir_all(&folder).unwrap();
        let seed = images::encode(image);
        assert!(
            images::decode(&seed).starts_with(image) && seed.len() < 65_536,
            "{name}: {}",
            seed.len()
        );
        std::fs::write(folder.join(name), seed).unwrap();
    };
    let mut stream = Vec::new();
    vmdk::write(&disk, &mut stream, &vmdk::Options::default(), &mut |_| {}).unwrap();
    write("stream", "ours", &stream);
    write("sparse", "stream", &stream);
    let ours = |make: &dyn Fn(&dyn image::source::Sink)| {
        let sink = Seeking::new(std::io::Cursor::new(Vec::new()));
        make(&sink);
        sink.into_inner().into_inner()
    };
    let sparse = ours(&|sink| {
        vmdk::write_sparse(&disk, sink, &vmdk::Options::default(), &mut |_| {}).unwrap();
    });
    write("sparse", "ours", &sparse);
    for (name, packing) in [
        ("plain", qcow2::Packing::Plain),
        ("zlib", qcow2::Packing::Zlib(6)),
        ("zstd", qcow2::Packing::Zstd(3)),
    ] {
        let options = qcow2::Options {
            packing,
            ..qcow2::Options::default()
        };
        write(
            "qcow2",
            name,
            &ours(&|sink| {
                qcow2::write(&disk, sink, &options, &mut |_| {}).unwrap();
            }),
        );
    }
    for (name, form) in [("fixed", vhd::Form::Fixed), ("dynamic", vhd::Form::Dynamic)] {
        let options = vhd::Options {
            form,
            ..vhd::Options::default()
        };
        write(
            "vhd",
            name,
            &ours(&|sink| {
                vhd::write(&disk, sink, &options, &mut |_| {}).unwrap();
            }),
        );
    }
    let bench = tempfile::tempdir().unwrap();
    let (raw, made) = (bench.path().join("raw"), bench.path().join("made"));
    write_raw(&disk, &std::fs::File::create(&raw).unwrap()).unwrap();
    for (target, name, arguments) in [
        (
            "stream",
            "qemu",
            &["-O", "vmdk", "-o", "subformat=streamOptimized"][..],
        ),
        ("sparse", "qemu", &["-O", "vmdk"]),
        (
            "qcow2",
            "version-2",
            &["-O", "qcow2", "-o", "compat=0.10,cluster_size=4096"],
        ),
        (
            "qcow2",
            "extended",
            &["-O", "qcow2", "-o", "extended_l2=on,cluster_size=32768"],
        ),
        (
            "qcow2",
            "small-clusters",
            &["-c", "-O", "qcow2", "-o", "cluster_size=512"],
        ),
        ("vhdx", "dynamic", &["-O", "vhdx", "-o", "block_size=1048576"]),
        (
            "vhdx",
            "fixed",
            &["-O", "vhdx", "-o", "subformat=fixed,block_size=1048576"],
        ),
    ] {
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw"]).args(arguments);
        assert!(convert.args([&raw, &made]).status().unwrap().success());
        write(target, name, &std::fs::read(&made).unwrap());
    }
}
