//! From bytes to the tree: quick-xml finds the markup, this checks what it leaves open and resolves names.

use std::collections::BTreeMap;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::errors::{Error as XmlError, IllFormedError};
use quick_xml::events::Event;

use super::character::{attribute_value, fold_line_ends, is_qualified_name, is_xml_char, resolve_reference};
use super::fault::{Fault, entity, limit, malformed};
use super::position::Lines;
use super::scope::Scope;
use super::tag::{attributes, refuse_twins};
use super::{Attribute, BOM, Content, Document, ElementData, Limits, Name, NodeData, NodeId};
use crate::error::{Error, Kind, quoted};

pub(super) fn document(bytes: &[u8], limits: Limits) -> Result<Document, Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::new(
            Kind::XmlLimit,
            format!(
                "the document has {} bytes, the limit is {}",
                bytes.len(),
                limits.bytes
            ),
        ));
    }
    let (bom, bytes) = match bytes.strip_prefix(BOM) {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Error::new(Kind::XmlMalformed, "the document is not UTF-8").at_offset(error.valid_up_to() as u64)
    })?;
    let lines = Lines::of(text);
    let mut builder = Builder::new(text, limits);
    let root = builder.run().map_err(|fault| {
        let shift = if bom { BOM.len() } else { 0 };
        Error::new(fault.kind, fault.reason).at(lines.position(text, fault.offset, shift))
    })?;
    let Builder { nodes, top, .. } = builder;
    Ok(Document {
        text: text.to_owned(),
        bom,
        lines,
        nodes,
        top,
        root,
        changes: BTreeMap::new(),
    })
}

