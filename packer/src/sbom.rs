//! The bill of materials: CycloneDX 1.5 JSON, written beside the package.
//!
//! It lists what the image holds and what made it, each with licence, digest and the place of its source.

mod crates;

use serde_json::{Value, json};

pub use crates::{Crate, crates_of};

use crate::debian::LockedPackage;
use image::guid::Guid;

/// One thing that went into the appliance.
#[derive(Debug, Clone)]
pub enum Component {
    /// A Debian package; `shipped` where bytes of it are in the image, else it only made them.
    Debian {
        /// The locked package.
        package: LockedPackage,
        /// SPDX licence expression.
        licence: &'static str,
        /// Whether bytes of it are in the image.
        shipped: bool,
        /// How they differ from what Debian built.
        changed: Option<&'static str>,
    },
    /// A Rust crate linked into the runtime.
    Crate(Crate),
    /// A file that the recipe names.
    File {
        /// Its path in the appliance, or its member name.
        name: String,
        /// SHA-256, hex.
        sha256: String,
    },
}

/// Renders the document for a package and what is in it.
#[must_use]
pub fn render(
    product: &str,
    vendor: &str,
    version: &str,
    package: &str,
    components: &[Component],
) -> Vec<u8> {
    let serial = Guid::derive(format!("{product}\n{version}\n{package}").as_bytes())
        .to_string()
        .to_lowercase();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": {
            "tools": { "components": [
                { "type": "application", "name": "ova", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "component": {
                "type": "operating-system",
                "bom-ref": package,
                "name": product,
                "version": version,
                "supplier": { "name": vendor },
            },
        },
        "components": components.iter().map(component).collect::<Vec<_>>(),
    });
    let mut bytes = format!("{document:#}").into_bytes();
    bytes.push(b'\n');
    bytes
}

fn component(component: &Component) -> Value {
    match component {
        Component::Debian {
            package,
            licence,
            shipped,
            changed,
        } => {
            let mut document = debian(package, licence, *shipped);
            if let Some(notes) = changed {
                document["pedigree"] = json!({ "notes": notes });
            }
            document
        }
        Component::Crate(found) => json!({
            "type": "library",
            "bom-ref": format!("pkg:cargo/{}@{}", found.name, found.version),
            "name": found.name,
            "version": found.version,
            "purl": format!("pkg:cargo/{}@{}", found.name, found.version),
            "licenses": licences(found.licence.as_deref()),
            "externalReferences": found.source.as_ref().map_or_else(Vec::new, |url| {
                vec![json!({ "type": "source-distribution", "url": url })]
            }),
        }),
        Component::File { name, sha256 } => json!({
            "type": "file",
            "bom-ref": format!("file:{name}"),
            "name": name,
            "hashes": [{ "alg": "SHA-256", "content": sha256 }],
        }),
    }
}

fn debian(package: &LockedPackage, licence: &str, shipped: bool) -> Value {
    let LockedPackage {
        name,
        version,
        sha256,
        source,
        source_version,
        built_using,
        ..
    } = package;
    let purl = format!(
        "pkg:deb/debian/{name}@{}?arch=amd64&distro=bookworm",
        percent(version)
    );
    let place = |name: &str, version: &str, comment: &str| {
        let url = format!("https://snapshot.debian.org/package/{name}/{version}/");
        json!({ "type": "source-distribution", "url": url, "comment": comment })
    };
    let mut sources = Vec::new();
    if let Some(using) = built_using {
        sources.push(place(&using.name, &using.version, "corresponding source"));
    }
    let repacked = if built_using.is_some() {
        "packaging"
    } else {
        "corresponding source"
    };
    sources.push(place(source, source_version, repacked));
    json!({
        "type": if shipped { "operating-system" } else { "application" },
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": if shipped { "required" } else { "excluded" },
        "hashes": [{ "alg": "SHA-256", "content": sha256.as_str() }],
        "licenses": licences(Some(licence)),
        "purl": purl,
        "externalReferences": sources,
    })
}

fn licences(expression: Option<&str>) -> Value {
    expression.map_or_else(
        || json!([]),
        |expression| json!([{ "expression": expression.replace('/', " OR ") }]),
    )
}

/// `+`, `:` and `~` of Debian versions are escaped in package URLs.
fn percent(version: &str) -> String {
    version
        .replace('+', "%2B")
        .replace(':', "%3A")
        .replace('~', "%7E")
}
