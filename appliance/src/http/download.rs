//! Files that clients take: whole, or a part of them (RFC 9110, sections 13 and 14), with their digest (RFC 9530).
//!
//! One range is answered with 206; several are answered with the whole file, which the RFC leaves to the server, and which costs
//! an attacker what it gets. The entity tag is the digest, so that a download goes on only with the bytes that it began with.
//!
//! A file is read as its client takes it: at most two pieces of [`PIECE`] bytes are in memory.

mod conditions;
mod name;
mod pieces;
mod range;

use std::fs::File;

use axum::body::Body;
use hyper::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue,
};
use hyper::{HeaderMap, Method, Response, StatusCode};

use super::problem::Problem;
use super::sending::Large;
use crate::digest::Digest;
use crate::log;
use pieces::Reading;
use range::Range;

pub use conditions::{Verdict, judge};
pub use pieces::PIECE;

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// Answers above so many bytes take one of the places for files.
const LARGE: u64 = 1 << 20;

/// A file that doesn't change.
#[derive(Debug)]
pub struct Download<'a> {
    /// The open file.
    pub file: File,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// What it is called where it is kept; whatever can't be a file's name is left out.
    pub name: &'a str,
    /// Its media type.
    pub media_type: &'static str,
}

impl Download<'_> {
    /// The answer to a GET or HEAD with these header fields, from somebody who may have the file.
    pub fn answer(self, method: &Method, fields: &HeaderMap) -> Response<Body> {
        let tag = format!("\"sha256-{}\"", self.digest);
        match conditions::judge(fields, &tag) {
            Verdict::Failed => return Problem::PRECONDITION_FAILED.response(),
            Verdict::NotModified => return respond(StatusCode::NOT_MODIFIED, [(ETAG, tag)], Body::empty()),
            Verdict::GoOn => {}
        }
        let range = match *method == Method::GET && conditions::range_holds(fields, &tag) {
            true => range::asked_for(fields, self.size),
            false => Range::Whole,
        };
        let (status, start, length) = match range {
            Range::Whole => (StatusCode::OK, 0, self.size),
            Range::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
            Range::Unsatisfiable => {
                let value = HeaderValue::try_from(format!("bytes */{}", self.size));
                return match value {
                    Ok(value) => Problem::RANGE.with(CONTENT_RANGE, value).response(),
                    Err(_) => Problem::RANGE.response(),
                };
            }
        };
        let mut told = vec![
            (ETAG, tag),
            (REPR_DIGEST, format!("sha-256=:{}:", self.digest.base64())),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (CONTENT_TYPE, self.media_type.to_owned()),
            (CONTENT_DISPOSITION, name::disposition(self.name)),
            (CONTENT_LENGTH, length.to_string()),
        ];
        if status == StatusCode::PARTIAL_CONTENT {
            // A part has at least one byte.
            let last = start + length.saturating_sub(1);
            told.push((CONTENT_RANGE, format!("bytes {start}-{last}/{}", self.size)));
        }
        if *method == Method::HEAD {
            return respond(status, told, Body::empty());
        }
        let body = Body::new(Reading::of(self.file, start, length));
        let mut response = respond(status, told, body);
        if length > LARGE {
            response.extensions_mut().insert(Large);
        }
        response
    }
}

fn respond(
    status: StatusCode,
    told: impl IntoIterator<Item = (HeaderName, String)>,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in told {
        match HeaderValue::try_from(value) {
            Ok(value) => {
                response.headers_mut().insert(name, value);
            }
            Err(error) => log::error(format_args!("{name} can't be told: {error}")),
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http_body_util::BodyExt as _;
    use hyper::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};

    use super::*;

    const BYTES: &[u8] = b"0123456789";

    struct Answer {
        status: u16,
        fields: HeaderMap,
        body: Vec<u8>,
    }

    impl Answer {
        fn field(&self, name: HeaderName) -> &str {
            self.fields.get(name).map_or("", |value| value.to_str().unwrap())
        }
    }

    async fn ask(method: Method, fields: &[(HeaderName, &str)]) -> Answer {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(BYTES).unwrap();
        let download = Download {
            file,
            size: BYTES.len() as u64,
            digest: Digest::of(BYTES),
            name: "disk.vmdk",
            media_type: "application/octet-stream",
        };
        let fields = fields
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let response = download.answer(&method, &fields.collect());
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            fields: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    fn tag() -> String {
        format!("\"sha256-{}\"", Digest::of(BYTES))
    }

    #[tokio::test]
    async fn the_whole_comes_with_its_digest_name_and_length() {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(method.clone(), &[]).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.field(ETAG), tag());
            assert_eq!(answer.field(ACCEPT_RANGES), "bytes");
            assert_eq!(answer.field(CONTENT_LENGTH), "10");
            assert_eq!(answer.field(CONTENT_TYPE), "application/octet-stream");
            let digest = "sha-256=:hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=:";
            assert_eq!(answer.field(REPR_DIGEST), digest);
            assert_eq!(
                answer.field(CONTENT_DISPOSITION),
                "attachment; filename=\"disk.vmdk\""
            );
            let expected = if method == Method::GET { BYTES } else { b"" };
            assert_eq!(answer.body, expected);
        }
    }

    #[tokio::test]
    async fn a_range_is_answered_with_a_part_and_several_with_the_whole() {
        for (range, status, body, told) in [
            ("bytes=2-4", 206, "234", "bytes 2-4/10"),
            ("bytes=7-", 206, "789", "bytes 7-9/10"),
            ("bytes=-3", 206, "789", "bytes 7-9/10"),
            ("bytes=2-4,6-7", 200, "0123456789", ""),
            ("lines=2-4", 200, "0123456789", ""),
        ] {
            let answer = ask(Method::GET, &[(RANGE, range)]).await;
            assert_eq!(
                (answer.status, answer.field(CONTENT_RANGE)),
                (status, told),
                "{range}"
            );
            assert_eq!(answer.body, body.as_bytes(), "{range}");
            assert_eq!(answer.field(CONTENT_LENGTH), body.len().to_string());
        }
        let answer = ask(Method::GET, &[(RANGE, "bytes=10-")]).await;
        assert_eq!((answer.status, answer.field(CONTENT_RANGE)), (416, "bytes */10"));
        assert_eq!(ask(Method::HEAD, &[(RANGE, "bytes=2-4")]).await.status, 200);
    }

    #[tokio::test]
    async fn conditions_are_looked_at_before_ranges() {
        let (tag, weak) = (tag(), format!("W/{}", tag()));
        for (name, value, status) in [
            (IF_NONE_MATCH, tag.as_str(), 304),
            (IF_NONE_MATCH, &weak, 304),
            (IF_NONE_MATCH, "*", 304),
            (IF_NONE_MATCH, "\"other\"", 206),
            (IF_MATCH, &tag, 206),
            (IF_MATCH, "*", 206),
            (IF_MATCH, &weak, 412),
            (IF_MATCH, "\"other\"", 412),
            (IF_RANGE, &tag, 206),
            (IF_RANGE, &weak, 200),
            (IF_RANGE, "\"other\"", 200),
            (IF_RANGE, "Sat, 29 Oct 1994 19:43:31 GMT", 200),
        ] {
            let answer = ask(Method::GET, &[(RANGE, "bytes=2-4"), (name.clone(), value)]).await;
            assert_eq!(answer.status, status, "{name}: {value}");
        }
        let answer = ask(Method::GET, &[(IF_NONE_MATCH, &tag)]).await;
        assert_eq!((answer.field(ETAG), answer.body.len()), (tag.as_str(), 0));
    }
}
