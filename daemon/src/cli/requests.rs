//! `sync`, `suspend`, `resume`: requests of people, written on the environment's parent object for the daemon to find.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::options::{Global, duration};
use super::target::{self, TargetCluster, unreachable};
use crate::cluster::call::CallError;
use crate::cluster::parent::{Parent, ParentChange, REWIND, Rewind, SUSPEND, SYNC, Suspension};

/// How often a request is written again when the daemon writes the parent at the same time.
const ATTEMPTS: u32 = 10;

/// Which environment to reconcile now.
#[derive(Debug, clap::Args)]
pub struct SyncArgs {
    /// The environment; all of them when none is named
    pub environment: Option<String>,
    /// Accept this commit although it is no descendant of the last good one (full id)
    #[arg(long, value_name = "COMMIT", requires = "reason", requires = "environment")]
    pub rewind: Option<String>,
    /// Why; kept with a --rewind
    #[arg(long)]
    pub reason: Option<String>,
}

/// Which environment to leave alone.
#[derive(Debug, clap::Args)]
pub struct SuspendArgs {
    /// The environment
    pub environment: String,
    /// Why; shown by `status`
    #[arg(long)]
    pub reason: String,
    /// Resume by itself after this time, e.g. `2h`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub span: Option<Duration>,
}

/// Which environment to work on again.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// The environment
    pub environment: String,
    /// Why
    #[arg(long)]
    pub reason: String,
}

/// Asks for a reconcile without waiting for the next poll.
pub async fn sync(global: &Global, args: &SyncArgs) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let mut annotations = BTreeMap::from([(SYNC.to_owned(), Some(now.to_string()))]);
    if let Some(commit) = &args.rewind {
        let commit =
            commit.parse().map_err(|error| Failure::new(Exit::Usage, format!("--rewind: {error}")))?;
        let reason = args.reason.clone().unwrap_or_default();
        annotations
            .insert(REWIND.to_owned(), Some(encode(&Rewind { commit, reason, by: person(), at: now })?));
    }
    let mut asked = Vec::new();
    match &args.environment {
        Some(name) => {
            let (cluster, parent) = target::parent(global, name).await?;
            write(&cluster, parent, &annotations).await?;
            asked.push(name.clone());
        }
        None => {
            for cluster in target::clusters(global).await? {
                let parents =
                    cluster.parents.list().await.map_err(|error| unreachable(&cluster.name, &error))?;
                for parent in parents {
                    asked.push(parent.environment.to_string());
                    write(&cluster, parent, &annotations).await?;
                }
            }
        }
    }
    let text = format!("asked for a reconcile: {}\n", asked.join(", "));
    global.print(&text, &json!({ "schema": "tidegate.sync/v1", "environments": asked }));
    Ok(Exit::Ok)
}

/// Stops changes to an environment.
pub async fn suspend(global: &Global, args: &SuspendArgs) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let (cluster, parent) = target::parent(global, &args.environment).await?;
    let until = match args.span {
        Some(span) => Some(
            now.checked_add(span).map_err(|error| Failure::new(Exit::Usage, format!("--for: {error}")))?,
        ),
        None => None,
    };
    let suspension = Suspension { reason: args.reason.clone(), by: person(), since: now, until };
    let annotations = BTreeMap::from([(SUSPEND.to_owned(), Some(encode(&suspension)?))]);
    write(&cluster, parent, &annotations).await?;
    let ends = until
        .map_or(format!("until `tidegate resume {}`", args.environment), |until| format!("until {until}"));
    let text = format!("{}: suspended {ends}\n", args.environment);
    let data =
        json!({ "schema": "tidegate.suspend/v1", "environment": args.environment, "suspension": suspension });
    global.print(&text, &data);
    Ok(Exit::Ok)
}

/// Lifts a suspension by hand; one that stands in git stays.
pub async fn resume(global: &Global, args: &ResumeArgs) -> Result<Exit, Failure> {
    let (cluster, parent) = target::parent(global, &args.environment).await?;
    let was = parent.suspension.clone();
    let in_git = parent.status.as_ref().is_some_and(|status| status.reason.starts_with("suspended in git"));
    if was.is_none() && in_git {
        let text = format!("{}: suspended in git; it is lifted only by a commit", args.environment);
        return Err(Failure::new(Exit::Refused, text));
    }
    let annotations = BTreeMap::from([(SUSPEND.to_owned(), None)]);
    write(&cluster, parent, &annotations).await?;
    let text = match &was {
        Some(was) => format!(
            "{}: resumed ({}); it was suspended by {}: {}\n",
            args.environment, args.reason, was.by, was.reason
        ),
        None => format!("{}: it was not suspended\n", args.environment),
    };
    let data = json!({ "schema": "tidegate.resume/v1", "environment": args.environment, "was": was, "reason": args.reason });
    global.print(&text, &data);
    Ok(Exit::Ok)
}

async fn write(
    cluster: &TargetCluster,
    mut parent: Parent,
    annotations: &BTreeMap<String, Option<String>>,
) -> Result<(), Failure> {
    let change = ParentChange { annotations: annotations.clone(), status: None };
    for _ in 0..ATTEMPTS {
        match cluster.parents.update(&parent, &change).await {
            Ok(_) => return Ok(()),
            Err(CallError::Conflict(_)) => {
                let now = cluster.parents.read(&parent.environment).await;
                match now.map_err(|error| unreachable(&cluster.name, &error))? {
                    Some(now) => parent = now,
                    None => break,
                }
            }
            Err(error) => return Err(unreachable(&cluster.name, &error)),
        }
    }
    Err(Failure::new(
        Exit::TimedOut,
        format!("{}: the daemon writes it all the time; try again", parent.environment),
    ))
}

fn encode(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// Who asks: the user's name on this machine. Not proof of who it was; the API server's audit log has that.
fn person() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "somebody".to_owned())
}
