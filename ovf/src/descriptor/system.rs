//! VirtualSystem and VirtualSystemCollection: a package's content (DSP0243 7.2, 9).

use super::Unmodelled;
use super::agreement::{Annotation, Eula};
use super::boot_device::{self, BootConfiguration};
use super::element::{Faults, Section, attribute, child_text, optional_text, required, sections};
use super::environment_files::EnvironmentFiles;
use super::hardware::Hardware;
use super::install::Install;
use super::item::Item;
use super::operating_system::{self, OperatingSystem};
use super::placement::Placement;
use super::product::ProductSection;
use super::resource_allocation::ResourceAllocation;
use super::saved_state::{SAVED_STATE, SavedState};
use super::scale_out::ScaleOut;
use super::startup::Startup;
use super::text::Text;
use super::vmware::{BootOrder, IpAssignment};
use crate::xml::{Element, Origin, Writer};

/// What an envelope or a collection holds.
#[allow(
    clippy::large_enum_variant,
    reason = "a package has a handful of systems, and each is matched on everywhere"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One virtual system.
    System(VirtualSystem),
    /// Several, in any depth.
    Collection(VirtualSystemCollection),
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VirtualSystem {
    /// Its name in the package.
    pub id: String,
    /// What it is.
    pub info: Text,
    /// Its name to people.
    pub name: Option<Text>,
    /// A remark.
    pub annotation: Option<Annotation>,
    /// The products on it, with their properties.
    pub products: Vec<ProductSection>,
    /// Licences to be agreed to.
    pub eulas: Vec<Eula>,
    /// Its operating system.
    pub operating_system: Option<OperatingSystem>,
    /// Its hardware; several are alternatives.
    pub hardware: Vec<Hardware>,
    /// The first boot that installs it.
    pub install: Option<Install>,
    /// What it boots from, in order.
    pub boot: Vec<BootConfiguration>,
    /// Files that its environment carries.
    pub environment_files: Option<EnvironmentFiles>,
    /// What it was doing when it was packed.
    pub saved_state: Option<SavedState>,
    /// The placement groups it is in.
    pub placements: Vec<Placement>,
    /// How it can get its addresses (VMware's).
    pub ip_assignment: Option<IpAssignment>,
    /// The storage group it is in, by id (VMware's).
    pub storage_group: Option<String>,
    /// What it boots from, in order (VMware's).
    pub boot_order: Vec<BootOrder>,
    /// Where it was read.
    pub origin: Origin,
}

/// Virtual machines that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VirtualSystemCollection {
    /// Its name in the package.
    pub id: String,
    /// What it is.
    pub info: Text,
    /// Its name to people.
    pub name: Option<Text>,
    /// A remark.
    pub annotation: Option<Annotation>,
    /// The products of the whole, with their properties.
    pub products: Vec<ProductSection>,
    /// Licences to be agreed to.
    pub eulas: Vec<Eula>,
    /// Its systems and collections.
    pub content: Vec<Content>,
    /// What it gets as a whole.
    pub resource_allocation: Option<ResourceAllocation>,
    /// The order in which its members start and stop.
    pub startup: Option<Startup>,
    /// How many copies there may be of its members.
    pub scale_out: Vec<ScaleOut>,
    /// The placement groups it is in.
    pub placements: Vec<Placement>,
    /// How its systems can get their addresses (VMware's).
    pub ip_assignment: Option<IpAssignment>,
    /// Where it was read.
    pub origin: Origin,
}

impl Content {
    /// The virtual systems in it, in document order.
    pub fn systems(&self) -> Vec<&VirtualSystem> {
        match self {
            Content::System(system) => vec![system],
            Content::Collection(collection) => collection.content.iter().flat_map(Content::systems).collect(),
        }
    }

    /// Its name in the package.
    pub fn id(&self) -> &str {
        match self {
            Content::System(system) => &system.id,
            Content::Collection(collection) => &collection.id,
        }
    }

