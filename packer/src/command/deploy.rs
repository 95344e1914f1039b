use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use image::source::{Prefix, Source as DiskSource};
use packer::location::Location;
use packer::opened::{JudgedDescriptor, Opened};
use packer::{Error, deployment, extract};
use serde_json::json;
use vdc::machine::Machine;
use vdc::manager::{Import, Manager, Plan, State};

use crate::interruption;
use crate::progress::Progress;
use crate::report::{self, printable, size};
use crate::target;
use crate::trust::{Trust, accepted, judge_taking};
use crate::values::Values;

/// Import a package into a VDC manager
///
/// The package is verified first: before that not a byte goes out. Then its disks are read once, inflated on all cores and sent
/// on as they come, holes left out. If anything fails, or Ctrl-C is pressed, all that was made is removed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ova targets qemu:///system
  ova deploy node.ova qemu:///system --trust ca.pem --prop hostname=one --net 'VM Network=default' --power-on
  ova deploy node.ova qemu+ssh://host/system --dry-run")]
pub(crate) struct Arguments {
    /// An OVA, or a descriptor beside its files
    package: PathBuf,
    /// Where to: qemu:///system, qemu+unix:///system?socket=PATH, qemu+ssh://host/system
    target: String,
    /// The machine's name; the package's, if not given
    #[arg(long)]
    name: Option<String>,
    /// The storage pool for the disks, one of files; the target's first active one, if not given
    #[arg(long)]
    pool: Option<String>,
    /// Connect a network of the package to one of the target; one of the same name needs no word
    #[arg(long, value_name = "NAME=TARGET", value_parser = mapping)]
    net: Vec<(String, String)>,
    /// The deployment option; the package's default, if not given
    #[arg(long, value_name = "ID")]
    option: Option<String>,
    /// Switch the machine on
    #[arg(long)]
    power_on: bool,
    /// Wait until the machine has an address, so many seconds at most, and tell it
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "300", requires = "power_on")]
    wait_ready: Option<u64>,
    /// Verify and plan, print what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    trust: Trust,
}

