//! Changing a document: one attribute's value, one element's text, and every other byte stays.
//!
//! A change is laid over the bytes that were read, not written into them. So a value that is set back to what it was
//! takes its change away, and the document renders as it was read: quotes, references and white space included.

use std::collections::BTreeMap;
use std::ops::Range;

use super::character::{escape_attribute, escape_text, is_xml_char};
use super::{Attribute, BOM, Content, Document, Element, ElementData, Name, NodeId, XML, XMLNS};
use crate::error::{Error, Kind, quoted};

/// The changes to a document: the bytes that each replaces, and by what; those in a tag come before that of a text at
/// the same place.
pub(super) type Changes = BTreeMap<(usize, Part), (Range<usize>, String)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Tag,
    Text,
}

impl Document {
    /// Sets an attribute of an element; one that is not there is added after the others.
    ///
    /// `namespace` is empty for an attribute without one. An added attribute takes the prefix that the namespace has at
    /// the element.
    ///
    /// # Errors
    /// [`Kind::XmlCharacter`] for a value that XML cannot carry; [`Kind::XmlNamespace`] where the namespace of an added
    /// attribute has no prefix; [`Kind::XmlEdit`] for a node that is no element, and for a namespace declaration.
    pub fn set_attribute(
        &mut self,
        element: NodeId,
        namespace: &str,
        local: &str,
        value: &str,
    ) -> Result<(), Error> {
        let at = self.editable(element, namespace, local, value)?;
        let name = Name {
            namespace: (!namespace.is_empty()).then(|| namespace.into()),
            local: local.to_owned(),
            prefix: match (namespace, at.prefix_of(namespace)) {
                ("", _) => None,
                (_, Some(prefix)) => Some(prefix.to_owned()),
                (_, None) if at.attribute(namespace, local).is_some() => None,
                (_, None) => {
                    let reason = format!("no prefix is declared for {}", quoted(namespace));
                    return Err(at.error(Kind::XmlNamespace, reason));
                }
            },
        };
        if let Some(data) = self.element_mut(element) {
            data.set(name, value);
        }
        self.lay_tag(element);
        Ok(())
    }

    /// Takes an attribute away; one that is not there stays away.
    ///
    /// # Errors
    /// [`Kind::XmlEdit`] as for [`Document::set_attribute`].
    pub fn remove_attribute(&mut self, element: NodeId, namespace: &str, local: &str) -> Result<(), Error> {
        self.editable(element, namespace, local, "")?;
        if let Some(data) = self.element_mut(element) {
            data.remove(namespace, local);
        }
        self.lay_tag(element);
        Ok(())
    }

    /// Sets the text of an element that holds no other element. While it is another than was read, comments in it are
    /// gone.
    ///
    /// # Errors
    /// [`Kind::XmlCharacter`] for a text that XML cannot carry; [`Kind::XmlEdit`] for a node that is no element, or one
    /// with elements in it.
    pub fn set_text(&mut self, element: NodeId, text: &str) -> Result<(), Error> {
        let at = self.editable(element, "", "text", text)?;
        if at.children().next().is_some() {
            return Err(at.error(Kind::XmlEdit, "the element holds others and not a text alone"));
        }
        let (tag, span) = (at.start_tag(), at.node().span());
        let changed = (at.text_as_read() != text).then(|| text.to_owned());
        let (inside, new) = self.inside(tag, span, text);
        let key = (inside.start, Part::Text);
        if changed.is_some() {
            self.changes.insert(key, (inside, new));
        } else {
            self.changes.remove(&key);
        }
        if let Some(data) = self.element_mut(element) {
            data.text = changed;
        }
        Ok(())
    }

    /// Whether anything is other than it was read.
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The document's bytes: those it was read from, but for what was changed.
    pub fn render(&self) -> Vec<u8> {
        let mut bytes = if self.bom { BOM.to_vec() } else { Vec::new() };
        let text = self.text.as_bytes();
        let mut done = 0;
        for (range, new) in self.changes.values() {
            bytes.extend_from_slice(text.get(done..range.start).unwrap_or_default());
            bytes.extend_from_slice(new.as_bytes());
            done = range.end;
        }
        bytes.extend_from_slice(text.get(done..).unwrap_or_default());
        bytes
    }

