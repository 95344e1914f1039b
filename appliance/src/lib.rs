//! `vcc`, the connector: PID 1 of its own appliance, and an ordinary service everywhere else.
//!
//! One program in three places: [`init`] brings a machine up and watches over the service; [`service`] is what people
//! and other connectors talk to; [`command`] is the command line.
//!
//! ```no_run
//! use appliance::role::Role;
//! use appliance::service::{Options, run};
//!
//! run(&Options {
//!     role: Role::Node,
//!     state: "/var/lib/vcc".into(),
//!     listen: "127.0.0.1:8443".parse()?,
//!     machine: None,
//!     log: None,
//!     heartbeat: None,
//!     fault: None,
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`command`], `admin` | the command line, one verb a file; what the verbs for administrators are made of |
//! | [`init`] | PID 1: drivers, network, environment, state disk, consoles and their menu, watchdogs, power |
//! | [`service`] | the service's life, and what every request can ask about |
//! | [`up`] | a server and two nodes in one process |
//! | [`http`], [`api`], [`pages`] | the HTTPS server and its limits; the resources; what people see in a browser |
//! | [`recovery`], [`support`] | an administrator's new password, from the console; the support bundle |
//! | [`setup`], [`access`], [`tenant`], [`audit`] | the first administrator; users, roles, sessions and tokens; who did what |
//! | [`authority`], [`node`], [`cloud`] | on the server: who its nodes are, and how it knows them |
//! | [`catalog`], [`trust`] | on a node: what a tenant keeps here, in versions; whom it believes |
//! | [`receiving`], `sending` | on a node: taking a version from another node; what it gives |
//! | [`transfer`] | what moves between clouds: grants, receipts, and why not |
//! | [`peer`] | on a node: other nodes of its server, and the ways to them |
//! | [`enrolment`], `work` | on a node: its server, and what it does for it |
//! | [`client`] | asking a connector, as a node or an administrator; whom to believe |
//! | [`configuration`], [`task`], [`event`] | what nodes are to be like, what they have to do, and what changes meanwhile |
//! | [`addressing`], [`property`], [`proposal`] | how an appliance is reached; values that people set; the server that they have in mind |
//! | [`endpoint`], [`resolver`] | where others are reached; names to addresses |
//! | [`database`], [`clock`] | what is kept in tables; what time it is |
//! | [`timekeeping`] | whether that is right, and setting it where it is the machine's own |
//! | [`syslog`] | the log, forwarded to a syslog server |
//! | [`store`], [`identity`] | the state directory; instance identifier, key and certificate |
//! | [`blob`] | large files by what is in them, kept for each owner; those that are being received |
//! | [`chunk`] | what large files consist of, so that only what is new of them is moved |
//! | [`backup`] | all of that but large files in one file, and back |
//! | `bundle` | a version in one sealed file, for people to carry |
//! | [`machine`], [`product`] | what PID 1 and the service tell each other; what the recipe says |
//! | [`role`] | what a connector is for, and where an appliance keeps what was chosen |
//! | [`check`], [`hostname`] | words that all of them use |
//! | [`error`], [`log`], [`file`](mod@file), [`entropy`], [`digest`] | failures, lines for the console, small files, randomness, SHA-256 |
#![deny(unsafe_code)]

pub mod access;
pub mod addressing;
mod admin;
pub mod api;
pub mod audit;
pub mod authority;
pub mod backup;
pub mod blob;
mod bundle;
pub mod catalog;
pub mod check;
pub mod chunk;
pub mod client;
pub mod clock;
pub mod cloud;
pub mod command;
pub mod configuration;
pub mod database;
pub mod digest;
pub mod endpoint;
pub mod enrolment;
pub mod entropy;
pub mod error;
pub mod event;
pub mod file;
pub mod hostname;
pub mod http;
pub mod identity;
pub mod init;
mod local;
pub mod log;
pub mod machine;
pub mod node;
pub mod pages;
pub mod peer;
pub mod product;
pub mod property;
pub mod proposal;
pub mod receiving;
pub mod recovery;
pub mod resolver;
pub mod role;
mod sending;
pub mod service;
pub mod setup;
pub mod store;
pub mod support;
mod sys;
pub mod syslog;
pub mod task;
pub mod tenant;
pub mod timekeeping;
pub mod transfer;
pub mod trust;
pub mod up;
mod work;
