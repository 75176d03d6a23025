//! One record as a line: of the table that people read, and of the sheet that they keep.

use tidegate_core::health::HealthState;
use tidegate_core::ledger::{AppChange, Record, Result as How, Running, summary, version};
use tidegate_core::review::visible::visible;
use tidegate_core::rollout::Verdict;

use super::super::log::Row;
use super::super::style::{Style, Tone};
use super::utc;

/// The columns of the sheet.
pub const COLUMNS: [&str; 29] = [
    "finished",
    "environment",
    "cluster",
    "number",
    "id",
    "kind",
    "result",
    "code",
    "reason",
    "workloads",
    "from",
    "to",
    "commit",
    "subject",
    "author",
    "committer",
    "merger",
    "pull_request",
    "approvers",
    "self_approved",
    "ordered_by",
    "order",
    "started",
    "switched",
    "seconds",
    "gates_passed",
    "gates",
    "log_branch",
    "log_commit",
];

/// The heading of the table.
pub fn heading() -> String {
    format!("{:<20}  {:<14} {:<7} {}\n", "WHEN", "ENVIRONMENT", "RECORD", "WHAT")
}

/// A line of the table; on a terminal no longer than it is wide.
pub fn table_line(row: &Row<'_>, style: Style, width: Option<usize>) -> String {
    let record = &row.record;
    let who = who(record).map(|who| format!(", {who}")).unwrap_or_default();
    let number = format!("#{}", record.seq);
    let begin =
        format!("{:<20}  {:<14} {number:<7} ", utc(record.outcome.times.finished), record.env.to_string());
    let (tone, mark) = mark(record.outcome.result, style);
    let taken = begin.chars().count() + mark.chars().count() + 1;
    let what = visible(&format!("{}{who}", summary(record)));
    let what = cut(&what, width.map_or(usize::MAX, |width| width.saturating_sub(taken).max(10)));
    format!("{begin}{} {what}\n", style.paint(tone, mark))
}

/// The mark of an end, with its tone.
pub fn mark(result: How, style: Style) -> (Tone, &'static str) {
    style.health(match result {
        How::Succeeded => HealthState::Healthy,
        How::Failed | How::RolledBack => HealthState::Degraded,
        How::Superseded => HealthState::Suspended,
        How::Unknown => HealthState::Unknown,
    })
}

/// `by Jane Doe`: whose change it was, else who ordered it.
fn who(record: &Record) -> Option<String> {
    let author = record.outcome.change.as_ref().map(|change| person(&change.author));
    let ordered = record.outcome.order.as_ref().map(|order| order.by.as_str());
    author.or(ordered).map(|who| format!("by {who}"))
}

/// A name without its address.
pub fn person(text: &str) -> &str {
    text.split_once(" <").map_or(text, |(name, _)| name)
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// `api 2.3.1 -> 2.4.0`, in words of its own for what is new, and for what went.
pub fn versions(change: &AppChange) -> String {
    let version = |running: &Option<Running>| running.as_ref().map(version);
    match (version(&change.from), version(&change.to)) {
        (None, None) => "no version".to_owned(),
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (None, Some(to)) => format!("{to} (new)"),
        (Some(from), None) => format!("{from} -> removed"),
    }
}

/// The cells of a record, by [`COLUMNS`]. Texts have no line breaks and nothing that is not seen.
pub fn cells(row: &Row<'_>) -> [String; 29] {
    let Row { log, commit, record } = row;
    let outcome = &record.outcome;
    let times = &outcome.times;
    let change = outcome.change.as_ref();
    let source = outcome.source.as_ref();
    let all = |running: fn(&AppChange) -> Option<&Running>| {
        let versions = outcome.apps.iter().map(|app| running(app).map(version));
        versions.map(Option::unwrap_or_default).collect::<Vec<_>>().join("; ")
    };
    let names: Vec<&str> = outcome.apps.iter().map(|app| app.app.as_str()).collect();
    let order = |order: &tidegate_core::ledger::Order| format!("{}: {}", order.command, order.reason);
    let passed = outcome.gates.items.iter().filter(|gate| gate.result == Verdict::Pass).count();
    let time = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let seconds = times.started.map(|started| times.finished.duration_since(started).as_secs().to_string());
    [
        times.finished.to_string(),
        record.env.to_string(),
        record.cluster.name.clone(),
        record.seq.to_string(),
        record.id.to_string(),
        outcome.kind.to_string(),
        outcome.result.to_string(),
        text(outcome.code.as_ref()),
        outcome.reason.clone(),
        names.join("; "),
        all(|app| app.from.as_ref()),
        all(|app| app.to.as_ref()),
        source.map(|source| source.commit.clone()).unwrap_or_default(),
        source.map(|source| source.subject.clone()).unwrap_or_default(),
        change.map(|change| change.author.clone()).unwrap_or_default(),
        change.map(|change| change.committer.clone()).unwrap_or_default(),
        text(change.and_then(|change| change.merger.as_ref())),
        text(change.and_then(|change| change.pr.as_ref())),
        change.map(|change| change.approvers.items.join("; ")).unwrap_or_default(),
        change.and_then(|change| change.self_approved).map(|own| own.to_string()).unwrap_or_default(),
        outcome.order.as_ref().map(|order| order.by.clone()).unwrap_or_default(),
        outcome.order.as_ref().map(order).unwrap_or_default(),
        time(times.started),
        time(times.switched),
        seconds.unwrap_or_default(),
        passed.to_string(),
        outcome.gates.total.to_string(),
        log.branch.to_string(),
        commit.to_string(),
    ]
    .map(|cell| visible(&cell))
}
