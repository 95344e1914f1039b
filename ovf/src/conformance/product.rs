//! Rules about products and their properties.

use super::{Findings, Rule, Subject};
use crate::descriptor::{Property, PropertyType, check_key_part};
use crate::error::quoted;

const TYPE: Rule = Rule::error("property.type", "A property's type is one that is known.")
    .because(
        "No value can be checked, asked for or converted without it.",
        "DSP0243 1.1.1, 9.5, table 6",
    )
    .samples("ovf:type=\"nosuchtype\"", "ovf:type=\"string\"");
const QUALIFIERS: Rule = Rule::warning("property.qualifiers", "A property's qualifiers can be read.")
    .because(
        "A limit that is not understood is not kept.",
        "DSP0243 1.1.1, 9.5, table 7; DSP0004 2.5, 5.6.3",
    )
    .samples("ovf:qualifiers=\"MaxLen(many)\"", "ovf:qualifiers=\"MaxLen(20)\"");
const VALUE: Rule = Rule::warning("property.value", "A default is within its type and qualifiers.")
    .because(
        "Who takes the default is refused, or gets another value.",
        "DSP0243 1.1.1, 9.5",
    )
    .samples("ovf:value=\"a name that is far too long\"", "ovf:value=\"node\"");
const KEY: Rule = Rule::warning("property.key", "A key has no dot, colon or space.")
    .because(
        "The environment's key is [class.]key[.instance], which cannot be taken apart otherwise.",
        "DSP0243 1.1.1, 9.5",
    )
    .samples("ovf:key=\"node role\"", "ovf:key=\"role\"");
const SECRET: Rule = Rule::warning("property.password-default", "A password has no default in clear.")
    .because(
        "Everybody who can read the package has it, and every machine the same.",
        "CWE-798; goharbor/harbor#880, vmware/vic#5549",
    )
    .fix("Remove ovf:value; who deploys sets one.")
    .samples(
        "ovf:password=\"true\" ovf:value=\"changeme\"",
        "ovf:password=\"true\"",
    );
const VENDOR: Rule = Rule::note(
    "property.vendor-type",
    "A property's type is one of the standard's.",
)
.because(
    "vCenter's own types (int, ip, password, string[..]) are refused or taken as text elsewhere.",
    "DSP0243 1.1.1, 9.5, table 6",
)
.fix("Use string with qualifiers.")
.samples("ovf:type=\"ip\"", "ovf:type=\"string\"");

pub(super) const RULES: &[&Rule] = &[&TYPE, &QUALIFIERS, &VALUE, &KEY, &SECRET, &VENDOR];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    for product in subject.descriptor.content.products() {
        for property in &product.properties {
            one(property, findings);
        }
    }
}

fn one(property: &Property, findings: &mut Findings) {
    let key = quoted(&property.key);
    if !property.key.is_empty()
        && let Err(error) = check_key_part(&property.key)
    {
        findings.add(&KEY, property.origin, error.reason().to_owned());
    }
    match &property.property_type {
        PropertyType::Other(name) => {
            let message = format!("property {key}: type {} is not known", quoted(name));
            return findings.add(&TYPE, property.origin, message);
        }
        PropertyType::Int | PropertyType::Ip(_) | PropertyType::Password | PropertyType::Choice(_) => {
            let message = format!("property {key}: type {} is vCenter's own", property.property_type);
            findings.add(&VENDOR, property.origin, message);
        }
        _ => {}
    }
    if let Some(text) = &property.qualifiers.unreadable {
        let message = format!("property {key}: qualifiers {} cannot be read", quoted(text));
        return findings.add(&QUALIFIERS, property.origin, message);
    }
    let own = property.value.as_deref().filter(|value| !value.is_empty());
    let others = property.values.iter().map(|value| value.value.as_str());
    for value in own.into_iter().chain(others) {
        if property.is_secret() {
            let message = format!("property {key} is a password with a default in clear");
            return findings.add(&SECRET, property.origin, message);
        }
        if let Err(error) = property.check(value) {
            return findings.add(&VALUE, property.origin, error.reason().to_owned());
        }
    }
}
