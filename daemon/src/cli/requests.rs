//! `sync`, `suspend`, `resume`: requests of people, written on the environment's parent object for the daemon to find.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{Timestamp, Unit};
use serde_json::json;
use tidegate_core::status::SuspendedBy;

use super::exit::{Exit, Failure};
use super::options::{Global, duration, reason};
use super::person::person;
use super::target::{self, Answers, Away, TargetCluster, exit_with, say_away, unreachable};
use crate::cluster::call::CallError;
use crate::cluster::lease::{Presence, replicas};
use crate::cluster::parent::{
    Parent, ParentChange, RESUMED, REWIND, Resumption, Rewind, SUSPEND, SYNC, Suspension,
};

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
    #[arg(long, value_parser = reason)]
    pub reason: Option<String>,
}

/// Which environment to leave alone.
#[derive(Debug, clap::Args)]
pub struct SuspendArgs {
    /// The environment
    pub environment: String,
    /// Why; shown by `status`
    #[arg(long, value_parser = reason)]
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
    /// Why; kept on the parent object and logged by the daemon, shown by `status`
    #[arg(long, value_parser = reason)]
    pub reason: String,
}

/// Asks for a reconcile without waiting for the next poll.
pub async fn sync(global: &Global, args: &SyncArgs) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let mut annotations = BTreeMap::from([(SYNC.to_owned(), Some(now.to_string()))]);
    let (parents, away) = match &args.environment {
        Some(name) => {
            let (cluster, parent) = target::parent(global, name).await?;
            if let Some(commit) = &args.rewind {
                let rewind = rewind(&cluster, commit, args, seconds(now)).await?;
                annotations.insert(REWIND.to_owned(), Some(encode(&rewind)?));
            }
            (vec![(cluster, vec![parent])], Vec::new())
        }
        None => everywhere(global).await?,
    };
    let (mut asked, mut idle, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for (cluster, parent) in parents.iter().flat_map(|(cluster, all)| all.iter().map(move |it| (cluster, it)))
    {
        let name = parent.environment.to_string();
        if !is_served(cluster, parent).await {
            idle.push(name.clone());
        }
        match write(cluster, parent.clone(), &annotations, |_| Ok(())).await {
            Ok(()) => asked.push(name),
            Err(failure) => failures.push(failure),
        }
    }
    asked.sort();
    say_idle(global, &idle);
    for failure in &failures {
        global.complain(&failure.message);
    }
    say_away(global, &away);
    let text = match asked.as_slice() {
        [] => String::new(),
        asked => format!("asked for a reconcile: {}\n", asked.join(", ")),
    };
    let data = json!({
        "schema": "tidegate.sync/v1", "environments": asked, "withoutDaemon": idle, "unreachable": away,
    });
    global.print(&text, &data);
    Ok(exit_with(&away, failures.first().map_or(Exit::Ok, |failure| failure.exit)))
}

/// Every environment of every cluster that answers, and the clusters that do not.
async fn everywhere(global: &Global) -> Result<(Vec<(TargetCluster, Vec<Parent>)>, Vec<Away>), Failure> {
    let mut targets = target::clusters(global).await?;
    let Answers { found, away } = targets.ask(async |cluster| cluster.parents.list().await).await;
    let mut parents: BTreeMap<String, Vec<Parent>> =
        found.into_iter().map(|(cluster, parents)| (cluster.name.clone(), parents)).collect();
    let all = targets.clusters.drain(..).filter_map(|cluster| {
        let parents = parents.remove(&cluster.name)?;
        Some((cluster, parents))
    });
    Ok((all.collect(), away))
}

async fn rewind(
    cluster: &TargetCluster,
    commit: &str,
    args: &SyncArgs,
    at: Timestamp,
) -> Result<Rewind, Failure> {
    let commit = commit.parse().map_err(|error| Failure::new(Exit::Usage, format!("--rewind: {error}")))?;
    let reason = args.reason.clone().unwrap_or_default();
    Ok(Rewind { commit, reason, by: person(&cluster.client).await, at })
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
    let suspension = Suspension {
        reason: args.reason.clone(),
        by: person(&cluster.client).await,
        since: seconds(now),
        until: until.map(seconds),
    };
    let annotations = BTreeMap::from([(SUSPEND.to_owned(), Some(encode(&suspension)?))]);
    let served = is_served(&cluster, &parent).await;
    write(&cluster, parent, &annotations, |_| Ok(())).await?;
    if !served {
        say_idle(global, std::slice::from_ref(&args.environment));
    }
    let ends = suspension
        .until
        .map_or(format!("until `tidegate resume {}`", args.environment), |until| format!("until {until}"));
    let text = format!("{}: suspended by {} {ends}\n", args.environment, suspension.by);
    let data = json!({
        "schema": "tidegate.suspend/v1", "environment": args.environment, "suspension": suspension,
        "daemonRunning": served,
    });
    global.print(&text, &data);
    Ok(Exit::Ok)
}

