//! Links, addresses and routes over rtnetlink(7): the requests that the appliance makes.
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

use crate::addressing::{Cidr, Mtu, Vlan};

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const IFF_UP: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_DST: u16 = 1;
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
    /// Send what is for a network through a gateway.
    AddRoute(Way),
    /// Take that route away.
    RemoveRoute(Way),
    /// Say how long a packet may be.
    SetMtu {
        /// The interface's index.
        interface: u32,
        /// The bytes.
        mtu: Mtu,
    },
    /// Make an interface of a VLAN on another one, and switch it on.
    AddVlan {
        /// The other one's index.
        interface: u32,
        /// Whose frames it has; it is called after it.
        vlan: Vlan,
    },
    /// Take an interface that was made away.
    RemoveLink {
        /// Its index.
        interface: u32,
    },
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The interface's index.
    pub interface: u32,
    /// The network; none is what has no other way.
    pub to: Option<Cidr>,
    /// The gateway, which is taken to be on the interface's own network even if its address is not.
    pub gateway: IpAddr,
    /// Lower goes first.
    pub metric: u32,
}

/// The name of a VLAN's interface.
pub fn vlan_name(vlan: Vlan) -> String {
    format!("vlan{}", vlan.get())
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
    /// What takes it back, if that needs no more than itself.
    pub fn inverse(self) -> Option<Self> {
        match self {
            Self::AddAddress {
                interface,
                address,
                prefix,
            } => Some(Self::RemoveAddress {
                interface,
                address,
                prefix,
            }),
            Self::AddRoute(way) => Some(Self::RemoveRoute(way)),
            _ => None,
        }
    }

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
            Self::AddRoute(way) | Self::RemoveRoute(way) => message.way(way),
            Self::SetMtu { interface, mtu } => {
                message.bytes(&[0; 4]);
                message.numbers([interface, 0, 0]);
                message.attribute(IFLA_MTU, &u32::from(mtu.get()).to_ne_bytes());
            }
            Self::AddVlan { interface, vlan } => {
                message.bytes(&[0; 4]);
                message.numbers([0, IFF_UP, IFF_UP]);
                message.attribute(IFLA_LINK, &interface.to_ne_bytes());
                let name = vlan_name(vlan) + "\0";
                message.attribute(IFLA_IFNAME, name.as_bytes());
                let mut data = Writer(Vec::new());
                data.attribute(IFLA_VLAN_ID, &vlan.get().to_ne_bytes());
                let mut info = Writer(Vec::new());
                info.attribute(IFLA_INFO_KIND, b"vlan");
                info.attribute(IFLA_INFO_DATA, &data.0);
                message.attribute(IFLA_LINKINFO, &info.0);
            }
            Self::RemoveLink { interface } => {
                message.bytes(&[0; 4]);
                message.numbers([interface, 0, 0]);
            }
        }
        message.finish()
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Up { .. } | Self::SetMtu { .. } | Self::AddVlan { .. } => RTM_NEWLINK,
            Self::RemoveLink { .. } => RTM_DELLINK,
            Self::AddAddress { .. } => RTM_NEWADDR,
            Self::RemoveAddress { .. } => RTM_DELADDR,
            Self::AddRoute(_) => RTM_NEWROUTE,
            Self::RemoveRoute(_) => RTM_DELROUTE,
        }
    }

    fn flags(&self) -> u16 {
        let change = match self {
            Self::AddAddress { .. } | Self::AddRoute(_) => NLM_F_CREATE | NLM_F_REPLACE,
            Self::AddVlan { .. } => NLM_F_CREATE | NLM_F_EXCL,
            Self::Up { .. }
            | Self::SetMtu { .. }
            | Self::RemoveLink { .. }
            | Self::RemoveAddress { .. }
            | Self::RemoveRoute(_) => 0,
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
        // Values are a few dozen bytes here: far from the ceiling of 65535.
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes(&length.to_ne_bytes());
        self.bytes(&kind.to_ne_bytes());
        self.bytes(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn way(&mut self, way: Way) {
        // rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type, flags.
        self.bytes(&[
            family(way.gateway),
            way.to.map_or(0, |to| to.prefix),
            0,
            0,
            RT_TABLE_MAIN,
            RTPROT_STATIC,
            0,
            RTN_UNICAST,
        ]);
        self.numbers([RTNH_F_ONLINK]);
        if let Some(to) = way.to {
            self.address(RTA_DST, to.address);
        }
        self.address(RTA_GATEWAY, way.gateway);
        self.attribute(RTA_OIF, &way.interface.to_ne_bytes());
        self.attribute(RTA_PRIORITY, &way.metric.to_ne_bytes());
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

    /// `ip link add link` interface 3 `name vlan7 up type vlan id 7`, as strace shows it.
    #[test]
    fn a_vlan_is_made_as_iproute2_does() {
        let request = Request::AddVlan {
            interface: 3,
            vlan: "7".parse().unwrap(),
        };
        let bytes = request.render(1);
        assert_eq!(bytes[..8], [76, 0, 0, 0, 16, 0, 5, 6]);
        assert_eq!(bytes[16..32], [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes[32..40], [8, 0, 5, 0, 3, 0, 0, 0]);
        assert_eq!(bytes[40..52], *b"\x0a\0\x03\0vlan7\0\0\0");
        assert_eq!(bytes[52..64], *b"\x18\0\x12\0\x08\0\x01\0vlan");
        assert_eq!(bytes[64..], [12, 0, 2, 0, 6, 0, 1, 0, 7, 0, 0, 0]);
    }

    #[test]
    fn every_message_says_its_own_length() {
        let (interface, gateway) = (3, IpAddr::from([0x20, 1, 0, 0, 0, 0, 0, 1]));
        let way = Way {
            interface,
            to: None,
            gateway,
            metric: 1024,
        };
        let to = Some("2001:db8::5/64".parse().unwrap());
        for request in [
            Request::Up { interface },
            Request::AddRoute(way),
            Request::RemoveRoute(Way { to, ..way }),
            Request::AddVlan {
                interface,
                vlan: "4094".parse().unwrap(),
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