    fn editable(&self, id: NodeId, namespace: &str, local: &str, value: &str) -> Result<Element<'_>, Error> {
        let Some(Content::Element(_)) = self.data(id).map(|data| &data.content) else {
            return Err(Error::new(Kind::XmlEdit, "the node is no element"));
        };
        let element = Element { document: self, id };
        if namespace == XMLNS || local.is_empty() {
            return Err(element.error(Kind::XmlEdit, "a namespace declaration is not to be changed"));
        }
        match value.chars().find(|c| !is_xml_char(*c)) {
            None => Ok(element),
            Some(c) => Err(element.error(
                Kind::XmlCharacter,
                format!(
                    "character U+{:04X} in {local} cannot stand in an XML document",
                    u32::from(c)
                ),
            )),
        }
    }

    fn element_mut(&mut self, id: NodeId) -> Option<&mut ElementData> {
        match &mut self.nodes.get_mut(id.0 as usize)?.content {
            Content::Element(data) => Some(data),
            _ => None,
        }
    }

    /// The bytes between an element's tags, and what they become for `text`; of an empty-element tag its end.
    fn inside(&self, tag: Range<usize>, span: Range<usize>, text: &str) -> (Range<usize>, String) {
        let mut escaped = String::new();
        escape_text(text, &mut escaped);
        let source = self.text.get(tag.clone()).unwrap_or_default();
        if source.ends_with("/>") {
            let name = source.trim_start_matches('<');
            let name = name
                .split([' ', '\t', '\n', '\r', '/'])
                .next()
                .unwrap_or_default();
            return (tag.end - 2..tag.end, format!(">{escaped}</{name}>"));
        }
        let whole = self.text.get(span.clone()).unwrap_or_default();
        let end = whole.rfind("</").map_or(span.end, |at| span.start + at);
        (tag.end..end, escaped)
    }

    /// Lays the changes of a start tag anew.
    fn lay_tag(&mut self, id: NodeId) {
        let Some(Content::Element(data)) = self.nodes.get(id.0 as usize).map(|node| &node.content) else {
            return;
        };
        let tag = data.start_tag.clone();
        let mut changes = Vec::new();
        let mut added = String::new();
        for attribute in &data.attributes {
            match &attribute.read {
                Some(read) if *read == attribute.value => {}
                Some(_) => {
                    let mut value = String::new();
                    escape_attribute(&attribute.value, &mut value);
                    changes.push((attribute.value_span.clone(), value));
                }
                None => attribute.spell(&mut added),
            }
        }
        for attribute in &data.removed {
            changes.push((self.whole_attribute(attribute), String::new()));
        }
        if !added.is_empty() {
            let source = self.text.get(tag.clone()).unwrap_or_default();
            let inner = source.trim_end_matches('>').trim_end_matches('/').trim_end();
            let end = tag.start + inner.len();
            changes.push((end..end, added));
        }
        let old: Vec<_> = self
            .changes
            .range((tag.start, Part::Tag)..(tag.end, Part::Tag))
            .map(|(key, _)| *key)
            .filter(|(_, part)| *part == Part::Tag)
            .collect();
        for key in old {
            self.changes.remove(&key);
        }
        for (range, new) in changes {
            self.changes.insert((range.start, Part::Tag), (range, new));
        }
    }

    /// The bytes of an attribute that was read, with the white space before it.
    fn whole_attribute(&self, attribute: &Attribute) -> Range<usize> {
        let value = attribute.value_span.clone();
        let before = self.text.get(..value.start - 1).unwrap_or_default();
        let name = before.trim_end().trim_end_matches('=').trim_end();
        let start = name
            .trim_end_matches(|c: char| !c.is_ascii_whitespace())
            .trim_end()
            .len();
        start..value.end + 1
    }
}

impl Element<'_> {
    /// The prefix of a namespace at this element.
    fn prefix_of(&self, namespace: &str) -> Option<&str> {
        if namespace == XML {
            return Some("xml");
        }
        let mut hidden = Vec::new();
        let mut at = Some(*self);
        while let Some(element) = at {
            for it in element
                .attributes()
                .iter()
                .filter(|it| it.name.namespace.as_deref() == Some(XMLNS))
            {
                let Some("xmlns") = it.name.prefix.as_deref() else {
                    continue;
                };
                if it.value == namespace && !hidden.contains(&it.name.local.as_str()) {
                    return Some(&it.name.local);
                }
                hidden.push(&it.name.local);
            }
            at = element.parent();
        }
        None
    }
}

impl Attribute {
    fn is(&self, namespace: &str, local: &str) -> bool {
        self.name.local == local && self.name.namespace.as_deref().unwrap_or("") == namespace
    }

    fn spell(&self, out: &mut String) {
        out.push(' ');
        if let Some(prefix) = &self.name.prefix {
            out.push_str(prefix);
            out.push(':');
        }
        out.push_str(&self.name.local);
        out.push_str("=\"");
        escape_attribute(&self.value, out);
        out.push('"');
    }
}

impl ElementData {
    fn set(&mut self, name: Name, value: &str) {
        let (namespace, local) = (
            name.namespace.as_deref().unwrap_or("").to_owned(),
            name.local.clone(),
        );
        let removed = self.removed.iter().position(|it| it.is(&namespace, &local));
        if let Some(place) = removed {
            let back = self.removed.remove(place);
            let place = self
                .attributes
                .iter()
                .position(|it| it.read.is_none() || it.value_span.start > back.value_span.start);
            self.attributes
                .insert(place.unwrap_or(self.attributes.len()), back);
        }
        match self.attributes.iter_mut().find(|it| it.is(&namespace, &local)) {
            Some(attribute) => value.clone_into(&mut attribute.value),
            None => self.attributes.push(Attribute {
                name,
                value: value.to_owned(),
                value_span: 0..0,
                read: None,
            }),
        }
    }

