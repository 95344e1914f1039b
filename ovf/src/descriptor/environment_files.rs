//! EnvironmentFilesSection: files that the environment's medium carries beside the document (DSP0243 2.x, 9.11).

use super::element::{Faults, child_text, children, required};
use super::text::Text;
use crate::xml::{Element, Origin};

/// The files of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvironmentFiles {
    /// What the section is for.
    pub info: Text,
    /// The files.
    pub files: Vec<EnvironmentFile>,
    /// Where it was read.
    pub origin: Origin,
}

/// A file of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvironmentFile {
    /// The file of the References, by id.
    pub file_ref: String,
    /// Its path on the medium, below `/ovffiles`.
    pub path: String,
    /// Where it was read.
    pub origin: Origin,
}

impl EnvironmentFiles {
    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        EnvironmentFiles {
            info: child_text(element, "Info"),
            files: children(element, "File")
                .map(|file| EnvironmentFile {
                    file_ref: required(file, "fileRef", faults),
                    path: required(file, "path", faults),
                    origin: file.position().into(),
                })
                .collect(),
            origin: element.position().into(),
        }
    }
}
