//! libvirt with QEMU, through its command and its documents (`virsh`, domain and volume XML), which are stable where its wire
//! protocol is not.
//!
//! | fault | answer |
//! |---|---|
//! | a target that stalls | every command has an end; it is killed then |
//! | a target that dies in the middle of a disk | the import fails, and what was made is removed, or named if that fails, too |
//! | answers without end, hostile XML | read up to a ceiling, by the strict reader of `ovf` |
//! | names that begin with a hyphen or hold control characters | refused before any command sees them; options are given as `--name=value` |
//! | a package's text in a domain's definition | every value is escaped by the writer |
//! | a saved machine's definition, from a package | its hardware is copied; whatever names something of the host is written anew or refused |
//! | a volume that sends more than was asked | files grow no longer than was asked |

mod console;
mod definition;
mod download;
mod events;
mod export;
mod import;
mod inventory;
mod memory;
mod resumed;
mod saved_image;
mod suspended;
mod upload;
mod usage;
mod virsh;

use std::net::IpAddr;

use image::source::Progress;

use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::inventory::{About, Inventory, Vm};
use crate::machine::Machine;
use crate::manager::{After, Console, Exported, Import, Manager, Plan, Power};
use crate::usage::Usage;
use virsh::Virsh;

/// A connection to libvirt's QEMU driver. Nothing is kept open: each question is a command of its own.
#[derive(Debug)]
pub struct Libvirt {
    virsh: Virsh,
    accelerated: bool,
}

impl Libvirt {
    /// Whether a text names a target of this kind.
    pub fn is_meant_by(target: &str) -> bool {
        target.starts_with("qemu:") || target.starts_with("qemu+")
    }

    /// Finds out whether the target answers. `target` is a URI of libvirt's QEMU driver: `qemu:///system`,
    /// `qemu+unix:///system?socket=PATH`, `qemu+ssh://host/system`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what is no such URI, [`Kind::Unreachable`].
    pub fn connect(target: &str) -> Result<Self> {
        let printable = target.chars().all(|c| c.is_ascii_graphic());
        if !Self::is_meant_by(target) || !printable {
            let reason = "no URI of libvirt's QEMU driver, such as qemu:///system";
            return Err(Error::new(
                Kind::Invalid,
                target.escape_debug().to_string(),
                reason,
            ));
        }
        let virsh = Virsh::new(target);
        virsh.run(&["uri"])?;
        Ok(Self {
            virsh,
            accelerated: false,
        })
    }

    /// Machines are run by KVM where the host offers it. Whoever asks for it knows that it works there.
    #[must_use]
    pub fn accelerated(self, accelerated: bool) -> Self {
        Self { accelerated, ..self }
    }
}

impl Manager for Libvirt {
    fn about(&self) -> Result<About> {
        let text = self.virsh.run(&["version"])?;
        let told = |label: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(label));
            line.map_or_else(String::new, |line| line.trim().to_owned())
        };
        let library = told("Using library:");
        Ok(About {
            product: "libvirt".to_owned(),
            version: library.strip_prefix("libvirt ").unwrap_or(&library).to_owned(),
            hypervisor: told("Running hypervisor:"),
        })
    }

    fn inventory(&self) -> Result<Inventory> {
        inventory::read(&self.virsh)
    }

    fn plan(&self, import: &Import<'_>) -> Result<Plan> {
        import::plan(&self.virsh, import, self.accelerated)
    }

    fn import(&self, import: &Import<'_>, progress: &mut dyn FnMut(&str, Progress)) -> Result<Vm> {
        import::run(&self.virsh, import, self.accelerated, progress)
    }

    fn export(&self, name: &str) -> Result<Exported> {
        export::run(&self.virsh, name)
    }

    fn machine(&self, name: &str) -> Result<Machine> {
        suspended::machine(&self.virsh, name)
    }

    fn export_running(&self, name: &str) -> Result<Exported> {
        suspended::export(&self.virsh, name)
    }

    fn release(&self, name: &str, after: After) -> Result<()> {
        suspended::release(&self.virsh, name, after)
    }

    fn power(&self, name: &str, power: Power) -> Result<()> {
        let verb = match power {
            Power::On => "start",
            Power::Shutdown => "shutdown",
            Power::Off => "destroy",
        };
        self.virsh.run(&[verb, &virsh::option("domain", name)?]).map(drop)
    }

    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>> {
        inventory::addresses(&self.virsh, name)
    }

    fn console(&self, name: &str) -> Result<Box<dyn Console>> {
        Ok(Box::new(console::Terminal::open(&self.virsh, name)?))
    }

    fn usage(&self) -> Result<Vec<Usage>> {
        usage::read(&self.virsh)
    }

    fn events(&self) -> Result<Box<dyn Events>> {
        Ok(Box::new(events::Listening::start(&self.virsh)?))
    }

    fn delete(&self, name: &str) -> Result<()> {
        import::delete(&self.virsh, name)
    }
}
