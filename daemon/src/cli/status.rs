//! `tidegate status`: where each environment stands. Needs only the cluster; a daemon that is down is said to be down,
//! and the live objects are then asked directly.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_core::health::{Health, HealthState};
use tidegate_core::rollback::Held;
use tidegate_core::standing::MAX_ANEW;
use tidegate_core::status::{Anew, EnvironmentStatus, ObjectCounts, State};

use super::exit::{Exit, Failure};
use super::live;
use super::options::{Global, print};
use super::style::{Format, Style, Tone};
use super::target::{self, Answers, Away, TargetCluster, exit_with, say_away};
use super::troubles::troubles;
use super::unreadable::{self, Named};
use super::workloads;
use crate::cluster::call::CallError;
use crate::cluster::lease::{Presence, replicas};
use crate::cluster::parent::{Parent, Resumption};

/// How often `--watch` reads.
const INTERVAL: Duration = Duration::from_millis(500);

/// Characters of a commit's subject in the table, whose lines fit into 80 columns.
const SUBJECT: usize = 32;

/// What `--help` says of how it exits.
const EXITS: &str = "Exit codes:
  0   shown, whatever the states are; `tidegate wait` exits by a state
  2   there is no such environment
  5   a cluster (or git) is out of reach; what answers is shown
  6   a cluster does not let us in; the rest is shown
  64  wrong usage";

/// What to show.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub struct StatusArgs {
    /// The environment, with everything that is known of it; all of them in short when none is named
    pub environment: Option<String>,
    /// Go on, and print every change
    #[arg(long, short)]
    pub watch: bool,
}

/// One environment as it is shown.
struct Shown {
    parent: Parent,
    daemon: Presence,
    live: Option<Health>,
}

