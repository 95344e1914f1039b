//! The descriptor: the text in a VMDK that names its kind, identity and virtual controller.

use std::fmt;

use crate::error::{Error, Kind, Place, Result};

/// The virtual controller that a disk says it was made for. Importers that read an OVF go by that; others go by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adapter {
    /// LSI Logic or any other SCSI controller.
    #[default]
    LsiLogic,
    /// BusLogic SCSI.
    BusLogic,
    /// IDE or SATA.
    Ide,
}

impl Adapter {
    /// As in `ddb.adapterType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LsiLogic => "lsilogic",
            Self::BusLogic => "buslogic",
            Self::Ide => "ide",
        }
    }

    /// Cylinders, heads and sectors that VMware's tools give a disk of so many sectors.
    fn geometry(self, capacity: u64) -> (u64, u64, u64) {
        const GIB: u64 = (1 << 30) / 512;
        let (heads, sectors, most) = match self {
            Self::Ide => (16, 63, 16_383),
            _ if capacity < GIB => (64, 32, 65_535),
            _ if capacity < 2 * GIB => (128, 32, 65_535),
            _ => (255, 63, 65_535),
        };
        ((capacity / (heads * sectors)).min(most), heads, sectors)
    }
}

/// What a stream's descriptor says, as far as it matters to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// `CID`: changes with the content.
    pub content_id: u32,
    /// `createType`, such as `streamOptimized`.
    pub create_type: String,
    /// `ddb.adapterType`, if given.
    pub adapter: Option<String>,
    /// The one extent's size in sectors.
    pub extent_sectors: u64,
    /// The one extent's file name.
    pub extent_name: String,
}

impl Descriptor {
    /// Reads the descriptor's sectors: text, then zeros.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no descriptor, [`Kind::Unsupported`] for a delta disk (one with a parent) or
    /// several extents. The place is a line.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        if bytes[end..].iter().any(|&byte| byte != 0) {
            return Err(Error::malformed(
                Place::Whole,
                "the VMDK descriptor has bytes after its end",
            ));
        }
        let text = std::str::from_utf8(&bytes[..end])
            .map_err(|e| Error::malformed(Place::Whole, "the VMDK descriptor is not UTF-8").because(e))?;
        if text.lines().next().map(str::trim_end) != Some("# Disk DescriptorFile") {
            return Err(Error::malformed(Place::Line(1), "no VMDK descriptor"));
        }
        let mut found = Found::default();
        for (number, line) in (1..).zip(text.lines()) {
            found
                .line(line.trim())
                .map_err(|error| error.at(Place::Line(number)))?;
        }
        found.finish()
    }
}

#[derive(Default)]
struct Found {
    content_id: Option<u32>,
    create_type: Option<String>,
    adapter: Option<String>,
    extent: Option<(u64, String)>,
}

impl Found {
    fn line(&mut self, line: &str) -> Result<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if ["RW ", "RDONLY ", "NOACCESS "]
            .iter()
            .any(|access| line.starts_with(access))
        {
            let extent = extent(line)?;
            return set(&mut self.extent, extent, "a second extent");
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| Error::malformed(Place::Whole, "neither `key=value` nor an extent"))?;
        let value = value.trim().trim_matches('"');
        match key.trim() {
            "CID" => set(&mut self.content_id, hexadecimal(value)?, "a second CID"),
            "createType" => set(&mut self.create_type, value.to_owned(), "a second createType"),
            "ddb.adapterType" => set(&mut self.adapter, value.to_owned(), "a second adapterType"),
            "parentCID" if hexadecimal(value)? != u32::MAX => Err(Error::new(
                Kind::Unsupported,
                Place::Whole,
                "a delta disk, which needs its parent",
            )),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Descriptor> {
        let missing =
            |what: &str| Error::malformed(Place::Whole, format!("the VMDK descriptor has no {what}"));
        let (extent_sectors, extent_name) = self.extent.ok_or_else(|| missing("extent"))?;
        Ok(Descriptor {
            content_id: self.content_id.ok_or_else(|| missing("CID"))?,
            create_type: self.create_type.ok_or_else(|| missing("createType"))?,
            adapter: self.adapter,
            extent_sectors,
            extent_name,
        })
    }
}

/// The text of a new stream's descriptor.
pub(super) struct Text<'a> {
    pub(super) content_id: u32,
    pub(super) capacity: u64,
    pub(super) file_name: &'a str,
    pub(super) adapter: Adapter,
    pub(super) hardware_version: u32,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cylinders, heads, sectors) = self.adapter.geometry(self.capacity);
        write!(
            f,
            "# Disk DescriptorFile\n\
             version=1\n\
             CID={:08x}\n\
             parentCID=ffffffff\n\
             createType=\"streamOptimized\"\n\
             \n\
             # Extent description\n\
             RW {} SPARSE \"{}\"\n\
             \n\
             # The Disk Data Base\n\
             #DDB\n\
             \n\
             ddb.adapterType = \"{}\"\n\
             ddb.geometry.cylinders = \"{cylinders}\"\n\
             ddb.geometry.heads = \"{heads}\"\n\
             ddb.geometry.sectors = \"{sectors}\"\n\
             ddb.toolsVersion = \"2147483647\"\n\
             ddb.virtualHWVersion = \"{}\"\n",
            self.content_id,
            self.capacity,
            self.file_name,
            self.adapter.as_str(),
            self.hardware_version,
        )
    }
}

