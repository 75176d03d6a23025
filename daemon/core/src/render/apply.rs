//! Patches applied to objects: all of a patch or nothing, with its places, and with caps on growth.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Change, MergePatch, Operation, Patch, Target};
use crate::location::Location;
use crate::problem::{Code, Problem};
use crate::schema::suggest;
use crate::yaml::{Spans, escape};
use json_patch::PatchOperation;

/// Values in one object after a patch. An operation at most doubles an object, so this is checked after each.
const MAX_NODES: usize = 200_000;
/// Levels of one object after a patch.
const MAX_DEPTH: usize = 256;

/// An object that is being rendered.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it is so far.
    pub value: Value,
    /// Its places so far.
    pub spans: Spans,
}

/// What went wrong with patches.
#[derive(Debug, Default)]
pub struct Applied {
    /// Patches that fail on an object; that object stays as it was.
    pub failed: Vec<Problem>,
    /// Patches that match nothing; only worth saying when every object could be read.
    pub unmatched: Vec<Problem>,
}

/// Applies patches in their order. `default_namespace` is that of objects that name none.
pub fn apply(patches: &[Patch], drafts: &mut [Draft], default_namespace: &str) -> Applied {
    let mut applied = Applied::default();
    for patch in patches {
        let mut matches = 0_usize;
        for draft in drafts.iter_mut().filter(|draft| patch.target.matches(&draft.value, default_namespace)) {
            matches += 1;
            let mut changed = draft.clone();
            match changed.change(&patch.change, &patch.location) {
                Ok(()) => *draft = changed,
                Err(problem) => applied.failed.push(*problem),
            }
        }
        if matches == 0 {
            let message = format!("the patch matches no object: {}", patch.target.describe());
            let problem = Problem::error(Code::Patch, message).at(patch.location.clone());
            let near = patch.target.nearest(drafts);
            applied.unmatched.push(match near {
                Some(near) => problem.help(format!("did you mean {near}?")),
                None => problem,
            });
        }
    }
    applied
}

impl Target {
    fn matches(&self, value: &Value, default_namespace: &str) -> bool {
        let Self { group, kind, name, namespace } = self;
        let metadata =
            |key: &str| value.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
        let api_version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let own_group = api_version.split_once('/').map_or("", |(group, _)| group);
        value.get("kind").and_then(Value::as_str) == Some(kind)
            && group.as_deref().is_none_or(|group| group == own_group)
            && name.as_deref().is_none_or(|name| metadata("name") == Some(name))
            && namespace
                .as_deref()
                .is_none_or(|own| metadata("namespace").unwrap_or(default_namespace) == own)
    }

    /// What was probably meant: a name of its kind, else a kind.
    fn nearest(&self, drafts: &[Draft]) -> Option<String> {
        let Self { group: _, kind, name, namespace: _ } = self;
        let text = |draft: &Draft, pointer: &str| {
            draft.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let names: BTreeSet<String> = drafts
            .iter()
            .filter(|draft| text(draft, "/kind") == *kind)
            .map(|draft| text(draft, "/metadata/name"))
            .collect();
        let others = |all: &BTreeSet<String>, own: &str| {
            suggest::nearest(own, all.iter().map(String::as_str).filter(|other| *other != own))
                .map(|near| format!("`{near}`"))
        };
        if !names.is_empty() {
            return others(&names, name.as_deref()?);
        }
        others(&drafts.iter().map(|draft| text(draft, "/kind")).collect(), kind)
    }

    fn describe(&self) -> String {
        let Self { group, kind, name, namespace } = self;
        let mut text = kind.clone();
        for (label, part) in [("group", group), ("namespace", namespace), ("name", name)] {
            if let Some(part) = part {
                text.push_str(&[" ", label, " `", part, "`"].concat());
            }
        }
        text
    }
}

impl Draft {
    fn change(&mut self, change: &Change, at: &Location) -> Result<(), Box<Problem>> {
        match change {
            Change::Operations(operations) => {
                operations.iter().try_for_each(|operation| self.operate(operation))
            }
            Change::Merge(MergePatch { value, spans }) => {
                overlay_merge(&mut self.spans, &self.value, value, spans, &mut String::new());
                json_patch::merge(&mut self.value, value);
                self.check_size(at)
            }
        }
    }

