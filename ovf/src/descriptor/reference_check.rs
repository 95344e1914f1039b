//! Whether a descriptor holds together: every reference leads somewhere, every identifier is used once.

use std::collections::HashSet;

use super::host_resource::HostResource;
use super::{Content, Descriptor, Hardware, ProductSection, VirtualSystem};
use crate::error::{Error, Kind, quoted};
use crate::xml::Origin;

/// Enough findings to mend a descriptor by; one that has more is not one by mistake.
const MAX_FINDINGS: usize = 1000;

pub(super) fn findings(descriptor: &Descriptor) -> Vec<Error> {
    let mut check = Check {
        files: descriptor.files.iter().map(|file| file.id.as_str()).collect(),
        disks: descriptor.all_disks().map(|disk| disk.id.as_str()).collect(),
        networks: descriptor
            .networks
            .iter()
            .map(|network| network.name.as_str())
            .collect(),
        systems: HashSet::new(),
        findings: Vec::new(),
    };
    check.files(descriptor);
    check.disks(descriptor);
    check.networks(descriptor);
    check.strings(descriptor);
    check.content(&descriptor.content);
    check.findings
}

/// What can be referred to, and what was found.
struct Check<'a> {
    files: HashSet<&'a str>,
    disks: HashSet<&'a str>,
    networks: HashSet<&'a str>,
    systems: HashSet<&'a str>,
    findings: Vec<Error>,
}

impl<'a> Check<'a> {
    fn add(&mut self, kind: Kind, origin: Origin, reason: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(origin.place(Error::new(kind, reason)));
        }
    }

    /// `from` refers to `target`, a `what`: a finding unless it is there.
    fn refer(&mut self, there: bool, origin: Origin, from: &str, what: &str, target: &str) {
        if !there {
            let reason = format!(
                "{} refers to {what} {}, which is not there",
                quoted(from),
                quoted(target)
            );
            self.add(Kind::DescriptorReference, origin, reason);
        }
    }

    fn once<'s>(&mut self, seen: &mut HashSet<&'s str>, what: &str, value: &'s str, origin: Origin) {
        if !seen.insert(value) {
            self.add(
                Kind::DescriptorDuplicate,
                origin,
                format!("{what} {} is used twice", quoted(value)),
            );
        }
    }

    fn files(&mut self, descriptor: &Descriptor) {
        let (mut ids, mut hrefs) = (HashSet::new(), HashSet::new());
        for file in &descriptor.files {
            self.once(&mut ids, "the file id", &file.id, file.origin);
            self.once(&mut hrefs, "the file name", &file.href, file.origin);
        }
    }

    fn disks(&mut self, descriptor: &Descriptor) {
        let (mut ids, mut files) = (HashSet::new(), HashSet::new());
        for disk in descriptor.all_disks() {
            self.once(&mut ids, "the disk id", &disk.id, disk.origin);
            if let Some(file) = &disk.file_ref {
                self.once(
                    &mut files,
                    "as the content of two disks, the file",
                    file,
                    disk.origin,
                );
                self.refer(
                    self.files.contains(file.as_str()),
                    disk.origin,
                    &disk.id,
                    "file",
                    file,
                );
            }
            if let Some(parent) = &disk.parent_ref {
                self.refer(
                    self.disks.contains(parent.as_str()),
                    disk.origin,
                    &disk.id,
                    "disk",
                    parent,
                );
            }
        }
    }

    fn strings(&mut self, descriptor: &Descriptor) {
        for bundle in &descriptor.strings {
            let mut seen = HashSet::new();
            for message in &bundle.messages {
                self.once(&mut seen, "the message", &message.id, message.origin);
            }
        }
    }

    fn networks(&mut self, descriptor: &Descriptor) {
        let mut names = HashSet::new();
        for network in &descriptor.networks {
            self.once(&mut names, "the network name", &network.name, network.origin);
        }
    }

    fn content(&mut self, content: &'a Content) {
        let origin = match content {
            Content::System(system) => system.origin,
            Content::Collection(collection) => collection.origin,
        };
        if !content.id().is_empty() && !self.systems.insert(content.id()) {
            let reason = format!("the system id {} is used twice", quoted(content.id()));
            self.add(Kind::DescriptorDuplicate, origin, reason);
        }
        match content {
            Content::System(system) => self.system(system),
            Content::Collection(collection) => {
                self.products(&collection.products);
                for inner in &collection.content {
                    self.content(inner);
                }
            }
        }
    }

    fn system(&mut self, system: &VirtualSystem) {
        self.products(&system.products);
        for file in system.environment_files.iter().flat_map(|it| &it.files) {
            let id = file.file_ref.as_str();
            self.refer(
                self.files.contains(id),
                file.origin,
                "EnvironmentFilesSection",
                "file",
                id,
            );
        }
        if let Some(state) = &system.saved_state {
            let (id, known) = (&state.file_ref, self.files.contains(state.file_ref.as_str()));
            self.refer(known, state.origin, "SavedStateSection", "file", id);
        }
        for hardware in &system.hardware {
            self.hardware(hardware);
        }
    }

    fn products(&mut self, products: &[ProductSection]) {
        let mut sections = HashSet::new();
        for product in products {
            if !sections.insert((&product.class, &product.instance)) {
                let (class, instance) = (quoted(&product.class), quoted(&product.instance));
                let reason = format!("two product sections are of class {class}, instance {instance}");
                self.add(Kind::DescriptorDuplicate, product.origin, reason);
            }
            let mut keys = HashSet::new();
            for property in &product.properties {
                self.once(&mut keys, "the property key", &property.key, property.origin);
            }
            for icon in &product.icons {
                self.refer(
                    self.files.contains(icon.file_ref.as_str()),
                    product.origin,
                    "Icon",
                    "file",
                    &icon.file_ref,
                );
            }
        }
    }

    fn hardware(&mut self, hardware: &Hardware) {
        let instances: HashSet<_> = hardware
            .items
            .iter()
            .map(|item| item.instance_id.as_str())
            .collect();
        for item in &hardware.items {
            let (origin, name) = (item.origin, item.element_name.as_str());
            for resource in &item.host_resources {
                match HostResource::parse(resource) {
                    HostResource::Disk(id) => {
                        self.refer(self.disks.contains(id.as_str()), origin, name, "disk", &id);
                    }
                    HostResource::File(id) => {
                        self.refer(self.files.contains(id.as_str()), origin, name, "file", &id);
                    }
                    HostResource::Other(_) => {}
                }
            }
            for network in &item.connections {
                self.refer(
                    self.networks.contains(network.as_str()),
                    origin,
                    name,
                    "network",
                    network,
                );
            }
            if let Some(parent) = &item.parent {
                self.refer(
                    instances.contains(parent.as_str()),
                    origin,
                    name,
                    "instance",
                    parent,
                );
            }
        }
    }
}
