//! Network namespaces of this machine, each for one test.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::{artefacts, counterpart};

/// One with nothing but its loopback interface; dropped, it is removed.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one; nothing where none can be made: the caller then returns.
    pub fn new(label: &str) -> Option<Self> {
        let name = format!("vcc-{}-{label}", std::process::id());
        let mut ip = counterpart::find("ip")?;
        if !ip.args(["netns", "add", &name]).status().unwrap().success() {
            return counterpart::missing("a way to make network namespaces");
        }
        let own = Self { name };
        own.ip("link set lo up");
        Some(own)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does something to its network; words are separated by blanks.
    pub fn ip(&self, words: &str) -> String {
        let mut ip = counterpart::find("ip").unwrap();
        artefacts::success(ip.args(["-n", &self.name]).args(words.split(' ')))
    }

    /// A program in it.
    pub fn command(&self, program: &Path) -> Command {
        command_in(&self.name, program)
    }

    /// Has the calling thread, and every program that it starts from now on, in it.
    pub fn enter(&self) {
        let place = File::open(PathBuf::from("/run/netns").join(&self.name)).unwrap();
        move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Bytes that an interface of it has received and sent so far.
    pub fn carried(&self, interface: &str) -> u64 {
        let told = self.ip(&format!("-s -j link show dev {interface}"));
        let told: Value = serde_json::from_str(&told).unwrap();
        let bytes = |way: &str| told[0]["stats64"][way]["bytes"].as_u64().unwrap();
        bytes("rx") + bytes("tx")
    }
}

/// A program in the one of a name.
pub(crate) fn command_in(name: &str, program: &Path) -> Command {
    let mut command = counterpart::find("ip").unwrap();
    command.args(["netns", "exec", name]).arg(program);
    command
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}
