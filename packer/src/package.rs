//! A package from the point of view of whoever runs it.

use std::fmt;
use std::path::Path;

use ovf::descriptor::{Compression, Descriptor, HostResource, Item, ResourceType, VirtualSystem};
use ovf::package::{MemberInfo, Role, Source};

use crate::error::{Error, Result};
use crate::machine::Backing;

/// An opened package of one virtual machine.
#[derive(Debug)]
pub struct Appliance {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its disks in the order of the hardware's items.
    pub disks: Vec<ApplianceDisk>,
}

/// A disk of an appliance.
#[derive(Debug)]
pub struct ApplianceDisk {
    /// The descriptor's id of it.
    pub id: String,
    /// Where its bytes are.
    pub backing: Backing,
}

/// What a package says of itself, and the files it is made of.
#[derive(Debug)]
pub struct Contents {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its members, in archive order; for a folder, the descriptor and what it refers to.
    pub members: Vec<MemberInfo>,
    /// Whether there is a certificate file. Nothing is said of what it is worth.
    pub signed: bool,
}

impl Contents {
    /// Reads the descriptor and walks over the members of a package, which is shown as `shown` in errors.
    ///
    /// # Errors
    /// The package can't be read, or breaks a rule of the archive or the descriptor.
    pub fn read(source: &mut Source, shown: &impl fmt::Display) -> Result<Self> {
        Self::walk(source).map_err(|error| match error.kind() {
            ovf::Kind::Io => Error::Ovf(error),
            _ => Error::Refused(format!("{shown}: {}: {error}", error.code())),
        })
    }

    fn walk(source: &mut Source) -> Result<Self, ovf::Error> {
        let (mut descriptor, mut members, mut signed) = (None, Vec::new(), false);
        while let Some(mut member) = source.next_member()? {
            match member.role() {
                Role::Descriptor if descriptor.is_none() => {
                    let bytes = member.read_all()?;
                    descriptor =
                        Some(Descriptor::parse(&bytes).map_err(|error| error.in_member(member.name()))?);
                }
                Role::Certificate => signed = true,
                _ => {}
            }
            members.push(member.info().clone());
        }
        let descriptor = descriptor
            .ok_or_else(|| ovf::Error::new(ovf::Kind::PackageFormat, "the package has no descriptor"))?;
        Ok(Self {
            descriptor,
            members,
            signed,
        })
    }
}

impl Appliance {
    /// Opens a package whose disks QEMU can take as they are.
    ///
    /// # Errors
    /// As [`Contents::read`]; the package has more than one machine, or a disk in a form that isn't a plain VMDK.
    pub fn open(path: &Path) -> Result<Self> {
        let contents = Contents::read(&mut Source::open(path)?, &path.display())?;
        let refuse = |reason: String| Err(Error::Refused(format!("{}: {reason}", path.display())));
        if contents.descriptor.systems().len() != 1 {
            return refuse(format!(
                "{} virtual systems; one can be run",
                contents.descriptor.systems().len()
            ));
        }
        if contents.descriptor.systems()[0].saved_state.is_some() {
            return refuse(
                "a machine that was running, whose memory can't be resumed here: deploy it".to_owned(),
            );
        }
        let in_archive = !Source::is_descriptor(path);
        let mut appliance = Self {
            descriptor: contents.descriptor,
            disks: Vec::new(),
        };
        for id in appliance.disk_ids() {
            let file = appliance
                .descriptor
                .disk(&id)
                .and_then(|disk| disk.file_ref.as_deref());
            let file = file.and_then(|file| appliance.descriptor.file(file));
            let Some(file) = file else {
                return refuse(format!("disk '{id}' has no file in the package"));
            };
            if file.compression != Compression::None || file.chunk_size.is_some() {
                return refuse(format!(
                    "disk '{id}' is compressed or in chunks as a file, which QEMU can't take"
                ));
            }
            let Some(member) = contents
                .members
                .iter()
                .find(|member| member.name.as_str() == file.href)
            else {
                return refuse(format!("{} is not in the package", file.href));
            };
            let backing = if in_archive {
                Backing {
                    file: absolute(path)?,
                    range: Some((member.offset, member.size)),
                }
            } else {
                let folder = path.parent().unwrap_or(Path::new("."));
                Backing {
                    file: absolute(&member.name.under(folder))?,
                    range: None,
                }
            };
            appliance.disks.push(ApplianceDisk { id, backing });
        }
        Ok(appliance)
    }

    /// The disks that the hardware refers to, in order.
    fn disk_ids(&self) -> Vec<String> {
        let ids = self
            .items(ResourceType::DISK)
            .filter_map(|item| match item.host_resource() {
                Some(HostResource::Disk(id)) => Some(id),
                _ => None,
            });
        ids.collect()
    }

    /// The machine's name.
    #[must_use]
    pub fn name(&self) -> String {
        let system = self.system();
        system
            .map(|system| system.name.as_deref().unwrap_or(&system.id).to_owned())
            .unwrap_or_default()
    }

    fn system(&self) -> Option<&VirtualSystem> {
        self.descriptor.systems().into_iter().next()
    }

    /// The devices of a kind, under the deployment option that applies where none is chosen.
    fn items(&self, kind: ResourceType) -> impl Iterator<Item = &Item> {
        let option = self.descriptor.default_option();
        let items = self
            .system()
            .map(|system| system.items_under(option))
            .unwrap_or_default();
        items
            .into_iter()
            .filter(move |item| item.resource_type == Some(kind))
    }

    /// Virtual CPUs, at least one.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        let count = self
            .items(ResourceType::PROCESSOR)
            .find_map(|item| item.virtual_quantity)
            .and_then(|count| u32::try_from(count).ok());
        count.unwrap_or(1).clamp(1, 64)
    }

    /// Memory in MiB; 512 where the descriptor says nothing that can be understood.
    #[must_use]
    pub fn memory_mib(&self) -> u64 {
        self.items(ResourceType::MEMORY)
            .find_map(|item| item.quantity_in_bytes().ok().flatten())
            .map(|bytes| bytes >> 20)
            .filter(|mib| (16..=1 << 20).contains(mib))
            .unwrap_or(512)
    }

    /// Network adapters.
    #[must_use]
    pub fn nics(&self) -> usize {
        self.items(ResourceType::ETHERNET).count().min(8)
    }

    /// Whether the descriptor asks for UEFI.
    #[must_use]
    pub fn wants_efi(&self) -> bool {
        let hardware = self.system().and_then(|system| system.hardware.first());
        hardware.is_some_and(|hardware| {
            hardware
                .config
                .iter()
                .any(|config| config.key == "firmware" && config.value == "efi")
        })
    }
}

/// QEMU resolves relative names from the layer's folder, not from ours.
fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path).map_err(Error::io(path, "resolve"))
}
