//! One record as people read it: what happened, who asked for it, what let it through, what was written.

use gix::ObjectId;
use jiff::Timestamp;
use tidegate_core::ledger::{
    Branch, Capped, Change, GateAnswer, Order, Outcome, Record, Running, Signer, Source, Times, Verified,
};
use tidegate_core::review::visible::visible;
use tidegate_core::rollout::Verdict;

use super::super::ledger::sheet::{mark, versions};
use super::super::ledger::utc;
use super::super::style::{Style, Tone};

/// Where a record stands.
pub struct Place<'a> {
    /// Its branch.
    pub branch: &'a Branch,
    /// Its commit.
    pub commit: ObjectId,
    /// Who signed it.
    pub signer: Signer,
}

/// Lines of the text, each under its word.
struct Lines(String);

impl Lines {
    /// `  word      value`.
    fn put(&mut self, word: &str, value: &str) {
        self.0.push_str(&format!("  {word:<10} {}\n", visible(value)));
    }

    /// What belongs to the line before it.
    fn below(&mut self, value: &str) {
        self.0.push_str(&format!("    {}\n", visible(value)));
    }

    /// How many of a list there are, and that not all are shown.
    fn count<T>(&mut self, word: &str, list: &Capped<T>) {
        self.put(word, &list.total.to_string());
    }

    fn rest<T>(&mut self, list: &Capped<T>) {
        let more = list.total.saturating_sub(list.items.len() as u64);
        if more > 0 {
            let digest =
                list.digest.as_ref().map(|digest| format!("; the digest of all is {}", digest.as_str()));
            self.below(&format!(
                "and {more} more, which the record does not hold{}",
                digest.unwrap_or_default()
            ));
        }
    }
}

/// The whole record.
pub fn text(record: &Record, place: &Place<'_>, style: Style) -> String {
    let Record { v: _, id, seq, epoch: _, prev, follows, outcome, cluster, env } = record;
    let (tone, sign) = mark(outcome.result, style);
    let heading = style.paint(Tone::Strong, &format!("record #{seq} of {env} in {}", visible(&cluster.name)));
    let result = outcome.result.as_str().replace('_', " ");
    let kind = outcome.kind.as_str().replace('_', " ");
    let mut lines = Lines(format!("{heading}  {id}\n  {} {kind} {result}", style.paint(tone, sign)));
    let code = outcome.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
    lines.0.push_str(&format!("{}: {}\n", visible(&code), visible(&outcome.reason)));
    asked(&mut lines, outcome);
    times(&mut lines, &outcome.times);
    apps(&mut lines, outcome);
    gates(&mut lines, &outcome.gates, style);
    written(&mut lines, outcome);
    let Place { branch, commit, signer } = place;
    lines.put("log", &format!("{branch}, commit {commit}"));
    lines.below(&match signer {
        Signer::Key(key) => {
            format!("signed by the key {key}; whose that is, `tidegate verify --allowed-signers` says")
        }
        Signer::Nobody => "signed by nobody: `tidegate verify` says what to do".to_owned(),
        Signer::Invalid(why) => {
            format!("its signature does not fit ({why}): `tidegate verify` says what to do")
        }
    });
    if let Some(prev) = prev {
        lines.below(&format!("after the record whose text has the SHA-256 {}", prev.as_str()));
    }
    if let Some(follows) = follows {
        let found = follows.found.as_deref().unwrap_or("nothing");
        lines.below(&format!(
            "goes on from {} at {}, where {found} stood instead",
            follows.branch, follows.tip
        ));
    }
    let daemon = &outcome.actor;
    let image = daemon.image.as_ref().map(|image| format!(", image {image}")).unwrap_or_default();
    lines.put("written by", &format!("tidegate {} ({}){image}", daemon.version, daemon.replica));
    lines.0
}

/// The commit, the people, the order, the plan and the policy.
fn asked(lines: &mut Lines, outcome: &Outcome) {
    if let Some(Source { repo, commit, subject, tree: _, path, signer, verified }) = &outcome.source {
        lines.put("commit", &format!("{commit} \"{subject}\""));
        lines.below(&format!("{path} of {repo}"));
        let key = signer.as_ref().map(|key| format!(" by {key}")).unwrap_or_default();
        lines.below(match verified {
            Verified::Good => "signed by a trusted key",
            Verified::Bad => "its signature is not one of a trusted key",
            Verified::Unsigned => "not signed",
            Verified::NotChecked => "whether it is signed was not looked at",
        });
        if !key.is_empty() {
            lines.below(&format!("the signature says{key}"));
        }
    }
    if let Some(change) = &outcome.change {
        people(lines, change);
    }
    if let Some(Order { command, by, reason, at }) = &outcome.order {
        lines.put("ordered", &format!("{command} by {by} at {}: {reason}", utc(*at)));
    }
    if let Some(plan) = &outcome.plan {
        lines.put("plan", plan.id.as_str());
    }
    if let Some(policy) = &outcome.policy {
        let blob = policy.blob.as_ref().map(|blob| format!(" (blob {blob})")).unwrap_or_default();
        lines.put("policy", &format!("{}, {}{blob}", policy.name, policy.path));
    }
    if !outcome.includes.is_empty() {
        lines.count("includes", &outcome.includes);
        for included in &outcome.includes.items {
            lines.below(&format!("{} \"{}\" by {}", included.commit, included.subject, included.author));
        }
        lines.rest(&outcome.includes);
    }
}

