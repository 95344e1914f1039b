//! The kinds of resources (CIM_ResourceAllocationSettingData.ResourceType).

/// A kind of resource: `CIM_ResourceAllocationSettingData.ResourceType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ResourceType(pub u16);

impl ResourceType {
    /// A kind that only its subtype tells.
    pub const OTHER: Self = Self(1);
    /// Processors.
    pub const PROCESSOR: Self = Self(3);
    /// Memory.
    pub const MEMORY: Self = Self(4);
    /// An IDE controller.
    pub const IDE_CONTROLLER: Self = Self(5);
    /// A SCSI controller.
    pub const SCSI_CONTROLLER: Self = Self(6);
    /// A network adapter.
    pub const ETHERNET: Self = Self(10);
    /// A floppy drive.
    pub const FLOPPY: Self = Self(14);
    /// A CD drive.
    pub const CD_DRIVE: Self = Self(15);
    /// A DVD drive.
    pub const DVD_DRIVE: Self = Self(16);
    /// A disk.
    pub const DISK: Self = Self(17);
    /// Another storage device: SATA and NVMe controllers in practice.
    pub const OTHER_STORAGE: Self = Self(20);
    /// A serial port.
    pub const SERIAL_PORT: Self = Self(21);
    /// A USB controller.
    pub const USB_CONTROLLER: Self = Self(23);
    /// A graphics adapter.
    pub const GRAPHICS: Self = Self(24);
}
