//! Other readers find in other producers' packages what we find.
//!
//! The packages are the corpus's, one or two of each producer that it has; none is oVirt's, of which it has no package.
//! Where a reader refuses one, or reads it otherwise than we do, the table says so, why, and the line that shows who is
//! right; each test prints what came of every package.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation of a test is a panic"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2e::reading::{self, Reading};
use e2e::{corpus, counterpart};
use tempfile::TempDir;

struct Package {
    /// Whose tool wrote it.
    producer: &'static str,
    path: &'static str,
    /// What the producer's build puts in for the placeholders of a template.
    fill: &'static [(&'static str, &'static str)],
    ova: Outcome,
    cot: Outcome,
    virt_v2v: Outcome,
}

enum Outcome {
    /// Reads it; a peer finds what we find.
    Agrees,
    /// Refuses it with these words.
    Refuses(&'static str, Reason),
    /// Reads it and finds these facts otherwise than we do.
    Differs(&'static [&'static str], Reason),
    /// Reads what we refuse.
    Reads(Reason),
}

/// Who is right, and the line (and what stands in it) that shows it.
struct Reason {
    why: &'static str,
    line: usize,
    text: &'static str,
}

use Outcome::{Agrees, Differs, Reads, Refuses};

/// virt-v2v looks for elements of OVF 1.x at fixed paths; where it finds none, it goes on with nothing.
const BLIND: &[&str] = &["connections", "disks", "memory", "nics"];