fn set<T>(place: &mut Option<T>, value: T, second: &str) -> Result<()> {
    if place.replace(value).is_some() {
        return Err(Error::new(Kind::Unsupported, Place::Whole, second));
    }
    Ok(())
}

fn hexadecimal(text: &str) -> Result<u32> {
    u32::from_str_radix(text, 16).map_err(|e| {
        Error::malformed(Place::Whole, "a content id is no 32-bit hexadecimal number").because(e)
    })
}

/// `RW 20480 SPARSE "name.vmdk"`.
fn extent(line: &str) -> Result<(u64, String)> {
    let bad = || Error::malformed(Place::Whole, "an extent is `ACCESS SECTORS TYPE \"NAME\"`");
    let mut words = line.splitn(4, ' ').skip(1);
    let sectors = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
    let _kind = words.next().ok_or_else(bad)?;
    let name = words
        .next()
        .and_then(|rest| rest.strip_prefix('"')?.split_once('"'))
        .ok_or_else(bad)?;
    Ok((sectors, name.0.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(capacity: u64, adapter: Adapter) -> String {
        let text = Text {
            content_id: 0x1234,
            capacity,
            file_name: "a.vmdk",
            adapter,
            hardware_version: 10,
        };
        text.to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let descriptor = Descriptor::parse(text(20_480, Adapter::Ide).as_bytes()).unwrap();
        let expected = Descriptor {
            content_id: 0x1234,
            create_type: "streamOptimized".into(),
            adapter: Some("ide".into()),
            extent_sectors: 20_480,
            extent_name: "a.vmdk".into(),
        };
        assert_eq!(descriptor, expected);
    }

    #[test]
    fn geometry_follows_size_and_controller() {
        assert_eq!(Adapter::LsiLogic.geometry(20_480), (10, 64, 32));
        assert_eq!(Adapter::LsiLogic.geometry(20_971_520), (1305, 255, 63));
        assert_eq!(Adapter::Ide.geometry(u64::MAX / 512), (16_383, 16, 63));
    }

    #[test]
    fn deltas_doubles_and_hidden_bytes_are_refused() {
        let good = text(20_480, Adapter::LsiLogic);
        let delta = good.replace("parentCID=ffffffff", "parentCID=00000001");
        assert_eq!(
            Descriptor::parse(delta.as_bytes()).unwrap_err().kind(),
            Kind::Unsupported
        );
        let doubled = good.clone() + "RW 1 SPARSE \"b.vmdk\"\n";
        assert_eq!(
            Descriptor::parse(doubled.as_bytes()).unwrap_err().place(),
            &Place::Line(19)
        );
        assert!(Descriptor::parse((good.clone() + "\0x").as_bytes()).is_err());
        assert!(Descriptor::parse(good.replace("CID=00001234", "CID=xyz").as_bytes()).is_err());
        assert!(Descriptor::parse(b"KDMV").is_err());
    }
}
