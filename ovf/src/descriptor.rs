//! The OVF descriptor as types: the whole of the standard to read, and enough of it to write a package's.
//!
//! One noun a module. [`Descriptor::parse`] reads the 1.0, 1.1 and 2.x namespaces, VMware's 0.9 and oVirt's dialect into
//! one model; what the model does not hold, other vendors' sections, is listed in [`Descriptor::unmodelled`] and
//! reachable through [`crate::xml::Document`], which is also the way to change a descriptor and lose nothing. [`Descriptor::render`] writes OVF 1.1 in the element order of DSP8023 1.1, the same bytes
//! for the same model. [`Descriptor::check_references`] reports everything that leads nowhere.
//!
//! Reading is strict about what decides meaning (namespaces, required attributes, numbers) and tolerant of the rest: the
//! published schemas refuse more than half of the descriptors in the field.

mod agreement;
mod attributes;
mod boot_device;
mod deployment_option;
mod disk;
mod element;
mod encryption;
mod environment_files;
mod hardware;
mod host_resource;
mod install;
mod item;
mod network;
mod operating_system;
mod placement;
mod product;
mod property;
mod property_type;
mod qualifiers;
mod reference_check;
mod references;
mod resource_allocation;
mod resource_type;
mod saved_state;
mod scale_out;
mod shared_disk;
mod startup;
mod strings;
mod system;
mod text;
mod units;
mod vmware;

use std::ops::Range;

pub use self::agreement::{Annotation, Eula};
pub use self::boot_device::{BootConfiguration, BootSource};
pub use self::deployment_option::{Configuration, DeploymentOptions};
pub use self::disk::{Capacity, Disk, STREAM_OPTIMIZED};
pub use self::encryption::Encryption;
pub use self::environment_files::{EnvironmentFile, EnvironmentFiles};
pub use self::hardware::{Config, Hardware, SystemSettings};
pub use self::host_resource::HostResource;
pub use self::install::Install;
pub use self::item::{Item, ItemClass};
pub use self::network::Network;
pub use self::operating_system::OperatingSystem;
pub use self::placement::{Placement, PlacementGroup, PlacementPolicy};
pub use self::product::{Icon, ProductSection};
pub use self::property::{ConfigurationValue, Property, check_key_part};
pub use self::property_type::PropertyType;
pub use self::qualifiers::Qualifiers;
pub use self::references::{Compression, File};
pub use self::resource_allocation::ResourceAllocation;
pub use self::resource_type::ResourceType;
pub use self::saved_state::{SAVED_STATE, SavedState};
pub use self::scale_out::ScaleOut;
pub use self::shared_disk::SharedDisk;
pub use self::startup::{StartAction, Startup, StartupItem, StopAction};
pub use self::strings::{Message, Strings};
pub use self::system::{Content, VirtualSystem, VirtualSystemCollection};
pub use self::text::Text;
pub use self::units::{BaseUnit, Units};
pub use self::vmware::{BootOrder, IpAssignment, StorageGroup};

pub use self::element::section_name;
use self::element::{Faults, Section, sections};
pub(crate) use self::element::{attribute, is_envelope};
use crate::error::{Error, Kind, quoted};
use crate::xml::{Document, Element, Origin, Position, Writer};

/// The envelope's namespace of OVF 1.0 and 1.1, the one written.
pub const ENVELOPE_1: &str = "http://schemas.dmtf.org/ovf/envelope/1";
/// The envelope's namespace of OVF 2.x.
pub const ENVELOPE_2: &str = "http://schemas.dmtf.org/ovf/envelope/2";
/// The envelope's namespace of VMware's OVF 0.9.
pub const ENVELOPE_0_9: &str = "http://www.vmware.com/schema/ovf/1/envelope";
/// The envelope's namespace as oVirt writes it.
pub const ENVELOPE_OVIRT: &str = "http://schemas.dmtf.org/ovf/envelope/1/";
/// The namespace that OVF 0.9 gave string bundles.
pub const STRINGS: &str = "http://schemas.dmtf.org/ovf/strings/1";
/// The namespace of VMware's extensions.
pub const VMW: &str = "http://www.vmware.com/schema/ovf";

