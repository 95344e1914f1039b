//! A small HTTP/1.1 server on the loopback, with the faults that servers have.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Proper,
    /// Sends the whole file whatever is asked for.
    IgnoresRanges,
    /// Sends other bytes than it was asked for, and says so.
    WrongRange,
    /// Says nothing of the range it sends.
    NoContentRange,
    /// Sends more than was asked for.
    LongRange,
    /// Sends a little of what was asked for.
    TinyRange,
    /// Closes in the middle of the body.
    ShortBody,
    /// Sends nothing for long, after the headers.
    Stalls,
    /// Sends nothing at all for long.
    Silent,
    /// The file is another from the second request on; the condition is understood, or ignored.
    Changes {
        heeds_if_range: bool,
    },
    /// Every address leads to the next.
    RedirectsForEver,
    /// Headers without end.
    EndlessHeaders,
    /// Tells of an encoding that was not asked for.
    Encodes,
    Answers(u16),
}

/// What was asked of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    files: HashMap<String, PathBuf>,
    redirects: HashMap<String, String>,
    requests: Mutex<Vec<Request>>,
    sent: Mutex<u64>,
}

/// A running server; it ends with the test's process.
#[derive(Debug)]
pub(crate) struct Server {
    state: Arc<State>,
    port: u16,
    secure: bool,
}

impl Server {
    /// Serves files by their paths.
    pub(crate) fn start(mode: Mode, files: &[(&str, PathBuf)]) -> Self {
        Self::with(mode, files, &[], None)
    }

    pub(crate) fn with(
        mode: Mode,
        files: &[(&str, PathBuf)],
        redirects: &[(&str, String)],
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let secure = tls.is_some();
        let owned = |path: &&str| (*path).to_owned();
        let state = Arc::new(State {
            mode,
            files: files
                .iter()
                .map(|(path, file)| (owned(path), file.clone()))
                .collect(),
            redirects: redirects
                .iter()
                .map(|(path, to)| (owned(path), to.clone()))
                .collect(),
            requests: Mutex::default(),
            sent: Mutex::default(),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, tls) = (shared.clone(), tls.clone());
                // A client that goes away is no failure of the server's.
                thread::spawn(move || match tls {
                    None => state.serve(stream),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
                        state.serve(StreamOwned::new(connection, stream))
                    }
                });
            }
        });
        Self { state, port, secure }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.url_as("", path)
    }

    /// A URL with `user:password@`.
    pub(crate) fn url_as(&self, credentials: &str, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{credentials}127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Bytes of bodies.
    pub(crate) fn sent(&self) -> u64 {
        *self.state.sent.lock().unwrap()
    }
}

/// What a client connects to.
trait Connection: Read + Write {}
impl Connection for TcpStream {}
impl Connection for StreamOwned<ServerConnection, TcpStream> {}

impl State {
    fn serve(&self, stream: impl Connection) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read_request(&mut stream)? {
            let number = {
                let mut requests = self.requests.lock().unwrap();
                requests.push(request.clone());
                requests.len()
            };
            if !self.answer(&request, number, stream.get_mut())? {
                break;
            }
        }
        Ok(())
    }

    /// Answers, and says whether the connection goes on.
    fn answer(&self, request: &Request, number: usize, out: &mut impl Write) -> io::Result<bool> {
        let location = match self.mode {
            Mode::RedirectsForEver => Some(format!("{}x", request.path)),
            _ => self.redirects.get(&request.path).cloned(),
        };
        if let Some(location) = location {
            write!(
                out,
                "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
            )?;
            return Ok(true);
        }
        let status = match self.mode {
            Mode::Answers(status) => Some(status),
            _ => None,
        };
        let (Some(path), None) = (self.files.get(&request.path), status) else {
            let status = status.unwrap_or(404);
            write!(out, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        };
        if self.mode == Mode::Silent {
            thread::sleep(Duration::from_secs(5));
            return Ok(false);
        }
        self.send_file(request, number, &mut File::open(path)?, out)
    }

    fn send_file(
        &self,
        request: &Request,
        number: usize,
        file: &mut File,
        out: &mut impl Write,
    ) -> io::Result<bool> {
        let size = file.metadata()?.len();
        let changes = matches!(self.mode, Mode::Changes { .. }) && number > 1;
        let tag = if changes { "\"new\"" } else { "\"old\"" };
        let condition = request.headers.get("if-range");
        let heeds = self.mode == Mode::Proper || self.mode == Mode::Changes { heeds_if_range: true };
        let holds = !heeds || condition.is_none_or(|condition| condition == tag);
        let range = request.headers.get("range").map(|range| parse_range(range, size));
        let range = range.filter(|_| holds && self.mode != Mode::IgnoresRanges);
        let (mut start, mut end) = range.unwrap_or((0, size));
        match self.mode {
            Mode::WrongRange if number > 1 => (start, end) = (start + 1, (end + 1).min(size)),
            Mode::TinyRange => end = (start + 100).min(size),
            Mode::LongRange => end = (end + 1).min(size),
            _ => {}
        }
        let status = if range.is_some() {
            "206 Partial Content"
        } else {
            "200 OK"
        };
        write!(
            out,
            "HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Length: {}\r\n",
            end - start
        )?;
        if range.is_some() && self.mode != Mode::NoContentRange {
            write!(out, "Content-Range: bytes {start}-{}/{size}\r\n", end - 1)?;
        }
        match self.mode {
            Mode::Encodes => write!(out, "Content-Encoding: gzip\r\n")?,
            Mode::EndlessHeaders => loop {
                write!(out, "X-Filler: {}\r\n", "x".repeat(1000))?;
            },
            _ => {}
        }
        write!(out, "\r\n")?;
        out.flush()?;
        if request.method == "HEAD" {
            return Ok(true);
        }
        if self.mode == Mode::Stalls {
            thread::sleep(Duration::from_secs(5));
            return Ok(false);
        }
        let whole = self.mode != Mode::ShortBody;
        let length = if whole { end - start } else { (end - start) / 2 };
        file.seek(SeekFrom::Start(start))?;
        let mut left = length;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            file.read_exact(&mut buffer[..wanted])?;
            out.write_all(&buffer[..wanted])?;
            *self.sent.lock().unwrap() += wanted as u64;
            left -= wanted as u64;
        }
        out.flush()?;
        Ok(whole)
    }
}

fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Request {
        method,
        path,
        headers,
    }))
}

/// `bytes=first-last` as a beginning and an end.
fn parse_range(text: &str, size: u64) -> (u64, u64) {
    let (first, last) = text.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let last: u64 = last.parse().unwrap();
    (first.parse().unwrap(), (last + 1).min(size))
}
