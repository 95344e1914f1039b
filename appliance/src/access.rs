//! Who may do what: users with roles, their sessions and tokens.
//!
//! A user of a tenant sees what is the tenant's and nothing else; one without a tenant is the provider's and sees everything
//! that the role lets it see. What is kept of a password is an Argon2id hash, and of a token its digest.

mod attempts;
mod password;
mod place;
mod principal;
mod queue;
mod right;
mod role;
mod token;
mod user;

pub use attempts::Attempts;
pub use password::{Password, Passwords};
pub use principal::Principal;
pub use queue::{Queue, Waiting};
pub use right::{Right, Rights};
pub use role::Role;
pub use token::{NewToken, Secret, Token};
pub use user::{Name, NewUser, User, UserChange, is_login};

use crate::clock::Moment;
use crate::error::Result;
