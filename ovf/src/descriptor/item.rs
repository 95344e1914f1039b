//! Item: one resource of virtual hardware, a CIM_ResourceAllocationSettingData (DSP0243 8.3).

use super::VMW;
use super::attributes::Attributes;
use super::element::{Faults, boolean, cim, cim_boolean, cim_number, cim_text, is_cim, owned};
use super::hardware::Config;
use super::host_resource::HostResource;
use super::resource_type::ResourceType;
use super::units::{BaseUnit, Units};
use crate::error::{Error, Kind};
use crate::xml::{Element, Origin, Writer};

/// One resource of a virtual system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Bus number of a controller, MAC address of an adapter.
    pub address: Option<String>,
    /// Place on the parent's bus, from 0.
    pub address_on_parent: Option<String>,
    /// Which of the standard's elements it is.
    pub class: ItemClass,
    /// The unit of `virtual_quantity`, `reservation` and `limit`.
    pub allocation_units: Option<String>,
    /// Whether the device is connected at power on.
    pub automatic_allocation: Option<bool>,
    /// A short name.
    pub caption: Option<String>,
    /// The logical networks of an adapter.
    pub connections: Vec<String>,
    /// A description.
    pub description: Option<String>,
    /// Its name to people.
    pub element_name: String,
    /// What it is backed by, as written: see [`Item::host_resource`].
    pub host_resources: Vec<String>,
    /// Its number in the section.
    pub instance_id: String,
    /// The most that may be used.
    pub limit: Option<u64>,
    /// The instance number of the controller it hangs on.
    pub parent: Option<String>,
    /// The least that is guaranteed.
    pub reservation: Option<u64>,
    /// The model: `lsilogic`, `VirtualSCSI`, `ahci`, `VmxNet3`; a list in the order of preference.
    pub resource_sub_type: Option<String>,
    /// Its kind.
    pub resource_type: Option<ResourceType>,
    /// How much of it.
    pub virtual_quantity: Option<u64>,
    /// Its share against others'.
    pub weight: Option<u32>,
    /// Whether a consumer that does not know the device must refuse.
    pub required: bool,
    /// The deployment options it is for; all if there is none.
    pub configuration: Option<String>,
    /// `min`, `max` or `normal`, where the item marks a range.
    pub bound: Option<String>,
    /// VMware's settings of the device.
    pub config: Vec<Config>,
    /// Cores of each socket, for processors (`vmw:CoresPerSocket`).
    pub cores_per_socket: Option<u32>,
    /// What else CIM's class says of it, by name, in document order: `PoolID`, `AutomaticDeallocation`, and what
    /// CIM_StorageAllocationSettingData and CIM_EthernetPortAllocationSettingData add.
    pub settings: Vec<(String, String)>,
    /// Where it was read.
    pub origin: Origin,
}

/// The element that an item is, and by it CIM's class of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ItemClass {
    /// `Item`: CIM_ResourceAllocationSettingData.
    #[default]
    Resource,
    /// `StorageItem`, OVF 2.x: CIM_StorageAllocationSettingData.
    Storage,
    /// `EthernetPortItem`, OVF 2.x: CIM_EthernetPortAllocationSettingData.
    EthernetPort,
}

impl Default for Item {
    fn default() -> Self {
        Item {
            address: None,
            address_on_parent: None,
            class: ItemClass::Resource,
            allocation_units: None,
            automatic_allocation: None,
            caption: None,
            connections: Vec::new(),
            description: None,
            element_name: String::new(),
            host_resources: Vec::new(),
            instance_id: String::new(),
            limit: None,
            parent: None,
            reservation: None,
            resource_sub_type: None,
            resource_type: None,
            virtual_quantity: None,
            weight: None,
            required: true,
            configuration: None,
            bound: None,
            config: Vec::new(),
            cores_per_socket: None,
            settings: Vec::new(),
            origin: Origin::default(),
        }
    }
}

