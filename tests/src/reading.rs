//! What a reader of packages says that one holds, in the same words whoever reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::artefacts;

/// CIM's number of the resource type.
const ETHERNET: u16 = 10;

/// Facts by name; a reader leaves out what it doesn't tell.
///
/// `cpus`, `memory` in bytes, `disks` by number, `capacities` in bytes, `networks` by name, `nics` by number, and
/// `connections`: each adapter's network.
pub type Facts = BTreeMap<String, Value>;

/// The facts, or what the reader said when it refused.
pub type Reading = Result<Facts, String>;

/// By `ova inspect --json`.
pub fn by_ova(package: &Path) -> Reading {
    let output = artefacts::output(artefacts::ova().args(["inspect", "--json"]).arg(package));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    if !output.status.success() {
        return Err(said["error"]["message"].as_str().unwrap().to_owned());
    }
    let systems = said["systems"].as_array().unwrap();
    let devices = systems
        .iter()
        .flat_map(|system| system["devices"].as_array().unwrap());
    let adapters: Vec<_> = devices.filter(|device| device["type"] == ETHERNET).collect();
    let connections = adapters
        .iter()
        .flat_map(|device| device["networks"].as_array().unwrap());
    let disks = said["disks"].as_array().unwrap();
    let each = |values: &Value, name: &str| -> Value {
        let values = values.as_array().unwrap();
        values.iter().map(|value| value[name].clone()).collect()
    };
    let memory = systems[0]["memory_mib"].as_u64().map(|mebibytes| mebibytes << 20);
    Ok(facts(json!({
        "cpus": systems[0]["cpus"],
        "memory": memory,
        "disks": disks.len(),
        "capacities": each(&said["disks"], "capacity"),
        "networks": each(&said["networks"], "name"),
        "nics": adapters.len(),
        "connections": connections.collect::<Vec<_>>(),
    })))
}

/// By COT's library: what its command prints is rounded to be read by people.
pub fn by_cot(python: &mut Command, package: &Path) -> Reading {
    let output = artefacts::output(python.arg("-c").arg(include_str!("cot.py")).arg(package));
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(facts(serde_json::from_slice(&output.stdout).unwrap()))
}

/// By `virt-v2v --print-source`, of an archive, or of a folder with a descriptor and its files.
pub fn by_virt_v2v(program: &mut Command, package: &Path) -> Reading {
    program
        .args(["-i", "ova", "--print-source"])
        .arg(package)
        .env("LIBGUESTFS_BACKEND", "direct");
    let output = artefacts::output(program);
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let number = |name: &str| -> u64 {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{said}"));
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let listed = |title: &str| -> Vec<&str> {
        let lines = said.lines().skip_while(|line| *line != title).skip(1);
        lines.take_while(|line| line.starts_with('\t')).collect()
    };
    let adapters = listed("NICs:");
    // An adapter that is connected to nothing is shown as `Network`, with a name made up.
    let connections: Vec<_> = adapters
        .iter()
        .filter_map(|line| line.trim().strip_prefix("Bridge \"")?.split('"').next())
        .collect();
    Ok(facts(json!({
        "cpus": number("nr vCPUs:"),
        "memory": number("memory:"),
        "disks": listed("disks:").len(),
        "nics": adapters.len(),
        "connections": connections,
    })))
}

fn facts(object: Value) -> Facts {
    let Value::Object(object) = object else {
        panic!("{object} is not an object")
    };
    object.into_iter().collect()
}

/// The names of the facts that `theirs` has and `ours` has otherwise, in alphabetical order.
pub fn differences<'a>(ours: &Facts, theirs: &'a Facts) -> Vec<&'a str> {
    let different = theirs
        .iter()
        .filter(|(name, value)| ours.get(*name) != Some(value));
    different.map(|(name, _)| name.as_str()).collect()
}
