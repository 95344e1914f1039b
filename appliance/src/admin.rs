//! What the verbs for administrators are made of: a session that is kept between them, the connector's answers, questions on the
//! terminal, and what is printed.

mod connector;
pub(crate) mod document;
mod events;
mod failure;
mod interrupt;
mod item;
mod meter;
mod output;
mod resource;
mod retry;
mod secret;
mod session;
mod size;
mod table;
mod target;
mod terminal;
mod trust;
mod verdict;
mod whose;

pub(crate) use connector::Connector;
pub(crate) use events::Heard;
pub(crate) use failure::{Failure, Result};
pub(crate) use interrupt::or_interrupted;
pub(crate) use item::{ItemName, version, versions};
pub(crate) use meter::Meter;
pub(crate) use output::{Output, print, printable};
pub(crate) use resource::Resource;
pub(crate) use retry::Retry;
pub(crate) use secret::{NewPassword, SecretOutput, secret, token};
pub(crate) use session::{Credential, KnownBy, Session};
pub(crate) use size::{bytes, number};
pub(crate) use table::{Table, details, text};
pub(crate) use target::{Target, endpoint};
pub(crate) use terminal::{Progress, confirm, may_go_on};
pub(crate) use verdict::findings;
pub(crate) use whose::{PROVIDER, whose};
