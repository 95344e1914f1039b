//! A rule: what it demands, why, and on whose word.

use std::fmt;

/// A rule about descriptors.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its stable name, `noun.fault` in kebab case.
    pub id: &'static str,
    /// How much a violation weighs.
    pub severity: Severity,
    /// What it demands, in one sentence.
    pub demand: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The clause or public source that it rests on.
    pub source: &'static str,
    /// What to do about a violation; empty where there is no general answer.
    pub fix: &'static str,
    /// The importer that it is for; none for a rule of the standard.
    pub profile: Option<Profile>,
    /// A passage that violates it.
    pub bad: &'static str,
    /// The same passage as it should be.
    pub good: &'static str,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing follows from it by itself.
    Note,
    /// Some consumers will stumble.
    Warning,
    /// A consumer cannot understand the descriptor, or must refuse it.
    Error,
}

impl Severity {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An importer whose own rules can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// VMware ESXi and vCenter, and ovftool.
    Esxi,
    /// Oracle VirtualBox.
    VirtualBox,
    /// libvirt, by virt-v2v.
    Libvirt,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Esxi, Self::VirtualBox, Self::Libvirt];

    /// The profile's name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Esxi => "esxi",
            Self::VirtualBox => "virtualbox",
            Self::Libvirt => "libvirt",
        }
    }

    /// The profile of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

impl Rule {
    /// A rule of the standard that a consumer must refuse for; for the tables of rules.
    pub(super) const fn error(id: &'static str, demand: &'static str) -> Self {
        Rule {
            id,
            severity: Severity::Error,
            demand,
            reason: "",
            source: "",
            fix: "",
            profile: None,
            bad: "",
            good: "",
        }
    }

    pub(super) const fn warning(id: &'static str, demand: &'static str) -> Self {
        Rule {
            severity: Severity::Warning,
            ..Self::error(id, demand)
        }
    }

    pub(super) const fn note(id: &'static str, demand: &'static str) -> Self {
        Rule {
            severity: Severity::Note,
            ..Self::error(id, demand)
        }
    }

    pub(super) const fn of(self, profile: Profile) -> Self {
        Rule {
            profile: Some(profile),
            ..self
        }
    }

    pub(super) const fn because(self, reason: &'static str, source: &'static str) -> Self {
        Rule {
            reason,
            source,
            ..self
        }
    }

    pub(super) const fn fix(self, fix: &'static str) -> Self {
        Rule { fix, ..self }
    }

    pub(super) const fn samples(self, bad: &'static str, good: &'static str) -> Self {
        Rule { bad, good, ..self }
    }
}
