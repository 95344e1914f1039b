//! Strings: the descriptor's messages in other languages (DSP0243 10).

use super::Descriptor;
use super::element::{Faults, children, owned, required};
use super::text::Text;
use crate::error::{Error, Kind};
use crate::xml::{Document, Element, Origin, XML};

/// A bundle of messages in one language, in the descriptor or in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strings {
    /// Its language and region: `de-DE`.
    pub locale: String,
    /// The file that holds the messages, by id; those in the descriptor then are none.
    pub file_ref: Option<String>,
    /// The messages.
    pub messages: Vec<Message>,
    /// Where it was read.
    pub origin: Origin,
}

/// A message of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Its name.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Where it was read.
    pub origin: Origin,
}

impl Strings {
    /// Reads a bundle that stands in a file of its own: a document whose root is `Strings`.
    ///
    /// # Errors
    /// Those of [`Document::parse`]; [`Kind::DescriptorNamespace`] for another kind of document;
    /// [`Kind::DescriptorAttributeMissing`] for a message without name.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let document = Document::parse(bytes)?;
        let root = document.root();
        if root.local_name() != "Strings" || !super::element::is_envelope(root) {
            let reason = format!(
                "{} is not a bundle of strings",
                crate::error::quoted(root.local_name())
            );
            return Err(root.error(Kind::DescriptorNamespace, reason));
        }
        let mut faults = Faults::default();
        let strings = Self::read(root, &mut faults);
        faults.into_all().into_iter().next().map_or(Ok(strings), Err)
    }

    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        Strings {
            locale: element.attribute(XML, "lang").unwrap_or_default().to_owned(),
            file_ref: owned(element, "fileRef").filter(|reference| !reference.is_empty()),
            messages: children(element, "Msg")
                .map(|message| Message {
                    id: required(message, "msgid", faults),
                    text: message.text(),
                    origin: message.position().into(),
                })
                .collect(),
            origin: element.position().into(),
        }
    }

    fn message(&self, id: &str) -> Option<&str> {
        let message = self.messages.iter().find(|message| message.id == id)?;
        Some(&message.text)
    }
}

impl Descriptor {
    /// A text in the first of `locales` (`de-DE`, or `de` for any German) that a bundle has it in; otherwise as the
    /// descriptor has it. `external` are the bundles from files of their own, which the caller has read.
    pub fn localized<'a>(&'a self, text: &'a Text, locales: &[&str], external: &'a [Strings]) -> &'a str {
        let Some(id) = text.msgid.as_deref() else {
            return text;
        };
        for locale in locales {
            if is_for(self.locale.as_deref().unwrap_or("en-US"), locale) {
                return text;
            }
            let mut bundles = self.strings.iter().chain(external);
            if let Some(found) = bundles.find_map(|it| it.message(id).filter(|_| is_for(&it.locale, locale)))
            {
                return found;
            }
        }
        text
    }
}

/// Whether a text in `locale` serves somebody who asked for `wanted` (RFC 4647 3.3.1, basic filtering).
fn is_for(locale: &str, wanted: &str) -> bool {
    let longer = locale
        .get(wanted.len()..)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    longer
        && locale
            .get(..wanted.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(wanted))
}
