//! Links, addresses and routes over rtnetlink(7): the four requests that the appliance makes.
//!
//! Messages are built by a pure writer after the kernel's `include/uapi/linux/{netlink,rtnetlink,if_addr,if_link}.h`;
//! numbers are in the host's byte order, addresses in the network's.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;

const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;

const RTMGRP_LINK: u32 = 0x1;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;

const HEADER: usize = 16;

/// One change to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Switch an interface on.
    Up {
        /// Its index.
        interface: u32,
    },
    /// Give an interface an address.
    AddAddress {
        /// Its index.
        interface: u32,
        /// The address.
        address: IpAddr,
        /// Bits of its network's prefix.
        prefix: u8,
    },
    /// Take the address away.
    RemoveAddress {
        /// Its index.
        interface: u32,
        /// The address.
        address: IpAddr,
        /// Bits of its network's prefix.
        prefix: u8,
    },
    /// Send what has no other way through a gateway.
    AddDefaultRoute {
        /// The interface's index.
        interface: u32,
        /// The gateway, which is taken to be on the interface's own network even if its address is not.
        gateway: IpAddr,
        /// Lower goes first.
        metric: u32,
    },
    /// Take that route away.
    RemoveDefaultRoute {
        /// The interface's index.
        interface: u32,
        /// The gateway.
        gateway: IpAddr,
        /// As it was added.
        metric: u32,
    },
}

/// A socket for requests.
#[derive(Debug)]
pub struct Route {
    socket: OwnedFd,
    sequence: u32,
}

/// A socket that hears of changed links and addresses.
#[derive(Debug)]
pub struct Changes(OwnedFd);

impl Route {
    /// Opens the socket.
    ///
    /// # Errors
    /// What the system says.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            socket: open(0)?,
            sequence: 0,
        })
    }

    /// Makes the change and waits for the kernel's word.
    ///
    /// # Errors
    /// What the kernel says; `InvalidData` for an answer that is none.
    pub fn make(&mut self, request: &Request) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        send(&self.socket, &request.render(self.sequence), SendFlags::empty())?;
        let mut buffer = [0; 4096];
        loop {
            let (length, _) = match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                received => received?,
            };
            if let Some(verdict) = verdict(buffer.get(..length).unwrap_or_default(), self.sequence)? {
                return verdict;
            }
        }
    }
}

impl Changes {
    /// Listens from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn open() -> io::Result<Self> {
        Ok(Self(open(RTMGRP_LINK | RTMGRP_IPV6_IFADDR)?))
    }

    /// Waits for a change, whatever it is. Too many at once to be kept are one.
    ///
    /// # Errors
    /// What the system says of a socket that is of no more use.
    pub fn wait(&self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
            Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn open(groups: u32) -> io::Result<OwnedFd> {
    // Protocol 0 of the family is rtnetlink.
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// The kernel's word on request `sequence`; none for an answer to something else.
fn verdict(answer: &[u8], sequence: u32) -> io::Result<Option<io::Result<()>>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let (header, body) = answer.split_at_checked(HEADER).ok_or_else(invalid)?;
    let kind = u16::from_ne_bytes([header[4], header[5]]);
    let answered = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
    if answered != sequence || kind != NLMSG_ERROR {
        return Ok(None);
    }
    let code = i32::from_ne_bytes(*body.first_chunk().ok_or_else(invalid)?);
    Ok(Some(match code.checked_neg() {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Err(invalid()),
    }))
}

impl Request {
    /// The message.
    pub fn render(&self, sequence: u32) -> Vec<u8> {
        let mut message = Writer::new(self.kind(), self.flags(), sequence);
        match *self {
            Self::Up { interface } => {
                // ifinfomsg: family, pad, type, index, flags, change.
                message.bytes(&[0; 4]);
                message.numbers([interface, IFF_UP, IFF_UP]);
            }
            Self::AddAddress {
                interface,
                address,
                prefix,
            }
            | Self::RemoveAddress {
                interface,
                address,
                prefix,
            } => {
                // ifaddrmsg: family, prefix length, flags, scope, index.
                message.bytes(&[family(address), prefix, 0, 0]);
                message.numbers([interface]);
                message.address(IFA_LOCAL, address);
                message.address(IFA_ADDRESS, address);
                if let Some(broadcast) = broadcast(address, prefix) {
                    message.address(IFA_BROADCAST, broadcast.into());
                }
            }
            Self::AddDefaultRoute {
                interface,
                gateway,
                metric,
            }
            | Self::RemoveDefaultRoute {
                interface,
                gateway,
                metric,
            } => {
                // rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type, flags.
                message.bytes(&[
                    family(gateway),
                    0,
                    0,
                    0,
                    RT_TABLE_MAIN,
                    RTPROT_STATIC,
                    0,
                    RTN_UNICAST,
                ]);
                message.numbers([RTNH_F_ONLINK]);
                message.address(RTA_GATEWAY, gateway);
                message.attribute(RTA_OIF, &interface.to_ne_bytes());
                message.attribute(RTA_PRIORITY, &metric.to_ne_bytes());
            }
        }
        message.finish()
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Up { .. } => RTM_NEWLINK,
            Self::AddAddress { .. } => RTM_NEWADDR,
            Self::RemoveAddress { .. } => RTM_DELADDR,
            Self::AddDefaultRoute { .. } => RTM_NEWROUTE,
            Self::RemoveDefaultRoute { .. } => RTM_DELROUTE,
        }
    }

    fn flags(&self) -> u16 {
        let change = match self {
            Self::AddAddress { .. } | Self::AddDefaultRoute { .. } => NLM_F_CREATE | NLM_F_REPLACE,
            Self::Up { .. } | Self::RemoveAddress { .. } | Self::RemoveDefaultRoute { .. } => 0,
        };
        NLM_F_REQUEST | NLM_F_ACK | change
    }
}

