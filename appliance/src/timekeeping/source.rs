//! One time server: asked over UDP, and left in peace as it wishes.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use super::Pace;
use super::packet::{Kiss, Reply, Request, Sample};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::resolver::Resolver;
use crate::{entropy, log};

/// Samples of the first poll, the quickest of which counts.
const BURST: u32 = 4;
/// More datagrams than this to one request are an attack.
const MOST_STRAYS: usize = 32;
/// Longer packets carry nothing of use here.
const DATAGRAM: usize = 1024;

/// A server, and how it stands with us.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) endpoint: Endpoint,
    /// What is left of its addresses; none until its name is asked for (again).
    addresses: VecDeque<SocketAddr>,
    /// It has answered.
    reached: bool,
    /// It does not want to be asked (again).
    denied: bool,
    /// It does not want to be asked earlier, nor more often.
    rested: Option<(Instant, Duration)>,
    /// What went wrong last, as it was told.
    told: String,
}

impl Source {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            addresses: VecDeque::new(),
            reached: false,
            denied: false,
            rested: None,
            told: String::new(),
        }
    }

    /// Asks, unless it does not want to be asked; the first time in a burst. An address that does not answer gives way to the
    /// server's next.
    pub(super) async fn poll(&mut self, resolver: &Resolver, pace: Pace) -> Option<Sample> {
        if self.denied || self.rested.is_some_and(|(until, _)| Instant::now() < until) {
            return None;
        }
        let measured = self.measure(resolver, pace).await;
        if let Some((until, wait)) = &mut self.rested {
            *until = Instant::now() + *wait;
        }
        match measured {
            Ok(sample) => {
                self.told.clear();
                self.reached |= sample.is_some();
                sample
            }
            Err(error) => {
                self.reached = false;
                self.addresses.pop_front();
                let problem = error.chain().to_string();
                if problem != self.told {
                    log::warn(format_args!("time server {problem}"));
                    self.told = problem;
                }
                None
            }
        }
    }

    async fn measure(&mut self, resolver: &Resolver, pace: Pace) -> Result<Option<Sample>> {
        if self.addresses.is_empty() {
            self.addresses = self.endpoint.resolve(resolver).await?.into();
        }
        let failed = |reason| Error::new(Kind::Refused, self.endpoint.to_string(), reason);
        let &address = self.addresses.front().ok_or_else(|| failed("has no address"))?;
        let mut best: Option<Sample> = None;
        for number in 0..if self.reached { 1 } else { BURST } {
            if number > 0 {
                sleep(pace.burst).await;
            }
            match ask(address, pace.patience).await {
                Ok(Reply::Time(sample)) => {
                    best = Some(best.filter(|best| best.delay <= sample.delay).unwrap_or(sample));
                }
                Ok(Reply::Kiss(kiss)) => {
                    self.obey(kiss, pace);
                    break;
                }
                // One that was lost on its way does not undo the others.
                _ if best.is_some() => break,
                Ok(Reply::Refused(reason)) => return Err(failed(reason)),
                Ok(Reply::Stray) => return Err(failed("sends anything but an answer")),
                Err(error) => {
                    return Err(
                        Error::new(Kind::Unreachable, self.endpoint.to_string(), "does not answer")
                            .because(error),
                    );
                }
            }
        }
        Ok(best)
    }

    fn obey(&mut self, kiss: Kiss, pace: Pace) {
        // It is there: no burst when it is asked next.
        self.reached = true;
        match kiss {
            Kiss::Deny => {
                self.denied = true;
                log::warn(format_args!("time server {} does not serve us", self.endpoint));
            }
            Kiss::Rate => {
                let before = self.rested.map_or(pace.least, |(_, wait)| wait);
                let wait = (before * 2).min(pace.most);
                self.rested = Some((Instant::now() + wait, wait));
            }
            Kiss::Other => {}
        }
    }
}

/// One request. The time between it and the reply is that of a clock that nobody sets.
async fn ask(server: SocketAddr, patience: Duration) -> Result<Reply> {
    let failed =
        |error| Error::new(Kind::Unreachable, server.to_string(), "it can't be asked").because(error);
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut nonce = [0; 8];
    entropy::fill(&mut nonce)?;
    let request = Request::new(nonce);
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    let (sent, began) = (OffsetDateTime::now_utc(), Instant::now());
    socket.send(&request.render()).await.map_err(failed)?;
    let answer = timeout(patience, async {
        let mut buffer = [0; DATAGRAM];
        for _ in 0..MOST_STRAYS {
            let length = socket.recv(&mut buffer).await.map_err(failed)?;
            let elapsed = began.elapsed().try_into().unwrap_or(time::Duration::MAX);
            match request.read(&buffer[..length], sent, elapsed) {
                Reply::Stray => {}
                reply => return Ok(reply),
            }
        }
        Ok(Reply::Stray)
    });
    answer
        .await
        .map_err(|_| Error::new(Kind::Unreachable, server.to_string(), "no answer in time"))?
}