const PACKAGES: &[Package] = &[
    Package {
        producer: "Cisco",
        path: "cot/csr1000v.ovf",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "Oracle VirtualBox (OVF 2.0)",
        path: "cot/ubuntu.2.0.ovf",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Differs(
            BLIND,
            Reason {
                why: "virt-v2v knows OVF 1.x only and finds nothing; this is OVF 2.0",
                line: 2,
                text: "xmlns=\"http://schemas.dmtf.org/ovf/envelope/2\"",
            },
        ),
    },
    Package {
        producer: "VMware VirtualCenter 2.5 (OVF 0.9)",
        path: "cot/v0.9.ovf",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Differs(
            BLIND,
            Reason {
                why: "virt-v2v knows OVF 1.x only and finds nothing; this is OVF 0.9",
                line: 2,
                text: "xmlns:ovf=\"http://www.vmware.com/schema/ovf/1/envelope\"",
            },
        ),
    },
    Package {
        producer: "Cisco (COT's own sample, with deployment options)",
        path: "cot/input.ovf",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Differs(
            &["cpus", "memory"],
            Reason {
                why: "virt-v2v takes the first items; the default option has others in their place",
                line: 28,
                text: "ovf:id=\"4CPU-4GB-3NIC\"",
            },
        ),
    },
    Package {
        producer: "VMware vCenter Server",
        path: "govmomi/external/RabbitMQ2/RabbitMQ2.ovf",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "VMware ovftool",
        path: "govmomi/vapi/library/testdata/ttylinux-pc_i486-16.1.ovf",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "VMware vCloud Director",
        path: "govmomi/external/2011OVFs/vCD_vApp_ovf/vCD_vApp_OVF.ovf",
        fill: &[],
        ova: Agrees,
        cot: Refuses(
            "Mandatory element <VirtualSystem> not found",
            Reason {
                why: "COT reads one machine; these are two, in a collection",
                line: 23,
                text: "<ovf:VirtualSystemCollection ",
            },
        ),
        virt_v2v: Differs(
            &["connections", "cpus", "disks", "memory", "nics"],
            Reason {
                why: "virt-v2v reads one machine and doesn't look into a collection",
                line: 23,
                text: "<ovf:VirtualSystemCollection ",
            },
        ),
    },
    Package {
        producer: "Broadcom NSX",
        path: "govmomi/vmware/nsx-unified-appliance-9.1.0.0.25262063.ovf",
        fill: &[],
        ova: Agrees,
        cot: Refuses(
            "Found multiple matching <ProductSection> children",
            Reason {
                why: "COT wants one ProductSection; the standard lets classes and instances tell several apart",
                line: 241,
                text: "<ProductSection ovf:class=\"vami\" ",
            },
        ),
        virt_v2v: Refuses(
            "error parsing disk fileRef",
            Reason {
                why: "virt-v2v wants a file for each disk; by the standard, a disk without fileRef begins empty",
                line: 68,
                text: "<ovf:Disk ovf:diskId=\"secondary\" ovf:capacity=",
            },
        ),
    },
    Package {
        producer: "VMware Photon OS",
        path: "govmomi/photon5.ovf",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "Canonical",
        path: "govmomi/ubuntu24.10.ovf",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "OpenStack Glance",
        path: "glance/testserver.ova",
        fill: &[],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "open-vmdk",
        path: "open-vmdk/templates/template-hw21.ovf",
        fill: &[
            ("@@NAME@@", "template"),
            ("@@VMDK_FILE_SIZE@@", "1048576"),
            ("@@VMDK_CAPACITY@@", "1073741824"),
            ("@@NUM_CPUS@@", "2"),
            ("@@MEM_SIZE@@", "1024"),
            ("@@FIRMWARE@@", "efi"),
        ],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "Bottlerocket",
        path: "bottlerocket/shared/template-unified.ovf",
        fill: &[
            ("{{OS_DISK}}", "bottlerocket.vmdk"),
            ("{{OS_DISK_BYTES}}", "2147483648"),
        ],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "CoreOS",
        path: "coreos-assembler/vmware-template.xml",
        fill: &[
            ("{vmdk_size}", "1048576"),
            ("{vmdk_capacity}", "17179869184"),
            ("{vsphere_image_name}", "coreos"),
            ("{vsphere_os_type}", "fedora64Guest"),
            ("{vsphere_virtual_system_type}", "vmx-17"),
            ("{ovf_cpu_count}", "2"),
            ("{ovf_memory_mb}", "4096"),
            ("{secure_boot}", "true"),
        ],
        ova: Agrees,
        cot: Agrees,
        virt_v2v: Agrees,
    },
    Package {
        producer: "Ganeti",
        path: "ganeti/ganeti.ovf",
        fill: &[],
        ova: Refuses("line 8, column 5: Disk has no attribute capacity", GANETI),
        cot: Refuses("TypeError: int() argument must be", GANETI),
        virt_v2v: Reads(GANETI),
    },
    Package {
        producer: "open-ovf",
        path: "open-ovf/py/tests/test_files/ourOVF.ovf",
        fill: &[],
        ova: Refuses("is not an OVF envelope", OPEN_OVF),
        cot: Refuses(
            "unknown namespace 'http://schemas.dmtf.org/ovf/envelope'",
            OPEN_OVF,
        ),
        virt_v2v: Reads(OPEN_OVF),
    },
];

const GANETI: Reason = Reason {
    why: "ovf:capacity is required by the schema; virt-v2v never looks at it and asks the disk",
    line: 8,
    text: "<Disk ovf:diskId=\"vmdisk1\" ovf:fileRef=\"file1\" ovf:format=",
};

const OPEN_OVF: Reason = Reason {
    why: "a draft's namespace, and no virtual system; virt-v2v finds nothing and goes on with nothing",
    line: 2,
    text: "xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope\"",
};

#[test]
fn cot_finds_the_hardware_disks_and_networks_that_ova_finds() {
    if counterpart::find_python("cot").is_some() {
        agree(
            "COT",
            |package| &package.cot,
            |package| reading::by_cot(&mut counterpart::find_python("cot").unwrap(), package),
        );
    }
}

#[test]
fn virt_v2v_finds_the_hardware_disks_and_networks_that_ova_finds() {
    if counterpart::find("virt-v2v").is_some() {
        agree(
            "virt-v2v",
            |package| &package.virt_v2v,
            |package| {
                // It takes archives by their name and anything else for a folder.
                let descriptor = package.extension().is_some_and(|extension| extension == "ovf");
                let package = if descriptor {
                    package.parent().unwrap()
                } else {
                    package
                };
                reading::by_virt_v2v(&mut counterpart::find("virt-v2v").unwrap(), package)
            },
        );
    }
}

