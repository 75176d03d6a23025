//! `tidegate wait <commit|environment> --for live`: ends when it is live, or cannot become so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_core::ids::{Digest, short};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::status::{EnvironmentStatus, State};
use tokio::time::Instant;

use super::exit::{Exit, Failure};
use super::history::{History, Way};
use super::options::Global;
use super::style::Style;
use super::target::{self, Away, Targets};
use super::troubles::troubles;
use crate::cluster::parent::Parent;
use crate::world::Target;

/// How often the record is read.
const INTERVAL: Duration = Duration::from_millis(250);
/// A cluster that answered no question for so long is not waited for any more, once everything else has ended.
const AWAY_PATIENCE: Duration = Duration::from_secs(30);

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

/// What each environment must be live at; none: whatever it is at.
type Goals = BTreeMap<String, Option<Arc<Target>>>;

/// What the clusters say now.
struct Reading {
    statuses: BTreeMap<String, EnvironmentStatus>,
    away: Vec<Away>,
    /// Nobody answered.
    silent: bool,
}

/// How one environment stands to its goal.
struct Verdict {
    /// The whole of it.
    text: String,
    /// In a few words, for when time is over and the whole was said already.
    brief: String,
    /// How the wait ends because of it; none while there is something to wait for.
    exit: Option<Exit>,
    /// Its cluster does not answer: us, or the daemon.
    away: bool,
}

