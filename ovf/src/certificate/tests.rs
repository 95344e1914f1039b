use std::process::Command;

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use time::OffsetDateTime;

use super::*;
use crate::fixture::{NOW, keys, params, pem, publisher_params, rsa_key};
use crate::manifest::DigestAlgorithm;

const MANIFEST: &[u8] = b"SHA256(a.ovf)= 00\n";

fn kind(result: Result<(), Error>) -> Kind {
    result.unwrap_err().kind()
}

#[test]
fn a_signed_manifest_reads_back_verifies_and_leads_to_the_root() {
    let bytes = keys().signer().sign("a.mf", MANIFEST).unwrap();
    let file = CertificateFile::parse(&bytes).unwrap();
    assert_eq!(file.render(), bytes);
    assert_eq!(file.manifest_name, "a.mf");
    assert_eq!(bytes.len() as u64, keys().signer().file_len("a.mf"));
    file.verify_signature(MANIFEST).unwrap();
    keys().roots().check(file.chain(), NOW).unwrap();
    assert_eq!(file.signer().subject(), "CN=Publisher");
    assert_eq!(file.signer().issuer(), "CN=Test Authority");
}

#[test]
fn signing_twice_gives_the_same_bytes() {
    let signer = keys().signer();
    assert_eq!(
        signer.sign("a.mf", MANIFEST).unwrap(),
        signer.sign("a.mf", MANIFEST).unwrap()
    );
}

#[test]
fn every_digest_but_sha1_can_be_signed_with() {
    for algorithm in [DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
        let signer = keys().signer().with_algorithm(algorithm).unwrap();
        let file = CertificateFile::parse(&signer.sign("a.mf", MANIFEST).unwrap()).unwrap();
        assert_eq!(file.algorithm, algorithm);
        file.verify_signature(MANIFEST).unwrap();
    }
    let error = keys().signer().with_algorithm(DigestAlgorithm::Sha1).unwrap_err();
    assert_eq!(error.kind(), Kind::CertificateAlgorithm);
}

#[test]
fn a_manifest_of_one_other_byte_does_not_verify() {
    let file = CertificateFile::parse(&keys().signer().sign("a.mf", MANIFEST).unwrap()).unwrap();
    assert_eq!(
        kind(file.verify_signature(b"SHA256(a.ovf)= 01\n")),
        Kind::CertificateSignature
    );
    let mut broken = file.clone();
    broken.signature[5] ^= 1;
    assert_eq!(
        kind(broken.verify_signature(MANIFEST)),
        Kind::CertificateSignature
    );
    broken.signature.pop();
    assert_eq!(
        kind(broken.verify_signature(MANIFEST)),
        Kind::CertificateSignature
    );
}

#[test]
fn openssl_accepts_the_signature() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let file = CertificateFile::parse(&keys().signer().sign("a.mf", MANIFEST).unwrap()).unwrap();
    std::fs::write(place("a.mf"), MANIFEST).unwrap();
    std::fs::write(place("signature"), &file.signature).unwrap();
    std::fs::write(place("cert.pem"), file.signer().to_pem()).unwrap();
    let script = "openssl x509 -in cert.pem -noout -pubkey > key.pem && openssl dgst -sha256 -verify key.pem -signature signature a.mf";
    let Ok(output) = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder.path())
        .output()
    else {
        return;
    };
    if output.status.code() == Some(127) {
        return println!("skipped: no openssl");
    }
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn signatures_wrapped_over_lines_and_carriage_returns_are_read() {
    let text = String::from_utf8(keys().signer().sign("a.mf", MANIFEST).unwrap()).unwrap();
    let wrapped = format!("{}\n{}", &text[..100], &text[100..]);
    assert!(
        CertificateFile::parse(wrapped.as_bytes())
            .unwrap()
            .verify_signature(MANIFEST)
            .is_ok()
    );
    let dos = text.replace('\n', "\r\n");
    assert!(
        CertificateFile::parse(dos.as_bytes())
            .unwrap()
            .verify_signature(MANIFEST)
            .is_ok()
    );
}

