//! Programs written by other people accept what we make.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation of a test is a panic"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::guest::Guest;
use e2e::{artefacts, counterpart, disk, recipe};
use serde_json::Value;
use tempfile::TempDir;

const MEMBERS: [&str; 5] = [
    "vcc-node.ovf",
    "vcc-node.mf",
    "vcc-node.cert",
    "vcc-node-system.vmdk",
    "vcc-node-state.vmdk",
];

/// The appliance's members, by tar.
fn unpacked() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    artefacts::success(
        Command::new("tar")
            .arg("-xf")
            .arg(artefacts::package())
            .arg("-C")
            .arg(folder.path()),
    );
    folder
}

#[test]
fn tar_lists_the_members_in_the_standard_s_order_as_plain_files() {
    let listing = artefacts::success(Command::new("tar").arg("-tf").arg(artefacts::package()));
    assert_eq!(listing.lines().collect::<Vec<_>>(), MEMBERS);
    let long = artefacts::success(Command::new("tar").args(["-tvf"]).arg(artefacts::package()));
    assert!(long.lines().all(|line| line.starts_with('-')), "{long}");
}

#[test]
fn virt_v2v_reads_the_package() {
    let Some(mut v2v) = counterpart::find("virt-v2v") else {
        return;
    };
    v2v.args(["-i", "ova", "--print-source"])
        .arg(artefacts::package())
        .env("LIBGUESTFS_BACKEND", "direct");
    let source = artefacts::success(&mut v2v);
    let fields: Vec<String> = source
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "source name: VCC node",
        "hypervisor type: vmware",
        "memory: 268435456 (bytes)",
        "nr vCPUs: 1",
        "firmware: bios",
        "0 [sata]",
        "1 [sata]",
        "Bridge \"VM Network\" [e1000]",
    ];
    for line in expected {
        assert!(
            fields.iter().any(|field| field == line),
            "'{line}' is not in\n{source}"
        );
    }
}

#[test]
fn openssl_verifies_the_signature_over_the_manifest() {
    let members = unpacked();
    let script = r#"
        openssl x509 -in vcc-node.cert -pubkey -noout >key
        sed -n 's/^SHA256(vcc-node.mf)= //p' vcc-node.cert >hex
        printf '%b' "$(sed 's/../\\x&/g' hex)" >signature
        openssl dgst -sha256 -verify key -signature signature vcc-node.mf
        sed -n '/BEGIN/,/END/p' vcc-node.cert | openssl verify -CAfile "$1" -purpose any
    "#;
    let mut bash = Command::new("bash");
    bash.args(["-eu", "-o", "pipefail", "-c", script, "bash"])
        .arg(artefacts::key("ca.pem"));
    let said = artefacts::success(bash.current_dir(members.path()));
    assert!(said.contains("Verified OK"), "{said}");
}

#[test]
fn sha256sum_agrees_with_the_manifest_about_every_member() {
    let members = unpacked();
    let manifest = std::fs::read_to_string(members.path().join("vcc-node.mf")).unwrap();
    let listed: Vec<&str> = manifest
        .lines()
        .map(|line| line.strip_prefix("SHA256(").unwrap().split(')').next().unwrap())
        .collect();
    assert_eq!(listed, [MEMBERS[0], MEMBERS[3], MEMBERS[4]]);
    let mut checker = Command::new("bash");
    checker.args([
        "-eu",
        "-o",
        "pipefail",
        "-c",
        "sed -E 's/^SHA256\\((.*)\\)= (.*)$/\\2  \\1/' vcc-node.mf | sha256sum -c",
    ]);
    artefacts::success(checker.current_dir(members.path()));
}

#[test]
fn xmllint_finds_the_descriptor_well_formed_and_valid() {
    let members = unpacked();
    let Some(mut lint) = counterpart::find("xmllint") else {
        return;
    };
    artefacts::success(
        lint.args(["--nonet", "--noout"])
            .arg(members.path().join("vcc-node.ovf")),
    );
    let Some(schema) = schema() else {
        eprintln!("skipped: the corpus with DMTF's schema is not here");
        return;
    };
    let mut lint = counterpart::find("xmllint").unwrap();
    lint.args(["--nonet", "--noout", "--schema"])
        .arg(schema)
        .arg(members.path().join("vcc-node.ovf"));
    artefacts::success(&mut lint);
}

fn schema() -> Option<PathBuf> {
    let corpus = std::env::var_os("OVF_CORPUS").map(PathBuf::from);
    let corpus = corpus.unwrap_or_else(|| artefacts::workspace().join("../shared/corpus"));
    let schema = corpus.join(SCHEMA);
    schema.exists().then_some(schema)
}

