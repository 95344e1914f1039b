//! Disk images become a package without a recipe: one is made from what a person says in passing.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::recipe::{ByteSize, Recipe};

/// What is said of the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Identifier and base name of the package's members.
    pub id: String,
    /// Its name to people.
    pub name: String,
    /// Who publishes it.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory: ByteSize,
    /// `bios` or `efi`.
    pub firmware: &'static str,
    /// A recipe's word for it, such as `ahci`.
    pub controller: &'static str,
    /// The guest's system.
    pub system: GuestSystem,
    /// The adapters: network, and a recipe's word for the model, such as `e1000`.
    pub adapters: Vec<(String, &'static str)>,
    /// Properties: key, and default if it has one.
    pub properties: Vec<(String, Option<String>)>,
    /// The disks, the one to boot from first.
    pub disks: Vec<PathBuf>,
    /// The folder in which images beneath them may lie.
    pub backing: Option<PathBuf>,
}

/// A guest's system in the words of CIM and of VMware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestSystem {
    /// Its name on the command line.
    pub name: &'static str,
    /// CIM_OperatingSystem.OsType.
    pub cim: u16,
    /// VMware's guest identifier.
    pub vmware: &'static str,
    /// In words.
    pub description: &'static str,
}

/// The systems that have a name here (CIM 2.22, CIM_OperatingSystem.OsType).
pub const SYSTEMS: [GuestSystem; 8] = [
    GuestSystem::new("linux", 101, "otherLinux64Guest", "Linux, 64-bit"),
    GuestSystem::new("debian", 96, "debian12_64Guest", "Debian GNU/Linux, 64-bit"),
    GuestSystem::new("ubuntu", 94, "ubuntu64Guest", "Ubuntu, 64-bit"),
    GuestSystem::new("rhel", 80, "rhel8_64Guest", "Red Hat Enterprise Linux, 64-bit"),
    GuestSystem::new("centos", 107, "centos8_64Guest", "CentOS, 64-bit"),
    GuestSystem::new("oracle", 109, "oracleLinux8_64Guest", "Oracle Linux, 64-bit"),
    GuestSystem::new(
        "sles",
        85,
        "sles15_64Guest",
        "SUSE Linux Enterprise Server, 64-bit",
    ),
    GuestSystem::new("other", 102, "otherGuest64", "Another system, 64-bit"),
];

impl GuestSystem {
    const fn new(name: &'static str, cim: u16, vmware: &'static str, description: &'static str) -> Self {
        Self {
            name,
            cim,
            vmware,
            description,
        }
    }

    /// The system of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        SYSTEMS.into_iter().find(|system| system.name == name)
    }
}

impl Machine {
    /// The recipe that says the same.
    ///
    /// # Errors
    /// Something that no recipe may say.
    pub fn recipe(&self) -> Result<Recipe> {
        let text = toml::to_string(&self.to_table()).map_err(|error| Error::Usage(error.to_string()))?;
        let recipe = Recipe::parse(&text, Path::new("the command line"), Path::new(""));
        // Line and column are those of a text that nobody has seen.
        recipe.map_err(|error| match error {
            Error::Recipe { reason, .. } => Error::Usage(reason),
            other => other,
        })
    }

    fn to_table(&self) -> Table {
        let text = |text: &str| Value::String(text.to_owned());
        let path = |path: &Path| Value::String(path.display().to_string());
        let mut recipe = Table::new();
        recipe.insert(
            "product".into(),
            table([
                ("name", text(&self.name)),
                ("vendor", text(&self.vendor)),
                ("version", text(&self.version)),
            ]),
        );
        let guest = table([
            ("id", Value::Integer(self.system.cim.into())),
            ("vmware", text(self.system.vmware)),
            ("description", text(self.system.description)),
        ]);
        recipe.insert(
            "system".into(),
            table([
                ("id", text(&self.id)),
                ("name", text(&self.name)),
                ("cpus", Value::Integer(self.cpus.into())),
                ("memory", text(&format!("{} MiB", self.memory.bytes() >> 20))),
                ("firmware", text(self.firmware)),
                ("controller", text(self.controller)),
                (
                    "hardware",
                    Value::Array(["vmx-13", "vmx-14", "virtualbox-2.2"].map(text).to_vec()),
                ),
                ("guest-os", guest),
            ]),
        );
        let mut networks: Vec<&String> = Vec::new();
        for (network, _) in &self.adapters {
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        let list = |values: Vec<Value>| Value::Array(values);
        recipe.insert(
            "network".into(),
            list(
                networks
                    .iter()
                    .map(|name| table([("name", text(name))]))
                    .collect(),
            ),
        );
        let nics = self.adapters.iter();
        let nics = nics.map(|(name, model)| table([("network", text(name)), ("model", text(model))]));
        recipe.insert("nic".into(), list(nics.collect()));
        let disks = self.disks.iter().enumerate().map(|(index, image)| {
            let id = format!("disk{}", index + 1);
            let backing = self.backing.as_deref().map(|folder| ("backing", path(folder)));
            table(
                [("id", text(&id)), ("image", path(image))]
                    .into_iter()
                    .chain(backing),
            )
        });
        recipe.insert("disk".into(), list(disks.collect()));
        let properties = self.properties.iter().map(|(key, default)| {
            let default = default.as_deref().map(|value| ("default", text(value)));
            table(
                [("key", text(key)), ("type", text("string"))]
                    .into_iter()
                    .chain(default),
            )
        });
        recipe.insert("property".into(), list(properties.collect()));
        recipe
    }
}

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Table(
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}
