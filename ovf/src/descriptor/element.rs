//! Reading a descriptor's elements: the same questions asked of every dialect.

use super::text::Text;
use super::{Dialect, VMW};
use crate::error::{Error, Kind, quoted};
use crate::xml::Element;

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const CIM: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_";

/// Enough to mend a descriptor by; one that has more is not one by mistake.
const MAX_FAULTS: usize = 1000;

/// What was wrong on the way, in document order.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Error>);

impl Faults {
    pub(super) fn note(&mut self, error: Error) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(error);
        }
    }

    pub(super) fn into_all(self) -> Vec<Error> {
        self.0
    }
}

/// A section or content element.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) element: Element<'a>,
    /// The name that OVF 1.x gives it; its own name if it is not the standard's.
    pub(super) name: &'a str,
    standard: bool,
}

impl<'a> Section<'a> {
    /// The name, if the element is the standard's: another namespace's DiskSection is another thing.
    pub(super) fn standard_name(&self) -> Option<&'a str> {
        self.standard.then_some(self.name)
    }

    /// The name, if the element is VMware's.
    pub(super) fn vmware_name(&self) -> Option<&'a str> {
        (self.element.namespace() == Some(VMW)).then_some(self.name)
    }

    /// An attribute in VMware's namespace.
    pub(super) fn vmware_attribute(&self, name: &str) -> Option<String> {
        self.element.attribute(VMW, name).map(str::to_owned)
    }

    /// `ovf:required`: true unless said otherwise.
    pub(super) fn is_required(&self) -> bool {
        !matches!(
            attribute(self.element, "required").map(str::trim),
            Some("false" | "0")
        )
    }
}

/// The name that OVF 1.x gives a section or content element; 0.9 and oVirt say `Section xsi:type="ovf:DiskSection_Type"`.
pub fn section_name(element: Element<'_>) -> &str {
    let typed = element
        .attribute(XSI, "type")
        .filter(|_| matches!(element.local_name(), "Section" | "Content"));
    typed.map_or(element.local_name(), |kind| {
        let local = kind.rsplit(':').next().unwrap_or(kind);
        local.strip_suffix("_Type").unwrap_or(local)
    })
}

/// The elements directly inside `parent`.
pub(super) fn sections(parent: Element<'_>) -> impl Iterator<Item = Section<'_>> {
    parent.children().map(|element| Section {
        element,
        name: section_name(element),
        standard: is_envelope(element),
    })
}

/// Whether an element is the standard's: in an envelope namespace, or in none (0.9 and oVirt leave children bare).
pub(crate) fn is_envelope(element: Element<'_>) -> bool {
    element
        .namespace()
        .is_none_or(|namespace| Dialect::of_namespace(namespace).is_some())
}

/// The standard's elements called `name` directly inside `parent`.
pub(super) fn children<'a>(parent: Element<'a>, name: &'static str) -> impl Iterator<Item = Element<'a>> {
    parent
        .children()
        .filter(move |child| child.local_name() == name && is_envelope(*child))
}

/// The first of the standard's elements called `name` directly inside `parent`.
pub(super) fn child<'a>(parent: Element<'a>, name: &'static str) -> Option<Element<'a>> {
    children(parent, name).next()
}

/// The message of that child; empty if there is none.
pub(super) fn child_text(parent: Element<'_>, name: &'static str) -> Text {
    optional_text(parent, name).unwrap_or_default()
}

/// The message of that child, if there is one.
pub(super) fn optional_text(parent: Element<'_>, name: &'static str) -> Option<Text> {
    child(parent, name).map(Text::read)
}

/// The value of the standard's attribute `name`, with prefix or bare.
pub(crate) fn attribute<'a>(element: Element<'a>, name: &str) -> Option<&'a str> {
    element
        .attributes()
        .iter()
        .find(|it| {
            it.name.local == name
                && it
                    .name
                    .namespace
                    .as_deref()
                    .is_none_or(|namespace| Dialect::of_namespace(namespace).is_some())
        })
        .map(|it| it.value.as_str())
}

