//! The JSON patch (RFC 6902) that turns one value into another, exactly. Keyed lists are edited item by item: removes,
//! moves and adds, instead of rewriting every item behind the first difference.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, MoveOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Map, Value};

use super::MAX_DEPTH;
use super::compare::equal_ends;
use super::keys::{self, KeyedLists};

/// A JSON patch that turns exactly `old` into exactly `new`; it also carries what [`super::diff`] forgives (the spelling
/// of numbers and quantities).
pub fn to_patch(old: &Value, new: &Value) -> Patch {
    let mut writer = Writer { at: PointerBuf::new(), depth: 0, operations: Vec::new() };
    writer.value("", old, new);
    Patch(writer.operations)
}

struct Writer {
    at: PointerBuf,
    depth: usize,
    operations: Vec<PatchOperation>,
}

impl Writer {
    fn value(&mut self, field: &str, old: &Value, new: &Value) {
        match (old, new) {
            (old, new) if old == new => {}
            (Value::Object(old), Value::Object(new)) if self.depth < MAX_DEPTH => self.maps(old, new),
            (Value::Array(old), Value::Array(new)) if self.depth < MAX_DEPTH => {
                match keys::keyed(field, old, new) {
                    Some(keyed) => self.lists_by_key(&keyed, old, new),
                    None => self.lists_by_position(old, new),
                }
            }
            (_, new) => {
                let operation = ReplaceOperation { path: self.at.clone(), value: new.clone() };
                self.operations.push(PatchOperation::Replace(operation));
            }
        }
    }

    fn maps(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) {
        for name in old.keys().filter(|name| !new.contains_key(name.as_str())) {
            self.remove(name);
        }
        for (name, value) in new {
            match old.get(name) {
                Some(before) => self.below(name, name, before, value),
                None => self.add(name, value),
            }
        }
    }

    fn lists_by_key(&mut self, keyed: &KeyedLists, old: &[Value], new: &[Value]) {
        let new_places = keys::positions(&keyed.new);
        let mut current: Vec<(&str, &Value)> = keyed.old.iter().map(String::as_str).zip(old).collect();
        for index in (0..current.len()).rev() {
            if current.get(index).is_some_and(|(key, _)| !new_places.contains_key(key)) {
                current.remove(index);
                self.remove(&index.to_string());
            }
        }
        for (index, (key, value)) in keyed.new.iter().zip(new).enumerate() {
            let found =
                current.iter().skip(index).position(|(other, _)| other == key).map(|ahead| index + ahead);
            let Some(found) = found else {
                current.insert(index, (key, value));
                self.add(&index.to_string(), value);
                continue;
            };
            let item = current.remove(found);
            current.insert(index, item);
            if found != index {
                self.shift(found, index);
            }
            self.below(&index.to_string(), "", item.1, value);
        }
    }

    fn lists_by_position(&mut self, old: &[Value], new: &[Value]) {
        let (start, end) = equal_ends(old, new);
        let (old_end, new_end) = (old.len() - end, new.len() - end);
        for (index, (before, value)) in old.iter().zip(new).enumerate().take(old_end.min(new_end)).skip(start)
        {
            self.below(&index.to_string(), "", before, value);
        }
        for index in (new_end..old_end).rev() {
            self.remove(&index.to_string());
        }
        for (index, value) in new.iter().enumerate().take(new_end).skip(old_end) {
            self.add(&index.to_string(), value);
        }
    }

    fn below(&mut self, token: &str, field: &str, old: &Value, new: &Value) {
        self.at.push_back(token);
        self.depth += 1;
        self.value(field, old, new);
        self.depth -= 1;
        self.at.pop_back();
    }

    fn path_to(&self, token: &str) -> PointerBuf {
        let mut path = self.at.clone();
        path.push_back(token);
        path
    }

    fn add(&mut self, token: &str, value: &Value) {
        let operation = AddOperation { path: self.path_to(token), value: value.clone() };
        self.operations.push(PatchOperation::Add(operation));
    }

    fn remove(&mut self, token: &str) {
        let operation = RemoveOperation { path: self.path_to(token) };
        self.operations.push(PatchOperation::Remove(operation));
    }

    fn shift(&mut self, from: usize, to: usize) {
        let operation =
            MoveOperation { from: self.path_to(&from.to_string()), path: self.path_to(&to.to_string()) };
        self.operations.push(PatchOperation::Move(operation));
    }
}
