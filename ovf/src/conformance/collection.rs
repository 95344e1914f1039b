//! Rules about what holds a package together: options, order of start, groups, messages.

use std::collections::HashSet;

use super::{Findings, Rule, Subject};
use crate::descriptor::{Content, StartAction, Startup, StopAction, Text, VirtualSystemCollection};
use crate::xml::Origin;

const DEFAULT: Rule = Rule::error(
    "deployment.default",
    "One deployment option at most is the default.",
)
.because(
    "With two, nobody can tell which one applies.",
    "DSP0243 1.1.1, 9.8",
)
.samples(
    "<Configuration ovf:id=\"large\" ovf:default=\"true\">",
    "<Configuration ovf:id=\"large\">",
);
const OPTION: Rule = Rule::error(
    "deployment.unknown-option",
    "Every option that is named is there.",
)
.because(
    "An item or value for an option that nobody can choose is never used.",
    "DSP0243 1.1.1, 9.8",
)
.samples("<Item ovf:configuration=\"huge\">", "<Item>");
const STARTUP: Rule = Rule::warning(
    "startup.reference",
    "The order of start names members of its collection.",
)
.because("A name that leads nowhere orders nothing.", "DSP0243 1.1.1, 9.7")
.samples(
        "<VirtualSystemCollection ovf:id=\"all\">\n  <Info>All</Info>\n  <StartupSection>\n    <Info>Order of start</Info>\n    <Item ovf:id=\"nobody\" ovf:order=\"1\"/>\n  </StartupSection>\n  <VirtualSystem ovf:id=\"node\">…</VirtualSystem>\n  </VirtualSystemCollection>",
        "<VirtualSystem ovf:id=\"node\">…</VirtualSystem>",
    );
const ACTION: Rule = Rule::warning(
    "startup.action",
    "A start is powerOn or none; a stop powerOff, guestShutdown or none.",
)
.because(
    "Another word is not understood by any consumer.",
    "DSP0243 1.1.1, 9.7",
)
.samples(
        "<VirtualSystemCollection ovf:id=\"all\">\n  <Info>All</Info>\n  <StartupSection>\n    <Info>Order of start</Info>\n    <Item ovf:id=\"node\" ovf:order=\"1\" ovf:startAction=\"resume\"/>\n  </StartupSection>\n  <VirtualSystem ovf:id=\"node\">…</VirtualSystem>\n  </VirtualSystemCollection>",
        "<VirtualSystem ovf:id=\"node\">…</VirtualSystem>",
    );
const GROUP: Rule = Rule::error(
    "placement.reference",
    "Every placement group that is named is there.",
)
.because(
    "A system cannot be placed by a group that nothing describes.",
    "DSP0243 2.1.1, 9.15",
)
.samples(
    "<PlacementSection ovf:group=\"near\">\n      <Info>Together</Info>\n    </PlacementSection>\n    <EulaSection>",
    "<EulaSection>",
);
const MESSAGE: Rule = Rule::warning("strings.message", "Every message that is named is in a bundle.")
    .because(
        "A text without translation is shown in the descriptor's own language.",
        "DSP0243 1.1.1, 10",
    )
    .samples(
        "<Label ovf:msgid=\"label.size\">",
        "<Label ovf:msgid=\"label.role\">",
    );

const BUNDLE: Rule = Rule::warning("strings.file", "A bundle's file is one of the References.")
    .because(
        "A consumer finds the file by its id; the field also has names of files here.",
        "DSP0243 1.1.1, 10.1",
    )
    .samples(
        "<Strings xml:lang=\"fr-FR\" ovf:fileRef=\"fr.xml\"/>\n  <Strings xml:lang=\"de-DE\">",
        "<Strings xml:lang=\"de-DE\">",
    );

pub(super) const RULES: &[&Rule] = &[&DEFAULT, &OPTION, &STARTUP, &ACTION, &GROUP, &MESSAGE, &BUNDLE];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    options(subject, findings);
    let groups = subject
        .descriptor
        .placement_groups
        .iter()
        .map(|group| group.id.as_str());
    content(&subject.descriptor.content, &groups.collect(), findings);
    messages(subject, findings);
}

