//! Namespaces in scope: which prefix means what, element by element.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::fault::{Fault, malformed};
use super::{Name, XML, XMLNS};
use crate::error::{Kind, quoted};

/// Which prefix means which namespace, element by element.
#[derive(Default)]
pub(super) struct Scope<'t> {
    bindings: HashMap<&'t str, Vec<Option<Arc<str>>>>,
    declared: Vec<Vec<&'t str>>,
    uris: HashSet<Arc<str>>,
}

impl<'t> Scope<'t> {
    pub(super) fn enter(&mut self) {
        self.declared.push(Vec::new());
    }

    pub(super) fn leave(&mut self) {
        for prefix in self.declared.pop().unwrap_or_default() {
            if let Some(stack) = self.bindings.get_mut(prefix) {
                stack.pop();
            }
        }
    }

    /// Enters a declaration; any other attribute is left alone. The default namespace goes by the empty prefix.
    pub(super) fn declare(&mut self, attribute: &'t str, uri: &str, at: usize) -> Result<(), Fault> {
        let prefix = match attribute.split_once(':') {
            None if attribute == "xmlns" => "",
            Some(("xmlns", prefix)) => prefix,
            _ => return Ok(()),
        };
        let reserved = matches!(prefix, "xmlns") || (prefix == "xml") != (uri == XML) || uri == XMLNS;
        if reserved || (uri.is_empty() && !prefix.is_empty()) {
            return Err(malformed(
                at,
                format!("prefix {} cannot be bound to {}", quoted(prefix), quoted(uri)),
            ));
        }
        let uri = if uri.is_empty() {
            None
        } else {
            Some(self.shared(uri))
        };
        self.bindings.entry(prefix).or_default().push(uri);
        if let Some(declared) = self.declared.last_mut() {
            declared.push(prefix);
        }
        Ok(())
    }

    pub(super) fn resolve(&mut self, name: &str, element: bool, at: usize) -> Result<Name, Fault> {
        let (prefix, local) = match name.split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, name),
        };
        let namespace = match prefix {
            None if name == "xmlns" => Some(self.shared(XMLNS)),
            None if !element => None,
            None => self
                .bindings
                .get("")
                .and_then(|stack| stack.last().cloned())
                .flatten(),
            Some("xmlns") if !element => Some(self.shared(XMLNS)),
            Some("xml") => Some(self.shared(XML)),
            Some(prefix) => {
                let bound = self
                    .bindings
                    .get(prefix)
                    .and_then(|stack| stack.last().cloned())
                    .flatten();
                let undeclared = || Fault {
                    kind: Kind::XmlNamespace,
                    offset: at,
                    reason: format!("prefix {} is not declared", quoted(prefix)),
                };
                Some(bound.ok_or_else(undeclared)?)
            }
        };
        Ok(Name {
            namespace,
            local: local.to_owned(),
            prefix: prefix.map(str::to_owned),
        })
    }

    fn shared(&mut self, uri: &str) -> Arc<str> {
        if let Some(known) = self.uris.get(uri) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(uri);
        self.uris.insert(Arc::clone(&new));
        new
    }
}