fn agree(peer: &str, outcome: impl Fn(&Package) -> &Outcome, read: impl Fn(&Path) -> Reading) {
    let Some(corpus) = corpus::folder() else {
        return;
    };
    let mut counts = [0; 3];
    for package in PACKAGES {
        let folder = tempfile::tempdir().unwrap();
        let file = lay_out(&corpus, package, &folder);
        let ours = reading::by_ova(&file);
        let place = format!("{}: {}", package.producer, package.path);
        match (&package.ova, &ours) {
            (Agrees, Ok(_)) => {}
            (Refuses(words, _), Err(said)) => assert!(said.contains(words), "{place}\nova: {said}"),
            (_, ours) => panic!("{place}\nova: {ours:?}"),
        }
        let (index, said) = match (outcome(package), &ours, &read(&file)) {
            (Agrees, Ok(ours), Ok(theirs)) => {
                let different = reading::differences(ours, theirs);
                assert!(
                    different.is_empty(),
                    "{place}: {different:?}\nova: {ours:?}\n{peer}: {theirs:?}"
                );
                (0, "agrees".to_owned())
            }
            (Differs(expected, reason), Ok(ours), Ok(theirs)) => {
                let different = reading::differences(ours, theirs);
                assert_eq!(different, *expected, "{place}\nova: {ours:?}\n{peer}: {theirs:?}");
                (1, format!("differs ({}): {}", different.join(", "), reason.why))
            }
            (Reads(reason), Err(_), Ok(_)) => (1, format!("reads what ova refuses: {}", reason.why)),
            (Refuses(words, reason), _, Err(said)) => {
                assert!(said.contains(words), "{place}\n{peer}: {said}");
                (2, format!("refuses: {}", reason.why))
            }
            (_, ours, theirs) => panic!("{place}\nova: {ours:?}\n{peer}: {theirs:?}"),
        };
        counts[index] += 1;
        eprintln!("{peer}, {place}: {said}");
    }
    let [agrees, differs, refuses] = counts;
    eprintln!(
        "{peer}, of {} packages: agrees on {agrees}, differs on {differs}, refuses {refuses}",
        PACKAGES.len()
    );
}

/// The package where its reader may take it for whole: a descriptor gets an empty file for each that it refers to.
fn lay_out(corpus: &Path, package: &Package, folder: &TempDir) -> PathBuf {
    let original = corpus.join(package.path);
    if original.extension().is_some_and(|extension| extension == "ova") {
        return original;
    }
    let mut text = std::fs::read_to_string(&original).unwrap();
    for (placeholder, value) in package.fill {
        assert!(text.contains(placeholder), "{}: no {placeholder}", package.path);
        text = text.replace(placeholder, value);
    }
    for href in text.split("href=\"").skip(1) {
        let name = href.split('"').next().unwrap();
        assert!(!name.contains('/'), "{name} may lie outside the folder");
        std::fs::File::create(folder.path().join(name)).unwrap();
    }
    let file = folder.path().join("package.ovf");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn the_line_of_each_reason_says_what_the_table_claims() {
    let Some(corpus) = corpus::folder() else {
        return;
    };
    for package in PACKAGES {
        for outcome in [&package.ova, &package.cot, &package.virt_v2v] {
            let (Refuses(_, reason) | Differs(_, reason) | Reads(reason)) = outcome else {
                continue;
            };
            let text = std::fs::read_to_string(corpus.join(package.path)).unwrap();
            let line = text.lines().nth(reason.line - 1).unwrap();
            assert!(line.contains(reason.text), "{}: {line}", package.path);
        }
    }
}

#[test]
fn ten_producers_packages_are_read_by_us_and_by_another_reader_alike() {
    let both = PACKAGES.iter().filter(|package| {
        matches!(package.ova, Agrees) && (matches!(package.cot, Agrees) || matches!(package.virt_v2v, Agrees))
    });
    let producers: BTreeSet<_> = both.map(|package| package.producer).collect();
    assert!(producers.len() >= 10, "{producers:?}");
}
