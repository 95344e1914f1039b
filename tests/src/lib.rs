//! Support for the end-to-end tests: the built commands, the appliance in QEMU, and the counterparts that judge us.
//!
//! `make e2e` builds the commands and the package and says where they are; see [`artefacts`].
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a failed expectation of a test is a panic"
)]

pub mod appliances;
pub mod archive;
pub mod artefacts;
pub mod authority;
pub mod browser;
pub mod clouds;
pub mod conformance;
pub mod connector;
pub mod corpus;
pub mod counterpart;
pub mod disk;
pub mod ext4;
pub mod guest;
pub mod libvirt;
pub mod measure;
pub mod namespace;
pub mod noise;
pub mod person;
pub mod plug;
pub mod reading;
pub mod recipe;
pub mod rsyslog;
pub mod segment;
pub mod switch;
pub mod verdict;
pub mod web;
