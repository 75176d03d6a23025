//! `tidegate wait <commit|environment> --for live`: ends when it is live, or cannot become so.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tidegate_core::ids::Digest;
use tidegate_core::status::{EnvironmentStatus, State};

use super::exit::{Exit, Failure};
use super::options::Global;
use super::target::{self, TargetCluster, unreachable};
use crate::world::Target;

/// How often the record is read.
const INTERVAL: Duration = Duration::from_millis(250);

/// What to wait for.
#[derive(Debug, clap::Args)]
pub struct WaitArgs {
    /// An environment, or a commit (any name that git knows; needs `--repo`)
    pub subject: String,
    /// The state to wait for
    #[arg(long = "for", value_parser = ["live"], default_value = "live")]
    pub state: String,
    /// With a commit: only this environment
    #[arg(long)]
    pub env: Option<String>,
    /// With an environment: live at exactly this commit (needs `--repo`)
    #[arg(long)]
    pub commit: Option<String>,
}

/// The inputs that each environment must be live at; none: whatever it is at.
type Goals = BTreeMap<String, Option<Digest>>;

/// Waits; says every change of state on stderr.
pub async fn run(global: &Global, args: &WaitArgs) -> Result<Exit, Failure> {
    let clusters = target::clusters(global).await?;
    let goals = goals(global, args, &clusters).await?;
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + global.timeout;
    loop {
        let statuses = statuses(&clusters).await?;
        let mut verdicts = Vec::new();
        for (name, goal) in &goals {
            let verdict = judge(statuses.get(name), goal.as_ref());
            let line = format!("{name}: {}", verdict.text);
            // The last word is data, and goes to stdout.
            if verdict.exit.is_none() && said.get(name) != Some(&line) {
                global.say(&line);
                said.insert(name.clone(), line);
            }
            verdicts.push((name, verdict));
        }
        let end = verdicts.iter().all(|(_, verdict)| verdict.exit == Some(Exit::Ok));
        let bad = verdicts.iter().find_map(|(_, verdict)| verdict.exit.filter(|exit| *exit != Exit::Ok));
        let late = tokio::time::Instant::now() >= deadline;
        if end || bad.is_some() || late {
            let exit = if late && !end { bad.unwrap_or(Exit::TimedOut) } else { bad.unwrap_or(Exit::Ok) };
            print(global, &verdicts, exit);
            return Ok(exit);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

struct Verdict {
    text: String,
    exit: Option<Exit>,
}

fn judge(status: Option<&EnvironmentStatus>, goal: Option<&Digest>) -> Verdict {
    let Some(status) = status else {
        return Verdict { text: "not seen by a daemon yet".to_owned(), exit: None };
    };
    let text = format!("{}: {}", status.state.as_str(), status.reason);
    let here = goal.is_none_or(|goal| status.inputs.as_ref() == Some(goal));
    // A record may say "failed" about the commit before; the daemon then says so anew about this one.
    let exit = match status.state {
        State::Live if here => Some(Exit::Ok),
        State::Failed if goal.is_none() || status.rejected_inputs.as_ref() == goal || here => {
            Some(Exit::Invalid)
        }
        State::Degraded if here => Some(Exit::Failed),
        State::Suspended => Some(Exit::Refused),
        State::Live
        | State::Failed
        | State::Degraded
        | State::Applying
        | State::Progressing
        | State::Waiting
        | State::Unreachable => None,
    };
    Verdict { text, exit }
}

async fn goals(global: &Global, args: &WaitArgs, clusters: &[TargetCluster]) -> Result<Goals, Failure> {
    let is_environment = args.commit.is_some() || statuses(clusters).await?.contains_key(&args.subject);
    let commit = if is_environment { args.commit.as_deref() } else { Some(args.subject.as_str()) };
    let only = if is_environment { Some(&args.subject) } else { args.env.as_ref() };
    let Some(commit) = commit else { return Ok(Goals::from([(args.subject.clone(), None)])) };
    if global.repo.is_none() {
        let text = format!(
            "`{}` is no environment here; to wait for a commit, say --repo <path or URL>",
            args.subject
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let world = super::world::read(global, None, Some(commit)).await?;
    let known = statuses(clusters).await?;
    let goals: Goals = world
        .environments
        .values()
        .filter(|target| only.is_none_or(|only| *only == target.name))
        // One that is taken down has no record any more; there is nothing to wait for once it is gone.
        .filter(|target| !is_gone(target, &known))
        .map(|target| (target.name.clone(), Some(target.inputs.clone())))
        .collect();
    if goals.is_empty() {
        let names: Vec<&str> = world.environments.keys().map(String::as_str).collect();
        let text =
            format!("{commit} names no such environment that is still there; it has: {}", names.join(", "));
        return Err(Failure::new(Exit::Invalid, text));
    }
    Ok(goals)
}

fn is_gone(target: &Target, known: &BTreeMap<String, EnvironmentStatus>) -> bool {
    let down = target.environment.as_ref().is_ok_and(|environment| environment.decommission);
    down && !known.contains_key(&target.name)
}

async fn statuses(clusters: &[TargetCluster]) -> Result<BTreeMap<String, EnvironmentStatus>, Failure> {
    let mut found = BTreeMap::new();
    for cluster in clusters {
        let parents = cluster.parents.list().await.map_err(|error| unreachable(&cluster.name, &error))?;
        found.extend(
            parents.into_iter().filter_map(|parent| Some((parent.environment.to_string(), parent.status?))),
        );
    }
    Ok(found)
}

fn print(global: &Global, verdicts: &[(&String, Verdict)], exit: Exit) {
    let mut text = String::new();
    for (name, verdict) in verdicts {
        text.push_str(&format!("{name}: {}\n", verdict.text));
    }
    let environments: Vec<_> = verdicts
        .iter()
        .map(|(name, verdict)| json!({ "name": name, "live": verdict.exit == Some(Exit::Ok), "text": verdict.text }))
        .collect();
    let text = if global.quiet { String::new() } else { text };
    let data = json!({ "schema": "tidegate.wait/v1", "exit": exit.code(), "environments": environments });
    global.print(&text, &data);
}
