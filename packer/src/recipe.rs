//! The recipe: a TOML file that describes an appliance.
//!
//! Reading is strict. An unknown key, a value of the wrong shape, a property default outside its own type are refused
//! with file, line and column before anything is written. `docs/recipe.md` describes every key.

mod check;
mod size;
mod spot;

use std::path::{Path, PathBuf};

use ovf::descriptor::{PropertyType, Qualifiers};
use serde::Deserialize;
use toml::Spanned;

pub use size::ByteSize;
pub use spot::Spot;

use crate::error::{Error, Result};

/// A recipe that was read and checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// What the appliance is, as catalogs show it.
    pub product: Product,
    /// The one virtual machine of the appliance.
    pub system: System,
    /// Logical networks that the NICs connect to.
    #[serde(default)]
    pub network: Vec<Network>,
    /// Network adapters, in slot order.
    #[serde(default)]
    pub nic: Vec<Nic>,
    /// Disks, in controller order; the first is booted from.
    #[serde(default)]
    pub disk: Vec<Disk>,
    /// What whoever deploys the appliance may or must set.
    #[serde(default)]
    pub property: Vec<Property>,
    /// Licences to accept on import.
    #[serde(default)]
    pub eula: Vec<Spanned<Eula>>,
    /// Free text shown beside the virtual machine.
    pub annotation: Option<String>,
    /// Where Debian's packages are locked; needed by boot and state disks.
    pub debian: Option<Debian>,
    /// The folder that relative paths start from.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// `[product]`: the descriptor's ProductSection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Product {
    /// Display name.
    pub name: String,
    /// Who publishes it.
    pub vendor: String,
    /// Short version.
    pub version: String,
    /// Version with build detail.
    pub full_version: Option<String>,
    /// The product's page.
    pub url: Option<String>,
    /// The vendor's page.
    pub vendor_url: Option<String>,
}

/// `[system]`: the VirtualSystem.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct System {
    /// Identifier, also the base name of the package's members.
    pub id: Spanned<String>,
    /// Display name; the identifier if absent.
    pub name: Option<String>,
    /// Virtual CPUs.
    pub cpus: Spanned<u32>,
    /// Memory, in whole MiB.
    pub memory: Spanned<ByteSize>,
    /// What firmware the descriptor asks for.
    #[serde(default)]
    pub firmware: Firmware,
    /// The guest operating system.
    pub guest_os: GuestOs,
    /// Virtual hardware families, such as `vmx-13`.
    pub hardware: Spanned<Vec<String>>,
    /// What the disks hang on.
    #[serde(default)]
    pub controller: Controller,
    /// How the environment document reaches the guest.
    #[serde(default = "default_transport")]
    pub transport: Vec<Transport>,
}

/// Firmware of the virtual machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// PC BIOS.
    #[default]
    Bios,
    /// UEFI.
    Efi,
}

/// Disk controllers that a descriptor can ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// SATA; every hypervisor has it.
    #[default]
    Ahci,
    /// LSI Logic parallel SCSI.
    Lsilogic,
    /// LSI Logic SAS.
    #[serde(rename = "lsilogic-sas")]
    LsilogicSas,
    /// VMware paravirtual SCSI.
    Pvscsi,
    /// IDE, of four disks at the most.
    Ide,
    /// Virtio SCSI; QEMU has it, VMware has not.
    #[serde(rename = "virtio-scsi")]
    VirtioScsi,
    /// Virtio block devices; QEMU has them, VMware has not.
    #[serde(rename = "virtio-blk")]
    VirtioBlk,
}

/// How the environment document is handed over (DSP0243, environment transport).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Transport {
    /// A CD-ROM with `ovf-env.xml` in its root.
    #[serde(rename = "iso")]
    Iso,
    /// VMware's guest information channel.
    #[serde(rename = "com.vmware.guestInfo")]
    GuestInfo,
}

fn default_transport() -> Vec<Transport> {
    vec![Transport::Iso, Transport::GuestInfo]
}

/// `system.guest-os`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuestOs {
    /// CIM_OperatingSystem.OsType number.
    pub id: u16,
    /// Version of the operating system.
    pub version: Option<String>,
    /// Words for people.
    pub description: Option<String>,
    /// VMware's guest identifier, such as `debian12_64Guest`.
    pub vmware: Option<String>,
}