impl Item {
    /// `count` virtual processors.
    pub fn processors(instance_id: impl ToString, count: u64) -> Self {
        Item {
            allocation_units: Some("hertz * 10^6".to_owned()),
            description: Some("Number of virtual CPUs".to_owned()),
            element_name: format!("{count} virtual CPU(s)"),
            resource_type: Some(ResourceType::PROCESSOR),
            virtual_quantity: Some(count),
            ..Self::numbered(instance_id)
        }
    }

    /// Memory of `mebibytes` MiB.
    pub fn memory(instance_id: impl ToString, mebibytes: u64) -> Self {
        Item {
            allocation_units: Some("byte * 2^20".to_owned()),
            description: Some("Memory size".to_owned()),
            element_name: format!("{mebibytes} MB of memory"),
            resource_type: Some(ResourceType::MEMORY),
            virtual_quantity: Some(mebibytes),
            ..Self::numbered(instance_id)
        }
    }

    /// A controller on bus `address`, of a model where the kind leaves a choice.
    pub fn controller(
        instance_id: impl ToString,
        name: impl Into<String>,
        kind: ResourceType,
        sub_type: Option<&str>,
        address: u32,
    ) -> Self {
        Item {
            address: Some(address.to_string()),
            element_name: name.into(),
            resource_sub_type: sub_type.map(str::to_owned),
            resource_type: Some(kind),
            ..Self::numbered(instance_id)
        }
    }

    /// The disk `disk_id` of the DiskSection, at `slot` of controller `parent`.
    pub fn disk(
        instance_id: impl ToString,
        name: impl Into<String>,
        parent: impl ToString,
        slot: u32,
        disk_id: &str,
    ) -> Self {
        Item {
            address_on_parent: Some(slot.to_string()),
            element_name: name.into(),
            host_resources: vec![format!("ovf:/disk/{disk_id}")],
            parent: Some(parent.to_string()),
            resource_type: Some(ResourceType::DISK),
            ..Self::numbered(instance_id)
        }
    }

    /// An empty CD drive at `slot` of controller `parent`: the place of an environment's ISO.
    pub fn cd_drive(
        instance_id: impl ToString,
        name: impl Into<String>,
        parent: impl ToString,
        slot: u32,
    ) -> Self {
        Item {
            address_on_parent: Some(slot.to_string()),
            automatic_allocation: Some(false),
            element_name: name.into(),
            parent: Some(parent.to_string()),
            required: false,
            resource_type: Some(ResourceType::CD_DRIVE),
            ..Self::numbered(instance_id)
        }
    }

    /// A network adapter of a model, connected to a network of the NetworkSection.
    pub fn ethernet(instance_id: impl ToString, name: impl Into<String>, model: &str, network: &str) -> Self {
        Item {
            automatic_allocation: Some(true),
            connections: vec![network.to_owned()],
            element_name: name.into(),
            resource_sub_type: Some(model.to_owned()),
            resource_type: Some(ResourceType::ETHERNET),
            ..Self::numbered(instance_id)
        }
    }

    /// A graphics adapter, which a consumer may leave out.
    pub fn graphics(instance_id: impl ToString, name: impl Into<String>) -> Self {
        Item {
            element_name: name.into(),
            required: false,
            resource_type: Some(ResourceType::GRAPHICS),
            ..Self::numbered(instance_id)
        }
    }

    fn numbered(instance_id: impl ToString) -> Self {
        Item {
            instance_id: instance_id.to_string(),
            ..Item::default()
        }
    }

    /// The deployment options that the item is for; none if it is for all.
    pub fn configurations(&self) -> Option<impl Iterator<Item = &str>> {
        let names = self.configuration.as_deref()?;
        Some(names.split([' ', ',']).filter(|name| !name.is_empty()))
    }

    /// What the device is backed by, if anything.
    pub fn host_resource(&self) -> Option<HostResource> {
        self.host_resources.first().map(|text| HostResource::parse(text))
    }

