//! A piece of Ethernet between two guests, with a witness who writes down every frame.

use std::net::UdpSocket;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::plug::Plug;

/// The length of a capture's header, and of that of each frame in it.
const HEADER: usize = 24;
const FRAME_HEADER: usize = 16;
const CAPTURE: &str = "capture";

/// Where one guest is connected.
pub struct End {
    folder: TempDir,
    pub plug: Plug,
    /// Of its adapter.
    pub hardware: [u8; 6],
}

/// The two ends of a new segment.
pub fn ends() -> [End; 2] {
    // Both are open at once, so that they differ.
    let sockets = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [first, second] = sockets.map(|socket| socket.local_addr().unwrap().port());
    [End::new(1, first, second), End::new(2, second, first)]
}

impl End {
    /// Frames leave from `own`, a port of the loopback interface, for `other`.
    fn new(number: u8, own: u16, other: u16) -> Self {
        let (folder, hardware) = (tempfile::tempdir().unwrap(), [0x52, 0x54, 0, 7, 0, number]);
        let plug = Plug::new(
            &format!("socket,udp=127.0.0.1:{other},localaddr=127.0.0.1:{own}"),
            hardware,
            &format!(
                "-object filter-dump,id=witness,netdev=plug,file='{}'",
                folder.path().join(CAPTURE).display()
            ),
        );
        Self {
            folder,
            plug,
            hardware,
        }
    }

    fn capture(&self) -> PathBuf {
        self.folder.path().join(CAPTURE)
    }

    /// What went over it so far.
    pub fn frames(&self) -> Vec<Frame> {
        let bytes = std::fs::read(self.capture()).unwrap();
        let mut rest = &bytes[HEADER..];
        let mut frames = Vec::new();
        // The last one may be half written.
        while let Some((header, after)) = rest.split_at_checked(FRAME_HEADER) {
            let length = u32::from_ne_bytes(header[8..12].try_into().unwrap());
            let Some((frame, after)) = after.split_at_checked(length.try_into().unwrap()) else {
                break;
            };
            frames.push(Frame(frame.to_vec()));
            rest = after;
        }
        frames
    }
}

/// An Ethernet frame, without its checksum.
#[derive(Debug)]
pub struct Frame(Vec<u8>);

impl Frame {
    const TAGGED: [u8; 2] = [0x81, 0];

    pub fn to(&self) -> &[u8] {
        &self.0[..6]
    }

    pub fn from(&self) -> &[u8] {
        &self.0[6..12]
    }

    /// The network of its 802.1Q tag.
    pub fn vlan(&self) -> Option<u16> {
        let tag = u16::from_be_bytes(self.0[14..16].try_into().unwrap());
        (self.0[12..14] == Self::TAGGED).then_some(tag & 0xfff)
    }

    /// The protocol that it carries, and the packet of that.
    pub fn packet(&self) -> (u16, &[u8]) {
        let at = if self.vlan().is_some() { 16 } else { 12 };
        let kind = u16::from_be_bytes(self.0[at..at + 2].try_into().unwrap());
        (kind, &self.0[at + 2..])
    }
}
