//! The fuzz targets' seeds, and the inputs that once made one fail, replayed.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::{Path, PathBuf};

use appliance::catalog::Sort;
use appliance::chunk::Builder;
use appliance::digest::Digest;
use appliance::transfer::{Offer, OfferedFile, Purpose, Signed};
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use serde_json::json;

#[allow(unreachable_pub, reason = "the fuzz crate's library, where they are reached")]
#[path = "../../fuzz/src/transfers.rs"]
mod bodies;
#[path = "connector/package.rs"]
mod package;

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
        for at in (0..bytes.len()).step_by(1.max(bytes.len() / 256)) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            body(&changed);
            body(&bytes[..at]);
        }
    }
}

#[test]
fn chunk_indexes_are_read_and_written_the_same() {
    replay("index", bodies::index);
}

#[test]
fn offers_are_read_and_written_the_same_and_name_no_place() {
    replay("offer", bodies::offer);
}

#[test]
fn signed_documents_are_good_for_one_purpose() {
    replay("signed", bodies::signed);
}

/// `cargo test -p appliance --test seeds -- --ignored` writes them to `fuzz/seeds`; keys and signatures differ each time.
#[test]
#[ignore = "writes into the source tree"]
fn seeds() {
    let write = |target: &str, name: &str, seed: &[u8]| {
        let folder = folder().join(target);
        std::fs::create_dir_all(&folder).unwrap();
        assert!(seed.len() < 65_536, "{name}: {}", seed.len());
        std::fs::write(folder.join(name), seed).unwrap();
    };
    let index = |bytes: &[u8]| {
        let mut builder = Builder::new(bytes.len() as u64, Vec::new()).unwrap();
        builder.update(bytes).unwrap();
        builder.finish(Digest::of(bytes)).unwrap()
    };
    let (long, groups) = index(&package::noise(1, 3 << 20));
    assert!(long.groups().len() > 1);
    write("index", "long", &[long.encode(), groups].concat());
    let (short, groups) = index(&package::noise(2, 70_000));
    write("index", "short", &[short.encode(), groups].concat());
    let (empty, _) = index(b"");
    write("index", "empty", &empty.encode());

    let file = |name: &str, bytes| OfferedFile {
        name: name.to_owned(),
        bytes,
        digest: Digest::of(name.as_bytes()),
    };
    let offer = |kind, names: &[&str]| Offer {
        label: "1.4.0-2".to_owned(),
        kind,
        files: names.iter().copied().map(|name| file(name, 4096)).collect(),
    };
    let package = offer(Sort::Package, &["web.ovf", "web.mf", "web.cert", "web-disk.vmdk"]);
    let files = offer(Sort::File, &["a.img", "A.img", "../b", ""]);
    for (name, offer) in [("package", package), ("files", files)] {
        write("offer", name, &serde_json::to_vec(&offer).unwrap());
    }

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::new()).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let sign = |purpose, document: &[u8]| {
        let sign = |bytes: &[u8]| Ok(key.sign(bytes).unwrap());
        let signed = Signed::bytes(purpose, document, certificate.der(), sign).unwrap();
        serde_json::to_vec(&signed).unwrap()
    };
    let of_version = [Digest::of(b"").as_bytes().as_slice(), &long.encode()].concat();
    write("signed", "index", &sign(Purpose::Index, &of_version));
    let party = |node: &str| json!({ "node": node, "cloud": "north", "place": { "tenant": "acme", "catalog": "images", "item": "web" } });
    let (one, other) = (
        "11111111-2222-4333-8444-555555555555",
        "99999999-8888-4777-8666-555555555555",
    );
    let digest = Digest::of(b"").to_string();
    let grant = json!({
        "transfer": one, "number": 7, "source": party(one), "destination": party(other), "version": other, "label": "1.0",
        "kind": "package", "digest": digest, "bytes": 4096, "floor": "0.9", "relay": one, "moves": true, "subscription": one,
        "issued": "2026-12-01T00:00:00Z", "expires": "2026-12-08T00:00:00Z",
    });
    let receipt = json!({
        "transfer": one, "grant": digest, "node": other, "outcome": "REJECTED",
        "place": { "catalog": "images", "item": "web" }, "label": "1.0", "digest": digest, "release": "1.0",
        "signer": "CN=publisher", "policy": digest, "at": "2026-12-01T00:00:00Z",
        "refusal": { "rule": "source.chunk", "file": "web-disk.vmdk", "chunk": 4096, "reason": "its digest is another" },
    });
    for (name, purpose, document) in [
        ("grant", Purpose::Grant, &grant),
        ("receipt", Purpose::Receipt, &receipt),
    ] {
        let bytes = serde_json::to_vec(document).unwrap();
        write("signed", &format!("{name}-alone"), &bytes);
        let signed = sign(purpose, &bytes);
        write("signed", name, &signed);
        let signed: Signed = serde_json::from_slice(&signed).unwrap();
        let read = match purpose {
            Purpose::Grant => signed.read::<appliance::transfer::Grant>(purpose).map(drop),
            _ => signed.read::<appliance::transfer::Receipt>(purpose).map(drop),
        };
        read.unwrap();
    }
}
