//! The text of a record: one line of JSON, bounded. The chain is over these bytes, not over what they mean: whoever checks it needs
//! no knowledge of the format.

use serde_json::Error;

use super::app::{AppChange, Running};
use super::capped::Capped;
use super::record::{Change, Outcome, Part, Record, Source};
use crate::ids::Digest;

/// A record's text is never longer: many of them stand in one ConfigMap before they are pushed.
pub const MAX_RECORD_BYTES: usize = 65_536;
/// So many workloads stand in one record; an outcome of more is told in several. They are never cut: what runs follows from them.
pub const MAX_APPS: usize = 16;
/// So many containers of a workload are named.
const CONTAINERS: usize = 4;
/// Names (of images, people, files, gates) have so many characters at most.
const NAME: usize = 256;
/// Lists are first cut to so many items.
const ITEMS: usize = 256;
/// Texts are first cut to so many characters.
const CHARACTERS: usize = 2_000;
/// So many items stay, in the end.
const LEAST_ITEMS: usize = 1;
/// Texts and names keep so many characters at least.
const LEAST_CHARACTERS: usize = 32;

/// A record that cannot be cut to its size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what happened takes {bytes} bytes when everything is cut that can be; {limit} are allowed")]
pub struct TooLarge {
    /// How many it has.
    pub bytes: usize,
    /// How many it may have.
    pub limit: usize,
}

/// The text that stands in the commit. No line break is in it: JSON escapes them.
pub fn line(record: &Record) -> Result<String, Error> {
    serde_json::to_string(record)
}

/// The digest of a record's text, which the next record names.
pub fn digest(line: &str) -> Digest {
    Digest::of(line.as_bytes())
}

impl Record {
    /// Cuts lists (their counts and digests stay) and texts until the text is no longer than [`MAX_RECORD_BYTES`].
    pub fn shrink(&mut self) -> Result<(), TooLarge> {
        let outcome = serde_json::to_string(&self.outcome).map_or(0, |text| text.len());
        let around = line(self).map_or(usize::MAX, |line| line.len()).saturating_sub(outcome);
        self.outcome.shrink(MAX_RECORD_BYTES.saturating_sub(around))
    }
}

impl Outcome {
    /// Cuts lists (their counts and digests stay) and texts until its text is no longer than this.
    pub fn shrink(&mut self, limit: usize) -> Result<(), TooLarge> {
        let bytes = |outcome: &Self| serde_json::to_string(outcome).map_or(usize::MAX, |text| text.len());
        self.apps.iter_mut().for_each(|app| cut_containers(app, NAME));
        let (mut items, mut characters) = (ITEMS, CHARACTERS);
        // Halving comes to the least in as many rounds as the larger number has bits.
        for _ in 0..=CHARACTERS.ilog2() + 1 {
            if bytes(self) <= limit {
                return Ok(());
            }
            self.cut(items, characters);
            items = (items / 2).max(LEAST_ITEMS);
            characters = (characters / 2).max(LEAST_CHARACTERS);
        }
        let bytes = bytes(self);
        if bytes <= limit { Ok(()) } else { Err(TooLarge { bytes, limit }) }
    }

    /// One after the other, as many as are needed for all workloads; the first one has everything else.
    pub fn parts(self) -> Vec<Self> {
        let count = self.apps.len().div_ceil(MAX_APPS);
        if count <= 1 {
            return vec![self];
        }
        let of = u32::try_from(count).unwrap_or(u32::MAX);
        let part = |number: usize, apps: &[AppChange]| {
            let number = u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
            let rest = Self {
                includes: Capped::default(),
                objects: Capped::default(),
                repairs: Capped::default(),
                gates: Capped::default(),
                traffic: Capped::default(),
                evidence: Capped::default(),
                ..self.clone()
            };
            let whole = if number == 1 { self.clone() } else { rest };
            Self { part: Some(Part { number, of }), apps: apps.to_vec(), ..whole }
        };
        self.apps.chunks(MAX_APPS).enumerate().map(|(number, apps)| part(number, apps)).collect()
    }

