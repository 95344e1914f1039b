//! What a VDC manager can do.

use std::io::{Read, Write};
use std::net::IpAddr;

use image::source::{Progress, Source};

use crate::error::Result;
use crate::event::Events;
use crate::inventory::{About, Inventory, Vm};
use crate::machine::Machine;
use crate::usage::Usage;

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

    /// What [`Manager::export_running`] would give of a machine: nothing is stopped.
    ///
    /// # Errors
    /// As [`Manager::export_running`].
    fn machine(&self, name: &str) -> Result<Machine>;

    /// A machine that runs, as a package can hold it: it is stopped, and its memory and devices are taken along as well. Until
    /// [`Manager::release`] is called it stays stopped.
    ///
    /// # Errors
    /// As [`Manager::export`]; it doesn't run, or it has what its state can't be told without. It then goes on as it did.
    fn export_running(&self, name: &str) -> Result<Exported>;

    /// What becomes of a machine that was stopped by [`Manager::export_running`].
    ///
    /// # Errors
    /// It can't go on; where its state is kept is named.
    fn release(&self, name: &str, after: After) -> Result<()>;

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

    /// A machine's serial console. What it has written before isn't told.
    ///
    /// # Errors
    /// There is no such machine, it is off, or has none.
    fn console(&self, name: &str) -> Result<Box<dyn Console>>;

    /// What every machine that runs has used by now.
    ///
    /// # Errors
    /// It can't be reached, or answers what can't be understood.
    fn usage(&self) -> Result<Vec<Usage>>;

    /// What happens to machines from now on.
    ///
    /// # Errors
    /// It can't be reached.
    fn events(&self) -> Result<Box<dyn Events>>;

    /// Removes a machine with its disks, switched on or not.
    ///
    /// # Errors
    /// There is no such machine; what could not be removed is named.
    fn delete(&self, name: &str) -> Result<()>;
}

/// A serial console. A read waits until the machine has written something; both fail once it is off.
pub trait Console: Read + Write + Send {
    /// The same, for another thread: one reads while the other writes.
    ///
    /// # Errors
    /// The system has no room for another.
    fn try_clone(&self) -> Result<Box<dyn Console>>;
}

/// What becomes of a machine that was stopped for its export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It goes on where it was stopped.
    GoesOn,
    /// It is off, and goes on where it was stopped when it is switched on.
    StaysSaved,
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
    /// What it was doing when it was packed: it goes on there when it is switched on.
    pub state: Option<State<'a>>,
    /// Whether it is switched on.
    pub power_on: bool,
    /// Whether whoever asked has had enough: what was made by then is removed.
    pub stopped: &'a dyn Fn() -> bool,
}

/// A running machine's memory and devices.
pub struct State<'a> {
    /// Who saved them, and can go on with them.
    pub platform: &'a str,
    /// The machine as that platform told it. A stranger's: nothing in it is done as it says.
    pub definition: &'a str,
    /// The bytes.
    pub source: &'a dyn Source,
}

/// As [`State`], taken out.
pub struct ExportedState {
    /// Who saved them.
    pub platform: &'static str,
    /// The machine as that platform told it.
    pub definition: String,
    /// The bytes: they are fetched as they are read.
    pub source: Box<dyn Source>,
}

/// A machine that is taken out.
pub struct Exported {
    /// What it is made of; its disks hold no files.
    pub machine: Machine,
    /// The disks' bytes, in the machine's order: they are fetched as they are read, best from the first to the last.
    pub disks: Vec<Box<dyn Source>>,
    /// Memory and devices, if it ran.
    pub state: Option<ExportedState>,
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
