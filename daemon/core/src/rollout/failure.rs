//! Why a revision was turned down, told whole: what was measured, where its rule and its change stand, what its pods said last,
//! what was done about it, what to do. Pure shaping; what the pods said is read by the shell while they are there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::gate::Stage;
use super::pointer::{Reason, Record, Rejected};
use super::report::Reported;
use super::slot::Slot;
use super::stored::SlotRecord;
use crate::location::Location;
use crate::object::ObjectRef;
use crate::problem::{Code, Problem};
use crate::review::visible::{cut_middle, visible};

/// So many changed fields are told; of more it is said how many there are.
pub const CHANGES_CAP: usize = 5;
/// So many lines of a log are kept.
pub const LINES_CAP: usize = 8;
/// A line of a log is cut here, in characters.
const LINE_CHARS: usize = 200;
/// A note of an Event is short: its own limit is 1,024 bytes, with names in it.
const SHORT_CHARS: usize = 500;
/// So many characters of a commit are shown.
const COMMIT_CHARS: usize = 7;
/// In place of a line of a log that may not be shown.
const WITHHELD: &str = "(a line that may repeat a value of a Secret is withheld)";

/// Why a revision was turned down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// In a few words: `gate smoke failed`.
    pub reason: String,
    /// When it was turned down.
    pub at: Timestamp,
    /// The commit that its colour was made from; empty where nobody knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// The gate that failed, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<FailedGate>,
    /// What it changes against what is live, and where in git.
    #[serde(default)]
    pub changes: Changes,
    /// What its pods said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_words: Option<LastWords>,
    /// What was done about it: where traffic is now.
    pub done: String,
    /// What becomes of its colour.
    pub colour: String,
}

/// A gate that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedGate {
    /// Its name.
    pub name: String,
    /// `beforeSwitch` or `whileBaking`.
    pub stage: String,
    /// What it said.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What a revision changes against the one that is live.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// The first [`CHANGES_CAP`] fields.
    pub fields: Vec<ChangedField>,
    /// How many more there are.
    #[serde(default)]
    pub further: usize,
}

/// A field that a revision changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedField {
    /// The object in git.
    pub object: ObjectRef,
    /// The dotted path of the field.
    pub field: String,
    /// The value before, short and visible; none where there was none, or where it is a Secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The value after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// Where git asks for it.
    pub location: Location,
}

/// What a colour's pods said last, kept on the slot before they are put away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastWords {
    /// The pod whose log this is; empty where no pod was left.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// Its container.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// The end of its log: at most [`LINES_CAP`] lines, visible and short.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// The end of a log as it is kept: without empty lines, repetitions counted, nothing unseen in it. `is_secret` says which lines
/// may not be shown.
pub fn last_lines(log: &str, is_secret: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines: Vec<(&str, u64)> = Vec::new();
    for line in log.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        match lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            Some(_) | None => lines.push((line, 1)),
        }
    }
    let end = lines.len().saturating_sub(LINES_CAP);
    let shown = lines.drain(end..).map(|(line, count)| {
        let text = if is_secret(line) { WITHHELD.to_owned() } else { cut_middle(&visible(line), LINE_CHARS) };
        if count > 1 { format!("{text} (x {count})") } else { text }
    });
    shown.collect()
}