    /// The product sections of it and of everything inside it.
    pub fn products(&self) -> Vec<&ProductSection> {
        match self {
            Content::System(system) => system.products.iter().collect(),
            Content::Collection(collection) => {
                let inner = collection.content.iter().flat_map(Content::products);
                collection.products.iter().chain(inner).collect()
            }
        }
    }

    /// A section in it that no writer writes.
    pub(super) fn unwritten(&self) -> Option<&'static str> {
        let (own, inner): (&[(&str, bool)], &[Content]) = match self {
            Content::System(it) => (
                &[
                    ("InstallSection", it.install.is_some()),
                    ("BootDeviceSection", !it.boot.is_empty()),
                    ("EnvironmentFilesSection", it.environment_files.is_some()),
                    ("PlacementSection", !it.placements.is_empty()),
                    ("IpAssignmentSection", it.ip_assignment.is_some()),
                    ("StorageSection", it.storage_group.is_some()),
                    ("BootOrderSection", !it.boot_order.is_empty()),
                    (
                        "an Item's setting",
                        it.hardware.iter().any(Hardware::is_unwritten),
                    ),
                ],
                &[],
            ),
            Content::Collection(it) => (
                &[
                    ("ResourceAllocationSection", it.resource_allocation.is_some()),
                    ("StartupSection", it.startup.is_some()),
                    ("ScaleOutSection", !it.scale_out.is_empty()),
                    ("PlacementSection", !it.placements.is_empty()),
                    ("IpAssignmentSection", it.ip_assignment.is_some()),
                ],
                &it.content,
            ),
        };
        let lost = own.iter().find_map(|(name, is_there)| is_there.then_some(*name));
        lost.or_else(|| inner.iter().find_map(Content::unwritten))
    }

    pub(super) fn read(section: &Section<'_>, unmodelled: &mut Vec<Unmodelled>, faults: &mut Faults) -> Self {
        match section.name {
            "VirtualSystem" => Content::System(VirtualSystem::read(section.element, unmodelled, faults)),
            _ => Content::Collection(VirtualSystemCollection::read(section.element, unmodelled, faults)),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Content::System(system) => system.write(writer),
            Content::Collection(collection) => collection.write(writer),
        }
    }
}

impl VirtualSystem {
    /// The devices of the first hardware section under a deployment option: [`Hardware::items_under`].
    pub fn items_under(&self, option: Option<&str>) -> Vec<&Item> {
        let hardware = self.hardware.first();
        hardware
            .map(|hardware| hardware.items_under(option))
            .unwrap_or_default()
    }

    fn read(element: Element<'_>, unmodelled: &mut Vec<Unmodelled>, faults: &mut Faults) -> Self {
        let mut system = VirtualSystem {
            id: required(element, "id", faults),
            info: child_text(element, "Info"),
            name: name(element),
            origin: element.position().into(),
            ..VirtualSystem::default()
        };
        for section in sections(element) {
            let element = section.element;
            if system.take_vmware(&section) {
                continue;
            }
            if element.name().is(SAVED_STATE, "SavedStateSection") {
                system.saved_state = Some(SavedState::read(element, faults));
                continue;
            }
            match section.standard_name() {
                Some("AnnotationSection") => system.annotation = Some(Annotation::read(element)),
                Some("ProductSection") => system.products.push(ProductSection::read(element, faults)),
                Some("EulaSection") => system.eulas.push(Eula::read(element)),
                Some("OperatingSystemSection") => {
                    system.operating_system = Some(operating_system::read(element, faults));
                }
                Some("VirtualHardwareSection") => system.hardware.push(Hardware::read(element, faults)),
                Some("InstallSection") => system.install = Some(Install::read(element, faults)),
                Some("BootDeviceSection") => system.boot.extend(boot_device::read(element)),
                Some("EnvironmentFilesSection") => {
                    system.environment_files = Some(EnvironmentFiles::read(element, faults));
                }
                Some("PlacementSection") => system.placements.push(Placement::read(element, faults)),
                Some("Info" | "Name") => {}
                _ => unmodelled.push(Unmodelled::of(&section)),
            }
        }
        system
    }

