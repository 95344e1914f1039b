//! Elements copied out of a package's definition, as long as they name nothing of the host.

use ovf::xml::{Element, Writer};

use crate::error::{Error, Kind, Result};

/// What of a driver the machine sees.
const DRIVER: [&str; 15] = [
    "queues",
    "queue_size",
    "rx_queue_size",
    "tx_queue_size",
    "iommu",
    "ats",
    "packed",
    "page_per_vq",
    "cmd_per_lun",
    "max_sectors",
    "intremap",
    "caching_mode",
    "eim",
    "iotlb",
    "aw_bits",
];
/// Names, of elements and attributes, by which something of the host is told.
const OF_THE_HOST: [&str; 10] = [
    "rendernode",
    "source",
    "backend",
    "emulator",
    "script",
    "file",
    "path",
    "socket",
    "pty",
    "table",
];

pub(super) fn refused(part: &str, what: &str, value: &str) -> Error {
    let reason = format!(
        "a saved state can't be taken along: {part} {what} '{}'",
        value.escape_debug()
    );
    Error::new(Kind::Unsupported, "", reason)
}

/// An element whose content may turn out to be untellable.
pub(super) fn within(
    w: &mut Writer,
    name: &str,
    attributes: &[(&str, &str)],
    body: impl FnOnce(&mut Writer) -> Result<()>,
) -> Result<()> {
    let mut told = Ok(());
    w.element(name, attributes, |w| told = body(w));
    told
}

/// An element as it is, as long as it names nothing of the host; of a driver, what the machine sees.
pub(super) fn copy(w: &mut Writer, element: Element<'_>) -> Result<()> {
    let name = element.local_name();
    if element.namespace().is_some() || OF_THE_HOST.contains(&name) {
        return Err(refused("the machine", "has", name));
    }
    if name == "driver" {
        driver(w, element, &[]);
        return Ok(());
    }
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    for attribute in element.attributes() {
        let key = attribute.name.local.as_str();
        if attribute.name.namespace.is_some() || OF_THE_HOST.contains(&key) {
            return Err(refused(name, "with", key));
        }
        attributes.push((key, &attribute.value));
    }
    if element.children().next().is_some() {
        return within(w, name, &attributes, |w| {
            element.children().try_for_each(|child| copy(w, child))
        });
    }
    match element.text().as_str() {
        "" => w.empty(name, &attributes),
        text => w.text(name, &attributes, text),
    }
    Ok(())
}

/// A driver with what of it the machine sees.
pub(super) fn driver(w: &mut Writer, told: Element<'_>, own: &[(&str, &str)]) {
    let seen = DRIVER
        .iter()
        .filter_map(|name| Some((*name, told.attribute("", name)?)));
    let attributes: Vec<(&str, &str)> = own.iter().copied().chain(seen).collect();
    if !attributes.is_empty() {
        w.empty("driver", &attributes);
    }
}
