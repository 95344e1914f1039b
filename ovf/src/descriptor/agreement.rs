//! EulaSection and AnnotationSection: texts to be read by people (DSP0243 9.6, 9.4).

use super::element::child_text;
use super::text::Text;
use crate::xml::{Element, Origin, Writer};

/// A licence that must be agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Eula {
    /// What the section is for.
    pub info: Text,
    /// The licence.
    pub license: Text,
    /// Where it was read.
    pub origin: Origin,
}

/// A remark.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotation {
    /// What the section is for.
    pub info: Text,
    /// The remark.
    pub text: Text,
    /// Where it was read.
    pub origin: Origin,
}

impl Eula {
    pub(super) fn read(element: Element<'_>) -> Self {
        Eula {
            info: child_text(element, "Info"),
            license: child_text(element, "License"),
            origin: element.position().into(),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element("EulaSection", &[], |writer| {
            self.info.write("Info", writer);
            self.license.write("License", writer);
        });
    }
}

impl Annotation {
    pub(super) fn read(element: Element<'_>) -> Self {
        Annotation {
            info: child_text(element, "Info"),
            text: child_text(element, "Annotation"),
            origin: element.position().into(),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element("AnnotationSection", &[], |writer| {
            self.info.write("Info", writer);
            self.text.write("Annotation", writer);
        });
    }
}
