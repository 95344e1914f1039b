//! What is known of an open image.

use std::path::{Path, PathBuf};

use crate::format::Format;
use crate::source::SECTOR;
use crate::{qcow2, vhd, vhdx, vmdk};

/// What is known of an image from its header. Sizes are in bytes.
///
/// How much of the disk is data, beneath it included, [`crate::source::Source::data_length`] tells: that reads all tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The image's file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Which kind of that format it is, such as `dynamic` or `version 3`; nothing for raw images.
    pub variant: String,
    /// The disk's size.
    pub virtual_size: u64,
    /// The file's length.
    pub file_length: u64,
    /// What the file system keeps for the file: its length less holes.
    pub allocated: u64,
    /// The unit in which space is given to the disk: a cluster, block or grain.
    pub cluster: Option<u64>,
    /// How units are compressed, where they are.
    pub compression: Option<&'static str>,
    /// What else there is to say, such as `dirty` or `snapshots`.
    pub flags: Vec<&'static str>,
    /// The raw file that holds the data, where that is not the image itself.
    pub data_file: Option<PathBuf>,
    /// The image beneath.
    pub backing: Option<Box<Description>>,
}

impl Description {
    pub(super) fn new(path: &Path, format: Format, file_length: u64, allocated: u64) -> Self {
        Self {
            path: path.to_owned(),
            format,
            variant: String::new(),
            virtual_size: 0,
            file_length,
            allocated,
            cluster: None,
            compression: None,
            flags: Vec::new(),
            data_file: None,
            backing: None,
        }
    }

    /// This image and those beneath it, from the top.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |above| above.backing.as_deref())
    }

    pub(super) fn qcow2(&mut self, header: &qcow2::Header) {
        self.variant = format!("version {}", header.version);
        self.cluster = Some(header.cluster());
        self.compression = Some(header.compression.as_str());
        let flags = [
            (header.dirty, "dirty"),
            (header.extended, "extended L2"),
            (header.snapshots > 0, "snapshots"),
            (header.bitmaps, "bitmaps"),
            (header.data_file.is_some(), "external data"),
            (header.raw_data, "raw data"),
        ];
        self.flags = flags
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, flag)| *flag)
            .collect();
    }

    pub(super) fn vhdx(&mut self, metadata: &vhdx::Metadata) {
        self.variant = if metadata.fixed { "fixed" } else { "dynamic" }.into();
        self.cluster = Some(metadata.block);
        if metadata.logical_sector != 512 {
            self.flags.push("sectors of 4096 bytes");
        }
    }

    pub(super) fn vmdk(&mut self, header: Option<&vmdk::Header>, descriptor: &vmdk::Descriptor) {
        self.cluster = header.map(|header| header.grain_sectors * SECTOR);
        self.variant.clone_from(&descriptor.create_type);
        self.compression = header.is_some_and(vmdk::Header::is_stream).then_some("zlib");
        if descriptor.parent.is_some() {
            self.flags.push("delta");
        }
    }

    pub(super) fn vhd(&mut self, footer: &vhd::Footer) {
        self.variant = match footer.form {
            vhd::Form::Fixed => "fixed",
            vhd::Form::Dynamic => "dynamic",
        }
        .into();
    }
}
