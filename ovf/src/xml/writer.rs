//! Writing documents from nothing: indented, escaped, the same bytes every time.

use super::character::{escape_attribute, escape_text, is_xml_char};
use crate::error::{Error, Kind};

/// Writes one document, element by element.
///
/// Names are the caller's own constants; every value is escaped. Elements with text stand on one line, so that no
/// white space is added to any text.
///
/// ```
/// let mut writer = ovf::xml::Writer::new();
/// writer.element("a", &[("id", "\"1\"")], |w| w.text("b", &[], "x < y"));
/// let bytes = writer.finish()?;
/// assert_eq!(
///     String::from_utf8_lossy(&bytes),
///     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a id=\"&quot;1&quot;\">\n  <b>x &lt; y</b>\n</a>\n"
/// );
/// # Ok::<(), ovf::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    out: String,
    depth: usize,
    /// The first character that no document can carry; writing goes on and [`Writer::finish`] refuses.
    illegal: Option<(String, char)>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A document that begins with the XML declaration.
    pub fn new() -> Self {
        Writer {
            out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            depth: 0,
            illegal: None,
        }
    }

    /// An element whose content `body` writes.
    pub fn element(&mut self, name: &str, attributes: &[(&str, &str)], body: impl FnOnce(&mut Writer)) {
        self.open(name, attributes);
        self.out.push_str(">\n");
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.indent();
        self.close(name);
    }

    /// An element that holds text alone.
    pub fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.out.push('>');
        self.note_illegal(name, text);
        escape_text(text, &mut self.out);
        self.close(name);
    }

    /// An element without content.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.open(name, attributes);
        self.out.push_str("/>\n");
    }

    /// The document's bytes.
    ///
    /// # Errors
    /// [`Kind::XmlCharacter`] if a value held a character that XML 1.0 cannot carry, such as NUL.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        match self.illegal {
            None => Ok(self.out.into_bytes()),
            Some((name, c)) => Err(Error::new(
                Kind::XmlCharacter,
                format!(
                    "character U+{:04X} in {name} cannot stand in an XML document",
                    u32::from(c)
                ),
            )),
        }
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        for (key, value) in attributes {
            self.note_illegal(key, value);
            self.out.push(' ');
            self.out.push_str(key);
            self.out.push_str("=\"");
            escape_attribute(value, &mut self.out);
            self.out.push('"');
        }
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push_str(">\n");
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn note_illegal(&mut self, place: &str, value: &str) {
        if self.illegal.is_none()
            && let Some(c) = value.chars().find(|c| !is_xml_char(*c))
        {
            self.illegal = Some((place.to_owned(), c));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_xml_cannot_carry_is_refused_by_name() {
        let mut writer = Writer::new();
        writer.text("Name", &[], "a\u{1}");
        let error = writer.finish().unwrap_err();
        assert_eq!(error.kind(), Kind::XmlCharacter);
        assert!(error.to_string().contains("U+0001 in Name"));
    }
}
