//! What changes at a connector, as it tells it: server-sent events (WHATWG HTML, section 9.2).

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use super::failure::Result;
use crate::error::{Error, Kind};

/// The connector says something every 15 seconds, if only that it is there.
const QUIET: Duration = Duration::from_secs(60);
/// The longest event in bytes.
const LIMIT: usize = 1 << 20;

/// What is heard.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// An event.
    Event(Value),
    /// Some events were missed.
    Gap,
}

/// Events as they come.
pub(crate) struct Events {
    body: Incoming,
    place: String,
    reader: Reader,
}

impl Events {
    pub(super) fn new(body: Incoming, place: String) -> Self {
        Self {
            body,
            place,
            reader: Reader::default(),
        }
    }

    /// The next one; nothing where the connector ends it.
    pub(crate) async fn next(&mut self) -> Result<Option<Heard>> {
        let broken = |reason: &str| Error::new(Kind::Unreachable, &self.place, reason);
        loop {
            if let Some(heard) = self.reader.next()? {
                return Ok(Some(heard));
            }
            let frame = timeout(QUIET, self.body.frame())
                .await
                .map_err(|_| broken("nothing was heard for a minute"))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| broken("the connection broke").because(error))?;
            if let Ok(bytes) = frame.into_data() {
                self.reader.take(&bytes)?;
            }
        }
    }
}

/// Lines to events. The connector ends them with LF alone, and writes `data` on one line.
#[derive(Debug, Default)]
struct Reader {
    bytes: Vec<u8>,
}

impl Reader {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.bytes.extend_from_slice(bytes);
        match self.bytes.len() > LIMIT {
            true => Err(Error::new(
                Kind::Ceiling,
                "an event",
                format!("is longer than {LIMIT} bytes"),
            )),
            false => Ok(()),
        }
    }

    fn next(&mut self) -> Result<Option<Heard>, Error> {
        while let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            if let Some(heard) = read(&block)? {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }
}

/// An event; nothing for a comment.
fn read(block: &[u8]) -> Result<Option<Heard>, Error> {
    let wrong = |reason: &str| Error::new(Kind::Malformed, "an event", reason);
    let text = std::str::from_utf8(block).map_err(|error| wrong("is not UTF-8").because(error))?;
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            Some(value.strip_prefix(' ').unwrap_or(value))
        })
    };
    match (field("event"), field("data")) {
        (Some("gap"), _) => Ok(Some(Heard::Gap)),
        (_, Some(data)) => {
            let event = serde_json::from_str(data).map_err(|error| wrong("is not JSON").because(error))?;
            Ok(Some(Heard::Event(event)))
        }
        (_, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_read_wherever_the_network_cuts_them() {
        let text =
            ": events\n\nevent: gap\ndata: {}\n\n:\n\nid: 7\nevent: node\ndata: {\"number\":7}\n\nid: 8";
        for size in 1..text.len() {
            let (mut reader, mut heard) = (Reader::default(), Vec::new());
            for part in text.as_bytes().chunks(size) {
                reader.take(part).unwrap();
                while let Some(one) = reader.next().unwrap() {
                    heard.push(one);
                }
            }
            assert_eq!(
                heard,
                [Heard::Gap, Heard::Event(json!({ "number": 7 }))],
                "{size}"
            );
        }
    }

    #[test]
    fn what_is_no_event_and_what_never_ends_is_refused() {
        assert!(read(b"data: {\n\n").is_err() && read(b"data: \xff\n\n").is_err());
        let mut reader = Reader::default();
        assert_eq!(
            reader.take(&vec![b'a'; LIMIT + 1]).unwrap_err().kind(),
            Kind::Ceiling
        );
    }
}