impl Reported<'_> {
    /// Why the revision that git asks for was turned down; none where it was not.
    pub(super) fn failure(&self, record: &Record) -> Option<Failure> {
        let rejected = record.rejected.as_ref()?;
        let slot = self.slot_of(record, rejected);
        let held = slot.and_then(|slot| *self.records.get(slot));
        Some(Failure {
            reason: match &rejected.cause {
                Some(cause) => format!("{}: {cause}", rejected.reason),
                None => rejected.reason.to_string(),
            },
            at: rejected.at,
            commit: held.map(|held| held.commit.clone()).unwrap_or_default(),
            gate: held.and_then(|held| failed_gate(&rejected.reason, held)),
            changes: self.changes.clone(),
            last_words: held.and_then(|held| held.last_words.clone()),
            done: self.done(record, slot),
            colour: self.becomes_of(record, rejected, slot),
        })
    }

    /// The slot that holds what was turned down: the one without the traffic, where both do.
    fn slot_of(&self, record: &Record, rejected: &Rejected) -> Option<Slot> {
        let first = record.live.map_or(Slot::Blue, Slot::other);
        let holds =
            |slot: &Slot| self.records.get(*slot).is_some_and(|held| held.revision == rejected.revision);
        [first, first.other()].into_iter().find(holds)
    }

    fn done(&self, record: &Record, slot: Option<Slot>) -> String {
        let Some(live) = record.live else { return "nothing serves yet".to_owned() };
        let serves =
            format!("serves with {} of {}", self.situation.serving(live), self.situation.replicas(live));
        if slot == Some(live) {
            return format!("there was nothing well to go back to, and {live} still {serves}");
        }
        let commit = (*self.records.get(live)).map(|held| held.commit.as_str()).unwrap_or_default();
        let name = if commit.is_empty() { live.to_string() } else { format!("{live} ({})", short(commit)) };
        let has_served =
            slot.and_then(|slot| *self.records.get(slot)).is_some_and(|held| held.served.is_some());
        let moved = if has_served { "traffic went back to" } else { "traffic never left" };
        format!("{moved} {name}, which {serves}")
    }

    fn becomes_of(&self, record: &Record, rejected: &Rejected, slot: Option<Slot>) -> String {
        let Some(slot) = slot.filter(|slot| record.live != Some(*slot)) else {
            return "nothing of it is put away".to_owned();
        };
        if self.situation.replicas(slot) == 0 {
            return format!("{slot} is put away");
        }
        let until = rejected.at.checked_add(self.situation.timing.keep_failed).unwrap_or(Timestamp::MAX);
        format!("{slot} keeps its pods for a look until {}, then it is put away", clock(until))
    }
}

fn failed_gate(reason: &Reason, held: &SlotRecord) -> Option<FailedGate> {
    let Reason::Gate(name) = reason else { return None };
    let answer = held.failed(name)?;
    Some(FailedGate {
        name: name.0.to_string(),
        stage: stage_word(answer.evidence.stage).to_owned(),
        finding: answer.finding.clone(),
    })
}

/// A stage as users write it.
pub(super) const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::BeforeSwitch => "beforeSwitch",
        Stage::Baking(_) => "whileBaking",
    }
}

impl Failure {
    /// All of it as people read it. The place is that of the rule, else that of the change.
    pub fn problem(&self, workload: &ObjectRef) -> Problem {
        let Self { reason: _, at: _, commit, gate, changes, last_words, done: _, colour } = self;
        let mut problem = Problem::error(Code::RolloutRejected, self.headline()).object(workload);
        let mut places = changes.fields.iter();
        let rule = gate.as_ref().and_then(|gate| gate.finding.rule.clone());
        if let Some(location) = rule {
            problem = problem.at(location);
        } else if let Some(first) = changes.fields.first() {
            problem = problem.at(first.location.clone());
        }
        for change in places.by_ref() {
            problem = problem.related(change.words(commit), change.location.clone());
        }
        if changes.further > 0 {
            problem = problem.note(format!("{} more fields are changed", changes.further));
        }
        if let Some(FailedGate { finding, .. }) = gate {
            problem = problem.note(measured(finding));
        }
        if let Some(words) = last_words {
            problem = problem.note(words.words());
        }
        problem
            .note(format!("{colour}; the revision is held until git asks for another one"))
            .help(self.help())
    }

    /// In one line: what failed, what was measured, what was done.
    pub fn headline(&self) -> String {
        let measured = self.gate.as_ref().map(|FailedGate { finding, .. }| {
            match (&finding.value, &finding.threshold) {
                (Some(value), Some(threshold)) => format!(" ({value}, expected {threshold})"),
                // Nothing came that could be measured.
                _ => format!(" ({})", finding.summary),
            }
        });
        format!("{}{}; {}", self.reason, measured.unwrap_or_default(), self.done)
    }

