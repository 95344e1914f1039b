//! Nodes that are none: they have a certificate of the server's, ask for their orders and tell what a test wants told.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::net::Ipv4Addr;
use std::sync::Arc;

use appliance::authority::{EnrolmentCode, NodeCertificate};
use appliance::configuration::Report;
use appliance::digest::{hex, sha256};
use appliance::http::peer::Peer;
use appliance::node::Heartbeat;
use appliance::peer::{Basis, Credentials};
use appliance::transfer::{Grant, Outcome, Purpose, Receipt, Signed};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::connector::{Answer, Connector};

pub(crate) struct Pretended {
    pub(crate) id: String,
    pub(crate) name: String,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Pretended {
    /// One that is taken in.
    pub(crate) async fn enrol(server: &Connector, root: &str, name: &str) -> Self {
        let code = server
            .post(root, "/api/v1/enrolment-codes", &json!({ "minutes": 10 }))
            .await;
        let code = EnrolmentCode::parse(code.body["code"].as_str().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::new(Vec::new()).unwrap();
        let request = request.serialize_request(&key).unwrap();
        let secret = format!("poll-{name}");
        let asked = json!({
            "code": BASE64_STANDARD.encode(code.secret),
            "poll": hex(&sha256(secret.as_bytes())),
            "name": name,
            "cloud": format!("cloud-of-{name}"),
            "request": BASE64_STANDARD.encode(request.der()),
            "version": "0.0.0",
        });
        let asked = server.post("", "/api/v1/enrolments", &asked).await;
        assert_eq!(asked.status, 202, "{}", asked.body);
        let id = asked.body["node"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/nodes/{id}");
        let listed = server.get(root, &path).await.body;
        let body = json!({ "fingerprint": listed["fingerprint"] });
        let approved = server.post(root, &format!("{path}/approve"), &body).await;
        assert_eq!(approved.status, 200, "{}", approved.body);
        let standing = server
            .get(&secret, &format!("/api/v1/enrolments/{id}"))
            .await
            .body;
        let certificate = BASE64_STANDARD
            .decode(standing["certificate"].as_str().unwrap())
            .unwrap();
        Self {
            id,
            name: name.to_owned(),
            key,
            certificate: certificate.into(),
        }
    }

    fn peer(&self) -> Peer {
        Peer {
            address: Ipv4Addr::LOCALHOST.into(),
            certificate: NodeCertificate::read(&self.certificate),
            authority: None,
            was_let_in: Arc::default(),
        }
    }

    /// Says where it is reached.
    pub(crate) async fn is_reached_at(&self, server: &Connector, endpoint: &str) {
        let ground = server.context.ground().unwrap();
        sqlx::query("UPDATE nodes SET endpoint = $1 WHERE id = $2")
            .bind(endpoint)
            .bind(&self.id)
            .execute(ground.database.pool())
            .await
            .unwrap();
    }

    /// What it shows other nodes.
    pub(crate) fn credentials(&self, server: &Connector) -> Credentials {
        let keys = server.context.issuing().unwrap().keys();
        let basis = Basis {
            node: self.id.parse().unwrap(),
            certificate: self.certificate.clone(),
            key: self.key.serialize_der(),
            authorities: keys.pinned(),
            certificates: keys.certificates(),
        };
        Credentials::new(basis).unwrap().unwrap()
    }

    /// What it has to do.
    pub(crate) async fn orders(&self, server: &Connector) -> Vec<Value> {
        let beat = Heartbeat {
            counter: 0,
            advance: false,
            nonce: String::new(),
            version: "0.0.0".to_owned(),
            configuration: Report::default(),
            authorities: Vec::new(),
            wait: 0,
            endpoint: None,
            port: None,
        };
        let beat = serde_json::to_value(beat).unwrap();
        let told = server
            .ask_as(self.peer(), "POST", "/api/v1/heartbeats", &beat)
            .await;
        assert_eq!(told.status, 200, "{}", told.body);
        told.body["tasks"].as_array().unwrap().clone()
    }

    /// The only order of a kind.
    pub(crate) async fn order(&self, server: &Connector, kind: &str) -> Value {
        let orders = self.orders(server).await;
        let mut of_kind = orders.iter().filter(|order| order["kind"] == kind);
        let order = of_kind.next().unwrap_or_else(|| panic!("no {kind}: {orders:?}"));
        assert!(of_kind.next().is_none(), "{orders:?}");
        order.clone()
    }

    /// Tells of a task.
    pub(crate) async fn tell(&self, server: &Connector, order: &Value, progress: &Value) -> Answer {
        let path = format!("/api/v1/tasks/{}/progress", order["id"].as_str().unwrap());
        server.ask_as(self.peer(), "POST", &path, progress).await
    }

    /// Signs a document.
    pub(crate) fn sign(&self, receipt: &Receipt) -> Signed {
        Signed::new(Purpose::Receipt, receipt, &self.certificate, |bytes| {
            Ok(self.key.sign(bytes).unwrap())
        })
        .unwrap()
    }
}

/// The receipt that an order to receive asks for.
pub(crate) fn receipt_for(order: &Value, outcome: Outcome) -> Receipt {
    let signed: Signed = serde_json::from_value(order["details"]["grant"].clone()).unwrap();
    let grant: Grant = signed.read(Purpose::Grant).unwrap();
    Receipt {
        transfer: grant.transfer,
        grant: signed.digest(Purpose::Grant).unwrap(),
        node: grant.destination.node,
        outcome,
        place: grant.destination.place,
        label: grant.label,
        digest: grant.digest,
        release: None,
        signer: Some("CN=publisher".to_owned()),
        policy: "0".repeat(64).parse().unwrap(),
        refusal: None,
        at: grant.issued,
    }
}

pub(crate) fn grant_of(order: &Value) -> Grant {
    let signed: Signed = serde_json::from_value(order["details"]["grant"].clone()).unwrap();
    signed.read(Purpose::Grant).unwrap()
}

/// How far a task is, with a result.
pub(crate) fn progress(state: &str, done: i64, result: Value) -> Value {
    json!({ "state": state, "done": done, "total": 1000, "message": format!("{state} at {done}"), "result": result })
}

/// How far a destination is.
pub(crate) fn told(phase: &str) -> Value {
    json!({ "phase": phase, "wire": 400, "reused": 100 })
}
