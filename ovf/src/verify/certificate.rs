//! The signature's rules: the manifest is signed, by a key that may sign, of somebody who is trusted.

use super::Tolerance;
use super::run::Run;
use super::verdict::SignerSummary;
use crate::certificate::{Certificate, CertificateFile, check_links};
use crate::error::{Error, Kind, quoted};

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
        self.algorithm();
        self.signature();
        let usage = signer.check_usage();
        self.result(Kind::CertificateKeyUsage, usage, "the certificate may sign code");
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

    fn algorithm(&mut self) {
        let algorithm = self.file.algorithm;
        let (kind, member) = (Kind::CertificateAlgorithm, Some(self.member));
        if algorithm.is_strong() {
            self.run
                .report
                .ok(kind, member, format!("the signature is over {algorithm}"));
        } else if self.run.policy.tolerates(Tolerance::Sha1) {
            let reason =
                format!("the signature is over {algorithm}, which is broken; the policy tolerates it");
            self.run.report.skipped(kind, member, reason);
        } else {
            self.run.report.failed(
                kind,
                member,
                format!("the signature is over {algorithm}, which is broken"),
            );
        }
    }

    fn signature(&mut self) {
        // Without a manifest there is nothing signed, which fails under the manifest's own rule.
        let Some((manifest, _)) = &self.run.manifest else {
            return;
        };
        // The name's case is wrong in packages of the field; the bytes are what is signed.
        if !self
            .file
            .manifest_name
            .eq_ignore_ascii_case(manifest.name.as_str())
        {
            let shown = quoted(&self.file.manifest_name);
            let reason = format!("the signature is of {shown}, not of {}", manifest.name);
            return self
                .run
                .report
                .failed(Kind::CertificateSignature, Some(self.member), reason);
        }
        let verified = self.file.verify_signature(&manifest.bytes);
        self.result(
            Kind::CertificateSignature,
            verified,
            "the manifest is signed by the certificate's key",
        );
    }

    fn validity(&mut self, signer: &Certificate) {
        match signer.check_validity(self.run.policy.now) {
            Err(error) if self.may_be_expired(&error) => {
                let reason = format!("{}; the policy tolerates it", error.reason());
                self.run.report.skipped(error.kind(), Some(self.member), reason);
            }
            result => self.result(
                Kind::CertificateExpired,
                result,
                "the certificate is within its validity",
            ),
        }
    }

    fn trust(&mut self) {
        if self.run.policy.roots.is_empty() {
            let reason = "the policy trusts nobody by name: anybody may have signed";
            return self
                .run
                .report
                .skipped(Kind::CertificateUntrusted, Some(self.member), reason);
        }
        let mut trusted = self
            .run
            .policy
            .roots
            .check(self.file.chain(), self.run.policy.now);
        if trusted.as_ref().is_err_and(|error| self.may_be_expired(error)) {
            // The path is judged at the last moment that the signer's own certificate was good.
            trusted = self
                .run
                .policy
                .roots
                .check(self.file.chain(), self.file.signer().not_after());
        }
        self.result(
            Kind::CertificateUntrusted,
            trusted,
            "the certificate leads to a trusted root",
        );
    }

    fn may_be_expired(&self, error: &Error) -> bool {
        error.kind() == Kind::CertificateExpired && self.run.policy.tolerates(Tolerance::ExpiredCertificate)
    }
}
