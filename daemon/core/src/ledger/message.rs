//! The message of a record's commit: a subject for people, the record as one line, trailers for `git log --grep` and
//! `%(trailers)`. The trailers are the last paragraph, one to a line (git-interpret-trailers).

use std::fmt::Write as _;

use super::app::{AppChange, Running};
use super::record::{Kind, Record, Result as How, VERSION};
use super::text;
use crate::ids::{Digest, short};
use crate::rollout::Verdict;

/// A subject is cut here.
const SUBJECT: usize = 200;
/// So many workloads stand in a subject; of more only the number.
const APPS: usize = 3;

/// What stands in a commit's message: the record, and the digest of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The record.
    pub record: Record,
    /// The digest of its text: what the next record names.
    pub digest: Digest,
}

/// Why a message is none of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// There is no line that begins as a record does.
    #[error("its message holds no record")]
    Missing,
    /// There is one that cannot be read.
    #[error("its record cannot be read: {0}")]
    Unreadable(String),
    /// A newer version of the format.
    #[error("its record has version {0}, and this program reads version {VERSION}: use a newer one")]
    Version(u64),
    /// The trailers say something else than the record.
    #[error("its trailers do not agree with its record")]
    Trailers,
}

/// The whole message.
pub fn message(record: &Record) -> Result<String, serde_json::Error> {
    let line = text::line(record)?;
    Ok(format!("{}\n\n{line}\n\n{}", subject(record), trailers(record)))
}

/// Reads a message; its trailers must agree with the record. The subject need not: its words are for people, and may change.
pub fn read(message: &str) -> Result<Told, NoRecord> {
    let mut paragraphs = message.split("\n\n");
    let line = paragraphs.nth(1).filter(|line| line.starts_with('{')).ok_or(NoRecord::Missing)?;
    let record: Record = serde_json::from_str(line).map_err(|error| unreadable(line, &error))?;
    if record.v != VERSION {
        return Err(NoRecord::Version(u64::from(record.v)));
    }
    let rest: Vec<&str> = paragraphs.collect();
    if rest.join("\n\n") != trailers(&record) {
        return Err(NoRecord::Trailers);
    }
    Ok(Told { digest: text::digest(line), record })
}

/// Why a line is no record of this version: of another one its words may be others, so that its version is the better answer.
fn unreadable(line: &str, error: &serde_json::Error) -> NoRecord {
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    let version = value.as_ref().and_then(|value| value.get("v")).map(serde_json::Value::as_u64);
    match version {
        Some(Some(version)) if version != u64::from(VERSION) => NoRecord::Version(version),
        None if value.is_some() => NoRecord::Unreadable("it has no version".to_owned()),
        Some(_) | None => NoRecord::Unreadable(error.to_string()),
    }
}

/// One trailer to a line, with a line break at the end.
fn trailers(record: &Record) -> String {
    let outcome = &record.outcome;
    let mut text = format!("Deploy-Id: {}\nDeploy-Env: {}\n", record.id, record.env);
    for change in &outcome.apps {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Deploy-App: {}", change.app);
    }
    let _ = writeln!(text, "Deploy-Kind: {}", outcome.kind);
    let _ = writeln!(text, "Deploy-Result: {}", outcome.result);
    let _ = writeln!(text, "Deploy-Seq: {}", record.seq);
    if let Some(source) = &outcome.source {
        let _ = writeln!(text, "Source-Commit: {}", source.commit);
    }
    text
}

/// One line: `prod/api: succeeded 9b03d7e api 2.3.1->2.4.0 in 7m41s (4/4 gates)`.
pub fn subject(record: &Record) -> String {
    let only = match record.outcome.apps.as_slice() {
        [only] => format!("/{}", only.app),
        _ => String::new(),
    };
    one_line(&format!("{}{only}: {}", record.env, summary(record)))
}

