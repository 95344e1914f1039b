//! The command line of `vcc` outside PID 1: the parts that it plays, the verbs for administrators, and the three names by which a
//! machine is stopped. Each verb is a file of this folder.

mod audit;
mod authority;
mod backup;
mod bundle;
mod catalog;
mod cloud;
#[cfg(feature = "manual")]
mod completions;
mod config;
mod events;
mod login;
mod logout;
#[cfg(feature = "manual")]
mod man;
mod node;
mod policy;
mod pull;
mod push;
mod reset_password;
mod restore;
mod service;
mod setup;
mod status;
mod stop;
mod subscription;
mod support_bundle;
mod task;
mod tenant;
mod token;
mod transfer;
mod trust;
mod up;
mod user;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::admin::{Connector, Output, Result, Target};
use crate::error::{Error, Kind};
use crate::role::Role;

pub(crate) use stop::stop_signal;

/// The connector between clouds: keeps, moves and verifies virtual appliances
///
/// It runs inside its own appliance, where the machine starts it, and as an ordinary service; and it is the command line for the
/// administrators of such services.
#[derive(Debug, Parser)]
#[command(name = "vcc", version, max_term_width = 100, after_help = FIRST_STEPS)]
struct Cli {
    /// Print results, and errors, as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    verb: Verb,
}

const FIRST_STEPS: &str = "\
First steps:
  vcc up                                                 try it: a server and two nodes on this machine
  vcc server --state /var/lib/vcc --listen '[::]:8443'   run it, or start its appliance
  vcc setup server:8443 --name root                      make the first administrator, and log in
  vcc status                                             who am I, and is all well
  vcc node code                                          a code by which one node comes
  vcc node approve NAME                                  take it in
  vcc backup --state /var/lib/vcc /backup/vcc.tar        keep a copy; vcc restore puts it back

Scripts do without a session:
  vcc --server server:8443 --ca-file ca.pem --token-file token node list --json

Exit codes:
  0  done
  1  refused: by the connector, by you when asked, or a connector that is not the one that is known; a task that failed,
     or a version that a node refused
  2  wrong usage, nobody is logged in, or a file, a connection, a transfer or the connector failed";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run as the server, which keeps the catalog and orders the work of its nodes
    Server(service::Arguments),
    /// Run as a node, which sits beside a cloud's manager and moves packages in and out of it; or see to a server's nodes
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Node(node::Arguments),
    /// Run as a service provider's gateway for the nodes of its tenants
    Sp(service::Arguments),
    /// Run a server and two nodes, each in a cloud of its own, on this machine: to try everything out
    Up(up::Up),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    Setup(setup::Arguments),
    ResetPassword(reset_password::Arguments),
    Login(login::Arguments),
    Logout(logout::Arguments),
    Status(status::Arguments),
    #[command(subcommand)]
    User(user::Verb),
    #[command(subcommand)]
    Tenant(tenant::Verb),
    #[command(subcommand)]
    Token(token::Verb),
    #[command(subcommand)]
    Authority(authority::Verb),
    #[command(subcommand)]
    Catalog(catalog::Verb),
    Push(push::Arguments),
    Pull(pull::Arguments),
    #[command(subcommand)]
    Trust(trust::Verb),
    #[command(subcommand)]
    Policy(policy::Verb),
    #[command(subcommand)]
    Cloud(cloud::Verb),
    #[command(subcommand)]
    Config(config::Verb),
    #[command(subcommand)]
    Task(task::Verb),
    #[command(subcommand)]
    Transfer(transfer::Verb),
    #[command(subcommand)]
    Bundle(bundle::Verb),
    #[command(subcommand)]
    Subscription(subscription::Verb),
    Events(events::Arguments),
    #[command(subcommand)]
    Audit(audit::Verb),
    SupportBundle(support_bundle::Arguments),
    #[cfg(feature = "manual")]
    Completions(completions::Arguments),
    #[cfg(feature = "manual")]
    Man(man::Arguments),
}