const RASD: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData";
const VSSD: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData";

/// An OVF envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The standard's generation that the envelope's namespace names; [`Descriptor::render`] writes [`Dialect::V1`].
    pub dialect: Dialect,
    /// The version that the envelope names (`ovf:version`).
    pub version: Option<String>,
    /// The language of its texts (`xml:lang`); `en-US` if there is none.
    pub locale: Option<String>,
    /// The package's files, in the order that an archive must keep.
    pub files: Vec<File>,
    /// The virtual disks.
    pub disks: Vec<Disk>,
    /// The logical networks.
    pub networks: Vec<Network>,
    /// The options of deployment.
    pub deployment_options: Option<DeploymentOptions>,
    /// Disks that several systems have at once.
    pub shared_disks: Vec<SharedDisk>,
    /// The groups that systems are placed in.
    pub placement_groups: Vec<PlacementGroup>,
    /// What is encrypted.
    pub encryption: Option<Encryption>,
    /// VMware's groups of storage.
    pub storage_groups: Vec<StorageGroup>,
    /// The one virtual system, or the collection of them.
    pub content: Content,
    /// The messages in other languages.
    pub strings: Vec<Strings>,
    /// Sections that stand in the document and are not part of this model, in document order.
    pub unmodelled: Vec<Unmodelled>,
}

/// Which generation of the standard, or whose dialect of it, a descriptor is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// VMware's draft.
    V0_9,
    /// OVF 1.0 and 1.1.
    V1,
    /// OVF 2.x.
    V2,
    /// oVirt's.
    Ovirt,
}

impl Dialect {
    /// The dialect of an envelope in `namespace`.
    pub fn of_namespace(namespace: &str) -> Option<Self> {
        match namespace {
            ENVELOPE_0_9 => Some(Dialect::V0_9),
            ENVELOPE_1 => Some(Dialect::V1),
            ENVELOPE_2 => Some(Dialect::V2),
            ENVELOPE_OVIRT => Some(Dialect::Ovirt),
            _ => None,
        }
    }
}

/// A section of the document that the model does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmodelled {
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name, or for OVF 0.9 its type without `_Type`.
    pub name: String,
    /// Whether a consumer that does not understand it must refuse the package (`ovf:required`, by default true).
    pub required: bool,
    /// The bytes it is made of, in the document's text.
    pub span: Range<usize>,
    /// Where it stands.
    pub origin: Origin,
}

impl Descriptor {
    /// A descriptor of one virtual system without files, disks or networks.
    pub fn new(system: VirtualSystem) -> Self {
        Descriptor {
            dialect: Dialect::V1,
            version: None,
            locale: None,
            files: Vec::new(),
            disks: Vec::new(),
            networks: Vec::new(),
            deployment_options: None,
            shared_disks: Vec::new(),
            placement_groups: Vec::new(),
            encryption: None,
            storage_groups: Vec::new(),
            content: Content::System(system),
            strings: Vec::new(),
            unmodelled: Vec::new(),
        }
    }

