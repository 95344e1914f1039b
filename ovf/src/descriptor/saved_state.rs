//! SavedStateSection, a section of our own namespace: the memory and devices of a machine that was running when it was packed.
//!
//! DSP0243 leaves room for such sections. It is a required one: a reader that doesn't know it must refuse the package, as whoever
//! boots from the disks alone has a machine as after a power cut.

use super::attributes::Attributes;
use super::element::{Faults, child_text, number, required};
use super::text::Text;
use crate::error::Kind;
use crate::xml::{Element, Origin, Writer};

/// The namespace of the section.
pub const SAVED_STATE: &str = "urn:vcc:ovf:saved-state:1";

/// A running machine's memory and devices, in the words of the platform that saved them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedState {
    /// What the section is for.
    pub info: Text,
    /// The file, by its id: a disk image whose first bytes are the state.
    pub file_ref: String,
    /// Bytes of the state; the image is longer by less than a sector or a grain.
    pub length: u64,
    /// Who saved it, and can go on with it, such as `libvirt-qemu`.
    pub platform: String,
    /// The machine as that platform told it.
    pub definition: String,
    /// Where it was read.
    pub origin: Origin,
}

impl SavedState {
    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        let definition = element
            .children()
            .find(|child| child.name().is(SAVED_STATE, "Definition"));
        if definition.is_none() {
            let reason = "SavedStateSection has no Definition".to_owned();
            faults.note(element.error(Kind::DescriptorElementMissing, reason));
        }
        required(element, "length", faults);
        SavedState {
            info: child_text(element, "Info"),
            file_ref: required(element, "fileRef", faults),
            length: number(element, "length", faults).unwrap_or_default(),
            platform: required(element, "platform", faults),
            definition: definition.map(Element::text).unwrap_or_default(),
            origin: element.position().into(),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let attributes = Attributes::new()
            .with("xmlns:vcc", SAVED_STATE)
            .with("ovf:required", true)
            .with("fileRef", &self.file_ref)
            .with("length", self.length)
            .with("platform", &self.platform);
        writer.element("vcc:SavedStateSection", &attributes.pairs(), |writer| {
            self.info.write("Info", writer);
            writer.text("vcc:Definition", &[], &self.definition);
        });
    }
}