#[test]
fn files_that_hold_anything_else_are_refused_with_the_line() {
    let text = String::from_utf8(keys().signer().sign("a.mf", MANIFEST).unwrap()).unwrap();
    let (first, chain) = text.split_once('\n').unwrap();
    let malformed = |text: String| {
        let error = CertificateFile::parse(text.as_bytes()).expect_err(&text);
        assert_eq!(error.kind(), Kind::CertificateMalformed, "{text}");
        error.place().line
    };
    malformed(String::new());
    malformed(first.to_owned());
    malformed(chain.to_owned());
    malformed(format!("{first}\n-----BEGIN PKCS7-----\n"));
    malformed(format!(
        "{first}\n-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n"
    ));
    assert_eq!(malformed(format!("{first}\nremark\n{chain}")), Some(2));
    malformed(format!("{first}\n{}", chain.replace("-----END", "----END")));
    malformed(format!("{first}\n{}", chain.replacen("MII", "M II", 1)));
    malformed(format!("{first}\n{}", chain.replacen("MII", "AII", 1)));
    malformed(format!("SHA256(a.mf)= xyz\n{chain}"));
    let many: String = std::iter::repeat_n(chain, 17).collect();
    malformed(format!("{first}\n{many}"));
    let unknown = CertificateFile::parse(format!("MD5(a.mf)= 00\n{chain}").as_bytes()).unwrap_err();
    assert_eq!(unknown.kind(), Kind::CertificateAlgorithm);
}

#[test]
fn keys_are_read_as_pkcs8_pkcs1_and_under_a_passphrase() {
    let key = &keys().publisher;
    assert!(SigningKey::from_pem(pem(key).as_bytes(), None).is_ok());
    let pkcs1 = key.to_pkcs1_pem(LineEnding::LF).unwrap();
    assert!(SigningKey::from_pem(pkcs1.as_bytes(), None).is_ok());
    let broken = SigningKey::from_pem(
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        None,
    );
    assert_eq!(broken.unwrap_err().kind(), Kind::KeyMalformed);
    assert_eq!(
        SigningKey::from_pem(b"no key", None).unwrap_err().kind(),
        Kind::KeyMalformed
    );
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(
        SigningKey::from_pem(elliptic.as_bytes(), None)
            .unwrap_err()
            .kind(),
        Kind::CertificateAlgorithm
    );
}

#[test]
fn a_key_that_openssl_encrypted_opens_with_its_passphrase_only() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.pem"), pem(&keys().publisher)).unwrap();
    let output = Command::new("openssl")
        .args([
            "pkcs8",
            "-topk8",
            "-iter",
            "1",
            "-in",
            "key.pem",
            "-passout",
            "pass:open sesame",
        ])
        .current_dir(folder.path())
        .output();
    let Ok(output) = output else {
        return println!("skipped: no openssl");
    };
    let open = |passphrase: Option<&[u8]>| SigningKey::from_pem(&output.stdout, passphrase);
    assert!(open(Some(b"open sesame")).is_ok());
    for wrong in 0..2000 {
        let error = open(Some(format!("wrong {wrong}").as_bytes())).unwrap_err();
        assert_eq!(error.kind(), Kind::KeyPassphrase, "{wrong}: {error}");
    }
    assert_eq!(open(None).unwrap_err().kind(), Kind::KeyPassphrase);
}

#[test]
fn keys_below_2048_bits_neither_sign_nor_verify() {
    let small = rsa_key(1024);
    let error =
        SigningKey::from_pem(small.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes(), None).unwrap_err();
    assert_eq!(error.kind(), Kind::CertificateKeySize);
    let certificate = keys().issue(&publisher_params(), &small);
    let file =
        CertificateFile::new(DigestAlgorithm::Sha256, "a.mf", vec![0; 128], vec![certificate]).unwrap();
    assert_eq!(kind(file.verify_signature(MANIFEST)), Kind::CertificateKeySize);
}

#[test]
fn a_key_of_another_certificate_makes_no_signer() {
    let certificate = keys().issue(&publisher_params(), &keys().other);
    let error = Signer::new(keys().signing_key(), vec![certificate]).unwrap_err();
    assert_eq!(error.kind(), Kind::KeyMismatch);
    assert!(error.to_string().contains("CN=Publisher"));
}