const SCHEMA: &str = "xsd/xo-1.1.1/dsp8023_1.1.1.xsd";

#[test]
fn qemu_img_finds_each_disk_of_the_appliance_sound() {
    let members = unpacked();
    for name in &MEMBERS[3..] {
        artefacts::success(
            Command::new("qemu-img")
                .args(["check", "-f", "vmdk"])
                .arg(members.path().join(name)),
        );
        let info = artefacts::success(
            Command::new("qemu-img")
                .args(["info", "--output=json", "-f", "vmdk"])
                .arg(members.path().join(name)),
        );
        let info: Value = serde_json::from_str(&info).unwrap();
        assert_eq!(
            info["format-specific"]["data"]["create-type"], "streamOptimized",
            "{info}"
        );
    }
}

#[test]
fn qemu_img_finds_each_disk_equal_to_its_raw_source_whatever_its_size() {
    // Sizes around the grain (64 KiB) and the grain table (32 MiB); one that is no multiple of either.
    for (seed, size) in [
        (1, 65_536),
        (2, 512),
        (3, 65_536 * 3 + 512),
        (4, 33 << 20),
        (5, (100 << 20) + 512 * 77),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe::raw(folder.path(), &sparse(seed, size), "");
        let package = recipe::build(&recipe);
        let packed = disk::vmdk(&package, "data", folder.path());
        let mut compare = Command::new("qemu-img");
        compare
            .args(["compare", "-f", "vmdk", "-F", "raw"])
            .arg(&packed)
            .arg(folder.path().join("disk.raw"));
        artefacts::success(&mut compare);
        artefacts::success(
            Command::new("qemu-img")
                .args(["check", "-f", "vmdk"])
                .arg(&packed),
        );
    }
}

/// Stretches of noise between zeros, of lengths that fit no boundary.
fn sparse(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = vec![0; size];
    let mut at = 0;
    while at < size {
        let length = usize::try_from(next() % 200_000).unwrap() + 1;
        let end = (at + length).min(size);
        if next() % 3 == 0 {
            bytes[at..end].fill_with(|| u8::try_from(next() >> 56).unwrap());
        }
        at = end;
    }
    *bytes.last_mut().unwrap() = 0xee;
    bytes
}

#[test]
fn the_last_sectors_of_each_disk_are_footer_and_end_of_stream_and_nothing_follows() {
    let members = unpacked();
    for name in &MEMBERS[3..] {
        let bytes = std::fs::read(members.path().join(name)).unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let (header, tail) = (&bytes[..512], &bytes[bytes.len() - 1536..]);
        let (marker, footer, end) = (&tail[..512], &tail[512..1024], &tail[1024..]);
        // Footer marker: one sector follows (u64), size 0 (u32), type 3 (u32), zeros.
        let mut expected = [0; 512];
        expected[0] = 1;
        expected[12] = 3;
        assert_eq!(marker, expected, "{name}: footer marker");
        // The footer is the header, but for the grain directory's place, which the header leaves open (-1).
        assert_eq!(&header[..4], b"KDMV");
        assert_eq!(
            header[56..64],
            [0xff; 8],
            "{name}: the header promises a directory"
        );
        assert_eq!(
            (&footer[..56], &footer[64..]),
            (&header[..56], &header[64..]),
            "{name}: footer"
        );
        let directory = usize::try_from(u64::from_le_bytes(footer[56..64].try_into().unwrap())).unwrap();
        // Before the directory stands its marker, of type 2.
        assert_eq!(bytes[directory * 512 - 512 + 12], 2, "{name}: directory marker");
        assert_eq!(end, [0; 512], "{name}: end of stream");
    }
}

#[test]
fn sgdisk_finds_no_problem_in_the_system_disk() {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_package(&artefacts::package(), "system", folder.path());
    let Some(mut sgdisk) = counterpart::find("sgdisk") else {
        return;
    };
    let said = artefacts::success(sgdisk.arg("-v").arg(&raw));
    assert!(said.contains("No problems found"), "{said}");
    let table = artefacts::success(counterpart::find("sgdisk").unwrap().arg("-p").arg(&raw));
    for name in ["bios-boot", "esp", "boot-env", "slot-a", "slot-b"] {
        assert!(table.contains(name), "{name} is not in\n{table}");
    }
}

#[test]
fn fsck_fat_and_mtools_read_the_efi_partition() {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_package(&artefacts::package(), "system", folder.path());
    let partition = carve(&raw, "esp", folder.path());
    let Some(mut fsck) = counterpart::find("fsck.fat") else {
        return;
    };
    let said = artefacts::success(fsck.args(["-n", "-v"]).arg(&partition));
    assert!(said.contains("32 bit entries"), "{said}");
    let Some(mut mdir) = counterpart::find("mdir") else {
        return;
    };
    let listing = artefacts::success(mdir.arg("-b").arg("-i").arg(&partition).arg("::/EFI/BOOT"));
    assert!(listing.to_uppercase().contains("BOOTX64.EFI"), "{listing}");
}

