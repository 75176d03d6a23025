//! The command line: one file per command. Data goes to stdout, progress and problems to stderr.

pub mod at;
pub mod completion;
pub mod diff;
pub mod events;
pub mod exit;
pub mod explain;
pub mod family;
pub mod health;
pub mod history;
pub mod ledger;
pub mod live;
pub mod log;
pub mod options;
pub mod orders;
mod owned;
pub mod person;
pub mod plan;
pub mod problems;
pub mod render;
pub mod requests;
pub mod run;
pub mod schema;
pub mod set;
pub mod show;
pub mod status;
pub mod style;
pub mod target;
pub mod tree;
pub mod troubles;
pub mod unreadable;
pub mod validate;
pub mod verify;
pub mod version;
pub mod wait;
pub mod workloads;
pub mod world;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tidegate_core::rollout::Command as Order;

use exit::{Exit, Failure};
use options::{Given, Global};
use style::Format;

/// GitOps for Kubernetes: what git says is what runs, and every change is accounted for.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: follow a repository and keep the clusters as it says
    Run(Box<run::RunArgs>),
    /// Check environments offline: syntax, schemas, references; every error with file:line:col
    Validate(validate::ValidateArgs),
    /// Print what would be sent to the cluster for an environment, byte for byte the same everywhere
    Render(render::RenderArgs),
    /// Show what a change in git would do, before it is merged: from git alone, or with --live from the clusters too
    Plan(plan::PlanArgs),
    /// Show how live objects differ from what git asks for
    Diff(diff::DiffArgs),
    /// Show where each environment stands
    Status(status::StatusArgs),
    /// Show the live objects of an environment with what they own, down to pods
    Tree(tree::TreeArgs),
    /// Show the Kubernetes Events of an environment, the newest last
    Events(events::EventsArgs),
    /// Wait until a commit or an environment is live
    Wait(wait::WaitArgs),
    /// Reconcile now, without waiting for the next poll
    Sync(requests::SyncArgs),
    /// Stop changing an environment until it is resumed
    Suspend(requests::SuspendArgs),
    /// Lift a suspension that was set by `suspend`; with ENVIRONMENT/NAME the halt of a workload's rollout
    Resume(requests::ResumeArgs),
    /// Turn a rollout down: before the switch it gets no traffic, in its bake traffic goes back
    Abort(orders::OrderArgs),
    /// End the bake of a rollout now: what is live stays
    Promote(orders::OrderArgs),
    /// Move traffic back to the colour before, while it stands by
    Rollback(orders::OrderArgs),
    /// Try a revision again that was turned down
    Retry(orders::OrderArgs),
    /// List what was changed, by the deploy log in a clone; offline
    Log(Box<log::LogArgs>),
    /// Say what ran at a time, by the deploy log in a clone; offline
    At(at::AtArgs),
    /// Show one record of the deploy log with gates, numbers, times and people; offline
    Show(show::ShowArgs),
    /// Check that nobody has altered the deploy log: every record of it, from any clone; offline
    Verify(verify::VerifyArgs),
    /// Set one value in the files of an environment, and leave everything else as it is
    Set(set::SetArgs),
    /// Say how objects in a file stand, by the rules that environments are judged by
    Health(health::HealthArgs),
    /// Say what a code of an error means, with an example and what to do; all codes without one
    Explain(explain::ExplainArgs),
    /// Print a JSON Schema: of the file that people write, for editors, or of what `plan`, `health` and `status` print
    Schema(schema::SchemaArgs),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

impl Cli {
    /// Reads the process's arguments, and where those come from that variables may give as well.
    pub fn read() -> Result<Self, clap::Error> {
        Self::read_from(std::env::args_os())
    }

    fn read_from(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let own = matches.subcommand().map_or(&matches, |(_, own)| own);
        cli.global.repo_given = Given::of(own, "repo");
        if let Command::Run(run) = &mut cli.command {
            run.follow_given = Given::of(own, "follow");
        }
        Ok(cli)
    }
}

/// Runs one command to its end.
pub async fn execute(cli: Cli) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    if global.output == Format::Csv && !matches!(command, Command::Log(_)) {
        return Err(Failure::new(
            Exit::Usage,
            "`-o csv` is for `tidegate log`; use text, json, yaml or jsonl",
        ));
    }
    match command {
        Command::Run(args) => run::run(&global, *args).await,
        Command::Validate(args) => validate::run(&global, &args).await,
        Command::Render(args) => render::run(&global, &args).await,
        Command::Plan(args) => plan::run(&global, &args).await,
        Command::Diff(args) => diff::run(&global, &args).await,
        Command::Status(args) => status::run(&global, &args).await,
        Command::Tree(args) => tree::run(&global, &args).await,
        Command::Events(args) => events::run(&global, &args).await,
        Command::Wait(args) => wait::run(&global, &args).await,
        Command::Sync(args) => requests::sync(&global, &args).await,
        Command::Suspend(args) => requests::suspend(&global, &args).await,
        Command::Resume(args) if args.environment.contains('/') => {
            let requests::ResumeArgs { environment: workload, reason } = args;
            orders::run(&global, Order::Resume, &orders::OrderArgs { workload, reason }).await
        }
        Command::Resume(args) => requests::resume(&global, &args).await,
        Command::Abort(args) => orders::run(&global, Order::Abort, &args).await,
        Command::Promote(args) => orders::run(&global, Order::Promote, &args).await,
        Command::Rollback(args) => orders::run(&global, Order::RollBack, &args).await,
        Command::Retry(args) => orders::run(&global, Order::Retry, &args).await,
        Command::Log(args) => log::run(&global, *args).await,
        Command::At(args) => at::run(&global, args).await,
        Command::Show(args) => show::run(&global, args).await,
        Command::Verify(args) => verify::run(&global, args).await,
        Command::Set(args) => set::run(&global, &args).await,
        Command::Health(args) => health::run(&global, &args),
        Command::Explain(args) => explain::run(&global, &args),
        Command::Schema(args) => Ok(schema::run(&args)),
        Command::Version => Ok(version::run(&global)),
        Command::Completion(args) => Ok(completion::run(&args)),
    }
}