    /// Reads a descriptor.
    ///
    /// # Errors
    /// Those of [`Document::parse`]; [`Kind::DescriptorNamespace`] for another kind of document;
    /// [`Kind::DescriptorAttributeMissing`], [`Kind::DescriptorElementMissing`] and [`Kind::DescriptorStructure`] where
    /// the whole cannot be understood; [`Kind::DescriptorValue`] where a number or truth value is none. All with line
    /// and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::of_document(&Document::parse(bytes)?)
    }

    /// Reads a descriptor from a document already parsed; otherwise as [`Descriptor::parse`].
    ///
    /// # Errors
    /// As [`Descriptor::parse`]: the first of [`Descriptor::examine`]'s.
    pub fn of_document(document: &Document) -> Result<Self, Error> {
        let (descriptor, faults) = Self::examine(document);
        match (descriptor, faults.into_iter().next()) {
            (Some(descriptor), None) => Ok(descriptor),
            (_, Some(fault)) => Err(fault),
            (None, None) => Err(Error::new(Kind::DescriptorStructure, "the document is empty")),
        }
    }

    /// Reads as much of a descriptor as can be understood, with everything that cannot, in document order.
    ///
    /// What was faulty is empty, 0 or its default in the result, which is for finding further faults and not for use.
    /// There is none where the document is no envelope or has no content.
    pub fn examine(document: &Document) -> (Option<Self>, Vec<Error>) {
        let root = document.root();
        let dialect = root
            .namespace()
            .and_then(Dialect::of_namespace)
            .filter(|_| root.local_name() == "Envelope");
        let Some(dialect) = dialect else {
            let namespace = root.namespace().unwrap_or("no namespace");
            let name = root.local_name();
            let reason = format!("{} in {} is not an OVF envelope", quoted(name), quoted(namespace));
            return (None, vec![root.error(Kind::DescriptorNamespace, reason)]);
        };
        let mut parts = Parts::default();
        for section in sections(root) {
            parts.take(&section);
        }
        let Parts {
            mut faults,
            content,
            descriptor: read,
        } = parts;
        let Some(content) = content else {
            let reason = "the envelope has no VirtualSystem or VirtualSystemCollection";
            faults.note(root.error(Kind::DescriptorElementMissing, reason));
            return (None, faults.into_all());
        };
        let descriptor = Descriptor {
            dialect,
            version: element::owned(root, "version"),
            locale: root.attribute(crate::xml::XML, "lang").map(str::to_owned),
            content,
            ..read
        };
        (Some(descriptor), faults.into_all())
    }

    /// The descriptor as an OVF 1.1 document.
    ///
    /// # Errors
    /// [`Kind::XmlCharacter`] if a text holds a character that XML cannot carry; [`Kind::DescriptorStructure`] for a
    /// section that this writer does not write: nothing is left out in silence.
    pub fn render(&self) -> Result<Vec<u8>, Error> {
        if let Some(section) = self.unwritten() {
            let reason = format!("{section} is not written: change the document it was read from instead");
            return Err(Error::new(Kind::DescriptorStructure, reason));
        }
        let mut writer = Writer::new();
        let namespaces = [
            ("xmlns", ENVELOPE_1),
            ("xmlns:ovf", ENVELOPE_1),
            ("xmlns:rasd", RASD),
            ("xmlns:vssd", VSSD),
            ("xmlns:vmw", VMW),
        ];
        let own = [("ovf:version", &self.version), ("xml:lang", &self.locale)];
        let own = own
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        let attributes: Vec<_> = namespaces.into_iter().chain(own).collect();
        writer.element("Envelope", &attributes, |writer| {
            references::write(&self.files, writer);
            if !self.disks.is_empty() {
                disk::write(&self.disks, writer);
            }
            if !self.networks.is_empty() {
                network::write(&self.networks, writer);
            }
            self.content.write(writer);
        });
        writer.finish()
    }

    /// A section that [`Descriptor::render`] would lose.
    fn unwritten(&self) -> Option<&str> {
        let own = [
            ("Strings", !self.strings.is_empty()),
            ("DeploymentOptionSection", self.deployment_options.is_some()),
            ("SharedDiskSection", !self.shared_disks.is_empty()),
            ("PlacementGroupSection", !self.placement_groups.is_empty()),
            ("EncryptionSection", self.encryption.is_some()),
            ("StorageGroupSection", !self.storage_groups.is_empty()),
        ];
        let lost = own
            .into_iter()
            .find_map(|(name, is_there)| is_there.then_some(name));
        let foreign = self.unmodelled.first().map(|section| section.name.as_str());
        lost.or(foreign).or_else(|| self.content.unwritten())
    }

    /// Every virtual system, those in nested collections included, in document order.
    pub fn systems(&self) -> Vec<&VirtualSystem> {
        self.content.systems()
    }

    /// The deployment options.
    pub fn options(&self) -> &[Configuration] {
        self.deployment_options
            .as_ref()
            .map_or(&[], |it| &it.configurations)
    }

    /// Whether there is a deployment option of this id.
    pub fn has_option(&self, id: &str) -> bool {
        self.options().iter().any(|option| option.id == id)
    }

    /// The deployment option that applies where none is chosen.
    pub fn default_option(&self) -> Option<&str> {
        let options = self.deployment_options.as_ref()?;
        options.default().map(|option| option.id.as_str())
    }

    /// Every property under its key in the environment document, `[class.]key[.instance]`, in document order.
    pub fn properties(&self) -> Vec<(String, &Property)> {
        let products = self.content.products().into_iter();
        products
            .flat_map(|product| {
                product
                    .properties
                    .iter()
                    .map(|property| (product.environment_key(property), property))
            })
            .collect()
    }

    /// The file of an id.
    pub fn file(&self, id: &str) -> Option<&File> {
        self.files.iter().find(|file| file.id == id)
    }

    /// The disk of an id.
    pub fn disk(&self, id: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.id == id)
    }

    /// The disks of the DiskSection and the shared ones.
    pub fn all_disks(&self) -> impl Iterator<Item = &Disk> {
        let shared = self.shared_disks.iter().map(|shared| &shared.disk);
        self.disks.iter().chain(shared)
    }

    /// Everything that is referred to and not there, and every identifier used twice.
    ///
    /// Findings are [`Kind::DescriptorReference`] and [`Kind::DescriptorDuplicate`], in document order by noun; an
    /// empty list means that the descriptor holds together.
    pub fn check_references(&self) -> Vec<Error> {
        reference_check::findings(self)
    }
}

