//! Property: one value by which a product is configured (DSP0243 9.5).

use super::attributes::Attributes;
use super::element::{Faults, attribute, boolean, children, optional_text, owned, required};
use super::property_type::PropertyType;
use super::qualifiers::Qualifiers;
use super::text::Text;
use crate::error::{Error, Kind, quoted};
use crate::xml::{Element, Origin, Writer};

/// A property of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name in the product section.
    pub key: String,
    /// Its type.
    pub property_type: PropertyType,
    /// What narrows the type.
    pub qualifiers: Qualifiers,
    /// Whether it may be set at deployment.
    pub user_configurable: bool,
    /// Its default value; absent and empty are told apart.
    pub value: Option<String>,
    /// Whether its value must not be shown.
    pub password: bool,
    /// The heading it stands under.
    pub category: Option<Text>,
    /// Its name to people.
    pub label: Option<Text>,
    /// What it is for.
    pub description: Option<Text>,
    /// Defaults of the deployment options, in place of `value`.
    pub values: Vec<ConfigurationValue>,
    /// Where it was read.
    pub origin: Origin,
}

/// A property's default under one deployment option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationValue {
    /// The option; any if there is none.
    pub configuration: Option<String>,
    /// The value.
    pub value: String,
}

impl Property {
    /// A property of a type that can be set at deployment and has no default.
    pub fn new(key: impl Into<String>, property_type: PropertyType) -> Self {
        Property {
            key: key.into(),
            property_type,
            qualifiers: Qualifiers::default(),
            user_configurable: true,
            value: None,
            password: false,
            category: None,
            label: None,
            description: None,
            values: Vec::new(),
            origin: Origin::default(),
        }
    }

    /// Whether its value is a secret: said so, or by its type.
    pub fn is_secret(&self) -> bool {
        self.password || self.property_type == PropertyType::Password
    }

    /// Whether `value` is one that the property's type and qualifiers allow.
    ///
    /// # Errors
    /// [`Kind::PropertyValue`] for a value outside; [`Kind::PropertyType`] and [`Kind::PropertyQualifiers`] where the
    /// property itself is of an unknown type or has unreadable qualifiers. A secret's value is never in the reason.
    pub fn check(&self, value: &str) -> Result<(), Error> {
        let checked = self
            .property_type
            .check(value)
            .and_then(|()| self.qualifiers.check(&self.property_type, value));
        checked.map_err(|error| {
            let shown = if self.is_secret() {
                String::new()
            } else {
                format!(" {}", quoted(value))
            };
            let subject = match error.kind() {
                Kind::PropertyValue => format!("property {}: the value{shown}", quoted(&self.key)),
                _ => format!("property {}:", quoted(&self.key)),
            };
            Error::new(error.kind(), format!("{subject} {}", error.reason()))
        })
    }

    pub(super) fn read(element: Element<'_>, category: Option<Text>, faults: &mut Faults) -> Self {
        let values = children(element, "Value").map(|child| ConfigurationValue {
            configuration: owned(child, "configuration"),
            value: required(child, "value", faults),
        });
        Property {
            values: values.collect(),
            key: required(element, "key", faults),
            property_type: PropertyType::parse(attribute(element, "type").unwrap_or_default()),
            qualifiers: Qualifiers::read(attribute(element, "qualifiers").unwrap_or_default()),
            user_configurable: boolean(element, "userConfigurable", false, faults),
            value: owned(element, "value"),
            password: boolean(element, "password", false, faults),
            category,
            label: optional_text(element, "Label"),
            description: optional_text(element, "Description"),
            origin: element.position().into(),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let qualifiers = self.qualifiers.to_string();
        let attributes = Attributes::new()
            .with("ovf:key", &self.key)
            .with("ovf:type", &self.property_type)
            .maybe("ovf:qualifiers", (!qualifiers.is_empty()).then_some(qualifiers))
            .flag("ovf:userConfigurable", self.user_configurable)
            .maybe("ovf:value", self.value.as_ref())
            .flag("ovf:password", self.password);
        let attributes = attributes.pairs();
        if self.label.is_none() && self.description.is_none() && self.values.is_empty() {
            return writer.empty("Property", &attributes);
        }
        writer.element("Property", &attributes, |writer| {
            for (name, text) in [("Label", &self.label), ("Description", &self.description)] {
                if let Some(text) = text {
                    text.write(name, writer);
                }
            }
            for value in &self.values {
                let attributes = Attributes::new()
                    .with("ovf:value", &value.value)
                    .maybe("ovf:configuration", value.configuration.as_ref());
                writer.empty("Value", &attributes.pairs());
            }
        });
    }
}

/// Whether `part` may be a property's key or a product section's instance: not empty, without `.`, `:` and white
/// space, because `[class.]key[.instance]` could not be taken apart otherwise.
///
/// # Errors
/// [`Kind::PropertyKey`].
pub fn check_key_part(part: &str) -> Result<(), Error> {
    let bad = |c: char| matches!(c, '.' | ':') || c.is_whitespace() || c.is_control();
    if part.is_empty() {
        return Err(Error::new(Kind::PropertyKey, "a property's key is empty"));
    }
    match part.chars().find(|c| bad(*c)) {
        None => Ok(()),
        Some(c) => Err(Error::new(
            Kind::PropertyKey,
            format!("{} has {c:?}, which a key may not", quoted(part)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_value_is_never_in_the_reason() {
        let mut property = Property::new("pin", PropertyType::Uint8);
        assert!(
            property
                .check("hunter2")
                .unwrap_err()
                .to_string()
                .contains("hunter2")
        );
        property.password = true;
        let error = property.check("hunter2").unwrap_err();
        assert_eq!(error.kind(), Kind::PropertyValue);
        assert!(!error.with_causes().contains("hunter2"), "{error}");
    }

    #[test]
    fn keys_with_separators_are_refused() {
        assert!(check_key_part("host_name-1").is_ok());
        for bad in ["", "a.b", "a:b", "a b", "a\n"] {
            assert_eq!(
                check_key_part(bad).unwrap_err().kind(),
                Kind::PropertyKey,
                "{bad:?}"
            );
        }
    }
}
