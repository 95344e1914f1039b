//! What is written by seeking, to something that cannot seek: written twice, the first time for nothing but its size and for
//! what stands in places that are filled in later.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Seek, SeekFrom, Write};

/// The first pass: counts, and keeps what is written behind the end.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    position: u64,
    end: u64,
    filled_in: FilledIn,
}

/// By offset; no two overlap.
type FilledIn = BTreeMap<u64, Vec<u8>>;

impl Write for Measured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        if self.position < self.end {
            if self.position + length > self.end {
                return Err(io::Error::other("a place that is filled in reaches past the end"));
            }
            self.filled_in.insert(self.position, bytes.to_vec());
        }
        self.position += length;
        self.end = self.end.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Measured {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(to, self.position, self.end)?;
        Ok(self.position)
    }
}

impl Measured {
    /// The second pass.
    pub(crate) fn emit<W: Write>(self, out: W) -> Emitted<W> {
        Emitted {
            out,
            position: 0,
            emitted: 0,
            measured: self,
        }
    }
}

/// The second pass: what comes first is given with what is filled in later.
pub(crate) struct Emitted<W> {
    out: W,
    position: u64,
    emitted: u64,
    measured: Measured,
}

impl<W: Write> Emitted<W> {
    /// Zeros up to the length of the first pass, but for what is filled in.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.position = self.emitted;
        let left = self.measured.end.checked_sub(self.emitted);
        let left = left.ok_or_else(|| io::Error::other("the second pass is longer than the first"))?;
        io::copy(&mut io::Read::take(io::repeat(0), left), &mut self)?;
        self.out.flush()
    }

    fn overlaid<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut bytes = Cow::Borrowed(bytes);
        let (start, end) = (self.position, self.position + bytes.len() as u64);
        // None overlap: going down from the end, the first that ends before the start is the last to look at.
        for (&at, piece) in self.measured.filled_in.range(..end).rev() {
            let piece_end = at + piece.len() as u64;
            if piece_end <= start {
                break;
            }
            let (from, to) = (at.max(start), piece_end.min(end));
            let within = |position: u64, base: u64| usize::try_from(position - base).unwrap_or(usize::MAX);
            bytes.to_mut()[within(from, start)..within(to, start)]
                .copy_from_slice(&piece[within(from, at)..within(to, at)]);
        }
        bytes
    }
}

impl<W: Write> Write for Emitted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.position == self.emitted {
            let bytes = self.overlaid(bytes);
            self.out.write_all(&bytes)?;
            self.emitted += bytes.len() as u64;
        }
        // What is filled in now has been given already.
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W> Seek for Emitted<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(to, self.position, self.emitted)?;
        Ok(self.position)
    }
}

fn sought(to: SeekFrom, position: u64, end: u64) -> io::Result<u64> {
    let target = match to {
        SeekFrom::Start(at) => Some(at),
        SeekFrom::Current(by) => position.checked_add_signed(by),
        SeekFrom::End(by) => end.checked_add_signed(by),
    };
    let target = target.filter(|&at| at <= end);
    target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "sought outside what is written"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn write(out: &mut (impl Write + Seek)) {
        out.write_all(&[0; 1000]).unwrap();
        for piece in 0..5u8 {
            out.write_all(&[piece; 300]).unwrap();
        }
        for (at, text) in [(10, "head"), (998, "across"), (1500, "late")] {
            out.seek(SeekFrom::Start(at)).unwrap();
            out.write_all(text.as_bytes()).unwrap();
        }
        out.seek(SeekFrom::End(0)).unwrap();
        out.write_all(b"tail").unwrap();
    }

    #[test]
    fn two_passes_give_what_seeking_gives() {
        let mut sought = Cursor::new(Vec::new());
        write(&mut sought);
        let mut measured = Measured::default();
        write(&mut measured);
        assert_eq!(measured.end, sought.get_ref().len() as u64);
        let mut piped = Vec::new();
        let mut emitted = measured.emit(&mut piped);
        write(&mut emitted);
        emitted.finish().unwrap();
        assert_eq!(&piped, sought.get_ref());
    }

    #[test]
    fn what_was_not_written_again_is_filled_up() {
        let mut measured = Measured::default();
        measured.write_all(&[0; 600]).unwrap();
        measured.seek(SeekFrom::Start(500)).unwrap();
        measured.write_all(b"end").unwrap();
        let mut piped = Vec::new();
        measured.emit(&mut piped).finish().unwrap();
        assert_eq!((piped.len(), &piped[500..503]), (600, &b"end"[..]));
    }
}