/// `[[network]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// The name that NICs and importers use.
    pub name: Spanned<String>,
    /// Words for people.
    #[serde(default)]
    pub description: String,
}

/// `[[nic]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Nic {
    /// The network it connects to.
    pub network: Spanned<String>,
    /// The adapter's model.
    #[serde(default)]
    pub model: NicModel,
}

/// Network adapters that a descriptor can ask for (ResourceSubType).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NicModel {
    /// Intel 82540; every hypervisor has it.
    #[default]
    E1000,
    /// Intel 82574L.
    E1000e,
    /// AMD PCnet.
    Pcnet32,
    /// VMware paravirtual.
    Vmxnet3,
    /// Virtio.
    Virtio,
}

/// `[[disk]]`: exactly one of `raw`, `image`, `boot` and `state`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Disk {
    /// Identifier; the member is called `SYSTEM-ID.vmdk`.
    pub id: Spanned<String>,
    /// A raw image to pack as it is.
    pub raw: Option<Spanned<PathBuf>>,
    /// A disk image of any format to pack.
    pub image: Option<Spanned<PathBuf>>,
    /// The folder in which images beneath `image` may lie.
    pub backing: Option<PathBuf>,
    /// A bootable disk to make.
    pub boot: Option<BootImage>,
    /// An empty ext4 disk to make.
    pub state: Option<StateImage>,
}

/// `[disk.boot]`: what a bootable disk is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BootImage {
    /// Debian package of the kernel and its modules.
    pub kernel: Spanned<String>,
    /// Modules wanted, with whatever they depend on; a name may be built in.
    pub modules: Vec<Spanned<String>>,
    /// Modules loaded at start whatever the hardware.
    #[serde(default)]
    pub always: Vec<Spanned<String>>,
    /// The static program that runs as `/init`.
    pub init: Spanned<PathBuf>,
    /// Cargo manifest of the workspace that built `init`, to list its crates in the bill of materials.
    pub init_manifest: Option<Spanned<PathBuf>>,
    /// The package of that workspace which holds `init`.
    pub init_package: Option<String>,
    /// More kernel command line.
    pub cmdline: Option<Spanned<String>>,
    /// Extra files of the initramfs.
    #[serde(default)]
    pub file: Vec<ExtraFile>,
}

/// `[[disk.boot.file]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExtraFile {
    /// Absolute path in the initramfs.
    pub path: Spanned<String>,
    /// Where its bytes come from.
    pub source: Spanned<PathBuf>,
    /// Whether it may be executed.
    #[serde(default)]
    pub executable: bool,
}

/// `[disk.state]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StateImage {
    /// Virtual size; the guest grows the file system when the disk is made larger.
    pub size: Spanned<ByteSize>,
    /// Volume label, at most 16 bytes.
    pub label: Spanned<String>,
}

/// `[[property]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Property {
    /// Key within the product section.
    pub key: Spanned<String>,
    /// Type, as the standard spells it (`string`, `boolean`, `uint16` ...).
    #[serde(rename = "type")]
    pub kind: Spanned<String>,
    /// Qualifiers, as the standard spells them (`MaxLen(63)`, `ValueMap{"a","b"}`).
    pub qualifiers: Option<Spanned<String>>,
    /// Value that holds where nothing is given.
    pub default: Option<Spanned<String>>,
    /// Short name for people.
    pub label: Option<String>,
    /// Words for people.
    pub description: Option<String>,
    /// Group that importers show it under.
    pub category: Option<String>,
    /// Whether importers may change it.
    #[serde(default = "yes")]
    pub user_configurable: bool,
    /// Whether the value is a secret.
    #[serde(default)]
    pub password: bool,
}

fn yes() -> bool {
    true
}

impl Property {
    /// The property as the descriptor has it.
    ///
    /// # Errors
    /// A malformed qualifier; [`Recipe::parse`] has refused it before.
    pub fn to_descriptor(&self) -> Result<ovf::descriptor::Property, ovf::Error> {
        let qualifiers = self.qualifiers.as_ref().map_or("", |text| text.get_ref());
        Ok(ovf::descriptor::Property {
            qualifiers: Qualifiers::parse(qualifiers)?,
            user_configurable: self.user_configurable,
            value: self.default.as_ref().map(|text| text.get_ref().clone()),
            password: self.password,
            category: self.category.clone().map(Into::into),
            label: self.label.clone().map(Into::into),
            description: self.description.clone().map(Into::into),
            ..ovf::descriptor::Property::new(self.key.get_ref(), PropertyType::parse(self.kind.get_ref()))
        })
    }
}