/// The same without what it is about: `succeeded 9b03d7e api 2.3.1->2.4.0 in 7m41s (4/4 gates)`.
pub fn summary(record: &Record) -> String {
    let outcome = &record.outcome;
    let mut text = what(record);
    if let Some(source) = &outcome.source {
        let _ = write!(text, " {}", short(&source.commit));
    }
    if !outcome.apps.is_empty() {
        let _ = write!(text, " {}", apps(&outcome.apps));
    }
    if let Some(started) = outcome.times.started {
        let _ = write!(text, " in {}", seconds(outcome.times.finished.as_second() - started.as_second()));
    }
    if !outcome.gates.is_empty() {
        let others = outcome.gates.items.iter().filter(|gate| gate.result != Verdict::Pass).count() as u64;
        let total = outcome.gates.total;
        let _ = write!(text, " ({}/{total} gates)", total.saturating_sub(others));
    }
    one_line(&text)
}

/// A reason of people may have line breaks, and nothing bounds it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT).collect()
}

fn what(record: &Record) -> String {
    let outcome = &record.outcome;
    let result = outcome.result.as_str().replace('_', " ");
    match outcome.kind {
        Kind::Deploy => result,
        Kind::Rollback => match outcome.result {
            How::Succeeded => "went back from".to_owned(),
            How::Failed | How::RolledBack | How::Superseded | How::Unknown => format!("way back {result}"),
        },
        Kind::Model => format!("model {result}"),
        Kind::Drift => {
            let first = outcome.repairs.items.first();
            let object = first.map_or_else(|| "objects".to_owned(), |repair| repair.object.to_string());
            let by = first.and_then(|repair| repair.manager.as_deref()).unwrap_or("somebody");
            match outcome.repairs.total {
                0 if outcome.objects.total == 1 => "made an object as it should be".to_owned(),
                0 => format!("made {} objects as they should be", outcome.objects.total),
                1 => format!("undid a change of {object} by {by}"),
                total => format!("undid {total} changes, the first of {object} by {by}"),
            }
        }
        Kind::Prune => format!("deleted {} objects", outcome.objects.total),
        Kind::Config => "settings changed".to_owned(),
        Kind::BreakGlass => outcome.order.as_ref().map_or_else(
            || result.clone(),
            |order| format!("{} by {}: {}", order.command, order.by, order.reason),
        ),
        Kind::Interrupted => format!("interrupted: {}", outcome.reason),
        Kind::LedgerGap => {
            format!("{} records are missing", outcome.gap.as_ref().map_or(0, |gap| gap.count))
        }
    }
}

fn apps(changes: &[AppChange]) -> String {
    let one = |change: &AppChange| {
        let version = |running: &Option<Running>| running.as_ref().map(version);
        let app = change.app.name();
        match (version(&change.from), version(&change.to)) {
            (None, None) => app.to_owned(),
            (Some(from), Some(to)) => format!("{app} {from}->{to}"),
            (None, Some(to)) => format!("{app} {to}"),
            (Some(from), None) => format!("{app} {from} removed"),
        }
    };
    let shown: Vec<String> = changes.iter().take(APPS).map(one).collect();
    let more = changes.len().saturating_sub(APPS);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

/// The version of what runs, as people call it: a model's, else the tag of its only image (of several nobody knows which one people
/// mean), else the revision, else the commit.
pub fn version(running: &Running) -> String {
    if let Some(model) = &running.model {
        return model.version.clone();
    }
    let mut images = running.images.values();
    let only = images.next().filter(|_| running.images.len() == 1);
    let tagged = only.and_then(|image| tag(&image.name));
    tagged
        .or_else(|| running.revision.as_deref().map(short).map(str::to_owned))
        .unwrap_or_else(|| short(&running.commit).to_owned())
}

/// `registry:5000/shop/api:2.4.0@sha256:…` -> `2.4.0`.
fn tag(name: &str) -> Option<String> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let last = last.split('@').next().unwrap_or(last);
    last.split_once(':').map(|(_, tag)| tag.to_owned())
}

/// `7m41s`.
fn seconds(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}
