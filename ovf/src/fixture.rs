//! What the tests of several modules build on: keys and certificates, a whole descriptor, a small signed archive.

use std::io::{Cursor, Read, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData, RevokedCertParams,
    SerialNumber, SignatureAlgorithm,
};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::rand_core::OsRng;
use time::OffsetDateTime;

use crate::certificate::{Certificate, Crl, Signer, SigningKey, TrustRoots};
use crate::descriptor::*;
use crate::manifest::DigestAlgorithm;
use crate::package::MemberName;
use crate::package::ova::{Layout, Writer};

/// The time of the tests, in Unix time; certificates are valid a year around it.
pub(crate) const NOW: i64 = 1_800_000_000;
const YEAR: i64 = 365 * 86_400;

/// An authority, and keys for publishers.
pub(crate) struct Keys {
    authority: Issuer<'static, KeyPair>,
    pub(crate) root: Certificate,
    /// The publisher's, by the authority: made once, since every signature of the authority is another.
    pub(crate) certificate: Certificate,
    pub(crate) publisher: RsaPrivateKey,
    pub(crate) other: RsaPrivateKey,
}

pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let params = authority_params("Test Authority");
        let key = KeyPair::generate().unwrap();
        let root = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
        let authority = Issuer::new(params, key);
        let (publisher, other) = (rsa_key(2048), rsa_key(2048));
        let certificate = issue(&authority, &publisher_params(), &publisher);
        Keys {
            authority,
            root,
            certificate,
            publisher,
            other,
        }
    })
}

pub(crate) fn rsa_key(bits: usize) -> RsaPrivateKey {
    RsaPrivateKey::new(&mut OsRng, bits).unwrap()
}

pub(crate) fn pem(key: &RsaPrivateKey) -> String {
    key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

/// Parameters of a certificate that is good in every respect, to be spoiled.
pub(crate) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::from_unix_timestamp(NOW - YEAR).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(NOW + YEAR).unwrap();
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) fn publisher_params() -> CertificateParams {
    let mut params = params("Publisher");
    params.serial_number = Some(SerialNumber::from(PUBLISHER_SERIAL));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}

const PUBLISHER_SERIAL: u64 = 77;

/// Whom a revocation list names.
pub(crate) enum Listed {
    Publisher,
    Nobody,
}

