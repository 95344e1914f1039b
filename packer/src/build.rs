//! A recipe becomes a package: every disk is read once, compressed, hashed and written where it stays.

mod description;

use std::io::{BufWriter, Seek, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use image::source::{EagerFile, RawFile, Source};
use image::vmdk::{self, Level};
use ovf::certificate::Signer;
use ovf::manifest::DigestAlgorithm;
use ovf::package::{MemberName, ova};

use crate::boot_disk;
use crate::debian::{Cache, KERNEL_LICENCE, Lock, TOOLS};
use crate::error::{Error, Result};
use crate::output::{Output, write_whole};
use crate::piped::Measured;
use crate::recipe::{Disk, Recipe};
use crate::sbom::{self, Component};
use crate::state_disk::{self, StateDisk};
use description::PackedDisk;
use image::guid::Guid;

/// A build whose inputs are all there and checked.
pub struct Plan<'a> {
    recipe: &'a Recipe,
    signer: Option<Signer>,
    eulas: Vec<String>,
    disks: Vec<PlannedDisk>,
    state: Option<PlannedState>,
    components: Vec<Component>,
    level: Level,
    /// Whether a bill of materials is written.
    listed: bool,
}

struct PlannedDisk {
    id: String,
    member: MemberName,
    source: Box<dyn Source>,
    seed: Guid,
    /// Holds the temporary file that `source` reads.
    _state: Option<StateDisk>,
}

/// What a machine was doing when it was taken out.
struct PlannedState {
    /// The image that holds it.
    image: PlannedDisk,
    platform: String,
    definition: String,
}

/// Which pass over the disks it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The only one.
    Only,
    /// The first of two, for the sizes.
    First,
    /// The second of two.
    Second,
}

/// What was written.
struct Archive {
    /// The disks' members.
    files: Vec<ova::WrittenMember>,
    bytes: u64,
}

/// How far the build is.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The pass over the disks.
    pub pass: Pass,
    /// The disk being packed.
    pub disk: &'a str,
    /// Bytes of its data that were read.
    pub done: u64,
    /// Bytes of data that it has.
    pub total: u64,
}

/// What was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Length of the package in bytes.
    pub bytes: u64,
    /// Whether it has a certificate.
    pub signed: bool,
    /// Where the bill of materials is; none of a package whose disks are images that we know nothing about.
    pub bill_of_materials: Option<PathBuf>,
    /// The disks' members.
    pub members: Vec<BuiltMember>,
}

/// A disk in the package.
#[derive(Debug, Clone)]
pub struct BuiltMember {
    /// Member name.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// The cores of this machine. Who packs and unpacks disks takes no more of them than are of use.
#[must_use]
pub fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

impl<'a> Plan<'a> {
    /// Gathers and makes all inputs; writes nothing but to the package cache and temporary files.
    ///
    /// # Errors
    /// Anything that the recipe names is missing or wrong.
    pub fn new(recipe: &'a Recipe, signer: Option<Signer>) -> Result<Self> {
        let eulas = description::eula_texts(recipe)?;
        let mut plan = Self {
            recipe,
            signer,
            eulas,
            disks: Vec::new(),
            state: None,
            components: Vec::new(),
            level: Level::Default,
            listed: true,
        };
        let inputs = match &recipe.debian {
            Some(debian) => Some((
                Lock::open(&recipe.resolve(debian.lock.get_ref()))?,
                Cache::of_user()?,
            )),
            None => None,
        };
        for disk in &recipe.disk {
            plan.add_disk(disk, inputs.as_ref())?;
        }
        if let Some((lock, _)) = inputs.filter(|_| recipe.disk.iter().any(|disk| disk.raw.is_none())) {
            plan.add_packages(&lock)?;
        }
        Ok(plan)
    }

    /// A plan whose disks are read from what is given, in the recipe's order, and not from what it names.
    ///
    /// # Errors
    /// As [`Plan::new`]; the recipe has another number of disks.
    pub fn of_sources(
        recipe: &'a Recipe,
        signer: Option<Signer>,
        sources: Vec<Box<dyn Source>>,
    ) -> Result<Self> {
        let mut plan = Self {
            recipe,
            signer,
            eulas: description::eula_texts(recipe)?,
            disks: Vec::new(),
            state: None,
            components: Vec::new(),
            level: Level::Default,
            listed: false,
        };
        if sources.len() != recipe.disk.len() {
            return Err(Error::Usage("a disk for each of the recipe's".to_owned()));
        }
        for (disk, source) in recipe.disk.iter().zip(sources) {
            let planned = plan.planned(disk.id.get_ref(), source, None)?;
            plan.disks.push(planned);
        }
        Ok(plan)
    }

    fn planned(&self, id: &str, source: Box<dyn Source>, state: Option<StateDisk>) -> Result<PlannedDisk> {
        let system = self.recipe.system.id.get_ref();
        Ok(PlannedDisk {
            id: id.to_owned(),
            member: MemberName::parse(&format!("{system}-{id}.vmdk"))?,
            source,
            seed: seed(self.recipe, id),
            _state: state,
        })
    }

