use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose};

use super::*;
use crate::certificate::{Certificate, CertificateFile, KeyPin, TrustRoots};
use crate::fixture::rsa_key;

#[test]
fn each_fault_of_the_signer_is_a_failure_of_its_own() {
    let with = |certificate: Certificate, policy: &Policy| {
        let signer = crate::certificate::Signer::new(keys().signing_key(), vec![certificate]).unwrap();
        let verdict = judge(archive(Some(&signer)), policy);
        verdict.failures().map(|check| check.code).collect::<Vec<_>>()
    };
    let issued = keys().issue(&publisher_params(), &keys().publisher);
    let own = keys().self_signed(&publisher_params());
    assert_eq!(with(own.clone(), &policy()), ["certificate.untrusted"]);
    assert_eq!(
        with(own, &Policy::at(NOW)),
        [""; 0],
        "nobody is trusted by name, anybody may sign"
    );
    let late = Policy {
        now: NOW + 400 * 86_400,
        ..policy()
    };
    assert!(
        with(issued.clone(), &late)
            .iter()
            .all(|code| *code == "certificate.expired")
    );
    let early = Policy {
        now: NOW - 400 * 86_400,
        ..policy()
    };
    assert!(
        with(issued.clone(), &early)
            .iter()
            .all(|code| *code == "certificate.not-yet-valid")
    );
    let tolerant = Policy {
        tolerances: vec![Tolerance::ExpiredCertificate],
        ..late
    };
    assert_eq!(with(issued, &tolerant), [""; 0]);
}

/// The codes that fail where the publisher's certificate is this one: as no [`crate::certificate::Signer`] would sign.
fn codes(certificates: Vec<Certificate>, policy: &Policy) -> Vec<&'static str> {
    let mut members = members_of(&signed());
    let own = CertificateFile::parse(&members[2].1).unwrap();
    let file = CertificateFile::new(own.algorithm, "small.mf", own.signature, certificates).unwrap();
    members[2].1 = file.render();
    let verdict = judge(pack(&members), policy);
    verdict.failures().map(|check| check.code).collect()
}

fn spoiled(spoil: impl FnOnce(&mut CertificateParams)) -> Vec<Certificate> {
    let mut params = publisher_params();
    spoil(&mut params);
    vec![keys().issue(&params, &keys().publisher)]
}

#[test]
fn a_certificate_for_another_purpose_is_refused_by_its_own_rule_alone() {
    let codes = |certificates| codes(certificates, &policy());
    assert_eq!(
        codes(spoiled(
            |it| it.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth]
        )),
        ["certificate.extended-key-usage"]
    );
    assert_eq!(
        codes(spoiled(|it| it.key_usages = vec![KeyUsagePurpose::KeyCertSign])),
        ["certificate.key-usage"]
    );
    assert_eq!(
        codes(spoiled(|it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        ["certificate.authority"]
    );
    assert_eq!(codes(spoiled(|_| {})), [""; 0]);
}

#[test]
fn a_signature_by_another_key_is_refused_by_its_own_rule_alone() {
    let other = vec![keys().issue(&publisher_params(), &keys().other)];
    assert_eq!(codes(other, &policy()), ["certificate.signature"]);
}

#[test]
fn keys_and_digests_below_the_policy_s_least_are_refused() {
    let short = vec![keys().issue(&publisher_params(), &rsa_key(1024))];
    assert_eq!(codes(short, &policy()), ["certificate.key-size"]);
    let demanding = Policy {
        min_key_bits: 3072,
        ..policy()
    };
    assert_eq!(codes(spoiled(|_| {}), &demanding), ["certificate.key-size"]);
    let demanding = Policy {
        min_digest: DigestAlgorithm::Sha384,
        ..policy()
    };
    assert_eq!(
        codes(spoiled(|_| {}), &demanding),
        ["certificate.weak-digest", "manifest.weak-digest"]
    );
}

#[test]
fn a_pin_narrows_what_the_roots_allow() {
    let pinned = |pins: Vec<KeyPin>| Policy { pins, ..policy() };
    let chain = || vec![keys().certificate.clone(), keys().root.clone()];
    for certificate in [&keys().root, &keys().certificate] {
        let policy = pinned(vec![KeyPin::of(certificate)]);
        assert_eq!(codes(chain(), &policy), [""; 0]);
    }
    let other = keys().issue(&publisher_params(), &keys().other);
    assert_eq!(
        codes(chain(), &pinned(vec![KeyPin::of(&other)])),
        ["certificate.pin"]
    );
}

#[test]
fn a_pin_without_roots_stands_for_one() {
    let pinned = |certificate: &Certificate| Policy {
        pins: vec![KeyPin::of(certificate)],
        ..Policy::at(NOW)
    };
    let chain = || vec![keys().certificate.clone(), keys().root.clone()];
    assert_eq!(codes(chain(), &pinned(&keys().root)), [""; 0]);
    assert_eq!(codes(chain(), &pinned(&keys().certificate)), [""; 0]);
    // The pinned issuer must be in the package: only its digest is known here.
    assert_eq!(
        codes(vec![keys().certificate.clone()], &pinned(&keys().root)),
        ["certificate.pin"]
    );
    let own = keys().self_signed(&publisher_params());
    assert_eq!(codes(vec![own.clone()], &pinned(&own)), [""; 0]);
    let unsigned = judge(archive(None), &pinned(&own));
    assert_eq!(failures(&unsigned), [("certificate.missing", None)]);
    let late = Policy {
        now: NOW + 400 * 86_400,
        ..pinned(&own)
    };
    assert!(
        codes(vec![own], &late)
            .iter()
            .all(|code| *code == "certificate.expired")
    );
}

#[test]
fn an_impostor_under_the_root_s_name_leads_nowhere() {
    let mut params = crate::fixture::params("Test Authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let impostor = keys().self_signed(&params);
    let roots = TrustRoots::new(vec![impostor]);
    let found = codes(vec![keys().certificate.clone()], &Policy::at(NOW).trusting(roots));
    assert_eq!(found, ["certificate.untrusted"]);
}
