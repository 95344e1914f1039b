//! gzip (RFC 1952), undone: one stream, or several on end.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::joined::Joined;
use crate::error::{Error, Kind};

/// The first byte of every gzip stream.
const MAGIC: u8 = 0x1F;

/// Decompresses, stream after stream, up to the stored file's end.
///
/// The decoder is asked for single streams, so that what follows one is looked at here: several streams on end are one
/// file (RFC 1952, 2.2), anything else after one is a place to hide things in.
pub(super) struct Gunzip<'a> {
    state: State<'a>,
}

enum State<'a> {
    /// Before a stream; the first, or one after others.
    Between {
        stored: Joined<'a>,
        first: bool,
    },
    Inside {
        decoder: Box<GzDecoder<Joined<'a>>>,
        first: bool,
    },
    Over(Option<Joined<'a>>),
}

impl<'a> Gunzip<'a> {
    pub(super) fn new(stored: Joined<'a>) -> Self {
        Gunzip {
            state: State::Between { stored, first: true },
        }
    }

    /// Reads decompressed bytes; none at the end.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Over(None)) {
                State::Between { stored, first } => begin(stored, first)?,
                State::Inside { mut decoder, first } => match decoder.read(buffer) {
                    Ok(0) => State::Between {
                        stored: decoder.into_inner(),
                        first: false,
                    },
                    Ok(read) => {
                        self.state = State::Inside { decoder, first };
                        return Ok(read);
                    }
                    Err(error) => return Err(refused(&decoder, first, error)),
                },
                State::Over(stored) => {
                    self.state = State::Over(stored);
                    return Ok(0);
                }
            };
        }
    }

    /// The stored bytes below, to tell places.
    pub(super) fn joined(&self) -> Option<&Joined<'a>> {
        match &self.state {
            State::Between { stored, .. } => Some(stored),
            State::Inside { decoder, .. } => Some(decoder.get_ref()),
            State::Over(stored) => stored.as_ref(),
        }
    }
}

fn begin(mut stored: Joined<'_>, first: bool) -> Result<State<'_>, Error> {
    let next = stored
        .fill_buf()
        .map_err(|error| Error::io("reading", error))?
        .first()
        .copied();
    match next {
        None if first => Err(stored.place(Error::new(
            Kind::GzipTruncated,
            "the file is empty where it should be compressed with gzip",
        ))),
        None => Ok(State::Over(Some(stored))),
        Some(byte) if first || byte == MAGIC => Ok(State::Inside {
            decoder: Box::new(GzDecoder::new(stored)),
            first,
        }),
        Some(_) => Err(trailing(&stored)),
    }
}

/// What the decoder's error means, at the stored byte that it came to.
fn refused(decoder: &GzDecoder<Joined<'_>>, first: bool, error: io::Error) -> Error {
    let stored = decoder.get_ref();
    let own = match error.downcast::<Error>() {
        Ok(own) => return own,
        Err(error) => error,
    };
    if own.kind() == io::ErrorKind::UnexpectedEof {
        let reason = "the file ends in the middle of its gzip stream";
        return stored.place(Error::new(Kind::GzipTruncated, reason));
    }
    if !first && decoder.header().is_none() {
        return trailing(stored);
    }
    let reason = "the file is not a whole gzip stream";
    stored.place(Error::new(Kind::GzipMalformed, reason).caused_by(own))
}

fn trailing(stored: &Joined<'_>) -> Error {
    stored.place(Error::new(
        Kind::GzipTrailingData,
        "bytes follow the gzip stream's end",
    ))
}
