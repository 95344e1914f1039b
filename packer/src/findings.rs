//! Findings for people, for programs, and for code-hosting sites.

use std::fmt::Write as _;
use std::path::Path;

use ovf::conformance::{Finding, Profile, Rule, Severity};
use serde_json::{Value, json};

use crate::report::printable;

/// What was found in one input.
pub(crate) struct Report {
    input: String,
    /// The descriptor's name in a package.
    descriptor: Option<String>,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(input: &Path, descriptor: Option<String>, findings: Vec<Finding>) -> Self {
        Self {
            input: input.display().to_string(),
            descriptor,
            findings,
        }
    }

    /// What weighs most.
    pub(crate) fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.rule.severity).max()
    }

    /// The same without what weighs less than `least`.
    pub(crate) fn at_least(mut self, least: Severity) -> Self {
        self.findings.retain(|finding| finding.rule.severity >= least);
        self
    }

    fn count(&self, severity: Severity) -> usize {
        let same = self.findings.iter().filter(|it| it.rule.severity == severity);
        same.count()
    }

    /// The member that a finding is in, if the input is a package.
    fn member<'a>(&'a self, finding: &'a Finding) -> Option<&'a str> {
        finding.place.member.as_deref().or(self.descriptor.as_deref())
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let rule = finding.rule;
            let mut place = printable(&self.input);
            if let Some(member) = self.member(finding) {
                let _ = write!(place, "({})", printable(member));
            }
            if let Some(line) = finding.place.line {
                let _ = write!(place, ":{line}:{}", finding.place.column.unwrap_or(1));
            }
            let colour = match rule.severity {
                Severity::Error => "1;31",
                Severity::Warning => "1;33",
                Severity::Note => "1;36",
            };
            let _ = writeln!(
                text,
                "{place}: \x1b[{colour}m{}\x1b[0m {}: {}\n    {} [{}]",
                rule.severity,
                rule.id,
                printable(&finding.message),
                rule.reason,
                rule.source
            );
            if !rule.fix.is_empty() {
                let _ = writeln!(text, "    fix: {}", rule.fix);
            }
        }
        let _ = writeln!(
            text,
            "{}: {} errors, {} warnings, {} notes",
            printable(&self.input),
            self.count(Severity::Error),
            self.count(Severity::Warning),
            self.count(Severity::Note)
        );
        text
    }

    pub(crate) fn to_json(&self) -> Value {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "rule": finding.rule.id,
                "severity": finding.rule.severity.name(),
                "member": self.member(finding),
                "line": finding.place.line,
                "column": finding.place.column,
                "offset": finding.place.offset,
                "message": finding.message,
                "reason": finding.rule.reason,
                "source": finding.rule.source,
                "fix": (!finding.rule.fix.is_empty()).then_some(finding.rule.fix),
            })
        });
        json!({
            "input": self.input,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "notes": self.count(Severity::Note),
            "findings": findings.collect::<Vec<_>>(),
        })
    }

    /// SARIF 2.1.0 (OASIS). A line is told for a descriptor that is a file of its own: in an archive nobody could go there.
    pub(crate) fn to_sarif(&self) -> Value {
        let mut rules: Vec<&Rule> = Vec::new();
        let mut results = Vec::new();
        for finding in &self.findings {
            let index = rules.iter().position(|rule| *rule == finding.rule);
            let index = index.unwrap_or_else(|| {
                rules.push(finding.rule);
                rules.len() - 1
            });
            let mut location = json!({ "artifactLocation": { "uri": uri(&self.input) } });
            if let (None, Some(line)) = (&self.descriptor, finding.place.line) {
                location["region"] =
                    json!({ "startLine": line, "startColumn": finding.place.column.unwrap_or(1) });
            }
            let mut place = json!({ "physicalLocation": location });
            let mut message = finding.message.clone();
            if let Some(member) = self.member(finding) {
                place["logicalLocations"] = json!([{ "name": member, "kind": "member" }]);
                let line = finding
                    .place
                    .line
                    .map(|line| format!(", line {line}"))
                    .unwrap_or_default();
                message = format!("{member}{line}: {message}");
            }
            results.push(json!({
                "ruleId": finding.rule.id,
                "ruleIndex": index,
                "level": finding.rule.severity.name(),
                "message": { "text": message },
                "locations": [place],
            }));
        }
        let driver = json!({
            "name": "ova validate",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules.into_iter().map(sarif_rule).collect::<Vec<_>>(),
        });
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results }],
        })
    }
}

fn sarif_rule(rule: &Rule) -> Value {
    let help = [rule.reason, rule.fix].join(" ");
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.demand },
        "fullDescription": { "text": format!("{} Source: {}.", rule.reason, rule.source) },
        "help": { "text": help.trim() },
        "defaultConfiguration": { "level": rule.severity.name() },
    })
}

/// A path as a relative reference (RFC 3986): what is no unreserved character is percent-encoded, byte by byte.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// A rule with its samples, for people.
pub(crate) fn rule_as_text(rule: &Rule) -> String {
    let importer = rule.profile.map_or("", Profile::name);
    let mut text = format!(
        "{}  {} {importer}\n  {}\n  {} [{}]\n",
        rule.id, rule.severity, rule.demand, rule.reason, rule.source
    );
    let fields = [("fix", rule.fix), ("bad", rule.bad), ("good", rule.good)];
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        let lines: Vec<_> = value.lines().map(printable).collect();
        let _ = writeln!(text, "  {name:<5} {}", lines.join("\n        "));
    }
    text
}

pub(crate) fn rule_as_json(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "severity": rule.severity.name(),
        "profile": rule.profile.map(Profile::name),
        "demand": rule.demand,
        "reason": rule.reason,
        "source": rule.source,
        "fix": rule.fix,
        "bad": rule.bad,
        "good": rule.good,
    })
}