    /// The same, of a machine that was running.
    ///
    /// # Errors
    /// The recipe has a disk called `memory`.
    pub fn running(mut self, state: vdc::manager::ExportedState) -> Result<Self> {
        if self.disks.iter().any(|disk| disk.id == MEMORY) {
            return Err(Error::Usage(format!(
                "a disk can't be called '{MEMORY}' beside a saved state"
            )));
        }
        self.state = Some(PlannedState {
            image: self.planned(MEMORY, state.source, None)?,
            platform: state.platform.to_owned(),
            definition: state.definition,
        });
        Ok(self)
    }

    /// All that is packed, in its order.
    fn images(&self) -> impl Iterator<Item = &PlannedDisk> {
        self.disks
            .iter()
            .chain(self.state.as_ref().map(|state| &state.image))
    }

    /// The same, compressing this hard.
    #[must_use]
    pub fn at_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The same without a bill of materials: of images that other people made nobody here knows what they hold.
    #[must_use]
    pub fn unlisted(self) -> Self {
        Self {
            listed: false,
            ..self
        }
    }

    fn add_disk(&mut self, disk: &Disk, inputs: Option<&(Lock, Cache)>) -> Result<()> {
        let (recipe, id) = (self.recipe, disk.id.get_ref());
        let seed = seed(recipe, id);
        let planned = |plan: &mut Self, source, state| -> Result<()> {
            let planned = plan.planned(id, source, state)?;
            plan.disks.push(planned);
            Ok(())
        };
        if let Some(raw) = &disk.raw {
            let raw = RawFile::open(&recipe.resolve(raw.get_ref()))?;
            return planned(self, Box::new(raw), None);
        }
        if let Some(image) = &disk.image {
            let options = image::open::Options {
                folder: disk.backing.as_deref().map(|folder| recipe.resolve(folder)),
                ..image::open::Options::default()
            };
            let image = image::open(&recipe.resolve(image.get_ref()), &options)?;
            return planned(self, Box::new(image), None);
        }
        let (lock, cache) = inputs.ok_or_else(|| Error::Usage(format!("disk '{id}' needs [debian] lock")))?;
        if let Some(boot) = &disk.boot {
            let made = boot_disk::make(recipe, boot, &seed, lock, cache)?;
            planned(self, Box::new(made.disk), None)?;
            let files = made
                .files
                .into_iter()
                .map(|(name, sha256)| Component::File { name, sha256 });
            self.components.extend(files);
            if let Some(manifest) = &boot.init_manifest {
                let package = boot.init_package.as_deref().unwrap_or("init");
                let crates = sbom::crates_of(&recipe.resolve(manifest.get_ref()), package)?;
                self.components.extend(crates.into_iter().map(Component::Crate));
            }
        } else if let Some(state) = &disk.state {
            let made = state_disk::make(state, &seed, lock, cache)?;
            planned(self, Box::new(RawFile::open(&made.path())?), Some(made))?;
        }
        Ok(())
    }

    fn add_packages(&mut self, lock: &Lock) -> Result<()> {
        let kernels = self.recipe.disk.iter().filter_map(|disk| disk.boot.as_ref());
        let mut components = Vec::new();
        for boot in kernels {
            let package = lock.get(boot.kernel.get_ref())?.clone();
            components.push(Component::Debian {
                package,
                licence: KERNEL_LICENCE,
                shipped: true,
                changed: None,
            });
        }
        for tool in TOOLS {
            let package = lock.get(tool.name)?.clone();
            components.push(Component::Debian {
                package,
                licence: tool.licence,
                shipped: tool.shipped,
                changed: tool.changed,
            });
        }
        components.append(&mut self.components);
        self.components = components;
        Ok(())
    }

