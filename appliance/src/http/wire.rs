//! What carries bytes both ways: a TCP connection, or a stream inside another connection.

use tokio::io::{AsyncRead, AsyncWrite};

/// Something that is read and written.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Any of them; there is one kind of connection for all, so that nothing is compiled twice.
pub type Stream = Box<dyn Wire>;
