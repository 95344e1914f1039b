//! ProductSection: what a software product is, and the properties it is configured by (DSP0243 9.5).

use super::attributes::Attributes;
use super::element::{Faults, child, child_text, is_envelope, number, optional_text, owned};
use super::property::Property;
use super::text::Text;
use crate::xml::{Element, Origin, Writer};

/// A software product in a virtual system, with its properties.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductSection {
    /// Sets this product's properties apart from others': a reversed domain name.
    pub class: String,
    /// Sets two instances of one class apart.
    pub instance: String,
    /// What the section is for.
    pub info: Text,
    /// The product's name.
    pub product: Option<Text>,
    /// Who makes it.
    pub vendor: Option<Text>,
    /// Its version, short.
    pub version: Option<String>,
    /// Its version, whole.
    pub full_version: Option<String>,
    /// The product's page.
    pub product_url: Option<String>,
    /// The vendor's page.
    pub vendor_url: Option<String>,
    /// Where the product, once deployed, answers.
    pub app_url: Option<String>,
    /// Its icons.
    pub icons: Vec<Icon>,
    /// The properties, in order.
    pub properties: Vec<Property>,
    /// Where it was read.
    pub origin: Origin,
}

/// A picture of a product.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Icon {
    /// The file of the References, by id.
    pub file_ref: String,
    /// Its width in pixels.
    pub width: Option<u16>,
    /// Its height in pixels.
    pub height: Option<u16>,
    /// Its media type.
    pub mime_type: Option<String>,
}

impl ProductSection {
    /// A property's key in the environment document: `[class.]key[.instance]`.
    pub fn environment_key(&self, property: &Property) -> String {
        let parts = [self.class.as_str(), property.key.as_str(), self.instance.as_str()];
        parts
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(".")
    }

    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        let mut properties = Vec::new();
        let mut icons = Vec::new();
        let mut category = None;
        for child in element.children().filter(|child| is_envelope(*child)) {
            match child.local_name() {
                "Category" => category = Some(Text::read(child)).filter(|text| !text.is_empty()),
                "Property" => properties.push(Property::read(child, category.clone(), faults)),
                "Icon" => icons.push(Icon {
                    file_ref: super::element::required(child, "fileRef", faults),
                    width: number(child, "width", faults),
                    height: number(child, "height", faults),
                    mime_type: owned(child, "mimeType"),
                }),
                _ => {}
            }
        }
        let text = |name| child(element, name).map(Element::text);
        ProductSection {
            class: owned(element, "class").unwrap_or_default(),
            instance: owned(element, "instance").unwrap_or_default(),
            info: child_text(element, "Info"),
            product: optional_text(element, "Product"),
            vendor: optional_text(element, "Vendor"),
            version: text("Version"),
            // OVF 0.9 had a hyphen.
            full_version: text("FullVersion").or_else(|| text("Full-version")),
            product_url: text("ProductUrl"),
            vendor_url: text("VendorUrl"),
            app_url: text("AppUrl"),
            icons,
            properties,
            origin: element.position().into(),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let attributes = Attributes::new()
            .maybe("ovf:class", given(&self.class))
            .maybe("ovf:instance", given(&self.instance));
        writer.element("ProductSection", &attributes.pairs(), |writer| {
            self.info.write("Info", writer);
            for (name, text) in [("Product", &self.product), ("Vendor", &self.vendor)] {
                if let Some(text) = text {
                    text.write(name, writer);
                }
            }
            for (name, text) in [
                ("Version", &self.version),
                ("FullVersion", &self.full_version),
                ("ProductUrl", &self.product_url),
                ("VendorUrl", &self.vendor_url),
                ("AppUrl", &self.app_url),
            ] {
                if let Some(text) = text {
                    writer.text(name, &[], text);
                }
            }
            for icon in &self.icons {
                let attributes = Attributes::new()
                    .maybe("ovf:height", icon.height)
                    .maybe("ovf:width", icon.width)
                    .maybe("ovf:mimeType", icon.mime_type.as_ref())
                    .with("ovf:fileRef", &icon.file_ref);
                writer.empty("Icon", &attributes.pairs());
            }
            self.write_properties(writer);
        });
    }

    /// A category holds for every property after it, so that it is written where it changes.
    fn write_properties(&self, writer: &mut Writer) {
        let mut category: Option<Text> = None;
        for property in &self.properties {
            if property.category != category {
                category.clone_from(&property.category);
                category.clone().unwrap_or_default().write("Category", writer);
            }
            property.write(writer);
        }
    }
}
