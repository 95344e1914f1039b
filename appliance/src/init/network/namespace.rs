//! A plan applied for real: in a network namespace, with iproute2 as the witness.

use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::addressing::kept;
use crate::check::Outcome;

const WITHIN: &str = "VCC_TEST_WITHIN_NAMESPACE";
const TEST: &str = "init::network::namespace::what_a_plan_says_is_done_and_another_plan_takes_it_back";

#[test]
fn what_a_plan_says_is_done_and_another_plan_takes_it_back() {
    if std::env::var_os(WITHIN).is_some() {
        return within();
    }
    // The files of sysfs are those of the namespace that mounts it.
    let script = "mount -t sysfs sysfs /sys && ip link add test0 type veth peer name test1 && \
                  ip link set test1 up && exec \"$0\" \"$@\"";
    let probe = Command::new("unshare")
        .args(["-rmn", "sh", "-c", script, "true"])
        .output();
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no network namespace with a pair of interfaces can be made: {probe:?}");
        return;
    }
    let own = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-rmn", "sh", "-c", script])
        .arg(own)
        .args(["--exact", TEST, "--nocapture"])
        .env(WITHIN, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn within() {
    let (events, _received) = sync_channel(64);
    let mut network = Network::start(events).unwrap();
    let index = interface::index("test0").unwrap();
    let device = "/devices/test".into();
    network.adopt(Place { device, index }, "test0".to_owned());
    let mtu = || witness(&["link", "show", "dev", "test0"])[0]["mtu"].clone();
    let before = mtu();
    let untouched = (addresses("test0"), routes());

    let plan = |text: &str| kept::parse(text.as_bytes()).unwrap();
    let first = plan(
        r#"{"ip": "192.0.2.5/24", "gateway": "192.0.2.1", "ip6": "2001:db8::5/64", "gateway6": "fe80::1",
            "routes": ["198.51.100.0/24 via 192.0.2.3", "2001:db8:1::/48 via 2001:db8::2"], "mtu": 1400}"#,
    );
    network.configure(None, &first);
    assert_eq!(addresses("test0"), ["192.0.2.5/24", "2001:db8::5/64"]);
    assert_eq!(
        routes(),
        [
            "198.51.100.0/24 via 192.0.2.3",
            "2001:db8:1::/48 via 2001:db8::2",
            "default via 192.0.2.1",
            "default via fe80::1"
        ]
    );
    assert_eq!(mtu(), 1400);
    assert!(network.kernel.problem().is_none(), "{:?}", network.kernel);

    // The same plan again changes nothing, though name servers are others.
    let again = Addressing {
        name_servers: vec!["192.0.2.9".parse().unwrap()],
        ..first
    };
    network.configure(None, &again);
    assert_eq!(routes().len(), 4);

    network.configure(
        None,
        &plan(r#"{"ip": "203.0.113.9/28", "gateway": "203.0.113.1"}"#),
    );
    assert_eq!(addresses("test0"), ["203.0.113.9/28"]);
    assert_eq!(routes(), ["default via 203.0.113.1"]);
    assert_eq!(mtu(), before);

    // A gateway may be on no network of the interface's own.
    network.configure(None, &plan(r#"{"ip": "203.0.113.9/32", "gateway": "192.0.2.1"}"#));
    assert_eq!(routes(), ["default via 192.0.2.1"]);

    if Command::new("ip")
        .args("link add link test0 name probe type vlan id 9".split(' '))
        .status()
        .is_ok_and(|status| status.success())
    {
        let tagged = plan(r#"{"ip": "192.0.2.5/24", "gateway": "192.0.2.1", "vlan": 7}"#);
        network.configure(None, &tagged);
        assert_eq!(addresses("vlan7"), ["192.0.2.5/24"]);
        assert_eq!(addresses("test0"), Vec::<String>::new());
        let link = &witness(&["-d", "link", "show", "dev", "vlan7"])[0];
        assert_eq!(
            (&link["link"], &link["linkinfo"]["info_data"]["id"]),
            (&"test0".into(), &7.into())
        );
    } else {
        eprintln!("this kernel has no VLANs; that part is left out");
    }

    network.configure(None, &Addressing::default());
    assert_eq!((addresses("test0"), routes()), untouched);
    assert!(interface::index("vlan7").is_none());

    network.configure(None, &plan(r#"{"ip": "192.0.2.5/24"}"#));
    pull_the_cable(&mut network);
    attach_again(&mut network);
}

fn pull_the_cable(network: &mut Network) {
    for (cable, status) in [
        ("up", Outcome::Pass),
        ("down", Outcome::Fail),
        ("up", Outcome::Pass),
    ] {
        ip(&["link", "set", "test1", cable]);
        while interface::has_carrier("test0") != (cable == "up") {
            thread::sleep(Duration::from_millis(10));
        }
        network.look();
        let check = network.check();
        assert_eq!(check.status, status, "{cable}: {}", check.reason);
    }
}

fn attach_again(network: &mut Network) {
    let adopt = |network: &mut Network, name: &str, device: &str| {
        let index = interface::index(name).unwrap();
        let device = device.into();
        network.adopt(Place { device, index }, name.to_owned());
        network.proceed();
    };
    let pair = |name, peer| ip(&["link", "add", name, "type", "veth", "peer", "name", peer]);
    pair("test2", "test3");
    adopt(network, "test2", "/devices/test-second");
    ip(&["link", "del", "test0"]);
    pair("test0", "test1");
    network.look();
    adopt(network, "test0", "/devices/test");
    assert_eq!(addresses("test0"), ["192.0.2.5/24"]);
    assert_eq!(addresses("test2"), Vec::<String>::new());
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().unwrap();
    assert!(status.success(), "{arguments:?}");
}

/// What iproute2 says, as JSON.
fn witness(arguments: &[&str]) -> Value {
    let output = Command::new("ip").arg("-j").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Addresses that people chose, in the form that they wrote.
fn addresses(interface: &str) -> Vec<String> {
    let told = witness(&["address", "show", "dev", interface]);
    let own = |address: &&Value| address["scope"] == "global" && address["prefixlen"].is_number();
    let form = |address: &Value| {
        let local = address["local"].as_str().unwrap();
        format!("{local}/{}", address["prefixlen"])
    };
    let mut found: Vec<_> = told[0]["addr_info"]
        .as_array()
        .unwrap()
        .iter()
        .filter(own)
        .map(form)
        .collect();
    found.sort();
    found
}

/// Routes through gateways.
fn routes() -> Vec<String> {
    let mut found = Vec::new();
    for version in ["-4", "-6"] {
        let told = witness(&[version, "route", "show"]);
        let through = told.as_array().unwrap().iter().filter_map(|route| {
            let gateway = route["gateway"].as_str()?;
            Some(format!("{} via {gateway}", route["dst"].as_str()?))
        });
        found.extend(through);
    }
    found.sort();
    found
}
