//! Files that are sent to a connector, and taken from it.

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_RANGE, HeaderName, IF_RANGE, RANGE};
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::{Connector, Question, wrong};
use crate::admin::failure::Result;
use crate::client::STILL;
use crate::error::{Error, Kind};

const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// A file that comes.
pub(crate) struct Download {
    body: Incoming,
    place: String,
    /// Where in the file it begins.
    pub(crate) from: u64,
}

impl Connector {
    /// How much of a file is there that is being sent.
    pub(crate) async fn received(&mut self, path: &str) -> Result<u64> {
        let answer = match self.ask(Method::HEAD, path, Question::default()).await {
            // The answer to HEAD says no reason; it is one of two.
            Err(failure) if failure.has_status(StatusCode::CONFLICT) => {
                let place = format!("{}{path}", self.place);
                let reason = "is received over another connection, or is to come no more";
                return Err(Error::new(Kind::Taken, place, reason).into());
            }
            answer => answer?,
        };
        let offset = answer.fields.get(UPLOAD_OFFSET);
        let offset = offset.and_then(|offset| offset.to_str().ok()?.parse().ok());
        offset.ok_or_else(|| wrong("has no Upload-Offset").into())
    }

    /// Sends a file from a byte on, of so many; from the first on it begins anew. Gives what the connector has.
    pub(crate) async fn upload(
        &mut self,
        path: &str,
        (from, all): (u64, u64),
        body: impl Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
    ) -> Result<Value> {
        let range = format!("bytes {from}-{}/{all}", all.saturating_sub(1));
        let fields = [(CONTENT_RANGE, range.as_str())];
        let fields = if from > 0 { &fields[..] } else { &[] };
        let sent = self.client.upload(path, self.secret.as_ref(), fields, body).await;
        let answer = sent.map_err(|error| self.placed(error))?;
        match answer.status.is_success() {
            true => Ok(answer.json()?),
            false => Err(self.problem(path, &answer)),
        }
    }

    /// Takes a file, from a byte on if it still is the one of this entity tag, otherwise whole.
    pub(crate) async fn download(&mut self, path: &str, from: u64, tag: &str) -> Result<Download> {
        let range = format!("bytes={from}-");
        let fields = [(RANGE, range.as_str()), (IF_RANGE, tag)];
        let fields = if from > 0 { &fields[..] } else { &[] };
        let opened = self.client.open(path, self.secret.as_ref(), fields).await;
        let answer = match opened.map_err(|error| self.placed(error))? {
            Ok(answer) => answer,
            Err(answer) => return Err(self.problem(path, &answer)),
        };
        let from = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.headers().get(CONTENT_RANGE);
                let start = range.and_then(|range| start_of(range.to_str().ok()?));
                start.ok_or_else(|| wrong("is a part, and doesn't say which"))?
            }
            _ => 0,
        };
        Ok(Download {
            body: answer.into_body(),
            place: self.place.clone(),
            from,
        })
    }
}

impl Download {
    /// The next bytes; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let broken = |reason: &str| Error::new(Kind::Unreachable, &self.place, reason);
        loop {
            let frame = timeout(STILL, self.body.frame()).await;
            let frame = frame.map_err(|_| broken("nothing came for a minute"))?;
            let Some(frame) = frame
                .transpose()
                .map_err(|error| broken("the connection broke").because(error))?
            else {
                return Ok(None);
            };
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

/// Where a part begins, by `Content-Range` (RFC 9110 section 14.4).
fn start_of(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_where_it_begins() {
        assert_eq!(start_of("bytes 7-9/10"), Some(7));
        for bad in ["", "bytes */10", "bytes -9/10", "lines 7-9/10", "bytes 7"] {
            assert_eq!(start_of(bad), None, "{bad}");
        }
    }
}
