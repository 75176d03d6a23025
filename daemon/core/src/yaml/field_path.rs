//! Field paths of API servers, turned into JSON pointers.

use serde_json::Value;

use super::escape;

/// The pointer of a field path, as far as the value has it.
///
/// Paths are ambiguous (`data.a.b` is the key `a.b` or the key `b` in `a`), so the value decides: at every step the
/// longest key that exists is taken. What the value does not have is left out; the nearest value around it is meant.
pub fn to_pointer(value: &Value, field: &str) -> String {
    let mut pointer = String::new();
    let mut here = value;
    let mut rest = field.trim_start_matches(['.', '$']);
    while let Some((token, next, after)) = step(here, rest) {
        pointer.push('/');
        pointer.push_str(&escape(&token));
        here = next;
        rest = after;
    }
    pointer
}

/// One step down: the token, the value under it, and what is left of the path.
fn step<'v, 'p>(here: &'v Value, path: &'p str) -> Option<(String, &'v Value, &'p str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if let Some(inner) = path.strip_prefix('[') {
        let (key, after) = bracketed(inner)?;
        return descend(here, key).map(|next| (key.to_owned(), next, after));
    }
    // The longest prefix that is a key wins; it ends where the path ends, at a dot or at a bracket.
    let ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '[')).map(|(at, _)| at);
    let mut ends: Vec<usize> = ends.chain([path.len()]).filter(|end| *end > 0).collect();
    ends.reverse();
    ends.into_iter().find_map(|end| {
        let (key, after) = path.split_at_checked(end)?;
        descend(here, key).map(|next| (key.to_owned(), next, after))
    })
}

/// What stands in brackets, with or without quotes, and what follows.
fn bracketed(inner: &str) -> Option<(&str, &str)> {
    let quoted = inner.strip_prefix('"').and_then(|text| text.split_once("\"]"));
    let single = || inner.strip_prefix('\'').and_then(|text| text.split_once("']"));
    quoted.or_else(single).or_else(|| inner.split_once(']'))
}

fn descend<'v>(here: &'v Value, key: &str) -> Option<&'v Value> {
    match here {
        Value::Object(map) => map.get(key),
        Value::Array(items) => {
            key.parse::<usize>().ok().and_then(|index| items.get(index)).or_else(|| by_name(items, key))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// `containers[api]` and `containers[name=api]`, as our own diff and server-side apply write them.
fn by_name<'v>(items: &'v [Value], key: &str) -> Option<&'v Value> {
    let key = key.trim_start_matches('{').trim_end_matches('}');
    let (field, wanted) = key.split_once('=').unwrap_or(("name", key));
    let wanted = wanted.trim_matches('"');
    items.iter().find(|item| item.get(field).and_then(Value::as_str) == Some(wanted))
}
