//! The OVF environment: what a guest is told at deployment (DSP0243 10, DSP8027).
//!
//! The document reaches the guest on a CD (`ovf-env.xml`), through a hypervisor's channel, or as a file; it holds the
//! platform's name and the values of the properties. Reading is strict and goes through [`crate::xml`], so that a
//! hostile document cannot expand, nest or grow beyond its ceilings.

use crate::error::{Error, Kind, quoted};
use crate::xml::{Document, Element, Limits, Writer};

/// The namespace of environment documents.
pub const NAMESPACE: &str = "http://schemas.dmtf.org/ovf/environment/1";

/// The ceiling of an environment document's size in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// An environment document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// The id of the virtual system it is for; may be empty.
    pub id: String,
    /// The platform it runs on.
    pub platform: Option<Platform>,
    /// The system's properties under their full keys, `[class.]key[.instance]`, in order.
    pub properties: Vec<(String, String)>,
    /// The systems beside this one, in its collection.
    pub entities: Vec<Entity>,
}

/// The platform a system runs on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Platform {
    /// What kind of hypervisor.
    pub kind: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its vendor.
    pub vendor: Option<String>,
    /// The language, as in `en_US`.
    pub locale: Option<String>,
    /// Minutes east of UTC.
    pub timezone: Option<i32>,
}

/// A system beside the one the document is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entity {
    /// Its id.
    pub id: String,
    /// Its properties, in order.
    pub properties: Vec<(String, String)>,
}

impl Environment {
    /// Reads an environment document.
    ///
    /// # Errors
    /// Those of [`Document::parse`]; [`Kind::EnvironmentStructure`] for another kind of document, a property without
    /// key or value, or one given twice, with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let document = Document::parse_within(
            bytes,
            Limits {
                bytes: MAX_BYTES,
                ..Limits::default()
            },
        )?;
        let root = document.root();
        if !root.name().is(NAMESPACE, "Environment") {
            return Err(root.error(
                Kind::EnvironmentStructure,
                "the document is not an OVF environment",
            ));
        }
        let mut environment = Environment {
            id: attribute(root, "id").unwrap_or_default().to_owned(),
            ..Environment::default()
        };
        for child in ours(root) {
            match child.local_name() {
                "PlatformSection" => environment.platform = Some(platform(child)?),
                "PropertySection" => properties(child, &mut environment.properties)?,
                "Entity" => environment.entities.push(entity(child)?),
                _ => {}
            }
        }
        Ok(environment)
    }

    /// The document, the same bytes for the same values.
    ///
    /// # Errors
    /// [`Kind::XmlCharacter`] if a value holds a character that XML cannot carry.
    pub fn render(&self) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new();
        let mut attributes = vec![("xmlns", NAMESPACE), ("xmlns:oe", NAMESPACE)];
        if !self.id.is_empty() {
            attributes.push(("oe:id", &self.id));
        }
        writer.element("Environment", &attributes, |writer| {
            if let Some(platform) = &self.platform {
                platform.write(writer);
            }
            // Written even when empty: readers in the field take its absence for a broken document.
            write_properties(&self.properties, writer);
            for entity in &self.entities {
                let id = [("oe:id", entity.id.as_str())];
                writer.element("Entity", &id, |writer| {
                    write_properties(&entity.properties, writer)
                });
            }
        });
        writer.finish()
    }

    /// The value of a property by its full key.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, value)| value.as_str())
    }
}

impl Platform {
    fn write(&self, writer: &mut Writer) {
        writer.element("PlatformSection", &[], |writer| {
            let timezone = self.timezone.map(|minutes| minutes.to_string());
            for (name, text) in [
                ("Kind", &self.kind),
                ("Version", &self.version),
                ("Vendor", &self.vendor),
                ("Locale", &self.locale),
                ("Timezone", &timezone),
            ] {
                if let Some(text) = text {
                    writer.text(name, &[], text);
                }
            }
        });
    }
}

fn write_properties(properties: &[(String, String)], writer: &mut Writer) {
    writer.element("PropertySection", &[], |writer| {
        for (key, value) in properties {
            writer.empty("Property", &[("oe:key", key), ("oe:value", value)]);
        }
    });
}

fn ours<'a>(parent: Element<'a>) -> impl Iterator<Item = Element<'a>> {
    parent
        .children()
        .filter(|child| child.namespace() == Some(NAMESPACE))
}

fn attribute<'a>(element: Element<'a>, name: &str) -> Option<&'a str> {
    element.attribute(NAMESPACE, name)
}

fn platform(section: Element<'_>) -> Result<Platform, Error> {
    let mut platform = Platform::default();
    for child in ours(section) {
        let text = child.text();
        match child.local_name() {
            "Kind" => platform.kind = Some(text),
            "Version" => platform.version = Some(text),
            "Vendor" => platform.vendor = Some(text),
            "Locale" => platform.locale = Some(text),
            "Timezone" => platform.timezone = timezone(child, &text)?,
            _ => {}
        }
    }
    Ok(platform)
}

fn timezone(element: Element<'_>, text: &str) -> Result<Option<i32>, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let minutes = text.parse().map(Some);
    minutes.map_err(|_| element.error(Kind::EnvironmentStructure, "Timezone is not a number of minutes"))
}

fn entity(element: Element<'_>) -> Result<Entity, Error> {
    let id = attribute(element, "id")
        .ok_or_else(|| element.error(Kind::EnvironmentStructure, "an Entity has no id"))?;
    let mut entity = Entity {
        id: id.to_owned(),
        properties: Vec::new(),
    };
    for section in ours(element).filter(|child| child.local_name() == "PropertySection") {
        properties(section, &mut entity.properties)?;
    }
    Ok(entity)
}

fn properties(section: Element<'_>, into: &mut Vec<(String, String)>) -> Result<(), Error> {
    let mut seen: std::collections::HashSet<String> = into.iter().map(|(key, _)| key.clone()).collect();
    for element in ours(section).filter(|child| child.local_name() == "Property") {
        let field = |name: &str| {
            attribute(element, name)
                .map(str::to_owned)
                .ok_or_else(|| element.error(Kind::EnvironmentStructure, format!("a Property has no {name}")))
        };
        let (key, value) = (field("key")?, field("value")?);
        if !seen.insert(key.clone()) {
            return Err(element.error(
                Kind::EnvironmentStructure,
                format!("property {} is given twice", quoted(&key)),
            ));
        }
        into.push((key, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
