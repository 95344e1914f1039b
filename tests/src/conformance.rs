//! What every adapter of a VDC manager has to do, asked of one: a machine goes in, is told of, runs, comes out the same, and is
//! gone. Prints what the manager can; what it can't has to be a typed answer.

use image::compare::first_difference;
use image::source::{Composed, Source};
use vdc::error::{Error, Kind};
use vdc::machine::{Adapter, Bus, Disk, Firmware, Machine, Model};
use vdc::manager::{Import, Manager, Power, Vm};

/// A disk of the machine that is imported, in bytes, with data at both ends and in the middle of nothing.
const DISK: u64 = (40 << 20) + 512;

/// Runs the suite; `network` is one of the manager's, which is active.
pub fn run(manager: &dyn Manager, network: &str) {
    let mut disk = Composed::new(DISK);
    for at in [0, 20 << 20, DISK - 4] {
        disk.put(at, b"data".to_vec()).unwrap();
    }
    let machine = machine(network);
    let import = Import {
        machine: &machine,
        name: "conformance".to_owned(),
        pool: None,
        networks: Vec::new(),
        disks: vec![Some(&disk), None],
        environment: None,
        power_on: false,
        stopped: &|| false,
    };
    let mut told = Told::default();
    let about = manager.about().unwrap();
    println!("{} {}, {}", about.product, about.version, about.hypervisor);
    let before = names(manager);

    told.can("plan", manager.plan(&import).map(drop));
    assert_eq!(names(manager), before, "a plan makes nothing");
    let mut last = None;
    let vm = manager.import(&import, &mut |_, at| last = Some(at)).unwrap();
    told.can("import", Ok(()));
    assert_eq!(
        (vm.name.as_str(), vm.cpus, vm.memory),
        ("conformance", machine.cpus, machine.memory)
    );
    assert!(
        last.is_some_and(|at| at.done == at.total && at.total > 0),
        "{last:?}"
    );
    assert_eq!(found(manager).as_ref(), Some(&vm));
    let again = manager.import(&import, &mut |_, _| {});
    assert_eq!(again.unwrap_err().kind(), Kind::Taken);
    assert_eq!(found(manager), Some(vm), "the machine of that name stays");

    told.can("export", exported(manager, &machine, &disk));
    told.can("power", manager.power("conformance", Power::On));
    told.can("addresses", manager.addresses("conformance").map(drop));
    let running = manager.export("conformance").map(drop);
    assert!(running.is_err(), "a machine that runs isn't exported");
    manager.power("conformance", Power::Off).unwrap();
    told.can("delete", manager.delete("conformance"));
    assert_eq!(names(manager), before);
    for outcome in [
        manager.delete("conformance"),
        manager.power("conformance", Power::On),
        manager.export("conformance").map(drop),
    ] {
        assert_eq!(outcome.unwrap_err().kind(), Kind::Missing);
    }
    println!("{}", told.0.join(", "));
}

fn machine(network: &str) -> Machine {
    let disk = |id: &str, unit, file| Disk {
        id: id.to_owned(),
        bus: Bus::Sata,
        unit,
        capacity: DISK,
        file,
    };
    Machine {
        name: "Conformance".to_owned(),
        cpus: 2,
        memory: 64 << 20,
        firmware: Firmware::Bios,
        disks: vec![disk("full", 0, Some("file".to_owned())), disk("empty", 1, None)],
        adapters: vec![Adapter {
            model: Model::E1000,
            network: network.to_owned(),
        }],
        left_out: Vec::new(),
    }
}

fn exported(manager: &dyn Manager, machine: &Machine, disk: &dyn Source) -> Result<(), Error> {
    let exported = manager.export("conformance")?;
    let out = exported.machine;
    assert_eq!(
        (out.cpus, out.memory, out.firmware),
        (machine.cpus, machine.memory, machine.firmware)
    );
    assert_eq!(out.adapters, machine.adapters);
    let buses = |machine: &Machine| {
        machine
            .disks
            .iter()
            .map(|disk| (disk.bus, disk.capacity))
            .collect::<Vec<_>>()
    };
    assert_eq!(buses(&out), buses(machine));
    let empty = Composed::new(DISK);
    for (ours, theirs) in [disk, &empty].into_iter().zip(&exported.disks) {
        assert_eq!(
            first_difference(ours, theirs.as_ref(), &mut |_| {}).unwrap(),
            None
        );
    }
    Ok(())
}

fn names(manager: &dyn Manager) -> Vec<String> {
    let machines = manager.inventory().unwrap().machines;
    machines.into_iter().map(|vm| vm.name).collect()
}

fn found(manager: &dyn Manager) -> Option<Vm> {
    let machines = manager.inventory().unwrap().machines;
    machines.into_iter().find(|vm| vm.name == "conformance")
}

/// What the manager can, in words.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn can(&mut self, what: &str, outcome: Result<(), Error>) {
        let answer = match outcome {
            Ok(()) => "yes".to_owned(),
            Err(error) if error.kind() == Kind::Unsupported => format!("no: {error}"),
            Err(error) => panic!("{what}: {error}"),
        };
        self.0.push(format!("{what}: {answer}"));
    }
}
