//! A domain as a package's machine: its definition read back, its volumes as disks.

use image::source::Source;
use image::{format::Format, open};
use ovf::xml::{Document, Element};

use super::download::Download;
use super::inventory::{child, cpus, document, memory};
use super::virsh::{Virsh, option};
use crate::error::{Error, Kind, Result};
use crate::machine::{Adapter, Bus, Disk, Firmware, Machine, Model};
use crate::manager::Exported;

/// The largest disk that is taken out, in bytes.
const CAPACITY_LIMIT: u64 = 64 << 40;

pub(super) fn run(virsh: &Virsh, name: &str) -> Result<Exported> {
    let domain = option("domain", name)?;
    off(virsh, name)?;
    let told = virsh.run(&["dominfo", &domain])?;
    if told
        .lines()
        .any(|line| line.starts_with("Managed save:") && line.ends_with("yes"))
    {
        let reason = "the machine's memory is saved, and its disks are as it left them in the middle of its work: \
                      start it, and shut it down or save its state along";
        return Err(Error::new(Kind::Refused, name, reason));
    }
    of(
        virsh,
        name,
        &document(virsh, &["dumpxml", "--inactive", &domain])?,
    )
}

/// What a definition tells of a machine, and its disks where they are.
pub(super) fn of(virsh: &Virsh, name: &str, definition: &Document) -> Result<Exported> {
    let root = definition.root();
    let devices =
        child(root, "devices").ok_or_else(|| Error::new(Kind::Answer, name, "a domain without devices"))?;
    let mut exported = Exported {
        machine: Machine {
            name: name.to_owned(),
            cpus: cpus(root),
            memory: memory(root)?,
            firmware: firmware(root),
            disks: Vec::new(),
            adapters: Vec::new(),
            left_out: Vec::new(),
        },
        disks: Vec::new(),
        state: None,
    };
    for device in devices.children() {
        let kind = device.attribute("", "device").unwrap_or("disk");
        match device.local_name() {
            "disk" if kind == "disk" => {
                let source = disk(virsh, name, device)?;
                let number = exported.disks.len();
                exported.machine.disks.push(Disk {
                    id: format!("disk{}", number + 1),
                    bus: bus(devices, device)?,
                    unit: u32::try_from(number).unwrap_or(u32::MAX),
                    capacity: source.size(),
                    file: None,
                });
                exported.disks.push(source);
            }
            "disk" if kind == "lun" => {
                let reason = "a device of the host that is passed through can't be exported";
                return Err(Error::new(Kind::Unsupported, name, reason));
            }
            "interface" => exported.machine.adapters.push(adapter(device)?),
            // A drive's medium, and what every importer gives a machine of its own.
            "disk" | "emulator" | "controller" | "serial" | "console" | "channel" | "graphics" | "video"
            | "rng" | "input" | "memballoon" | "audio" | "watchdog" => {}
            other => exported.machine.left_out.push(other.to_owned()),
        }
    }
    Ok(exported)
}

/// Refuses a machine that is not switched off.
pub(super) fn off(virsh: &Virsh, name: &str) -> Result<()> {
    let state = virsh.run(&["domstate", &option("domain", name)?])?;
    if state.trim() == "shut off" {
        return Ok(());
    }
    let reason = format!(
        "the machine is {}: switch it off first, for its disks change while it runs",
        state.trim()
    );
    Err(Error::new(Kind::Refused, name, reason))
}

fn firmware(root: Element<'_>) -> Firmware {
    let os = child(root, "os");
    let efi = os.is_some_and(|os| {
        os.attribute("", "firmware") == Some("efi")
            || child(os, "loader").is_some_and(|loader| loader.attribute("", "type") == Some("pflash"))
    });
    if efi { Firmware::Efi } else { Firmware::Bios }
}

/// The raw disk in a volume, of whatever format.
fn disk(virsh: &Virsh, domain: &str, device: Element<'_>) -> Result<Box<dyn Source>> {
    let answer = |reason: &str| Error::new(Kind::Answer, "dumpxml", reason);
    let source = child(device, "source").ok_or_else(|| answer("a disk without a source"))?;
    let (pool, volume) = volume(virsh, source)?;
    let names = [option("pool", &pool)?, option("vol", &volume)?];
    let told = document(virsh, &["vol-dumpxml", &names[0], &names[1]])?;
    let told = told.root();
    let format = child(told, "target").and_then(|target| child(target, "format"));
    let probed = format
        .and_then(|format| format.attribute("", "type"))
        .unwrap_or("raw");
    // The pool tells by bytes that the guest may have written; the machine tells what it has been given.
    let format = child(device, "driver")
        .and_then(|driver| driver.attribute("", "type"))
        .unwrap_or("raw");
    if probed != format {
        let reason = format!(
            "the machine has '{volume}' as {}, and the pool takes it for {}",
            format.escape_debug(),
            probed.escape_debug()
        );
        return Err(Error::new(Kind::Refused, "", reason));
    }
    let size = match format {
        "raw" => bytes(told, "capacity")?,
        _ => bytes(told, "physical")?,
    };
    let download = Download::new(virsh, domain, names, size);
    let unreadable =
        |error| Error::new(Kind::Disk, volume.clone(), "the volume can't be read").because(error);
    match format.parse::<Format>() {
        Ok(Format::Raw) => Ok(Box::new(download)),
        Ok(_) => open::inside(download, CAPACITY_LIMIT).map_err(unreadable),
        Err(error) => Err(unreadable(error)),
    }
}

