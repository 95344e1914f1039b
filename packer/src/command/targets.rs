use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use vdc::inventory::{About, DeviceKind, Inventory};

use crate::progress::Progress;
use crate::report::{self, printable, size};
use crate::target;

/// Show what a VDC manager offers: pools for disks, networks, machines
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to look: qemu:///system, qemu+unix:///system?socket=PATH, qemu+ssh://host/system
    target: String,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let progress = Progress::new("asking", json);
        let target = target::connect(&self.target)?;
        let (about, inventory) = (target.about()?, target.inventory()?);
        progress.finish();
        if json {
            report::print_json(&to_json(&about, &inventory))?;
        } else {
            report::print(&to_text(&about, &inventory))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn to_json(about: &About, inventory: &Inventory) -> serde_json::Value {
    json!({
        "product": about.product,
        "version": about.version,
        "hypervisor": about.hypervisor,
        "pools": inventory.pools.iter().map(|pool| json!({
            "name": pool.name,
            "kind": pool.kind,
            "active": pool.active,
            "capacity": pool.capacity,
            "available": pool.available,
        })).collect::<Vec<_>>(),
        "networks": inventory.networks.iter().map(|network| json!({
            "name": network.name,
            "active": network.active,
        })).collect::<Vec<_>>(),
        "machines": inventory.machines.iter().map(|vm| json!({
            "name": vm.name,
            "id": vm.id,
            "state": vm.state,
            "cpus": vm.cpus,
            "memory": vm.memory,
            "devices": vm.devices.iter().map(|device| json!({
                "kind": kind(device.kind),
                "native": device.native,
                "model": device.model,
                "connected": device.connected,
                "address": device.address,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Disk => "disk",
        DeviceKind::Cd => "cd",
        DeviceKind::Adapter => "adapter",
        DeviceKind::Controller => "controller",
        DeviceKind::Serial => "serial",
        DeviceKind::Other => "other",
    }
}

fn to_text(about: &About, inventory: &Inventory) -> String {
    let state = |active: bool| if active { "active" } else { "inactive" };
    let mut text = format!(
        "{} {}, {}\n",
        printable(&about.product),
        printable(&about.version),
        printable(&about.hypervisor)
    );
    for pool in &inventory.pools {
        text.push_str(&format!(
            "pool      {}  {}, {}, {} of {} free\n",
            printable(&pool.name),
            printable(&pool.kind),
            state(pool.active),
            size(pool.available),
            size(pool.capacity)
        ));
    }
    for network in &inventory.networks {
        text.push_str(&format!(
            "network   {}  {}\n",
            printable(&network.name),
            state(network.active)
        ));
    }
    for vm in &inventory.machines {
        text.push_str(&format!(
            "machine   {}  {}, {} CPUs, {}\n",
            printable(&vm.name),
            printable(&vm.state),
            vm.cpus,
            size(vm.memory)
        ));
        let connected = vm.devices.iter().filter(|device| {
            matches!(
                device.kind,
                DeviceKind::Disk | DeviceKind::Cd | DeviceKind::Adapter
            )
        });
        for device in connected {
            text.push_str(&format!(
                "          {}  {}, {}\n",
                kind(device.kind),
                printable(device.model.as_deref().unwrap_or("?")),
                printable(device.connected.as_deref().unwrap_or("empty")),
            ));
        }
    }
    text
}
