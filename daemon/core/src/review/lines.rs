//! A change as lines for people: the same for a terminal and for a pull request.

mod rollout;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::live::{Drift, LiveReview};
use super::text_diff::{TextLine, text_diff};
use super::visible::{cut_middle, visible};
use super::{Action, Direction, FieldEdit, Moved, ObjectChange, Way};
use crate::diff::{FieldChange, describe};
use crate::render::value_to_yaml;

pub use rollout::of_rollout;

/// Characters of one line.
const LINE_CHARS: usize = 400;
/// Characters of two values that stand side by side.
const SHORT_CHARS: usize = 80;
/// Lines of one value, which is cut in the middle beyond.
const VALUE_LINES: usize = 2_000;

/// What a line says by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// What comes.
    New,
    /// What goes.
    Old,
    /// What is another than before.
    Changed,
    /// What stays, or explains.
    Plain,
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub sign: Sign,
    /// Levels of indentation.
    pub level: usize,
    /// The text: no control characters, not too long.
    pub text: String,
    /// The place in git, when the line has one.
    pub place: String,
}

impl Line {
    /// A line without a place.
    pub fn new(sign: Sign, level: usize, text: &str) -> Self {
        Self { sign, level, text: cut_middle(&visible(text), LINE_CHARS), place: String::new() }
    }

    fn at(self, place: &dyn std::fmt::Display) -> Self {
        Self { place: visible(&place.to_string()), ..self }
    }
}

/// An object with what happens to it, and below it its fields or its content.
pub fn of_change(change: &ObjectChange) -> Vec<Line> {
    let mut lines = vec![heading(change)];
    lines.extend(change.fields.iter().flat_map(of_edit));
    if let Some(content) = &change.content {
        lines.extend(value_lines(content, Sign::New, 1));
    }
    lines
}

/// The first line of a change.
pub fn heading(change: &ObjectChange) -> Line {
    let ObjectChange { object, action, location, fields: _, content: _, moved } = change;
    let (sign, what) = match action {
        Action::Delete => (Sign::Old, "deleted".to_owned()),
        Action::Replace { way: Way::Recreated } => {
            (Sign::Changed, "replaced: deleted and created anew".to_owned())
        }
        Action::Replace { way: Way::Refused } => {
            (Sign::Changed, "refused: a field that cannot change".to_owned())
        }
        Action::Keep { why } => (Sign::Plain, format!("left git and stays: {why}")),
        Action::Create => (Sign::New, "created".to_owned()),
        Action::Update => (Sign::Changed, "updated".to_owned()),
    };
    let moved = moved.as_ref().map(moved_words).unwrap_or_default();
    let text = format!("{object}: {what}{moved}");
    let was = match action {
        Action::Delete | Action::Keep { .. } => "was ",
        Action::Replace { .. } | Action::Create | Action::Update => "",
    };
    Line::new(sign, 0, &text).at(&format!("{was}{location}"))
}

fn moved_words(moved: &Moved) -> String {
    let Moved { direction, environment, adopted } = moved;
    match (direction, adopted) {
        (Direction::To, true) => format!("; moves to `{environment}`, unless that adopts it first"),
        (Direction::To, false) => format!("; moves to `{environment}`, which creates it once it is gone"),
        (Direction::From, true) => format!("; comes from `{environment}`, adopted if it is still there"),
        (Direction::From, false) => format!("; comes from `{environment}`, once it is deleted there"),
    }
}

/// A changed field: one line where both values are short, else the lines of both.
pub fn of_edit(edit: &FieldEdit) -> Vec<Line> {
    let FieldEdit { path, old, new, location, secret, immutable, left_to_others } = edit;
    let mut mark = String::new();
    for (holds, words) in [
        (*secret, " (a value of a Secret)"),
        (*immutable, " (cannot change)"),
        (*left_to_others, " (left to others: the live value stays)"),
    ] {
        mark.push_str(if holds { words } else { "" });
    }
    let place = if new.is_some() { location.to_string() } else { format!("was {location}") };
    let sign = match (old, new) {
        (None, Some(_)) => Sign::New,
        (Some(_), None) => Sign::Old,
        (Some(_), Some(_)) | (None, None) => Sign::Changed,
    };
    if old.iter().chain(new).all(is_short) {
        let change =
            FieldChange { path: path.clone(), pointer: String::new(), old: old.clone(), new: new.clone() };
        let text = describe(&change);
        // The sign says it already.
        let text = text.strip_prefix("+ ").or_else(|| text.strip_prefix("- ")).unwrap_or(&text);
        return vec![Line::new(sign, 1, &format!("{text}{mark}")).at(&place)];
    }
    let mut lines = vec![Line::new(sign, 1, &format!("{path}:{mark}")).at(&place)];
    match (old, new) {
        (Some(Value::String(old)), Some(Value::String(new))) => lines.extend(text_lines(old, new)),
        (Some(old), Some(new)) => lines.extend(text_lines(&value_to_yaml(old), &value_to_yaml(new))),
        (old, new) => {
            lines.extend(old.iter().flat_map(|value| value_lines(value, Sign::Old, 2)));
            lines.extend(new.iter().flat_map(|value| value_lines(value, Sign::New, 2)));
        }
    }
    if hides_difference(&lines) {
        let change = FieldChange {
            path: "first difference".to_owned(),
            pointer: String::new(),
            old: old.clone(),
            new: new.clone(),
        };
        lines.push(Line::new(Sign::Changed, 2, &describe(&change)));
    }
    lines
}