    fn remove(&mut self, namespace: &str, local: &str) {
        if let Some(place) = self.attributes.iter().position(|it| it.is(namespace, local)) {
            let attribute = self.attributes.remove(place);
            if attribute.read.is_some() {
                self.removed.push(attribute);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\u{feff}<?xml version='1.0'?>\r\n<!-- a -->\n<o:a xmlns:o='urn:o' o:x = 'tw&#111;'  y=\"\"\n>\
                          <b/><c z='1' /><d>t&#101;xt<!-- gone --></d></o:a>\n";

    fn child(document: &Document, name: &str) -> NodeId {
        let root = document.root();
        let mut children = root.children();
        children
            .find(|child| child.local_name() == name)
            .unwrap()
            .node()
            .id()
    }

    fn text(document: &Document) -> String {
        String::from_utf8(document.render()).unwrap()
    }

    #[test]
    fn a_value_set_and_set_back_leaves_no_trace() {
        let mut document = Document::parse(SOURCE.as_bytes()).unwrap();
        let root = document.root().node().id();
        document.set_attribute(root, "urn:o", "x", "a\"<b>").unwrap();
        document.set_attribute(root, "", "y", "1").unwrap();
        document.set_attribute(root, "urn:o", "new", "n").unwrap();
        let changed = text(&document);
        assert!(
            changed.contains("o:x = 'a&quot;&lt;b&gt;'  y=\"1\" o:new=\"n\"\n>"),
            "{changed}"
        );
        let again = Document::parse(changed.as_bytes()).unwrap();
        assert_eq!(again.root().attribute("urn:o", "x"), Some("a\"<b>"));
        assert_eq!(document.root().attribute("urn:o", "x"), Some("a\"<b>"));

        document.set_attribute(root, "urn:o", "x", "two").unwrap();
        document.set_attribute(root, "", "y", "").unwrap();
        assert!(document.is_changed());
        document.remove_attribute(root, "urn:o", "new").unwrap();
        assert!(!document.is_changed());
        assert_eq!(text(&document), SOURCE);
    }

    #[test]
    fn an_attribute_taken_away_comes_back_in_its_place() {
        let mut document = Document::parse(SOURCE.as_bytes()).unwrap();
        let root = document.root().node().id();
        document.set_attribute(root, "urn:o", "x", "other").unwrap();
        document.remove_attribute(root, "urn:o", "x").unwrap();
        assert_eq!(document.root().attribute("urn:o", "x"), None);
        assert!(
            text(&document).contains("<o:a xmlns:o='urn:o'  y=\"\"\n>"),
            "{}",
            text(&document)
        );
        document.set_attribute(root, "urn:o", "x", "two").unwrap();
        assert_eq!(text(&document), SOURCE);
    }

    #[test]
    fn texts_are_set_in_elements_of_every_spelling() {
        let mut document = Document::parse(SOURCE.as_bytes()).unwrap();
        let (b, c, d) = (
            child(&document, "b"),
            child(&document, "c"),
            child(&document, "d"),
        );
        document.set_text(b, "one").unwrap();
        document.set_attribute(b, "", "k", "v").unwrap();
        document.set_text(c, "two").unwrap();
        document.set_text(d, "<3>").unwrap();
        let changed = text(&document);
        assert!(
            changed.contains("<b k=\"v\">one</b><c z='1' >two</c><d>&lt;3&gt;</d>"),
            "{changed}"
        );
        let element = document.root().children().last().unwrap();
        assert_eq!(element.text(), "<3>");
        for (id, old) in [(b, ""), (c, ""), (d, "text")] {
            document.set_text(id, old).unwrap();
        }
        document.remove_attribute(b, "", "k").unwrap();
        assert_eq!(text(&document), SOURCE);
    }

    #[test]
    fn what_cannot_be_changed_is_refused_and_stays() {
        let mut document = Document::parse(SOURCE.as_bytes()).unwrap();
        let root = document.root().node().id();
        let kind = |result: Result<(), Error>| result.unwrap_err().kind();
        assert_eq!(kind(document.set_text(root, "x")), Kind::XmlEdit);
        assert_eq!(kind(document.set_attribute(root, XMLNS, "o", "x")), Kind::XmlEdit);
        assert_eq!(
            kind(document.set_attribute(root, "urn:p", "o", "x")),
            Kind::XmlNamespace
        );
        assert_eq!(
            kind(document.set_attribute(root, "", "y", "\u{1}")),
            Kind::XmlCharacter
        );
        assert_eq!(text(&document), SOURCE);
    }
}