#[test]
fn xorriso_reads_slot_a_and_slot_b_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_package(&artefacts::package(), "system", folder.path());
    let slot = carve(&raw, "slot-a", folder.path());
    let Some(mut xorriso) = counterpart::find("xorriso") else {
        return;
    };
    let listing = artefacts::success(
        xorriso
            .arg("-indev")
            .arg(&slot)
            .args(["-find", "/", "-type", "f"]),
    );
    let mut files: Vec<&str> = listing.lines().map(|line| line.trim_matches('\'')).collect();
    files.sort_unstable();
    assert_eq!(files, ["/initrd.img", "/slot.cfg", "/vmlinuz"]);
    let empty = disk::read(&raw, disk::partition(&raw, "slot-b"));
    assert!(empty.iter().all(|byte| *byte == 0));
}

#[test]
fn zstd_and_cpio_read_the_initramfs() {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_package(&artefacts::package(), "system", folder.path());
    let slot = carve(&raw, "slot-a", folder.path());
    let Some(mut xorriso) = counterpart::find("xorriso") else {
        return;
    };
    let initrd = folder.path().join("initrd.img");
    artefacts::success(
        xorriso
            .args(["-osirrox", "on", "-indev"])
            .arg(&slot)
            .arg("-extract")
            .arg("/initrd.img")
            .arg(&initrd),
    );
    let Some(_) = counterpart::find("zstd").and(counterpart::find("cpio")) else {
        return;
    };
    let mut list = Command::new("bash");
    list.args([
        "-eu",
        "-o",
        "pipefail",
        "-c",
        "zstd -dc \"$1\" | cpio -tv --quiet",
        "bash",
    ])
    .arg(initrd);
    let listing = artefacts::success(&mut list);
    let names: Vec<&str> = listing
        .lines()
        .filter_map(|line| line.split_whitespace().nth(8))
        .collect();
    for name in [
        "init",
        "lib/modules/index",
        "lib/modules/ext4.ko",
        "etc/vcc/product.json",
        "sbin/poweroff",
    ] {
        assert!(
            names.iter().any(|found| found.trim_start_matches('/') == name),
            "{name} is not in\n{listing}"
        );
    }
    // Nothing that runs, but /init and the link to it.
    let programs = listing.lines().filter(|line| line.starts_with("-rwx")).count();
    assert_eq!(programs, 1, "{listing}");
}

/// A partition as a file of its own.
fn carve(raw: &Path, name: &str, folder: &Path) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, disk::read(raw, disk::partition(raw, name))).unwrap();
    path
}

#[test]
fn e2fsck_finds_the_state_disk_clean_and_labelled() {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk::of_package(&artefacts::package(), "state", folder.path());
    let Some((code, text)) = e2e::ext4::check(&raw, "-fn") else {
        return;
    };
    assert_eq!(code, 0, "{text}");
    assert_eq!(
        e2e::ext4::field(&raw, "Filesystem volume name").unwrap(),
        "vcc-state"
    );
    let features = e2e::ext4::field(&raw, "Filesystem features").unwrap();
    assert!(features.contains("metadata_csum_seed"), "{features}");
}

#[test]
fn cloud_init_reads_the_environment_that_the_guest_is_given() {
    let guest = Guest::start(&[
        "--prop",
        "role=sp",
        "--prop",
        "hostname=edge & <co>",
        "--transport",
        "iso",
    ]);
    let iso = argument(guest.pid, "environment.iso");
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("ovf-env.xml");
    let Some(mut xorriso) = counterpart::find("xorriso") else {
        return;
    };
    xorriso
        .args(["-osirrox", "on", "-indev"])
        .arg(&iso)
        .arg("-extract")
        .arg("/ovf-env.xml")
        .arg(&document);
    artefacts::success(&mut xorriso);
    let Some(_) = counterpart::find("cloud-init") else {
        return;
    };
    let script = "import json, sys\n\
        from cloudinit.sources import DataSourceOVF as ovf\n\
        text = open(sys.argv[1]).read()\n\
        print(json.dumps([ovf.get_properties(text), ovf.read_ovf_environment(text)[0]]))";
    // Debian's cloud-init is a library of Debian's Python.
    let mut python = Command::new("/usr/bin/python3");
    let read: Value =
        serde_json::from_str(&artefacts::success(python.args(["-c", script]).arg(&document))).unwrap();
    assert_eq!(read[0]["role"], "sp", "{read}");
    assert_eq!(read[0]["ip"], "", "{read}");
    assert_eq!(read[1]["local-hostname"], "edge & <co>", "{read}");
}