    fn operate(&mut self, Operation { operation, location }: &Operation) -> Result<(), Box<Problem>> {
        let before = self.length_at_parent(operation);
        json_patch::patch(&mut self.value, std::slice::from_ref(operation)).map_err(|error| {
            let message = format!("the patch fails on {}: {}", self.name(), error.kind);
            Box::new(Problem::error(Code::Patch, message).at(location.clone()).field(error.path.to_string()))
        })?;
        self.check_size(location)?;
        match operation {
            PatchOperation::Add(add) => self.added(add.path.as_str(), before, location),
            PatchOperation::Replace(replace) => {
                self.spans.overlay(replace.path.as_str().to_owned(), location.clone());
            }
            PatchOperation::Remove(remove) => self.removed(remove.path.as_str()),
            PatchOperation::Move(moved) => {
                self.removed(moved.from.as_str());
                self.added(moved.path.as_str(), None, location);
            }
            PatchOperation::Copy(copy) => self.added(copy.path.as_str(), before, location),
            PatchOperation::Test(_) => {}
        }
        Ok(())
    }

    /// The length of the sequence that an operation adds to, for `-`.
    fn length_at_parent(&self, operation: &PatchOperation) -> Option<usize> {
        let (parent, _) = operation.path().as_str().rsplit_once('/')?;
        self.value.pointer(parent).and_then(Value::as_array).map(Vec::len)
    }

    fn added(&mut self, pointer: &str, length: Option<usize>, location: &Location) {
        let Some((parent, token)) = pointer.rsplit_once('/') else {
            self.spans.overlay(String::new(), location.clone());
            return;
        };
        if let Some(items) = self.value.pointer(parent).and_then(Value::as_array) {
            let last = length.unwrap_or_else(|| items.len().saturating_sub(1));
            let index = token.parse().unwrap_or(last);
            self.spans.insert_item(parent, index);
            self.spans.overlay(format!("{parent}/{index}"), location.clone());
        } else {
            self.spans.overlay(pointer.to_owned(), location.clone());
        }
    }

    fn removed(&mut self, pointer: &str) {
        if let Some((parent, token)) = pointer.rsplit_once('/')
            && let Ok(index) = token.parse()
            && self.value.pointer(parent).is_some_and(Value::is_array)
        {
            self.spans.remove_item(parent, index);
        }
    }

    fn check_size(&self, at: &Location) -> Result<(), Box<Problem>> {
        let mut nodes = 0_usize;
        // A stack of its own: an operation may have doubled the depth.
        let mut stack = vec![(&self.value, 1_usize)];
        while let Some((value, depth)) = stack.pop() {
            nodes += 1;
            if nodes > MAX_NODES || depth > MAX_DEPTH {
                let message = format!(
                    "the patch makes {} larger than {MAX_NODES} values or {MAX_DEPTH} levels",
                    self.name()
                );
                return Err(Box::new(Problem::error(Code::Patch, message).at(at.clone())));
            }
            match value {
                Value::Object(map) => stack.extend(map.values().map(|value| (value, depth + 1))),
                Value::Array(items) => stack.extend(items.iter().map(|value| (value, depth + 1))),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("?").to_owned();
        let metadata = self.value.get("metadata");
        format!(
            "{} {}",
            text(self.value.get("kind")),
            text(metadata.and_then(|metadata| metadata.get("name")))
        )
    }
}

/// The places of what a merge patch writes: its scalars and lists, and its mappings where there is none yet.
fn overlay_merge(spans: &mut Spans, target: &Value, patch: &Value, places: &Spans, pointer: &mut String) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch.iter().filter(|(_, value)| !value.is_null()) {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(&escape(key));
                overlay_merge(spans, target.get(key).unwrap_or(&Value::Null), value, places, pointer);
                pointer.truncate(length);
            }
        }
        (_, patch) => overlay_all(spans, patch, places, pointer),
    }
}

fn overlay_all(spans: &mut Spans, patch: &Value, places: &Spans, pointer: &mut String) {
    spans.overlay(pointer.clone(), places.locate(pointer));
    let mut below = |token: &str, value: &Value| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(token);
        overlay_all(spans, value, places, pointer);
        pointer.truncate(length);
    };
    match patch {
        Value::Object(map) => map.iter().for_each(|(key, value)| below(&escape(key), value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
