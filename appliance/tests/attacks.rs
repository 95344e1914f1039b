//! Attacks on transfers, each over real services and sockets: what is refused leaves nothing behind, and is known by its rule.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;
#[path = "attacks/field.rs"]
mod field;
#[path = "attacks/hostile.rs"]
mod hostile;
#[path = "connector/package.rs"]
mod package;
#[path = "connector/pretended.rs"]
mod pretended;
#[path = "connector/reachable.rs"]
mod reachable;
#[path = "attacks/server.rs"]
mod server;
#[path = "attacks/source.rs"]
mod source;
