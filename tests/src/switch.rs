//! A server and appliances, each with a cable of its own to a switch that counts what each of them receives and sends.
//!
//! The server is a process in a network namespace apart; switch, emulated machines and the test are in another.

use std::path::Path;

use crate::connector::Connector;
use crate::namespace::Namespace;
use crate::plug::Plug;
use crate::{artefacts, counterpart};

/// Where the server is.
pub const SERVER: &str = "10.77.0.1";

/// Dropped, it is removed.
pub struct Switch {
    // The cable ends here.
    server: Namespace,
    own: Namespace,
}

/// Where an appliance is plugged in.
pub struct Port {
    pub plug: Plug,
    /// The appliance's.
    pub address: String,
    interface: String,
}

impl Switch {
    /// A new one, where the calling thread is from then on; nothing where none can be made: the caller then returns.
    pub fn new() -> Option<Self> {
        counterpart::find("qemu-system-x86_64")?;
        if !Path::new("/dev/net/tun").exists() {
            return counterpart::missing("/dev/net/tun");
        }
        let (server, own) = (Namespace::new("server")?, Namespace::new("switch")?);
        own.ip("link add switch type bridge");
        own.ip("address add 10.77.0.254/24 dev switch");
        own.ip("link set switch up");
        own.ip(&format!(
            "link add server type veth peer name cable netns {}",
            server.name()
        ));
        own.ip("link set server master switch up");
        server.ip(&format!("address add {SERVER}/24 dev cable"));
        server.ip("link set cable up");
        own.enter();
        Some(Self { server, own })
    }

    /// The server, which is new.
    pub fn start_server(&self, state: &Path) -> Connector {
        let mut command = self.server.command(&artefacts::vcc());
        command.args(["server", "--listen", &format!("{SERVER}:443"), "--state"]);
        command.arg(state);
        Connector::of(command)
    }

    /// A port for an appliance with an address of this number.
    pub fn port(&self, name: &str, number: u8) -> Port {
        self.own.ip(&format!("tuntap add dev {name} mode tap"));
        self.own.ip(&format!("link set {name} master switch up"));
        let netdev = format!("tap,ifname={name},script=no,downscript=no");
        Port {
            plug: Plug::new(&netdev, [0x52, 0x54, 0, 7, 1, number], ""),
            address: format!("10.77.0.{number}"),
            interface: name.to_owned(),
        }
    }

    /// Bytes that the server's only interface has received and sent.
    pub fn at_server(&self) -> u64 {
        self.server.carried("cable")
    }

    /// The same of an appliance's.
    pub fn at(&self, port: &Port) -> u64 {
        self.own.carried(&port.interface)
    }
}
