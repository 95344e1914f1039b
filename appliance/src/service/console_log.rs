//! What all that share an appliance's consoles print, as PID 1 gives it: lines that begin with the time.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe;

use crate::clock::Moment;
use crate::error::{Error, Kind, Result};
use crate::log::{self, LIMIT, Line};

/// The pipe to read lines from.
pub(super) struct ConsoleLog(BufReader<pipe::Receiver>);

impl ConsoleLog {
    /// Opens the pipe behind descriptor `number` anew: one that does not block, beside the one that was given.
    pub(super) fn open(number: i32) -> Result<Self> {
        let path = format!("/proc/self/fd/{number}");
        let pipe = pipe::OpenOptions::new()
            .open_receiver(&path)
            .map_err(|e| Error::new(Kind::Io, path, "cannot be opened for the log").because(e))?;
        log::be_relayed();
        Ok(Self(BufReader::new(pipe)))
    }

    /// Gives the lines to whoever follows the log, as long as there is a writer.
    pub(super) async fn relay(mut self) {
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut limited = (&mut self.0).take(LIMIT as u64);
            match limited.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if let Some(line) = read(&line) {
                log::relay(line);
            }
        }
    }
}

fn read(line: &[u8]) -> Option<Line> {
    let (at, text) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
    let at: Moment = serde_json::from_value(at.into()).ok()?;
    Some(Line {
        at,
        text: text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_its_time_and_anything_else_is_none() {
        let line = read(b"2025-11-24T16:00:00.123Z vcc: state device=vdb boots=1\n").unwrap();
        assert_eq!(
            (line.at, &*line.text),
            (Moment(1_764_000_000_123), "vcc: state device=vdb boots=1")
        );
        for text in [
            &b""[..],
            b"\n",
            b"vcc: state\n",
            b"2025-11-24T16:00:00Z\n",
            b"\xff \xff",
        ] {
            assert!(read(text).is_none(), "{text:?}");
        }
    }
}