    /// For an Event: the headline with both places and what to do.
    pub fn short(&self) -> String {
        let code = Code::RolloutRejected;
        let mut text = format!("{code}: {}", self.headline());
        if let Some(rule) = self.gate.as_ref().and_then(|gate| gate.finding.rule.as_ref()) {
            text.push_str(&format!("; rule {rule}"));
        }
        if let Some(change) = self.changes.fields.first() {
            text.push_str(&format!("; change {}", change.location));
        }
        let text = cut_middle(&text, SHORT_CHARS);
        format!("{text}; `tidegate status` tells all of it, `tidegate explain {code}` what it means")
    }

    fn help(&self) -> String {
        let is_id = self.commit.len() >= COMMIT_CHARS && self.commit.bytes().all(|b| b.is_ascii_hexdigit());
        let first = if is_id {
            format!("git revert {}", short(&self.commit))
        } else {
            "take the change back".to_owned()
        };
        format!(
            "{first}, or mend it with another commit; where something else kept it, `tidegate retry` tries the same again"
        )
    }

    /// Its places as they are from the root of the repository.
    pub fn below(&mut self, prefix: &str) {
        let rule = self.gate.as_mut().and_then(|gate| gate.finding.rule.as_mut());
        let changed = self.changes.fields.iter_mut().map(|change| &mut change.location);
        for location in rule.into_iter().chain(changed) {
            location.file = format!("{prefix}{}", location.file).into();
        }
    }

    /// Made shorter, where a record has no room.
    pub(crate) fn cut(&mut self, text: usize, cut: impl Fn(&mut String, usize)) {
        let Self { reason, at: _, commit: _, gate, changes, last_words, done, colour } = self;
        for words in [reason, done, colour] {
            cut(words, text);
        }
        if let Some(gate) = gate {
            let Finding { summary, value, threshold, .. } = &mut gate.finding;
            [summary].into_iter().chain(value).chain(threshold).for_each(|words| cut(words, text));
        }
        for ChangedField { object: _, field, old, new, location: _ } in &mut changes.fields {
            [field].into_iter().chain(old).chain(new).for_each(|words| cut(words, text));
        }
        if let Some(LastWords { pod: _, container: _, lines, trouble }) = last_words {
            lines.iter_mut().chain(trouble).for_each(|words| cut(words, text));
        }
    }
}

fn measured(finding: &Finding) -> String {
    let Finding { verdict: _, value: _, threshold: _, rule: _, samples, summary, started, ended } = finding;
    let plural = if *samples == 1 { "" } else { "s" };
    let (first, last) = (clock(*started), clock(*ended));
    let when = if first == last { format!("at {first}") } else { format!("{first} to {last}") };
    format!("{summary}; {samples} sample{plural}, {when}")
}

impl ChangedField {
    fn words(&self, commit: &str) -> String {
        let Self { object, field, old, new, location: _ } = self;
        let by = if commit.is_empty() { String::new() } else { format!(" by {}", short(commit)) };
        let how = match (old, new) {
            (Some(old), Some(new)) => format!(": {old} -> {new}"),
            (None, Some(new)) => format!(", new: {new}"),
            (Some(old), None) => format!(", gone: {old}"),
            (None, None) => String::new(),
        };
        format!("changed{by}, {object} {field}{how}")
    }
}

impl LastWords {
    /// On several lines: whose log, and its end.
    fn words(&self) -> String {
        let Self { pod, container, lines, trouble } = self;
        let mut text = match (pod.is_empty(), trouble) {
            (true, Some(trouble)) => format!("what its pods said is not known: {trouble}"),
            (true, None) => "none of its pods was left to be read".to_owned(),
            (false, Some(trouble)) => format!("pod {pod}: the log of {container} cannot be read: {trouble}"),
            (false, None) if lines.is_empty() => format!("pod {pod}: the log of {container} is empty"),
            (false, None) => format!("pod {pod}, the end of the log of {container}:"),
        };
        for line in lines {
            text.push_str(&format!("\n{line}"));
        }
        text
    }
}

fn short(commit: &str) -> String {
    commit.chars().take(COMMIT_CHARS).collect()
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}
