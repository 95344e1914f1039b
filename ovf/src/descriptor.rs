//! The OVF descriptor as types: enough to write one whole, and to read what other people wrote.
//!
//! One noun a module. [`Descriptor::parse`] reads the 1.0, 1.1 and 2.x namespaces, VMware's 0.9 and oVirt's dialect into
//! one model; what the model does not hold is listed in [`Descriptor::unmodelled`] and reachable through
//! [`crate::xml::Document`]. [`Descriptor::render`] writes OVF 1.1 in the element order of DSP8023 1.1, the same bytes
//! for the same model. [`Descriptor::check_references`] reports everything that leads nowhere.
//!
//! Reading is strict about what decides meaning (namespaces, required attributes, numbers) and tolerant of the rest: the
//! published schemas refuse more than half of the descriptors in the field.

mod agreement;
mod attributes;
mod disk;
mod element;
mod hardware;
mod item;
mod network;
mod operating_system;
mod product;
mod property;
mod property_type;
mod qualifiers;
mod reference_check;
mod references;
mod system;
mod units;

use std::ops::Range;

pub use self::agreement::{Annotation, Eula};
pub use self::disk::{Capacity, Disk, STREAM_OPTIMIZED};
pub use self::hardware::{Config, Hardware, SystemSettings};
pub use self::item::{HostResource, Item, ResourceType};
pub use self::network::Network;
pub use self::operating_system::OperatingSystem;
pub use self::product::ProductSection;
pub use self::property::{ConfigurationValue, Property, check_key_part};
pub use self::property_type::PropertyType;
pub use self::qualifiers::Qualifiers;
pub use self::references::{Compression, File};
pub use self::system::{Content, VirtualSystem, VirtualSystemCollection};
pub use self::units::{BaseUnit, Units};

use self::element::{Section, sections};
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
/// The namespace of VMware's extensions.
pub const VMW: &str = "http://www.vmware.com/schema/ovf";

const RASD: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData";
const VSSD: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData";

/// An OVF envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The standard's generation that the envelope's namespace names; [`Descriptor::render`] writes [`Dialect::V1`].
    pub dialect: Dialect,
    /// The package's files, in the order that an archive must keep.
    pub files: Vec<File>,
    /// The virtual disks.
    pub disks: Vec<Disk>,
    /// The logical networks.
    pub networks: Vec<Network>,
    /// The one virtual system, or the collection of them.
    pub content: Content,
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
            files: Vec::new(),
            disks: Vec::new(),
            networks: Vec::new(),
            content: Content::System(system),
            unmodelled: Vec::new(),
        }
    }

    /// Reads a descriptor.
    ///
    /// # Errors
    /// Those of [`Document::parse`]; [`Kind::DescriptorNamespace`] for another kind of document;
    /// [`Kind::DescriptorStructure`] where a required element or attribute is missing; [`Kind::DescriptorValue`]
    /// where a number or truth value is none. All with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::of_document(&Document::parse(bytes)?)
    }

    /// Reads a descriptor from a document already parsed; otherwise as [`Descriptor::parse`].
    ///
    /// # Errors
    /// As [`Descriptor::parse`].
    pub fn of_document(document: &Document) -> Result<Self, Error> {
        let root = document.root();
        let dialect = root
            .namespace()
            .and_then(Dialect::of_namespace)
            .filter(|_| root.local_name() == "Envelope");
        let dialect = dialect.ok_or_else(|| {
            let namespace = root.namespace().unwrap_or("no namespace");
            let name = root.local_name();
            root.error(
                Kind::DescriptorNamespace,
                format!("{} in {} is not an OVF envelope", quoted(name), quoted(namespace)),
            )
        })?;
        let mut parts = Parts::default();
        for section in sections(root) {
            parts.take(&section)?;
        }
        let content = parts.content.ok_or_else(|| {
            root.error(
                Kind::DescriptorStructure,
                "the envelope has no VirtualSystem or VirtualSystemCollection",
            )
        })?;
        Ok(Descriptor {
            dialect,
            files: parts.files,
            disks: parts.disks,
            networks: parts.networks,
            content,
            unmodelled: parts.unmodelled,
        })
    }

    /// The descriptor as an OVF 1.1 document.
    ///
    /// # Errors
    /// [`Kind::XmlCharacter`] if a text holds a character that XML cannot carry.
    pub fn render(&self) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new();
        let namespaces = [
            ("xmlns", ENVELOPE_1),
            ("xmlns:ovf", ENVELOPE_1),
            ("xmlns:rasd", RASD),
            ("xmlns:vssd", VSSD),
            ("xmlns:vmw", VMW),
        ];
        writer.element("Envelope", &namespaces, |writer| {
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

    /// Every virtual system, those in nested collections included, in document order.
    pub fn systems(&self) -> Vec<&VirtualSystem> {
        self.content.systems()
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

    /// Everything that is referred to and not there, and every identifier used twice.
    ///
    /// Findings are [`Kind::DescriptorReference`] and [`Kind::DescriptorDuplicate`], in document order by noun; an
    /// empty list means that the descriptor holds together.
    pub fn check_references(&self) -> Vec<Error> {
        reference_check::findings(self)
    }
}

/// What the envelope's sections have given so far.
#[derive(Default)]
struct Parts {
    files: Vec<File>,
    disks: Vec<Disk>,
    networks: Vec<Network>,
    content: Option<Content>,
    unmodelled: Vec<Unmodelled>,
}

impl Parts {
    fn take(&mut self, section: &Section<'_>) -> Result<(), Error> {
        let element = section.element;
        match section.standard_name() {
            Some("References") => self.files = references::read(element)?,
            Some("DiskSection") => self.disks.extend(disk::read(element)?),
            Some("NetworkSection") => self.networks.extend(network::read(element)?),
            Some("VirtualSystem" | "VirtualSystemCollection") => {
                if self.content.is_some() {
                    return Err(element.error(
                        Kind::DescriptorStructure,
                        "the envelope has a second content element",
                    ));
                }
                self.content = Some(Content::read(section, &mut self.unmodelled)?);
            }
            _ => self.unmodelled.push(Unmodelled::of(section)),
        }
        Ok(())
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
