//! A DNS message (RFC 1035 section 4): one question to bytes, and its answer strictly back.
//!
//! | hostile answer | here |
//! |---|---|
//! | of another transaction, to another question | [`Message::Stray`]: the next datagram may be the right one |
//! | a name that points at itself, or ahead | a pointer leads back only: malformed |
//! | more records than any host has addresses | malformed above [`MOST_RECORDS`] |
//! | aliases in a circle, or without end | given up after [`MOST_ALIASES`] |
//! | an address that no host can have | left out |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::endpoint::DomainName;
use crate::error::{Error, Kind, Result};

const MOST_RECORDS: u16 = 256;
const MOST_ALIASES: usize = 8;
/// More addresses of one name than this are not tried.
const MOST_ADDRESSES: usize = 16;
/// RFC 1035 section 2.3.4, with the root's empty label.
const LONGEST_NAME: usize = 255;

const HEADER: usize = 12;
const IS_ANSWER: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const CODE: u16 = 0x000f;
const NO_ERROR: u16 = 0;
const NO_SUCH_NAME: u16 = 3;
const INTERNET: u16 = 1;
const ALIAS: u16 = 5;

/// The kind of address that is asked for; its number is the record's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Family {
    /// A.
    V4 = 1,
    /// AAAA (RFC 3596).
    V6 = 28,
}

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Question {
    id: u16,
    /// As it is sent, in lower case.
    name: Vec<u8>,
    family: Family,
}

/// What a server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// No answer to this question.
    Stray,
    /// The answer, cut short: it is to be had by TCP.
    Truncated,
    /// The name's addresses of the family; none where it has others, or nothing but other records.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The server can't or won't tell (its code).
    Failure(u16),
}

impl Question {
    /// A question with an unguessable number.
    pub(super) fn new(id: u16, name: &DomainName, family: Family) -> Self {
        let mut bytes = Vec::with_capacity(name.as_str().len() + 2);
        for label in name.as_str().split('.') {
            // At most 63: the name is one.
            bytes.push(u8::try_from(label.len()).unwrap_or_default());
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        Self {
            id,
            name: bytes,
            family,
        }
    }

    /// The datagram.
    pub(super) fn render(&self) -> Vec<u8> {
        let words = [self.id, RECURSION_DESIRED, 1, 0, 0, 0];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
        bytes.extend_from_slice(&self.name);
        bytes.extend(
            [self.family as u16, INTERNET]
                .into_iter()
                .flat_map(u16::to_be_bytes),
        );
        bytes
    }

    /// Reads what a server sent.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for an answer to this question that breaks the format.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Message> {
        let mut reader = Reader { bytes, at: 0 };
        let Some(count) = self.is_answered(&mut reader) else {
            return Ok(Message::Stray);
        };
        let flags = u16_at(bytes, 2).unwrap_or_default();
        if flags & TRUNCATED != 0 {
            return Ok(Message::Truncated);
        }
        match flags & CODE {
            NO_ERROR => {}
            NO_SUCH_NAME => return Ok(Message::NoSuchName),
            code => return Ok(Message::Failure(code)),
        }
        if count > MOST_RECORDS {
            return Err(malformed("it has too many records"));
        }
        let mut records = Vec::new();
        for _ in 0..count {
            records.extend(reader.record()?);
        }
        Ok(Message::Addresses(self.addresses(&records)))
    }

    /// Reads header and question; gives the number of answers if they are those of this question.
    fn is_answered(&self, reader: &mut Reader<'_>) -> Option<u16> {
        let words: Vec<u16> = (0..HEADER / 2).map(|_| reader.u16()).collect::<Option<_>>()?;
        let [id, flags, questions, answers, ..] = words[..] else {
            return None;
        };
        if (id, flags & (IS_ANSWER | OPCODE), questions) != (self.id, IS_ANSWER, 1) {
            return None;
        }
        let name = reader.name().ok()?;
        let asked = (name == self.name, reader.u16()?, reader.u16()?);
        (asked == (true, self.family as u16, INTERNET)).then_some(answers)
    }