/// Waits; says every change of state on stderr.
pub async fn run(global: &Global, args: &WaitArgs) -> Result<Exit, Failure> {
    let targets = target::clusters(global).await?;
    let (goals, mut history) = goals(global, args, &targets).await?;
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut away_since: BTreeMap<String, Instant> = BTreeMap::new();
    let begun = Instant::now();
    loop {
        let reading = read(&targets).await;
        let mut verdicts = Vec::new();
        for (name, goal) in &goals {
            let status = reading.statuses.get(name);
            let verdict = match reading.away.iter().find(|away| is_there(away, name)) {
                Some(away) if status.is_none() => {
                    out_of_reach(away, *away_since.entry(name.clone()).or_insert_with(Instant::now))
                }
                Some(_) | None => {
                    away_since.remove(name);
                    let way = way(global, status, goal.as_deref(), history.as_mut()).await;
                    judge(status, goal.as_deref(), way.as_ref())
                }
            };
            let line = format!("{name}: {}", verdict.text);
            // The last word is data, and goes to stdout.
            if verdict.exit.is_none() && said.get(name) != Some(&line) {
                global.say(&line);
                said.insert(name.clone(), line);
            }
            verdicts.push((name, verdict));
        }
        let late = begun.elapsed() >= global.timeout;
        if let Some(exit) = end(&verdicts, late) {
            print(global, &verdicts, &reading, &goals, exit);
            return Ok(exit);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// How the wait ends; none while it goes on.
fn end(verdicts: &[(&String, Verdict)], late: bool) -> Option<Exit> {
    let first = |is_it: fn(&Verdict) -> bool| {
        verdicts.iter().find(|(_, verdict)| is_it(verdict)).map(|(_, verdict)| verdict.exit)
    };
    if let Some(bad) = first(|verdict| !verdict.away && verdict.exit.is_some_and(|exit| exit != Exit::Ok)) {
        return bad;
    }
    let pending = first(|verdict| verdict.exit.is_none());
    if pending.is_some() && !late {
        return None;
    }
    let away = first(|verdict| verdict.away).map(|exit| exit.unwrap_or(Exit::OutOfReach));
    let timed_out = pending.map(|_| Exit::TimedOut);
    away.or(timed_out).or(Some(Exit::Ok))
}

fn out_of_reach(away: &Away, since: Instant) -> Verdict {
    let over = since.elapsed() >= AWAY_PATIENCE;
    Verdict {
        text: format!("its cluster is out of reach: {}: {}", away.cluster, away.reason),
        brief: "its cluster is out of reach".to_owned(),
        exit: over.then_some(away.exit),
        away: true,
    }
}

fn is_there(away: &Away, environment: &str) -> bool {
    away.environments.iter().any(|name| name == environment)
}

/// How the awaited commit stands to the one that was seen, where the record is not about the awaited one.
async fn way(
    global: &Global,
    status: Option<&EnvironmentStatus>,
    goal: Option<&Target>,
    history: Option<&mut History>,
) -> Option<Way> {
    let (status, goal, history) = (status?, goal?, history?);
    if is_about(status, &goal.inputs) {
        return None;
    }
    Some(history.way(global, &status.seen.as_ref()?.id).await)
}

/// Whether these inputs are enforced, refused, or held: what the record says is about them.
fn is_about(status: &EnvironmentStatus, inputs: &Digest) -> bool {
    status.inputs.as_ref() == Some(inputs)
        || status.rejected_inputs.as_ref() == Some(inputs)
        || is_held(status, inputs)
}

fn is_held(status: &EnvironmentStatus, inputs: &Digest) -> bool {
    status.held.as_ref().is_some_and(|held| held.inputs == *inputs)
}

fn judge(status: Option<&EnvironmentStatus>, goal: Option<&Target>, way: Option<&Way>) -> Verdict {
    let going =
        |text: String, brief: &str| Verdict { text, brief: brief.to_owned(), exit: None, away: false };
    let Some(status) = status else {
        return going("not seen by a daemon yet".to_owned(), "no daemon has seen it");
    };
    let state = format!("{}: {}", status.state.as_str(), status.reason);
    if status.state == State::Suspended {
        return Verdict { exit: Some(Exit::Refused), ..going(state, "suspended") };
    }
    let elsewhere = goal.filter(|goal| !is_about(status, &goal.inputs));
    let away = status.state == State::Unreachable;
    if let Some(goal) = elsewhere {
        let verdict = not_there(status, goal, way, &state);
        return Verdict { away: away && verdict.exit.is_none(), ..verdict };
    }
    // A hold is recorded until another commit is begun, which may wait: then it is not about what git asks for.
    let is_asked = status.problems.items.iter().any(|problem| problem.code == Code::RolledBack);
    let held = status.held.as_ref().filter(|held| goal.map_or(is_asked, |goal| goal.inputs == held.inputs));
    if let Some(held) = held {
        // Whatever becomes of the commit that is enforced in its place.
        let text = format!("{}; {}", held.outline(), held.cause());
        return Verdict { exit: Some(Exit::Failed), ..going(text, "rolled back") };
    }
    let here = goal.is_none_or(|goal| status.inputs.as_ref() == Some(&goal.inputs));
    let exit = match status.state {
        State::Live if here => Some(Exit::Ok),
        State::Failed => Some(Exit::Invalid),
        State::Degraded | State::RolledBack if here => Some(Exit::Failed),
        State::Suspended
        | State::Live
        | State::Degraded
        | State::RolledBack
        | State::Applying
        | State::Progressing
        | State::Waiting
        | State::Unreachable => None,
    };
    let brief = format!("still {}", status.state.as_str());
    Verdict { text: state, brief, exit, away }
}

/// The record is about another commit than the awaited one.
fn not_there(status: &EnvironmentStatus, goal: &Target, way: Option<&Way>, state: &str) -> Verdict {
    let commit = goal.revision.to_string();
    let seen = status.seen.as_ref().map_or_else(|| "none".to_owned(), |seen| short(&seen.id).to_owned());
    let (text, brief, exit) = match (way, rewound(status)) {
        (Some(Way::Passed(asked)), _) if asked.get(&goal.name) != Some(&goal.inputs) => {
            let text = format!(
                "{commit} was overtaken: the daemon is at {seen}, which asks for something else ({state})"
            );
            (text, "overtaken by a newer commit", Some(Exit::Failed))
        }
        (Some(Way::Aside | Way::Unknown) | None, Some(problem)) => {
            let help = problem.help.as_deref().unwrap_or_default();
            let text = format!("{commit} is not taken: {}; {help}", problem.message);
            (text, "held by a rewind", Some(Exit::Refused))
        }
        (Some(Way::Aside), None) => {
            let text = format!(
                "{commit} is not on the way of the daemon, which is at {seen}: it was pushed away by force, or is on \
                 another branch"
            );
            (text, "the commit is not on the branch", None)
        }
        // Seen, and something comes before it: the record says what.
        (Some(Way::Passed(_)), _) => (state.to_owned(), status.state.as_str(), None),
        (Some(Way::Ahead), _) => {
            let text = format!("{commit} is not seen yet; the daemon is at {seen} ({state})");
            (text, "the commit is not seen yet", None)
        }
        (Some(Way::Unknown) | None, None) => {
            let text = format!("not at {commit} yet; the daemon is at {seen} ({state})");
            (text, "at another commit", None)
        }
    };
    Verdict { text, brief: brief.to_owned(), exit, away: false }
}

/// The daemon keeps the last good commit because the branch does not contain it any more.
fn rewound(status: &EnvironmentStatus) -> Option<&Problem> {
    status.problems.items.iter().find(|problem| problem.code == Code::SourceRewound)
}

async fn goals(
    global: &Global,
    args: &WaitArgs,
    targets: &Targets,
) -> Result<(Goals, Option<History>), Failure> {
    let Reading { statuses, away, silent } = read(targets).await;
    if silent {
        let text: Vec<String> = away.iter().map(Away::text).collect();
        return Err(Failure::new(target::exit_with(&away, Exit::OutOfReach), text.join("\n")));
    }
    let known = statuses.contains_key(&args.subject) || away.iter().any(|it| is_there(it, &args.subject));
    let is_environment = args.commit.is_some() || known;
    let commit = if is_environment { args.commit.as_deref() } else { Some(args.subject.as_str()) };
    let only = if is_environment { Some(&args.subject) } else { args.env.as_ref() };
    let Some(commit) = commit else { return Ok((Goals::from([(args.subject.clone(), None)]), None)) };
    if global.repo.is_none() {
        let text = format!(
            "`{}` is no environment here; to wait for a commit, say --repo <path or URL>",
            args.subject
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let (history, world) = History::open(global, commit).await?;
    let goals: Goals = world
        .environments
        .values()
        .filter(|target| only.is_none_or(|only| *only == target.name))
        // One that is taken down has no record any more; there is nothing to wait for once it is gone.
        .filter(|target| !is_gone(target, &statuses))
        .map(|target| (target.name.clone(), Some(target.clone())))
        .collect();
    if goals.is_empty() {
        let names: Vec<&str> = world.environments.keys().map(String::as_str).collect();
        let text =
            format!("{commit} names no such environment that is still there; it has: {}", names.join(", "));
        return Err(Failure::new(Exit::Invalid, text));
    }
    Ok((goals, history))
}

fn is_gone(target: &Target, known: &BTreeMap<String, EnvironmentStatus>) -> bool {
    let down = target.environment.as_ref().is_ok_and(|environment| environment.decommission);
    down && !known.contains_key(&target.name)
}

async fn read(targets: &Targets) -> Reading {
    let answers = targets.ask(async |cluster| cluster.parents.list().await).await;
    let silent = answers.found.is_empty();
    let mut statuses = BTreeMap::new();
    for (cluster, parents) in answers.found {
        for Parent { environment, status, .. } in parents {
            let Some(status) = status else { continue };
            let name = environment.to_string();
            // One that was moved has left a record in the cluster of before: where git puts it counts.
            if cluster.holds(&name) || !statuses.contains_key(&name) {
                statuses.insert(name, status);
            }
        }
    }
    Reading { statuses, away: answers.away, silent }
}

fn print(global: &Global, verdicts: &[(&String, Verdict)], reading: &Reading, goals: &Goals, exit: Exit) {
    let style = global.style();
    let mut text = String::new();
    let mut environments = Vec::new();
    for (name, verdict) in verdicts {
        let status = reading.statuses.get(*name);
        let seconds = global.timeout.as_secs();
        match verdict.exit {
            Some(_) => text.push_str(&format!("{name}: {}\n", verdict.text)),
            // The whole of it was the last line on stderr.
            None if exit == Exit::TimedOut => {
                text.push_str(&format!("{name}: not live after {seconds} s: {}\n", verdict.brief));
            }
            None => text.push_str(&format!("{name}: not live: {}\n", verdict.brief)),
        }
        if let (Some(status), true) = (status, verdict.exit != Some(Exit::Ok)) {
            text.push_str(&details(status, goals.get(*name).and_then(Option::as_deref), style));
        }
        environments.push(json!({
            "name": name, "live": verdict.exit == Some(Exit::Ok), "text": verdict.text,
            "state": status.map(|status| status.state),
            "problems": status.map(|status| &status.problems), "objects": status.map(|status| &status.objects),
        }));
    }
    let text = if global.quiet { String::new() } else { text };
    let data = json!({
        "schema": "tidegate.wait/v1", "exit": exit.code(), "environments": environments,
        "unreachable": reading.away,
    });
    global.print(&text, &data);
}

/// What holds it up, with the lines of the files that it is about.
fn details(status: &EnvironmentStatus, goal: Option<&Target>, style: Style) -> String {
    let files = goal.filter(|goal| is_about(status, &goal.inputs)).map(|goal| goal.files.as_ref());
    troubles(status, files, style)
}

#[cfg(test)]
mod tests {
    use tidegate_core::rollback::Held;
    use tidegate_core::status::Listed;

    use super::*;
    use crate::source::{Partial, Revision};
    use crate::world::World;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// What a commit asks of `dev`.
    fn goal() -> Arc<Target> {
        let mut partial = Partial::default();
        let file = "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {name: dev}\n";
        partial.snapshot.tree.insert("environments/dev/environment.yaml", file.as_bytes());
        let revision = Revision::Commit(COMMIT.parse().expect("an id"));
        World::new(revision, None, partial).environments.remove("dev").expect("it has a folder")
    }

    /// A record of `dev` that is about other inputs than the goal's.
    fn waiting() -> EnvironmentStatus {
        let now = "2026-11-21T16:00:00Z";
        serde_json::from_value(json!({
            "schema": "tidegate.environment/v1", "environment": "dev", "cluster": "c", "replica": "r", "state": "waiting",
            "reason": "`staging` must be live first", "since": now, "updated": now,
            "seen": { "id": COMMIT, "subject": "s", "author": "Ada", "time": now },
            "counts": {
                "objects": 0, "healthy": 0, "progressing": 0, "degraded": 0, "unknown": 0, "waiting": 0, "failed": 0,
            },
        }))
        .expect("a record")
    }

    #[test]
    fn a_commit_that_was_seen_and_waits_for_others_is_not_called_unseen() {
        let goal = goal();
        let asked = BTreeMap::from([("dev".to_owned(), goal.inputs.clone())]);
        let verdict = judge(Some(&waiting()), Some(&goal), Some(&Way::Passed(asked)));
        assert_eq!(verdict.text, "waiting: `staging` must be live first");
        assert_eq!(verdict.exit, None);
        let ahead = judge(Some(&waiting()), Some(&goal), Some(&Way::Ahead));
        assert!(ahead.text.starts_with("0123456 is not seen yet"), "{}", ahead.text);
        let overtaken = judge(Some(&waiting()), Some(&goal), Some(&Way::Passed(BTreeMap::new())));
        assert_eq!(overtaken.exit, Some(Exit::Failed));
    }

    #[test]
    fn a_hold_ends_a_wait_for_whatever_is_asked_only_while_it_is_about_that() {
        let now = "2026-11-21T16:00:00Z";
        let inputs = "0".repeat(64);
        let held: Held = serde_json::from_value(json!({
            "commit": { "id": COMMIT, "subject": "s", "author": "Ada", "time": now }, "inputs": inputs, "since": now,
            "to": { "commit": COMMIT, "inputs": inputs }, "because": { "total": 0, "items": [] },
        }))
        .expect("a hold");
        let problems = Listed::all(vec![held.problem()]);
        let waits = EnvironmentStatus { held: Some(Box::new(held)), ..waiting() };
        assert_eq!(judge(Some(&waits), None, None).exit, None, "another commit waits to be begun");
        let held = EnvironmentStatus { problems, ..waits };
        assert_eq!(judge(Some(&held), None, None).exit, Some(Exit::Failed));
    }

    #[test]
    fn an_api_server_that_does_not_answer_the_daemon_is_waited_for_and_called_out_of_reach() {
        let (goal, name) = (goal(), "dev".to_owned());
        for inputs in [None, Some(goal.inputs.clone())] {
            let status = EnvironmentStatus { state: State::Unreachable, inputs, ..waiting() };
            for goal in [None, Some(goal.as_ref())] {
                let verdict = judge(Some(&status), goal, None);
                assert_eq!(verdict.exit, None, "{}", verdict.text);
                let verdicts = [(&name, verdict)];
                assert_eq!((end(&verdicts, false), end(&verdicts, true)), (None, Some(Exit::OutOfReach)));
            }
        }
    }

    #[test]
    fn a_cluster_out_of_reach_ends_the_wait_only_after_everything_else() {
        let name = "dev".to_owned();
        let verdict = |exit, away| (&name, Verdict { text: String::new(), brief: String::new(), exit, away });
        let far = || verdict(Some(Exit::OutOfReach), true);
        assert_eq!(end(&[far(), verdict(None, false)], false), None);
        assert_eq!(end(&[far(), verdict(Some(Exit::Ok), false)], false), Some(Exit::OutOfReach));
        assert_eq!(end(&[far(), verdict(Some(Exit::Invalid), false)], false), Some(Exit::Invalid));
        assert_eq!(end(&[verdict(None, true), verdict(None, false)], true), Some(Exit::OutOfReach));
        assert_eq!(end(&[verdict(None, false)], true), Some(Exit::TimedOut));
        assert_eq!(end(&[verdict(Some(Exit::Ok), false)], false), Some(Exit::Ok));
    }
}