/// A size that a volume's document tells.
pub(super) fn bytes(told: Element<'_>, name: &str) -> Result<u64> {
    let text = child(told, name).filter(|size| size.attribute("", "unit") == Some("bytes"));
    text.and_then(|size| size.text().trim().parse::<u64>().ok())
        .filter(|&size| size <= CAPACITY_LIMIT)
        .ok_or_else(|| Error::new(Kind::Answer, "vol-dumpxml", "a volume without a size"))
}

/// The pool and the name of the volume that a disk's source tells.
pub(super) fn volume(virsh: &Virsh, source: Element<'_>) -> Result<(String, String)> {
    match (
        source.attribute("", "pool"),
        source.attribute("", "volume"),
        source.attribute("", "file"),
    ) {
        (Some(pool), Some(volume), _) => Ok((pool.to_owned(), volume.to_owned())),
        (_, _, Some(path)) => volume_of(virsh, path),
        _ => {
            let reason = "a disk that is neither a volume nor a file can't be exported";
            Err(Error::new(Kind::Unsupported, "", reason))
        }
    }
}

/// The pool and the name of the volume at a path of the target's.
fn volume_of(virsh: &Virsh, path: &str) -> Result<(String, String)> {
    if !path.starts_with('/') || path.chars().any(char::is_control) {
        return Err(Error::new(
            Kind::Answer,
            path.escape_debug().to_string(),
            "no path",
        ));
    }
    let volume = format!("--vol={path}");
    let pool = virsh.run(&["vol-pool", &volume])?;
    let name = virsh.run(&["vol-name", &volume])?;
    Ok((pool.trim().to_owned(), name.trim().to_owned()))
}

fn bus(devices: Element<'_>, device: Element<'_>) -> Result<Bus> {
    let bus = child(device, "target")
        .and_then(|target| target.attribute("", "bus"))
        .unwrap_or("");
    let scsi = || {
        let controllers = devices
            .children()
            .filter(|device| device.local_name() == "controller");
        let mut scsi = controllers.filter(|controller| controller.attribute("", "type") == Some("scsi"));
        scsi.next()
            .and_then(|controller| controller.attribute("", "model"))
            .unwrap_or("lsilogic")
    };
    Ok(match bus {
        "ide" => Bus::Ide,
        "sata" => Bus::Sata,
        "virtio" => Bus::VirtioBlk,
        "scsi" => match scsi() {
            "lsilogic" => Bus::LsiLogic,
            "lsisas1068" | "lsisas1078" => Bus::LsiSas,
            "vmpvscsi" => Bus::Pvscsi,
            "virtio-scsi" | "virtio-transitional" | "virtio-non-transitional" => Bus::VirtioScsi,
            other => return Err(unknown("a SCSI controller", other)),
        },
        other => return Err(unknown("a disk's bus", other)),
    })
}

fn adapter(device: Element<'_>) -> Result<Adapter> {
    let model = child(device, "model")
        .and_then(|model| model.attribute("", "type"))
        .unwrap_or("virtio");
    let source = child(device, "source");
    let named = |name: &str| {
        source
            .and_then(|source| source.attribute("", name))
            .map(str::to_owned)
    };
    let network = named("network")
        .or_else(|| named("bridge"))
        .or_else(|| named("dev"));
    Ok(Adapter {
        model: match model {
            "e1000" => Model::E1000,
            "e1000e" => Model::E1000e,
            "pcnet" => Model::Pcnet,
            "vmxnet3" => Model::Vmxnet3,
            "virtio" | "virtio-transitional" | "virtio-non-transitional" => Model::Virtio,
            other => return Err(unknown("an adapter", other)),
        },
        network: network.unwrap_or_else(|| "VM Network".to_owned()),
    })
}

fn unknown(what: &str, model: &str) -> Error {
    let reason = format!("{what} of the kind '{}' is not known here", model.escape_debug());
    Error::new(Kind::Unsupported, "", reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovf::xml::Document;

    const DOMAIN: &str = "<domain type='qemu'><os firmware='efi'/><devices>\
        <disk type='file' device='disk'><target dev='sda' bus='scsi'/></disk>\
        <controller type='usb' model='nec-xhci'/><controller type='scsi' model='vmpvscsi'/>\
        <interface type='bridge'><source bridge='br0'/><model type='e1000e'/></interface>\
        <interface type='user'><model type='unheard-of'/></interface></devices></domain>";

    #[test]
    fn hardware_is_read_back_and_what_is_not_known_is_named() {
        let document = Document::parse(DOMAIN.as_bytes()).unwrap();
        let devices = child(document.root(), "devices").unwrap();
        let all: Vec<_> = devices.children().collect();
        assert_eq!(firmware(document.root()), Firmware::Efi);
        assert_eq!(bus(devices, all[0]).unwrap(), Bus::Pvscsi);
        let first = adapter(all[3]).unwrap();
        assert_eq!((first.model, first.network.as_str()), (Model::E1000e, "br0"));
        assert!(adapter(all[4]).unwrap_err().to_string().contains("unheard-of"));
    }
}
