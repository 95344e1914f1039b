//! Authorities, publishers and signatures made by the openssl command.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::archive::{Archive, Member};
use crate::{artefacts, counterpart};

/// Extensions of an authority's certificate.
pub const AUTHORITY: &str =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
/// Extensions of a publisher's certificate.
pub const PUBLISHER: &str =
    "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n";

/// A folder of keys and certificates: `root`, `middle` below it, `leaf` below that; for each `NAME.key` and `NAME.pem`.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// A chain of three, the leaf's key of so many bits; nothing where openssl is not installed.
    pub fn new(bits: u32) -> Option<Self> {
        counterpart::find("openssl")?;
        let own = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        own.issue("root", None, AUTHORITY, 2048);
        own.issue("middle", Some("root"), AUTHORITY, 2048);
        own.issue("leaf", Some("middle"), PUBLISHER, bits);
        own.chain("chain.pem", &["leaf", "middle"]);
        Some(own)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs openssl in the folder.
    pub fn openssl(&self, arguments: &str) -> String {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(self.folder.path());
        artefacts::success(&mut command)
    }

    /// Makes a key and its certificate, for a year from now; by itself where nobody issues it.
    pub fn issue(&self, name: &str, issuer: Option<&str>, extensions: &str, bits: u32) {
        self.openssl(&format!("genrsa -out {name}.key {bits}"));
        self.certify(name, issuer, extensions);
    }

    /// Makes a certificate for a key that is there.
    pub fn certify(&self, name: &str, issuer: Option<&str>, extensions: &str) {
        std::fs::write(self.path("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "req -new -key {name}.key -subj /CN={name} -out {name}.csr"
        ));
        let by = match issuer {
            Some(issuer) => format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial"),
            None => format!("-signkey {name}.key"),
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr -days 365 -sha256 -extfile extensions -out {name}.pem {by}"
        ));
    }

    /// Writes certificates into one file.
    pub fn chain(&self, file: &str, names: &[&str]) {
        let texts = names
            .iter()
            .map(|name| std::fs::read_to_string(self.path(&format!("{name}.pem"))).unwrap());
        std::fs::write(self.path(file), texts.collect::<String>()).unwrap();
    }

    /// A revocation list of an authority, made now and good for ten days, that takes these certificates back.
    pub fn revocation_list(&self, issuer: &str, revoked: &[&str]) -> PathBuf {
        let database = format!("{issuer}.database");
        std::fs::write(self.path(&database), "").unwrap();
        std::fs::write(self.path("crlnumber"), "01\n").unwrap();
        // Without extensions openssl makes lists of version 1.
        let config = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={database}\ndefault_md=sha256\ncrlnumber=crlnumber\n\
             crl_extensions=extensions\n[extensions]\nauthorityKeyIdentifier=keyid:always\n"
        );
        std::fs::write(self.path("ca.conf"), config).unwrap();
        let by = format!("-config ca.conf -cert {issuer}.pem -keyfile {issuer}.key");
        for name in revoked {
            self.openssl(&format!("ca {by} -revoke {name}.pem"));
        }
        self.openssl(&format!("ca {by} -gencrl -crldays 10 -out {issuer}.crl"));
        self.path(&format!("{issuer}.crl"))
    }

    /// A certificate file as openssl makes one: the signature of `key` over a manifest, then `chain`'s bytes.
    pub fn certificate_file(&self, manifest: &Member, digest: &str, key: &str, chain: &str) -> Vec<u8> {
        std::fs::write(self.path("manifest"), &manifest.bytes).unwrap();
        let text = self.openssl(&format!("dgst -{digest} -hex -sign {key}.key manifest"));
        let hex = text.trim().rsplit_once(' ').unwrap().1;
        let (name, algorithm) = (manifest.name(), digest.to_uppercase());
        let chain = std::fs::read_to_string(self.path(chain)).unwrap();
        format!("{algorithm}({name})= {hex}\n{chain}").into_bytes()
    }

    /// A package whose manifest is signed by `key`, with `chain` beside the signature.
    pub fn signed(&self, package: &Path, digest: &str, key: &str, chain: &str) -> Archive {
        let mut archive = Archive::read(package);
        let at = archive.position(".mf");
        let manifest = archive.members[at].clone();
        let name = manifest.name().replace(".mf", ".cert");
        let bytes = self.certificate_file(&manifest, digest, key, chain);
        archive
            .members
            .insert(at + 1, Member::like(&manifest, &name, &bytes));
        archive
    }
}
