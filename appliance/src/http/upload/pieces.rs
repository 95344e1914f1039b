//! A body in pieces that are worth a write.

use std::error::Error;

use axum::body::Body;
use http_body_util::BodyExt as _;

use super::paced::Cut;
use crate::http::problem::Problem;

/// The length of a piece in bytes, at least: what the network adds last comes on top.
pub const PIECE: usize = 256 << 10;

/// The pieces of a body.
#[derive(Debug)]
pub struct Pieces {
    body: Body,
    /// What was met behind a piece.
    end: Option<Problem>,
}

impl Pieces {
    /// Those of a body.
    pub fn of(body: Body) -> Self {
        Self { body, end: None }
    }

    /// The next piece, of [`PIECE`] bytes or a little more unless it is the last; nothing at the end.
    ///
    /// # Errors
    /// [`Problem::TOO_SLOW`], or the body broke off; all that came before was given.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        if let Some(problem) = self.end.take() {
            return Err(problem);
        }
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    piece.extend_from_slice(&data);
                }
                Some(Err(error)) if piece.is_empty() => return Err(problem(&error)),
                Some(Err(error)) => {
                    self.end = Some(problem(&error));
                    break;
                }
                None => break,
            }
        }
        Ok((!piece.is_empty()).then_some(piece))
    }
}

fn problem(error: &(dyn Error + 'static)) -> Problem {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref() {
            Some(Cut::TooSlow) => return Problem::TOO_SLOW,
            Some(Cut::NotAdmitted) => return Problem::INTERNAL,
            Some(Cut::Broken(_)) | None => next = error.source(),
        }
    }
    Problem::INCOMPLETE.about("The body broke off.")
}

#[cfg(test)]
mod tests {
    use http_body_util::channel::Channel;
    use hyper::body::Bytes;

    use super::*;

    #[tokio::test]
    async fn what_came_before_a_body_broke_off_is_given() {
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(4);
        sender.send_data(vec![1; PIECE - 1].into()).await.unwrap();
        sender.send_data(vec![2; 9].into()).await.unwrap();
        sender.send_data(vec![3; 5].into()).await.unwrap();
        sender.abort(std::io::ErrorKind::ConnectionReset.into());
        let mut pieces = Pieces::of(Body::new(body));
        assert_eq!(pieces.next().await.unwrap().unwrap().len(), PIECE + 8);
        assert_eq!(pieces.next().await.unwrap().unwrap(), [3; 5]);
        assert!(pieces.next().await.is_err());
    }

    #[tokio::test]
    async fn a_body_ends_with_its_last_piece() {
        let mut pieces = Pieces::of(Body::from("disk"));
        assert_eq!(pieces.next().await.unwrap().unwrap(), b"disk");
        assert!(pieces.next().await.unwrap().is_none());
        assert!(Pieces::of(Body::empty()).next().await.unwrap().is_none());
    }
}
