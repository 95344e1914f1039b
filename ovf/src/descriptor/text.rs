//! A text to be read by people, which may have translations (DSP0243 10.2: `ovf:msgid`).

use std::fmt;
use std::ops::Deref;

use super::attributes::Attributes;
use super::element::owned;
use crate::xml::{Element, Writer};

/// A text, and the name by which string bundles hold it in other languages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// The text as the descriptor has it: the one for every locale that no bundle is for.
    pub text: String,
    /// The message's name in the string bundles.
    pub msgid: Option<String>,
}

impl Text {
    pub(super) fn read(element: Element<'_>) -> Self {
        Text {
            text: element.text(),
            msgid: owned(element, "msgid").filter(|id| !id.is_empty()),
        }
    }

    pub(super) fn write(&self, name: &str, writer: &mut Writer) {
        let attributes = Attributes::new().maybe("ovf:msgid", self.msgid.as_ref());
        writer.text(name, &attributes.pairs(), &self.text);
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Text {
    /// As its text.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text { text, msgid: None }
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}
