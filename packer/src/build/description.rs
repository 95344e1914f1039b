//! The recipe as an OVF descriptor.

use ovf::descriptor::{
    Annotation, Capacity, Config, Content, Descriptor, Disk, Eula, File, Hardware, Item, Network,
    OperatingSystem, ProductSection, ResourceType, STREAM_OPTIMIZED, SavedState, SystemSettings,
    VirtualSystem,
};

use super::PlannedState;
use crate::error::{Error, Result};
use crate::input::read_bounded;
use crate::recipe::{Controller, Firmware, NicModel, Recipe, Transport};

/// What the descriptor tells of one packed disk.
#[derive(Debug, Clone)]
pub(super) struct PackedDisk {
    /// The recipe's id.
    pub id: String,
    /// Member name.
    pub member: String,
    /// Virtual size in bytes.
    pub capacity: u64,
    /// Bytes in use.
    pub populated: u64,
    /// Length of the member in bytes.
    pub size: u64,
}

const MAX_EULA_BYTES: u64 = 1 << 20;

/// The licences' texts, read before anything is written.
pub(super) fn eula_texts(recipe: &Recipe) -> Result<Vec<String>> {
    let text = |eula: &toml::Spanned<crate::recipe::Eula>| match (&eula.get_ref().text, &eula.get_ref().file)
    {
        (Some(text), _) => Ok(text.clone()),
        (None, Some(file)) => {
            let path = recipe.resolve(file.get_ref());
            String::from_utf8(read_bounded(&path, MAX_EULA_BYTES)?)
                .map_err(|_| Error::Usage(format!("{}: not UTF-8", path.display())))
        }
        (None, None) => Ok(String::new()),
    };
    recipe.eula.iter().map(text).collect()
}

/// The descriptor; the sizes of `disks` are all that isn't known before the disks are packed.
pub(super) fn describe(recipe: &Recipe, eulas: &[String], disks: &[PackedDisk]) -> Result<Descriptor> {
    let system = &recipe.system;
    let id = system.id.get_ref();
    let virtual_system = VirtualSystem {
        id: id.clone(),
        info: "A virtual machine".into(),
        name: Some(system.name.clone().unwrap_or_else(|| id.clone()).into()),
        annotation: recipe.annotation.as_ref().map(|text| Annotation {
            info: "About this machine".into(),
            text: text.clone().into(),
            ..Annotation::default()
        }),
        products: vec![product(recipe)?],
        eulas: eulas
            .iter()
            .map(|text| Eula {
                info: "Licence".into(),
                license: text.clone().into(),
                ..Eula::default()
            })
            .collect(),
        operating_system: Some(OperatingSystem {
            id: system.guest_os.id,
            version: system.guest_os.version.clone(),
            vmw_os_type: system.guest_os.vmware.clone(),
            info: "The guest operating system".into(),
            description: system.guest_os.description.clone().map(Into::into),
            ..OperatingSystem::default()
        }),
        hardware: vec![hardware(recipe, disks)],
        ..VirtualSystem::default()
    };
    let mut descriptor = Descriptor::new(virtual_system);
    descriptor.files = disks.iter().map(file).collect();
    descriptor.disks = disks.iter().map(disk).collect();
    descriptor.networks = recipe
        .network
        .iter()
        .map(|network| Network {
            name: network.name.get_ref().clone(),
            description: Some(network.description.clone().into()),
            ..Network::default()
        })
        .collect();
    Ok(descriptor)
}

/// Tells of a state beside the disks.
pub(super) fn describe_state(descriptor: &mut Descriptor, state: &PlannedState, image: &PackedDisk) {
    let image_file = file(image);
    if let Content::System(system) = &mut descriptor.content {
        system.saved_state = Some(SavedState {
            info: "What the machine was doing: to be resumed, not to be started".into(),
            file_ref: image_file.id.clone(),
            length: state.image.source.size(),
            platform: state.platform.clone(),
            definition: state.definition.clone(),
            ..SavedState::default()
        });
    }
    descriptor.files.push(image_file);
}

fn file(disk: &PackedDisk) -> File {
    File {
        id: format!("file-{}", disk.id),
        href: disk.member.clone(),
        size: Some(disk.size),
        ..File::default()
    }
}

fn disk(disk: &PackedDisk) -> Disk {
    Disk {
        id: disk.id.clone(),
        file_ref: Some(format!("file-{}", disk.id)),
        capacity: Capacity::Number(disk.capacity),
        units: Some("byte".into()),
        format: Some(STREAM_OPTIMIZED.into()),
        populated_size: Some(disk.populated),
        ..Disk::default()
    }
}

