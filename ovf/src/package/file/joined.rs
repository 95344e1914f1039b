//! The members of a file, joined: its bytes as they are stored.

use std::io::{self, BufRead, Read};

use super::Parts;
use crate::descriptor::File;
use crate::error::{Error, Kind};
use crate::package::MemberInfo;

/// How much of a member is held at a time, in bytes.
const BUFFER_LEN: usize = 64 << 10;

/// Reads one member, or chunk after chunk, and checks the size of each against the descriptor.
pub(super) struct Joined<'a> {
    parts: &'a mut dyn Parts,
    file: File,
    /// How many members there are, if that is told; otherwise they end where the next is not there.
    count: Option<usize>,
    most: usize,
    /// How many members were gone to.
    begun: usize,
    current: Option<MemberInfo>,
    /// How many bytes of the current member were handed on.
    consumed: u64,
    /// Bytes of the current member that were not handed on yet.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Whether the last member was read out: what the source stands at then is another file's.
    over: bool,
}

impl<'a> Joined<'a> {
    /// Goes to the first member.
    pub(super) fn new(parts: &'a mut dyn Parts, file: &File, most: usize) -> Result<Self, Error> {
        let count = match (file.chunk_size, file.size) {
            (None, _) => Some(1),
            (Some(chunk), Some(size)) => Some(size.div_ceil(chunk.max(1)).max(1)),
            (Some(_), None) => None,
        };
        let mut joined = Joined {
            parts,
            file: file.clone(),
            count: count.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            most,
            begun: 0,
            current: None,
            consumed: 0,
            buffer: vec![0; BUFFER_LEN].into(),
            start: 0,
            end: 0,
            over: false,
        };
        if let Some(count) = joined.count {
            joined.check_count(count)?;
        }
        joined.next_part()?;
        Ok(joined)
    }

    /// Reads without an error that is not this crate's.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let filled = self.fill()?;
        let length = filled.len().min(buffer.len());
        buffer[..length].copy_from_slice(&filled[..length]);
        self.consume(length);
        Ok(length)
    }

    /// An error at the byte that is handed on next.
    pub(super) fn place(&self, error: Error) -> Error {
        match &self.current {
            Some(info) => error
                .at_offset(info.offset.saturating_add(self.consumed))
                .in_member(&info.name),
            None => error.in_member(&self.file.href),
        }
    }

    fn place_unless_told(&self, error: Error) -> Error {
        match error.place().offset {
            Some(_) => error,
            None => self.place(error),
        }
    }

    /// Bytes of the current member, or of the next where that one is read out; none at the file's end.
    fn fill(&mut self) -> Result<&[u8], Error> {
        while self.start == self.end && !self.over {
            let read = self.read_part()?;
            (self.start, self.end) = (0, read);
            if read > 0 {
                break;
            }
            let cut = self
                .current
                .as_ref()
                .is_some_and(|info| self.consumed < info.size);
            if cut {
                return Err(self.place(Error::new(Kind::Truncated, "the file ends before its size")));
            }
            self.over = !self.next_part()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn read_part(&mut self) -> Result<usize, Error> {
        loop {
            match self.parts.read_part(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| self.place_unless_told(Error::io("reading", error))),
            }
        }
    }

    /// Goes to the next member; false if there is none.
    fn next_part(&mut self) -> Result<bool, Error> {
        let index = self.begun;
        if self.count.is_some_and(|count| index >= count) {
            return Ok(false);
        }
        let name = match self.file.chunk_size {
            None => self.file.whole_name()?,
            Some(_) => self.file.chunk_name(index)?,
        };
        let mut found = self.parts.go_to(&name)?;
        // A file of a single chunk stands under its own name as well.
        if found.is_none() && index == 0 && self.count.is_none_or(|count| count == 1) {
            found = self.parts.go_to(&self.file.whole_name()?)?;
            self.count = Some(1);
        }
        match found {
            Some(info) => self.begin(info)?,
            None if self.count.is_none() => return Ok(false),
            None => {
                let reason = "the descriptor refers to a file that the package has not, or not here";
                return Err(Error::new(Kind::PackageMissing, reason).in_member(name));
            }
        }
        Ok(true)
    }

    fn begin(&mut self, info: MemberInfo) -> Result<(), Error> {
        let before = self.current.as_ref().filter(|_| self.count.is_none());
        if let (Some(before), Some(chunk)) = (before, self.file.chunk_size)
            && before.size != chunk
        {
            return Err(wrong_size(before, chunk));
        }
        if let Some(expected) = self.expected_size(self.begun)
            && info.size != expected
        {
            return Err(wrong_size(&info, expected));
        }
        self.begun += 1;
        self.check_count(self.begun)
            .map_err(|error| error.in_member(&info.name))?;
        self.current = Some(info);
        self.consumed = 0;
        Ok(())
    }

    /// The size of the member at `index`, as far as the descriptor tells it.
    fn expected_size(&self, index: usize) -> Option<u64> {
        let size = self.file.size?;
        let Some(chunk) = self.file.chunk_size else {
            return Some(size);
        };
        let before = chunk.saturating_mul(index as u64);
        Some(size.saturating_sub(before).min(chunk))
    }

    fn check_count(&self, count: usize) -> Result<(), Error> {
        if count <= self.most {
            return Ok(());
        }
        let error = Error::new(Kind::PackageLimit, format!("more than {} chunks", self.most));
        Err(self.file.origin.place(error))
    }
}

fn wrong_size(info: &MemberInfo, expected: u64) -> Error {
    let reason = format!(
        "the member has {} bytes, the descriptor says {expected}",
        info.size
    );
    Error::new(Kind::PackageSize, reason).in_member(&info.name)
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(buffer)?)
    }
}

impl BufRead for Joined<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.fill()?)
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.end - self.start);
        self.start += amount;
        self.consumed += amount as u64;
    }
}
