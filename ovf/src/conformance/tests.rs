use std::collections::BTreeSet;

use super::*;

/// A descriptor that keeps every rule, and holds every rule's good sample.
const SAMPLE: &str = include_str!("sample.xml");

fn ids(text: &str, profiles: &[Profile]) -> BTreeSet<&'static str> {
    let findings = examine(text.as_bytes(), profiles);
    findings.iter().map(|finding| finding.rule.id).collect()
}

/// The sample with a rule's good passage made bad; `…` in a passage stands for whatever is between its parts.
fn spoilt(rule: &Rule) -> String {
    let (good, bad): (Vec<_>, Vec<_>) = (rule.good.split('…').collect(), rule.bad.split('…').collect());
    assert_eq!(good.len(), bad.len(), "{}", rule.id);
    let (mut text, mut from) = (SAMPLE.to_owned(), 0);
    for (good, bad) in good.iter().zip(bad) {
        let at = text[from..]
            .find(good)
            .unwrap_or_else(|| panic!("{}: no {good} in the sample", rule.id));
        text.replace_range(from + at..from + at + good.len(), bad);
        from += at + bad.len();
    }
    text
}

#[test]
fn a_descriptor_that_keeps_the_rules_has_no_findings() {
    assert_eq!(ids(SAMPLE, &Profile::ALL), BTreeSet::new());
}

#[test]
fn every_rules_bad_sample_is_found_by_that_rule() {
    for rule in rules() {
        // Members are judged elsewhere; their samples are for people.
        if package::RULES.contains(&rule) {
            continue;
        }
        if rule.id == "xml.limit" {
            assert!(ids(&"<a>".repeat(65), &[]).contains(rule.id));
            continue;
        }
        let profiles: Vec<_> = rule.profile.into_iter().collect();
        let text = spoilt(rule);
        let findings = examine(text.as_bytes(), &profiles);
        let found = findings.iter().find(|finding| finding.rule == rule);
        let found = found.unwrap_or_else(|| panic!("{}: {findings:#?}\n{text}", rule.id));
        assert!(
            found.place.line.is_some() || found.place.offset.is_some(),
            "{}: no place",
            rule.id
        );
        assert!(!found.message.is_empty());
    }
}

#[test]
fn rules_have_one_id_each_a_reason_and_a_source() {
    let mut seen = BTreeSet::new();
    for rule in rules() {
        assert!(seen.insert(rule.id), "{} twice", rule.id);
        assert!(!rule.reason.is_empty() && !rule.source.is_empty(), "{}", rule.id);
        assert!(
            !rule.bad.is_empty() && !rule.good.is_empty(),
            "{} has no samples",
            rule.id
        );
        let prefix = rule.profile.map_or("", Profile::name);
        assert!(rule.id.starts_with(prefix), "{}", rule.id);
    }
}

#[test]
fn findings_come_in_document_order_with_line_and_column() {
    let text = SAMPLE
        .replace("ovf:size=\"1000\"", "ovf:size=\"x\"")
        .replace("VM Network</", "None</");
    let findings = examine(text.as_bytes(), &[]);
    let lines: Vec<_> = findings
        .iter()
        .map(|it| (it.rule.id, it.place.line.unwrap()))
        .collect();
    let line = |part: &str| text[..text.find(part).unwrap()].lines().count() as u64;
    assert_eq!(
        lines,
        [
            ("descriptor.value", line("<File ovf:id=\"file1\"")),
            ("descriptor.reference", line("<rasd:Connection>None") - 1),
        ]
    );
}

/// The page of rules, as it stands in the documentation. `UPDATE_DOCS=1 cargo test -p ovf` writes it.
#[test]
fn the_page_of_rules_has_every_rule_with_its_samples() {
    let page = page();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == page,
        "docs/rules.md is not what the rules say: UPDATE_DOCS=1 cargo test -p ovf writes it"
    );
}

const HEAD: &str = "# Rules

`ova validate` reports by these rules; `ova validate --explain RULE` shows one. An *error* is what a consumer must refuse or
cannot understand, a *warning* what some will stumble over, a *note* what is worth knowing. A profile's rules apply with
`--profile`. In samples `…` stands for whatever is in between. This page is made from the rules themselves.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for rule in rules() {
        let profile = rule
            .profile
            .map(|profile| format!(", profile `{}`", profile.name()));
        let profile = profile.unwrap_or_default();
        page.push_str(&format!("\n## `{}`\n\n*{}*{profile}. ", rule.id, rule.severity));
        page.push_str(&format!(
            "**{}** {} Source: {}.",
            rule.demand, rule.reason, rule.source
        ));
        if !rule.fix.is_empty() {
            page.push_str(&format!(" Fix: {}", rule.fix));
        }
        page.push('\n');
        for (name, sample) in [("bad", rule.bad), ("good", rule.good)] {
            if !sample.is_empty() {
                let shown = sample.replace('\u{1}', "&#1;");
                page.push_str(&format!("\n{name}:\n```xml\n{shown}\n```\n"));
            }
        }
    }
    page
}
