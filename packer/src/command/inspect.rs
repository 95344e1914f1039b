use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use ovf::descriptor::{Descriptor, Item, Property, ResourceType, VirtualSystem};
use packer::location::Reading;
use packer::package::Contents;
use serde_json::{Value, json};

use crate::access::{Access, Dialect};
use crate::progress::Progress;
use crate::report::{self, printable};

/// Show what a package holds
///
/// Reads the descriptor and the list of members; verifies nothing: `ova verify` does. From a server only these parts are
/// fetched, never a disk.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An OVA, or a descriptor beside its files: a file, an http(s) URL, or `-` for an OVA from standard input
    package: PathBuf,
    #[command(flatten)]
    access: Access,
    /// Show the machines as this deployment option makes them; the package's default, if not given
    #[arg(long, value_name = "ID")]
    option: Option<String>,
    /// Read archives of this dialect, too
    #[arg(long, value_name = "DIALECT")]
    tolerate: Vec<Dialect>,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let progress = Progress::new("reading", json);
        let (location, mut source) = self.access.open(&self.package, Reading::Parts, &progress)?;
        for dialect in &self.tolerate {
            dialect.tolerate_in(&mut source);
        }
        let contents = Contents::read(&mut source, &location)?;
        progress.finish();
        let option = self.option.as_deref().or(contents.descriptor.default_option());
        if let Some(unknown) = option.filter(|id| !contents.descriptor.has_option(id)) {
            bail!(packer::Error::Usage(format!(
                "the package has no deployment option '{unknown}'"
            )));
        }
        if json {
            report::print_json(&to_json(&contents, option))?;
        } else {
            report::print(&to_text(&contents, option))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn to_json(contents: &Contents, option: Option<&str>) -> Value {
    let descriptor = &contents.descriptor;
    json!({
        "signed": contents.signed,
        "members": contents.members.iter().map(|m| json!({ "name": m.name.as_str(), "bytes": m.size })).collect::<Vec<_>>(),
        "disks": descriptor.disks.iter().map(|disk| json!({
            "id": disk.id,
            "file": disk.file_ref.as_deref().and_then(|id| descriptor.file(id)).map(|file| &file.href),
            "capacity": disk.capacity_in_bytes().ok().flatten(),
            "populated": disk.populated_size,
            "format": disk.format,
        })).collect::<Vec<_>>(),
        "networks": descriptor.networks.iter().map(|network| json!({
            "name": network.name, "description": network.description,
        })).collect::<Vec<_>>(),
        "products": descriptor.content.products().iter().map(|product| json!({
            "name": product.product,
            "vendor": product.vendor,
            "version": product.version,
            "full_version": product.full_version,
            "properties": product.properties.iter().map(|p| property(&product.environment_key(p), p)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "options": descriptor.options().iter().map(|it| json!({
            "id": it.id, "label": it.label, "description": it.description,
        })).collect::<Vec<_>>(),
        "option": option,
        "systems": descriptor.systems().iter().map(|s| system(s, option)).collect::<Vec<_>>(),
    })
}

fn property(key: &str, property: &Property) -> Value {
    json!({
        "key": key,
        "type": property.property_type.to_string(),
        "qualifiers": property.qualifiers.to_string(),
        "default": property.value.as_ref().filter(|_| !property.is_secret()),
        "user_configurable": property.user_configurable,
        "password": property.is_secret(),
        "label": property.label,
        "description": property.description,
    })
}

fn system(system: &VirtualSystem, option: Option<&str>) -> Value {
    let hardware = system.hardware.first();
    let items = system.items_under(option);
    json!({
        "id": system.id,
        "name": system.name,
        "operating_system": system.operating_system.as_ref().and_then(|os| os.description.as_ref()),
        "hardware_versions": hardware.and_then(|h| h.system.as_ref()).map(|s| &s.system_types),
        "transport": hardware.map(|h| &h.transport),
        "firmware": firmware(system),
        "saved_state": system.saved_state.as_ref().map(|state| json!({
            "platform": state.platform,
            "bytes": state.length,
        })),
        "cpus": amount(&items, ResourceType::PROCESSOR).and_then(|item| item.virtual_quantity),
        "memory_mib": memory_mib(&items),
        "eulas": system.eulas.len(),
        "annotation": system.annotation.as_ref().map(|annotation| &annotation.text),
        "devices": items.iter().map(|item| json!({
            "name": item.element_name,
            "type": item.resource_type.map(|kind| kind.0),
            "model": item.resource_sub_type,
            "networks": item.connections,
        })).collect::<Vec<_>>(),
    })
}

/// The first item of a kind that tells how much of it.
fn amount<'a>(items: &[&'a Item], kind: ResourceType) -> Option<&'a Item> {
    let mut items = items.iter().filter(|item| item.resource_type == Some(kind));
    items.find(|item| item.virtual_quantity.is_some()).copied()
}

fn memory_mib(items: &[&Item]) -> Option<u64> {
    let bytes = amount(items, ResourceType::MEMORY)?.quantity_in_bytes();
    bytes.ok().flatten().map(|bytes| bytes >> 20)
}

fn firmware(system: &VirtualSystem) -> &str {
    let configs = system.hardware.iter().flat_map(|hardware| &hardware.config);
    configs
        .into_iter()
        .find(|config| config.key == "firmware")
        .map_or("bios", |config| &config.value)
}

fn to_text(contents: &Contents, option: Option<&str>) -> String {
    let descriptor = &contents.descriptor;
    let mut text = Table::default();
    for product in descriptor.content.products() {
        let words = [product.product.as_deref(), product.version.as_deref()].map(Option::unwrap_or_default);
        let vendor = product
            .vendor
            .as_deref()
            .filter(|vendor| !vendor.is_empty())
            .map(|vendor| format!(" by {vendor}"))
            .unwrap_or_default();
        text.line("Product", &format!("{}{vendor}", words.join(" ")));
    }
    text.line(
        "Signed",
        if contents.signed {
            "yes (see: ova verify --trust)"
        } else {
            "no"
        },
    );
    for system in descriptor.systems() {
        describe_system(system, option, &mut text);
    }
    text.heading("Options");
    for it in descriptor.options() {
        let chosen = if option == Some(it.id.as_str()) { "*" } else { "" };
        text.row(&[&it.id, &it.label, chosen]);
    }
    text.heading("Members");
    for member in &contents.members {
        text.row(&[member.name.as_str(), &report::size(member.size)]);
    }
    text.heading("Disks");
    for disk in &descriptor.disks {
        describe_disk(descriptor, disk, &mut text);
    }
    text.heading("Networks");
    for network in &descriptor.networks {
        text.row(&[&network.name, network.description.as_deref().unwrap_or_default()]);
    }
    text.heading("Properties");
    for product in descriptor.content.products() {
        for property in &product.properties {
            let narrowed = property.qualifiers.to_string();
            let kind = format!("{} {narrowed}", property.property_type);
            let default = match (&property.value, property.is_secret()) {
                (_, true) => "(secret)".to_owned(),
                (Some(value), _) => format!("= \"{value}\""),
                (None, _) => String::new(),
            };
            text.row(&[&product.environment_key(property), kind.trim(), &default]);
        }
    }
    text.finish()
}

fn describe_system(system: &VirtualSystem, option: Option<&str>, text: &mut Table) {
    let hardware = system.hardware.first();
    let items = system.items_under(option);
    let shown = |amount: Option<u64>| amount.map_or_else(|| "?".to_owned(), |count| count.to_string());
    text.line("Machine", system.name.as_deref().unwrap_or(&system.id));
    text.line(
        "Hardware",
        &format!(
            "{} CPU, {} MiB, {}",
            shown(amount(&items, ResourceType::PROCESSOR).and_then(|item| item.virtual_quantity)),
            shown(memory_mib(&items)),
            firmware(system)
        ),
    );
    if let Some(settings) = hardware.and_then(|hardware| hardware.system.as_ref()) {
        text.line("Runs on", &settings.system_types.join(", "));
    }
    if let Some(guest) = system
        .operating_system
        .as_ref()
        .and_then(|os| os.description.as_ref())
    {
        text.line("Guest", guest);
    }
    if let Some(state) = &system.saved_state {
        let told = format!(
            "saved while it ran, {} by {}",
            report::size(state.length),
            state.platform
        );
        text.line("State", &told);
    }
}

fn describe_disk(descriptor: &Descriptor, disk: &ovf::descriptor::Disk, text: &mut Table) {
    let capacity = disk.capacity_in_bytes().ok().flatten();
    let capacity = capacity.map_or_else(|| "size set by a property".to_owned(), report::size);
    let file = disk.file_ref.as_deref().and_then(|id| descriptor.file(id));
    let file = file.map_or_else(|| "empty".to_owned(), |file| file.href.clone());
    let used = disk
        .populated_size
        .map(|bytes| format!("{} in use", report::size(bytes)))
        .unwrap_or_default();
    text.row(&[&disk.id, &capacity, &used, &file]);
}

/// Text in columns.
#[derive(Default)]
struct Table {
    text: String,
    title: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn line(&mut self, name: &str, value: &str) {
        self.text.push_str(&format!("{name:<10}{}\n", printable(value)));
    }

    /// A heading is shown only if rows follow.
    fn heading(&mut self, title: &'static str) {
        self.flush();
        self.title = title;
    }

    fn row(&mut self, cells: &[&str]) {
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    fn flush(&mut self) {
        if !self.rows.is_empty() {
            self.text.push_str(&format!("\n{}\n", self.title));
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        for row in self.rows.drain(..) {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            self.text.push_str(&format!("  {}\n", line.trim_end()));
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        self.text
    }
}
