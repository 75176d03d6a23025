//! FieldsV1 read into paths, and merged. Not the values of the fields: managed fields hold none.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// No object nests deeper; the API server's own limit is far below.
const MAX_DEPTH: usize = 128;

/// One step of a path in FieldsV1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// `f:spec`: a field of an object or a key of a map.
    Field(String),
    /// `k:{"name":"web"}`: a list item by its keys, sorted by name; values as JSON text.
    Key(Vec<(String, String)>),
    /// `v:"x"`: a member of a set, as JSON text.
    Value(String),
    /// `i:0`: a list item by place.
    Index(u64),
}

/// A path in FieldsV1, from the root of the object.
pub type FieldPath = Vec<PathElement>;

/// Why a field set cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A step has an unknown form.
    #[error("`{0}` is not a step of a FieldsV1 path")]
    Step(String),
    /// It nests deeper than any object.
    #[error("a field set nests deeper than {0} levels")]
    Depth(usize),
}

/// The fields that a FieldsV1 value names: its leaves, and inner nodes that it owns themselves (`.`).
pub fn parse_fields(fields: &Value) -> Result<BTreeSet<FieldPath>, FieldsError> {
    let mut found = BTreeSet::new();
    collect(fields, &mut Vec::new(), &mut found)?;
    found.remove(&Vec::new());
    Ok(found)
}

fn collect(node: &Value, path: &mut FieldPath, found: &mut BTreeSet<FieldPath>) -> Result<(), FieldsError> {
    if path.len() >= MAX_DEPTH {
        return Err(FieldsError::Depth(MAX_DEPTH));
    }
    let children = node.as_object().filter(|children| !children.is_empty());
    let Some(children) = children else {
        found.insert(path.clone());
        return Ok(());
    };
    for (step, child) in children {
        if step == "." {
            found.insert(path.clone());
            continue;
        }
        path.push(parse_step(step)?);
        collect(child, path, found)?;
        path.pop();
    }
    Ok(())
}

/// Reads one key of a FieldsV1 object, other than `.`.
pub(super) fn parse_step(step: &str) -> Result<PathElement, FieldsError> {
    let unknown = || FieldsError::Step(step.chars().take(100).collect());
    let (form, rest) = step.split_once(':').ok_or_else(unknown)?;
    match form {
        "f" => Ok(PathElement::Field(rest.to_owned())),
        "v" => Ok(PathElement::Value(rest.to_owned())),
        "i" => rest.parse().map(PathElement::Index).map_err(|_| unknown()),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).map_err(|_| unknown())?;
            let mut keys: Vec<(String, String)> =
                keys.into_iter().map(|(name, value)| (name, value.to_string())).collect();
            keys.sort_unstable();
            Ok(PathElement::Key(keys))
        }
        _ => Err(unknown()),
    }
}

impl PathElement {
    /// What stands in the brackets of a dotted path: `web`, `8080/TCP`, `0`; none for fields.
    pub(super) fn bracket(&self) -> Option<String> {
        match self {
            Self::Field(_) => None,
            Self::Key(keys) => Some(keys.iter().map(|(_, value)| bare(value)).collect::<Vec<_>>().join("/")),
            Self::Value(value) => Some(bare(value)),
            Self::Index(index) => Some(index.to_string()),
        }
    }
}

/// JSON text without the quotes of a string.
fn bare(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

/// The path as people read it: `spec.template.spec.containers[web].image`.
pub(super) fn dotted(path: &[PathElement]) -> String {
    let mut text = String::new();
    for element in path {
        match (element, element.bracket()) {
            (PathElement::Field(name), _) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            (PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_), bracket) => {
                // Writing to a String cannot fail.
                let _ = write!(text, "[{}]", bracket.unwrap_or_default());
            }
        }
    }
    text
}

/// Adds every field of `from` to `into`. A leaf that becomes an inner node stays owned itself (`.`).
pub(super) fn union(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    union_at(into, from, 0);
}

fn union_at(into: &mut Map<String, Value>, from: &Map<String, Value>, depth: usize) {
    if depth >= MAX_DEPTH {
        return;
    }
    for (step, child) in from {
        let Some(child) = child.as_object() else { continue };
        let slot = into.entry(step.clone()).or_insert_with(|| Value::Object(child.clone()));
        let Some(slot) = slot.as_object_mut() else { continue };
        if slot.is_empty() != child.is_empty() && step != "." {
            slot.insert(".".to_owned(), Value::Object(Map::new()));
        }
        union_at(slot, child, depth + 1);
    }
}

/// JSON text with sorted keys, whatever order the value holds them in.
pub(super) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (place, (key, child)) in entries.into_iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                let _ = write!(text, "{comma}{}:", Value::String(key.clone()));
                write_canonical(child, text);
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for (place, child) in list.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write_canonical(child, text);
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = write!(text, "{value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_step_is_read() {
        let fields = json!({"f:spec": {
            ".": {},
            "f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}}},
            "f:finalizers": {"v:\"x/y\"": {}},
            "f:args": {"i:0": {}},
        }});
        let paths: Vec<String> = parse_fields(&fields).unwrap().iter().map(|path| dotted(path)).collect();
        assert_eq!(
            paths,
            [
                "spec",
                "spec.args[0]",
                "spec.containers[web].image",
                "spec.finalizers[x/y]",
                "spec.ports[80/TCP]"
            ]
        );
    }

    #[test]
    fn an_unknown_step_is_an_error() {
        for step in ["spec", "x:spec", "k:name", "i:one"] {
            assert!(matches!(parse_fields(&json!({step: {}})), Err(FieldsError::Step(_))), "{step}");
        }
    }

    #[test]
    fn endless_nesting_is_an_error() {
        let deep = (0..200).fold(json!({}), |inner, _| json!({"f:x": inner}));
        assert_eq!(parse_fields(&deep), Err(FieldsError::Depth(MAX_DEPTH)));
    }

    #[test]
    fn a_union_has_the_fields_of_both() {
        let mut ours = json!({"f:spec": {"f:a": {}, "f:whole": {}}}).as_object().unwrap().clone();
        let theirs = json!({"f:spec": {".": {}, "f:b": {}, "f:whole": {"f:part": {}}}});
        union(&mut ours, theirs.as_object().unwrap());
        let paths: Vec<String> =
            parse_fields(&Value::Object(ours)).unwrap().iter().map(|path| dotted(path)).collect();
        assert_eq!(paths, ["spec", "spec.a", "spec.b", "spec.whole", "spec.whole.part"]);
    }
}
