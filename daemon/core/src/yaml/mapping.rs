//! One mapping while it is built: keys that stand twice, and merge keys (`<<`).

use std::collections::BTreeMap;

use super::{Entry, Node, NodeValue};
use crate::location::Position;
use crate::problem::{Code, Problem};

/// The entries so far, and what is expected next.
#[derive(Default)]
pub struct MappingFrame {
    entries: Vec<Slot>,
    by_key: BTreeMap<String, usize>,
    pending: Pending,
    merge: Option<Position>,
}

/// What was found, before its file is known.
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// Where.
    pub position: Position,
    /// Another place that belongs to it.
    pub related: Option<(&'static str, Position)>,
}

struct Slot {
    entry: Entry,
    /// It came by `<<`; a key of the mapping itself replaces it.
    merged: bool,
}

#[derive(Default)]
enum Pending {
    /// A key comes next.
    #[default]
    Nothing,
    /// The value of this key comes next.
    Key(String, Position),
    /// What is merged comes next.
    Merge(Position),
    /// The value of a key that was refused comes next, and is dropped.
    Refused(Position),
}

impl MappingFrame {
    /// Whether a key comes next.
    pub fn wants_key(&self) -> bool {
        match self.pending {
            Pending::Nothing => true,
            Pending::Key(..) | Pending::Merge(_) | Pending::Refused(_) => false,
        }
    }

    /// Where the key of the value that comes next stands.
    pub fn place_of_key(&self) -> Option<Position> {
        match &self.pending {
            Pending::Nothing => None,
            Pending::Key(_, position) | Pending::Merge(position) | Pending::Refused(position) => {
                Some(*position)
            }
        }
    }

    /// Takes a key; none for one that was refused.
    pub fn key(&mut self, key: Option<String>, position: Position) -> Option<Finding> {
        let Some(key) = key else {
            self.pending = Pending::Refused(position);
            return None;
        };
        let first = self.by_key.get(&key).and_then(|at| self.entries.get(*at)).filter(|slot| !slot.merged);
        if let Some(first) = first {
            self.pending = Pending::Refused(position);
            return Some(duplicate(&key, position, first.entry.key_position));
        }
        self.pending = Pending::Key(key, position);
        None
    }

    /// Takes the key `<<`.
    pub fn begin_merge(&mut self, position: Position) -> Option<Finding> {
        if let Some(first) = self.merge {
            self.pending = Pending::Refused(position);
            let mut finding = duplicate("<<", position, first);
            finding.problem = finding.problem.help("merge several mappings with one key: `<<: [*a, *b]`");
            return Some(finding);
        }
        self.merge = Some(position);
        self.pending = Pending::Merge(position);
        None
    }

    /// Takes the value of the key before it.
    pub fn value(&mut self, node: Node) -> Vec<Finding> {
        match std::mem::take(&mut self.pending) {
            Pending::Nothing | Pending::Refused(_) => Vec::new(),
            Pending::Key(key, key_position) => {
                let slot = Slot { entry: Entry { key: key.clone(), key_position, node }, merged: false };
                self.put(key, slot);
                Vec::new()
            }
            Pending::Merge(position) => self.merge(node, position),
        }
    }

    /// The entries in the order of the file.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries.into_iter().map(|slot| slot.entry).collect()
    }

    fn put(&mut self, key: String, slot: Slot) {
        if let Some(merged) = self.by_key.get(&key).and_then(|at| self.entries.get_mut(*at)) {
            *merged = slot;
        } else {
            self.by_key.insert(key, self.entries.len());
            self.entries.push(slot);
        }
    }

    /// Merges a mapping or several; of several the earlier ones win.
    fn merge(&mut self, node: Node, position: Position) -> Vec<Finding> {
        let mappings = match node.value {
            NodeValue::Mapping(entries) => vec![Some(entries)],
            NodeValue::Sequence(items) => items.into_iter().map(Node::into_entries).collect(),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => vec![None],
        };
        let mut findings = Vec::new();
        for mapping in mappings {
            let Some(entries) = mapping else {
                let message = "`<<` merges a mapping or a sequence of mappings, and nothing else";
                findings.push(Finding {
                    problem: Problem::error(Code::YamlUnsupported, message),
                    position,
                    related: None,
                });
                continue;
            };
            findings.extend(entries.into_iter().filter_map(|entry| self.merge_entry(entry, position)));
        }
        findings
    }

    fn merge_entry(&mut self, entry: Entry, position: Position) -> Option<Finding> {
        match self.by_key.get(&entry.key).and_then(|at| self.entries.get(*at)) {
            None => {
                self.put(entry.key.clone(), Slot { entry, merged: true });
                None
            }
            Some(slot) if slot.merged => None,
            // YAML says that the mapping's own key wins, kubectl lets the later of the two win.
            Some(slot) => {
                let message =
                    format!("`<<` comes after `{}`: kubectl would let the merged value win", entry.key);
                let problem = Problem::error(Code::YamlAmbiguous, message).help("write `<<` first");
                let related = Some(("its own value stands here", slot.entry.key_position));
                Some(Finding { problem, position, related })
            }
        }
    }
}

fn duplicate(key: &str, position: Position, first: Position) -> Finding {
    let problem =
        Problem::error(Code::YamlDuplicateKey, format!("the key `{key}` stands twice in one mapping"));
    Finding { problem, position, related: Some(("first written here", first)) }
}