/// Lifts a suspension by hand; one that stands in git stays.
pub async fn resume(global: &Global, args: &ResumeArgs) -> Result<Exit, Failure> {
    let ResumeArgs { environment, reason } = args;
    let (cluster, parent) = target::parent(global, environment).await?;
    let was = parent.suspension.clone();
    let in_git =
        parent.status.as_ref().and_then(|status| status.suspended).is_some_and(|suspended| match suspended {
            SuspendedBy::Git => true,
            SuspendedBy::Hand => false,
        });
    let Some(was) = was else {
        if in_git {
            let text = format!("{environment}: suspended in git; it is lifted only by a commit");
            return Err(Failure::new(Exit::Refused, text));
        }
        let data = json!({
            "schema": "tidegate.resume/v1", "environment": environment, "was": null, "resumption": null,
        });
        global.print(&format!("{environment}: it was not suspended\n"), &data);
        return Ok(Exit::Ok);
    };
    let resumption = Resumption {
        reason: reason.clone(),
        by: person(&cluster.client).await,
        at: seconds(Timestamp::now()),
        was: Some(was.clone()),
    };
    let annotations =
        BTreeMap::from([(SUSPEND.to_owned(), None), (RESUMED.to_owned(), Some(encode(&resumption)?))]);
    let served = is_served(&cluster, &parent).await;
    write(&cluster, parent, &annotations, |now| is_the_same(&was, now)).await?;
    if !served {
        say_idle(global, std::slice::from_ref(environment));
    }
    let mut text = format!(
        "{environment}: resumed by {} ({reason}); it was suspended by {}: {}\n",
        resumption.by, was.by, was.reason
    );
    if in_git {
        text.push_str(&format!("{environment}: it stays suspended in git until a commit lifts that\n"));
    }
    let data = json!({
        "schema": "tidegate.resume/v1", "environment": environment, "was": was, "resumption": resumption,
        "suspendedInGit": in_git, "daemonRunning": served,
    });
    global.print(&text, &data);
    Ok(if in_git { Exit::Refused } else { Exit::Ok })
}

/// Whether a daemon will see the request soon. A hint for people: true where it cannot be told.
async fn is_served(cluster: &TargetCluster, parent: &Parent) -> bool {
    match replicas(&cluster.client).await {
        Ok(replicas) => match replicas.of(parent.source.as_deref()) {
            Presence::Running(_) => true,
            Presence::Down => false,
        },
        Err(_) => true,
    }
}

fn say_idle(global: &Global, environments: &[String]) {
    if !environments.is_empty() {
        let names = environments.join(", ");
        global.complain(&format!("no daemon runs for {names}: it takes effect when one starts"));
    }
}

/// People write and read these records: no fractions.
fn seconds(time: Timestamp) -> Timestamp {
    time.round(Unit::Second).unwrap_or(time)
}

/// Whoever resumes lifts the suspension that they were told of, not one that came meanwhile.
fn is_the_same(was: &Suspension, now: &Parent) -> Result<(), Failure> {
    let name = &now.environment;
    let text = match &now.suspension {
        Some(other) if other == was => return Ok(()),
        Some(other) => format!(
            "{name}: meanwhile it was suspended anew by {}: {}; it stays so\n  help: `tidegate resume {name}` again lifts that",
            other.by, other.reason
        ),
        None => format!("{name}: meanwhile somebody else resumed it"),
    };
    Err(Failure::new(Exit::Refused, text))
}

/// Writes a request; when somebody wrote the parent in between, on top of that, if `still` has nothing against it.
async fn write(
    cluster: &TargetCluster,
    mut parent: Parent,
    annotations: &BTreeMap<String, Option<String>>,
    still: impl Fn(&Parent) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let change = ParentChange { annotations: annotations.clone(), status: None };
    for _ in 0..ATTEMPTS {
        match cluster.parents.update(&parent, &change).await {
            Ok(_) => return Ok(()),
            Err(CallError::Conflict(_)) => {
                let now = cluster.parents.read(&parent.environment).await;
                match now.map_err(|error| unreachable(&cluster.name, &error))? {
                    Some(now) => {
                        still(&now)?;
                        parent = now;
                    }
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