fn product(recipe: &Recipe) -> Result<ProductSection> {
    let product = &recipe.product;
    // The category is a heading for all properties after it: those of one category are put together, in order.
    let mut categories: Vec<Option<&str>> = vec![None];
    for property in &recipe.property {
        if !categories.contains(&property.category.as_deref()) {
            categories.push(property.category.as_deref());
        }
    }
    let in_order = categories.iter().flat_map(|category| {
        recipe
            .property
            .iter()
            .filter(|p| p.category.as_deref() == *category)
    });
    Ok(ProductSection {
        info: "The product".into(),
        product: Some(product.name.clone().into()),
        vendor: Some(product.vendor.clone().into()),
        version: Some(product.version.clone()),
        full_version: product.full_version.clone(),
        product_url: product.url.clone(),
        vendor_url: product.vendor_url.clone(),
        properties: in_order
            .map(|p| p.to_descriptor().map_err(Error::from))
            .collect::<Result<_>>()?,
        ..ProductSection::default()
    })
}

/// Instance numbers of the fixed devices; disks and adapters follow.
const PROCESSORS: u32 = 1;
const MEMORY: u32 = 2;
const DISK_CONTROLLER: u32 = 3;
const CD_CONTROLLER: u32 = 4;
const CD: u32 = 5;
const FIRST_DISK: u32 = 10;
const FIRST_NIC: u32 = 100;

fn hardware(recipe: &Recipe, disks: &[PackedDisk]) -> Hardware {
    let system = &recipe.system;
    let mut items = vec![
        Item::processors(PROCESSORS, u64::from(*system.cpus.get_ref())),
        Item::memory(MEMORY, system.memory.get_ref().bytes() >> 20),
        disk_controller(system.controller),
        cd_controller(system.controller),
        Item::cd_drive(CD, "CD drive 1", CD_CONTROLLER, 0),
    ];
    for (slot, disk) in (0u32..).zip(disks) {
        // Slot 7 of a SCSI bus is the controller itself.
        let scsi = matches!(
            system.controller,
            Controller::Lsilogic | Controller::LsilogicSas | Controller::Pvscsi | Controller::VirtioScsi
        );
        let place = if scsi && slot >= 7 { slot + 1 } else { slot };
        items.push(Item::disk(
            FIRST_DISK + slot,
            format!("Disk {}", slot + 1),
            DISK_CONTROLLER,
            place,
            &disk.id,
        ));
    }
    for (slot, nic) in (0u32..).zip(&recipe.nic) {
        let mut item = Item::ethernet(
            FIRST_NIC + slot,
            format!("Network adapter {}", slot + 1),
            nic_model(nic.model),
            nic.network.get_ref(),
        );
        item.address_on_parent = Some((7 + slot).to_string());
        items.push(item);
    }
    let firmware = (system.firmware == Firmware::Efi).then(|| Config::optional("firmware", "efi"));
    Hardware {
        info: "Virtual hardware".into(),
        transport: system
            .transport
            .iter()
            .map(|transport| transport_name(*transport).to_owned())
            .collect(),
        system: Some(SystemSettings {
            element_name: "Virtual hardware family".into(),
            instance_id: "0".into(),
            identifier: Some(system.id.get_ref().clone()),
            system_types: system.hardware.get_ref().clone(),
        }),
        items,
        config: firmware.into_iter().collect(),
        ..Hardware::default()
    }
}

fn disk_controller(controller: Controller) -> Item {
    let (name, kind, model) = match controller {
        Controller::Ahci => (
            "SATA controller 0",
            ResourceType::OTHER_STORAGE,
            Some("vmware.sata.ahci"),
        ),
        Controller::Lsilogic => (
            "SCSI controller 0",
            ResourceType::SCSI_CONTROLLER,
            Some("lsilogic"),
        ),
        Controller::LsilogicSas => (
            "SCSI controller 0",
            ResourceType::SCSI_CONTROLLER,
            Some("lsilogicsas"),
        ),
        Controller::Pvscsi => (
            "SCSI controller 0",
            ResourceType::SCSI_CONTROLLER,
            Some("VirtualSCSI"),
        ),
        Controller::Ide => ("IDE controller 0", ResourceType::IDE_CONTROLLER, None),
        Controller::VirtioScsi => (
            "SCSI controller 0",
            ResourceType::SCSI_CONTROLLER,
            Some("virtio-scsi"),
        ),
        Controller::VirtioBlk => (
            "Virtio controller 0",
            ResourceType::OTHER_STORAGE,
            Some("virtio-blk"),
        ),
    };
    Item::controller(DISK_CONTROLLER, name, kind, model, 0)
}

/// The CD's own IDE controller, the second one where disks have the first.
fn cd_controller(disks: Controller) -> Item {
    let (name, address) = match disks {
        Controller::Ide => ("IDE controller 1", 1),
        _ => ("IDE controller 0", 0),
    };
    Item::controller(CD_CONTROLLER, name, ResourceType::IDE_CONTROLLER, None, address)
}

fn nic_model(model: NicModel) -> &'static str {
    match model {
        NicModel::E1000 => "E1000",
        NicModel::E1000e => "E1000e",
        NicModel::Pcnet32 => "PCNet32",
        NicModel::Vmxnet3 => "VmxNet3",
        NicModel::Virtio => "virtio",
    }
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Iso => "iso",
        Transport::GuestInfo => "com.vmware.guestInfo",
    }
}
