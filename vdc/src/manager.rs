//! What a VDC manager can do.

use std::net::IpAddr;

use image::source::{Progress, Source};

use crate::error::Result;
use crate::machine::Machine;

/// A manager of a virtual data centre, connected.
pub trait Manager {
    /// Who it is.
    ///
    /// # Errors
    /// It can't be reached.
    fn about(&self) -> Result<About>;

    /// What it holds.
    ///
    /// # Errors
    /// It can't be reached, or answers what can't be understood.
    fn inventory(&self) -> Result<Inventory>;

    /// What importing would make, in the manager's own words, without making it.
    ///
    /// # Errors
    /// What was asked for that the manager can't give: a pool, a network, a free name, a kind of device.
    fn plan(&self, import: &Import<'_>) -> Result<Plan>;

    /// Makes a machine; its disks are read once, from the first byte to the last.
    ///
    /// # Errors
    /// As [`Manager::plan`], and whatever comes up on the way. Everything made so far is then removed; what could not be is
    /// named.
    fn import(&self, import: &Import<'_>, progress: &mut dyn FnMut(&str, Progress)) -> Result<Vm>;

    /// A machine that is switched off, as a package can hold it.
    ///
    /// # Errors
    /// There is no such machine, it is on, or it has what can't be told in a package.
    fn export(&self, name: &str) -> Result<Exported>;

    /// Switches a machine on, asks its system to switch off, or cuts its power.
    ///
    /// # Errors
    /// There is no such machine, or it doesn't take that now.
    fn power(&self, name: &str, power: Power) -> Result<()>;

    /// The addresses that a machine has in its networks, as far as the manager knows them: none while its system starts.
    ///
    /// # Errors
    /// There is no such machine, or it is off.
    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>>;

    /// Removes a machine with its disks, switched on or not.
    ///
    /// # Errors
    /// There is no such machine; what could not be removed is named.
    fn delete(&self, name: &str) -> Result<()>;
}

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
}

/// What is to be done with a machine's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// On.
    On,
    /// Its system is asked to switch off.
    Shutdown,
    /// Off, at once.
    Off,
}

/// A machine to be made.
pub struct Import<'a> {
    /// What the package asks for.
    pub machine: &'a Machine,
    /// The name that it gets.
    pub name: String,
    /// Where its disks go; the manager's first, if nobody says.
    pub pool: Option<String>,
    /// For each of the package's networks, the manager's.
    pub networks: Vec<(String, String)>,
    /// The disks' bytes, in the machine's order; none of a disk that begins empty.
    pub disks: Vec<Option<&'a dyn Source>>,
    /// A CD with the environment document.
    pub environment: Option<&'a dyn Source>,
    /// Whether it is switched on.
    pub power_on: bool,
    /// Whether whoever asked has had enough: what was made by then is removed.
    pub stopped: &'a dyn Fn() -> bool,
}

/// A machine that is taken out.
pub struct Exported {
    /// What it is made of; its disks hold no files.
    pub machine: Machine,
    /// The disks' bytes, in the machine's order: they are fetched as they are read, best from the first to the last.
    pub disks: Vec<Box<dyn Source>>,
}

/// What importing would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where disks would go.
    pub pool: String,
    /// The disks: name and bytes.
    pub volumes: Vec<(String, u64)>,
    /// The machine, as the manager would be told of it.
    pub definition: String,
}
