//! A package's machine in words that no manager owns: what its descriptor asks for, and what of it is known.

use ovf::descriptor::{Descriptor, HostResource, Item, ResourceType, VirtualSystem};

use crate::error::{Error, Kind, Result};

/// What a package's virtual system asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name to people.
    pub name: String,
    /// Virtual CPUs, 1 to 512.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Its firmware.
    pub firmware: Firmware,
    /// Its disks, the one to boot from first.
    pub disks: Vec<Disk>,
    /// Its network adapters.
    pub adapters: Vec<Adapter>,
    /// Hardware that no manager here knows and that the package can do without, by its name.
    pub left_out: Vec<String>,
}

/// What starts a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// PC BIOS.
    Bios,
    /// UEFI.
    Efi,
}

/// What a disk hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// IDE.
    Ide,
    /// AHCI.
    Sata,
    /// LSI Logic parallel SCSI.
    LsiLogic,
    /// LSI Logic SAS.
    LsiSas,
    /// VMware's paravirtual SCSI.
    Pvscsi,
    /// Virtio SCSI.
    VirtioScsi,
    /// Virtio block devices.
    VirtioBlk,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The descriptor's id.
    pub id: String,
    /// What it hangs on.
    pub bus: Bus,
    /// Its place there, from 0.
    pub unit: u32,
    /// Its size in bytes.
    pub capacity: u64,
    /// The file that holds it; one without begins empty.
    pub file: Option<String>,
}

/// An adapter's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Intel 82545EM.
    E1000,
    /// Intel 82574L.
    E1000e,
    /// AMD PCnet.
    Pcnet,
    /// VMware's paravirtual.
    Vmxnet3,
    /// Virtio.
    Virtio,
}

/// A network adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its model.
    pub model: Model,
    /// The package's name of the network that it is in.
    pub network: String,
}

/// The largest machine that is asked for.
const MOST_CPUS: u64 = 512;
const MOST_MEMORY: u64 = 24 << 40;
const MOST_DEVICES: usize = 64;

impl Machine {
    /// What the package's one virtual system asks for under a deployment option, or the default one. A disk's capacity may be
    /// the `value` of a property, by key.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a package of several systems, and for required hardware that no manager here knows;
    /// [`Kind::Invalid`] for sizes that nobody can mean.
    pub fn of(
        descriptor: &Descriptor,
        option: Option<&str>,
        value: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let systems = descriptor.systems();
        let [system] = systems[..] else {
            let reason = format!(
                "the package has {} virtual systems; one can be imported",
                systems.len()
            );
            return Err(Error::new(Kind::Unsupported, "", reason));
        };
        let option = option.or_else(|| descriptor.default_option());
        let items = system.items_under(option);
        let mut machine = Self {
            name: system.name.as_deref().unwrap_or(&system.id).to_owned(),
            cpus: cpus(&items)?,
            memory: memory(&items)?,
            firmware: firmware(system),
            disks: Vec::new(),
            adapters: Vec::new(),
            left_out: Vec::new(),
        };
        for item in &items {
            match item.resource_type {
                Some(ResourceType::DISK) => machine.disks.push(disk(descriptor, &items, item, value)?),
                _ => machine.add(item)?,
            }
        }
        machine.check_buses()?;
        if machine.disks.len() > MOST_DEVICES || machine.adapters.len() > MOST_DEVICES {
            return Err(Error::new(
                Kind::Invalid,
                "",
                "the package has more devices than any machine",
            ));
        }
        Ok(machine)
    }

