//! A DHCP message (RFC 2131 section 2) and its options (RFC 2132), to bytes and strictly back.

use std::net::Ipv4Addr;

use crate::error::{Error, Kind, Result};

const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;
const ETHERNET: u8 = 1;
const ETHERNET_LENGTH: u8 = 6;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const BROADCAST: u16 = 0x8000;
const OPTIONS_AT: usize = 240;
/// RFC 1542 section 2.1: some relays drop anything shorter.
const LEAST_LENGTH: usize = 300;
/// More servers than this are of no use to anybody.
const MOST_ADDRESSES: usize = 16;

/// A message in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// From a server to a client.
    pub reply: bool,
    /// The transaction: chosen by the client, repeated by the server.
    pub transaction: u32,
    /// Seconds since the client began.
    pub seconds: u16,
    /// The client asks for answers by broadcast: it cannot take datagrams to an address it does not have yet.
    pub broadcast: bool,
    /// `ciaddr`: the address that the client has.
    pub client: Ipv4Addr,
    /// `yiaddr`: the address that the server gives.
    pub yours: Ipv4Addr,
    /// `chaddr`: the client's Ethernet address.
    pub hardware: [u8; 6],
    /// What matters most.
    pub options: Options,
}

/// The options that the client writes or reads; all others are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// 53.
    pub kind: MessageKind,
    /// 1.
    pub mask: Option<Ipv4Addr>,
    /// 3, in order of preference.
    pub routers: Vec<Ipv4Addr>,
    /// 6, in order of preference.
    pub name_servers: Vec<Ipv4Addr>,
    /// 12, of the client; at most 255 bytes.
    pub host_name: Option<String>,
    /// 42, in order of preference.
    pub ntp_servers: Vec<Ipv4Addr>,
    /// 50.
    pub requested: Option<Ipv4Addr>,
    /// 51, in seconds.
    pub lease: Option<u32>,
    /// 54.
    pub server: Option<Ipv4Addr>,
    /// 55, the numbers of options that the client asks for.
    pub wanted: Vec<u8>,
    /// 57, the longest message that the client takes.
    pub longest: Option<u16>,
    /// 58, T1 in seconds.
    pub renewal: Option<u32>,
    /// 59, T2 in seconds.
    pub rebinding: Option<u32>,
    /// 61.
    pub client_id: Vec<u8>,
}

/// Option 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageKind {
    /// From a client that looks for servers.
    Discover = 1,
    /// From a server with an address to give.
    Offer = 2,
    /// From a client that takes, keeps or renews an address.
    Request = 3,
    /// From a client that found the address in use.
    Decline = 4,
    /// From a server that gives the address.
    Ack = 5,
    /// From a server that does not.
    Nak = 6,
    /// From a client that gives the address back.
    Release = 7,
    /// From a client that has an address and asks for the rest.
    Inform = 8,
}

impl Options {
    /// No option but the message's kind.
    pub fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            mask: None,
            routers: Vec::new(),
            name_servers: Vec::new(),
            host_name: None,
            ntp_servers: Vec::new(),
            requested: None,
            lease: None,
            server: None,
            wanted: Vec::new(),
            longest: None,
            renewal: None,
            rebinding: None,
            client_id: Vec::new(),
        }
    }
}

