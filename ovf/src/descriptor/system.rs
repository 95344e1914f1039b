//! VirtualSystem and VirtualSystemCollection: a package's content (DSP0243 7.2, 9).

use super::Unmodelled;
use super::agreement::{Annotation, Eula};
use super::element::{Section, attribute, child_text, optional_text, required, sections};
use super::hardware::Hardware;
use super::operating_system::{self, OperatingSystem};
use super::product::ProductSection;
use crate::error::Error;
use crate::xml::{Element, Origin, Writer};

/// What an envelope or a collection holds.
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
    pub info: String,
    /// Its name to people.
    pub name: Option<String>,
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
    /// Where it was read.
    pub origin: Origin,
}

/// Virtual machines that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VirtualSystemCollection {
    /// Its name in the package.
    pub id: String,
    /// What it is.
    pub info: String,
    /// Its name to people.
    pub name: Option<String>,
    /// A remark.
    pub annotation: Option<Annotation>,
    /// The products of the whole, with their properties.
    pub products: Vec<ProductSection>,
    /// Licences to be agreed to.
    pub eulas: Vec<Eula>,
    /// Its systems and collections.
    pub content: Vec<Content>,
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

    pub(super) fn read(section: &Section<'_>, unmodelled: &mut Vec<Unmodelled>) -> Result<Self, Error> {
        match section.name {
            "VirtualSystem" => VirtualSystem::read(section.element, unmodelled).map(Content::System),
            _ => VirtualSystemCollection::read(section.element, unmodelled).map(Content::Collection),
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
    fn read(element: Element<'_>, unmodelled: &mut Vec<Unmodelled>) -> Result<Self, Error> {
        let mut system = VirtualSystem {
            id: required(element, "id")?.to_owned(),
            info: child_text(element, "Info"),
            name: name(element),
            origin: element.position().into(),
            ..VirtualSystem::default()
        };
        for section in sections(element) {
            match section.standard_name() {
                Some("AnnotationSection") => system.annotation = Some(Annotation::read(section.element)),
                Some("ProductSection") => system.products.push(ProductSection::read(section.element)?),
                Some("EulaSection") => system.eulas.push(Eula::read(section.element)),
                Some("OperatingSystemSection") => {
                    system.operating_system = Some(operating_system::read(section.element)?);
                }
                Some("VirtualHardwareSection") => system.hardware.push(Hardware::read(section.element)?),
                Some("Info" | "Name") => {}
                _ => unmodelled.push(Unmodelled::of(&section)),
            }
        }
        Ok(system)
    }

    fn write(&self, writer: &mut Writer) {
        writer.element("VirtualSystem", &[("ovf:id", &self.id)], |writer| {
            write_head(&self.info, self.name.as_deref(), writer);
            write_texts(self.annotation.as_ref(), &self.products, &self.eulas, writer);
            if let Some(system) = &self.operating_system {
                system.write(writer);
            }
            for hardware in &self.hardware {
                hardware.write(writer);
            }
        });
    }
}

impl VirtualSystemCollection {
    fn read(element: Element<'_>, unmodelled: &mut Vec<Unmodelled>) -> Result<Self, Error> {
        let mut collection = VirtualSystemCollection {
            id: attribute(element, "id").unwrap_or_default().to_owned(),
            info: child_text(element, "Info"),
            name: name(element),
            origin: element.position().into(),
            ..VirtualSystemCollection::default()
        };
        // The document's own ceiling on depth bounds the recursion.
        for section in sections(element) {
            match section.standard_name() {
                Some("AnnotationSection") => collection.annotation = Some(Annotation::read(section.element)),
                Some("ProductSection") => collection.products.push(ProductSection::read(section.element)?),
                Some("EulaSection") => collection.eulas.push(Eula::read(section.element)),
                Some("VirtualSystem" | "VirtualSystemCollection") => {
                    collection.content.push(Content::read(&section, unmodelled)?);
                }
                Some("Info" | "Name") => {}
                _ => unmodelled.push(Unmodelled::of(&section)),
            }
        }
        Ok(collection)
    }

    fn write(&self, writer: &mut Writer) {
        writer.element("VirtualSystemCollection", &[("ovf:id", &self.id)], |writer| {
            write_head(&self.info, self.name.as_deref(), writer);
            write_texts(self.annotation.as_ref(), &self.products, &self.eulas, writer);
            for content in &self.content {
                content.write(writer);
            }
        });
    }
}

fn name(element: Element<'_>) -> Option<String> {
    optional_text(element, "Name").filter(|name| !name.is_empty())
}

fn write_head(info: &str, name: Option<&str>, writer: &mut Writer) {
    writer.text("Info", &[], info);
    if let Some(name) = name {
        writer.text("Name", &[], name);
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
