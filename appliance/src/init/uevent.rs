//! The kernel's news about devices, over netlink (`NETLINK_KOBJECT_UEVENT`).

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};

/// The group that the kernel itself sends to; udev's is another.
const KERNEL_GROUP: u32 = 1;
/// The kernel's own ceiling on one message (`UEVENT_BUFFER_SIZE` and the header).
const MESSAGE: usize = 4096;
/// Room for a few thousand devices that come while a driver takes its time.
const BUFFER: usize = 4 << 20;

/// One piece of news. Values that the kernel did not give are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uevent {
    /// `add`, `remove`, `change`, `bind` and so on.
    pub action: String,
    /// The device's path in sysfs, from `/devices` on.
    pub path: String,
    /// Such as `block`, `net`, `input`.
    pub subsystem: String,
    /// Such as `disk` and `partition` in `block`.
    pub device_type: String,
    /// What drivers are matched with.
    pub modalias: String,
}

/// The socket that receives it.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// What the socket had.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Event(Uevent),
    /// Something that is no message of the kernel.
    Noise,
    /// Nothing more, for now.
    Nothing,
    /// Messages were lost: everything has to be looked at anew.
    Overrun,
}

impl Uevent {
    /// Reads `ACTION@PATH` and `KEY=VALUE`, each ended by a zero byte; none if that is not what it is.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let mut fields = text.split_terminator('\0');
        let (action, path) = fields.next()?.split_once('@')?;
        let mut event = Self {
            action: action.to_owned(),
            path: path.to_owned(),
            ..Self::default()
        };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            match key {
                "SUBSYSTEM" => value.clone_into(&mut event.subsystem),
                "DEVTYPE" => value.clone_into(&mut event.device_type),
                "MODALIAS" => value.clone_into(&mut event.modalias),
                _ => {}
            }
        }
        Some(event)
    }
}

impl Socket {
    /// Listens from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(KOBJECT_UEVENT),
        )?;
        // The larger buffer is the superuser's; the smaller one will do with fewer devices.
        let _ = set_socket_recv_buffer_size_force(&socket, BUFFER)
            .or_else(|_| set_socket_recv_buffer_size(&socket, BUFFER));
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
        Ok(Self(socket))
    }

    /// Takes the next message, and waits for it if `wait`.
    ///
    /// # Errors
    /// What the system says of a socket that is of no more use.
    pub fn receive(&self, wait: bool) -> io::Result<Received> {
        let flags = if wait {
            RecvFlags::empty()
        } else {
            RecvFlags::DONTWAIT
        };
        let mut buffer = [0; MESSAGE];
        match recvfrom(&self.0, &mut buffer[..], flags) {
            Ok((length, _, sender)) => {
                let kernels = sender
                    .and_then(|sender| SocketAddrNetlink::try_from(sender).ok())
                    .is_some_and(|sender| sender.pid() == 0);
                let event = buffer.get(..length).filter(|_| kernels).and_then(Uevent::parse);
                Ok(event.map_or(Received::Noise, Received::Event))
            }
            Err(rustix::io::Errno::AGAIN) => Ok(Received::Nothing),
            Err(rustix::io::Errno::INTR) => Ok(Received::Noise),
            Err(rustix::io::Errno::NOBUFS) => Ok(Received::Overrun),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_of_the_kernel_is_read() {
        let message = b"add@/devices/pci0000:00/virtio0\0ACTION=add\0DEVPATH=/devices/pci0000:00/virtio0\0\
            SUBSYSTEM=virtio\0MODALIAS=virtio:d00000001v00001AF4\0SEQNUM=900\0";
        let event = Uevent::parse(message).unwrap();
        assert_eq!(
            (event.action.as_str(), event.subsystem.as_str()),
            ("add", "virtio")
        );
        assert_eq!(event.modalias, "virtio:d00000001v00001AF4");
    }

    #[test]
    fn udevs_own_messages_are_not_taken_for_the_kernels() {
        assert_eq!(Uevent::parse(b"libudev\0\xfe\xed\xca\xfe"), None);
        assert_eq!(Uevent::parse(b""), None);
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Uevent::parse(&bytes);
        }
    }
}
