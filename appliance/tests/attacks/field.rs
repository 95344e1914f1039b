//! A server and a destination that are what they are, and a source that is not.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use appliance::clock::{Clock, Moment};
use appliance::task::{Kind, Task};
use appliance::transfer::{Grant, Party, Purpose, Signed};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use super::connector::Connector;
use super::enrolled::Listening;
use super::hostile::{Ask, Hostile, Reply, Stock, told};
use super::pretended::{Pretended, progress};
use super::reachable::Reachable;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Field {
    pub(crate) server: Listening,
    /// The destination.
    pub(crate) south: Reachable,
    /// The source, as its server knows it.
    pub(crate) source: Pretended,
    /// The same, as other nodes reach it.
    pub(crate) hostile: Hostile,
    pub(crate) folder: tempfile::TempDir,
    /// Judges what comes to the destination.
    pub(crate) keeping: JoinHandle<()>,
}

impl Drop for Field {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl Field {
    pub(crate) async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    /// One whose destination is on a disk.
    pub(crate) async fn on(folder: tempfile::TempDir) -> Self {
        let server = Listening::start().await;
        Self::of(server, folder, Clock::System).await
    }

    /// One whose clocks stand until they are set.
    pub(crate) async fn at(now: Moment) -> Self {
        let server = Listening::start_at(now).await;
        Self::of(server, tempfile::tempdir().unwrap(), Clock::standing(now)).await
    }

    async fn of(server: Listening, folder: tempfile::TempDir, clock: Clock) -> Self {
        let south = Reachable::on(&server, &folder.path().join("south"), clock).await;
        let keeping = tokio::spawn(appliance::catalog::keep(south.context()));
        let source = Pretended::enrol(&server.own, &server.root, "hostile").await;
        let hostile = Hostile::start(source.credentials(&server.own)).await;
        source.is_reached_at(&server.own, &hostile.address).await;
        Self {
            server,
            south,
            source,
            hostile,
            folder,
            keeping,
        }
    }

    /// What is wanted of an item.
    pub(crate) fn wish(&self, item: &str) -> Value {
        json!({
            "source": self.source.id,
            "destination": self.south.id,
            "from": { "catalog": "images", "item": item },
            "route": "direct",
        })
    }

    /// Orders a transfer, and has the source tell of what it has; the transfer's id.
    pub(crate) async fn begins(&self, wish: &Value) -> String {
        let own = &self.server.own;
        let ordered = own.post(&self.server.root, "/api/v1/transfers", wish).await;
        assert_eq!(ordered.status, 202, "{}", ordered.body);
        self.tells_what_it_has().await;
        ordered.body["id"].as_str().unwrap().to_owned()
    }

    /// Has the source answer when it is asked for what it has.
    pub(crate) async fn tells_what_it_has(&self) {
        let own = &self.server.own;
        let offer = self.hostile.offer();
        let found = json!({
            "version": Uuid::new_v4(), "label": offer.label, "kind": offer.kind,
            "digest": offer.digest(), "bytes": offer.bytes(), "files": offer.files.len(),
        });
        let asked = self.source.order(own, "offer").await;
        let answer = self.source.tell(own, &asked, &progress("DONE", 0, found)).await;
        assert!(answer.status < 300, "{}", answer.body);
    }

    /// Waits until a transfer has ended.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        self.waits(id, |transfer| transfer["ended"].is_string()).await
    }