/// The file among a process's arguments whose name ends so.
fn argument(pid: u32, suffix: &str) -> PathBuf {
    // The process becomes QEMU by way of another program, and is nothing for a moment in between.
    for _ in 0..100 {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(word) = line.split(['\0', '=', ',']).find(|word| word.ends_with(suffix)) {
            return word.into();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no {suffix} among the arguments of {pid}")
}

#[test]
fn the_bill_of_materials_names_every_locked_package_with_its_source() {
    let bill = std::fs::read_to_string(artefacts::package().with_extension("cdx.json")).unwrap();
    let bill: Value = serde_json::from_str(&bill).unwrap();
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"]),
        (&Value::from("CycloneDX"), &Value::from("1.5"))
    );
    let components = bill["components"].as_array().unwrap();
    let lock = std::fs::read_to_string(artefacts::workspace().join("appliance/debian.lock")).unwrap();
    let field = |stanza: &str, key: &str| {
        let line = stanza
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key} = \"")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {key} in {stanza}"))
            .trim_end_matches('"')
            .to_owned()
    };
    let stanzas: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(stanzas.len() > 5, "{lock}");
    for stanza in stanzas {
        let (name, sha256) = (field(stanza, "name"), field(stanza, "sha256"));
        let component = components
            .iter()
            .find(|component| component["name"] == name.as_str());
        let component = component.unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!(component["version"], field(stanza, "version").as_str());
        assert_eq!(component["hashes"][0]["content"], sha256.as_str());
        let references = component["externalReferences"].as_array().unwrap();
        let place = format!(
            "/{}/{}/",
            field(stanza, "source"),
            field(stanza, "source-version")
        );
        let named = |reference: &&Value| reference["url"].as_str().unwrap().ends_with(&place);
        assert!(
            references.iter().any(|reference| named(&reference)),
            "{place}: {component}"
        );
        let corresponding = references
            .iter()
            .filter(|reference| reference["comment"] == "corresponding source");
        assert_eq!(corresponding.count(), 1, "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    let crates = |name: &str| components.iter().any(|component| component["name"] == name);
    assert!(
        crates("rustls") && crates("ring"),
        "the runtime's crates are not listed"
    );
    for component in components
        .iter()
        .filter(|component| component["type"] == "library")
    {
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
}

#[test]
fn inspect_says_what_the_package_holds() {
    let text = artefacts::success(
        artefacts::ova()
            .args(["--json", "inspect"])
            .arg(artefacts::package()),
    );
    let found: Value = serde_json::from_str(&text).unwrap();
    let members = unpacked();
    let listed: Vec<&str> = found["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["name"].as_str().unwrap())
        .collect();
    assert_eq!(listed, MEMBERS);
    for member in found["members"].as_array().unwrap() {
        let size = std::fs::metadata(members.path().join(member["name"].as_str().unwrap()))
            .unwrap()
            .len();
        assert_eq!(member["bytes"], size);
    }
    assert_eq!(found["signed"], true);
    assert_eq!(found["systems"][0]["cpus"], 1);
    assert_eq!(found["systems"][0]["memory_mib"], 256);
    assert_eq!(found["disks"][1]["capacity"], 8_u64 << 30);
    let properties = found["products"][0]["properties"].as_array().unwrap();
    let keys: Vec<&str> = properties
        .iter()
        .map(|property| property["key"].as_str().unwrap())
        .collect();
    let network = [
        "ip", "gateway", "ip6", "gateway6", "dns", "routes", "mtu", "vlan", "ntp", "syslog",
    ];
    assert_eq!(
        keys,
        [&["role", "server", "cloud", "node", "hostname"][..], &network[..]].concat()
    );
    let text = artefacts::success(artefacts::ova().arg("inspect").arg(artefacts::package()));
    for words in [
        "VCC node",
        "256",
        "vcc-node-system.vmdk",
        "VM Network",
        "hostname",
    ] {
        assert!(text.contains(words), "'{words}' is not in\n{text}");
    }
}

#[test]
fn the_package_and_the_program_keep_to_their_sizes() {
    let mib = |path: PathBuf| std::fs::metadata(path).unwrap().len().div_ceil(1 << 20);
    assert!(
        mib(artefacts::package()) <= 16,
        "{} MiB",
        mib(artefacts::package())
    );
    assert!(mib(artefacts::vcc()) <= 8, "{} MiB", mib(artefacts::vcc()));
}