    /// Every list to so many items, every text to so many characters, every name to no more than a text.
    fn cut(&mut self, items: usize, characters: usize) {
        let Self {
            kind: _,
            result: _,
            code,
            reason,
            part: _,
            apps,
            source,
            change,
            order,
            plan: _,
            includes,
            objects,
            policy,
            gates,
            traffic,
            repairs,
            gap: _,
            evidence,
            actor,
            times: _,
        } = self;
        let text = |text: &mut String| cut_text(text, characters);
        let name = |text: &mut String| cut_text(text, characters.min(NAME));
        text(reason);
        code.iter_mut().for_each(name);
        for app in apps {
            cut_containers(app, characters.min(NAME));
        }
        if let Some(source) = source {
            cut_source(source, characters);
        }
        if let Some(change) = change {
            cut_change(change, items, characters);
        }
        if let Some(order) = order {
            text(&mut order.reason);
            [&mut order.command, &mut order.by].into_iter().for_each(name);
        }
        includes.cut(items, |included| {
            text(&mut included.subject);
            [&mut included.commit, &mut included.author].into_iter().for_each(name);
        });
        objects.cut(items, |object| {
            object.uid.iter_mut().for_each(name);
            name(&mut object.object.name);
            object.fields.cut(items, text);
        });
        if let Some(policy) = policy {
            [&mut policy.name, &mut policy.path].into_iter().chain(&mut policy.blob).for_each(name);
        }
        gates.cut(items.max(LEAST_CHARACTERS), |gate| {
            [&mut gate.name, &mut gate.stage].into_iter().for_each(name);
            let texts = [gate.value.as_mut(), gate.threshold.as_mut(), gate.query.as_mut()];
            texts.into_iter().flatten().for_each(text);
            text(&mut gate.summary);
        });
        traffic.cut(items.max(LEAST_CHARACTERS), |shift| {
            [&mut shift.to].into_iter().chain(&mut shift.from).for_each(name);
        });
        repairs.cut(items, |repair| {
            repair.manager.iter_mut().for_each(name);
            name(&mut repair.object.name);
            repair.changes.cut(items, text);
        });
        evidence.cut(items, |evidence| {
            [&mut evidence.kind, &mut evidence.of].into_iter().for_each(name);
            text(&mut evidence.text);
        });
        [&mut actor.version, &mut actor.replica].into_iter().chain(&mut actor.image).for_each(name);
    }
}

fn cut_source(source: &mut Source, characters: usize) {
    let Source { repo, commit, subject, tree, path, signer, verified: _ } = source;
    cut_text(subject, characters);
    for name in [repo, commit, path].into_iter().chain(tree).chain(signer) {
        cut_text(name, characters.min(NAME));
    }
}

fn cut_change(change: &mut Change, items: usize, characters: usize) {
    let Change { author, committer, co_authors, approvers, merger, pr, self_approved: _ } = change;
    let cut_name = |name: &mut String| cut_text(name, characters.min(NAME));
    [author, committer].into_iter().chain(merger).chain(pr).for_each(cut_name);
    co_authors.cut(items, cut_name);
    approvers.cut(items, cut_name);
}

/// So many containers, and names no longer than this. Digests have their length.
fn cut_containers(app: &mut AppChange, longest: usize) {
    for Running { commit, revision, images, model } in [&mut app.from, &mut app.to].into_iter().flatten() {
        while images.len() > CONTAINERS {
            images.pop_last();
        }
        let texts =
            images.values_mut().flat_map(|image| [&mut image.name].into_iter().chain(&mut image.digest));
        texts.chain([commit]).chain(revision).for_each(|text| cut_text(text, longest.max(LEAST_DIGEST)));
        if let Some(model) = model {
            let texts = [&mut model.name, &mut model.version, &mut model.digest];
            for text in texts {
                cut_text(text, longest.max(LEAST_DIGEST));
            }
        }
    }
}

/// A digest with its algorithm: `sha512:` and 128 digits.
const LEAST_DIGEST: usize = 135;

/// Cuts to so many characters, with an ellipsis in place of the rest.
fn cut_text(text: &mut String, limit: usize) {
    if let Some((place, _)) = text.char_indices().nth(limit) {
        text.truncate(place);
        text.push('…');
    }
}
