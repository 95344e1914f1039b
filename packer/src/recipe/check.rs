//! What the shape of the recipe alone can't tell.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use ovf::descriptor::{PropertyType, check_key_part};
use toml::Spanned;

use super::{BootImage, Disk, Property, Recipe, Spot, StateImage};
use crate::error::Error;

/// Something wrong at a byte range of the recipe.
pub(super) struct Fault {
    span: Range<usize>,
    reason: String,
}

impl Fault {
    pub(super) fn at(self, text: &str, path: &Path) -> Error {
        Error::recipe(path, Some(Spot::of(text, self.span.start)), self.reason)
    }
}

fn fault<T>(at: &Spanned<T>, reason: impl Into<String>) -> Fault {
    Fault {
        span: at.span(),
        reason: reason.into(),
    }
}

type Checked = Result<(), Fault>;

pub(super) fn check(recipe: &Recipe) -> Checked {
    check_system(recipe)?;
    check_networks(recipe)?;
    check_disks(recipe)?;
    check_properties(&recipe.property)?;
    for eula in &recipe.eula {
        if eula.get_ref().text.is_some() == eula.get_ref().file.is_some() {
            return Err(fault(eula, "give a EULA's 'text' or its 'file', one of the two"));
        }
    }
    Ok(())
}

fn check_system(recipe: &Recipe) -> Checked {
    let system = &recipe.system;
    check_identifier(&system.id)?;
    if !(1..=128).contains(system.cpus.get_ref()) {
        return Err(fault(&system.cpus, "between 1 and 128 CPUs"));
    }
    let memory = system.memory.get_ref().bytes();
    if memory == 0 || !memory.is_multiple_of(1 << 20) {
        return Err(fault(&system.memory, "memory is a positive number of whole MiB"));
    }
    let hardware = system.hardware.get_ref();
    let well_formed = |family: &String| {
        !family.is_empty()
            && family
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    if hardware.is_empty() || !hardware.iter().all(well_formed) {
        return Err(fault(
            &system.hardware,
            "name at least one hardware family, such as \"vmx-13\"",
        ));
    }
    Ok(())
}

/// Identifiers become member names, XML ids and QEMU node names: the narrowest of the three rules.
fn check_identifier(id: &Spanned<String>) -> Checked {
    let text = id.get_ref();
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well
        || text.len() > 40
        || !text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    {
        return Err(fault(
            id,
            "an identifier is a letter, then up to 39 letters, digits, '-' or '_'",
        ));
    }
    Ok(())
}

fn unique<'a>(
    ids: impl Iterator<Item = &'a Spanned<String>>,
    what: &str,
) -> Result<BTreeSet<&'a str>, Fault> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id.get_ref().as_str()) {
            return Err(fault(id, format!("a second {what} called '{}'", id.get_ref())));
        }
    }
    Ok(seen)
}

fn check_networks(recipe: &Recipe) -> Checked {
    let names = unique(recipe.network.iter().map(|network| &network.name), "network")?;
    for nic in &recipe.nic {
        if !names.contains(nic.network.get_ref().as_str()) {
            return Err(fault(
                &nic.network,
                format!("no [[network]] is called '{}'", nic.network.get_ref()),
            ));
        }
    }
    Ok(())
}

fn check_disks(recipe: &Recipe) -> Checked {
    unique(recipe.disk.iter().map(|disk| &disk.id), "disk")?;
    for disk in &recipe.disk {
        check_disk(disk)?;
        if recipe.debian.is_none() && disk.raw.is_none() && disk.image.is_none() {
            return Err(fault(
                &disk.id,
                "boot and state disks are made with Debian's packages: add [debian] lock",
            ));
        }
    }
    Ok(())
}

fn check_disk(disk: &Disk) -> Checked {
    check_identifier(&disk.id)?;
    let sources = usize::from(disk.raw.is_some())
        + usize::from(disk.image.is_some())
        + usize::from(disk.boot.is_some())
        + usize::from(disk.state.is_some());
    if sources != 1 {
        return Err(fault(
            &disk.id,
            "a disk is one of 'raw', 'image', 'boot' and 'state'",
        ));
    }
    disk.boot.as_ref().map_or(Ok(()), check_boot)?;
    disk.state.as_ref().map_or(Ok(()), check_state)
}

fn check_boot(boot: &BootImage) -> Checked {
    let legal = |c: char| c == ' ' || c.is_ascii_graphic() && !"\"'\\$`;".contains(c);
    if let Some(cmdline) = boot
        .cmdline
        .as_ref()
        .filter(|cmdline| !cmdline.get_ref().chars().all(legal))
    {
        return Err(fault(
            cmdline,
            "a kernel command line is printable ASCII without quotes, '\\', '$', '`' and ';'",
        ));
    }
    for file in &boot.file {
        let path = file.path.get_ref();
        let clean = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(clean))
        {
            return Err(fault(
                &file.path,
                "an absolute path without '.', '..' or doubled '/'",
            ));
        }
    }
    Ok(())
}

/// Below this the journal would take much of the disk; above it 32-bit block numbers end.
const STATE_MIB: std::ops::RangeInclusive<u64> = 256..=(16 << 20);

fn check_state(state: &StateImage) -> Checked {
    let bytes = state.size.get_ref().bytes();
    if !bytes.is_multiple_of(1 << 20) || !STATE_MIB.contains(&(bytes >> 20)) {
        return Err(fault(
            &state.size,
            "a state disk is between 256 MiB and 16 TiB, in whole MiB",
        ));
    }
    let label = state.label.get_ref();
    if label.is_empty() || label.len() > 16 || !label.chars().all(|c| c.is_ascii_graphic()) {
        return Err(fault(
            &state.label,
            "a volume label is 1 to 16 printable ASCII characters",
        ));
    }
    Ok(())
}

fn check_properties(properties: &[Property]) -> Checked {
    unique(properties.iter().map(|property| &property.key), "property")?;
    properties.iter().try_for_each(check_property)
}

fn check_property(property: &Property) -> Checked {
    check_key_part(property.key.get_ref()).map_err(|error| fault(&property.key, error.to_string()))?;
    if matches!(
        PropertyType::parse(property.kind.get_ref()),
        PropertyType::Other(_)
    ) {
        let reason = format!(
            "'{}' is not a property type (DSP0243 9.5.1, table 6)",
            property.kind.get_ref()
        );
        return Err(fault(&property.kind, reason));
    }
    let described = property.to_descriptor().map_err(|error| {
        let span = property
            .qualifiers
            .as_ref()
            .map_or_else(|| property.key.span(), Spanned::span);
        Fault {
            span,
            reason: error.to_string(),
        }
    })?;
    let Some(default) = &property.default else {
        return Ok(());
    };
    if described.is_secret() {
        return Err(fault(
            default,
            "a password has no default: it would stand in clear in every copy",
        ));
    }
    described
        .check(default.get_ref())
        .map_err(|error| fault(default, error.to_string()))
}