#[test]
fn each_fault_of_a_certificate_has_its_own_refusal() {
    let keys = keys();
    let check = |spoil: fn(&mut rcgen::CertificateParams)| {
        let mut params = publisher_params();
        spoil(&mut params);
        keys.roots()
            .check(&[keys.issue(&params, &keys.publisher)], NOW)
            .unwrap_err()
            .kind()
    };
    assert_eq!(
        check(|params| params.not_after = OffsetDateTime::from_unix_timestamp(NOW - 1).unwrap()),
        Kind::CertificateExpired
    );
    assert_eq!(
        check(|params| params.not_before = OffsetDateTime::from_unix_timestamp(NOW + 1).unwrap()),
        Kind::CertificateNotYetValid
    );
    assert_eq!(
        check(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        Kind::CertificateExtendedKeyUsage
    );
    assert_eq!(
        check(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
        Kind::CertificateKeyUsage
    );
    assert_eq!(
        check(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        Kind::CertificateAuthority
    );
}

#[test]
fn certificates_without_usages_may_sign() {
    let certificate = keys().issue(&params("Plain"), &keys().publisher);
    keys().roots().check(&[certificate], NOW).unwrap();
}

#[test]
fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let own = keys().self_signed(&publisher_params());
    assert_eq!(
        kind(keys().roots().check(std::slice::from_ref(&own), NOW)),
        Kind::CertificateUntrusted
    );
    let issued = keys().issue(&publisher_params(), &keys().publisher);
    assert_eq!(
        kind(TrustRoots::default().check(&[issued], NOW)),
        Kind::CertificateUntrusted
    );
}

#[test]
fn a_pinned_self_signed_certificate_is_trusted_even_as_an_authority() {
    let mut params = publisher_params();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = keys().self_signed(&params);
    let roots = TrustRoots::new(vec![certificate.clone()]);
    roots.check(std::slice::from_ref(&certificate), NOW).unwrap();
    let late = certificate.not_after() + 1;
    assert_eq!(
        kind(roots.check(std::slice::from_ref(&certificate), late)),
        Kind::CertificateExpired
    );
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let wrong = keys().self_signed(&params);
    assert_eq!(
        kind(roots.check(&[wrong], NOW)),
        Kind::CertificateExtendedKeyUsage
    );
}

#[test]
fn a_chain_holds_only_where_each_certificate_signs_the_one_before() {
    let leaf = keys().issue(&publisher_params(), &keys().publisher);
    let stranger = keys().self_signed(&params("Stranger"));
    check_links(&[leaf.clone(), keys().root.clone()]).unwrap();
    assert_eq!(
        kind(check_links(&[leaf.clone(), stranger])),
        Kind::CertificateUntrusted
    );
    // One bit of the certificate's own signature: the content still parses, and no longer is what was signed.
    let mut der = leaf.as_der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    if let Ok(forged) = Certificate::from_der(&der) {
        assert_eq!(
            kind(check_links(&[forged, keys().root.clone()])),
            Kind::CertificateUntrusted
        );
    }
}

#[test]
fn roots_are_read_from_pem_and_der() {
    let root = &keys().root;
    for bytes in [
        root.as_der().to_vec(),
        format!("remark\n{}", root.to_pem()).into_bytes(),
    ] {
        assert_eq!(
            TrustRoots::parse(&bytes).unwrap().certificates(),
            std::slice::from_ref(root)
        );
    }
    assert_eq!(
        TrustRoots::parse(b"nothing").unwrap_err().kind(),
        Kind::CertificateMalformed
    );
}

#[test]
fn names_shown_to_people_cannot_move_the_cursor() {
    let certificate = keys().self_signed(&params("a\u{1b}[2Jb\u{202e}c"));
    assert!(
        !certificate.subject().contains(['\u{1b}', '\u{202e}']),
        "{}",
        certificate.subject()
    );
}

#[test]
fn no_near_file_makes_the_reader_panic() {
    let good = keys().signer().sign("a.mf", MANIFEST).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        let _ = CertificateFile::parse(&bytes).map(|file| file.verify_signature(MANIFEST));
        let _ = CertificateFile::parse(&good[..at]);
    }
}

#[test]
fn the_signed_package_of_the_field_is_read_and_its_short_key_refused() {
    let Some(corpus) = crate::fixture::corpus() else {
        return;
    };
    let folder = corpus.join("open-ovf/py/tests/test_files");
    let file = CertificateFile::parse(&std::fs::read(folder.join("ourOVF.cert")).unwrap()).unwrap();
    assert_eq!(
        (file.algorithm, file.manifest_name.as_str()),
        (DigestAlgorithm::Sha1, "ourOVF.mf")
    );
    assert_eq!(file.signature.len(), 64);
    assert!(file.signer().is_self_issued());
    let manifest = std::fs::read(folder.join("ourOVF.mf")).unwrap();
    assert_eq!(kind(file.verify_signature(&manifest)), Kind::CertificateKeySize);
    assert_eq!(kind(file.signer().check_validity(NOW)), Kind::CertificateExpired);
}
