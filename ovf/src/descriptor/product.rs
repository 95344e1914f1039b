//! ProductSection: what a software product is, and the properties it is configured by (DSP0243 9.5).

use super::attributes::Attributes;
use super::element::{attribute, child_text, is_envelope, optional_text};
use super::property::Property;
use crate::error::Error;
use crate::xml::{Element, Origin, Writer};

/// A software product in a virtual system, with its properties.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductSection {
    /// Sets this product's properties apart from others': a reversed domain name.
    pub class: String,
    /// Sets two instances of one class apart.
    pub instance: String,
    /// What the section is for.
    pub info: String,
    /// The product's name.
    pub product: Option<String>,
    /// Who makes it.
    pub vendor: Option<String>,
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
    /// Files of the References that hold icons, by id.
    pub icons: Vec<String>,
    /// The properties, in order.
    pub properties: Vec<Property>,
    /// Where it was read.
    pub origin: Origin,
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

    pub(super) fn read(element: Element<'_>) -> Result<Self, Error> {
        let mut properties = Vec::new();
        let mut icons = Vec::new();
        let mut category = None;
        for child in element.children().filter(|child| is_envelope(*child)) {
            match child.local_name() {
                "Category" => category = Some(child.text()).filter(|text| !text.is_empty()),
                "Property" => properties.push(Property::read(child, category.clone())?),
                "Icon" => icons.extend(attribute(child, "fileRef").map(str::to_owned)),
                _ => {}
            }
        }
        Ok(ProductSection {
            class: attribute(element, "class").unwrap_or_default().to_owned(),
            instance: attribute(element, "instance").unwrap_or_default().to_owned(),
            info: child_text(element, "Info"),
            product: optional_text(element, "Product"),
            vendor: optional_text(element, "Vendor"),
            version: optional_text(element, "Version"),
            full_version: optional_text(element, "FullVersion"),
            product_url: optional_text(element, "ProductUrl"),
            vendor_url: optional_text(element, "VendorUrl"),
            app_url: optional_text(element, "AppUrl"),
            icons,
            properties,
            origin: element.position().into(),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let attributes = Attributes::new()
            .maybe("ovf:class", given(&self.class))
            .maybe("ovf:instance", given(&self.instance));
        writer.element("ProductSection", &attributes.pairs(), |writer| {
            writer.text("Info", &[], &self.info);
            for (name, text) in [
                ("Product", &self.product),
                ("Vendor", &self.vendor),
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
                writer.empty("Icon", &[("ovf:fileRef", icon)]);
            }
            self.write_properties(writer);
        });
    }

    /// A category holds for every property after it, so that it is written where it changes.
    fn write_properties(&self, writer: &mut Writer) {
        let mut category = None;
        for property in &self.properties {
            if property.category != category {
                category.clone_from(&property.category);
                writer.text("Category", &[], category.as_deref().unwrap_or_default());
            }
            property.write(writer);
        }
    }
}
