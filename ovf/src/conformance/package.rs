//! Rules about a package's members, as [`crate::verify`] applies them: each under the code of its check.
//!
//! Who signed is not asked here: `certificate.*` tells only of files that cannot be read or do not fit the manifest.

use super::{Finding, Rule};
use crate::error::Place;
use crate::verify::Verdict;

const ORDER: &str = "DSP0243 1.1.1, 5.3";
const MANIFEST: &str = "DSP0243 1.1.1, 5.1";
const TAR: &str = "POSIX.1-1988, ustar; DSP0243 1.1.1, 5.3";

pub(super) const RULES: &[&Rule] = &[
    &Rule::error(
        "package.format",
        "The package is an archive, or a descriptor with its files.",
    )
    .because("Nothing else is a package.", ORDER)
    .samples("notes.txt", "node.ova, or node.ovf"),
    &Rule::error(
        "package.truncated",
        "The archive ends with its two blocks of zeros.",
    )
    .because("Something may be missing from its end.", TAR)
    .samples("node.ova, copied to half", "node.ova, copied whole"),
    &Rule::error("package.trailing-data", "Nothing follows the archive's end.")
        .because("What is there is covered by no digest.", TAR)
        .samples("node.ova with a file appended", "node.ova as it was written"),
    &Rule::error(
        "package.header",
        "Every header is one of plain ustar, or a size in base 256.",
    )
    .because(
        "Importers read other dialects differently: one checks what another does not extract.",
        TAR,
    )
    .samples("tar --format=pax", "tar --format=ustar"),
    &Rule::error("package.padding", "The space after a member is zeros.")
        .because("Bytes that no digest covers could carry anything.", TAR)
        .samples("text in the 400 bytes after a member of 112", "zeros there"),
    &Rule::error("package.member-type", "Every member is a regular file.")
        .because("A link or device leads out of the package.", "CWE-59")
        .samples("disk1.vmdk -> /etc/passwd", "disk1.vmdk"),
    &Rule::error(
        "package.member-name",
        "A member's name stays inside the package, on every system.",
    )
    .because("It would be written elsewhere.", "CWE-22")
    .samples("../disk1.vmdk", "disk1.vmdk"),
    &Rule::error(
        "package.duplicate",
        "Every member has a name of its own, in every case and Unicode form.",
    )
    .because("Of two, one is checked and the other used.", "CWE-694")
    .samples("disk1.vmdk, Disk1.vmdk", "disk1.vmdk, disk2.vmdk"),
    &Rule::error("package.limit", "The package stays below the ceilings.")
        .because(
            "A consumer's work must have a bound, whatever a package claims.",
            "CWE-400",
        )
        .samples("10,001 members", "10,000 members"),
    &Rule::warning("package.order", "Members are in the standard's order.")
        .because("Importers that read in one pass refuse others.", ORDER)
        .fix("Descriptor, manifest, certificate, then the files in the order of the References.")
        .samples("disk1.vmdk, node.ovf, node.mf", "node.ovf, node.mf, disk1.vmdk"),
    &Rule::error("package.unlisted", "The descriptor refers to every member.")
        .because("A file that nothing refers to is smuggled, or forgotten.", ORDER)
        .samples("node.ovf, disk1.vmdk, notes.txt", "node.ovf, disk1.vmdk"),
    &Rule::error(
        "package.missing",
        "Every file that the descriptor refers to is there.",
    )
    .because("The package cannot be deployed without it.", "DSP0243 1.1.1, 7.1")
    .samples("node.ovf", "node.ovf, disk1.vmdk"),
    &Rule::error(
        "package.size",
        "Every file has the size that the descriptor says.",
    )
    .because(
        "It was changed after the descriptor was written, or cut.",
        "DSP0243 1.1.1, 7.1",
    )
    .samples("ovf:size=\"1000\" of a file of 999 bytes", "ovf:size=\"999\""),
    &Rule::error(
        "manifest.malformed",
        "Every line of the manifest is ALGORITHM(name)= hexadecimal.",
    )
    .because("A line that cannot be read protects nothing.", MANIFEST)
    .samples("SHA256 disk1.vmdk 9f86...", "SHA256(disk1.vmdk)= 9f86..."),
    &Rule::error("manifest.duplicate", "The manifest lists every file once.")
        .because("Of two digests, nobody can tell which counts.", MANIFEST)
        .samples(
            "SHA256(disk1.vmdk)= 9f86..., SHA256(disk1.vmdk)= 60d5...",
            "SHA256(disk1.vmdk)= 9f86...",
        ),
    &Rule::error("manifest.algorithm", "Digests are of an algorithm that is known.")
        .because("A digest that nobody can compute protects nothing.", MANIFEST)
        .samples("MD5(disk1.vmdk)= 0cc1...", "SHA256(disk1.vmdk)= 9f86..."),
    &Rule::warning("manifest.weak-digest", "Digests are of SHA-256 or longer.")
        .because(
            "SHA-1 is broken: two files can have one digest.",
            "NIST SP 800-131A rev. 2, 9",
        )
        .fix("Make the manifest anew: ova sign.")
        .samples("SHA1(disk1.vmdk)= a94a...", "SHA256(disk1.vmdk)= 9f86..."),
    &Rule::warning(
        "manifest.spelling",
        "The manifest is spelled as the standard has it.",
    )
    .because(
        "Importers in the field refuse other spellings.",
        "DSP0243 1.1.1, 5.1; https://github.com/home-assistant/operating-system/issues/826",
    )
    .fix("Make the manifest anew: ova sign.")
    .samples("SHA256 (disk1.vmdk) = 9F86...", "SHA256(disk1.vmdk)= 9f86..."),
    &Rule::error(
        "manifest.descriptor-uncovered",
        "The manifest lists the descriptor.",
    )
    .because(
        "The descriptor says what the machine is; unlisted, it can be changed unseen.",
        MANIFEST,
    )
    .samples(
        "SHA256(disk1.vmdk)= 9f86...",
        "SHA256(node.ovf)= 60d5..., SHA256(disk1.vmdk)= 9f86...",
    ),
    &Rule::error(
        "manifest.digest",
        "Every file has the digest that the manifest says.",
    )
    .because("It was changed after the manifest was written.", MANIFEST)
    .samples(
        "SHA256(disk1.vmdk)= 60d5... of a file whose digest is 9f86...",
        "SHA256(disk1.vmdk)= 9f86...",
    ),
    &Rule::error("manifest.uncovered", "The manifest lists every file.")
        .because("What it does not list can be changed unseen.", MANIFEST)
        .samples("disk1.vmdk, and no line for it", "SHA256(disk1.vmdk)= 9f86..."),
    &Rule::error("manifest.absent", "Every file that the manifest lists is there.")
        .because("Something was taken out.", MANIFEST)
        .samples("SHA256(disk2.vmdk)= 60d5..., and no such member", "disk2.vmdk"),
    &Rule::error("certificate.malformed", "The certificate file can be read.")
        .because("A signature that cannot be read is none.", MANIFEST)
        .samples(
            "-----BEGIN CERTIFICATE----- alone",
            "SHA256(node.mf)= 4c1f..., then the certificate",
        ),
    &Rule::error(
        "certificate.signature",
        "The certificate file's signature is over the manifest.",
    )
    .because("One of the two was changed.", MANIFEST)
    .samples(
        "a signature over another node.mf",
        "a signature over this node.mf",
    ),
    &Rule::warning(
        "certificate.spelling",
        "The certificate file is spelled as the standard has it.",
    )
    .because("Importers in the field refuse other spellings.", MANIFEST)
    .fix("Sign the package anew: ova sign --replace.")
    .samples("SHA256(node.mf)= 4C1F...", "SHA256(node.mf)= 4c1f..."),
    &Rule::warning(
        "certificate.weak-digest",
        "The signature is over SHA-256 or longer.",
    )
    .because(
        "SHA-1 is broken: two manifests can have one digest.",
        "NIST SP 800-131A rev. 2, 9",
    )
    .fix("Sign the package anew: ova sign --replace.")
    .samples("SHA1(node.mf)= 4c1f...", "SHA256(node.mf)= 4c1f..."),
];

/// The findings of a verdict: its failed checks, as far as they are about the package and not about trust.
pub fn of_verdict(verdict: &Verdict) -> Vec<Finding> {
    let failures = verdict.failures().filter_map(|check| {
        let rule = super::rule(check.code)?;
        let place = Place {
            member: check.member.clone(),
            ..Place::default()
        };
        Some(Finding {
            rule,
            place,
            message: check.reason.clone(),
        })
    });
    // What is wrong with the descriptor is told by its own rules, with line and column.
    failures
        .filter(|it| !it.rule.id.starts_with("xml.") && !it.rule.id.starts_with("descriptor."))
        .collect()
}
