//! `/api/v1/about`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use image::slot::Slot;
use serde::Serialize;
use uuid::Uuid;

use crate::hostname::Hostname;
use crate::machine;
use crate::product::{PROGRAM_VERSION, Product};
use crate::role::Role;
use crate::service::Context;

/// Who this connector is. Nothing here is a secret: everybody who reaches the port may read it.
#[derive(Serialize)]
pub(super) struct About {
    /// `product`, `vendor`, `version`.
    #[serde(flatten)]
    product: Product,
    program_version: &'static str,
    role: Role,
    instance_id: Uuid,
    /// The instance identifier and certificate change with the next start.
    ephemeral: bool,
    /// SHA-256 of the certificate.
    fingerprint: String,
    hostname: Hostname,
    /// A line for whoever comes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    boots: u64,
    /// The kernel's own identifier of this boot.
    boot_id: Option<Uuid>,
    /// Made when the program started, and kept in memory alone.
    start_id: Uuid,
    uptime_seconds: u64,
    #[serde(serialize_with = "machine::slot::serialize")]
    slot: Option<Slot>,
    on_trial: bool,
}

pub(super) async fn about(State(context): State<Arc<Context>>) -> Json<About> {
    Json(About::of(&context))
}

impl About {
    /// Of this connector, now.
    pub(super) fn of(context: &Context) -> Self {
        let view = context.view();
        let identity = context.identity();
        Self {
            product: view.machine.product,
            program_version: PROGRAM_VERSION,
            role: context.role(),
            instance_id: identity.instance_id(),
            ephemeral: identity.is_ephemeral(),
            fingerprint: identity.fingerprint().to_string(),
            hostname: view.machine.hostname,
            notice: context.notice(),
            boots: view.boots,
            boot_id: context.boot_id(),
            start_id: context.start_id(),
            uptime_seconds: context.uptime().as_secs(),
            slot: view.machine.slot,
            on_trial: view.machine.on_trial,
        }
    }
}
