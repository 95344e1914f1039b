//! A source that other nodes of its server believe to be one, and that answers as a test wants.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use appliance::catalog::Sort;
use appliance::chunk::{Builder, Root};
use appliance::digest::Digest;
use appliance::peer::Credentials;
use appliance::transfer::{Offer, OfferedFile, Purpose, Signed};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::package::Publisher;

/// A version that it has.
pub(crate) struct Stock {
    pub(crate) label: String,
    pub(crate) kind: Sort,
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl Stock {
    /// Files that nobody judges.
    pub(crate) fn of_files(label: &str, files: &[(&str, &[u8])]) -> Self {
        let own = |(name, bytes): &(&str, &[u8])| ((*name).to_owned(), bytes.to_vec());
        Self {
            label: label.to_owned(),
            kind: Sort::File,
            files: files.iter().map(own).collect(),
        }
    }

    /// A package that a publisher signed, with a disk.
    pub(crate) fn of_package(label: &str, publisher: &Publisher, release: &str, disk: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        publisher.package(folder.path(), release, disk);
        let names = ["web.ovf", "web.mf", "web.cert", "web-disk.vmdk"];
        let read = |name: &str| (name.to_owned(), std::fs::read(folder.path().join(name)).unwrap());
        Self {
            label: label.to_owned(),
            kind: Sort::Package,
            files: names.map(read).into(),
        }
    }

    /// The same in one archive, with manifest and certificate last.
    pub(crate) fn in_an_archive(mut self) -> Self {
        let mut archive = tar::Builder::new(Vec::new());
        for name in ["web.ovf", "web-disk.vmdk", "web.mf", "web.cert"] {
            let mut header = tar::Header::new_ustar();
            header.set_size(self.bytes(name).len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, self.bytes(name)).unwrap();
        }
        self.files = vec![("web.ova".to_owned(), archive.into_inner().unwrap())];
        self
    }

    pub(crate) fn bytes_mut(&mut self, name: &str) -> &mut Vec<u8> {
        let found = self.files.iter_mut().find(|(own, _)| own == name);
        &mut found.unwrap().1
    }

    pub(crate) fn offer(&self) -> Offer {
        let offered = |(name, bytes): &(String, Vec<u8>)| OfferedFile {
            name: name.clone(),
            bytes: bytes.len() as u64,
            digest: Digest::of(bytes),
        };
        Offer {
            label: self.label.clone(),
            kind: self.kind,
            files: self.files.iter().map(offered).collect(),
        }
    }

    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        let found = self.files.iter().find(|(own, _)| own == name);
        &found.unwrap().1
    }
}

/// The index of bytes, as if they were the file of a digest.
pub(crate) fn index(bytes: &[u8], digest: Digest) -> (Root, Vec<u8>) {
    let mut builder = Builder::new(bytes.len() as u64, Vec::new()).unwrap();
    builder.update(bytes).unwrap();
    builder.finish(digest).unwrap()
}

/// The root of an index, signed by a node for a version.
pub(crate) fn signed_root(version: Digest, root: &Root, signer: &Credentials) -> Signed {
    let document = [version.as_bytes().as_slice(), &root.encode()].concat();
    Signed::bytes(Purpose::Index, &document, signer.certificate(), |bytes| {
        signer.sign(bytes)
    })
    .unwrap()
}

/// What a destination asks for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) path: String,
    /// First and last byte.
    pub(crate) range: Option<(usize, usize)>,
}

impl Ask {
    /// The name of the file of which bytes are wanted.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.path.strip_prefix("/api/v1/peer/files/")?;
        (!name.contains('/')).then_some(name)
    }

    /// That of the one whose index is wanted.
    pub(crate) fn root(&self) -> Option<&str> {
        self.path
            .strip_prefix("/api/v1/peer/files/")?
            .strip_suffix("/index")
    }

    /// Which groups of which file's index are wanted: the first one's number, and how many.
    fn groups(&self) -> Option<(&str, usize, usize)> {
        let (name, rest) = self
            .path
            .strip_prefix("/api/v1/peer/files/")?
            .split_once("/index/")?;
        let (first, many) = rest.split_once("?count=").unwrap_or((rest, "1"));
        Some((name, first.parse().ok()?, many.parse().ok()?))
    }
}

/// What it answers.
pub(crate) struct Reply {
    pub(crate) status: &'static str,
    pub(crate) fields: String,
    pub(crate) body: Vec<u8>,
    /// How long it says that the body is; the connection ends after less.
    pub(crate) length: usize,
    /// Whether a byte comes each second.
    pub(crate) drips: bool,
}

impl Reply {
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self {
            status: "200 OK",
            fields: String::new(),
            length: body.len(),
            body,
            drips: false,
        }
    }

    pub(crate) fn json(body: &impl serde::Serialize) -> Self {
        Self::ok(serde_json::to_vec(body).unwrap())
    }

    pub(crate) fn missing() -> Self {
        let body = json!({ "code": "not-found" });
        Self {
            status: "404 Not Found",
            ..Self::json(&body)
        }
    }

    /// A part of a file: what was asked for.
    pub(crate) fn part(bytes: &[u8], ask: &Ask) -> Self {
        let Some((first, last)) = ask.range else {
            return Self::ok(bytes.to_vec());
        };
        Self {
            status: "206 Partial Content",
            fields: format!("Content-Range: bytes {first}-{last}/{}\r\n", bytes.len()),
            ..Self::ok(bytes[first..=last].to_vec())
        }
    }

    fn head(&self) -> String {
        format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n",
            self.status, self.length, self.fields
        )
    }
}

