//! EulaSection and AnnotationSection: texts to be read by people (DSP0243 9.6, 9.4).

use super::element::child_text;
use crate::xml::{Element, Origin, Writer};

/// A licence that must be agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Eula {
    /// What the section is for.
    pub info: String,
    /// The licence.
    pub license: String,
    /// Where it was read.
    pub origin: Origin,
}

/// A remark.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotation {
    /// What the section is for.
    pub info: String,
    /// The remark.
    pub text: String,
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
            writer.text("Info", &[], &self.info);
            writer.text("License", &[], &self.license);
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
            writer.text("Info", &[], &self.info);
            writer.text("Annotation", &[], &self.text);
        });
    }
}
