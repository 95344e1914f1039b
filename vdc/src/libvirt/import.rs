//! Making a machine: volumes, their bytes, the domain; on failure all of it is taken back, the last first.

use image::source::{Progress, Source, write_raw_telling};

use super::definition::{Definition, volume};
use super::resumed::{Connections, PLATFORM, Resumed};
use super::saved_image::Redefined;
use super::upload::Upload;
use super::virsh::{Virsh, machine_option, new_option, option};
use super::{inventory, memory, suspended};
use crate::error::{Error, Kind, Result};
use crate::inventory::Vm;
use crate::manager::{Import, Plan, State};
use uuid::Uuid;

/// What the import would make. Nothing is made.
pub(super) fn plan(virsh: &Virsh, import: &Import<'_>, accelerated: bool) -> Result<Plan> {
    let names = Names::of(virsh, import)?;
    Ok(Plan {
        volumes: names.sizes(import),
        definition: String::from_utf8_lossy(&names.definition(import, accelerated)?).into_owned(),
        pool: names.pool,
    })
}

pub(super) fn run(
    virsh: &Virsh,
    import: &Import<'_>,
    accelerated: bool,
    progress: &mut dyn FnMut(&str, Progress),
) -> Result<Vm> {
    let names = Names::of(virsh, import)?;
    let definition = names.definition(import, accelerated)?;
    let mut made = Made {
        virsh,
        stopped: import.stopped,
        undo: Vec::new(),
    };
    let told = make(&mut made, import, &names, &definition, progress)
        .and_then(|()| power_on(&mut made, import, &names, &definition))
        .and_then(|()| go_on(import.stopped))
        .and_then(|()| inventory::machine(virsh, &import.name));
    told.map_err(|error| error.leaving(&made.undo()))
}

/// Removes a machine and its volumes.
pub(super) fn delete(virsh: &Virsh, name: &str) -> Result<()> {
    let domain = option("domain", name)?;
    let volumes = inventory::volumes(virsh, name)?;
    if inventory::machine(virsh, name)?.state != "shut off" {
        virsh.run(&["destroy", &domain])?;
    }
    virsh.run(&["undefine", &domain, "--nvram", "--managed-save"])?;
    let mut left = Vec::new();
    for (pool, volume) in volumes {
        let gone = option("pool", &pool)
            .and_then(|pool| Ok((pool, option("vol", &volume)?)))
            .and_then(|(pool, volume)| virsh.run(&["vol-delete", &pool, &volume]));
        if gone.is_err() {
            left.push(format!("volume {volume} of pool {pool}"));
        }
    }
    match left.is_empty() {
        true => Ok(()),
        false => Err(Error::new(Kind::Refused, name, "the machine is gone").leaving(&left)),
    }
}

/// The target's names of all that is to be made, which it has and that are free.
struct Names {
    /// The machine's identifier: what is taken back is told by it, as a name may be another's by then.
    id: String,
    pool: String,
    /// Of each disk.
    volumes: Vec<String>,
    environment: Option<String>,
    state: Option<String>,
    /// Of each adapter.
    networks: Vec<String>,
    /// The definition that comes with a state.
    resumed: Option<Resumed>,
}

impl Names {
    fn of(virsh: &Virsh, import: &Import<'_>) -> Result<Self> {
        let domain = new_option("domain", &import.name)?;
        let taken = "there is a machine of this name: choose another by --name";
        absent(virsh, &domain, &import.name, taken)?;
        let volume = |part: &str| format!("{}-{part}", import.name);
        let resumed = import.state.as_ref().map(|state| resumed(virsh, import, state));
        let resumed = resumed.transpose()?;
        let names = Self {
            id: match &resumed {
                Some(resumed) => resumed.uuid(),
                None => Uuid::new_v4().to_string(),
            },
            pool: pool(virsh, import.pool.as_deref())?,
            volumes: import
                .machine
                .disks
                .iter()
                .map(|disk| volume(&format!("{}.raw", disk.id)))
                .collect(),
            // A machine that goes on has the drives that it had.
            environment: import
                .environment
                .filter(|_| resumed.as_ref().is_none_or(Resumed::has_drive))
                .map(|_| inventory::environment_of(&import.name)),
            state: resumed.as_ref().map(|_| suspended::volume_of(&import.name)),
            networks: networks(virsh, import)?,
            resumed,
        };
        names.free(virsh)?;
        Ok(names)
    }