impl Message {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for a message that is cut short, not about Ethernet, without the cookie, a kind or an end of
    /// its options, or with an option of the wrong length.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let header: &[u8; OPTIONS_AT] = bytes
            .first_chunk()
            .ok_or_else(|| malformed("the message is cut short"))?;
        let reply = match header[0] {
            BOOTREQUEST => false,
            BOOTREPLY => true,
            _ => return Err(malformed("it is neither a request nor a reply")),
        };
        if header[1..3] != [ETHERNET, ETHERNET_LENGTH] {
            return Err(malformed("it is not about an Ethernet address"));
        }
        if header[236..240] != COOKIE {
            return Err(malformed("it has no DHCP options"));
        }
        let (hardware, _) = header[28..]
            .split_first_chunk()
            .ok_or_else(|| malformed("cut short"))?;
        Ok(Self {
            reply,
            transaction: u32_at(header, 4),
            seconds: u16_at(header, 8),
            broadcast: u16_at(header, 10) & BROADCAST != 0,
            client: address_at(header, 12),
            yours: address_at(header, 16),
            hardware: *hardware,
            options: Options::parse(header, &bytes[OPTIONS_AT..])?,
        })
    }

    /// The datagram. Lists are cut to what an option can hold.
    pub fn render(&self) -> Vec<u8> {
        let mut bytes = vec![0; OPTIONS_AT];
        bytes[0] = if self.reply { BOOTREPLY } else { BOOTREQUEST };
        bytes[1] = ETHERNET;
        bytes[2] = ETHERNET_LENGTH;
        bytes[4..8].copy_from_slice(&self.transaction.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.seconds.to_be_bytes());
        let flags = if self.broadcast { BROADCAST } else { 0 };
        bytes[10..12].copy_from_slice(&flags.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.client.octets());
        bytes[16..20].copy_from_slice(&self.yours.octets());
        bytes[28..34].copy_from_slice(&self.hardware);
        bytes[236..240].copy_from_slice(&COOKIE);
        self.options.render(&mut bytes);
        bytes.push(code::END);
        bytes.resize(bytes.len().max(LEAST_LENGTH), code::PAD);
        bytes
    }
}

/// Numbers of options.
mod code {
    pub(super) const PAD: u8 = 0;
    pub(super) const MASK: u8 = 1;
    pub(super) const ROUTERS: u8 = 3;
    pub(super) const NAME_SERVERS: u8 = 6;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const NTP_SERVERS: u8 = 42;
    pub(super) const REQUESTED: u8 = 50;
    pub(super) const LEASE: u8 = 51;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const KIND: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const WANTED: u8 = 55;
    pub(super) const LONGEST: u8 = 57;
    pub(super) const RENEWAL: u8 = 58;
    pub(super) const REBINDING: u8 = 59;
    pub(super) const CLIENT_ID: u8 = 61;
    pub(super) const END: u8 = 255;
}

/// What a client of this kind asks for, in option 55.
pub const WANTED: [u8; 7] = [
    code::MASK,
    code::ROUTERS,
    code::NAME_SERVERS,
    code::NTP_SERVERS,
    code::LEASE,
    code::RENEWAL,
    code::REBINDING,
];

impl Options {
    fn parse(header: &[u8; OPTIONS_AT], bytes: &[u8]) -> Result<Self> {
        let mut raw = Raw::default();
        raw.read(bytes)?;
        // RFC 2132 section 9.3: options may go on in the fields `file` (bit 0) and then `sname` (bit 1).
        let overload = raw.fixed::<1>(code::OVERLOAD)?.map_or(0, |[bits]| bits);
        if overload > 3 {
            return Err(malformed("option 52 is none of 1, 2, 3"));
        }
        if overload & 1 != 0 {
            raw.read(&header[108..236])?;
        }
        if overload & 2 != 0 {
            raw.read(&header[44..108])?;
        }
        let [kind] = raw
            .fixed(code::KIND)?
            .ok_or_else(|| malformed("the message has no kind"))?;
        let host_name = String::from_utf8(raw.bytes(code::HOST_NAME));
        Ok(Self {
            kind: MessageKind::try_from(kind)?,
            mask: raw.address(code::MASK)?,
            routers: raw.addresses(code::ROUTERS)?,
            name_servers: raw.addresses(code::NAME_SERVERS)?,
            host_name: host_name.ok().filter(|name| !name.is_empty()),
            ntp_servers: raw.addresses(code::NTP_SERVERS)?,
            requested: raw.address(code::REQUESTED)?,
            lease: raw.number(code::LEASE)?,
            server: raw.address(code::SERVER)?,
            wanted: raw.bytes(code::WANTED),
            longest: raw.fixed(code::LONGEST)?.map(u16::from_be_bytes),
            renewal: raw.number(code::RENEWAL)?,
            rebinding: raw.number(code::REBINDING)?,
            client_id: raw.bytes(code::CLIENT_ID),
        })
    }