fn options(subject: &Subject<'_>, findings: &mut Findings) {
    let descriptor = subject.descriptor;
    let configurations = descriptor
        .deployment_options
        .as_ref()
        .map_or(&[][..], |it| &it.configurations);
    let mut defaults = configurations.iter().filter(|it| it.default);
    if let (Some(_), Some(second)) = (defaults.next(), defaults.next()) {
        let message = format!("option {:?} is a second default", second.id);
        findings.add(&DEFAULT, second.origin, message);
    }
    let known: HashSet<_> = configurations.iter().map(|it| it.id.as_str()).collect();
    let mut refer = |names: Option<&str>, origin: Origin| {
        for name in names
            .unwrap_or_default()
            .split([' ', ','])
            .filter(|name| !name.is_empty())
        {
            if !known.contains(name) {
                findings.add(&OPTION, origin, format!("there is no deployment option {name:?}"));
            }
        }
    };
    for system in descriptor.systems() {
        for item in system.hardware.iter().flat_map(|it| &it.items) {
            refer(item.configuration.as_deref(), item.origin);
        }
    }
    for product in descriptor.content.products() {
        for property in &product.properties {
            for value in &property.values {
                refer(value.configuration.as_deref(), property.origin);
            }
        }
    }
}

fn content(content: &Content, groups: &HashSet<&str>, findings: &mut Findings) {
    let placements = match content {
        Content::System(system) => &system.placements,
        Content::Collection(collection) => {
            members(collection, groups, findings);
            &collection.placements
        }
    };
    for placement in placements {
        if !groups.contains(placement.group.as_str()) {
            let message = format!("there is no placement group {:?}", placement.group);
            findings.add(&GROUP, placement.origin, message);
        }
    }
}

fn members(collection: &VirtualSystemCollection, groups: &HashSet<&str>, findings: &mut Findings) {
    let ids: HashSet<_> = collection.content.iter().map(Content::id).collect();
    if let Some(startup) = &collection.startup {
        order(startup, &ids, findings);
    }
    for member in &collection.content {
        content(member, groups, findings);
    }
}

fn order(startup: &Startup, ids: &HashSet<&str>, findings: &mut Findings) {
    for item in &startup.items {
        if !ids.contains(item.id.as_str()) {
            let message = format!("{:?} is not a member of the collection", item.id);
            findings.add(&STARTUP, item.origin, message);
        }
        if let StartAction::Other(word) = &item.start_action {
            findings.add(&ACTION, item.origin, format!("{word:?} is no way to start"));
        }
        if let StopAction::Other(word) = &item.stop_action {
            findings.add(&ACTION, item.origin, format!("{word:?} is no way to stop"));
        }
    }
}

/// Bundles in files of their own are not read here: with one, nothing is said.
fn messages(subject: &Subject<'_>, findings: &mut Findings) {
    let strings = &subject.descriptor.strings;
    for bundle in strings {
        if let Some(file) = &bundle.file_ref
            && subject.descriptor.file(file).is_none()
        {
            findings.add(&BUNDLE, bundle.origin, format!("there is no file {file:?}"));
        }
    }
    if strings.is_empty() || strings.iter().any(|bundle| bundle.file_ref.is_some()) {
        return;
    }
    let known: HashSet<_> = strings
        .iter()
        .flat_map(|it| &it.messages)
        .map(|it| it.id.as_str())
        .collect();
    let mut refer = |text: Option<&Text>, origin: Origin| {
        if let Some(id) = text.and_then(|text| text.msgid.as_deref())
            && !known.contains(id)
        {
            findings.add(&MESSAGE, origin, format!("no bundle has message {id:?}"));
        }
    };
    for product in subject.descriptor.content.products() {
        refer(Some(&product.info), product.origin);
        refer(product.product.as_ref(), product.origin);
        refer(product.vendor.as_ref(), product.origin);
        for property in &product.properties {
            refer(property.category.as_ref(), property.origin);
            refer(property.label.as_ref(), property.origin);
            refer(property.description.as_ref(), property.origin);
        }
    }
    for network in &subject.descriptor.networks {
        refer(network.description.as_ref(), network.origin);
    }
}