    /// Sees that there are no volumes of these names: what is there already is never removed.
    fn free(&self, virsh: &Virsh) -> Result<()> {
        let pool = option("pool", &self.pool)?;
        for name in self.volumes.iter().chain(&self.environment).chain(&self.state) {
            match virsh.run(&["vol-info", &pool, &new_option("vol", name)?]) {
                Ok(_) => {
                    let reason = format!(
                        "pool {} has a volume of this name: choose another name",
                        self.pool
                    );
                    return Err(Error::new(Kind::Taken, name.as_str(), reason));
                }
                Err(error) if error.kind() == Kind::Missing => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sizes(&self, import: &Import<'_>) -> Vec<(String, u64)> {
        let disks = self.volumes.iter().zip(&import.machine.disks);
        let disks = disks.map(|(name, disk)| (name.clone(), disk.capacity));
        let environment = self.environment.clone().zip(import.environment.map(Source::size));
        let state = import.state.as_ref().map(|state| state.source.size());
        disks
            .chain(environment)
            .chain(self.state.clone().zip(state))
            .collect()
    }

    fn definition(&self, import: &Import<'_>, accelerated: bool) -> Result<Vec<u8>> {
        if let Some(resumed) = &self.resumed {
            return resumed.render(&Connections {
                pool: &self.pool,
                volumes: &self.volumes,
                environment: self.environment.as_deref(),
                networks: &self.networks,
            });
        }
        Definition {
            name: &import.name,
            id: &self.id,
            machine: import.machine,
            pool: &self.pool,
            volumes: &self.volumes,
            environment: self.environment.as_deref(),
            networks: self.networks.iter().map(String::as_str).collect(),
            accelerated,
        }
        .render()
    }
}

/// The definition that a state goes on under, if this target can have it.
fn resumed(virsh: &Virsh, import: &Import<'_>, state: &State<'_>) -> Result<Resumed> {
    if state.platform != PLATFORM {
        let reason = format!(
            "the package has a state saved by '{}', which can't go on here",
            state.platform.escape_debug()
        );
        return Err(Error::new(Kind::Unsupported, "", reason));
    }
    let resumed = Resumed::parse(state.definition)?;
    resumed.agrees(import.machine)?;
    let name = resumed.name();
    if name != import.name {
        let reason = format!(
            "a machine that goes on from a saved state keeps its name, '{}'",
            name.escape_debug()
        );
        return Err(Error::new(Kind::Invalid, &*import.name, reason));
    }
    absent(virsh, &machine_option(&resumed.uuid())?, &name, HERE)?;
    Ok(resumed)
}

const HERE: &str = "the machine that the saved state is of is here already, by this name or another";

/// Refuses a machine that is there already.
fn absent(virsh: &Virsh, domain: &str, name: &str, reason: &str) -> Result<()> {
    match virsh.run(&["domstate", domain]) {
        Ok(_) => Err(Error::new(Kind::Taken, name, reason)),
        Err(error) if error.kind() == Kind::Missing => Ok(()),
        Err(error) => Err(error),
    }
}

fn pool(virsh: &Virsh, wanted: Option<&str>) -> Result<String> {
    let pools = inventory::pools(virsh)?;
    let known = || {
        pools
            .iter()
            .map(|pool| pool.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = match wanted {
        Some(name) => pools.iter().find(|pool| pool.name == name),
        None => pools
            .iter()
            .find(|pool| pool.active && inventory::is_of_files(&pool.kind)),
    };
    match (found, wanted) {
        (Some(pool), _) if !inventory::is_of_files(&pool.kind) => {
            let reason = format!(
                "a pool of the kind '{}' keeps what was on it before where a disk has holes; use one of files",
                pool.kind
            );
            Err(Error::new(Kind::Unsupported, &*pool.name, reason))
        }
        (Some(pool), _) if pool.active => Ok(pool.name.clone()),
        (Some(pool), _) => Err(Error::new(
            Kind::Refused,
            &*pool.name,
            "the pool is not active: virsh pool-start",
        )),
        (None, Some(name)) => Err(Error::new(
            Kind::Missing,
            name,
            format!("no such pool; there are: {}", known()),
        )),
        (None, None) => Err(Error::new(
            Kind::Missing,
            virsh.uri(),
            format!("no active pool; there are: {}", known()),
        )),
    }
}

fn networks(virsh: &Virsh, import: &Import<'_>) -> Result<Vec<String>> {
    let offered = inventory::networks(virsh)?;
    let known = || {
        offered
            .iter()
            .map(|net| net.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let of = |network: &str| -> Result<String> {
        let mapped = import.networks.iter().find(|(name, _)| name == network);
        let name = mapped.map_or(network, |(_, target)| target.as_str());
        match offered.iter().find(|net| net.name == name) {
            Some(net) if net.active => Ok(net.name.clone()),
            Some(_) => Err(Error::new(
                Kind::Refused,
                name,
                "the network is not active: virsh net-start",
            )),
            None => {
                let reason = format!(
                    "the target has no such network: map it by --net '{network}=NAME'; there are: {}",
                    known()
                );
                Err(Error::new(Kind::Missing, name, reason))
            }
        }
    };
    let unknown = import
        .networks
        .iter()
        .find(|(name, _)| !import.machine.networks().contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        let reason = format!(
            "the package has no such network, but {}",
            import.machine.networks().join(", ")
        );
        return Err(Error::new(Kind::Invalid, &**name, reason));
    }
    import
        .machine
        .adapters
        .iter()
        .map(|adapter| of(&adapter.network))
        .collect()
}

/// What has been made, and how to take it back.
struct Made<'a> {
    virsh: &'a Virsh,
    stopped: &'a dyn Fn() -> bool,
    /// What it is, and the question that removes it.
    undo: Vec<(String, Vec<String>)>,
}

impl Made<'_> {
    /// Makes something whose name was free, and remembers how it is removed. Where an error came in place of the answer it may
    /// have been made all the same.
    fn make(&mut self, question: &[&str], what: String, undo: &[&str]) -> Result<()> {
        self.make_by(what, undo, |virsh| virsh.run(question).map(drop))
    }

    fn make_by(
        &mut self,
        what: String,
        undo: &[&str],
        make: impl FnOnce(&Virsh) -> Result<()>,
    ) -> Result<()> {
        go_on(self.stopped)?;
        let made = make(self.virsh);
        let may_be_ours = |error: &Error| error.kind() != Kind::Taken;
        if made.as_ref().err().is_none_or(may_be_ours) {
            let undo = undo.iter().map(|&part| part.to_owned()).collect();
            self.undo.push((what, undo));
        }
        made
    }

    /// Takes everything back; gives what could not be.
    fn undo(self) -> Vec<String> {
        let mut left = Vec::new();
        for (what, question) in self.undo.into_iter().rev() {
            let question: Vec<&str> = question.iter().map(String::as_str).collect();
            match self.virsh.run(&question) {
                Ok(_) => {}
                // It was not made after all: so says a target that can be reached.
                Err(error)
                    if matches!(error.kind(), Kind::Missing | Kind::Off)
                        && self.virsh.run(&["list"]).is_ok() => {}
                Err(_) => left.push(what),
            }
        }
        left
    }

    fn volume(
        &mut self,
        pool: &str,
        name: &str,
        disk: Option<&dyn Source>,
        size: u64,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let (of, vol) = (option("pool", pool)?, option("vol", name)?);
        let document = memory::holding(&volume(name, size)?)?;
        self.make(
            &["vol-create", &of, &memory::option(&document)],
            format!("volume {name} of pool {pool}"),
            &["vol-delete", &of, &vol],
        )?;
        let Some(disk) = disk else { return Ok(()) };
        if disk.size() > size {
            return Err(Error::new(
                Kind::Disk,
                name,
                "the disk is larger than was declared",
            ));
        }
        let upload = Upload::new(self.virsh, [of, vol], size, self.stopped)?;
        if let Err(error) = write_raw_telling(disk, &upload, tell) {
            let own = Error::new(Kind::Disk, name, "the disk could not be written").because(error);
            return Err(upload.failure().unwrap_or(own));
        }
        upload.finish()
    }
}

fn make(
    made: &mut Made<'_>,
    import: &Import<'_>,
    names: &Names,
    definition: &[u8],
    progress: &mut dyn FnMut(&str, Progress),
) -> Result<()> {
    let disks = import.machine.disks.iter().zip(&names.volumes).zip(&import.disks);
    for ((disk, name), source) in disks {
        made.volume(&names.pool, name, *source, disk.capacity, &mut |at| {
            progress(&disk.id, at)
        })?;
    }
    if let (Some(name), Some(source)) = (&names.environment, import.environment) {
        made.volume(&names.pool, name, Some(source), source.size(), &mut |_| {})?;
    }
    if let (Some(name), Some(state)) = (&names.state, &import.state) {
        let state = Redefined::new(state.source, definition)?;
        made.volume(&names.pool, name, Some(&state), state.size(), &mut |at| {
            progress("its memory", at)
        })?;
        // The identifier came with the package: while its disks came in, somebody else may have made the machine.
        absent(made.virsh, &machine_option(&names.id)?, &import.name, HERE)?;
        absent(made.virsh, &option("domain", &import.name)?, &import.name, HERE)?;
    }
    let document = memory::holding(definition)?;
    made.make(
        &["define", &memory::option(&document)],
        format!("machine {}", import.name),
        &[
            "undefine",
            &machine_option(&names.id)?,
            "--nvram",
            "--managed-save",
        ],
    )
}

fn power_on(made: &mut Made<'_>, import: &Import<'_>, names: &Names, definition: &[u8]) -> Result<()> {
    let (virsh, domain) = (made.virsh, machine_option(&names.id)?);
    let runs = format!("machine {}, which runs", import.name);
    let off = ["destroy", domain.as_str()];
    let Some(state) = &names.state else {
        return match import.power_on {
            true => made.make(&["start", &domain], runs, &off),
            false => Ok(()),
        };
    };
    let (pool, volume) = (option("pool", &names.pool)?, option("vol", state)?);
    let path = virsh.run(&["vol-path", &pool, &volume])?;
    let (document, paused) = (
        memory::holding(definition)?,
        (!import.power_on).then_some("--paused"),
    );
    made.make_by(runs, &off, |virsh| {
        suspended::restore(virsh, path.trim(), Some(&memory::definition(&document)), paused)
    })?;
    if !import.power_on {
        suspended::keep_saved(virsh, &domain)?;
    }
    virsh.run(&["vol-delete", &pool, &volume]).map(drop)
}

/// An error once whoever asked has had enough.
pub(super) fn go_on(stopped: &dyn Fn() -> bool) -> Result<()> {
    match stopped() {
        true => Err(Error::new(Kind::Stopped, "", "interrupted")),
        false => Ok(()),
    }
}
