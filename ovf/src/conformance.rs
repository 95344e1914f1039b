//! Whether a descriptor keeps the rules: the standard's, and those of importers.
//!
//! [`examine`] gives [`Finding`]s in document order, each under a [`Rule`] with a stable id, a reason and the clause or
//! public source that it rests on. A descriptor is accepted if no finding is an error. Findings of the published schema
//! are notes: it refuses more than half of the descriptors in the field.
//!
//! What a package's members have to fulfil is [`crate::verify`]'s matter; [`of_verdict`] gives its failures as findings.
//!
//! ```
//! use ovf::conformance::{Severity, examine};
//!
//! let findings = examine(b"<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'/>", &[]);
//! assert!(findings.iter().any(|it| it.rule.id == "descriptor.element-missing"));
//! assert_eq!(findings.iter().map(|it| it.rule.severity).max(), Some(Severity::Error));
//! ```

mod collection;
mod disks;
mod esxi;
mod hardware;
mod libvirt;
mod package;
mod placement;
mod product;
mod reader;
mod references;
mod rule;
mod schema;
mod virtualbox;

use crate::descriptor::Descriptor;
use crate::error::{Error, Place};
use crate::xml::{Document, Element, Origin};

pub use self::package::of_verdict;
pub use self::rule::{Profile, Rule, Severity};

/// Enough to mend a descriptor by; one that has more is not one by mistake.
const MAX_FINDINGS: usize = 2000;

/// A rule that is not kept, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// Where.
    pub place: Place,
    /// What was found, for people.
    pub message: String,
}

/// Everything that is wrong with a descriptor by the standard's rules and those of `profiles`, in document order.
pub fn examine(bytes: &[u8], profiles: &[Profile]) -> Vec<Finding> {
    match Document::parse(bytes) {
        Ok(document) => examine_document(&document, profiles),
        Err(error) => {
            let mut findings = Findings::default();
            findings.add_error(&error);
            findings.0
        }
    }
}

/// As [`examine`], of a document already parsed.
pub fn examine_document(document: &Document, profiles: &[Profile]) -> Vec<Finding> {
    let mut findings = Findings::default();
    apply(document, profiles, &mut findings);
    let mut all = findings.0;
    all.sort_by_key(|finding| finding.place.offset);
    all
}

/// Every rule, by the parts of a descriptor; then those of profiles, and those about a package's members.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        reader::RULES,
        placement::RULES,
        references::RULES,
        disks::RULES,
        hardware::RULES,
        product::RULES,
        collection::RULES,
        schema::RULES,
        esxi::RULES,
        virtualbox::RULES,
        libvirt::RULES,
        package::RULES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The rule of an id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

fn apply(document: &Document, profiles: &[Profile], findings: &mut Findings) {
    let (descriptor, faults) = Descriptor::examine(document);
    for fault in &faults {
        findings.add_error(fault);
    }
    placement::check(document, findings);
    schema::check(document, findings);
    let Some(descriptor) = descriptor else {
        return;
    };
    for error in descriptor.check_references() {
        findings.add_error(&error);
    }
    let subject = Subject {
        document,
        descriptor: &descriptor,
    };
    references::check(&subject, findings);
    disks::check(&subject, findings);
    hardware::check(&subject, findings);
    product::check(&subject, findings);
    collection::check(&subject, findings);
    for profile in profiles {
        match profile {
            Profile::Esxi => esxi::check(&subject, findings),
            Profile::VirtualBox => virtualbox::check(&subject, findings),
            Profile::Libvirt => libvirt::check(&subject, findings),
        }
    }
}

/// What is examined.
struct Subject<'a> {
    document: &'a Document,
    descriptor: &'a Descriptor,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &'static Rule, origin: Origin, message: impl Into<String>) {
        if self.0.len() >= MAX_FINDINGS {
            return;
        }
        let place = origin.0.map_or_else(Place::default, |position| Place {
            member: None,
            line: Some(position.line),
            column: Some(position.column),
            offset: Some(position.offset),
        });
        self.0.push(Finding {
            rule,
            place,
            message: message.into(),
        });
    }

    fn at(&mut self, rule: &'static Rule, element: Element<'_>, message: impl Into<String>) {
        self.add(rule, element.position().into(), message);
    }

    /// A fault of the reader, under the rule of its kind.
    fn add_error(&mut self, error: &Error) {
        if let Some(rule) = rule(error.code())
            && self.0.len() < MAX_FINDINGS
        {
            self.0.push(Finding {
                rule,
                place: error.place().clone(),
                message: error.reason().to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod field;
#[cfg(test)]
mod tests;
