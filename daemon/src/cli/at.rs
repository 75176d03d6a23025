//! `tidegate at TIME`: what ran then, by the deploy log.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_core::ids::short;
use tidegate_core::ledger::{AppState, At, Change, Image, Record, summary, version};
use tidegate_core::review::visible::visible;

use super::exit::{Exit, Failure};
use super::ledger::sheet::person;
use super::ledger::{Ledger, brief, in_time, moment, title, unreadable, utc};
use super::options::Global;
use super::style::{Style, Tone};
use crate::ledger::{Log, RanAt, Store, StoreError, at};

/// The people behind what ran are looked for in so many records before the time; who stands further back is found by `show`.
const LOOKED_THROUGH: usize = 5_000;

/// What `--help` says of times and of how it exits.
const EXITS: &str = "Reads a clone, without a cluster or a daemon: the one that we are in, or what --repo names.
`tidegate verify` says whether the log is what was written.

Times: `2026-09-03 14:00`, `2026-09-03T14:00Z`, `2026-09-03 14:00 Europe/Berlin`, `yesterday`, `monday`, `2h`, `3 days ago`, `now`;
of a minute or a day its end is meant

Exit codes:
  0   shown, also where nothing ran
  2   there is no log of that environment
  5   there is no clone, no log in it, or it cannot be read
  64  wrong usage, e.g. a time that is none";

/// Which time, and of which environment.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub struct AtArgs {
    /// The time
    #[arg(required = true, num_args = 1..)]
    pub time: Vec<String>,
    /// Only this environment; CLUSTER/ENVIRONMENT where several clusters have one of that name [default: all]
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<String>,
}

/// What ran in one environment, and what is to be known of its log.
struct Shown<'a> {
    log: &'a Log,
    answer: RanAt,
    /// Who changed what in git, by the number of the record.
    changes: BTreeMap<u64, Change>,
    /// The newest record of the clone.
    newest: Option<Record>,
}

/// Asks and prints.
pub async fn run(global: &Global, args: AtArgs) -> Result<Exit, Failure> {
    // `at 3 Sep 2026 2pm` needs no quotes.
    let time = moment(global, "the time", &args.time.join(" "))?.end;
    in_time(global, move |global| answer(global, args.env.as_deref(), time)).await
}

fn answer(global: &Global, environment: Option<&str>, time: Timestamp) -> Result<Exit, Failure> {
    let clone = Ledger::open(global)?;
    let style = global.error_style();
    let mut shown = Vec::new();
    for log in clone.select(global, environment)? {
        let answer = at(&clone.store, log, time).map_err(|error| unreadable(style, &error))?;
        let newest = clone.store.back(log).and_then(|mut back| back.next().transpose());
        let newest = newest.and_then(|step| step.map(|step| step.told()).transpose());
        let newest = newest.map_err(|error| unreadable(style, &error))?.map(|told| told.record);
        let changes = changes(&clone.store, &answer).map_err(|error| unreadable(style, &error))?;
        shown.push(Shown { log, answer, changes, newest });
    }
    let texts: Vec<String> = shown.iter().map(|shown| text(shown, time, global.style())).collect();
    let data: Vec<Value> = shown.iter().map(data).collect();
    global
        .print(&texts.join("\n"), &json!({ "schema": "tidegate.at/v1", "time": time, "environments": data }));
    Ok(Exit::Ok)
}

/// Who changed what runs, as the records say that brought it in.
fn changes(store: &Store, answer: &RanAt) -> Result<BTreeMap<u64, Change>, StoreError> {
    let RanAt { at, commit } = answer;
    let mut found = BTreeMap::new();
    let mut wanted: BTreeSet<u64> = at.state.apps().map(|app| app.seq).collect();
    for record in &at.under_way {
        if wanted.remove(&record.seq) {
            found.extend(record.outcome.change.clone().map(|change| (record.seq, change)));
        }
    }
    let back = commit.map(|commit| store.back_from(commit)).into_iter().flatten();
    for step in back.take(LOOKED_THROUGH) {
        if wanted.is_empty() {
            break;
        }
        let step = step?;
        if step.glance().is_none_or(|glance| wanted.contains(&glance.seq)) {
            let record = step.told()?.record;
            if wanted.remove(&record.seq) {
                found.extend(record.outcome.change.map(|change| (record.seq, change)));
            }
        }
    }
    Ok(found)
}