struct Builder<'t> {
    text: &'t str,
    limits: Limits,
    nodes: Vec<NodeData>,
    top: Vec<NodeId>,
    root: Option<NodeId>,
    open: Vec<NodeId>,
    scope: Scope<'t>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, limits: Limits) -> Self {
        Builder {
            text,
            limits,
            nodes: Vec::new(),
            top: Vec::new(),
            root: None,
            open: Vec::new(),
            scope: Scope::default(),
        }
    }

    fn run(&mut self) -> Result<NodeId, Fault> {
        if let Some((offset, c)) = self.text.char_indices().find(|(_, c)| !is_xml_char(*c)) {
            let reason = format!("character U+{:04X} cannot stand in an XML document", u32::from(c));
            return Err(Fault {
                kind: Kind::XmlCharacter,
                offset,
                reason,
            });
        }
        // The one that may stand first was taken off; quick-xml would take another and count its offsets without it.
        if self.text.starts_with('\u{FEFF}') {
            return Err(malformed(0, "a second byte order mark"));
        }
        let mut reader = Reader::from_str(self.text);
        reader.config_mut().check_comments = true;
        loop {
            let start = offset(reader.buffer_position());
            let event = reader.read_event().map_err(|error| syntax(start, &error))?;
            let span = start..offset(reader.buffer_position());
            if matches!(event, Event::Eof) {
                break;
            }
            self.event(&event, span)?;
        }
        if let Some(open) = self.open.last() {
            let at = self.nodes[open.0 as usize].span.start;
            return Err(malformed(at, "the element is never closed"));
        }
        self.root
            .ok_or_else(|| malformed(self.text.len(), "the document has no element"))
    }

    fn event(&mut self, event: &Event<'_>, span: Range<usize>) -> Result<(), Fault> {
        match event {
            Event::Start(_) => self.start(span, false),
            Event::Empty(_) => self.start(span, true),
            Event::End(_) => {
                self.end(span);
                Ok(())
            }
            Event::Text(text) => self.characters(span, fold_line_ends(text).into_owned()),
            Event::GeneralRef(name) => match resolve_reference(name) {
                Some(c) => self.characters(span, c.to_string()),
                None => Err(entity(span.start, name)),
            },
            Event::CData(text) if self.open.is_empty() => Err(malformed(
                span.start,
                format!("CDATA section {} outside the root", quoted(text)),
            )),
            Event::CData(text) => self
                .add(span, Content::Cdata(fold_line_ends(text).into_owned()))
                .map(drop),
            Event::Comment(_) => self.add(span, Content::Comment).map(drop),
            Event::PI(instruction) => self.instruction(span, instruction.target()),
            Event::Decl(_) => self.declaration(span),
            Event::DocType(_) => Err(Fault {
                kind: Kind::XmlDoctype,
                offset: span.start,
                reason: "a document type declaration is refused: it can define entities".to_owned(),
            }),
            Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, span: Range<usize>, empty: bool) -> Result<(), Fault> {
        if self.open.is_empty() && self.root.is_some() {
            return Err(malformed(span.start, "a second root element"));
        }
        if self.open.len() >= self.limits.depth {
            return Err(limit(span.start, "elements inside each other", self.limits.depth));
        }
        let inner = span.start + 1..span.end - if empty { 2 } else { 1 };
        let (name, attributes) = self.tag(inner)?;
        let data = ElementData {
            name,
            attributes,
            children: Vec::new(),
            start_tag: span.clone(),
            removed: Vec::new(),
            text: None,
        };
        let id = self.add(span.clone(), Content::Element(Box::new(data)))?;
        if self.open.is_empty() {
            self.root = Some(id);
        }
        if empty {
            self.scope.leave();
        } else {
            self.open.push(id);
        }
        Ok(())
    }

    fn end(&mut self, span: Range<usize>) {
        // quick-xml has matched the names, so there is one open.
        if let Some(id) = self.open.pop() {
            self.nodes[id.0 as usize].span.end = span.end;
            self.scope.leave();
        }
    }

    /// Character data; what follows a text directly (a reference, more text) joins it.
    fn characters(&mut self, span: Range<usize>, text: String) -> Result<(), Fault> {
        let source = &self.text[span.clone()];
        if self.open.is_empty() {
            let blank = source.chars().all(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            return if blank {
                Ok(())
            } else {
                Err(malformed(span.start, "text outside the root element"))
            };
        }
        if let Some(at) = source.find("]]>") {
            return Err(malformed(span.start + at, "]]> in character data"));
        }
        if let Some(before) = self.last_child_mut()
            && before.span.end == span.start
            && let Content::Text(joined) = &mut before.content
        {
            joined.push_str(&text);
            before.span.end = span.end;
            return Ok(());
        }
        self.add(span, Content::Text(text)).map(drop)
    }

    fn instruction(&mut self, span: Range<usize>, target: &str) -> Result<(), Fault> {
        if !is_qualified_name(target) || target.contains(':') || target.eq_ignore_ascii_case("xml") {
            return Err(malformed(
                span.start,
                "a processing instruction needs a name, and not xml",
            ));
        }
        self.add(span, Content::Instruction).map(drop)
    }

    fn declaration(&mut self, span: Range<usize>) -> Result<(), Fault> {
        if span.start != 0 {
            return Err(malformed(span.start, "the XML declaration may only stand first"));
        }
        let inner = "<?xml".len()..span.end - "?>".len();
        let pairs = attributes(self.text, inner, self.limits.attributes)?;
        let names: Vec<_> = pairs.iter().map(|pair| &self.text[pair.name.clone()]).collect();
        if !matches!(
            names[..],
            ["version"]
                | ["version", "encoding"]
                | ["version", "standalone"]
                | ["version", "encoding", "standalone"]
        ) {
            return Err(malformed(
                span.start,
                "the XML declaration names version, encoding, standalone, in this order",
            ));
        }
        for (name, pair) in names.iter().zip(&pairs) {
            let value = &self.text[pair.value.clone()];
            let fine = match *name {
                "version" => value == "1.0",
                // ASCII is UTF-8 as well; anything else was decoded wrongly.
                "encoding" => value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii"),
                _ => matches!(value, "yes" | "no"),
            };
            if !fine {
                let reason = format!("{name} {} is not supported: XML 1.0 in UTF-8 is", quoted(value));
                return Err(malformed(pair.value.start, reason));
            }
        }
        self.add(span, Content::Declaration).map(drop)
    }

    /// The name and attributes of a start tag, and its declarations entered into scope.
    fn tag(&mut self, inner: Range<usize>) -> Result<(Name, Vec<Attribute>), Fault> {
        let source = &self.text[inner.clone()];
        let length = source.find([' ', '\t', '\n', '\r']).unwrap_or(source.len());
        let name = &source[..length];
        if !is_qualified_name(name) {
            return Err(malformed(
                inner.start,
                format!("{} is not an element's name", quoted(name)),
            ));
        }
        let pairs = attributes(self.text, inner.start + length..inner.end, self.limits.attributes)?;
        let mut values = Vec::with_capacity(pairs.len());
        for pair in &pairs {
            let raw = &self.text[pair.value.clone()];
            if let Some(at) = raw.find('<') {
                return Err(malformed(pair.value.start + at, "< in an attribute's value"));
            }
            values.push(
                attribute_value(raw)
                    .map_err(|at| entity(pair.value.start + at, &raw[at.min(raw.len())..]))?,
            );
        }
        self.scope.enter();
        for (pair, value) in pairs.iter().zip(&values) {
            self.scope
                .declare(&self.text[pair.name.clone()], value, pair.name.start)?;
        }
        let name = self.scope.resolve(name, true, inner.start)?;
        let mut resolved = Vec::with_capacity(pairs.len());
        for (pair, value) in pairs.into_iter().zip(values) {
            let name = self
                .scope
                .resolve(&self.text[pair.name.clone()], false, pair.name.start)?;
            resolved.push(Attribute {
                name,
                read: Some(value.clone()),
                value,
                value_span: pair.value,
            });
        }
        refuse_twins(&resolved)?;
        Ok((name, resolved))
    }

    fn last_child_mut(&mut self) -> Option<&mut NodeData> {
        let parent = self.open.last()?;
        let Content::Element(data) = &self.nodes[parent.0 as usize].content else {
            return None;
        };
        let last = *data.children.last()?;
        self.nodes.get_mut(last.0 as usize)
    }

    fn add(&mut self, span: Range<usize>, content: Content) -> Result<NodeId, Fault> {
        let full = || limit(span.start, "nodes", self.limits.nodes);
        if self.nodes.len() >= self.limits.nodes {
            return Err(full());
        }
        let id = NodeId(u32::try_from(self.nodes.len()).map_err(|_| full())?);
        let parent = self.open.last().copied();
        self.nodes.push(NodeData {
            span,
            parent,
            content,
        });
        match parent.map(|parent| &mut self.nodes[parent.0 as usize].content) {
            Some(Content::Element(data)) => data.children.push(id),
            _ => self.top.push(id),
        }
        Ok(id)
    }
}

fn syntax(start: usize, error: &XmlError) -> Fault {
    let reason = match error {
        XmlError::IllFormed(IllFormedError::UnclosedReference) => "an & begins no reference".to_owned(),
        other => other.to_string(),
    };
    malformed(start, reason)
}

fn offset(position: u64) -> usize {
    // The text is in memory, so that every position in it fits.
    usize::try_from(position).unwrap_or(usize::MAX)
}