    /// What no manager here can put together.
    fn check_buses(&self) -> Result<()> {
        let unsupported = |reason: &str| Err(Error::new(Kind::Unsupported, "", reason));
        let scsi = |bus: &Bus| matches!(bus, Bus::LsiLogic | Bus::LsiSas | Bus::Pvscsi | Bus::VirtioScsi);
        let mut models = self.disks.iter().map(|disk| disk.bus).filter(scsi);
        if let Some(first) = models.next()
            && models.any(|other| other != first)
        {
            return unsupported("the package has SCSI controllers of several models");
        }
        let ide = self.disks.iter().filter(|disk| disk.bus == Bus::Ide).count();
        if ide > 3 || (ide > 0 && self.firmware == Firmware::Efi) {
            return unsupported("IDE holds three disks beside the CD, and is not for UEFI");
        }
        Ok(())
    }

    fn add(&mut self, item: &Item) -> Result<()> {
        match item.resource_type {
            Some(ResourceType::ETHERNET) => self.adapters.push(adapter(item)?),
            // What is beneath the others, what every machine has, and drives for what a deployment brings.
            Some(
                ResourceType::PROCESSOR
                | ResourceType::MEMORY
                | ResourceType::IDE_CONTROLLER
                | ResourceType::SCSI_CONTROLLER
                | ResourceType::OTHER_STORAGE
                | ResourceType::CD_DRIVE
                | ResourceType::DVD_DRIVE
                | ResourceType::GRAPHICS
                | ResourceType::USB_CONTROLLER
                | ResourceType::SERIAL_PORT,
            ) => {}
            _ if item.required => {
                let reason = format!(
                    "the package cannot do without '{}', which is not known here",
                    item.element_name
                );
                return Err(Error::new(Kind::Unsupported, "", reason));
            }
            _ => self.left_out.push(item.element_name.clone()),
        }
        Ok(())
    }

    /// The networks of the package that its adapters are in, each once, in their order.
    pub fn networks(&self) -> Vec<&str> {
        let mut networks: Vec<&str> = Vec::new();
        for adapter in &self.adapters {
            if !networks.contains(&adapter.network.as_str()) {
                networks.push(&adapter.network);
            }
        }
        networks
    }
}

fn quantity(items: &[&Item], kind: ResourceType) -> Option<u64> {
    let found = items.iter().find(|item| item.resource_type == Some(kind));
    found.and_then(|item| item.virtual_quantity)
}

fn cpus(items: &[&Item]) -> Result<u32> {
    let count = quantity(items, ResourceType::PROCESSOR).unwrap_or(1);
    u32::try_from(count)
        .ok()
        .filter(|_| (1..=MOST_CPUS).contains(&count))
        .ok_or_else(|| Error::new(Kind::Invalid, "", format!("the package asks for {count} CPUs")))
}

fn memory(items: &[&Item]) -> Result<u64> {
    let item = items
        .iter()
        .find(|item| item.resource_type == Some(ResourceType::MEMORY));
    let bytes = match item.map(|item| item.quantity_in_bytes()).transpose() {
        Ok(bytes) => bytes.flatten().unwrap_or(512 << 20),
        Err(error) => return Err(Error::new(Kind::Invalid, "", "the package's memory").because(error)),
    };
    if !(1 << 20..=MOST_MEMORY).contains(&bytes) {
        let reason = format!("the package asks for {bytes} bytes of memory");
        return Err(Error::new(Kind::Invalid, "", reason));
    }
    Ok(bytes)
}

fn firmware(system: &VirtualSystem) -> Firmware {
    let mut config = system.hardware.iter().flat_map(|hardware| &hardware.config);
    match config.any(|config| config.key == "firmware" && config.value == "efi") {
        true => Firmware::Efi,
        false => Firmware::Bios,
    }
}