/// What the envelope's sections have given so far.
struct Parts {
    /// All but the content.
    descriptor: Descriptor,
    content: Option<Content>,
    faults: Faults,
}

impl Default for Parts {
    fn default() -> Self {
        Parts {
            descriptor: Descriptor::new(VirtualSystem::default()),
            content: None,
            faults: Faults::default(),
        }
    }
}

impl Parts {
    fn take(&mut self, section: &Section<'_>) {
        let (element, faults, read) = (section.element, &mut self.faults, &mut self.descriptor);
        if section.vmware_name() == Some("StorageGroupSection") {
            return read.storage_groups.push(StorageGroup::read(element));
        }
        if element.namespace() == Some(STRINGS) && section.name == "Strings" {
            return read.strings.push(Strings::read(element, faults));
        }
        match section.standard_name() {
            Some("References") => read.files.extend(references::read(element, faults)),
            Some("DiskSection") => read.disks.extend(disk::read(element, faults)),
            Some("NetworkSection") => read.networks.extend(network::read(element, faults)),
            Some("DeploymentOptionSection") => {
                read.deployment_options = Some(DeploymentOptions::read(element, faults));
            }
            Some("SharedDiskSection") => read.shared_disks.extend(shared_disk::read(element, faults)),
            Some("PlacementGroupSection") => {
                read.placement_groups.push(PlacementGroup::read(element, faults))
            }
            Some("EncryptionSection") => read.encryption = Some(Encryption::read(element)),
            Some("Strings") => read.strings.push(Strings::read(element, faults)),
            Some("VirtualSystem" | "VirtualSystemCollection") => {
                let content = Content::read(section, &mut read.unmodelled, faults);
                if self.content.is_some() {
                    let reason = "the envelope has a second content element";
                    return faults.note(element.error(Kind::DescriptorStructure, reason));
                }
                self.content = Some(content);
            }
            _ => read.unmodelled.push(Unmodelled::of(section)),
        }
    }
}

impl Unmodelled {
    fn of(section: &Section<'_>) -> Self {
        let element: Element<'_> = section.element;
        Unmodelled {
            namespace: element.namespace().map(str::to_owned),
            name: section.name.to_owned(),
            required: section.is_required(),
            span: element.node().span(),
            origin: Origin(Some(element.position())),
        }
    }

    /// Where it stands.
    pub fn position(&self) -> Option<Position> {
        self.origin.0
    }
}

#[cfg(test)]
mod tests;