/// Prints once, or with `--watch` at every change until the time is over.
pub async fn run(global: &Global, args: &StatusArgs) -> Result<Exit, Failure> {
    let targets = target::clusters(global).await?;
    let deadline = tokio::time::Instant::now() + global.timeout;
    let mut before = Value::Null;
    let mut said = Vec::new();
    loop {
        let Answers { found, mut away } = targets.ask(async |cluster| read(args, cluster).await).await;
        // Where no cluster answers from the start, the flags are wrong more often than a cluster is about to come back.
        let nobody = found.is_empty() && before.is_null();
        let (shown, named): (Vec<_>, Vec<_>) = found.into_iter().map(|(_, read)| read).unzip();
        let mut shown: Vec<Shown> = shown.into_iter().flatten().collect();
        let named: Named = named.into_iter().flatten().collect();
        let none = shown.is_empty() && named.is_empty();
        shown.sort_by(|a, b| a.parent.environment.cmp(&b.parent.environment));
        if args.environment.is_some() && !none {
            // Everything that was asked for is there.
            away.clear();
        }
        if let (true, Some(name)) = (none && before.is_null(), &args.environment) {
            return Err(target::unknown(&targets, name, away).await);
        }
        // By what is recorded, not by the text: that says how long ago, and would change every second.
        let data = data(&shown, &named, &away);
        if data != before {
            if args.watch && global.output == Format::Text && !before.is_null() {
                print("\n");
            }
            let text =
                if none && !away.is_empty() { String::new() } else { text(global, args, &shown, &named) };
            global.print(&text, &data);
            before = data;
        }
        if away != said {
            say_away(global, &away);
            said.clone_from(&away);
        }
        if !args.watch || nobody || tokio::time::Instant::now() >= deadline {
            return Ok(exit_with(&away, Exit::Ok));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn read(args: &StatusArgs, cluster: &TargetCluster) -> Result<(Vec<Shown>, Named), CallError> {
    let replicas = replicas(&cluster.client).await?;
    let mut shown = Vec::new();
    for parent in cluster.parents.list().await? {
        if args.environment.as_ref().is_some_and(|name| name != parent.environment.as_str()) {
            continue;
        }
        let daemon = replicas.of(parent.source.as_deref());
        let ask = daemon == Presence::Down || args.environment.is_some();
        let live = if ask { Some(ask_health(cluster, &parent).await?) } else { None };
        shown.push(Shown { parent, daemon, live });
    }
    Ok((shown, unreadable::read(cluster, args.environment.as_deref()).await?))
}

/// The live health; an environment whose inventory cannot be read does not keep the others from being shown.
async fn ask_health(cluster: &TargetCluster, parent: &Parent) -> Result<Health, CallError> {
    match live::health(cluster, parent).await {
        Err(error) if error.is_transient() && !matches!(error, CallError::Server(_)) => Err(error),
        Err(error) => Ok(Health { state: HealthState::Unknown, reason: error.to_string() }),
        Ok(health) => Ok(health),
    }
}

fn text(global: &Global, args: &StatusArgs, shown: &[Shown], named: &Named) -> String {
    let style = global.style();
    if shown.is_empty() && named.is_empty() {
        return "no environments: no daemon has recorded any in this cluster yet\n".to_owned();
    }
    let mut text = if shown.is_empty() { String::new() } else { table(shown, style) };
    for shown in shown {
        text.push_str(&details(shown, args.environment.is_some(), style));
    }
    text.push_str(&unreadable::text(named, style));
    let daemons: BTreeSet<String> = shown.iter().map(|shown| daemon_line(&shown.daemon, style)).collect();
    text.push('\n');
    for line in &daemons {
        text.push_str(line);
    }
    text
}

fn daemon_line(daemon: &Presence, style: Style) -> String {
    match daemon {
        Presence::Running(replicas) => format!("daemon: running ({})\n", replicas.join(", ")),
        Presence::Down => {
            let word = style.paint(Tone::Bad, "not running");
            format!(
                "daemon: {word}; the states above are what it recorded last, the live health is asked now\n"
            )
        }
    }
}

fn table(shown: &[Shown], style: Style) -> String {
    let mut text = format!(
        "{:<16} {:<14} {:<9} {:<SUBJECT$} {}\n",
        "ENVIRONMENT", "STATE", "COMMIT", "SUBJECT", "SINCE"
    );
    for Shown { parent, daemon: _, live: _ } in shown {
        let Some(status) = &parent.status else {
            text.push_str(&format!("{:<16} {}\n", parent.environment, "no record yet"));
            continue;
        };
        let (tone, mark) = mark(status.state, style);
        let state = style.paint(tone, &format!("{:<14}", format!("{mark} {}", status.state.as_str())));
        let commit = status.applied.as_ref().or(status.seen.as_ref());
        let id = commit.map(|commit| short(&commit.id)).unwrap_or_default();
        let subject = commit.map(|commit| cut(&commit.subject)).unwrap_or_default();
        let since = ago(status.since);
        text.push_str(&format!(
            "{:<16} {state} {id:<9} {subject:<SUBJECT$} {since}\n",
            parent.environment.to_string()
        ));
    }
    text
}

/// A commit's subject, as much of it as fits.
fn cut(subject: &str) -> String {
    if subject.chars().count() <= SUBJECT {
        return subject.to_owned();
    }
    subject.chars().take(SUBJECT - 1).chain(['…']).collect()
}

fn details(shown: &Shown, full: bool, style: Style) -> String {
    let Some(status) = &shown.parent.status else { return String::new() };
    let quiet = status.state == State::Live && !full && status.drift.is_empty() && shown.live.is_none();
    if quiet {
        return String::new();
    }
    let mut text =
        format!("\n{}: {}\n", style.paint(Tone::Strong, status.environment.as_str()), status.reason);
    if let Some(next) = &status.next {
        text.push_str(&format!("  next: {next}\n"));
    }
    // Where all objects are workloads in colours, which are told below, there is nothing else to say of them.
    let all_coloured = status.counts.objects == 0 && !status.workloads.is_empty();
    if let Some(live) = shown.live.as_ref().filter(|_| !all_coloured) {
        let (tone, mark) = style.health(live.state);
        text.push_str(&format!("  live now: {} {}\n", style.paint(tone, mark), live.reason));
    }
    if full {
        text.push_str(&facts(status));
        if let Some(Resumption { reason, by, at, was: _ }) = &shown.parent.resumed {
            text.push_str(&format!("  last resumed {} ago by {by}: {reason}\n", ago(*at)));
        }
    }
    text.push_str(&workloads::text(&status.workloads, full, style));
    text.push_str(&troubles(status, None, style));
    text.push_str(&drift(status, if full { usize::MAX } else { 3 }));
    for foreign in status.foreign.items.iter().take(if full { usize::MAX } else { 3 }) {
        text.push_str(&format!(
            "  foreign field {} {} by {}\n",
            foreign.object, foreign.field.path, foreign.field.manager
        ));
    }
    text
}

fn facts(status: &EnvironmentStatus) -> String {
    let EnvironmentStatus {
        cluster,
        replica,
        seen,
        applied,
        held,
        counts,
        unchecked,
        unwatched,
        times,
        plan_id,
        ..
    } = status;
    let mut text = format!("  cluster: {cluster}\n  replica: {replica}\n");
    for (word, commit) in [("seen", seen), ("applied", applied)] {
        if let Some(commit) = commit {
            text.push_str(&format!(
                "  {word}: {} \"{}\" by {}\n",
                short(&commit.id),
                commit.subject,
                commit.author
            ));
        }
    }
    if let Some(Held { commit, since, to, .. }) = held.as_deref() {
        let (id, subject, author) = (short(&commit.id), &commit.subject, &commit.author);
        let since = ago(*since);
        text.push_str(&format!("  held: {id} \"{subject}\" by {author}, for {since}; {to} in its place\n"));
    }
    text.push_str(&objects(counts));
    if let (Some(seen), Some(live)) = (times.seen, times.live) {
        let seconds = live.duration_since(seen).as_secs_f64();
        text.push_str(&format!("  live {seconds:.1} s after it was seen\n"));
    }
    if let Some(Anew { since, count }) = times.anew.filter(|_| times.live.is_none()) {
        let since = ago(since);
        text.push_str(&format!(
            "  deadline: began anew {since} ago, because nobody had looked ({count} of {MAX_ANEW} times)\n"
        ));
    }
    if let Some(plan_id) = plan_id {
        text.push_str(&format!("  plan: {}\n", plan_id.as_str().get(..12).unwrap_or_default()));
    }
    if !unchecked.is_empty() {
        text.push_str(&format!("  not checked against a schema: {}\n", unchecked.join(", ")));
    }
    if !unwatched.is_empty() {
        let kinds = unwatched.join(", ");
        text.push_str(&format!("  may not be watched, so that drift is seen every 10 min only: {kinds}\n"));
    }
    text
}

fn objects(counts: &ObjectCounts) -> String {
    let ObjectCounts { objects, healthy, progressing, degraded, unknown, waiting, failed } = counts;
    let all = [
        (healthy, "healthy"),
        (progressing, "progressing"),
        (degraded, "degraded"),
        (unknown, "unknown"),
        (waiting, "waiting"),
        (failed, "refused"),
    ];
    let some: Vec<String> =
        all.iter().filter(|(count, _)| **count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let some = if some.is_empty() { String::new() } else { format!(" ({})", some.join(", ")) };
    format!("  objects: {objects}{some}\n")
}

fn drift(status: &EnvironmentStatus, count: usize) -> String {
    let mut text = String::new();
    for stands in status.drifted.items.iter().take(count) {
        let who = stands.manager.as_deref().unwrap_or("somebody");
        text.push_str(&format!(
            "  drift seen {} ago, not repaired: {} changed by {who}\n",
            ago(stands.seen),
            stands.object
        ));
        for change in &stands.changes {
            text.push_str(&format!("    {change}\n"));
        }
    }
    for repair in status.drift.iter().take(count) {
        let who = repair.manager.as_deref().unwrap_or("somebody");
        let when = repair.repaired.map(ago).unwrap_or_default();
        text.push_str(&format!("  drift repaired {when} ago: {} changed by {who}\n", repair.object));
        for change in &repair.changes {
            text.push_str(&format!("    {change}\n"));
        }
    }
    text
}

fn mark(state: State, style: Style) -> (Tone, &'static str) {
    match state {
        State::Live => style.health(HealthState::Healthy),
        State::Applying | State::Progressing => style.health(HealthState::Progressing),
        State::Degraded | State::RolledBack | State::Failed | State::Unreachable => {
            style.health(HealthState::Degraded)
        }
        State::Suspended | State::Waiting => style.health(HealthState::Suspended),
    }
}

fn short(id: &str) -> String {
    id.chars().take(if id.starts_with("uncommitted-") { 19 } else { 7 }).collect()
}

fn ago(time: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(time).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn data(shown: &[Shown], named: &Named, away: &[Away]) -> Value {
    let environments: Vec<Value> = shown
        .iter()
        .map(|Shown { parent, daemon, live }| {
            let running = match daemon {
                Presence::Running(_) => true,
                Presence::Down => false,
            };
            json!({
                "name": parent.environment, "status": parent.status, "suspension": parent.suspension,
                "resumption": parent.resumed, "daemonRunning": running, "liveHealth": live,
            })
        })
        .collect();
    let unreadable: Vec<_> = named.values().collect();
    json!({
        "schema": "tidegate.status/v1", "environments": environments, "unreadable": unreadable, "unreachable": away,
    })
}
