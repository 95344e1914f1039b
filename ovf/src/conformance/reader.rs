//! The reader's own faults as rules: each under the code of its [`crate::Kind`].

use super::Rule;

const XML: &str = "W3C XML 1.0, fifth edition, 2.1";
const NAMES: &str = "W3C Namespaces in XML 1.0, 5";

pub(super) const RULES: &[&Rule] = &[
    &Rule::error("xml.malformed", "The document is well-formed XML 1.0 in UTF-8.")
        .because("No reader can tell what a document means that is not.", XML)
        .samples("<Name>Node</Nam>", "<Name>Node</Name>"),
    &Rule::error("xml.doctype", "The document has no DOCTYPE.")
        .because(
            "A document type can define entities that grow without bound or pull files in.",
            "OWASP XML External Entity Prevention Cheat Sheet",
        )
        .fix("Remove the DOCTYPE.")
        .samples("<?xml version=\"1.0\"?><!DOCTYPE Envelope>", "<?xml version=\"1.0\"?>"),
    &Rule::error("xml.entity", "The five predefined entities and character numbers are the only references.")
        .because("Any other needs a DOCTYPE, which is refused.", "W3C XML 1.0, fifth edition, 4.6")
        .fix("Write the character itself.")
        .samples("<Name>N&ouml;de</Name>", "<Name>Node</Name>"),
    &Rule::error("xml.namespace", "Every prefix is declared.")
        .because("A name with an undeclared prefix has no meaning.", NAMES)
        .fix("Declare the prefix with an xmlns attribute.")
        .samples("<cim:Name>Node</cim:Name>", "<Name>Node</Name>"),
    &Rule::error("xml.character", "Every character is one that XML can carry.")
        .because("Control characters are not, however they are written.", "W3C XML 1.0, fifth edition, 2.2")
        .samples("<Name>No\u{1}de</Name>", "<Name>Node</Name>"),
    &Rule::error("xml.limit", "The document stays below 16 MiB, 64 levels, 256 attributes an element, 262,144 nodes.")
        .because("A consumer's work must have a bound, whatever a document claims.", "CWE-400").samples("<a><a>… 65 levels", "<a><a>… 64 levels"),
    &Rule::error("descriptor.namespace", "The root is an Envelope in a namespace of OVF 0.9, 1.x or 2.x.")
        .because("The namespace tells the generation of the standard.", "DSP0243 1.1.1, 7")
        .samples(
            "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/7\"",
            "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"",
        ),
    &Rule::error("descriptor.structure", "The envelope has one VirtualSystem or VirtualSystemCollection.")
        .because("With two, nobody can tell which one is the package.", "DSP0243 1.1.1, 7.2")
        .fix("Put several systems into a VirtualSystemCollection.")
        .samples(
            "</VirtualSystem><VirtualSystem ovf:id=\"other\"><Info/></VirtualSystem>",
            "</VirtualSystem>",
        ),
    &Rule::error("descriptor.attribute-missing", "Every attribute is there that the standard requires.")
        .because("Others refer to it, or nothing can be made without it.", "DSP8023 1.1.1")
        .samples("<File ovf:id=\"file1\" ovf:size=\"1000\"/>", "<File ovf:id=\"file1\" ovf:href=\"disk1.vmdk\" ovf:size=\"1000\"/>"),
    &Rule::error("descriptor.element-missing", "Every element is there that the standard requires.")
        .because(
            "A section's Info is what is shown where the section is not understood; an item's numbers tell what it is.",
            "DSP8023 1.1.1",
        )
        .samples("<DiskSection>", "<DiskSection>\n    <Info>Virtual disks</Info>"),
    &Rule::error("descriptor.value", "Numbers are numbers, and truth values are truth values.")
        .because("What is neither cannot be used, and guessing is worse.", "DSP8023 1.1.1")
        .samples("ovf:size=\"big\"", "ovf:size=\"1000\""),
    &Rule::error("descriptor.duplicate", "Every identifier is used once.")
        .because("A reference to it could mean either.", "DSP0243 1.1.1, 7.1, 9.1, 9.2, 9.5")
        .samples("<Disk ovf:diskId=\"disk1\" ovf:fileRef=\"file2\"", "<Disk ovf:diskId=\"disk2\" ovf:fileRef=\"file2\""),
    &Rule::error("descriptor.reference", "Every reference leads to something.")
        .because("A disk without its file, or an adapter without its network, cannot be made.", "DSP0243 1.1.1, 7.1, 9.1, 9.2")
        .samples("<rasd:Connection>Intranet</rasd:Connection>", "<rasd:Connection>VM Network</rasd:Connection>"),
];
