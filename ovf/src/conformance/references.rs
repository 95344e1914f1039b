//! Rules about the package's files.

use std::collections::HashSet;

use super::{Findings, Rule, Subject};
use crate::descriptor::Compression;

const HREF: Rule = Rule::warning("references.href", "A file's name stays inside the package.")
    .because(
        "A package whose files lie elsewhere is refused when it is opened; alone, a descriptor may have been moved.",
        "DSP0243 1.1.1, 7.1; CWE-22",
    )
    .fix("Put the file beside the descriptor, and name it alone.")
    .samples("ovf:href=\"../disk1.vmdk\"", "ovf:href=\"disk1.vmdk\"");
const COMPRESSION: Rule = Rule::error(
    "references.compression",
    "A file is compressed with gzip or not at all.",
)
.because(
    "A consumer that cannot undo a compression must refuse the package.",
    "DSP0243 1.1.1, 7.1",
)
.samples(
    "ovf:href=\"disk1.vmdk\" ovf:compression=\"bzip2\"",
    "ovf:href=\"disk1.vmdk\"",
);
const EXTERNAL: Rule = Rule::warning("references.external", "The package's files are in the package.")
    .because(
        "A file behind a URL can change or vanish, and no digest in the manifest covers it.",
        "DSP0243 1.1.1, 5.1 and 7.1",
    )
    .samples(
        "ovf:href=\"http://example.com/disk1.vmdk\"",
        "ovf:href=\"disk1.vmdk\"",
    );
const UNUSED: Rule = Rule::note("references.unused", "Something refers to every file.")
    .because(
        "A file that nothing uses makes the package larger, and is perhaps a mistake.",
        "DSP0243 1.1.1, 7.1",
    )
    .samples(
        "<File ovf:id=\"file9\" ovf:href=\"old.vmdk\"/>\n  </References>",
        "</References>",
    );

pub(super) const RULES: &[&Rule] = &[&HREF, &COMPRESSION, &EXTERNAL, &UNUSED];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let descriptor = subject.descriptor;
    let used = used_files(subject);
    for file in &descriptor.files {
        if file.is_external() {
            findings.add(
                &EXTERNAL,
                file.origin,
                format!("{:?} is outside the package", file.href),
            );
        } else if !file.href.is_empty()
            && let Err(error) = file.whole_name()
        {
            findings.add(&HREF, file.origin, error.reason().to_owned());
        }
        if let Compression::Other(name) = &file.compression {
            let message = format!("compression {name:?} is not known");
            findings.add(&COMPRESSION, file.origin, message);
        }
        if !file.id.is_empty() && !used.contains(file.id.as_str()) {
            findings.add(
                &UNUSED,
                file.origin,
                format!("nothing refers to file {:?}", file.id),
            );
        }
    }
}

fn used_files<'a>(subject: &Subject<'a>) -> HashSet<&'a str> {
    let descriptor = subject.descriptor;
    let mut used = HashSet::new();
    used.extend(
        descriptor
            .disks
            .iter()
            .filter_map(|disk| disk.file_ref.as_deref()),
    );
    used.extend(
        descriptor
            .shared_disks
            .iter()
            .filter_map(|it| it.disk.file_ref.as_deref()),
    );
    used.extend(descriptor.strings.iter().filter_map(|it| it.file_ref.as_deref()));
    let products = descriptor.content.products();
    used.extend(
        products
            .iter()
            .flat_map(|it| &it.icons)
            .map(|icon| icon.file_ref.as_str()),
    );
    for system in descriptor.systems() {
        let files = system.environment_files.iter().flat_map(|it| &it.files);
        used.extend(files.map(|file| file.file_ref.as_str()));
        let resources = system
            .hardware
            .iter()
            .flat_map(|it| &it.items)
            .flat_map(|it| &it.host_resources);
        used.extend(resources.filter_map(|it| it.rsplit_once("/file/").map(|(_, id)| id.trim())));
    }
    used
}
