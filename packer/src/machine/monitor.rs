use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A connection to QEMU's machine protocol (QMP).
#[derive(Debug)]
pub struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

/// A line of QMP longer than this is not QMP.
const MAX_LINE_BYTES: u64 = 1 << 20;

impl Monitor {
    /// Connects, waiting up to `patience` for QEMU to open the socket, and negotiates.
    ///
    /// # Errors
    /// Nothing answers in time, or what answers is not QMP.
    pub fn connect(socket: &Path, patience: Duration) -> io::Result<Self> {
        let end = Instant::now() + patience;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(patience.max(Duration::from_secs(1))))?;
        let mut monitor = Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
        };
        let greeting = monitor.line()?;
        if greeting.get("QMP").is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no QMP greeting"));
        }
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Runs a command and returns its answer; events in between are passed over.
    ///
    /// # Errors
    /// QEMU refuses the command, is gone, or doesn't answer in time.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> io::Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        self.writer.write_all(format!("{request}\n").as_bytes())?;
        loop {
            let mut answer = self.line()?;
            if let Some(error) = answer.get("error") {
                let said = error.get("desc").and_then(Value::as_str).unwrap_or("refused");
                return Err(io::Error::other(format!("{command}: {said}")));
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    fn line(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        (&mut self.reader).take(MAX_LINE_BYTES).read_line(&mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
