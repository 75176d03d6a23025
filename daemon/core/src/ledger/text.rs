//! The text of a record: one line of JSON, bounded. The chain is over these bytes, not over what they mean: whoever checks it needs
//! no knowledge of the format.

use serde_json::Error;

use super::app::AppChange;
use super::record::{Capped, Outcome, Part, Record};
use crate::ids::Digest;

/// A record's text is never longer: many of them stand in one ConfigMap before they are pushed.
pub const MAX_RECORD_BYTES: usize = 32_768;
/// So many workloads stand in one record; an outcome of more is told in several. They are never cut: what runs follows from them.
pub const MAX_APPS: usize = 32;
/// So many containers of a workload are named.
const CONTAINERS: usize = 8;
/// Lists are first cut to so many items.
const ITEMS: usize = 256;
/// Texts are first cut to so many characters.
const CHARACTERS: usize = 2_000;
/// So many names stay of what an outcome was about, in the end.
const LEAST_ITEMS: usize = 1;
/// Texts keep so many characters at least.
const LEAST_CHARACTERS: usize = 32;

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
    pub fn shrink(&mut self) {
        let (mut items, mut characters) = (ITEMS, CHARACTERS);
        // Halving comes to the least in as many rounds as the larger number has bits.
        for _ in 0..=CHARACTERS.ilog2() + 1 {
            self.outcome.cut(items, characters);
            if line(self).is_ok_and(|line| line.len() <= MAX_RECORD_BYTES) {
                return;
            }
            items = (items / 2).max(LEAST_ITEMS);
            characters = (characters / 2).max(LEAST_CHARACTERS);
        }
    }
}

impl Outcome {
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
                gates: Vec::new(),
                traffic: Vec::new(),
                evidence: Vec::new(),
                ..self.clone()
            };
            let whole = if number == 1 { self.clone() } else { rest };
            Self { part: Some(Part { number, of }), apps: apps.to_vec(), ..whole }
        };
        self.apps.chunks(MAX_APPS).enumerate().map(|(number, apps)| part(number, apps)).collect()
    }

    fn cut(&mut self, items: usize, characters: usize) {
        let Self {
            kind: _,
            result: _,
            code: _,
            reason,
            part: _,
            apps,
            source,
            change,
            order,
            plan: _,
            includes,
            objects,
            policy: _,
            gates,
            traffic,
            repairs,
            gap: _,
            evidence,
            actor: _,
            times: _,
        } = self;
        cut_text(reason, characters);
        apps.iter_mut().for_each(cut_containers);
        if let Some(source) = source {
            cut_text(&mut source.subject, characters);
        }
        if let Some(change) = change {
            change.co_authors.truncate(items);
            change.approvers.truncate(items);
        }
        if let Some(order) = order {
            cut_text(&mut order.reason, characters);
        }
        includes.cut(items);
        includes.items.iter_mut().for_each(|included| cut_text(&mut included.subject, characters));
        objects.cut(items);
        for object in &mut objects.items {
            object.fields.truncate(items);
            object.fields.iter_mut().for_each(|field| cut_text(field, characters));
        }
        gates.truncate(items.max(LEAST_CHARACTERS));
        for gate in gates {
            let texts = [gate.value.as_mut(), gate.threshold.as_mut(), gate.query.as_mut()];
            texts.into_iter().flatten().for_each(|text| cut_text(text, characters));
            cut_text(&mut gate.summary, characters);
        }
        traffic.truncate(items.max(LEAST_CHARACTERS));
        repairs.cut(items);
        for repair in &mut repairs.items {
            repair.changes.truncate(items);
            repair.changes.iter_mut().for_each(|change| cut_text(change, characters));
        }
        evidence.truncate(items);
        for evidence in evidence {
            cut_text(&mut evidence.text, characters);
        }
    }
}

fn cut_containers(app: &mut AppChange) {
    for running in [&mut app.from, &mut app.to].into_iter().flatten() {
        while running.images.len() > CONTAINERS {
            running.images.pop_last();
        }
    }
}

/// Cuts to so many characters, with an ellipsis in place of the rest.
fn cut_text(text: &mut String, limit: usize) {
    if let Some((place, _)) = text.char_indices().nth(limit) {
        text.truncate(place);
        text.push('…');
    }
}