fn disk(
    descriptor: &Descriptor,
    items: &[&Item],
    item: &Item,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Disk> {
    let invalid = |reason: String| Error::new(Kind::Invalid, item.element_name.clone(), reason);
    let Some(HostResource::Disk(id)) = item.host_resource() else {
        return Err(invalid("a disk that names none of the package's".to_owned()));
    };
    let disk = descriptor
        .disk(&id)
        .ok_or_else(|| invalid(format!("the package has no disk '{id}'")))?;
    let capacity = disk
        .capacity_under(value)
        .map_err(|error| invalid("the disk's capacity".to_owned()).because(error))?
        .ok_or_else(|| invalid("the disk's capacity is a property that is not set".to_owned()))?;
    if disk.parent_ref.is_some() {
        let reason = format!("disk '{id}' lies over another one, which can't be imported");
        return Err(Error::new(Kind::Unsupported, item.element_name.clone(), reason));
    }
    let file = match disk.file_ref.as_deref() {
        Some(reference) => Some(
            descriptor
                .file(reference)
                .ok_or_else(|| invalid(format!("disk '{id}' is in a file that the package has not")))?,
        ),
        None => None,
    };
    let controller = item
        .parent
        .as_deref()
        .and_then(|parent| items.iter().find(|other| other.instance_id == parent));
    let place = item.address_on_parent.as_deref().unwrap_or("0");
    Ok(Disk {
        bus: match controller {
            Some(controller) => bus(controller)?,
            None => Bus::Sata,
        },
        unit: place
            .parse()
            .ok()
            .filter(|unit| *unit < 256)
            .ok_or_else(|| invalid(format!("'{place}' is no place on a controller")))?,
        capacity,
        file: file.map(|file| file.href.clone()),
        id,
    })
}

/// The first of the models that a device lists, in order of preference, that is known.
fn preferred<T>(item: &Item, known: impl Fn(&str) -> Option<T>) -> Option<T> {
    let models = item.resource_sub_type.as_deref().unwrap_or("").split_whitespace();
    models
        .filter_map(|model| known(&model.to_ascii_lowercase()))
        .next()
}

fn bus(controller: &Item) -> Result<Bus> {
    let known = preferred(controller, |model| {
        Some(match model {
            "ahci" | "vmware.sata.ahci" => Bus::Sata,
            "lsilogic" => Bus::LsiLogic,
            "lsilogicsas" => Bus::LsiSas,
            "virtualscsi" | "pvscsi" => Bus::Pvscsi,
            "virtio" | "virtio-scsi" | "virtioscsi" => Bus::VirtioScsi,
            "virtio-blk" => Bus::VirtioBlk,
            _ => return None,
        })
    });
    let named = controller.resource_sub_type.is_some();
    match (known, controller.resource_type) {
        (Some(bus), _) => Ok(bus),
        (None, Some(ResourceType::IDE_CONTROLLER)) => Ok(Bus::Ide),
        // DSP0243 names no models: without one, LSI Logic is what importers take.
        (None, Some(ResourceType::SCSI_CONTROLLER)) if !named => Ok(Bus::LsiLogic),
        (None, Some(ResourceType::OTHER_STORAGE)) if !named => Ok(Bus::Sata),
        _ => {
            let model = controller.resource_sub_type.as_deref().unwrap_or("none");
            let reason = format!("a controller of the model '{model}' is not known here");
            Err(Error::new(
                Kind::Unsupported,
                controller.element_name.clone(),
                reason,
            ))
        }
    }
}

fn adapter(item: &Item) -> Result<Adapter> {
    let known = preferred(item, |model| {
        Some(match model {
            "e1000" => Model::E1000,
            "e1000e" => Model::E1000e,
            "pcnet32" => Model::Pcnet,
            "vmxnet3" => Model::Vmxnet3,
            "virtio" | "virtio-net" => Model::Virtio,
            _ => return None,
        })
    });
    let model = match (known, item.resource_sub_type.as_deref()) {
        (Some(model), _) => model,
        (None, None) => Model::E1000,
        (None, Some(model)) => {
            let reason = format!("an adapter of the model '{model}' is not known here");
            return Err(Error::new(Kind::Unsupported, item.element_name.clone(), reason));
        }
    };
    let network = item.connections.first().cloned().unwrap_or_default();
    Ok(Adapter { model, network })
}
