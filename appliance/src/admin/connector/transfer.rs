//! Files that are sent to a connector.

use hyper::Method;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_RANGE, HeaderName};
use serde_json::Value;

use super::{Connector, Question, wrong};
use crate::admin::failure::Result;
use crate::error::Error;

const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

impl Connector {
    /// How much of a file is there that is being sent.
    pub(crate) async fn received(&mut self, path: &str) -> Result<u64> {
        let answer = self.ask(Method::HEAD, path, Question::default()).await?;
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
}
