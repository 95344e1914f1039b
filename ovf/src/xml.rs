//! A small strict tree of an XML document that loses nothing.
//!
//! [`Document::parse`] keeps the very bytes it was given and lays a tree of spans over them: every node knows which
//! bytes it is made of, so that [`Document::render`] gives the document back unchanged, and a change
//! ([`Document::set_attribute`], [`Document::set_text`]) replaces one span and leaves every other byte alone. Names are
//! resolved to namespaces, values are unescaped.
//!
//! What it stops: DOCTYPE and every entity but the five predefined ones (expansion bombs, files pulled in), documents
//! above the [`Limits`] (depth, nodes, attributes, size), undeclared prefixes, two attributes of one expanded name,
//! characters that XML cannot carry, encodings other than UTF-8.

mod character;
mod edit;
mod fault;
mod parse;
mod position;
mod scope;
mod tag;
mod writer;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use self::position::Lines;
pub use self::position::{Origin, Position};
pub use self::writer::Writer;
use crate::error::{Error, Kind};

/// Ceilings for a document from outside.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole document.
    pub bytes: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Nodes of the whole document: elements, texts, comments, references and instructions.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 16 << 20,
            depth: 64,
            attributes: 256,
            nodes: 1 << 18,
        }
    }
}

/// A well-formed document: its bytes and the tree over them.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    bom: bool,
    lines: Lines,
    nodes: Vec<NodeData>,
    top: Vec<NodeId>,
    root: NodeId,
    changes: edit::Changes,
}

/// A node's place in its document's arena; meaningless in any other document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

#[derive(Debug, Clone)]
struct NodeData {
    /// Bytes of the text, without the byte order mark.
    span: Range<usize>,
    parent: Option<NodeId>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Element(Box<ElementData>),
    /// Character data, references resolved.
    Text(String),
    Cdata(String),
    Comment,
    Instruction,
    Declaration,
}

#[derive(Debug, Clone)]
struct ElementData {
    name: Name,
    attributes: Vec<Attribute>,
    children: Vec<NodeId>,
    start_tag: Range<usize>,
    /// Attributes that were read and taken away.
    removed: Vec<Attribute>,
    /// The text that was set.
    text: Option<String>,
}

/// A name with its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The namespace's URI; none where no default namespace is declared, and for attributes without prefix.
    pub namespace: Option<Arc<str>>,
    /// The name after the prefix.
    pub local: String,
    /// The prefix as written.
    pub prefix: Option<String>,
}

impl Name {
    /// Whether this is `local` in `namespace`.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace.as_deref() == Some(namespace)
    }
}

/// An attribute of an element; namespace declarations are attributes in `http://www.w3.org/2000/xmlns/`.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Its name.
    pub name: Name,
    /// Its value, unescaped and normalised.
    pub value: String,
    /// The bytes of the value between the quotes, as written; none for an attribute that was added.
    pub value_span: Range<usize>,
    /// The value as it was read; none for an attribute that was added.
    read: Option<String>,
}

impl Document {
    /// Reads a document under the default [`Limits`].
    ///
    /// # Errors
    /// [`Kind::XmlMalformed`], [`Kind::XmlDoctype`], [`Kind::XmlEntity`], [`Kind::XmlNamespace`],
    /// [`Kind::XmlCharacter`] or [`Kind::XmlLimit`], each with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_within(bytes, Limits::default())
    }

    /// Reads a document under given limits; otherwise as [`Document::parse`].
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn parse_within(bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        parse::document(bytes, limits)
    }

    /// Reads a document from a stream, of which no more is taken than the default [`Limits`] allow.
    ///
    /// # Errors
    /// As [`Document::parse`]; [`Kind::Io`].
    pub fn read(stream: impl std::io::Read) -> Result<Self, Error> {
        Self::parse(&bytes_of(stream)?)
    }

    /// Whether the document began with a UTF-8 byte order mark.
    pub fn has_byte_order_mark(&self) -> bool {
        self.bom
    }

    /// The document element.
    pub fn root(&self) -> Element<'_> {
        Element {
            document: self,
            id: self.root,
        }
    }

    /// Every node outside and including the root, in order: declaration, comments, instructions, root.
    pub fn top_level(&self) -> impl Iterator<Item = Node<'_>> {
        self.top.iter().map(|id| Node {
            document: self,
            id: *id,
        })
    }

    /// The position of byte `offset` of the text.
    fn position(&self, offset: usize) -> Position {
        self.lines
            .position(&self.text, offset, if self.bom { BOM.len() } else { 0 })
    }

    fn data(&self, id: NodeId) -> Option<&NodeData> {
        self.nodes.get(id.0 as usize)
    }
}

