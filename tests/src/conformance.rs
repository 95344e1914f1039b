//! What every adapter of a VDC manager has to do, asked of one: a machine goes in, is told of, runs, comes out the same, and is
//! gone. Prints what the manager can; what it can't has to be a typed answer.

use std::time::Duration;

use image::compare::first_difference;
use image::source::{Composed, Memory, Source};
use vdc::error::{Error, Kind};
use vdc::event::{EventKind, Events};
use vdc::inventory::{DeviceKind, Vm};
use vdc::machine::{Adapter, Bus, Disk, Firmware, Machine, Model};
use vdc::manager::{After, Import, Manager, Power, State};

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
        state: None,
        power_on: false,
        stopped: &|| false,
    };
    let mut told = Told::default();
    let about = manager.about().unwrap();
    println!("{} {}, {}", about.product, about.version, about.hypervisor);
    let before = names(manager);

    told.can("plan", manager.plan(&import).map(drop));
    assert_eq!(names(manager), before, "a plan makes nothing");
    let mut events = manager.events();
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
    let count = |kind| vm.devices.iter().filter(|device| device.kind == kind).count();
    assert_eq!((count(DeviceKind::Disk), count(DeviceKind::Adapter)), (2, 1));
    told.can("console", off(manager.console("conformance").map(drop)));
    let again = manager.import(&import, &mut |_, _| {});
    assert_eq!(again.unwrap_err().kind(), Kind::Taken);
    assert_eq!(
        found(manager).as_ref(),
        Some(&vm),
        "the machine of that name stays"
    );

    told.can("export", exported(manager, &machine, &disk));
    told.can("power", manager.power("conformance", Power::On));
    told.can("addresses", manager.addresses("conformance").map(drop));
    let running = manager.export("conformance").map(drop);
    assert!(running.is_err(), "a machine that runs isn't exported");
    told.can("usage", used(manager, &vm.id));
    told.can("console, while it runs", manager.console("conformance").map(drop));
    told.can("saved state", saved(manager, &import));
    manager.power("conformance", Power::Off).unwrap();
    told.can("delete", manager.delete("conformance"));
    assert_eq!(names(manager), before);
    if let Ok(events) = &mut events {
        happened(events.as_mut(), &vm.id);
    }
    told.can("events", events.map(drop));
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

/// A console of a machine that is off is refused in so many words.
fn off(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if error.kind() == Kind::Off => Ok(()),
        Err(error) => Err(error),
        Ok(()) => panic!("a console of a machine that is off"),
    }
}

fn used(manager: &dyn Manager, id: &str) -> Result<(), Error> {
    let of = |id: &str| Ok(manager.usage()?.into_iter().find(|usage| usage.id == id));
    let first = of(id)?.expect("a machine that runs");
    let second = of(id)?.expect("a machine that runs");
    let used = second.since(&first);
    assert!(!second.cpu.is_zero() && used.cpu < second.cpu && second.memory > 0);
    assert!((1..DISK).contains(&second.storage), "{second:?}");
    Ok(())
}

/// A machine that runs is taken out with its memory, goes on, stays saved, is deleted and comes in again.
fn saved(manager: &dyn Manager, import: &Import<'_>) -> Result<(), Error> {
    let state = || found(manager).unwrap().state;
    let running = state();
    manager.export_running("conformance")?;
    assert_ne!(state(), running);
    manager.release("conformance", After::GoesOn)?;
    assert_eq!(state(), running);

    let exported = manager.export_running("conformance")?.state.unwrap();
    let mut bytes = vec![0; usize::try_from(exported.source.size()).unwrap()];
    exported.source.read_at(0, &mut bytes).unwrap();
    manager.release("conformance", After::StaysSaved)?;
    assert_ne!(state(), running);
    let again = manager.export("conformance").map(drop);
    assert!(again.is_err(), "its disks alone are half of it");
    manager.power("conformance", Power::On)?;
    manager.power("conformance", Power::Off)?;

    let resumed = |name: &str, definition: &str, power_on| {
        manager.import(
            &Import {
                name: name.to_owned(),
                networks: Vec::new(),
                disks: import.disks.clone(),
                pool: None,
                state: Some(State {
                    platform: exported.platform,
                    definition,
                    source: &Memory(bytes.clone()),
                }),
                power_on,
                ..*import
            },
            &mut |_, _| {},
        )
    };
    let kind = |outcome: Result<Vm, Error>| outcome.unwrap_err().kind();
    let told = exported.definition.as_str();
    assert_eq!(kind(resumed("conformance", told, true)), Kind::Taken);
    manager.delete("conformance")?;
    assert_eq!(kind(resumed("other", told, true)), Kind::Invalid);
    let larger = told
        .replace("<vcpu", "<vcpu x='y'")
        .replace(">2</vcpu>", ">64</vcpu>");
    assert_eq!(kind(resumed("conformance", &larger, true)), Kind::Invalid);
    let other_hardware = told.replace("qemu64", "Nehalem").replace("vga", "virtio");
    assert!(resumed("conformance", &other_hardware, true).is_err());
    assert_eq!(found(manager), None, "an import that fails leaves nothing");

    assert_ne!(resumed("conformance", told, false)?.state, running);
    manager.power("conformance", Power::On)?;
    assert_eq!(state(), running);
    manager.delete("conformance")?;
    assert_eq!(resumed("conformance", told, true)?.state, running);
    Ok(())
}

/// What the suite has done is told, each thing with the machine's own id.
fn happened(events: &mut dyn Events, id: &str) {
    let mut kinds = Vec::new();
    while let Some(event) = events.next(Duration::from_secs(3)).unwrap() {
        if event.name == "conformance" && event.id.as_deref() == Some(id) {
            kinds.push(event.kind);
        }
    }
    for kind in [
        EventKind::Defined,
        EventKind::Started,
        EventKind::Stopped,
        EventKind::Undefined,
    ] {
        assert!(kinds.contains(&kind), "{kind:?}: {kinds:?}");
    }
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
