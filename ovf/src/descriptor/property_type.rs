//! Property types: CIM's intrinsic types, and those that vCenter added (DSP0243 9.5.1, table 6).

use std::fmt;
use std::net::IpAddr;

use crate::error::{Error, Kind, quoted};

/// The type of a property's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyType {
    /// Unsigned, 8 bits.
    Uint8,
    /// Signed, 8 bits.
    Sint8,
    /// Unsigned, 16 bits.
    Uint16,
    /// Signed, 16 bits.
    Sint16,
    /// Unsigned, 32 bits.
    Uint32,
    /// Signed, 32 bits.
    Sint32,
    /// Unsigned, 64 bits.
    Uint64,
    /// Signed, 64 bits.
    Sint64,
    /// Text.
    String,
    /// `True` or `False`, in any case.
    Boolean,
    /// IEEE 754, 32 bits.
    Real32,
    /// IEEE 754, 64 bits.
    Real64,
    /// vCenter's: signed, 64 bits.
    Int,
    /// vCenter's: an IP address, of a network where one is named.
    Ip(Option<String>),
    /// vCenter's: text that must not be shown.
    Password,
    /// vCenter's `string[a,b]`: one of these.
    Choice(Vec<String>),
    /// A type that this crate does not know; no value can be checked against it.
    Other(String),
}

impl PropertyType {
    /// Reads a type's name.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        match text {
            "uint8" => Self::Uint8,
            "sint8" => Self::Sint8,
            "uint16" => Self::Uint16,
            "sint16" => Self::Sint16,
            "uint32" => Self::Uint32,
            "sint32" => Self::Sint32,
            "uint64" => Self::Uint64,
            "sint64" => Self::Sint64,
            "string" => Self::String,
            "boolean" => Self::Boolean,
            "real32" => Self::Real32,
            "real64" => Self::Real64,
            "int" => Self::Int,
            "ip" => Self::Ip(None),
            "password" => Self::Password,
            _ => Self::parse_compound(text),
        }
    }

    fn parse_compound(text: &str) -> Self {
        if let Some(network) = text.strip_prefix("ip:") {
            return Self::Ip(Some(network.to_owned()));
        }
        match text
            .strip_prefix("string[")
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(list) => Self::Choice(
                list.split(',')
                    .map(|it| it.trim().trim_matches('"').to_owned())
                    .collect(),
            ),
            None => Self::Other(text.to_owned()),
        }
    }

    /// Whether values are compared as text, so that `MinLen` and `MaxLen` mean something.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::Password | Self::Choice(_))
    }

    /// Whether `value` is of this type.
    ///
    /// # Errors
    /// [`Kind::PropertyValue`] if not; [`Kind::PropertyType`] for an unknown type. The reason continues the words
    /// "the value" and does not repeat it.
    pub fn check(&self, value: &str) -> Result<(), Error> {
        let fine = match self {
            Self::Uint8 => value.parse::<u8>().is_ok() && is_decimal(value),
            Self::Sint8 => value.parse::<i8>().is_ok(),
            Self::Uint16 => value.parse::<u16>().is_ok() && is_decimal(value),
            Self::Sint16 => value.parse::<i16>().is_ok(),
            Self::Uint32 => value.parse::<u32>().is_ok() && is_decimal(value),
            Self::Sint32 => value.parse::<i32>().is_ok(),
            Self::Uint64 => value.parse::<u64>().is_ok() && is_decimal(value),
            Self::Sint64 | Self::Int => value.parse::<i64>().is_ok(),
            Self::Boolean => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Self::Real32 => is_real(value) && value.parse::<f32>().is_ok_and(f32::is_finite),
            Self::Real64 => is_real(value) && value.parse::<f64>().is_ok_and(f64::is_finite),
            Self::Ip(_) => value.parse::<IpAddr>().is_ok(),
            Self::Choice(choices) => choices.iter().any(|choice| choice == value),
            Self::String | Self::Password => return check_text(value),
            Self::Other(name) => {
                let shown = quoted(name);
                return Err(Error::new(
                    Kind::PropertyType,
                    format!("type {shown} is not known"),
                ));
            }
        };
        if fine {
            Ok(())
        } else {
            Err(Error::new(Kind::PropertyValue, format!("is not of type {self}")))
        }
    }
}

/// XML 1.0 carries no control characters but tab and line ends, so that no environment document could.
fn check_text(value: &str) -> Result<(), Error> {
    let bad = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{7F}'..='\u{9F}'))
            || matches!(c, '\u{FFFE}' | '\u{FFFF}')
    };
    match value.chars().find(|c| bad(*c)) {
        None => Ok(()),
        Some(c) => Err(Error::new(
            Kind::PropertyValue,
            format!(
                "has character U+{:04X}, which no OVF document can carry",
                u32::from(c)
            ),
        )),
    }
}

/// Rust's unsigned parser takes a plus sign; DSP0004's unsigned literals have none.
fn is_decimal(value: &str) -> bool {
    !value.starts_with('+')
}

fn is_real(value: &str) -> bool {
    value
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'))
}

impl fmt::Display for PropertyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Uint8 => "uint8",
            Self::Sint8 => "sint8",
            Self::Uint16 => "uint16",
            Self::Sint16 => "sint16",
            Self::Uint32 => "uint32",
            Self::Sint32 => "sint32",
            Self::Uint64 => "uint64",
            Self::Sint64 => "sint64",
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Real32 => "real32",
            Self::Real64 => "real64",
            Self::Int => "int",
            Self::Ip(None) => "ip",
            Self::Ip(Some(network)) => return write!(f, "ip:{network}"),
            Self::Password => "password",
            Self::Choice(choices) => return write!(f, "string[{}]", choices.join(",")),
            Self::Other(name) => name,
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_held_to_the_range_of_their_type() {
        let ok = |name: &str, value: &str| PropertyType::parse(name).check(value).is_ok();
        for (name, good, bad) in [
            ("uint8", "255", "256"),
            ("uint8", "0", "-1"),
            ("uint16", "65535", "+1"),
            ("sint8", "-128", "-129"),
            ("sint64", "-9223372036854775808", "9223372036854775808"),
            ("uint64", "18446744073709551615", "18446744073709551616"),
            ("boolean", "True", "yes"),
            ("real32", "-1.5e3", "NaN"),
            ("real64", "0.1", "inf"),
            ("real32", "1", "1e99"),
            ("int", "-5", "five"),
            ("ip", "192.0.2.1", "192.0.2.256"),
            ("ip:VM Network", "2001:db8::1", ""),
            ("string[dhcp,static]", "dhcp", "other"),
            ("string", "", "a\u{1}"),
            ("password", "x", "\u{0}"),
        ] {
            assert!(ok(name, good), "{name} takes {good:?}");
            assert!(!ok(name, bad), "{name} refuses {bad:?}");
        }
        assert_eq!(
            PropertyType::parse("nosuchtype").check("1").unwrap_err().kind(),
            Kind::PropertyType
        );
    }

    #[test]
    fn names_read_back() {
        for name in [
            "uint8",
            "sint64",
            "string",
            "boolean",
            "real32",
            "int",
            "ip",
            "ip:VM Network",
            "string[a,b]",
            "x",
        ] {
            assert_eq!(PropertyType::parse(name).to_string(), name);
        }
    }
}
