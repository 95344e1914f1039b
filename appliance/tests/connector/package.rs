//! A publisher, and packages that it signs.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};

use ovf::certificate::{Certificate, Signer, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
};
use ring::digest::{SHA256, digest};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use rsa::rand_core::OsRng;
use time::{Duration, OffsetDateTime};

/// Somebody who signs packages.
pub(crate) struct Publisher {
    signer: Signer,
    /// Its certificate, PEM.
    pub(crate) certificate: String,
}

/// Somebody who certifies publishers, and takes certificates back.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub(crate) certificate: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let (_, pair) = key();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&pair).unwrap().pem();
        Self {
            issuer: Issuer::new(params, pair),
            certificate,
        }
    }

    /// A publisher with a certificate of this number, which ends so many days from now.
    pub(crate) fn publisher(&self, name: &str, number: u64, days: i64) -> Publisher {
        let mut params = publishing(name);
        params.serial_number = Some(number.into());
        params.not_before = now() - Duration::days(400);
        params.not_after = now() + Duration::days(days);
        params.use_authority_key_identifier_extension = true;
        Publisher::certified(|pair| params.signed_by(pair, &self.issuer).unwrap())
    }

    /// A list, made now, of certificates that are taken back, PEM.
    pub(crate) fn takes_back(&self, numbers: &[u64]) -> String {
        let taken = |number: &u64| RevokedCertParams {
            serial_number: (*number).into(),
            revocation_time: now() - Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now() - Duration::hours(1),
            next_update: now() + Duration::days(10),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: numbers.iter().map(taken).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from(std::time::SystemTime::now())
}

fn key() -> (String, KeyPair) {
    let key = RsaPrivateKey::new(&mut OsRng, 2048).unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    let pair = KeyPair::from_pem(&pem).unwrap();
    (pem, pair)
}

fn publishing(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}

impl Publisher {
    pub(crate) fn new(name: &str) -> Self {
        Self::certified(|pair| publishing(name).self_signed(pair).unwrap())
    }

    fn certified(certify: impl FnOnce(&KeyPair) -> rcgen::Certificate) -> Self {
        let (pem, pair) = key();
        let made = certify(&pair);
        let certificate = Certificate::from_der(made.der()).unwrap();
        let key = SigningKey::from_pem(pem.as_bytes(), None).unwrap();
        Self {
            certificate: made.pem(),
            signer: Signer::new(key, vec![certificate]).unwrap(),
        }
    }

    /// Writes a package with one disk, `web.ovf` and its files; the descriptor's path.
    pub(crate) fn package(&self, folder: &Path, release: &str, disk: &[u8]) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let descriptor = descriptor(release, disk.len());
        let manifest: String = [("web.ovf", descriptor.as_bytes()), ("web-disk.vmdk", disk)]
            .iter()
            .map(|(name, bytes)| format!("SHA256({name})= {}\n", hex(bytes)))
            .collect();
        let signature = self.signer.sign("web.mf", manifest.as_bytes()).unwrap();
        std::fs::write(folder.join("web.ovf"), descriptor).unwrap();
        std::fs::write(folder.join("web.mf"), manifest).unwrap();
        std::fs::write(folder.join("web.cert"), signature).unwrap();
        std::fs::write(folder.join("web-disk.vmdk"), disk).unwrap();
        folder.join("web.ovf")
    }

    /// The same as an archive with its members in an order; its path.
    pub(crate) fn archive(&self, folder: &Path, release: &str, disk: &[u8], order: [&str; 4]) -> PathBuf {
        self.package(folder, release, disk);
        let path = folder.join("web.ova");
        let packed = std::process::Command::new("tar")
            .args(["--format=ustar", "--owner=0", "--group=0", "--mode=644", "-C"])
            .arg(folder)
            .arg("-cf")
            .arg(&path)
            .args(order)
            .status();
        assert!(packed.unwrap().success());
        path
    }
}

fn hex(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn descriptor(release: &str, bytes: usize) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="disk" ovf:href="web-disk.vmdk" ovf:size="{bytes}"/></References>
  <DiskSection><Info>Disks</Info><Disk ovf:diskId="disk" ovf:fileRef="disk" ovf:capacity="1073741824"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <VirtualSystem ovf:id="web"><Info>A machine</Info>
    <ProductSection><Info>The product</Info><Product>Web</Product><Version>{release}</Version></ProductSection>
  </VirtualSystem>
</Envelope>
"#
    )
}

/// Bytes without any order, the same ones for the same seed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let word = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (word ^ (word >> 32)).to_be_bytes()
    });
    let mut noise: Vec<u8> = words.take(bytes / 8 + 1).flatten().collect();
    noise.truncate(bytes);
    noise
}