/// How it answers, where it isn't as an honest source would.
pub(crate) type Manner = Box<dyn Fn(&Stock, &Ask) -> Option<Reply> + Send + Sync>;

struct State {
    stock: Stock,
    manner: Manner,
    asked: Vec<Ask>,
}

/// A source that listens; dropped, it is gone.
pub(crate) struct Hostile {
    pub(crate) own: Arc<Credentials>,
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
    listening: JoinHandle<()>,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Hostile {
    pub(crate) async fn start(own: Credentials) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let own = Arc::new(own);
        let state = Arc::new(Mutex::new(State {
            stock: Stock::of_files("1", &[]),
            manner: Box::new(|_, _| None),
            asked: Vec::new(),
        }));
        let (shared, signer) = (Arc::clone(&state), Arc::clone(&own));
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (state, own) = (Arc::clone(&shared), Arc::clone(&signer));
                tokio::spawn(async move { serve(stream, &state, &own).await });
            }
        });
        Self {
            own,
            address,
            state,
            listening,
        }
    }

    /// Has something else from now on, and another manner.
    pub(crate) fn offers(
        &self,
        stock: Stock,
        manner: impl Fn(&Stock, &Ask) -> Option<Reply> + Send + Sync + 'static,
    ) {
        let manner = Box::new(manner);
        *self.state.lock().unwrap() = State {
            stock,
            manner,
            asked: Vec::new(),
        };
    }

    pub(crate) fn offer(&self) -> Offer {
        self.state.lock().unwrap().stock.offer()
    }

    /// What was asked of it.
    pub(crate) fn asked(&self) -> Vec<Ask> {
        self.state.lock().unwrap().asked.clone()
    }
}

async fn serve(stream: tokio::net::TcpStream, state: &Mutex<State>, own: &Credentials) {
    let Ok(mut stream) = TlsAcceptor::from(own.connections()).accept(stream).await else {
        return;
    };
    let mut head = Vec::new();
    loop {
        let mut byte = [0; 1024];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte).await {
                Ok(read) if read > 0 => head.extend_from_slice(&byte[..read]),
                _ => return,
            }
        }
        let reply = {
            let mut state = state.lock().unwrap();
            let ask = read(&String::from_utf8(std::mem::take(&mut head)).unwrap());
            state.asked.push(ask.clone());
            let own_manner = (state.manner)(&state.stock, &ask);
            own_manner.unwrap_or_else(|| honest(&state.stock, &ask, own))
        };
        if reply.drips {
            let mut bytes = reply.body.iter();
            let mut sent = stream.write_all(reply.head().as_bytes()).await;
            while let (Ok(()), Some(byte)) = (&sent, bytes.next()) {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                sent = stream.write_all(&[*byte]).await;
            }
            return;
        }
        let sent = [reply.head().as_bytes(), &reply.body].concat();
        if stream.write_all(&sent).await.is_err() || reply.body.len() != reply.length {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

fn read(head: &str) -> Ask {
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let field = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    });
    let range = field.map(|field| {
        let (first, last) = field.split_once('-').unwrap();
        (first.parse().unwrap(), last.parse().unwrap())
    });
    Ask { path, range }
}

/// What a source answers that does nobody harm.
fn honest(stock: &Stock, ask: &Ask, own: &Credentials) -> Reply {
    let version = stock.offer().digest();
    if ask.path == "/api/v1/peer/version" {
        return Reply::json(&stock.offer());
    }
    if let Some(name) = ask.file() {
        return Reply::part(stock.bytes(name), ask);
    }
    let of = |name: &str| index(stock.bytes(name), Digest::of(stock.bytes(name)));
    if let Some(name) = ask.root() {
        return match stock.bytes(name).len() < 1 << 20 {
            true => Reply::missing(),
            false => Reply::json(&signed_root(version, &of(name).0, own)),
        };
    }
    let (name, first, many) = ask.groups().unwrap();
    let (root, groups) = of(name);
    Reply::ok(groups_of(&root, &groups, first, many))
}

/// So many of an index's groups.
pub(crate) fn groups_of(root: &Root, groups: &[u8], first: usize, many: usize) -> Vec<u8> {
    let lengths: Vec<_> = root.groups().iter().map(|group| group.encoded()).collect();
    let start: usize = lengths[..first].iter().sum();
    let length: usize = lengths[first..first + many].iter().sum();
    groups[start..start + length].to_vec()
}

/// What was asked, for whoever looks why a test failed.
pub(crate) fn told(asked: &[Ask]) -> String {
    asked.iter().fold(String::new(), |mut told, ask| {
        let _ = writeln!(told, "{} {:?}", ask.path, ask.range);
        told
    })
}
