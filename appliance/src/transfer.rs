//! Moving what catalogs offer from one cloud's node to another's: what the parties tell each other, and who vouches for it.
//!
//! ```text
//! server       signs a [`Grant`]: this version, from there to here, once
//! source       shows what it has: an [`Offer`], and bytes to whoever comes with the grant from the named node
//! destination  judges, and signs a [`Receipt`]: what it published, or why it refused ([`Refusal`])
//! ```
//!
//! A server sees a transfer through, from what was asked for ([`NewTransfer`]) to its end ([`State`]): [`Dispatch`].
//!
//! What is signed is bytes: a document is read after its signature was checked, and never written anew.

mod admit;
mod carrying;
mod choice;
mod dispatch;
pub mod floors;
mod following;
mod grant;
mod hearing;
mod life;
mod offer;
mod order;
mod place;
mod proceeding;
mod receipt;
mod refusal;
mod route;
mod signed;
mod subscription;
mod tending;
mod told;
mod vouching;
mod window;
mod wish;

pub use admit::{EXPIRED, MALFORMED, OTHER_NODE, Part, SIGNATURE, admit};
pub use dispatch::{Dispatch, Ordered};
pub use grant::{Grant, Party};
pub use life::{Event, State, next};
pub use offer::{Offer, OfferedFile};
pub use order::{Row, Search, Transfer, Try};
pub use place::Place;
pub use receipt::{Outcome, Receipt};
pub use refusal::Refusal;
pub use route::{Outreach, Route};
pub use signed::{Purpose, Signed};
pub use subscription::{Followed, Keep, NewSubscription, Shelf, Subscription};
pub use tending::{look, tend};
pub use told::{Phase, Told};
pub use window::Window;
pub use wish::{End, NewTransfer, Way, Wish};