fn family(address: IpAddr) -> u8 {
    let family = match address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    u8::try_from(family.as_raw()).unwrap_or(0)
}

/// None for networks of two addresses or one (RFC 3021).
fn broadcast(address: IpAddr, prefix: u8) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) if (1..31).contains(&prefix) => {
            Some((u32::from(address) | u32::MAX >> prefix).into())
        }
        _ => None,
    }
}

/// A message being written. Everything in it is a multiple of four bytes long.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u16, flags: u16, sequence: u32) -> Self {
        let mut writer = Self(vec![0; 4]);
        writer.bytes(&kind.to_ne_bytes());
        writer.bytes(&flags.to_ne_bytes());
        writer.numbers([sequence, 0]);
        writer
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn numbers<const N: usize>(&mut self, numbers: [u32; N]) {
        for number in numbers {
            self.bytes(&number.to_ne_bytes());
        }
    }

    fn address(&mut self, kind: u16, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.attribute(kind, &address.octets()),
            IpAddr::V6(address) => self.attribute(kind, &address.octets()),
        }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        // Values are 4 or 16 bytes here: nothing to pad, and far from the ceiling of 65535.
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes(&length.to_ne_bytes());
        self.bytes(&kind.to_ne_bytes());
        self.bytes(value);
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ip addr add 192.0.2.5/24 dev` interface 2, as strace shows it, with our flags.
    #[test]
    fn an_address_is_added_as_iproute2_does() {
        let request = Request::AddAddress {
            interface: 2,
            address: [192, 0, 2, 5].into(),
            prefix: 24,
        };
        let bytes = request.render(7);
        assert_eq!(bytes[..16], [48, 0, 0, 0, 20, 0, 5, 5, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..24], [2, 24, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[24..32], [8, 0, 2, 0, 192, 0, 2, 5]);
        assert_eq!(bytes[40..], [8, 0, 4, 0, 192, 0, 2, 255]);
    }

    #[test]
    fn every_message_says_its_own_length() {
        let (interface, gateway, metric) = (3, IpAddr::from([0x20, 1, 0, 0, 0, 0, 0, 1]), 1024);
        for request in [
            Request::Up { interface },
            Request::AddDefaultRoute {
                interface,
                gateway,
                metric,
            },
            Request::RemoveAddress {
                interface,
                address: gateway,
                prefix: 64,
            },
        ] {
            let bytes = request.render(1);
            let length = u32::from_ne_bytes(*bytes.first_chunk().unwrap());
            assert_eq!(length as usize, bytes.len());
            assert_eq!(length % 4, 0);
        }
    }

    #[test]
    fn the_kernels_word_is_understood() {
        let answer = |code: i32| {
            let mut bytes = vec![20, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend(code.to_ne_bytes());
            bytes
        };
        assert!(verdict(&answer(0), 7).unwrap().unwrap().is_ok());
        let refused = verdict(&answer(-17), 7).unwrap().unwrap().unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(17));
        assert!(verdict(&answer(0), 8).unwrap().is_none());
        assert!(verdict(&answer(i32::MIN), 7).unwrap().unwrap().is_err());
        assert!(verdict(&[0; 18], 0).is_ok() && verdict(&[0; 3], 0).is_err());
    }

    #[test]
    fn an_interface_of_this_machine_is_switched_on_for_real() {
        // Interface 1 is the loopback, which is up already: without the right to, the kernel says so all the same.
        let made = Route::open().and_then(|mut route| route.make(&Request::Up { interface: 1 }));
        match made {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }
}