/// A list of certificates taken back, of these times in Unix time.
fn list(authority: &Issuer<'_, KeyPair>, listed: &Listed, this_update: i64, next_update: i64) -> Crl {
    let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let serial = match listed {
        Listed::Publisher => PUBLISHER_SERIAL,
        Listed::Nobody => PUBLISHER_SERIAL + 1,
    };
    let params = CertificateRevocationListParams {
        this_update: time(this_update),
        next_update: time(next_update),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: time(this_update),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Crl::from_der(params.signed_by(authority).unwrap().der()).unwrap()
}

/// A public key of any size: ring, which rcgen uses, loads none of fewer than 2048 bits.
struct RsaPublic(Vec<u8>);

impl PublicKeyData for RsaPublic {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

fn issue(authority: &Issuer<'_, KeyPair>, params: &CertificateParams, key: &RsaPrivateKey) -> Certificate {
    let public = RsaPublic(key.to_public_key().to_pkcs1_der().unwrap().as_bytes().to_vec());
    Certificate::from_der(params.signed_by(&public, authority).unwrap().der()).unwrap()
}

impl Keys {
    /// A certificate of the authority for a key.
    pub(crate) fn issue(&self, params: &CertificateParams, key: &RsaPrivateKey) -> Certificate {
        issue(&self.authority, params, key)
    }

    /// A list of the authority.
    pub(crate) fn list(&self, listed: Listed, this_update: i64, next_update: i64) -> Crl {
        list(&self.authority, &listed, this_update, next_update)
    }

    /// A list of an authority that has nothing to do with the publisher.
    pub(crate) fn foreign_list(&self, this_update: i64, next_update: i64) -> Crl {
        let other = Issuer::new(authority_params("Other"), KeyPair::generate().unwrap());
        list(&other, &Listed::Publisher, this_update, next_update)
    }

    /// A list under the authority's name, by another key.
    pub(crate) fn forged_list(&self, this_update: i64, next_update: i64) -> Crl {
        let forger = Issuer::new(authority_params("Test Authority"), KeyPair::generate().unwrap());
        list(&forger, &Listed::Nobody, this_update, next_update)
    }

    /// A certificate of the publisher's key by itself.
    pub(crate) fn self_signed(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&pem(&self.publisher), &PKCS_RSA_SHA256).unwrap();
        Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap()
    }

    pub(crate) fn signing_key(&self) -> SigningKey {
        SigningKey::from_pem(pem(&self.publisher).as_bytes(), None).unwrap()
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer::new(
            self.signing_key(),
            vec![self.certificate.clone(), self.root.clone()],
        )
        .unwrap()
    }

    pub(crate) fn roots(&self) -> TrustRoots {
        TrustRoots::new(vec![self.root.clone()])
    }
}

/// A descriptor that uses everything the model has, its texts full of what must be escaped.
pub(crate) fn descriptor(sizes: [u64; 2]) -> Descriptor {
    let file = |id: &str, href: &str, size| File {
        id: id.to_owned(),
        href: href.to_owned(),
        size: Some(size),
        ..File::default()
    };
    let disk = |id: &str, file: &str, gibibytes| Disk {
        id: id.to_owned(),
        file_ref: Some(file.to_owned()),
        capacity: Capacity::Number(gibibytes),
        units: Some("byte * 2^30".to_owned()),
        format: Some(STREAM_OPTIMIZED.to_owned()),
        populated_size: Some(1 << 20),
        ..Disk::default()
    };
    let network = Network {
        name: "VM \"Network\"".to_owned(),
        description: Some("<net>".into()),
        ..Network::default()
    };
    Descriptor {
        files: vec![
            file("file1", "small-disk1.vmdk", sizes[0]),
            file("file2", "small-disk2.vmdk", sizes[1]),
        ],
        disks: vec![disk("disk1", "file1", 1), disk("disk2", "file2", 2)],
        networks: vec![network],
        ..Descriptor::new(system())
    }
}

fn system() -> VirtualSystem {
    VirtualSystem {
        id: "node".to_owned(),
        info: "A & B".into(),
        name: Some("Node <1>".into()),
        annotation: Some(Annotation {
            info: "Remark".into(),
            text: "line\nline ]]>".into(),
            ..Annotation::default()
        }),
        products: vec![product()],
        eulas: vec![Eula {
            info: "Licence".into(),
            license: "\u{a9} \"all\"".into(),
            ..Eula::default()
        }],
        operating_system: Some(OperatingSystem {
            id: 101,
            version: Some("6.1".to_owned()),
            vmw_os_type: Some("other5xLinux64Guest".to_owned()),
            info: "Guest".into(),
            description: Some("Linux".into()),
            ..OperatingSystem::default()
        }),
        hardware: vec![hardware()],
        ..VirtualSystem::default()
    }
}

fn hardware() -> Hardware {
    let mut adapter = Item::ethernet(8, "Adapter 1", "VmxNet3", "VM \"Network\"");
    adapter.config.push(Config::optional("wakeOnLanEnabled", "false"));
    Hardware {
        info: "Hardware".into(),
        transport: vec!["iso".to_owned(), "com.vmware.guestInfo".to_owned()],
        system: Some(SystemSettings {
            element_name: "Family".to_owned(),
            instance_id: "0".to_owned(),
            identifier: Some("node".to_owned()),
            system_types: vec!["vmx-14".to_owned(), "virtualbox-2.2".to_owned()],
        }),
        items: vec![
            Item::processors(1, 2),
            Item::memory(2, 256),
            Item::controller(3, "IDE 0", ResourceType::IDE_CONTROLLER, None, 0),
            Item::controller(4, "SCSI 0", ResourceType::SCSI_CONTROLLER, Some("VirtualSCSI"), 0),
            Item::cd_drive(5, "CD 1", 3, 0),
            Item::disk(6, "Disk 1", 4, 0, "disk1"),
            Item::disk(7, "Disk 2", 4, 1, "disk2"),
            adapter,
            Item::graphics(9, "Video"),
        ],
        config: vec![Config::optional("firmware", "efi")],
        ..Hardware::default()
    }
}

fn product() -> ProductSection {
    let qualifiers = Qualifiers {
        min_len: Some(1),
        value_map: vec!["a\"b".to_owned(), "c".to_owned()],
        ..Qualifiers::default()
    };
    let role = Property {
        qualifiers,
        value: Some("a\"b".to_owned()),
        category: Some("Network & more".into()),
        label: Some("Role".into()),
        description: Some("<what>".into()),
        ..Property::new("role", PropertyType::String)
    };
    let secret = Property {
        password: true,
        ..Property::new("secret", PropertyType::String)
    };
    let count = Property {
        user_configurable: false,
        value: Some("3".to_owned()),
        ..Property::new("count", PropertyType::Uint8)
    };
    ProductSection {
        class: "com.example".to_owned(),
        instance: "1".to_owned(),
        info: "Product".into(),
        product: Some("Small".into()),
        vendor: Some("Example".into()),
        version: Some("1".to_owned()),
        full_version: Some("1.0.0".to_owned()),
        product_url: Some("https://example.com/?a=1&b=2".to_owned()),
        vendor_url: Some("https://example.com".to_owned()),
        properties: vec![role, secret, count],
        ..ProductSection::default()
    }
}

pub(crate) const DISKS: [&[u8]; 2] = [&[7; 700], b"second disk"];

/// A small archive, signed if somebody signs.
pub(crate) fn archive(signer: Option<&Signer>) -> Vec<u8> {
    pack(signer, &DISKS, |sizes| descriptor([sizes[0], sizes[1]]))
}

/// The least archive that is whole: one system, one disk.
pub(crate) fn least_archive(signer: &Signer) -> Vec<u8> {
    pack(Some(signer), &DISKS[1..], |sizes| {
        let file = File {
            id: "f".to_owned(),
            href: "small-disk1.vmdk".to_owned(),
            size: Some(sizes[0]),
            ..File::default()
        };
        Descriptor {
            files: vec![file],
            ..Descriptor::new(VirtualSystem {
                id: "s".to_owned(),
                ..VirtualSystem::default()
            })
        }
    })
}

fn pack(signer: Option<&Signer>, disks: &[&[u8]], describe: impl Fn(&[u64]) -> Descriptor) -> Vec<u8> {
    let name = |index: usize| MemberName::parse(&format!("small-disk{}.vmdk", index + 1)).unwrap();
    let layout = Layout {
        base_name: "small".to_owned(),
        files: (0..disks.len()).map(name).collect(),
        descriptor_len: describe(&vec![u64::MAX; disks.len()]).render().unwrap().len() as u64,
        algorithm: DigestAlgorithm::Sha256,
        signer,
        mtime: 0,
    };
    let mut out = Cursor::new(Vec::new());
    let mut writer = Writer::create(&mut out, layout).unwrap();
    for (index, disk) in disks.iter().enumerate() {
        let mut member = writer.member(name(index).as_str()).unwrap();
        member.write_all(disk).unwrap();
        member.finish().unwrap();
    }
    let sizes: Vec<_> = writer.files().iter().map(|file| file.size).collect();
    writer.finish(describe(&sizes).render().unwrap()).unwrap();
    out.into_inner()
}

/// An archive of files with this content, by a tar builder that is not ours.
pub(crate) fn tar(members: &[(impl AsRef<str>, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let (name, bytes) = (name.as_ref(), bytes.as_ref());
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A reader that gives few bytes at a time, and is interrupted now and then.
pub(crate) struct Halting<R> {
    inner: R,
    state: u64,
    one_byte: bool,
    reads: u64,
}

impl<R> Halting<R> {
    /// Short reads and interruptions, the same for the same seed.
    pub(crate) fn new(inner: R, seed: u64) -> Self {
        Halting {
            inner,
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            one_byte: false,
            reads: 0,
        }
    }

    /// One byte at a time, each after an interruption or not.
    pub(crate) fn one_byte(inner: R) -> Self {
        Halting {
            one_byte: true,
            ..Self::new(inner, 1)
        }
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads
    }
}

impl<R: Read> Read for Halting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reads += 1;
        // Xorshift: no quality is asked of it.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        if self.state.is_multiple_of(5) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let most = if self.one_byte {
            1
        } else {
            1 + (self.state >> 32) % 700
        };
        let length = buffer.len().min(usize::try_from(most).unwrap());
        self.inner.read(&mut buffer[..length])
    }
}

/// The folder of other people's packages, if it is here.
pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let folder = std::env::var_os("OVF_CORPUS").map_or(beside, PathBuf::from);
    if folder.join("INDEX.tsv").is_file() {
        return Some(folder);
    }
    println!("skipped: no corpus at {}", folder.display());
    None
}

/// Every file under a folder, in the order of their names.
pub(crate) fn files_under(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    found
}