fn mapping(text: &str) -> Result<(String, String), String> {
    let (name, target) = text
        .split_once('=')
        .ok_or_else(|| format!("'{text}' is not NAME=TARGET"))?;
    Ok((name.to_owned(), target.to_owned()))
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let location = Location::of(&self.package)?;
        let path = location.local()?;
        let (package, policy) = (Opened::new(path)?, self.trust.policy()?);
        let progress = Progress::new("verifying", json);
        let mut source = package.source()?;
        progress.watch(&mut source, package.length());
        let mut judged = JudgedDescriptor::default();
        let verdict = judge_taking(&location, &mut source, &policy, &mut judged)?;
        accepted(&location, &verdict)?;
        progress.finish();
        let descriptor = &judged.parse()?;
        if let Some(unknown) = self.option.as_deref().filter(|id| !descriptor.has_option(id)) {
            let reason = format!("the package has no deployment option '{unknown}'");
            return Err(Error::Usage(reason).into());
        }
        let given = self.values.given(descriptor)?;
        let environment = deployment::environment(descriptor, &given)?;
        let value = |key: &str| environment.property(key).map(str::to_owned);
        let machine = Machine::of(descriptor, self.option.as_deref(), &value).map_err(Error::from)?;
        let environment = deployment::iso(&environment.render()?)?;
        let disks = machine.disks.iter().map(|disk| {
            disk.file.as_ref().map_or(Ok(None), |_| {
                let (member, capacity) = extract::place(&package, descriptor, &disk.id, &policy)?;
                Ok(Some(image::open::inside(member, capacity)?))
            })
        });
        let disks = disks.collect::<packer::Result<Vec<_>>>()?;
        let saved = descriptor
            .systems()
            .first()
            .and_then(|system| system.saved_state.as_ref());
        if saved.is_some() && !verdict.is_trusted() {
            let reason = "the package has a machine's memory, which goes to the hypervisor as it is: \
                          it is taken from somebody who is trusted only (--trust, --policy)";
            return Err(Error::Refused(reason.to_owned()).into());
        }
        let image = match saved {
            Some(state) => {
                let (member, length) = extract::place_state(&package, descriptor, state, &policy)?;
                Some((state, image::open::inside(member, length).map_err(Error::from)?))
            }
            None => None,
        };
        let memory = match &image {
            Some((state, image)) => Some((state, Prefix::new(image, state.length).map_err(Error::from)?)),
            None => None,
        };
        let (target, stopped) = (target::connect(&self.target)?, Arc::new(AtomicBool::new(false)));
        let import = Import {
            name: self.name.clone().unwrap_or_else(|| machine.name.clone()),
            machine: &machine,
            pool: self.pool.clone(),
            networks: self.net.clone(),
            disks: disks
                .iter()
                .map(|disk| disk.as_ref().map(|disk| disk as &dyn DiskSource))
                .collect(),
            environment: Some(&environment),
            state: memory.as_ref().map(|(state, bytes)| State {
                platform: &state.platform,
                definition: &state.definition,
                source: bytes,
            }),
            power_on: self.power_on,
            stopped: &|| stopped.load(Ordering::Relaxed),
        };
        if self.dry_run {
            let plan = target.plan(&import).map_err(Error::from)?;
            return tell_plan(&plan, &machine, json);
        }
        // From here on a signal has what was made removed.
        for signal in interruption::heeded() {
            signal_hook::flag::register(signal, Arc::clone(&stopped))?;
        }
        let progress = Progress::new("importing", json);
        let made = target.import(&import, &mut |disk, at| {
            progress.say(&format!("importing {disk}"));
            progress.set(at.done, at.total);
        });
        let vm = made.map_err(Error::from)?;
        progress.finish();
        let addresses = match self.wait_ready {
            Some(seconds) => wait(
                target.as_ref(),
                &vm.name,
                Duration::from_secs(seconds),
                json,
                &stopped,
            )?,
            None => Vec::new(),
        };
        if json {
            report::print_json(&json!({
                "target": self.target,
                "name": vm.name,
                "id": vm.id,
                "state": vm.state,
                "addresses": addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>(),
                "left_out": machine.left_out,
            }))?;
        } else {
            let addresses: String = addresses.iter().map(|address| format!("  {address}")).collect();
            let (name, state, id) = (printable(&vm.name), printable(&vm.state), printable(&vm.id));
            report::print(&format!("{name}  {state} ({id}){addresses}\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Between two questions for an address.
const ASK_AGAIN: Duration = Duration::from_secs(1);

fn wait(
    target: &dyn Manager,
    name: &str,
    patience: Duration,
    json: bool,
    stopped: &AtomicBool,
) -> anyhow::Result<Vec<IpAddr>> {
    let (progress, start) = (Progress::new("waiting for the machine", json), Instant::now());
    loop {
        // A target that can't be asked now may answer later.
        let addresses = target.addresses(name).unwrap_or_default();
        if !addresses.is_empty() {
            progress.finish();
            return Ok(addresses);
        }
        if start.elapsed() >= patience || stopped.load(Ordering::Relaxed) {
            let reason = format!(
                "{name} was made and stays, but has had no address for {} seconds: its console tells why",
                patience.as_secs()
            );
            bail!(Error::Usage(reason));
        }
        thread::sleep(ASK_AGAIN);
    }
}

fn tell_plan(plan: &Plan, machine: &Machine, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        report::print_json(&json!({
            "pool": plan.pool,
            "volumes": plan.volumes.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect::<Vec<_>>(),
            "definition": plan.definition,
            "left_out": machine.left_out,
        }))?;
    } else {
        let mut text = String::new();
        for (name, bytes) in &plan.volumes {
            text.push_str(&format!(
                "{}/{}  {}\n",
                printable(&plan.pool),
                printable(name),
                size(*bytes)
            ));
        }
        for device in &machine.left_out {
            text.push_str(&format!("left out: {}\n", printable(device)));
        }
        text.push_str(&plan.definition);
        report::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
