//! One question to one name server: over UDP from a port of its own, over TCP where the answer is cut short.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message::{Family, Message, Question};
use crate::endpoint::DomainName;
use crate::entropy;
use crate::error::{Error, Kind, Result};

/// RFC 1035 section 4.2.1: nobody was told that longer ones are taken. One byte more shows that one came all the same.
const DATAGRAM: usize = 513;
/// More datagrams than this to one question are an attack.
const MOST_STRAYS: usize = 32;

/// Asks. What comes back is no stray, nor truncated, unless the server does not keep to the rules.
///
/// # Errors
/// [`Kind::Unreachable`], also after `patience`; [`Kind::Malformed`].
pub(super) async fn ask(
    server: SocketAddr,
    name: &DomainName,
    family: Family,
    patience: Duration,
) -> Result<Message> {
    let mut id = [0; 2];
    entropy::fill(&mut id)?;
    let question = Question::new(u16::from_be_bytes(id), name, family);
    let answer = timeout(patience, async {
        match over_udp(server, &question).await? {
            Message::Truncated => over_tcp(server, &question).await,
            answer => Ok(answer),
        }
    });
    answer
        .await
        .map_err(|_| Error::new(Kind::Unreachable, server.to_string(), "no answer in time"))?
}

/// A connected socket takes datagrams from the server alone, and the kernel gives each a port that nobody can guess.
async fn over_udp(server: SocketAddr, question: &Question) -> Result<Message> {
    let failed = |error| unreachable(server).because(error);
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    socket.send(&question.render()).await.map_err(failed)?;
    let mut buffer = [0; DATAGRAM];
    for _ in 0..MOST_STRAYS {
        let length = socket.recv(&mut buffer).await.map_err(failed)?;
        match question.read(&buffer[..length])? {
            Message::Stray => {}
            answer => return Ok(answer),
        }
    }
    Ok(Message::Stray)
}

/// RFC 1035 section 4.2.2: the message after its length in two bytes, which is the ceiling.
async fn over_tcp(server: SocketAddr, question: &Question) -> Result<Message> {
    let failed = |error| unreachable(server).because(error);
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let bytes = question.render();
    let mut framed = u16::try_from(bytes.len())
        .unwrap_or_default()
        .to_be_bytes()
        .to_vec();
    framed.extend(bytes);
    stream.write_all(&framed).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(failed)?;
    question.read(&answer)
}

fn unreachable(server: SocketAddr) -> Error {
    Error::new(Kind::Unreachable, server.to_string(), "it can't be asked")
}
