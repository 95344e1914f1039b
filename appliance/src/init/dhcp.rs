//! DHCP for IPv4 (RFC 2131, RFC 2132): a strict codec, a pure client, and a thread that moves datagrams between them.
//!
//! Servers are not trusted: a message that breaks its format is dropped whole, a lease that makes no sense (an address
//! that nobody can have, a mask with holes, a time of nothing) is refused, and no server can make the client busy.
//! Left out: DHCPDECLINE after an ARP probe, DHCPINFORM, authentication, and options that the appliance does not use.

pub mod client;
pub mod lease;
pub mod message;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use socket2::{Domain, Protocol, Socket, Type};

use super::event::Event;
use crate::error::{Error, Kind, Result};
use crate::hostname::Hostname;
use client::{Action, Client};
use lease::Lease;
use message::Message;

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// The most that a server may send (an Ethernet frame's worth).
const DATAGRAM: usize = 1500;
/// Wait before a socket that could not be made is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The interface to find an address for.
#[derive(Debug, Clone)]
pub struct Interface {
    /// The kernel's name.
    pub name: String,
    /// Its Ethernet address.
    pub hardware: [u8; 6],
}

/// A client at work in its own thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Handle {
    wake: OwnedFd,
}

impl Handle {
    /// Starts a client for `interface` that reports as [`Event::Lease`].
    ///
    /// # Errors
    /// [`Kind::Network`] where there is no thread or pipe to be had.
    pub fn start(interface: Interface, hostname: Hostname, events: SyncSender<Event>) -> Result<Self> {
        let failed = |e| Error::new(Kind::Network, interface.name.clone(), "cannot start DHCP").because(e);
        let (woken, wake) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|e| failed(e.into()))?;
        let name = interface.name.clone();
        thread::Builder::new()
            .name(format!("dhcp-{name}"))
            .spawn({
                let interface = interface.clone();
                move || run(&interface, &hostname, &woken, &events)
            })
            .map_err(failed)?;
        Ok(Self { wake })
    }

    /// The link came up (again): ask at once whether the address still holds there.
    pub fn link_up(&self) {
        // A full pipe has already woken the client.
        let _ = rustix::io::write(&self.wake, b"!");
    }
}

fn run(interface: &Interface, hostname: &Hostname, woken: &OwnedFd, events: &SyncSender<Event>) {
    let origin = Instant::now();
    let mut client = Client::new(interface.hardware, hostname.clone(), random);
    loop {
        let served = open(&interface.name)
            .and_then(|socket| serve(&socket, &mut client, origin, interface, woken, events));
        match served {
            Ok(()) => return,
            Err(error) => {
                crate::log::warn(format_args!("{}: DHCP: {error}", interface.name));
                if is_dropped(woken, RETRY) {
                    return;
                }
            }
        }
    }
}

/// Runs until the socket fails; ends well when nobody wants it any more.
fn serve(
    socket: &UdpSocket,
    client: &mut Client,
    origin: Instant,
    interface: &Interface,
    woken: &OwnedFd,
    events: &SyncSender<Event>,
) -> io::Result<()> {
    loop {
        let now = origin.elapsed();
        let actions = if now >= client.deadline() {
            client.on_time(now)
        } else {
            match wait(socket, woken, client.deadline() - now)? {
                Wake::Timeout => continue,
                Wake::Link => client.on_link(origin.elapsed()),
                Wake::Dropped => return Ok(()),
                Wake::Datagram(bytes) => match Message::parse(&bytes) {
                    Ok(message) => client.on_message(origin.elapsed(), &message),
                    Err(_) => continue,
                },
            }
        };
        for action in actions {
            let told = match action {
                Action::Send { to, message } => {
                    send(socket, to, &message);
                    Ok(())
                }
                Action::Configure(lease) => tell(events, interface, Some(lease)),
                Action::Deconfigure => tell(events, interface, None),
            };
            if told.is_err() {
                return Ok(());
            }
        }
    }
}

enum Wake {
    Timeout,
    Link,
    Dropped,
    Datagram(Vec<u8>),
}

/// Whether the handle was dropped, waiting `limit` for it.
fn is_dropped(woken: &OwnedFd, limit: Duration) -> bool {
    let mut sources = [PollFd::new(woken, PollFlags::IN)];
    let ready = poll(&mut sources, Some(&timespec(limit))).unwrap_or(0) > 0;
    ready && matches!(take_wake(woken), Wake::Dropped)
}

fn take_wake(woken: &OwnedFd) -> Wake {
    match rustix::io::read(woken, &mut [0; 64]) {
        Ok(0) => Wake::Dropped,
        _ => Wake::Link,
    }
}

fn timespec(limit: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    }
}

fn wait(socket: &UdpSocket, woken: &OwnedFd, limit: Duration) -> io::Result<Wake> {
    let mut sources = [
        PollFd::new(woken, PollFlags::IN),
        PollFd::new(socket, PollFlags::IN),
    ];
    match poll(&mut sources, Some(&timespec(limit))) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Wake::Timeout),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    if !sources[0].revents().is_empty() {
        return Ok(take_wake(woken));
    }
    let mut buffer = [0; DATAGRAM];
    match socket.recv(&mut buffer) {
        Ok(length) => Ok(Wake::Datagram(buffer[..length].to_vec())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Wake::Timeout),
        // The kernel reports an interface that went down here, once; the link's return wakes the client.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NETDOWN.raw_os_error()) => {
            Ok(Wake::Timeout)
        }
        Err(error) => Err(error),
    }
}

/// Sends; what cannot be sent is as good as lost on the way, and repeated like that.
fn send(socket: &UdpSocket, to: Ipv4Addr, message: &Message) {
    let _ = socket.send_to(&message.render(), SocketAddrV4::new(to, SERVER_PORT));
}

fn tell(events: &SyncSender<Event>, interface: &Interface, lease: Option<Lease>) -> Result<(), ()> {
    let event = Event::Lease {
        interface: interface.name.clone(),
        lease,
    };
    events.send(event).map_err(|_| ())
}

fn open(interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into())?;
    Ok(socket.into())
}

/// A number that a server cannot guess; of no weight for secrecy, so it does not wait for the kernel's pool.
fn random() -> u32 {
    let mut bytes = [0; 4];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::INSECURE);
    u32::from_ne_bytes(bytes)
}
