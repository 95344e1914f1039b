//! VirtualHardwareSection: what a virtual system is made of (DSP0243 8).

use std::collections::HashMap;

use super::VMW;
use super::attributes::Attributes;
use super::element::{Faults, attribute, boolean, child, child_text, cim_text, is_envelope, owned};
use super::item::{self, Item, ItemClass};
use super::text::Text;
use crate::xml::{Element, Origin, Writer};

/// The virtual hardware of a system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hardware {
    /// The section's name, where a system has several.
    pub id: Option<String>,
    /// What the section is for.
    pub info: Text,
    /// How the environment document gets into the guest: `iso`, `com.vmware.guestInfo`.
    pub transport: Vec<String>,
    /// The virtual machine as a whole.
    pub system: Option<SystemSettings>,
    /// Processors, memory, controllers, disks, adapters.
    pub items: Vec<Item>,
    /// VMware's settings of the whole machine, such as `firmware` = `efi`.
    pub config: Vec<Config>,
    /// Where it was read.
    pub origin: Origin,
}

/// The virtual machine as a whole: `System`, a CIM_VirtualSystemSettingData.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SystemSettings {
    /// Its name to people.
    pub element_name: String,
    /// Its number among the hardware's instances.
    pub instance_id: String,
    /// The name that the machine had.
    pub identifier: Option<String>,
    /// The hardware families it runs on, the preferred first: `vmx-14`, `virtualbox-2.2`.
    pub system_types: Vec<String>,
}

/// A setting of VMware's: `vmw:Config` or `vmw:ExtraConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The setting's name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Whether a consumer that does not know it must refuse.
    pub required: bool,
    /// Whether it goes to the machine's own configuration file (`vmw:ExtraConfig`).
    pub extra: bool,
}

impl Config {
    /// A setting that others may ignore.
    pub fn optional(key: impl Into<String>, value: impl Into<String>) -> Self {
        Config {
            key: key.into(),
            value: value.into(),
            required: false,
            extra: false,
        }
    }

    pub(super) fn read_all(parent: Element<'_>, faults: &mut Faults) -> Vec<Config> {
        let ours = |element: &Element<'_>| {
            element.namespace() == Some(VMW) && matches!(element.local_name(), "Config" | "ExtraConfig")
        };
        let configs = parent.children().filter(ours);
        configs.map(|element| config(element, faults)).collect()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let attributes = Attributes::new()
            .with("ovf:required", self.required)
            .with("vmw:key", &self.key)
            .with("vmw:value", &self.value);
        writer.empty(
            if self.extra {
                "vmw:ExtraConfig"
            } else {
                "vmw:Config"
            },
            &attributes.pairs(),
        );
    }
}

fn config(element: Element<'_>, faults: &mut Faults) -> Config {
    // A vendor's extension decides nothing about the rest: what is missing in it is read as empty.
    let field = |name: &str| element.attribute(VMW, name).unwrap_or_default().to_owned();
    Config {
        key: field("key"),
        value: field("value"),
        required: boolean(element, "required", true, faults),
        extra: element.local_name() == "ExtraConfig",
    }
}

impl Hardware {
    /// The devices under a deployment option, in document order (DSP0243 9.8): those for every option and those for this
    /// one, which take the place of others of the same instance number. Bounds of ranges (8.4) are no devices.
    pub fn items_under(&self, option: Option<&str>) -> Vec<&Item> {
        let applies = |item: &&Item| match item.configurations() {
            None => true,
            Some(mut names) => names.any(|name| Some(name) == option),
        };
        let is_amount = |item: &&Item| matches!(item.bound.as_deref(), None | Some("normal"));
        let mut items: Vec<&Item> = Vec::new();
        let mut places = HashMap::new();
        for item in self.items.iter().filter(applies).filter(is_amount) {
            match places.get(item.instance_id.as_str()) {
                Some(place) if item.configuration.is_some() => items[*place] = item,
                Some(_) => {}
                None => {
                    places.insert(item.instance_id.as_str(), items.len());
                    items.push(item);
                }
            }
        }
        items
    }

    /// Whether an item's CIM class has a field of this name.
    pub(crate) fn knows_field(name: &str) -> bool {
        item::is_field(name)
    }

    /// Whether an item says what its writer does not write.
    pub(super) fn is_unwritten(&self) -> bool {
        let plain = |item: &Item| item.class == ItemClass::Resource && item.settings.is_empty();
        !self.items.iter().all(plain)
    }

    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        let transport = attribute(element, "transport").unwrap_or_default();
        let items = ["Item", "StorageItem", "EthernetPortItem"];
        Hardware {
            id: owned(element, "id").filter(|id| !id.is_empty()),
            info: child_text(element, "Info"),
            transport: words(transport),
            system: child(element, "System").map(system),
            items: element
                .children()
                .filter(|child| items.contains(&child.local_name()) && is_envelope(*child))
                .map(|item| item::read(item, faults))
                .collect(),
            config: Config::read_all(element, faults),
            origin: element.position().into(),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let transport = (!self.transport.is_empty()).then(|| self.transport.join(" "));
        let attributes = Attributes::new()
            .maybe("ovf:id", self.id.as_ref())
            .maybe("ovf:transport", transport);
        writer.element("VirtualHardwareSection", &attributes.pairs(), |writer| {
            self.info.write("Info", writer);
            if let Some(system) = &self.system {
                system.write(writer);
            }
            for item in &self.items {
                item.write(writer);
            }
            for config in &self.config {
                config.write(writer);
            }
        });
    }
}

impl SystemSettings {
    fn write(&self, writer: &mut Writer) {
        writer.element("System", &[], |writer| {
            writer.text("vssd:ElementName", &[], &self.element_name);
            writer.text("vssd:InstanceID", &[], &self.instance_id);
            if let Some(identifier) = &self.identifier {
                writer.text("vssd:VirtualSystemIdentifier", &[], identifier);
            }
            if !self.system_types.is_empty() {
                writer.text("vssd:VirtualSystemType", &[], &self.system_types.join(" "));
            }
        });
    }
}

fn system(element: Element<'_>) -> SystemSettings {
    SystemSettings {
        element_name: cim_text(element, &["ElementName"])
            .or_else(|| cim_text(element, &["Caption"]))
            .unwrap_or_default(),
        instance_id: cim_text(element, &["InstanceID", "InstanceId"]).unwrap_or_default(),
        identifier: cim_text(element, &["VirtualSystemIdentifier"]),
        system_types: words(&cim_text(element, &["VirtualSystemType"]).unwrap_or_default()),
    }
}

/// A list parted by commas, spaces or both, as the field writes it.
fn words(text: &str) -> Vec<String> {
    text.split([',', ' ', '\t', '\n'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
