//! A file on a server, from its first byte to its last.

use std::io::{self, Read};

use ureq::BodyReader;
use ureq::http::header::CONTENT_LENGTH;
use ureq::http::{HeaderMap, StatusCode};

use super::client::{Ask, Client, unexpected};
use super::version::Version;
use super::{Address, changed, failed};

/// Reads a response's body, and takes no end for the file's that comes before its size.
pub struct Download {
    address: Address,
    body: BodyReader<'static>,
    /// What is missing, if the server told the size.
    left: Option<u64>,
}

impl Download {
    /// Asks for a file.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub fn open(client: &Client, address: &Address) -> io::Result<Self> {
        Self::start(client, address).map(|(download, _)| download)
    }

    /// How many bytes are still to come, if the server told.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.left
    }

    /// Asks for a file that was seen before, and must be of the same size and version.
    pub(super) fn of(client: &Client, address: &Address, seen: &Seen) -> io::Result<Self> {
        let (mut download, now) = Self::start(client, address)?;
        if !now.version.agrees(&seen.version) || now.size.is_some_and(|size| Some(size) != seen.size) {
            return Err(changed(address, "the server names another version or size"));
        }
        download.left = seen.size;
        Ok(download)
    }

    fn start(client: &Client, address: &Address) -> io::Result<(Self, Seen)> {
        let (at, response) = client.ask(address, Ask::Whole)?;
        if response.status() != StatusCode::OK {
            return Err(unexpected(&at, response.status()));
        }
        let seen = Seen::of(response.headers());
        let download = Self {
            address: at,
            left: seen.size,
            body: response.into_body().into_reader(),
        };
        Ok((download, seen))
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.body.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            result => {
                result.map_err(|error| failed(&self.address, format!("reading the response: {error}")))?
            }
        };
        if let Some(left) = &mut self.left {
            if read == 0 && *left > 0 && !buffer.is_empty() {
                let reason = format!("the response ends {left} bytes before the file's end");
                return Err(failed(&self.address, reason));
            }
            *left = left.saturating_sub(read as u64);
        }
        Ok(read)
    }
}

/// A file's size and version as a server told them.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) size: Option<u64>,
    pub(super) version: Version,
}

impl Seen {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok());
        Self {
            size: length.and_then(|length| length.parse().ok()),
            version: Version::of(headers),
        }
    }
}
