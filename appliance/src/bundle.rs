//! A version in one sealed file, to be carried by hand to where no connection leads.
//!
//! ```text
//! magic       16 bytes
//! ciphertext  of what follows, in segments that are each authentic, in their order, and all there
//!   length      4 bytes, big-endian
//!   head        JSON: the server's grant, and what the source offers
//!   files       one after the other, in the offer's order
//! ```
//!
//! The ciphertext is Tink's streaming AEAD of the type `AesGcmHkdfStreaming`: AES-256-GCM, HKDF-SHA256, segments of 1 MiB, and
//! `vcc bundle 1` as associated data. Who has the key can read a bundle and make another; that what is in it is what the source had,
//! the grant's digest says, which the server signed, and the destination looks at each byte as if it had come over a network.

mod draft;
mod head;
mod key;
mod opened;
mod sealed;

pub(crate) use draft::Draft;
pub(crate) use head::Head;
pub(crate) use key::Key;
pub(crate) use opened::Bundle;

/// What a bundle begins with; a line's end and a text's end in it show what was sent as text.
const MAGIC: &[u8; 16] = b"vcc bundle 1\r\n\x1a\n";
/// What the ciphertext is bound to.
const ASSOCIATED: &[u8] = b"vcc bundle 1";
/// Bytes of the head's length.
const LENGTH: usize = 4;
