//! EncryptionSection: which parts of the package are encrypted, and how (DSP0243 2.x, 9.16; W3C XML Encryption 1.1).

use super::element::child_text;
use super::text::Text;
use crate::xml::{Element, Origin};

const XMLENC: &str = "http://www.w3.org/2001/04/xmlenc#";

/// The encryption of a package's parts; a consumer that cannot undo it must refuse the package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encryption {
    /// What the section is for.
    pub info: Text,
    /// The algorithms that it names, by URI, in document order.
    pub algorithms: Vec<String>,
    /// What is encrypted: the URIs of its references.
    pub references: Vec<String>,
    /// Where it was read.
    pub origin: Origin,
}

impl Encryption {
    pub(super) fn read(element: Element<'_>) -> Self {
        let mut encryption = Encryption {
            info: child_text(element, "Info"),
            origin: element.position().into(),
            ..Encryption::default()
        };
        encryption.collect(element);
        encryption
    }

    /// The document's own ceiling on depth bounds the recursion.
    fn collect(&mut self, element: Element<'_>) {
        for child in element.children() {
            let of = |name: &str| child.attribute("", name).map(str::to_owned);
            if child.namespace() == Some(XMLENC) {
                match child.local_name() {
                    "EncryptionMethod" => self.algorithms.extend(of("Algorithm")),
                    "DataReference" | "KeyReference" | "CipherReference" => self.references.extend(of("URI")),
                    _ => {}
                }
            }
            self.collect(child);
        }
    }
}