/// `[[eula]]`: exactly one of `text` and `file`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Eula {
    /// The text itself.
    pub text: Option<String>,
    /// A UTF-8 file that holds it.
    pub file: Option<Spanned<PathBuf>>,
}

/// `[debian]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Debian {
    /// The lock file that `ova lock` writes.
    pub lock: Spanned<PathBuf>,
}

/// A recipe larger than this is not a recipe.
const MAX_RECIPE_BYTES: u64 = 1 << 20;

impl Recipe {
    /// Reads and checks a recipe file, and that every file it names exists.
    ///
    /// # Errors
    /// The file can't be read, or anything in it is wrong: the error names line and column.
    pub fn open(path: &Path) -> Result<Self> {
        let (text, folder) = Self::read(path)?;
        let recipe = Self::parse(&text, path, &folder)?;
        recipe.check_files(&text, path)?;
        Ok(recipe)
    }

    /// Reads a recipe whose lock file needn't be there yet; gives the recipe and the place of that file.
    ///
    /// # Errors
    /// As [`Recipe::parse`]; or the recipe has no `[debian]`.
    pub fn open_for_lock(path: &Path) -> Result<(Self, PathBuf)> {
        let (text, folder) = Self::read(path)?;
        let recipe = Self::parse(&text, path, &folder)?;
        let lock = recipe
            .debian
            .as_ref()
            .map(|debian| recipe.resolve(debian.lock.get_ref()));
        let lock = lock.ok_or_else(|| Error::recipe(path, None, "nothing to lock: there is no [debian]"))?;
        Ok((recipe, lock))
    }

    fn read(path: &Path) -> Result<(String, PathBuf)> {
        let bytes = crate::input::read_bounded(path, MAX_RECIPE_BYTES)?;
        let text = String::from_utf8(bytes)
            .map_err(|error| Error::recipe(path, None, format!("not UTF-8: {}", error.utf8_error())))?;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok((text, folder.unwrap_or(Path::new(".")).to_owned()))
    }

    /// Reads and checks a recipe's text; `path` is for errors only, and no file is opened.
    ///
    /// # Errors
    /// As [`Recipe::open`], short of the files it names.
    pub fn parse(text: &str, path: &Path, folder: &Path) -> Result<Self> {
        let mut recipe: Self = toml::from_str(text).map_err(|error| {
            let spot = error.span().map(|span| Spot::of(text, span.start));
            Error::recipe(path, spot, error.message().to_owned())
        })?;
        recipe.folder = folder.to_owned();
        check::check(&recipe).map_err(|fault| fault.at(text, path))?;
        Ok(recipe)
    }

    /// A path of the recipe, taken from the recipe's folder.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    fn check_files(&self, text: &str, path: &Path) -> Result<()> {
        for named in self.named_files() {
            let file = self.resolve(named.get_ref());
            if let Err(error) = std::fs::File::open(&file).and_then(|file| file.metadata()) {
                let spot = Spot::of(text, named.span().start);
                return Err(Error::recipe(
                    path,
                    Some(spot),
                    format!("{}: {error}", file.display()),
                ));
            }
        }
        Ok(())
    }

    fn named_files(&self) -> impl Iterator<Item = &Spanned<PathBuf>> {
        let disks = self.disk.iter().flat_map(|disk| {
            let boot = disk.boot.iter().flat_map(|boot| {
                std::iter::once(&boot.init)
                    .chain(&boot.init_manifest)
                    .chain(boot.file.iter().map(|file| &file.source))
            });
            disk.raw.iter().chain(&disk.image).chain(boot)
        });
        let eulas = self.eula.iter().filter_map(|eula| eula.get_ref().file.as_ref());
        disks
            .chain(eulas)
            .chain(self.debian.iter().map(|debian| &debian.lock))
    }
}

#[cfg(test)]
mod tests;
