//! Reading a descriptor's elements: the same questions asked of every dialect.

use super::Dialect;
use crate::error::{Error, Kind, quoted};
use crate::xml::Element;

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const CIM: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_";

/// A section or content element.
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

    /// `ovf:required`: true unless said otherwise.
    pub(super) fn is_required(&self) -> bool {
        !matches!(attribute(self.element, "required"), Some("false" | "0"))
    }
}

/// The elements directly inside `parent`; 0.9 and oVirt say `Section xsi:type="ovf:DiskSection_Type"`.
pub(super) fn sections(parent: Element<'_>) -> impl Iterator<Item = Section<'_>> {
    parent.children().map(|element| {
        let typed = element
            .attribute(XSI, "type")
            .filter(|_| matches!(element.local_name(), "Section" | "Content"));
        let name = typed.map_or(element.local_name(), |kind| {
            let local = kind.rsplit(':').next().unwrap_or(kind);
            local.strip_suffix("_Type").unwrap_or(local)
        });
        Section {
            element,
            name,
            standard: is_envelope(element),
        }
    })
}

/// Whether an element is the standard's: in an envelope namespace, or in none (0.9 and oVirt leave children bare).
pub(super) fn is_envelope(element: Element<'_>) -> bool {
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

/// The text of that child; empty if there is none.
pub(super) fn child_text(parent: Element<'_>, name: &'static str) -> String {
    child(parent, name).map(Element::text).unwrap_or_default()
}

/// The text of that child, if there is one.
pub(super) fn optional_text(parent: Element<'_>, name: &'static str) -> Option<String> {
    child(parent, name).map(Element::text)
}

/// The value of the standard's attribute `name`, with prefix or bare.
pub(super) fn attribute<'a>(element: Element<'a>, name: &str) -> Option<&'a str> {
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

/// That attribute, or an error that it is missing.
pub(super) fn required<'a>(element: Element<'a>, name: &str) -> Result<&'a str, Error> {
    attribute(element, name).ok_or_else(|| {
        element.error(
            Kind::DescriptorStructure,
            format!("{} has no attribute {name}", element.local_name()),
        )
    })
}

/// That attribute as a truth value (XML Schema's four spellings, in any case); `default` if there is none.
pub(super) fn boolean(element: Element<'_>, name: &str, default: bool) -> Result<bool, Error> {
    match attribute(element, name) {
        None => Ok(default),
        Some(text) => truth(text).ok_or_else(|| not_a(element, name, "truth value", text)),
    }
}

/// That attribute as a number of bytes. A negative one is what some tools write for "unknown", and read as none.
pub(super) fn size(element: Element<'_>, name: &str) -> Result<Option<u64>, Error> {
    match attribute(element, name).map(str::trim) {
        None => Ok(None),
        Some(text)
            if text
                .strip_prefix('-')
                .is_some_and(|digits| digits.parse::<u64>().is_ok()) =>
        {
            Ok(None)
        }
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| not_a(element, name, "number of bytes", text)),
    }
}

/// The text of a CIM child (`rasd:`, `vssd:`, `sasd:`, `epasd:`), by any of its spellings.
pub(super) fn cim<'a>(
    parent: Element<'a>,
    names: &'static [&'static str],
) -> impl Iterator<Item = Element<'a>> {
    parent.children().filter(move |child| {
        names.contains(&child.local_name())
            && child
                .namespace()
                .is_none_or(|it| it.starts_with(CIM) || Dialect::of_namespace(it).is_some())
    })
}

/// The text of the first such child that has one.
pub(super) fn cim_text(parent: Element<'_>, names: &'static [&'static str]) -> Option<String> {
    cim(parent, names)
        .map(|child| child.text().trim().to_owned())
        .find(|text| !text.is_empty())
}

/// The first such child as a whole number.
pub(super) fn cim_number<T: std::str::FromStr>(
    parent: Element<'_>,
    names: &'static [&'static str],
) -> Result<Option<T>, Error> {
    let Some(child) = cim(parent, names).find(|child| !child.text().trim().is_empty()) else {
        return Ok(None);
    };
    let text = child.text();
    let number = text.trim().parse().map(Some);
    number.map_err(|_| not_a(child, child.local_name(), "whole number in range", text.trim()))
}

/// The first such child as a truth value.
pub(super) fn cim_boolean(
    parent: Element<'_>,
    names: &'static [&'static str],
) -> Result<Option<bool>, Error> {
    let Some(child) = cim(parent, names).find(|child| !child.text().trim().is_empty()) else {
        return Ok(None);
    };
    let text = child.text();
    let value = truth(&text).map(Some);
    value.ok_or_else(|| not_a(child, child.local_name(), "truth value", text.trim()))
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
