//! What sysfs and procfs say about network interfaces.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use crate::addressing::Mtu;
use crate::file;

const SYSFS: &str = "/sys/class/net";
/// `ARPHRD_ETHER`.
const ETHERNET: &str = "1";

/// Where an interface is: the path of its device in sysfs, which follows the slots of the machine whatever order
/// drivers find them in, and the kernel's index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) device: PathBuf,
    pub(super) index: u32,
}

/// Place and name of every interface that is a device's own: no loopback, bridge or tunnel, and none that works under
/// another, as the fast path of a Hyper-V or virtio adapter does.
pub(super) fn ethernet() -> Vec<(Place, String)> {
    let entries = std::fs::read_dir(SYSFS).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| attribute(name, "type").as_deref() == Some(ETHERNET))
        .filter(|name| !path(name, "master").exists())
        .filter_map(|name| Some((place(&name)?, name)))
        .collect()
}

/// Its cable is plugged in at both ends.
pub(super) fn has_carrier(name: &str) -> bool {
    attribute(name, "carrier").is_some_and(|carrier| carrier == "1")
}

/// Its Ethernet address.
pub(super) fn hardware(name: &str) -> Option<[u8; 6]> {
    let text = attribute(name, "address")?;
    let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok());
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// The kernel's index of it.
pub(super) fn index(name: &str) -> Option<u32> {
    attribute(name, "ifindex")?.parse().ok()
}

/// How long its packets may be.
pub(super) fn mtu(name: &str) -> Option<Mtu> {
    attribute(name, "mtu")?.parse().ok()
}

/// Index and address of every global IPv6 address that is ready for use.
pub(super) fn announced() -> Vec<(u32, Ipv6Addr)> {
    global_ipv6(&std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default())
}

fn place(name: &str) -> Option<Place> {
    Some(Place {
        device: path(name, "device").canonicalize().ok()?,
        index: index(name)?,
    })
}

fn path(name: &str, attribute: &str) -> PathBuf {
    Path::new(SYSFS).join(name).join(attribute)
}

fn attribute(name: &str, attribute: &str) -> Option<String> {
    file::text(path(name, attribute)).ok()
}

/// Reads lines of address, index, prefix, scope, flags (all hexadecimal) and name.
fn global_ipv6(text: &str) -> Vec<(u32, Ipv6Addr)> {
    const GLOBAL: u8 = 0;
    const TENTATIVE: u8 = 0x40;
    const DUPLICATE: u8 = 0x08;
    let line = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [address, index, _prefix, scope, flags, _name] = fields[..] else {
            return None;
        };
        let byte = |text| u8::from_str_radix(text, 16).ok();
        let ready = byte(flags)? & (TENTATIVE | DUPLICATE) == 0;
        let address = u128::from_str_radix(address, 16).ok()?.into();
        (byte(scope)? == GLOBAL && ready).then_some((u32::from_str_radix(index, 16).ok()?, address))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_global_addresses_that_are_ready_count() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\n\
            20010db8000000000000000000000005 02 40 00 00     eth0\n\
            20010db8000000000000000000000006 02 40 00 40     eth0\n\
            fe80000000000000505400fffe123456 02 40 20 80     eth0\n\
            nonsense\n";
        assert_eq!(global_ipv6(text), [(2, "2001:db8::5".parse().unwrap())]);
    }
}