    /// The addresses of the name, or of what it is an alias of.
    fn addresses(&self, records: &[Record]) -> Vec<IpAddr> {
        let mut name = &self.name;
        for _ in 0..=MOST_ALIASES {
            let of_name = || records.iter().filter(|record| record.name == *name);
            let addresses: Vec<_> = of_name()
                .filter_map(|record| record.address(self.family))
                .filter(is_host)
                .take(MOST_ADDRESSES)
                .collect();
            let alias = of_name().find_map(|record| record.alias.as_ref());
            match alias {
                Some(alias) if addresses.is_empty() => name = alias,
                _ => return addresses,
            }
        }
        Vec::new()
    }
}

/// A record of the Internet's class that is of use here.
struct Record {
    name: Vec<u8>,
    kind: u16,
    data: Vec<u8>,
    /// The name in the data of an alias.
    alias: Option<Vec<u8>>,
}

impl Record {
    fn address(&self, family: Family) -> Option<IpAddr> {
        if self.kind != family as u16 {
            return None;
        }
        match family {
            Family::V4 => <[u8; 4]>::try_from(&self.data[..]).ok().map(IpAddr::from),
            Family::V6 => <[u8; 16]>::try_from(&self.data[..]).ok().map(IpAddr::from),
        }
    }
}

/// A place in a message.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let word = u16_at(self.bytes, self.at)?;
        self.at += 2;
        Some(word)
    }

    /// A name in lower case, and the place behind it (RFC 1035 section 4.1.4).
    fn name(&mut self) -> Result<Vec<u8>> {
        let (name, end) = name_at(self.bytes, self.at)?;
        self.at = end;
        Ok(name)
    }

    /// The next record; none of another class or kind than the ones of use.
    fn record(&mut self) -> Result<Option<Record>> {
        let cut = || malformed("a record is cut short");
        let name = self.name()?;
        let (kind, class) = (self.u16().ok_or_else(cut)?, self.u16().ok_or_else(cut)?);
        let _time_to_live = self.take(4).ok_or_else(cut)?;
        let length = self.u16().ok_or_else(cut)?;
        let begin = self.at;
        let data = self.take(usize::from(length)).ok_or_else(cut)?;
        if class != INTERNET {
            return Ok(None);
        }
        let alias = match kind {
            ALIAS => {
                let (alias, end) = name_at(self.bytes, begin)?;
                if end != self.at {
                    return Err(malformed("an alias is not as long as its record"));
                }
                Some(alias)
            }
            _ => None,
        };
        Ok(Some(Record {
            name,
            kind,
            data: data.to_vec(),
            alias,
        }))
    }
}

/// The name at a place and where it ends there. Each pointer leads to before the part that it is in, so that following them
/// ends.
fn name_at(bytes: &[u8], begin: usize) -> Result<(Vec<u8>, usize)> {
    let cut = || malformed("a name is cut short");
    let mut name = Vec::new();
    let (mut at, mut part, mut end) = (begin, begin, None);
    loop {
        let length = *bytes.get(at).ok_or_else(cut)?;
        match length {
            0 => {
                name.push(0);
                return Ok((name, end.unwrap_or(at + 1)));
            }
            1..64 => {
                let next = at + 1 + usize::from(length);
                let label = bytes.get(at..next).ok_or_else(cut)?;
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                at = next;
            }
            0xc0.. => {
                let to = usize::from(u16_at(bytes, at).ok_or_else(cut)? & 0x3fff);
                if to >= part {
                    return Err(malformed("a name points ahead, or at itself"));
                }
                end = end.or(Some(at + 2));
                (at, part) = (to, to);
            }
            _ => return Err(malformed("a label is of no known kind")),
        }
        // The root's label comes on top.
        if name.len() >= LONGEST_NAME {
            return Err(malformed("a name is too long"));
        }
    }
}

/// Name servers that block a name often answer with the unspecified address, which would be this machine.
fn is_host(address: &IpAddr) -> bool {
    let broadcast = IpAddr::V4(Ipv4Addr::BROADCAST);
    let mapped = matches!(address, IpAddr::V6(v6) if is_mapped(*v6));
    !(address.is_unspecified() || address.is_multicast() || *address == broadcast || mapped)
}

/// An IPv4 address in the guise of an IPv6 one.
fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*word))
}

fn malformed(reason: &str) -> Error {
    Error::new(Kind::Malformed, "DNS answer", reason)
}

#[cfg(test)]
mod tests;
