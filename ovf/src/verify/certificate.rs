//! The signature's rules: the manifest is signed, by a key that may sign, of somebody who is trusted.

use super::run::Run;
use super::{SignerSummary, Tolerance};
use crate::certificate::{Certificate, CertificateFile, MIN_KEY_BITS, check_links};
use crate::error::{Error, Kind, quoted};
use crate::manifest::{Deviation, Spelling};

pub(super) fn check(run: &mut Run<'_>) {
    let Some(text) = run.certificate.take() else {
        return unsigned(run);
    };
    let member = text.name.to_string();
    match CertificateFile::parse(&text.bytes) {
        Ok(file) => {
            run.report.ok(
                Kind::CertificateMissing,
                Some(&member),
                "the package has a certificate file",
            );
            run.report.signer = Some(SignerSummary::from(file.signer()));
            Rules {
                run,
                file: &file,
                member: &member,
            }
            .all();
        }
        Err(error) => run.report.refused(&error, Some(&member)),
    }
    run.certificate = Some(text);
}

fn unsigned(run: &mut Run<'_>) {
    let reason = "the package is not signed";
    if run.policy.wants_signature() {
        run.report.failed(
            Kind::CertificateMissing,
            None,
            format!("{reason}, and the policy requires a signature"),
        );
    } else {
        run.report.skipped(
            Kind::CertificateMissing,
            None,
            format!("{reason}; the policy requires no signature"),
        );
    }
}

struct Rules<'r, 'p> {
    run: &'r mut Run<'p>,
    file: &'r CertificateFile,
    member: &'r str,
}

impl Rules<'_, '_> {
    fn all(&mut self) {
        let signer = self.file.signer();
        let deviations = self.file.deviations();
        spelling(self.run, deviations, self.member, Kind::CertificateSpelling);
        self.digest();
        self.key_size();
        self.signature();
        let usage = signer.check_no_authority();
        self.result(
            Kind::CertificateAuthority,
            usage,
            "the certificate is a publisher's",
        );
        let usage = signer.check_extended_key_usage();
        self.result(
            Kind::CertificateExtendedKeyUsage,
            usage,
            "the certificate is for signing code",
        );
        let usage = signer.check_key_usage();
        self.result(Kind::CertificateKeyUsage, usage, "the certificate's key may sign");
        self.validity(signer);
        let links = check_links(self.file.chain());
        self.result(
            Kind::CertificateUntrusted,
            links,
            "every certificate is signed by the next",
        );
        self.trust();
    }

    fn result(&mut self, kind: Kind, result: Result<(), Error>, reason: &str) {
        self.run.report.result(kind, result, Some(self.member), reason);
    }

    fn digest(&mut self) {
        let (policy, kind, member) = (self.run.policy, Kind::CertificateWeakDigest, Some(self.member));
        let algorithm = self.file.algorithm;
        let reason = format!("the signature is over {algorithm}");
        let too_weak = format!("{reason}, the least is {}", policy.min_digest);
        let report = &mut self.run.report;
        match policy.weakness(algorithm) {
            None => report.ok(kind, member, reason),
            Some(true) => report.violated(policy, Tolerance::Sha1, kind, member, too_weak),
            Some(false) => report.failed(kind, member, too_weak),
        }
    }

    fn key_size(&mut self) {
        let least = self.run.policy.min_key_bits.max(MIN_KEY_BITS);
        let mut chain = self.file.chain().iter();
        let sizes = chain.try_for_each(|certificate| certificate.check_key_size(least));
        self.result(
            Kind::CertificateKeySize,
            sizes,
            &format!("every RSA key of the chain has at least {least} bits"),
        );
    }

