//! Field paths as the API server writes them (`spec.containers[0].image`), and JSON pointers (`/spec/containers/0/image`).
//!
//! Both name one place in an object; messages show the first, [`crate::yaml::Spans`] is asked with the second.

use std::fmt::Write as _;

use serde_json::Value;

/// Paths from outside (an API server's message) longer than this are read up to here.
const MAX_STEPS: usize = 128;

/// One step from a value to a value inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A named field.
    Field(&'a str),
    /// A key of a dictionary, such as a label.
    Key(&'a str),
    /// An item of a list.
    Index(usize),
}

/// The path in the API server's style: fields with dots, keys and items in brackets.
pub fn dotted(steps: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in steps {
        // Writing to a String cannot fail.
        let _ = match step {
            Step::Field(name) if text.is_empty() => write!(text, "{name}"),
            Step::Field(name) => write!(text, ".{name}"),
            Step::Key(key) => write!(text, "[{key}]"),
            Step::Index(index) => write!(text, "[{index}]"),
        };
    }
    text
}

/// The JSON pointer (RFC 6901).
pub fn pointer(steps: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Field(name) | Step::Key(name) => push_token(&mut text, name),
            Step::Index(index) => {
                let _ = write!(text, "/{index}");
            }
        }
    }
    text
}

fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(c),
        }
    }
}

/// The JSON pointer of a path that stands in a message of the API server, in any of its styles:
/// `spec.containers[0].image`, `metadata.labels[app.kubernetes.io/name]`, `.spec.containers[name="web"].image`.
/// Items named by their keys are looked up in `object`. What is not found there ends the pointer, except the last step.
pub fn from_message(path: &str, object: &Value) -> String {
    let mut at = Some(object);
    let mut pointer = String::new();
    let mut rest = path.trim().trim_start_matches('$').trim_start_matches('.');
    for _ in 0..MAX_STEPS {
        if rest.is_empty() {
            break;
        }
        let Some((token, after)) = next_token(rest) else { break };
        rest = after.strip_prefix('.').unwrap_or(after);
        let Some(token) = resolve(token, at) else { break };
        push_token(&mut pointer, &token);
        at = at.and_then(|value| child(value, &token));
    }
    pointer
}

/// A part of a path before it is looked up: a name, or what stands in brackets.
#[derive(Clone, Copy)]
enum Part<'a> {
    Name(&'a str),
    Bracket(&'a str),
}

fn next_token(rest: &str) -> Option<(Part<'_>, &str)> {
    if let Some(inner) = rest.strip_prefix('[') {
        let end = bracket_end(inner)?;
        let (inside, after) = inner.split_at_checked(end)?;
        return Some((Part::Bracket(inside), after.strip_prefix(']')?));
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at_checked(end)?;
    if name.is_empty() { None } else { Some((Part::Name(name), after)) }
}

/// The closing bracket, not counting those inside quotes.
fn bracket_end(inner: &str) -> Option<usize> {
    let mut quoted = false;
    for (at, c) in inner.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn resolve(part: Part<'_>, at: Option<&Value>) -> Option<String> {
    match part {
        Part::Name(name) => Some(name.to_owned()),
        Part::Bracket(inside) if inside.chars().all(|c| c.is_ascii_digit()) => Some(inside.to_owned()),
        Part::Bracket(inside) => match at {
            Some(Value::Array(items)) => position(items, inside).map(|index| index.to_string()),
            _ => Some(inside.trim_matches('"').to_owned()),
        },
    }
}

/// The item that a selector such as `name="web"` or `containerPort=80,protocol="TCP"` names, or one that equals it.
fn position(items: &[Value], selector: &str) -> Option<usize> {
    if let Some(whole) = selector.strip_prefix('=') {
        return items.iter().position(|item| shows(Some(item), whole));
    }
    let keys: Option<Vec<(&str, &str)>> = selector.split(',').map(|pair| pair.split_once('=')).collect();
    let keys = keys?;
    items.iter().position(|item| keys.iter().all(|(key, want)| shows(item.get(*key), want)))
}

/// Whether a value is what the selector says; an absent key counts, for it may have a default.
fn shows(value: Option<&Value>, want: &str) -> bool {
    match value {
        None => true,
        Some(Value::String(text)) => text == want.trim_matches('"'),
        Some(other) => {
            let text = other.to_string();
            text == want
        }
    }
}

fn child<'v>(value: &'v Value, token: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_written_as_the_api_server_writes_them() {
        let steps = [Step::Field("spec"), Step::Field("containers"), Step::Index(0), Step::Field("image")];
        assert_eq!(dotted(&steps), "spec.containers[0].image");
        assert_eq!(pointer(&steps), "/spec/containers/0/image");
        let steps = [Step::Field("metadata"), Step::Field("labels"), Step::Key("app.kubernetes.io/na~me")];
        assert_eq!(dotted(&steps), "metadata.labels[app.kubernetes.io/na~me]");
        assert_eq!(pointer(&steps), "/metadata/labels/app.kubernetes.io~1na~0me");
        assert_eq!((dotted(&[]), pointer(&[])), (String::new(), String::new()));
    }

    #[test]
    fn paths_of_messages_become_pointers() {
        let object = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "web"}, "finalizers": ["a/b", "c/d"]},
            "spec": {"containers": [
                {"name": "side"},
                {"name": "web", "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 80}]},
            ]},
        });
        let table = [
            ("spec.containers[1].image", "/spec/containers/1/image"),
            (".spec.containers[name=\"web\"].imagePulPolicy", "/spec/containers/1/imagePulPolicy"),
            (
                ".spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"].name",
                "/spec/containers/1/ports/1/name",
            ),
            ("metadata.labels[app.kubernetes.io/name]", "/metadata/labels/app.kubernetes.io~1name"),
            ("metadata.labels[\"app.kubernetes.io/name\"]", "/metadata/labels/app.kubernetes.io~1name"),
            (".metadata.finalizers[=\"c/d\"]", "/metadata/finalizers/1"),
            ("spec.containers[name=\"gone\"].image", "/spec/containers"),
            ("spec.absent.deeper", "/spec/absent/deeper"),
            ("", ""),
            ("..", ""),
            ("spec[", "/spec"),
            ("spec.containers[0]]", "/spec/containers/0/]"),
        ];
        for (path, expected) in table {
            assert_eq!(from_message(path, &object), expected, "{path}");
        }
    }

    #[test]
    fn an_endless_path_is_read_up_to_its_limit() {
        let path = "a.".repeat(100_000);
        assert_eq!(from_message(&path, &Value::Null).len(), 2 * MAX_STEPS);
    }
}
