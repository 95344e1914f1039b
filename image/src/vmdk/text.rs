//! The descriptor of a disk that is written, and the virtual controller it names.

use std::fmt;

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

/// The descriptor of a new disk in one sparse file.
pub(super) struct Text<'a> {
    pub(super) create_type: &'static str,
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
             createType=\"{}\"\n\
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
            self.create_type,
            self.capacity,
            self.file_name,
            self.adapter.as_str(),
            self.hardware_version,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmdk::descriptor::{Access, Descriptor, Extent, ExtentKind};

    #[test]
    fn what_is_written_is_read() {
        let text = Text {
            create_type: "streamOptimized",
            content_id: 0x1234,
            capacity: 20_480,
            file_name: "a.vmdk",
            adapter: Adapter::Ide,
            hardware_version: 10,
        };
        let descriptor = Descriptor::parse(text.to_string().as_bytes()).unwrap();
        let expected = Descriptor {
            content_id: 0x1234,
            create_type: "streamOptimized".into(),
            adapter: Some("ide".into()),
            extents: vec![Extent {
                access: Access::ReadWrite,
                sectors: 20_480,
                kind: ExtentKind::Sparse {
                    name: "a.vmdk".into(),
                },
            }],
            parent: None,
        };
        assert_eq!(descriptor, expected);
    }

    #[test]
    fn geometry_follows_size_and_controller() {
        assert_eq!(Adapter::LsiLogic.geometry(20_480), (10, 64, 32));
        assert_eq!(Adapter::LsiLogic.geometry(20_971_520), (1305, 255, 63));
        assert_eq!(Adapter::Ide.geometry(u64::MAX / 512), (16_383, 16, 63));
    }
}