fn people(lines: &mut Lines, change: &Change) {
    let Change { author, committer, co_authors, approvers, merger, pr, self_approved } = change;
    lines.put("author", author);
    if committer != author {
        lines.below(&format!("committed by {committer}"));
    }
    for (word, list) in [("with", co_authors), ("approved by", approvers)] {
        for name in &list.items {
            lines.below(&format!("{word} {name}"));
        }
        lines.rest(list);
    }
    if let Some(merger) = merger {
        lines.below(&format!("merged by {merger}"));
    }
    if let Some(pr) = pr {
        lines.below(&format!("pull request {pr}"));
    }
    if *self_approved == Some(true) {
        lines.below("only its author vouches for it");
    }
}

fn times(lines: &mut Lines, times: &Times) {
    let Times { committed, merged, seen, started, switched, finished, recorded } = times;
    let all: [(&str, Option<Timestamp>); 7] = [
        ("committed", *committed),
        ("merged", *merged),
        ("seen", *seen),
        ("started", *started),
        ("switched", *switched),
        ("finished", Some(*finished)),
        ("recorded", Some(*recorded)),
    ];
    for (word, time) in all {
        if let Some(time) = time {
            lines.put(word, &utc(time));
        }
    }
}

fn apps(lines: &mut Lines, outcome: &Outcome) {
    if let Some(part) = outcome.part {
        lines.put("part", &format!("{} of {} records of one outcome", part.number, part.of));
    }
    for change in &outcome.apps {
        let result = change.result.map(|result| format!(" ({})", result.as_str().replace('_', " ")));
        lines.put("workload", &format!("{}  {}{}", change.app, versions(change), result.unwrap_or_default()));
        for (word, running) in [("from", &change.from), ("to", &change.to)] {
            if let Some(running) = running {
                runs(lines, word, running);
            }
        }
    }
}

fn runs(lines: &mut Lines, word: &str, running: &Running) {
    let Running { commit, revision, images, model } = running;
    let revision = revision.as_ref().map(|revision| format!(", revision {revision}")).unwrap_or_default();
    lines.below(&format!("{word:<4} commit {commit}{revision}"));
    for (container, image) in images {
        let digest = image.digest.as_ref().map(|digest| format!(" {digest}")).unwrap_or_default();
        lines.below(&format!("       {container}: {}{digest}", image.name));
    }
    if let Some(model) = model {
        lines.below(&format!("       model {} {} {}", model.name, model.version, model.digest));
    }
}

fn gates(lines: &mut Lines, gates: &Capped<GateAnswer>, style: Style) {
    if gates.is_empty() {
        return;
    }
    let passed = gates.items.iter().filter(|gate| gate.result == Verdict::Pass).count();
    lines.put("gates", &format!("{passed} of {} passed", gates.total));
    for gate in &gates.items {
        let GateAnswer { name, app, stage, result, n, value, threshold, query, summary, t0, t1 } = gate;
        let (tone, sign) = match result {
            Verdict::Pass => (Tone::Good, style.pick("✔", "ok")),
            Verdict::Fail => (Tone::Bad, style.pick("✖", "x")),
            Verdict::Unknown => (Tone::Notice, "?"),
        };
        let of = app.as_ref().map(|app| format!(" of {app}")).unwrap_or_default();
        let value = value.as_ref().map(|value| format!(", measured {value}")).unwrap_or_default();
        let bound = threshold.as_ref().map(|bound| format!(", asked for {bound}")).unwrap_or_default();
        let first = visible(&format!("{name}{of} ({stage}): {summary}"));
        lines.0.push_str(&format!("    {} {first}\n", style.paint(tone, sign)));
        lines.below(&format!("  n {n}{value}{bound}; from {} to {}", utc(*t0), utc(*t1)));
        if let Some(query) = query {
            lines.below(&format!("  {query}"));
        }
    }
    lines.rest(gates);
}

/// What was written, moved, undone, lost, and what supports it.
fn written(lines: &mut Lines, outcome: &Outcome) {
    if !outcome.traffic.is_empty() {
        lines.count("traffic", &outcome.traffic);
        for shift in &outcome.traffic.items {
            let from = shift.from.as_deref().unwrap_or("nowhere");
            lines.below(&format!(
                "{} {}: {from} -> {} ({} %)",
                utc(shift.t),
                shift.app,
                shift.to,
                shift.weight
            ));
        }
        lines.rest(&outcome.traffic);
    }
    if !outcome.objects.is_empty() {
        lines.count("objects", &outcome.objects);
        for object in &outcome.objects.items {
            let times = if object.times > 1 { format!(" ({} times)", object.times) } else { String::new() };
            lines.below(&format!("{} {}{times}", object.op.as_str(), object.object));
            object.fields.items.iter().for_each(|field| lines.below(&format!("  {field}")));
            lines.rest(&object.fields);
        }
        lines.rest(&outcome.objects);
    }
    if !outcome.repairs.is_empty() {
        lines.count("undone", &outcome.repairs);
        for repair in &outcome.repairs.items {
            let who = repair.manager.as_deref().unwrap_or("somebody");
            lines.below(&format!("{} changed by {who}, seen {}", repair.object, utc(repair.seen)));
            repair.changes.items.iter().for_each(|change| lines.below(&format!("  {change}")));
            lines.rest(&repair.changes);
        }
        lines.rest(&outcome.repairs);
    }
    if let Some(gap) = &outcome.gap {
        lines.put("missing", &format!("{} records, {} to {}", gap.count, utc(gap.since), utc(gap.until)));
        lines.below(&format!("the digest of all is {}", gap.digest.as_str()));
    }
    if !outcome.evidence.is_empty() {
        lines.count("evidence", &outcome.evidence);
        for evidence in &outcome.evidence.items {
            lines.below(&format!("{} of {}", evidence.kind, evidence.of));
            evidence.text.lines().for_each(|line| lines.below(&format!("  {line}")));
        }
        lines.rest(&outcome.evidence);
    }
}