/// The bytes of a stream that is a document, up to one more than the default [`Limits`] allow: enough to tell that
/// there are too many.
///
/// # Errors
/// [`Kind::Io`].
pub fn bytes_of(stream: impl std::io::Read) -> Result<Vec<u8>, Error> {
    let most = Limits::default().bytes as u64 + 1;
    let mut bytes = Vec::new();
    let read = std::io::Read::read_to_end(&mut std::io::Read::take(stream, most), &mut bytes);
    read.map_err(|error| Error::io("reading the document", error))?;
    Ok(bytes)
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The namespace of namespace declarations.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
/// The namespace of `xml:lang` and its like, bound to `xml` always.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// A node of a document.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    document: &'a Document,
    id: NodeId,
}

/// What a node is.
#[derive(Debug, Clone, Copy)]
pub enum NodeKind<'a> {
    /// An element.
    Element(Element<'a>),
    /// Character data or a CDATA section, unescaped.
    Text(&'a str),
    /// A comment.
    Comment,
    /// A processing instruction.
    Instruction,
    /// The XML declaration.
    Declaration,
}

impl<'a> Node<'a> {
    /// What it is.
    pub fn kind(self) -> NodeKind<'a> {
        match self.document.data(self.id).map(|data| &data.content) {
            Some(Content::Element(_)) => NodeKind::Element(Element {
                document: self.document,
                id: self.id,
            }),
            Some(Content::Text(text) | Content::Cdata(text)) => NodeKind::Text(text),
            Some(Content::Comment) | None => NodeKind::Comment,
            Some(Content::Instruction) => NodeKind::Instruction,
            Some(Content::Declaration) => NodeKind::Declaration,
        }
    }

    /// Its place in the arena.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// The very bytes it was read from.
    pub fn source(self) -> &'a str {
        self.document
            .data(self.id)
            .and_then(|data| self.document.text.get(data.span.clone()))
            .unwrap_or_default()
    }

    /// Its bytes' range in the text (the byte order mark not counted).
    pub fn span(self) -> Range<usize> {
        self.document.data(self.id).map_or(0..0, |data| data.span.clone())
    }

    /// Where it begins.
    pub fn position(self) -> Position {
        self.document.position(self.span().start)
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())
    }
}

/// An element of a document.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    document: &'a Document,
    id: NodeId,
}

impl<'a> Element<'a> {
    /// It as a node: place, span and source.
    pub fn node(self) -> Node<'a> {
        Node {
            document: self.document,
            id: self.id,
        }
    }

    /// Its name.
    pub fn name(self) -> &'a Name {
        static NO_NAME: Name = Name {
            namespace: None,
            local: String::new(),
            prefix: None,
        };
        self.data().map_or(&NO_NAME, |data| &data.name)
    }

    /// Its name after the prefix.
    pub fn local_name(self) -> &'a str {
        &self.name().local
    }

    /// Its namespace's URI.
    pub fn namespace(self) -> Option<&'a str> {
        self.name().namespace.as_deref()
    }

    /// Its attributes as written, namespace declarations included.
    pub fn attributes(self) -> &'a [Attribute] {
        self.data().map_or(&[], |data| &data.attributes)
    }

    /// The value of attribute `local` in `namespace`; an empty namespace means none.
    pub fn attribute(self, namespace: &str, local: &str) -> Option<&'a str> {
        self.attributes()
            .iter()
            .find(|it| it.name.local == local && it.name.namespace.as_deref().unwrap_or("") == namespace)
            .map(|it| it.value.as_str())
    }

    /// The bytes of its start tag.
    pub fn start_tag(self) -> Range<usize> {
        self.data().map_or(0..0, |data| data.start_tag.clone())
    }

    /// Its parent element.
    pub fn parent(self) -> Option<Element<'a>> {
        let parent = self.document.data(self.id)?.parent?;
        Some(Element {
            document: self.document,
            id: parent,
        })
    }

    /// Everything directly inside it, as it was read.
    pub fn nodes(self) -> impl Iterator<Item = Node<'a>> {
        let children = self.data().map_or(&[][..], |data| &data.children);
        children.iter().map(move |id| Node {
            document: self.document,
            id: *id,
        })
    }

    /// The elements directly inside it.
    pub fn children(self) -> impl Iterator<Item = Element<'a>> {
        self.nodes().filter_map(|node| match node.kind() {
            NodeKind::Element(element) => Some(element),
            _ => None,
        })
    }

    /// The text directly inside it, unescaped; elements and comments left out.
    pub fn text(self) -> String {
        match self.data().and_then(|data| data.text.as_ref()) {
            Some(text) => text.clone(),
            None => self.text_as_read(),
        }
    }

    fn text_as_read(self) -> String {
        self.nodes()
            .filter_map(|node| match node.kind() {
                NodeKind::Text(text) => Some(text),
                _ => None,
            })
            .collect()
    }

    /// Where it begins.
    pub fn position(self) -> Position {
        self.node().position()
    }

    /// An error of `kind` at this element.
    pub(crate) fn error(self, kind: Kind, reason: impl Into<String>) -> Error {
        Error::new(kind, reason).at(self.position())
    }

    fn data(self) -> Option<&'a ElementData> {
        match &self.document.data(self.id)?.content {
            Content::Element(data) => Some(data),
            _ => None,
        }
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.local_name())
    }
}

#[cfg(test)]
mod tests;