    fn render(&self, out: &mut Vec<u8>) {
        let mut put = |code: u8, value: &[u8]| {
            let value = &value[..value.len().min(255)];
            if let (Ok(length), false) = (u8::try_from(value.len()), value.is_empty()) {
                out.extend([code, length]);
                out.extend_from_slice(value);
            }
        };
        let number = |value: Option<u32>| {
            value
                .map(u32::to_be_bytes)
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        };
        let address = |value: Option<Ipv4Addr>| number(value.map(u32::from));
        let list = |values: &[Ipv4Addr]| {
            let values = values.iter().take(MOST_ADDRESSES);
            values.flat_map(Ipv4Addr::octets).collect::<Vec<_>>()
        };
        put(code::KIND, &[self.kind as u8]);
        put(code::CLIENT_ID, &self.client_id);
        put(code::REQUESTED, &address(self.requested));
        put(code::SERVER, &address(self.server));
        put(code::LEASE, &number(self.lease));
        put(code::RENEWAL, &number(self.renewal));
        put(code::REBINDING, &number(self.rebinding));
        put(code::MASK, &address(self.mask));
        put(code::ROUTERS, &list(&self.routers));
        put(code::NAME_SERVERS, &list(&self.name_servers));
        put(code::NTP_SERVERS, &list(&self.ntp_servers));
        put(
            code::HOST_NAME,
            self.host_name.as_deref().unwrap_or("").as_bytes(),
        );
        put(
            code::LONGEST,
            &self
                .longest
                .map(u16::to_be_bytes)
                .into_iter()
                .flatten()
                .collect::<Vec<_>>(),
        );
        put(code::WANTED, &self.wanted);
    }
}

/// Options as code and value, in order; one that comes several times is one value in parts (RFC 3396).
#[derive(Default)]
struct Raw(Vec<(u8, Vec<u8>)>);

impl Raw {
    fn read(&mut self, mut bytes: &[u8]) -> Result<()> {
        loop {
            bytes = match bytes {
                [code::END, ..] => return Ok(()),
                [code::PAD, rest @ ..] => rest,
                [code, length, rest @ ..] => {
                    let (value, rest) = rest
                        .split_at_checked(usize::from(*length))
                        .ok_or_else(|| malformed("an option is cut short"))?;
                    self.add(*code, value);
                    rest
                }
                _ => return Err(malformed("the options have no end")),
            };
        }
    }

    fn add(&mut self, code: u8, value: &[u8]) {
        match self.0.iter_mut().find(|(other, _)| *other == code) {
            Some((_, all)) => all.extend_from_slice(value),
            None => self.0.push((code, value.to_vec())),
        }
    }

    fn get(&self, code: u8) -> Option<&[u8]> {
        let found = self.0.iter().find(|(other, _)| *other == code);
        found.map(|(_, value)| value.as_slice())
    }

    fn bytes(&self, code: u8) -> Vec<u8> {
        self.get(code).unwrap_or_default().to_vec()
    }

    fn fixed<const N: usize>(&self, code: u8) -> Result<Option<[u8; N]>> {
        let value = self.get(code).map(<[u8; N]>::try_from).transpose();
        value.map_err(|_| malformed(format!("option {code} is not {N} bytes long")))
    }

    fn number(&self, code: u8) -> Result<Option<u32>> {
        Ok(self.fixed(code)?.map(u32::from_be_bytes))
    }

    fn address(&self, code: u8) -> Result<Option<Ipv4Addr>> {
        Ok(self.number(code)?.map(Ipv4Addr::from))
    }

    fn addresses(&self, code: u8) -> Result<Vec<Ipv4Addr>> {
        let (chunks, rest) = self.get(code).unwrap_or_default().as_chunks::<4>();
        if !rest.is_empty() {
            return Err(malformed(format!("option {code} is not a list of addresses")));
        }
        Ok(chunks
            .iter()
            .take(MOST_ADDRESSES)
            .map(|&octets| octets.into())
            .collect())
    }
}

impl TryFrom<u8> for MessageKind {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self> {
        Ok(match number {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            _ => return Err(malformed("the message is of no known kind")),
        })
    }
}

fn malformed(reason: impl Into<String>) -> Error {
    Error::new(Kind::Malformed, "DHCP message", reason)
}

fn u16_at(header: &[u8; OPTIONS_AT], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

fn u32_at(header: &[u8; OPTIONS_AT], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn address_at(header: &[u8; OPTIONS_AT], at: usize) -> Ipv4Addr {
    u32_at(header, at).into()
}

#[cfg(test)]
mod tests;