    /// Writes the package and its bill of materials; either appears whole or not at all.
    ///
    /// # Errors
    /// A disk can't be read, or the output can't be written.
    pub fn write(&self, path: &Path, progress: &mut dyn FnMut(Step<'_>)) -> Result<Built> {
        let bill_of_materials = path.with_extension("cdx.json");
        if bill_of_materials == path {
            return Err(Error::Usage(format!(
                "{}: the package can't be called that",
                path.display()
            )));
        }
        let mut output = Output::create(path)?;
        let archive = self.write_archive(EagerFile::new(output.file()), Pass::Only, progress)?;
        let product = &self.recipe.product;
        let bom = sbom::render(
            &product.name,
            &product.vendor,
            &product.version,
            self.recipe.system.id.get_ref(),
            &self.components,
        );
        output.commit()?;
        let bill_of_materials = self.listed.then_some(bill_of_materials);
        if let Some(path) = &bill_of_materials {
            write_whole(path, &bom)?;
        }
        Ok(self.built(&archive, bill_of_materials))
    }

    /// Writes the package to what cannot seek, such as a pipe, without a bill of materials. Every disk is read and compressed
    /// twice, for its size goes before it. The bytes are those of [`Plan::write`].
    ///
    /// # Errors
    /// As [`Plan::write`]; what was written by then is not to be used.
    pub fn write_to_pipe(&self, out: impl Write, progress: &mut dyn FnMut(Step<'_>)) -> Result<Built> {
        let mut measured = Measured::default();
        let archive = self.write_archive(&mut measured, Pass::First, progress)?;
        let mut emitted = measured.emit(out);
        let mut again = ova::Writer::create(&mut emitted, self.layout()?)?;
        for disk in self.images() {
            disk.pack(self.level, &mut again, Pass::Second, progress)?;
        }
        if again.files() != archive.files {
            let reason = "a disk has changed between the two passes: what was written is to be thrown away";
            return Err(Error::Refused(reason.to_owned()));
        }
        emitted
            .finish()
            .map_err(Error::io(Path::new("the pipe"), "write"))?;
        Ok(self.built(&archive, None))
    }

    fn built(&self, archive: &Archive, bill_of_materials: Option<PathBuf>) -> Built {
        let members = archive.files.iter().map(|file| BuiltMember {
            name: file.name.to_string(),
            bytes: file.size,
        });
        Built {
            bytes: archive.bytes,
            signed: self.signer.is_some(),
            bill_of_materials,
            members: members.collect(),
        }
    }

    /// Sizes are known only when the disks are packed: the descriptor's place is kept for the longest they can make it.
    fn layout(&self) -> Result<ova::Layout<'_>> {
        let largest: Vec<PackedDisk> = self.images().map(PlannedDisk::largest).collect();
        Ok(ova::Layout {
            base_name: self.recipe.system.id.get_ref().clone(),
            files: self.images().map(|disk| disk.member.clone()).collect(),
            descriptor_len: self.describe(&largest)?.len() as u64,
            algorithm: DigestAlgorithm::Sha256,
            signer: self.signer.as_ref(),
            mtime: 0,
        })
    }

    fn write_archive<W: Write + Seek>(
        &self,
        out: W,
        pass: Pass,
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<Archive> {
        let mut archive = ova::Writer::create(out, self.layout()?)?;
        let mut packed = Vec::new();
        for disk in self.images() {
            packed.push(disk.pack(self.level, &mut archive, pass, progress)?);
        }
        let files = archive.files().to_vec();
        let written = archive.finish(self.describe(&packed)?)?;
        Ok(Archive {
            files,
            bytes: written.size,
        })
    }

    fn describe(&self, images: &[PackedDisk]) -> Result<Vec<u8>> {
        let (disks, memory) = images.split_at(self.disks.len());
        let mut descriptor = description::describe(self.recipe, &self.eulas, disks)?;
        if let (Some(state), [memory]) = (&self.state, memory) {
            description::describe_state(&mut descriptor, state, memory);
        }
        match descriptor.check_references().into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(descriptor.render()?),
        }
    }
}

/// What a disk's own numbers are derived from.
fn seed(recipe: &Recipe, disk: &str) -> Guid {
    Guid::derive(format!("{}\n{disk}", recipe.system.id.get_ref()).as_bytes())
}

/// What the image of a saved state is called, in place of a disk's id.
const MEMORY: &str = "memory";

/// Compressed grains are written in pieces of about this many bytes.
const BUFFER: usize = 1 << 20;

impl PlannedDisk {
    fn largest(&self) -> PackedDisk {
        let (member, id) = (self.member.to_string(), self.id.clone());
        PackedDisk {
            id,
            member,
            capacity: u64::MAX,
            populated: u64::MAX,
            size: u64::MAX,
        }
    }

    fn pack<W: Write + Seek>(
        &self,
        level: Level,
        archive: &mut ova::Writer<'_, W>,
        pass: Pass,
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<PackedDisk> {
        let [a, b, c, d, ..] = *self.seed.child("content").as_bytes();
        let options = vmdk::Options {
            level,
            threads: cores(),
            // The two highest values mean "changed" and "none" to VMware's tools.
            content_id: Some(u32::from_le_bytes([a, b, c, d]) & 0x7fff_ffff),
            file_name: self.member.to_string(),
            ..vmdk::Options::default()
        };
        let mut member = BufWriter::with_capacity(BUFFER, archive.next_member()?);
        let written = vmdk::write(self.source.as_ref(), &mut member, &options, &mut |at| {
            progress(Step {
                pass,
                disk: self.member.as_str(),
                done: at.done,
                total: at.total,
            });
        })?;
        let member = member
            .into_inner()
            .map_err(|error| Error::io(Path::new(self.member.as_str()), "write")(error.into_error()))?;
        let member = member.finish()?;
        Ok(PackedDisk {
            id: self.id.clone(),
            member: member.name.to_string(),
            capacity: written.capacity,
            populated: written.populated,
            size: member.size,
        })
    }
}