    fn take_vmware(&mut self, section: &Section<'_>) -> bool {
        match section.vmware_name() {
            Some("IpAssignmentSection") => self.ip_assignment = Some(IpAssignment::read(section.element)),
            Some("BootOrderSection") => self.boot_order.push(BootOrder::read(section.element)),
            Some("StorageSection") => self.storage_group = section.vmware_attribute("group"),
            _ => return false,
        }
        true
    }

    fn write(&self, writer: &mut Writer) {
        writer.element("VirtualSystem", &[("ovf:id", &self.id)], |writer| {
            write_head(&self.info, self.name.as_ref(), writer);
            write_texts(self.annotation.as_ref(), &self.products, &self.eulas, writer);
            if let Some(system) = &self.operating_system {
                system.write(writer);
            }
            for hardware in &self.hardware {
                hardware.write(writer);
            }
            if let Some(state) = &self.saved_state {
                state.write(writer);
            }
        });
    }
}

impl VirtualSystemCollection {
    fn read(element: Element<'_>, unmodelled: &mut Vec<Unmodelled>, faults: &mut Faults) -> Self {
        let mut collection = VirtualSystemCollection {
            id: attribute(element, "id").unwrap_or_default().to_owned(),
            info: child_text(element, "Info"),
            name: name(element),
            origin: element.position().into(),
            ..VirtualSystemCollection::default()
        };
        // The document's own ceiling on depth bounds the recursion.
        for section in sections(element) {
            let element = section.element;
            if section.vmware_name() == Some("IpAssignmentSection") {
                collection.ip_assignment = Some(IpAssignment::read(element));
                continue;
            }
            match section.standard_name() {
                Some("AnnotationSection") => collection.annotation = Some(Annotation::read(element)),
                Some("ProductSection") => collection.products.push(ProductSection::read(element, faults)),
                Some("EulaSection") => collection.eulas.push(Eula::read(element)),
                Some("ResourceAllocationSection") => {
                    collection.resource_allocation = Some(ResourceAllocation::read(element, faults));
                }
                Some("StartupSection") => collection.startup = Some(Startup::read(element, faults)),
                Some("ScaleOutSection") => collection.scale_out.push(ScaleOut::read(element, faults)),
                Some("PlacementSection") => collection.placements.push(Placement::read(element, faults)),
                Some("VirtualSystem" | "VirtualSystemCollection") => {
                    collection
                        .content
                        .push(Content::read(&section, unmodelled, faults));
                }
                Some("Info" | "Name") => {}
                _ => unmodelled.push(Unmodelled::of(&section)),
            }
        }
        collection
    }

    fn write(&self, writer: &mut Writer) {
        writer.element("VirtualSystemCollection", &[("ovf:id", &self.id)], |writer| {
            write_head(&self.info, self.name.as_ref(), writer);
            write_texts(self.annotation.as_ref(), &self.products, &self.eulas, writer);
            for content in &self.content {
                content.write(writer);
            }
        });
    }
}

fn name(element: Element<'_>) -> Option<Text> {
    optional_text(element, "Name").filter(|name| !name.is_empty())
}

fn write_head(info: &Text, name: Option<&Text>, writer: &mut Writer) {
    info.write("Info", writer);
    if let Some(name) = name {
        name.write("Name", writer);
    }
}

fn write_texts(
    annotation: Option<&Annotation>,
    products: &[ProductSection],
    eulas: &[Eula],
    writer: &mut Writer,
) {
    if let Some(annotation) = annotation {
        annotation.write(writer);
    }
    for product in products {
        product.write(writer);
    }
    for eula in eulas {
        eula.write(writer);
    }
}