    /// The quantity in bytes, for memory.
    ///
    /// # Errors
    /// [`Kind::DescriptorUnits`] or [`Kind::DescriptorValue`]; none where the item has no quantity.
    pub fn quantity_in_bytes(&self) -> Result<Option<u64>, Error> {
        let Some(quantity) = self.virtual_quantity else {
            return Ok(None);
        };
        // Memory without a unit counts in MiB wherever it was seen.
        let units = Units::parse(self.allocation_units.as_deref().unwrap_or("byte * 2^20"))?;
        units.convert(quantity, BaseUnit::Byte).map(Some)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let mut attributes = Attributes::new();
        if !self.required {
            attributes = attributes.with("ovf:required", false);
        }
        let attributes = attributes
            .maybe("ovf:configuration", self.configuration.as_ref())
            .maybe("ovf:bound", self.bound.as_ref());
        writer.element("Item", &attributes.pairs(), |writer| {
            self.write_fields(writer);
            if let Some(cores) = self.cores_per_socket {
                let optional = [("ovf:required", "false")];
                writer.text("vmw:CoresPerSocket", &optional, &cores.to_string());
            }
            for config in &self.config {
                config.write(writer);
            }
        });
    }

    /// In the order of the CIM schema that DSP8023 1.1 names: by the alphabet.
    fn write_fields(&self, writer: &mut Writer) {
        let mut field = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                writer.text(name, &[], value);
            }
        };
        let text = |value: &Option<u64>| value.map(|number| number.to_string());
        field("rasd:Address", self.address.as_deref());
        field("rasd:AddressOnParent", self.address_on_parent.as_deref());
        field("rasd:AllocationUnits", self.allocation_units.as_deref());
        field(
            "rasd:AutomaticAllocation",
            self.automatic_allocation
                .map(|it| if it { "true" } else { "false" }),
        );
        field("rasd:Caption", self.caption.as_deref());
        for network in &self.connections {
            field("rasd:Connection", Some(network));
        }
        field("rasd:Description", self.description.as_deref());
        field("rasd:ElementName", Some(&self.element_name));
        for resource in &self.host_resources {
            field("rasd:HostResource", Some(resource));
        }
        field("rasd:InstanceID", Some(&self.instance_id));
        field("rasd:Limit", text(&self.limit).as_deref());
        field("rasd:Parent", self.parent.as_deref());
        field("rasd:Reservation", text(&self.reservation).as_deref());
        field("rasd:ResourceSubType", self.resource_sub_type.as_deref());
        field(
            "rasd:ResourceType",
            self.resource_type.map(|kind| kind.0.to_string()).as_deref(),
        );
        field("rasd:VirtualQuantity", text(&self.virtual_quantity).as_deref());
        field(
            "rasd:Weight",
            self.weight.map(|weight| weight.to_string()).as_deref(),
        );
    }
}

/// The fields of an item that have a name of their own, in every spelling.
const FIELDS: [&str; 20] = [
    "Address",
    "BusNumber",
    "AddressOnParent",
    "AllocationUnits",
    "AutomaticAllocation",
    "Caption",
    "Connection",
    "Description",
    "ElementName",
    "HostResource",
    "InstanceID",
    "InstanceId",
    "Limit",
    "Parent",
    "Reservation",
    "ResourceSubType",
    "ResourceType",
    "VirtualQuantity",
    "Weight",
    "CoresPerSocket",
];

