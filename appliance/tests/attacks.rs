//! Attacks on transfers, each over real services and sockets: what is refused leaves nothing behind, and is known by its rule.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/clouds.rs"]
mod clouds;
#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/curl.rs"]
mod curl;
#[path = "connector/enrolled.rs"]
mod enrolled;
#[path = "attacks/field.rs"]
mod field;
#[path = "attacks/hostile.rs"]
mod hostile;
#[path = "attacks/middle.rs"]
mod middle;
#[path = "connector/package.rs"]
mod package;
#[path = "attacks/past.rs"]
mod past;
#[path = "attacks/peers.rs"]
mod peers;
#[path = "connector/people.rs"]
mod people;
#[path = "connector/pretended.rs"]
mod pretended;
#[path = "connector/reachable.rs"]
mod reachable;
#[path = "attacks/record.rs"]
mod record;
#[path = "attacks/room.rs"]
mod room;
#[path = "attacks/server.rs"]
mod server;
#[path = "attacks/source.rs"]
mod source;
#[path = "attacks/tenants.rs"]
mod tenants;
#[path = "attacks/trust.rs"]
mod trust;