/// ` (#801, Raj Patel; approved by Jane Doe)`.
fn people(change: &Change) -> String {
    let pull_request = change.pr.as_ref().map(|pr| format!("{pr}, ")).unwrap_or_default();
    let approvers: Vec<&str> = change.approvers.items.iter().map(|name| person(name)).collect();
    let approved =
        if approvers.is_empty() { String::new() } else { format!("; approved by {}", approvers.join(", ")) };
    visible(&format!(" ({pull_request}{}{approved})", person(&change.author)))
}

fn text(shown: &Shown<'_>, time: Timestamp, style: Style) -> String {
    let Shown { log, answer: RanAt { at, commit }, changes, newest } = shown;
    let At { state, last, under_way } = at;
    let mut text = format!("{} at {}\n", style.paint(Tone::Strong, &title(log)), utc(time));
    let names: Vec<String> = state.apps().map(|app| app.app.to_string()).collect();
    let versions: Vec<String> = state.apps().map(|app| visible(&version(&app.running))).collect();
    let longest = |words: &[String]| words.iter().map(|word| word.chars().count()).max().unwrap_or(0);
    let (wide, broad) = (longest(&names), longest(&versions));
    for ((app, name), version) in state.apps().zip(&names).zip(&versions) {
        let commit = visible(short(&app.running.commit));
        let who = changes.get(&app.seq).map(people).unwrap_or_default();
        text.push_str(&format!(
            "  {name:<wide$}  {version:<broad$}  commit {commit:<7}{who}  since {}  record #{}\n",
            utc(app.since),
            app.seq
        ));
        text.push_str(&details(app, style));
    }
    if names.is_empty() {
        text.push_str("  nothing that the log knows of\n");
    }
    for record in under_way {
        let what = visible(&summary(record));
        let ended = utc(record.outcome.times.finished);
        text.push_str(&format!("  under way: #{} {what} (ended {ended})\n", record.seq));
    }
    text.push_str(&source(log, last.as_ref(), *commit, newest.as_ref(), time));
    text
}

/// What was said of images and models beyond the version, and of doubt.
fn details(app: &AppState, style: Style) -> String {
    let mut text = String::new();
    for (container, Image { name, digest }) in &app.running.images {
        let digest = digest.as_ref().map(|digest| format!("  {}", visible(digest))).unwrap_or_default();
        text.push_str(&format!("    {}: {}{digest}\n", visible(container), visible(name)));
    }
    if let Some(model) = &app.running.model {
        text.push_str(&format!(
            "    model {} {}  {}\n",
            visible(&model.name),
            visible(&model.version),
            visible(&model.digest)
        ));
    }
    if let Some(doubt) = app.doubt {
        let word = style.paint(Tone::Notice, "in doubt");
        text.push_str(&format!("    {word}: after record {doubt} nobody knows whether it still ran\n"));
    }
    text
}

/// By which record, and how far the clone goes.
fn source(
    log: &Log,
    last: Option<&Record>,
    commit: Option<gix::ObjectId>,
    newest: Option<&Record>,
    time: Timestamp,
) -> String {
    let mut text = match (last, commit) {
        (Some(last), Some(commit)) => {
            format!("  by record #{} of {}, commit {}", last.seq, log.branch, brief(commit))
        }
        (Some(_) | None, _) => format!("  {} begins later", log.branch),
    };
    if let Some(newest) = newest {
        let finished = newest.outcome.times.finished;
        text.push_str(&format!("; the newest in this clone is #{} of {}", newest.seq, utc(finished)));
        if finished < time {
            text.push_str(", before the time that was asked for: `git fetch` may bring more");
        }
    }
    text + "\n"
}

fn data(shown: &Shown<'_>) -> Value {
    let Shown { log, answer: RanAt { at, commit }, changes, newest } = shown;
    json!({
        "environment": log.branch.environment,
        "cluster": log.branch.cluster.as_str(),
        "branch": log.branch.to_string(),
        "commit": commit.map(|commit| commit.to_string()),
        "record": at.last.as_ref().map(|last| last.id),
        "seq": at.last.as_ref().map(|last| last.seq),
        "apps": at.state.apps().collect::<Vec<_>>(),
        "changes": changes,
        "underWay": at.under_way,
        "newest": newest.as_ref().map(|newest| json!({
            "record": newest.id, "seq": newest.seq, "finished": newest.outcome.times.finished,
        })),
    })
}