/// What a verb is called with, beside its own arguments.
struct Call {
    output: Output,
    target: Target,
}

impl Call {
    /// The connector that is meant.
    async fn connector(&self) -> Result<Connector> {
        self.target.connector().await
    }
}

/// Does what the arguments, the program's name first, ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    if let Some(signal) = name.and_then(|name| stop_signal(name.to_str()?)) {
        return stop::stop(signal);
    }
    match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.run(),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

impl Cli {
    fn run(self) -> ExitCode {
        let call = Call {
            output: Output { json: self.json },
            target: self.target,
        };
        match self.verb {
            Verb::Server(arguments) => arguments.run(Role::Server),
            Verb::Sp(arguments) => arguments.run(Role::Sp),
            Verb::Up(arguments) => up::run(&arguments, self.json),
            Verb::Node(arguments) => match arguments.split() {
                Ok(verb) => ask(&call, verb.run(&call)),
                Err(arguments) => arguments.run(Role::Node),
            },
            Verb::Backup(arguments) => ask(&call, arguments.run(&call)),
            Verb::Restore(arguments) => ask(&call, arguments.run(&call)),
            Verb::Setup(arguments) => ask(&call, arguments.run(&call)),
            Verb::ResetPassword(arguments) => ask(&call, arguments.run(&call)),
            Verb::Login(arguments) => ask(&call, arguments.run(&call)),
            Verb::Logout(arguments) => ask(&call, arguments.run(&call)),
            Verb::Status(arguments) => ask(&call, arguments.run(&call)),
            Verb::User(verb) => ask(&call, verb.run(&call)),
            Verb::Tenant(verb) => ask(&call, verb.run(&call)),
            Verb::Token(verb) => ask(&call, verb.run(&call)),
            Verb::Authority(verb) => ask(&call, verb.run(&call)),
            Verb::Catalog(verb) => ask(&call, verb.run(&call)),
            Verb::Push(arguments) => ask(&call, arguments.run(&call)),
            Verb::Pull(arguments) => ask(&call, arguments.run(&call)),
            Verb::Trust(verb) => ask(&call, verb.run(&call)),
            Verb::Policy(verb) => ask(&call, verb.run(&call)),
            Verb::Cloud(verb) => ask(&call, verb.run(&call)),
            Verb::Config(verb) => ask(&call, verb.run(&call)),
            Verb::Task(verb) => ask(&call, verb.run(&call)),
            Verb::Transfer(verb) => ask(&call, verb.run(&call)),
            Verb::Bundle(verb) => ask(&call, verb.run(&call)),
            Verb::Subscription(verb) => ask(&call, verb.run(&call)),
            Verb::Events(arguments) => ask(&call, arguments.run(&call)),
            Verb::Audit(verb) => ask(&call, verb.run(&call)),
            Verb::SupportBundle(arguments) => ask(&call, arguments.run(&call)),
            #[cfg(feature = "manual")]
            Verb::Completions(arguments) => ask(&call, arguments.run()),
            #[cfg(feature = "manual")]
            Verb::Man(arguments) => ask(&call, arguments.run()),
        }
    }
}

/// Carries a verb out, and tells of what keeps it from being done.
fn ask(call: &Call, verb: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Error::new(Kind::Io, "runtime", "cannot start").because(error));
    let done = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(verb));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(call.output.json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_state_directory_is_asked_for_and_a_bad_address_refused() {
        for arguments in [
            &["vcc", "node"][..],
            &["vcc", "node", "--state", "/s", "--listen", "localhost:443"],
            &["vcc", "node", "--state", "/s", "--heartbeat-fd", "-1"],
            &["vcc", "node", "--state", "/s", "list"],
            &["vcc", "manager", "--state", "/s"],
        ] {
            assert!(Cli::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
        for arguments in [
            &["vcc", "sp", "--state", "/s"][..],
            &["vcc", "node", "--state", "/s"],
            &["vcc", "node", "list"],
        ] {
            assert!(Cli::try_parse_from(arguments).is_ok(), "{arguments:?}");
        }
    }
}
