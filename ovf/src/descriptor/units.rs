//! Programmatic units (DSP0004 annex C): `byte * 2^20`, `hertz * 10^6`, and the older names in the field.

use crate::error::{Error, Kind, quoted};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BaseUnit {
    /// Bytes.
    Byte,
    /// Hertz.
    Hertz,
    /// Anything else: percent, counts, seconds.
    Other,
}

/// A unit as a multiple of its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// What is counted.
    pub base: BaseUnit,
    /// The factor's numerator.
    pub numerator: u128,
    /// The factor's denominator, never 0.
    pub denominator: u128,
}

impl Units {
    /// Reads a unit: elements joined by `*` or `/`, each a number, a power, or a base unit with an optional prefix
    /// such as `kibi` or `mega`; also `MegaBytes`, `MB` and the like, as OVF 0.9 and 1.0 wrote them.
    ///
    /// # Errors
    /// [`Kind::DescriptorUnits`] for anything else, or a factor above 128 bits.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        let wrong = || {
            let shown = quoted(trimmed);
            Error::new(
                Kind::DescriptorUnits,
                format!("{shown} is not a unit that DSP0004 knows"),
            )
        };
        if let Some(factor) = legacy(trimmed) {
            return Ok(Units {
                base: BaseUnit::Byte,
                numerator: factor,
                denominator: 1,
            });
        }
        let mut units = Units {
            base: BaseUnit::Other,
            numerator: 1,
            denominator: 1,
        };
        let mut divide = false;
        let mut rest = trimmed;
        loop {
            let end = rest.find(['*', '/']).unwrap_or(rest.len());
            units.apply(rest[..end].trim(), divide).ok_or_else(wrong)?;
            let Some(operator) = rest.as_bytes().get(end) else {
                break;
            };
            divide = *operator == b'/';
            rest = &rest[end + 1..];
        }
        Ok(units)
    }

    /// `number` of these units in the base unit, which must be `base`.
    ///
    /// # Errors
    /// [`Kind::DescriptorUnits`] for another base unit; [`Kind::DescriptorValue`] where the result is no whole
    /// number of 64 bits.
    pub fn convert(&self, number: u64, base: BaseUnit) -> Result<u64, Error> {
        if self.base != base {
            return Err(Error::new(
                Kind::DescriptorUnits,
                format!("the unit does not count {base:?}s"),
            ));
        }
        let scaled = u128::from(number).checked_mul(self.numerator);
        scaled
            .filter(|scaled| scaled % self.denominator == 0)
            .and_then(|scaled| u64::try_from(scaled / self.denominator).ok())
            .ok_or_else(|| {
                Error::new(
                    Kind::DescriptorValue,
                    format!("{number} of these units do not fit in 64 bits"),
                )
            })
    }

    fn apply(&mut self, element: &str, divide: bool) -> Option<()> {
        let (factor, invert) = if let Some((base, exponent)) = element.split_once('^') {
            let base: u128 = base.trim().parse().ok()?;
            let exponent: i32 = exponent.trim().parse().ok()?;
            (base.checked_pow(exponent.unsigned_abs())?, exponent < 0)
        } else if element.starts_with(|c: char| c.is_ascii_digit()) {
            (element.parse().ok()?, false)
        } else {
            let (base, factor) = named(element)?;
            // One base unit, not per something: the only shape that capacities and clocks have.
            if self.base != BaseUnit::Other || divide {
                return None;
            }
            self.base = base;
            (factor, false)
        };
        if factor == 0 {
            return None;
        }
        let side = if divide == invert {
            &mut self.numerator
        } else {
            &mut self.denominator
        };
        *side = side.checked_mul(factor)?;
        Some(())
    }
}

/// A base unit with its prefix.
fn named(text: &str) -> Option<(BaseUnit, u128)> {
    let lower = text.to_ascii_lowercase();
    let (base, prefix) =
        if let Some(prefix) = lower.strip_suffix("bytes").or_else(|| lower.strip_suffix("byte")) {
            (BaseUnit::Byte, prefix)
        } else if let Some(prefix) = lower.strip_suffix("hertz") {
            (BaseUnit::Hertz, prefix)
        } else if matches!(lower.as_str(), "percent" | "count" | "second" | "bit" | "bits") {
            return Some((BaseUnit::Other, 1));
        } else {
            return None;
        };
    let factor = match prefix {
        "" => 1,
        "kilo" => 1_000,
        "mega" => 1_000_000,
        "giga" => 1_000_000_000,
        "tera" => 1_000_000_000_000,
        "kibi" => 1 << 10,
        "mebi" => 1 << 20,
        "gibi" => 1 << 30,
        "tebi" => 1 << 40,
        _ => return None,
    };
    Some((base, factor))
}

/// The names of OVF 0.9 and of hand-written descriptors: powers of two, whatever SI says.
fn legacy(text: &str) -> Option<u128> {
    match text.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kilobytes" | "kb" => Some(1 << 10),
        "megabytes" | "mb" => Some(1 << 20),
        "gigabytes" | "gb" => Some(1 << 30),
        "terabytes" | "tb" => Some(1 << 40),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(number: u64, units: &str) -> u64 {
        Units::parse(units)
            .unwrap()
            .convert(number, BaseUnit::Byte)
            .unwrap()
    }

    #[test]
    fn powers_products_prefixes_and_old_names_scale() {
        assert_eq!(bytes(3, "byte * 2^20"), 3 << 20);
        assert_eq!(bytes(3, "byte*1024*1024"), 3 << 20);
        assert_eq!(bytes(3, "gibibyte"), 3 << 30);
        assert_eq!(bytes(3, "MegaBytes"), 3 << 20);
        assert_eq!(bytes(4096, "byte / 2"), 2048);
        assert_eq!(
            Units::parse("hertz * 10^6")
                .unwrap()
                .convert(2, BaseUnit::Hertz)
                .unwrap(),
            2_000_000
        );
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for text in [
            "furlong",
            "byte *",
            "byte^2",
            "2^200",
            "byte * byte",
            "byte / 0",
            "1 / byte",
        ] {
            assert_eq!(
                Units::parse(text).unwrap_err().kind(),
                Kind::DescriptorUnits,
                "{text}"
            );
        }
        assert!(
            Units::parse("byte / 2")
                .unwrap()
                .convert(3, BaseUnit::Byte)
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_units_panic(text in "[-a-z0-9^*/ ]{0,24}", number in any::<u64>()) {
            if let Ok(units) = Units::parse(&text) {
                let _ = units.convert(number, BaseUnit::Byte);
            }
        }
    }
}
