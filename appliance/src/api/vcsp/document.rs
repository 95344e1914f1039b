//! What subscribers read, in the form that VMware's `make_vcsp_2018.py` writes for vSphere 6.5 and later; Cloud Director's own catalogs
//! have it, too.

use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::{self, Catalog, Current};
use crate::clock::Moment;
use crate::http::percent::encoded;

/// The version of the protocol: that of libraries which are folders of files.
const PROTOCOL: &str = "2";
/// A file is fetched by GET, and nothing else.
const TRANSFER: [&str; 1] = ["httpGet"];

/// A library.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VcspLibrary)]
pub(super) struct Library<'a> {
    /// The protocol's version.
    vcsp_version: &'static str,
    /// Grows with each change of what the library offers, or tells of itself.
    version: String,
    /// The same.
    content_version: String,
    /// `urn:uuid:` and the catalog's id.
    id: String,
    name: &'a str,
    description: &'a str,
    #[schema(value_type = String, format = DateTime)]
    created: Moment,
    capabilities: Capabilities,
    /// Where this document is.
    self_href: &'static str,
    /// Where its items are.
    items_href: &'static str,
}

/// How files come and go.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VcspCapabilities)]
struct Capabilities {
    #[schema(value_type = Vec<String>)]
    transfer_in: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    transfer_out: [&'static str; 1],
}

/// All that a library offers.
#[derive(Serialize, ToSchema)]
#[schema(as = VcspItems)]
#[allow(dead_code, reason = "it is written piece by piece; this is its description")]
pub(super) struct Listing<'a> {
    /// The library's version.
    version: String,
    items: Vec<Item<'a>>,
}

/// An item, with its current version.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VcspItem)]
pub(super) struct Item<'a> {
    /// `urn:uuid:` and the item's id.
    id: String,
    name: &'a str,
    description: &'a str,
    /// `vcsp.ovf`, `vcsp.iso` or `vcsp.other`.
    r#type: &'static str,
    /// Grows with each change of the item.
    version: String,
    /// Grows each time another version is the current one.
    content_version: String,
    /// Grows with each change of the description.
    metadata_version: String,
    #[schema(value_type = String, format = DateTime)]
    created: Moment,
    files: Vec<File<'a>>,
    /// None.
    properties: Properties,
    /// Where its own document is.
    self_href: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VcspProperties)]
struct Properties {}

/// A file of an item.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VcspFile)]
struct File<'a> {
    name: &'a str,
    /// Its length in bytes.
    size: i64,
    /// As the ETag header field that the file has when it is fetched, without quotes.
    etag: String,
    /// Grows with the item's content.
    generation_num: i64,
    /// Where it is.
    hrefs: Vec<String>,
}

impl<'a> Library<'a> {
    pub(super) fn of(catalog: &'a Catalog) -> Self {
        Self {
            vcsp_version: PROTOCOL,
            version: catalog.offered.to_string(),
            content_version: catalog.offered.to_string(),
            id: format!("urn:uuid:{}", catalog.id),
            name: &catalog.name,
            description: &catalog.description,
            created: catalog.created,
            capabilities: Capabilities {
                transfer_in: TRANSFER,
                transfer_out: TRANSFER,
            },
            self_href: "lib.json",
            items_href: "items.json",
        }
    }
}

impl<'a> Item<'a> {
    pub(super) fn of(current: &'a Current) -> Self {
        Self {
            id: format!("urn:uuid:{}", current.item),
            name: &current.name,
            description: &current.description,
            r#type: sort_of(current.files.iter().map(|file| file.name.as_str())),
            version: current.revision().to_string(),
            content_version: current.content.to_string(),
            metadata_version: current.described.to_string(),
            created: current.created,
            files: current.files.iter().map(|file| File::of(current, file)).collect(),
            properties: Properties {},
            self_href: format!("{}/item.json", current.item),
        }
    }
}

impl<'a> File<'a> {
    fn of(current: &Current, file: &'a catalog::File) -> Self {
        let digest = file.digest.as_deref().unwrap_or_default();
        let href = format!("{}/{}/{}", current.item, current.version, encoded(&file.name));
        Self {
            name: &file.name,
            size: file.bytes,
            etag: format!("sha256-{digest}"),
            generation_num: current.content,
            hrefs: vec![href],
        }
    }
}

/// What a subscriber may do with files of these names.
fn sort_of<'a>(names: impl Iterator<Item = &'a str>) -> &'static str {
    let (mut others, mut images) = (0, 0);
    for name in names {
        match name
            .rsplit_once('.')
            .map(|(_, end)| end.to_ascii_lowercase())
            .as_deref()
        {
            Some("ovf" | "ova") => return "vcsp.ovf",
            Some("iso") => images += 1,
            _ => others += 1,
        }
    }
    match (images, others) {
        (1.., 0) => "vcsp.iso",
        _ => "vcsp.other",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_item_is_what_its_files_are() {
        for (names, sort) in [
            (
                &["web.OVF", "web-disk1.vmdk", "web.mf", "tools.iso"][..],
                "vcsp.ovf",
            ),
            (&["web.ova"], "vcsp.ovf"),
            (&["a.iso", "b.ISO"], "vcsp.iso"),
            (&["a.iso", "notes.txt"], "vcsp.other"),
            (&["ovf"], "vcsp.other"),
            (&[], "vcsp.other"),
        ] {
            assert_eq!(sort_of(names.iter().copied()), sort, "{names:?}");
        }
    }

    #[test]
    fn references_lead_from_the_library_s_folder_to_the_version_that_they_were_made_for() {
        let current = Current {
            item: "3b0c4e0e-0000-4000-8000-000000000001".to_owned(),
            name: "web".to_owned(),
            description: "What it is \"for\"".to_owned(),
            created: Moment::EARLIEST,
            content: 3,
            described: 2,
            version: "3b0c4e0e-0000-4000-8000-000000000002".to_owned(),
            files: vec![catalog::File {
                name: "my disk#1.vmdk".to_owned(),
                bytes: 7,
                digest: Some("ab".repeat(32)),
                received: None,
                id: Uuid::nil(),
                expected: None,
                position: 0,
            }],
        };
        let told: Value = serde_json::to_value(Item::of(&current)).unwrap();
        let expected = json!({
            "id": "urn:uuid:3b0c4e0e-0000-4000-8000-000000000001",
            "name": "web",
            "description": "What it is \"for\"",
            "type": "vcsp.other",
            "version": "5",
            "contentVersion": "3",
            "metadataVersion": "2",
            "created": "2026-01-01T00:00:00Z",
            "files": [{
                "name": "my disk#1.vmdk",
                "size": 7,
                "etag": format!("sha256-{}", "ab".repeat(32)),
                "generationNum": 3,
                "hrefs": ["3b0c4e0e-0000-4000-8000-000000000001/3b0c4e0e-0000-4000-8000-000000000002/my%20disk%231.vmdk"],
            }],
            "properties": {},
            "selfHref": "3b0c4e0e-0000-4000-8000-000000000001/item.json",
        });
        assert_eq!(told, expected);
    }
}