/// Whether two long lines differ only where they were cut.
fn hides_difference(lines: &[Line]) -> bool {
    let of = |sign: Sign| lines.iter().filter(move |line| line.sign == sign && line.level == 2);
    let old: BTreeSet<&str> = of(Sign::Old).map(|line| line.text.as_str()).collect();
    of(Sign::New).any(|line| old.contains(line.text.as_str()))
}

/// A scalar, or a collection of few scalars, that fits beside another one.
fn is_short(value: &Value) -> bool {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    !text.contains('\n') && text.chars().count() <= SHORT_CHARS
}

fn text_lines(old: &str, new: &str) -> Vec<Line> {
    let bare = |line: &str| match line.strip_suffix('\n') {
        Some(line) => line.to_owned(),
        None => format!("{line} (no newline at the end)"),
    };
    text_diff(old, new)
        .into_iter()
        .map(|line| match line {
            TextLine::Both(text) => Line::new(Sign::Plain, 2, &bare(text)),
            TextLine::Old(text) => Line::new(Sign::Old, 2, &bare(text)),
            TextLine::New(text) => Line::new(Sign::New, 2, &bare(text)),
            TextLine::Skipped(count) => Line::new(Sign::Plain, 2, &format!("… {count} equal lines")),
        })
        .collect()
}

/// A value as YAML, from its first line to its last.
fn value_lines(value: &Value, sign: Sign, level: usize) -> Vec<Line> {
    let yaml = value_to_yaml(value);
    let lines: Vec<Line> = yaml.lines().map(|line| Line::new(sign, level, line)).collect();
    cut(lines, VALUE_LINES)
}

/// At most so many lines: the middle is cut, and it is said how much.
pub fn cut(lines: Vec<Line>, most: usize) -> Vec<Line> {
    let count = lines.len();
    if count <= most {
        return lines;
    }
    let kept = most.saturating_sub(1);
    let (start, end) = (kept.div_ceil(2), kept / 2);
    let left_out = count - start - end;
    let words = Line::new(Sign::Plain, 1, &format!("… {left_out} lines are left out here …"));
    let tail: Vec<Line> = lines.iter().skip(count - end).cloned().collect();
    lines.into_iter().take(start).chain([words]).chain(tail).collect()
}

/// What a cluster says about an object, in one line.
pub fn live_heading(found: &LiveReview) -> Line {
    let LiveReview { object, resource_version, drift, problems, replaced, note } = found;
    let mut words = Vec::new();
    if !drift.is_empty() {
        words.push(format!("drift in {}, which the merge overwrites", count(drift.len(), "field")));
    }
    match replaced {
        Some(Way::Recreated) => words.push("a field cannot change: deleted and created anew".to_owned()),
        Some(Way::Refused) => words.push("refused: a field cannot change".to_owned()),
        None if !problems.is_empty() => words.push("refused".to_owned()),
        None => {}
    }
    words.extend(note.clone());
    let version = resource_version.as_ref().map(|version| format!(" @{version}")).unwrap_or_default();
    let sign = if problems.is_empty() { Sign::Changed } else { Sign::Old };
    Line::new(sign, 0, &format!("{object}{version}: {}", words.join("; ")))
}

/// A drifted field: live value, planned value, who and when.
pub fn of_drift(drift: &Drift) -> Line {
    let Drift { path, live, planned, location, by } = drift;
    let change =
        FieldChange { path: path.clone(), pointer: String::new(), old: live.clone(), new: planned.clone() };
    let what = match (live, planned) {
        (None, None) => format!("{path}: removed"),
        (Some(_), _) | (None, Some(_)) => describe(&change),
    };
    let holders: Vec<String> = by
        .iter()
        .map(|holder| match holder.time {
            Some(time) => format!("{} at {time}", holder.manager),
            None => holder.manager.clone(),
        })
        .collect();
    let by = if holders.is_empty() { String::new() } else { format!(" (by {})", holders.join(", ")) };
    Line::new(Sign::Changed, 1, &format!("{what}{by}")).at(location)
}

/// A time as people read it, without fractions of a second.
pub fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// `1 object`, `2 objects`.
pub fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
