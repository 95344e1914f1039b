//! DiskSection: the virtual disks (DSP0243 9.1).

use super::attributes::Attributes;
use super::element::{Faults, children, owned, required, size};
use super::units::{BaseUnit, Units};
use crate::error::{Error, Kind, quoted};
use crate::xml::{Element, Origin, Writer};

/// The format URI of a streamOptimized VMDK.
pub const STREAM_OPTIMIZED: &str =
    "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized";

/// A virtual disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disk {
    /// The name by which hardware items refer to it.
    pub id: String,
    /// The file of its content; an empty disk has none.
    pub file_ref: Option<String>,
    /// Its size, in `units`.
    pub capacity: Capacity,
    /// The unit of `capacity`, as DSP0004 writes it; bytes if there is none.
    pub units: Option<String>,
    /// The URI of its format.
    pub format: Option<String>,
    /// How many bytes of it are in use.
    pub populated_size: Option<u64>,
    /// The disk that this one is a difference to.
    pub parent_ref: Option<String>,
    /// Where it was read.
    pub origin: Origin,
}

/// A disk's size: a number, or the property that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capacity {
    /// So many units.
    Number(u64),
    /// `${key}`: the value of a property, in units.
    Property(String),
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity::Number(0)
    }
}

impl Disk {
    /// The disk's size in bytes; none where a property holds it.
    ///
    /// # Errors
    /// [`Kind::DescriptorUnits`] for a unit that is not one of bytes; [`Kind::DescriptorValue`] where the product
    /// does not fit in 64 bits.
    pub fn capacity_in_bytes(&self) -> Result<Option<u64>, Error> {
        self.capacity_under(&|_| None)
    }

    /// The disk's size in bytes under the values of a deployment's properties, by key (DSP0243 9.1).
    ///
    /// # Errors
    /// As [`Disk::capacity_in_bytes`]; [`Kind::DescriptorValue`] for a value that is no number.
    pub fn capacity_under(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<Option<u64>, Error> {
        let number = match &self.capacity {
            Capacity::Number(number) => *number,
            Capacity::Property(key) => match value(key).filter(|text| !text.is_empty()) {
                None => return Ok(None),
                Some(text) => text.trim().parse().map_err(|_| {
                    let reason = format!(
                        "the capacity of disk {} is the property {}, which is no number",
                        quoted(&self.id),
                        quoted(key)
                    );
                    self.origin.place(Error::new(Kind::DescriptorValue, reason))
                })?,
            },
        };
        let units = Units::parse(self.units.as_deref().unwrap_or("byte"))
            .map_err(|error| self.origin.place(error))?;
        let bytes = units
            .convert(number, BaseUnit::Byte)
            .map_err(|error| self.origin.place(error))?;
        Ok(Some(bytes))
    }
}

pub(super) fn read(section: Element<'_>, faults: &mut Faults) -> Vec<Disk> {
    children(section, "Disk")
        .map(|element| read_one(element, faults))
        .collect()
}

pub(super) fn read_one(element: Element<'_>, faults: &mut Faults) -> Disk {
    let reference = |name| owned(element, name).filter(|reference| !reference.is_empty());
    Disk {
        id: required(element, "diskId", faults),
        file_ref: reference("fileRef"),
        capacity: capacity(element, faults),
        units: owned(element, "capacityAllocationUnits"),
        format: owned(element, "format"),
        populated_size: size(element, "populatedSize", faults),
        parent_ref: reference("parentRef"),
        origin: element.position().into(),
    }
}

fn capacity(element: Element<'_>, faults: &mut Faults) -> Capacity {
    let text = required(element, "capacity", faults);
    let text = text.trim();
    if let Some(key) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        return Capacity::Property(key.to_owned());
    }
    let number = text.parse();
    // One that is missing has been noted as such.
    if number.is_err() && owned(element, "capacity").is_some() {
        let reason = format!("capacity {} is neither a number nor a property", quoted(text));
        faults.note(element.error(Kind::DescriptorValue, reason));
    }
    Capacity::Number(number.unwrap_or_default())
}

pub(super) fn write(disks: &[Disk], writer: &mut Writer) {
    writer.element("DiskSection", &[], |writer| {
        writer.text("Info", &[], "Virtual disks");
        for disk in disks {
            let capacity = match &disk.capacity {
                Capacity::Number(number) => number.to_string(),
                Capacity::Property(key) => format!("${{{key}}}"),
            };
            let attributes = Attributes::new()
                .with("ovf:diskId", &disk.id)
                .maybe("ovf:fileRef", disk.file_ref.as_ref())
                .with("ovf:capacity", capacity)
                .maybe("ovf:capacityAllocationUnits", disk.units.as_ref())
                .maybe("ovf:format", disk.format.as_ref())
                .maybe("ovf:populatedSize", disk.populated_size)
                .maybe("ovf:parentRef", disk.parent_ref.as_ref());
            writer.empty("Disk", &attributes.pairs());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_scaled_by_its_units_and_overflow_is_an_error() {
        let disk = |number, units: &str| Disk {
            capacity: Capacity::Number(number),
            units: Some(units.to_owned()),
            ..Disk::default()
        };
        assert_eq!(disk(8, "byte * 2^30").capacity_in_bytes().unwrap(), Some(8 << 30));
        let by_property = Disk {
            capacity: Capacity::Property("size".to_owned()),
            ..disk(0, "byte * 2^20")
        };
        let under = |text: &str| by_property.capacity_under(&|key| (key == "size").then(|| text.to_owned()));
        assert_eq!((under("3").unwrap(), under("").unwrap()), (Some(3 << 20), None));
        assert_eq!(under("big").unwrap_err().kind(), Kind::DescriptorValue);
        assert_eq!(
            Disk {
                capacity: Capacity::Number(7),
                ..Disk::default()
            }
            .capacity_in_bytes()
            .unwrap(),
            Some(7)
        );
        assert_eq!(
            disk(u64::MAX, "byte * 2^10")
                .capacity_in_bytes()
                .unwrap_err()
                .kind(),
            Kind::DescriptorValue
        );
        assert_eq!(
            disk(1, "hertz").capacity_in_bytes().unwrap_err().kind(),
            Kind::DescriptorUnits
        );
    }
}
