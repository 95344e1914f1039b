//! What a manager holds.

/// Who a manager is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its product, such as `libvirt`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// What runs the machines, with its version.
    pub hypervisor: String,
}

/// What a manager holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Where disks are kept.
    pub pools: Vec<Pool>,
    /// What adapters are connected to.
    pub networks: Vec<Network>,
    /// The machines.
    pub machines: Vec<Vm>,
}

/// A place for disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The manager's own word for its kind.
    pub kind: String,
    /// Whether it can be used now.
    pub active: bool,
    /// Bytes in all, and free.
    pub capacity: u64,
    /// Bytes that are free.
    pub available: u64,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Whether it can be used now.
    pub active: bool,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Its name.
    pub name: String,
    /// The manager's own id.
    pub id: String,
    /// The manager's own word for its state.
    pub state: String,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Its other hardware.
    pub devices: Vec<Device>,
}

/// A device of a machine, in the manager's own words: those of a kind that nobody here knows are kept, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What it is.
    pub kind: DeviceKind,
    /// The manager's word for its kind.
    pub native: String,
    /// Its model or bus, if it has one.
    pub model: Option<String>,
    /// What it is connected to, by the manager's name or path: a volume, a network.
    pub connected: Option<String>,
    /// Its hardware address, if it has one.
    pub address: Option<String>,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A disk.
    Disk,
    /// A drive for CDs.
    Cd,
    /// A network adapter.
    Adapter,
    /// A controller.
    Controller,
    /// A serial port or console.
    Serial,
    /// Something else.
    Other,
}