    /// Waits for something about a transfer.
    pub(crate) async fn waits(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let path = format!("/api/v1/transfers/{id}");
            let transfer = self.server.own.get(&self.server.root, &path).await.body;
            if wanted(&transfer) {
                return transfer;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{transfer}\n{}",
                told(&self.hostile.asked())
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Moves what a source has that answers in a manner of its own, to the end.
    pub(crate) async fn moves(
        &self,
        item: &str,
        stock: Stock,
        manner: impl Fn(&Stock, &Ask) -> Option<Reply> + Send + Sync + 'static,
    ) -> Value {
        self.hostile.offers(stock, manner);
        let id = self.begins(&self.wish(item)).await;
        self.ended(&id).await
    }

    /// The same, and sees that it comes to nothing: the rule that was broken.
    pub(crate) async fn is_refused(
        &self,
        item: &str,
        stock: Stock,
        manner: impl Fn(&Stock, &Ask) -> Option<Reply> + Send + Sync + 'static,
    ) -> Value {
        let ended = self.moves(item, stock, manner).await;
        assert_eq!(ended["state"], "REJECTED", "{ended}");
        assert!(ended["receipt"].is_object(), "{ended}");
        self.has_nothing_of(item).await;
        ended["refusal"].clone()
    }

    /// Sees that nothing of an item is at the destination, and no bytes of anything.
    pub(crate) async fn has_nothing_of(&self, item: &str) {
        for folder in ["quarantine", "blobs", "indexes"] {
            assert_eq!(self.files(folder), [] as [PathBuf; 0], "{folder}");
        }
        assert_eq!(self.published(item).await, [] as [String; 0]);
    }

    /// Labels of what the destination offers of an item, the newest first.
    pub(crate) async fn published(&self, item: &str) -> Vec<String> {
        published(&self.south.node.own, &self.south.node.root, item).await
    }

    /// Files below a folder of the destination's state.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().join("south").join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => found.push(entry.path()),
                }
            }
        }
        found
    }

    /// A grant for what the source has, to be changed by whoever signs it.
    pub(crate) fn grant(&self, item: &str) -> Grant {
        let offer = self.hostile.offer();
        let party = |node: Uuid| Party {
            node,
            cloud: "north".to_owned(),
            place: serde_json::from_value(json!({ "catalog": "images", "item": item })).unwrap(),
        };
        let now = Clock::System.now();
        Grant {
            transfer: Uuid::new_v4(),
            number: 1,
            source: party(self.source.id.parse().unwrap()),
            destination: party(self.south.id),
            version: Uuid::new_v4(),
            label: offer.label.clone(),
            kind: offer.kind,
            digest: offer.digest(),
            bytes: offer.bytes(),
            floor: None,
            relay: None,
            moves: false,
            subscription: None,
            issued: now,
            expires: now.after(Duration::from_secs(3600)),
        }
    }

    /// Has a server's authority sign a grant.
    pub(crate) fn sign(server: &Connector, grant: &Grant) -> Signed {
        let authority = &server.context.issuing().unwrap().keys().current;
        Signed::new(Purpose::Grant, grant, authority.certificate(), |bytes| {
            authority.sign(bytes)
        })
        .unwrap()
    }

    /// Has the server order the destination to receive by a grant, whatever it says; how that ended.
    pub(crate) async fn receives(&self, grant: &Signed) -> Value {
        let route = json!({ "kind": "direct", "endpoint": self.hostile.address });
        self.does(Kind::Receive, &json!({ "grant": grant, "route": route }))
            .await
    }

    /// Has the destination do something.
    pub(crate) async fn does(&self, kind: Kind, details: &Value) -> Value {
        let ground = self.server.own.context.ground().unwrap();
        let (node, now) = (self.south.id.to_string(), ground.clock.now());
        let mut db = ground.database.begin().await.unwrap();
        let task = Task::order(&mut db, &node, kind, Some(details), "root", now)
            .await
            .unwrap();
        db.commit().await.unwrap();
        ground.nudges.wake(&node);
        let start = Instant::now();
        loop {
            let path = format!("/api/v1/tasks/{}", task.id);
            let task = self.server.own.get(&self.server.root, &path).await.body;
            if ["DONE", "FAILED", "CANCELLED"]
                .iter()
                .any(|end| task["state"] == *end)
            {
                return task;
            }
            assert!(start.elapsed() < PATIENCE, "{task}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the destination says that a tenant asks of packages.
    pub(crate) async fn asks(&self, policy: &Value) {
        let (own, root) = (&self.south.node.own, &self.south.node.root);
        let now = own.get(root, "/api/v1/policies/provider").await;
        let tag = now.fields["etag"].to_str().unwrap();
        let set = own.matching(root, "PUT", "/api/v1/policies/provider", tag, Some(policy));
        let set = set.await;
        assert_eq!(set.status, 200, "{}", set.body);
    }

    /// Names of files of which bytes were asked for.
    pub(crate) fn fetched(&self) -> Vec<String> {
        let asked = self.hostile.asked();
        asked
            .iter()
            .filter_map(|ask| ask.file().map(str::to_owned))
            .collect()
    }

    /// Has the destination believe a publisher.
    pub(crate) async fn believes(&self, name: &str, certificate: &str) -> String {
        let root = json!({ "name": name, "certificate": certificate });
        let node = &self.south.node;
        let made = node.own.post(&node.root, "/api/v1/trust-roots", &root).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["id"].as_str().unwrap().to_owned()
    }
}

async fn published(own: &Connector, root: &str, item: &str) -> Vec<String> {
    let items = own.get(root, &format!("/api/v1/items?q={item}")).await.body;
    let found = items
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["name"] == item);
    let Some(found) = found else { return Vec::new() };
    let path = format!("/api/v1/items/{}/versions", found["id"].as_str().unwrap());
    let versions = own.get(root, &path).await.body;
    let versions = versions.as_array().unwrap().iter();
    let label = |version: &Value| version["version"].as_str().unwrap().to_owned();
    versions
        .filter(|version| version["state"] == "PUBLISHED")
        .map(label)
        .collect()
}

/// A rule's name.
pub(crate) fn rule(refusal: &Value) -> &str {
    refusal["rule"].as_str().unwrap_or_default()
}

/// Nothing out of the ordinary.
pub(crate) fn honestly(_: &Stock, _: &Ask) -> Option<Reply> {
    None
}

/// Shares what a manner counts.
pub(crate) fn counted() -> (
    Arc<std::sync::atomic::AtomicUsize>,
    Arc<std::sync::atomic::AtomicUsize>,
) {
    let own = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    (Arc::clone(&own), own)
}