    fn signature(&mut self) {
        // Without a manifest there is nothing signed, which fails under the manifest's own rule.
        let Some((manifest, _)) = &self.run.manifest else {
            return;
        };
        let (signed, name) = (&self.file.manifest_name, manifest.name.as_str());
        if !signed.eq_ignore_ascii_case(name) {
            let reason = format!("the signature is of {}, not of {name}", quoted(signed));
            return self
                .run
                .report
                .failed(Kind::CertificateSignature, Some(self.member), reason);
        }
        let other_case = signed != name;
        let verified = self.file.verify_signature(&manifest.bytes);
        // A key that is too short has been told under its own rule.
        if verified
            .as_ref()
            .is_err_and(|error| self.run.report.has_failed(error.kind()))
        {
            let reason = "not checked: the key is not one that may sign";
            self.run
                .report
                .skipped(Kind::CertificateSignature, Some(self.member), reason);
        } else {
            self.result(
                Kind::CertificateSignature,
                verified,
                "the manifest is signed by the certificate's key",
            );
        }
        if other_case {
            let deviation = Deviation {
                spelling: Spelling::NameCase,
                line: 1,
            };
            spelling(self.run, &[deviation], self.member, Kind::CertificateSpelling);
        }
    }

    fn validity(&mut self, signer: &Certificate) {
        let result = signer.check_validity(self.run.policy.now);
        self.timely(
            Kind::CertificateExpired,
            result,
            "the certificate is within its validity",
        );
    }

    /// A result that may be let pass where it is of a certificate past its validity.
    fn timely(&mut self, kind: Kind, result: Result<(), Error>, reason: &str) {
        match result {
            Err(error) if error.kind() == Kind::CertificateExpired => {
                let (policy, member) = (self.run.policy, Some(self.member));
                self.run.report.violated(
                    policy,
                    Tolerance::ExpiredCertificate,
                    error.kind(),
                    member,
                    error.with_causes(),
                );
            }
            result => self.result(kind, result, reason),
        }
    }

    fn trust(&mut self) {
        let (policy, chain) = (self.run.policy, self.file.chain());
        let trust = policy.trust();
        if trust.is_empty() {
            let reason = "the policy trusts nobody by name: anybody may have signed";
            self.run
                .report
                .skipped(Kind::CertificateUntrusted, Some(self.member), reason);
            return self.revocation(None);
        }
        let mut time = policy.now;
        let mut trusted = trust.check(chain, time);
        let is_expired = |result: &Result<(), Error>| {
            result
                .as_ref()
                .is_err_and(|error| error.kind() == Kind::CertificateExpired)
        };
        if is_expired(&trusted) && policy.tolerates(Tolerance::ExpiredCertificate) {
            // The path is judged at the last moment that the signer's own certificate was good.
            time = self.file.signer().not_after();
            trusted = trust.check(chain, time);
        }
        let holds = trusted.is_ok();
        match trusted {
            // What is wrong with the signer's own certificate has been told under its own rule.
            Err(error) if self.run.report.has_failed(error.kind()) => {
                let reason = format!("not decided: {}", error.reason());
                let (kind, member) = (Kind::CertificateUntrusted, Some(self.member));
                self.run.report.skipped(kind, member, reason);
            }
            result => self.result(
                Kind::CertificateUntrusted,
                result,
                "the certificate leads to what the policy trusts",
            ),
        }
        self.revocation(holds.then_some(time));
    }

    /// Revocation, where a path holds at `time`.
    fn revocation(&mut self, time: Option<i64>) {
        let (policy, member) = (self.run.policy, Some(self.member));
        let revocation = &policy.revocation;
        let kind = Kind::CertificateRevoked;
        if revocation.is_empty() {
            let reason = "the policy brings no revocation lists";
            return self.run.report.skipped(kind, member, reason);
        }
        let Some(time) = time else {
            let reason = "not checked: no path leads to a root, whose word a revocation list would be";
            // With roots, that there is no path has been told.
            return match revocation.required && policy.trust().is_empty() {
                true => self.run.report.failed(Kind::CrlMissing, member, reason),
                false => self.run.report.skipped(kind, member, reason),
            };
        };
        let result = policy
            .trust()
            .check_revocation(self.file.chain(), revocation, time, policy.now);
        self.result(kind, result, "no certificate on the path is revoked");
    }
}

/// Every spelling that is not canonical, tolerated or not.
pub(super) fn spelling(run: &mut Run<'_>, deviations: &[Deviation], member: &str, kind: Kind) {
    if deviations.is_empty() {
        return run
            .report
            .ok(kind, Some(member), "spelled as the standard gives it");
    }
    for found in deviations {
        let reason = format!("line {}: {}", found.line, found.spelling.description());
        let tolerance = Tolerance::Spelling(found.spelling);
        run.report
            .violated(run.policy, tolerance, kind, Some(member), reason);
    }
}
