//! An archive on a server, read where it is asked for.

use std::io::{self, Read, Seek, SeekFrom};

use ureq::Body;
use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE};
use ureq::http::{HeaderMap, Response, StatusCode};

use super::client::{Ask, Client, unexpected};
use super::version::Version;
use super::{Address, changed, failed};

/// How much is asked for at a place that was jumped to, in bytes: a descriptor with its manifest is seldom larger.
const LEAST_PART: u64 = 64 << 10;

/// How much is asked for, at most, where one read follows on the other, in bytes.
const MOST_PART: u64 = 1 << 20;

/// The least that a server may send of a part, in bytes: with less, reading would be made of requests.
const LEAST_SENT: u64 = 4 << 10;

/// Reads a file by range requests (RFC 9110, 14), each for some bytes more than are wanted, and keeps the last part.
///
/// Every response is held to the version, the size and the range that were asked for.
#[derive(Debug)]
pub struct RemoteArchive {
    client: Client,
    address: Address,
    /// Where redirects led from there.
    at: Address,
    version: Version,
    size: u64,
    position: u64,
    part: Part,
    /// How much is asked for next.
    ahead: u64,
}

/// Bytes that were fetched.
#[derive(Debug, Default)]
struct Part {
    start: u64,
    bytes: Vec<u8>,
}

impl Part {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// What it holds from an offset on.
    fn from(&self, offset: u64) -> &[u8] {
        let skip = offset
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.bytes.get(skip..)).unwrap_or_default()
    }
}

impl RemoteArchive {
    /// Fetches the file's first part, and with it its size and version.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or does not send a part where it is asked for one.
    pub fn open(client: &Client, address: &Address) -> io::Result<Self> {
        let ask = Ask::Part {
            start: 0,
            length: LEAST_PART,
            version: None,
        };
        let (at, response) = client.ask(address, ask)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK => return Err(failed(&at, IGNORES_RANGES)),
            StatusCode::RANGE_NOT_SATISFIABLE => return Err(failed(&at, "the file is empty")),
            status => return Err(unexpected(&at, status)),
        }
        let version = Version::of(response.headers());
        let range = Range::of(&at, response.headers())?;
        let part = range.read(&at, 0, LEAST_PART, response)?;
        Ok(Self {
            client: client.clone(),
            address: address.clone(),
            at,
            version,
            size: range.size,
            position: 0,
            part,
            ahead: LEAST_PART,
        })
    }

    /// Fetches the part that begins at the position.
    fn fetch(&mut self) -> io::Result<()> {
        let follows = self.position == self.part.end();
        self.ahead = if follows {
            (self.ahead * 2).min(MOST_PART)
        } else {
            LEAST_PART
        };
        let length = self.ahead.min(self.size - self.position);
        let ask = Ask::Part {
            start: self.position,
            length,
            version: self.version.if_range(),
        };
        let (at, response) = self.client.ask(&self.at, ask)?;
        let version = Version::of(response.headers());
        match response.status() {
            StatusCode::PARTIAL_CONTENT | StatusCode::OK if !version.agrees(&self.version) => {
                return Err(changed(&self.address, "the server names another version"));
            }
            StatusCode::PARTIAL_CONTENT => {}
            // A server that knows the condition sends the whole file where it does not hold.
            StatusCode::OK => return Err(failed(&at, IGNORES_RANGES)),
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PRECONDITION_FAILED => {
                return Err(changed(&self.address, "it is shorter, or another"));
            }
            status => return Err(unexpected(&at, status)),
        }
        let range = Range::of(&at, response.headers())?;
        if range.size != self.size {
            let what = format!("it had {} bytes and has {}", self.size, range.size);
            return Err(changed(&self.address, &what));
        }
        self.part = range.read(&at, self.position, length, response)?;
        Ok(())
    }
}

const IGNORES_RANGES: &str =
    "the server ignores the Range header and would send the whole file; fetch it, and read it here";

impl Read for RemoteArchive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        if self.part.from(self.position).is_empty() {
            self.fetch()?;
        }
        let bytes = self.part.from(self.position);
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for RemoteArchive {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        let target = match place {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(distance) => self.size.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// What `Content-Range: bytes first-last/size` says.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    size: u64,
}

impl Range {
    fn of(address: &Address, headers: &HeaderMap) -> io::Result<Self> {
        let several = headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/byteranges"));
        if several {
            return Err(failed(
                address,
                "the server sends several ranges where one was asked for",
            ));
        }
        let text = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let range = text.and_then(Self::parse);
        range.ok_or_else(|| {
            failed(
                address,
                "the server sends a range without telling which, or of what size",
            )
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last, size) = (number(first)?, number(last)?, number(size)?);
        (first <= last && last < size).then_some(Self { first, last, size })
    }

    /// Reads the body, which must hold this range and be of what was asked for.
    fn read(&self, address: &Address, start: u64, asked: u64, response: Response<Body>) -> io::Result<Part> {
        let length = self.last - self.first + 1;
        let least = asked.min(LEAST_SENT).min(self.size - self.first);
        if self.first != start || length > asked || length < least {
            let reason = format!(
                "the server sends bytes {} to {} where {asked} from {start} were asked for",
                self.first, self.last
            );
            return Err(failed(address, reason));
        }
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        body.take(length + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(address, format!("reading the response: {error}")))?;
        if bytes.len() as u64 != length {
            let reason = format!("the server sends {} bytes where it tells {length}", bytes.len());
            return Err(failed(address, reason));
        }
        Ok(Part { start, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_to_the_letter() {
        let range = |first, last, size| Some(Range { first, last, size });
        assert_eq!(Range::parse("bytes 0-0/1"), range(0, 0, 1));
        assert_eq!(Range::parse("bytes 5-9/10"), range(5, 9, 10));
        for bad in [
            "bytes 0-1/*",
            "bytes */9",
            "bytes 0-9/9",
            "bytes 3-2/9",
            "bytes +0-1/9",
            "bytes 0-/9",
            "0-1/9",
            "bytes 0-1",
            "bytes 0-1/99999999999999999999",
        ] {
            assert_eq!(Range::parse(bad), None, "{bad}");
        }
    }
}