/// That attribute, owned, if it is there.
pub(super) fn owned(element: Element<'_>, name: &str) -> Option<String> {
    attribute(element, name).map(str::to_owned)
}

/// That attribute; a fault, and empty, where it is missing.
pub(super) fn required(element: Element<'_>, name: &str, faults: &mut Faults) -> String {
    attribute(element, name).map_or_else(
        || {
            let reason = format!("{} has no attribute {name}", element.local_name());
            faults.note(element.error(Kind::DescriptorAttributeMissing, reason));
            String::new()
        },
        str::to_owned,
    )
}

/// That attribute as a truth value (XML Schema's four spellings, in any case); `default` if there is none.
pub(super) fn boolean(element: Element<'_>, name: &str, default: bool, faults: &mut Faults) -> bool {
    let Some(text) = attribute(element, name) else {
        return default;
    };
    truth(text).unwrap_or_else(|| {
        faults.note(not_a(element, name, "truth value", text));
        default
    })
}

/// That attribute as a whole number, if it is there.
pub(super) fn number<T: std::str::FromStr>(
    element: Element<'_>,
    name: &str,
    faults: &mut Faults,
) -> Option<T> {
    let text = attribute(element, name)?;
    let number = text.trim().parse().ok();
    if number.is_none() {
        faults.note(not_a(element, name, "whole number in range", text));
    }
    number
}

/// That attribute as a number of bytes. A negative one is what some tools write for "unknown", and read as none.
pub(super) fn size(element: Element<'_>, name: &str, faults: &mut Faults) -> Option<u64> {
    let text = attribute(element, name)?.trim();
    let unknown = text
        .strip_prefix('-')
        .is_some_and(|digits| digits.parse::<u64>().is_ok());
    let number = text.parse().ok();
    if number.is_none() && !unknown {
        faults.note(not_a(element, name, "number of bytes", text));
    }
    number
}

/// The text of a CIM child (`rasd:`, `vssd:`, `sasd:`, `epasd:`), by any of its spellings.
pub(super) fn cim<'a>(
    parent: Element<'a>,
    names: &'static [&'static str],
) -> impl Iterator<Item = Element<'a>> {
    parent
        .children()
        .filter(move |child| names.contains(&child.local_name()) && is_cim(*child))
}

/// Whether an element is of one of CIM's classes, or in no namespace of its own.
pub(super) fn is_cim(element: Element<'_>) -> bool {
    element
        .namespace()
        .is_none_or(|it| it.starts_with(CIM) || Dialect::of_namespace(it).is_some())
}

/// The text of the first such child that has one.
pub(super) fn cim_text(parent: Element<'_>, names: &'static [&'static str]) -> Option<String> {
    cim(parent, names)
        .map(|child| child.text().trim().to_owned())
        .find(|text| !text.is_empty())
}

/// The first such child that has a text as a whole number.
pub(super) fn cim_number<T: std::str::FromStr>(
    parent: Element<'_>,
    names: &'static [&'static str],
    faults: &mut Faults,
) -> Option<T> {
    cim_value(
        parent,
        names,
        "whole number in range",
        |text| text.parse().ok(),
        faults,
    )
}

/// The first such child that has a text as a truth value.
pub(super) fn cim_boolean(
    parent: Element<'_>,
    names: &'static [&'static str],
    faults: &mut Faults,
) -> Option<bool> {
    cim_value(parent, names, "truth value", truth, faults)
}

fn cim_value<T>(
    parent: Element<'_>,
    names: &'static [&'static str],
    what: &str,
    read: impl Fn(&str) -> Option<T>,
    faults: &mut Faults,
) -> Option<T> {
    let child = cim(parent, names).find(|child| !child.text().trim().is_empty())?;
    let text = child.text();
    let value = read(text.trim());
    if value.is_none() {
        faults.note(not_a(child, child.local_name(), what, text.trim()));
    }
    value
}

pub(super) fn not_a(element: Element<'_>, name: &str, what: &str, text: &str) -> Error {
    let shown = quoted(text);
    element.error(Kind::DescriptorValue, format!("{name} {shown} is not a {what}"))
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
