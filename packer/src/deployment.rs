//! What one deployment of a package sets: property values, checked, as an environment document.

use std::path::Path;
use std::str::FromStr;

use image::iso9660;
use image::source::{Composed, write_raw};
use ovf::descriptor::Descriptor;
use ovf::environment::{Environment, Platform};

use crate::error::{Error, Result};
use crate::input::read_bounded;

/// A property and the value that somebody gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// Key as the environment has it: `[class.]key[.instance]`.
    pub key: String,
    /// The value; it may be a secret, so it is not shown by `Debug`.
    pub value: String,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A value may be a secret given by mistake: it is not repeated.
        let (key, value) = text.split_once('=').ok_or("not KEY=VALUE")?;
        Ok(Self {
            key: key.trim().to_owned(),
            value: value.to_owned(),
        })
    }
}

const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads a file of `KEY=VALUE` lines; empty lines and lines that begin with `#` are passed over.
///
/// # Errors
/// It can't be read, or a line has no `=`; the error names the line and not what is on it.
pub fn read_file(path: &Path) -> Result<Vec<Given>> {
    let bytes = read_bounded(path, MAX_FILE_BYTES)?;
    let text =
        String::from_utf8(bytes).map_err(|_| Error::Usage(format!("{}: not UTF-8", path.display())))?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            line.parse()
                .map_err(|reason| Error::Usage(format!("{}:{}: {reason}", path.display(), index + 1)))
        })
        .collect()
}

/// The environment document of a package's first virtual system: its properties' defaults, and what was given.
///
/// # Errors
/// A given key is unknown or not configurable, or a value is outside its property's type or qualifiers.
pub fn environment(descriptor: &Descriptor, given: &[Given]) -> Result<Environment> {
    let mut known = Vec::new();
    for product in descriptor.content.products() {
        for property in &product.properties {
            known.push((product.environment_key(property), property));
        }
    }
    for given in given {
        let property = known
            .iter()
            .find(|(key, _)| *key == given.key)
            .map(|(_, property)| property);
        let property = property.ok_or_else(|| {
            let keys: Vec<&str> = known.iter().map(|(key, _)| key.as_str()).collect();
            Error::Usage(format!(
                "the package has no property '{}'; it has: {}",
                given.key,
                keys.join(", ")
            ))
        })?;
        if !property.user_configurable {
            return Err(Error::Usage(format!(
                "'{}' is fixed by the package (userConfigurable)",
                given.key
            )));
        }
        property
            .check(&given.value)
            .map_err(|error| Error::Usage(error.to_string()))?;
    }
    let value = |key: &str, default: Option<&String>| {
        let given = given
            .iter()
            .rev()
            .find(|given| given.key == key)
            .map(|given| given.value.clone());
        given.or_else(|| default.cloned()).unwrap_or_default()
    };
    let properties = known
        .iter()
        .map(|(key, property)| (key.clone(), value(key, property.value.as_ref())))
        .collect();
    let id = descriptor
        .systems()
        .first()
        .map_or_else(String::new, |system| system.id.clone());
    Ok(Environment {
        id,
        platform: Some(Platform {
            kind: Some("QEMU".into()),
            vendor: Some("QEMU".into()),
            locale: Some("en".into()),
            ..Platform::default()
        }),
        properties,
        ..Environment::default()
    })
}

/// Keys of the properties whose values are secret.
#[must_use]
pub fn secrets(descriptor: &Descriptor) -> Vec<String> {
    let products = descriptor.content.products();
    let secret = products.into_iter().flat_map(|product| {
        let secret = product.properties.iter().filter(|property| property.is_secret());
        secret.map(|property| product.environment_key(property))
    });
    secret.collect()
}

/// The CD that carries an environment document (DSP0243, transport `iso`).
///
/// # Errors
/// The document is larger than a CD.
pub fn iso(document: &[u8]) -> Result<Composed> {
    let mut volume = iso9660::Volume::new("OVF_ENV")?;
    volume.file("ovf-env.xml", document.to_vec())?;
    Ok(volume.build()?)
}

/// Writes that CD into a file.
///
/// # Errors
/// The file can't be written.
pub fn write_iso(document: &[u8], path: &Path) -> Result<()> {
    let disk = iso(document)?;
    let file = std::fs::File::create(path).map_err(Error::io(path, "create"))?;
    Ok(write_raw(&disk, &file)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovf::descriptor::{ProductSection, Property, PropertyType, VirtualSystem};

    fn descriptor() -> Descriptor {
        let mut port = Property::new("port", PropertyType::Uint16);
        port.value = Some("443".into());
        let mut fixed = Property::new("fixed", PropertyType::String);
        fixed.user_configurable = false;
        let product = ProductSection {
            properties: vec![port, fixed],
            ..ProductSection::default()
        };
        Descriptor::new(VirtualSystem {
            id: "vm".into(),
            products: vec![product],
            ..VirtualSystem::default()
        })
    }

    fn given(text: &str) -> Given {
        text.parse().unwrap()
    }

    #[test]
    fn defaults_hold_where_nothing_is_given_and_the_last_value_given_wins() {
        let document = environment(&descriptor(), &[]).unwrap();
        assert_eq!(document.property("port"), Some("443"));
        let document = environment(&descriptor(), &[given("port=1"), given("port=2")]).unwrap();
        assert_eq!(
            (document.id.as_str(), document.property("port")),
            ("vm", Some("2"))
        );
    }

    #[test]
    fn unknown_fixed_and_wrong_values_are_refused() {
        for (text, reason) in [
            ("x=1", "it has: port, fixed"),
            ("fixed=1", "userConfigurable"),
            ("port=x", "port"),
        ] {
            let said = environment(&descriptor(), &[given(text)])
                .unwrap_err()
                .to_string();
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn a_file_of_values_names_the_line_that_is_wrong_and_not_its_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# comment\n\nport=1\na=b=c\n").unwrap();
        let values = read_file(file.path()).unwrap();
        assert_eq!(
            values,
            [
                given("port=1"),
                Given {
                    key: "a".into(),
                    value: "b=c".into()
                }
            ]
        );
        std::fs::write(file.path(), "port=1\nhunter2\n").unwrap();
        let said = read_file(file.path()).unwrap_err().to_string();
        assert!(said.contains(":2: ") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn a_value_given_is_not_shown_by_debug() {
        assert!(!format!("{:?}", given("password=hunter2")).contains("hunter2"));
    }
}