/// What else CIM 2.22 has in the three classes of items.
const OTHER_FIELDS: [&str; 43] = [
    "AutomaticDeallocation",
    "ChangeableType",
    "ConfigurationName",
    "ConsumerVisibility",
    "Generation",
    "InstanceID",
    "MappingBehavior",
    "OtherResourceType",
    "PoolID",
    "SoID",
    "SoOrgID",
    "VirtualQuantityUnits",
    "Access",
    "HostExtentName",
    "HostExtentNameFormat",
    "HostExtentNameNamespace",
    "HostExtentStartingAddress",
    "HostResourceBlockSize",
    "OtherHostExtentNameFormat",
    "OtherHostExtentNameNamespace",
    "VirtualResourceBlockSize",
    "DefaultPortVID",
    "DefaultPriority",
    "DesiredVLANEndpointMode",
    "GroupID",
    "ManagerID",
    "NetworkPortProfileID",
    "NetworkPortProfileIDType",
    "OtherEndpointMode",
    "OtherNetworkPortProfileIDTypeInfo",
    "PortCorrelationID",
    "PortVID",
    "Promiscuous",
    "ReceiveBandwidthLimit",
    "ReceiveBandwidthReservation",
    "SourceMACFilteringEnabled",
    "VSITypeID",
    "VSITypeIDVersion",
    "VirtualSwitchClass",
    "CommunicationStatus",
    "AllowedPriorities",
    "AllowedToReceiveMACAddresses",
    "AllowedToTransmitMACAddresses",
];

/// Whether the classes of items have a field of this name.
pub(super) fn is_field(name: &str) -> bool {
    FIELDS.contains(&name) || OTHER_FIELDS.contains(&name)
}

pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Item {
    let all = |names| -> Vec<String> {
        let texts = cim(element, names).map(Element::text);
        texts.filter(|it| !it.is_empty()).collect()
    };
    let caption = cim_text(element, &["Caption"]);
    let element_name = cim_text(element, &["ElementName"]);
    let instance_id = cim_text(element, &["InstanceID", "InstanceId"]);
    if instance_id.is_none() {
        faults.note(element.error(
            Kind::DescriptorElementMissing,
            "a hardware item has no InstanceID",
        ));
    }
    let others = element.children().filter(|child| is_cim(*child));
    Item {
        class: match element.local_name() {
            "StorageItem" => ItemClass::Storage,
            "EthernetPortItem" => ItemClass::EthernetPort,
            _ => ItemClass::Resource,
        },
        address: cim_text(element, &["Address", "BusNumber"]),
        address_on_parent: cim_text(element, &["AddressOnParent"]),
        allocation_units: cim_text(element, &["AllocationUnits"]),
        automatic_allocation: cim_boolean(element, &["AutomaticAllocation"], faults),
        connections: all(&["Connection"]),
        description: cim_text(element, &["Description"]),
        // OVF 0.9 and OVF 2.0 from VirtualBox name devices by their caption.
        element_name: element_name.or_else(|| caption.clone()).unwrap_or_default(),
        caption,
        host_resources: all(&["HostResource"]),
        instance_id: instance_id.unwrap_or_default(),
        limit: cim_number(element, &["Limit"], faults),
        parent: cim_text(element, &["Parent"]),
        reservation: cim_number(element, &["Reservation"], faults),
        resource_sub_type: cim_text(element, &["ResourceSubType"]),
        resource_type: cim_number(element, &["ResourceType"], faults).map(ResourceType),
        virtual_quantity: cim_number(element, &["VirtualQuantity"], faults),
        weight: cim_number(element, &["Weight"], faults),
        required: boolean(element, "required", true, faults),
        configuration: owned(element, "configuration"),
        bound: owned(element, "bound"),
        config: Config::read_all(element, faults),
        cores_per_socket: cores_per_socket(element),
        settings: others
            .filter(|child| !FIELDS.contains(&child.local_name()))
            .map(|child| (child.local_name().to_owned(), child.text().trim().to_owned()))
            .collect(),
        origin: element.position().into(),
    }
}

/// VMware's extension decides nothing about the rest: one that is no number is read as none.
fn cores_per_socket(element: Element<'_>) -> Option<u32> {
    let mut children = element.children();
    let ours = children.find(|it| it.local_name() == "CoresPerSocket" && it.namespace() == Some(VMW))?;
    ours.text().trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_counts_in_its_unit_and_in_mebibytes_without_one() {
        assert_eq!(Item::memory(1, 256).quantity_in_bytes().unwrap(), Some(256 << 20));
        let bare = Item {
            allocation_units: None,
            ..Item::memory(1, 2)
        };
        assert_eq!(bare.quantity_in_bytes().unwrap(), Some(2 << 20));
    }
}
