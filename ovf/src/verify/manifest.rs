//! The manifest's rules: it is there, it covers everything and nothing else, its digests are strong and right.

use std::collections::HashSet;

use super::Tolerance;
use super::run::Run;
use crate::error::Kind;
use crate::manifest::{Digest, Manifest};
use crate::package::MemberName;

pub(super) fn check(run: &mut Run<'_>, whole: bool) {
    let Some((text, manifest)) = run.manifest.take() else {
        return missing(run, whole);
    };
    run.report.ok(
        Kind::ManifestMissing,
        Some(text.name.as_str()),
        "the package has a manifest",
    );
    // One that cannot be read has failed under its own rule.
    if let Some(manifest) = &manifest {
        let member = text.name.as_str();
        let mut rules = Rules {
            run,
            manifest,
            member,
        };
        rules.spelling();
        rules.algorithms();
        rules.descriptor();
        rules.files();
        if whole {
            rules.absent();
        }
    }
    run.manifest = Some((text, manifest));
}

fn missing(run: &mut Run<'_>, whole: bool) {
    let reason = "the package has no manifest";
    if run.policy.require_manifest || run.certificate.is_some() {
        // Of an archive that ends too early nobody knows what its rest would have held.
        if whole {
            run.report.failed(Kind::ManifestMissing, None, reason);
        }
    } else {
        run.report.skipped(
            Kind::ManifestMissing,
            None,
            format!("{reason}; the policy requires none"),
        );
    }
}

struct Rules<'r, 'p> {
    run: &'r mut Run<'p>,
    manifest: &'r Manifest,
    member: &'r str,
}

impl Rules<'_, '_> {
    fn spelling(&mut self) {
        super::certificate::spelling(
            self.run,
            self.manifest.deviations(),
            self.member,
            Kind::ManifestSpelling,
        );
    }

    fn algorithms(&mut self) {
        let weak = self.manifest.entries().iter().find_map(|entry| {
            let tolerated = self.run.policy.weakness(entry.digest.algorithm())?;
            Some((entry, tolerated))
        });
        let Some((weak, tolerated)) = weak else {
            return self.run.report.ok(
                Kind::ManifestWeakDigest,
                None,
                "every digest is of a strong algorithm",
            );
        };
        let (policy, kind) = (self.run.policy, Kind::ManifestWeakDigest);
        let member = Some(weak.name.as_str());
        let reason = format!(
            "the digest is of {}, the least is {}",
            weak.digest.algorithm(),
            policy.min_digest
        );
        match tolerated {
            true => self
                .run
                .report
                .violated(policy, Tolerance::Sha1, kind, member, reason),
            false => self.run.report.failed(kind, member, reason),
        }
    }

    fn descriptor(&mut self) {
        let Some(descriptor) = self.run.descriptor.take() else {
            return;
        };
        let digests: Vec<_> = self
            .manifest
            .entry(&descriptor.name)
            .map(|entry| entry.digest.algorithm().digest(&descriptor.bytes))
            .into_iter()
            .collect();
        match self.manifest.entry(&descriptor.name) {
            Some(_) => self.compare(&descriptor.name, &digests),
            None => self.run.report.failed(
                Kind::ManifestDescriptorUncovered,
                Some(descriptor.name.as_str()),
                "the manifest does not list the descriptor: anybody could exchange it",
            ),
        }
        self.run.descriptor = Some(descriptor);
    }

    fn files(&mut self) {
        let files = std::mem::take(&mut self.run.files);
        for file in &files {
            self.compare(&file.name, &file.digests);
        }
        self.run.files = files;
    }

    fn compare(&mut self, name: &MemberName, digests: &[Digest]) {
        let member = Some(name.as_str());
        let Some(entry) = self.manifest.entry(name) else {
            return self.run.report.failed(
                Kind::ManifestUncovered,
                member,
                "the manifest does not list the member",
            );
        };
        if digests.contains(&entry.digest) {
            let reason = format!("the {} digest is the manifest's", entry.digest.algorithm());
            self.run.report.ok(Kind::ManifestDigest, member, reason);
        } else {
            let algorithm = entry.digest.algorithm();
            let found = digests.iter().find(|digest| digest.algorithm() == algorithm);
            let found = found.map_or_else(|| "none".to_owned(), ToString::to_string);
            let reason = format!(
                "the {algorithm} digest is {found}, the manifest says {}",
                entry.digest
            );
            self.run.report.failed(Kind::ManifestDigest, member, reason);
        }
    }

    fn absent(&mut self) {
        let run = &mut *self.run;
        let present: HashSet<_> = run
            .files
            .iter()
            .map(|file| &file.name)
            .chain(run.descriptor.iter().map(|text| &text.name))
            .collect();
        for entry in self
            .manifest
            .entries()
            .iter()
            .filter(|entry| !present.contains(&entry.name))
        {
            let reason = format!(
                "line {} of the manifest lists a file that the package has not",
                entry.line
            );
            run.report
                .failed(Kind::ManifestAbsent, Some(entry.name.as_str()), reason);
        }
    }
}
