//! More than there is room for.

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use super::field::{Field, honestly, rule};
use super::hostile::Stock;
use super::package::noise;

#[tokio::test]
async fn what_a_tenant_has_no_room_for_is_refused_before_its_first_byte() {
    let field = Field::new().await;
    let node = &field.south.node;
    let (tenant, _) = node.own.tenant(&node.root, "acme").await;
    let path = format!("/api/v1/quotas/{tenant}");
    let set = node
        .own
        .matching(
            &node.root,
            "PUT",
            &path,
            "\"0\"",
            Some(&json!({ "quota": 100_000 })),
        )
        .await;
    assert_eq!(set.status, 200, "{}", set.body);
    let place = json!({ "tenant": "acme", "catalog": "images", "item": "app" });
    let receives = async |bytes: usize| {
        let stock = Stock::of_files("1.0", &[("app.img", &noise(1, bytes))]);
        field.hostile.offers(stock, honestly);
        let mut grant = field.grant("app");
        grant.destination.place = serde_json::from_value(place.clone()).unwrap();
        // However small the server says that it is.
        grant.bytes = 1;
        let task = field.receives(&Field::sign(&field.server.own, &grant)).await;
        task["result"].clone()
    };
    let told = receives(100_001).await;
    assert_eq!(rule(&told["refusal"]), "quota.exceeded", "{told}");
    assert_eq!(told["wire"], 0);
    assert_eq!(field.fetched(), [] as [String; 0]);
    field.has_nothing_of("app").await;
    let told = receives(100_000).await;
    assert_eq!(told["phase"], "PUBLISHED", "{told}");
}

/// A file system of its own, which root alone can make.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(options).unwrap();
        match mount("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), &*options) {
            Ok(()) => Some(Self(directory)),
            Err(error) => {
                eprintln!("skipped: a small file system can't be mounted: {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn a_disk_that_is_full_takes_nothing_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::new("size=32m") else {
        return;
    };
    let field = Field::on(tempfile::tempdir_in(disk.0.path()).unwrap()).await;
    let stock = |bytes| Stock::of_files("1.0", &[("app.img", &noise(1, bytes))]);
    let refusal = field.is_refused("app", stock(40 << 20), honestly).await;
    assert_eq!(rule(&refusal), "disk.full");
    assert_eq!(field.fetched(), [] as [String; 0]);

    // It gets full while something comes, of somebody else's doing.
    let filler = disk.0.path().join("filler");
    let fills = filler.clone();
    field.hostile.offers(stock(12 << 20), move |_, ask| {
        if ask.root().is_some() {
            std::fs::write(&fills, vec![1; 22 << 20]).unwrap();
        }
        None
    });
    let id = field.begins(&field.wish("app")).await;
    let ended = field.ended(&id).await;
    assert_eq!(ended["state"], "FAILED", "{ended}");
    assert_eq!(rule(&ended["refusal"]), "vcc.state-full", "{ended}");
    assert_eq!(field.published("app").await, [] as [String; 0]);
    assert_eq!(field.files("blobs").len(), 0);

    // It is gone on with, by another grant, as soon as there is room.
    std::fs::remove_file(&filler).unwrap();
    field.hostile.offers(stock(12 << 20), honestly);
    let own = &field.server.own;
    let again = own
        .post(
            &field.server.root,
            &format!("/api/v1/transfers/{id}/retry"),
            &json!({}),
        )
        .await;
    assert!(again.status < 300, "{}", again.body);
    field.tells_what_it_has().await;
    let ended = field.ended(&id).await;
    assert_eq!(ended["state"], "PUBLISHED", "{ended}");
}
