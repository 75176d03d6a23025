//! A parsed document: values with the places where they stand. No knowledge of Kubernetes.

use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::Spans;
use crate::location::Position;

/// One document of a file. Empty documents are left out, as kubectl does.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The value at its root.
    pub root: Node,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: NodeValue,
    /// Where its first character stands; a node that came by an alias or a merge stands where it is defined.
    pub position: Position,
    /// True for a scalar that is neither quoted nor tagged nor a block.
    pub plain: bool,
    /// What is written, where it is a plain scalar that is not read as text (`0644`, `yes`).
    pub written: Option<Box<str>>,
}

/// What a node is, after scalars were read as kubectl reads them.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// `null`, `~` or nothing.
    Null,
    /// `true`, `yes`, `off`, ….
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// Text.
    String(String),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping in the order of the file; keys are unique.
    Mapping(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key as text (kubectl turns `1` and `true` into `"1"` and `"true"`).
    pub key: String,
    /// Where the key stands.
    pub key_position: Position,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Null at a place.
    pub fn null(position: Position) -> Self {
        Self { value: NodeValue::Null, position, plain: false, written: None }
    }

    /// The entries, when this is a mapping.
    pub fn into_entries(self) -> Option<Vec<Entry>> {
        match self.value {
            NodeValue::Mapping(entries) => Some(entries),
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::Number(_)
            | NodeValue::String(_)
            | NodeValue::Sequence(_) => None,
        }
    }

    /// The value of a key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The entry of a key, when this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            NodeValue::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::Number(_)
            | NodeValue::String(_)
            | NodeValue::Sequence(_) => None,
        }
    }

    /// The text, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::String(text) => Some(text),
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::Number(_)
            | NodeValue::Sequence(_)
            | NodeValue::Mapping(_) => None,
        }
    }

    /// The value without places. Depth is bounded by the budget that it was parsed with.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(flag) => Value::Bool(*flag),
            NodeValue::Number(number) => Value::Number(number.clone()),
            NodeValue::String(text) => Value::String(text.clone()),
            NodeValue::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            NodeValue::Mapping(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The places of all values below this one. Of a scalar: its own, where an editor would change it. Of a mapping or
    /// sequence under a key: that of the key, which is what people call the place of a field. Of an item of a sequence: its own.
    pub fn spans(&self, file: &Arc<str>) -> Spans {
        let mut spans = Spans::new(file.clone(), self.position);
        let mut pointer = String::new();
        self.insert_spans(&mut spans, &mut pointer, (self.position, self.position));
        spans
    }

    fn insert_spans(&self, spans: &mut Spans, pointer: &mut String, (key, value): (Position, Position)) {
        spans.insert_field(pointer.clone(), key, value);
        let length = pointer.len();
        match &self.value {
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => {}
            NodeValue::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointer.push('/');
                    pointer.push_str(&index.to_string());
                    item.insert_spans(spans, pointer, (item.position, item.position));
                    pointer.truncate(length);
                }
            }
            NodeValue::Mapping(entries) => {
                for Entry { key, key_position, node } in entries {
                    pointer.push('/');
                    pointer.push_str(&super::escape(key));
                    let position = if node.is_collection() { *key_position } else { node.position };
                    node.insert_spans(spans, pointer, (*key_position, position));
                    pointer.truncate(length);
                }
            }
        }
    }

    /// Whether this is a sequence or a mapping.
    pub fn is_collection(&self) -> bool {
        match &self.value {
            NodeValue::Sequence(_) | NodeValue::Mapping(_) => true,
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => false,
        }
    }
}
