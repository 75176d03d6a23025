//! Field paths of API servers, turned into JSON pointers.

use serde_json::Value;

use super::escape;

/// Bytes of a path that are looked at; the work grows with their square.
const MAX_LENGTH: usize = 4096;

/// The pointer of a field path, as far as the value has it.
///
/// Paths are ambiguous (`data.a.b` is the key `a.b` or the key `b` in `a`), so the value decides: at every step the
/// longest key that exists is taken. What the value does not have is left out; the nearest value around it is meant.
pub fn to_pointer(value: &Value, field: &str) -> String {
    let mut pointer = String::new();
    let mut here = value;
    let field = field.get(..MAX_LENGTH).unwrap_or(field);
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
        return descend(here, key).map(|(token, next)| (token, next, after));
    }
    // The longest prefix that is a key wins; it ends where the path ends, at a dot or at a bracket.
    let ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '[')).map(|(at, _)| at);
    let mut ends: Vec<usize> = ends.chain([path.len()]).filter(|end| *end > 0).collect();
    ends.reverse();
    ends.into_iter().find_map(|end| {
        let (key, after) = path.split_at_checked(end)?;
        descend(here, key).map(|(token, next)| (token, next, after))
    })
}

/// What stands in brackets, with or without quotes, and what follows.
fn bracketed(inner: &str) -> Option<(&str, &str)> {
    let quoted = inner.strip_prefix('"').and_then(|text| text.split_once("\"]"));
    let single = || inner.strip_prefix('\'').and_then(|text| text.split_once("']"));
    quoted.or_else(single).or_else(|| inner.split_once(']'))
}

fn descend<'v>(here: &'v Value, key: &str) -> Option<(String, &'v Value)> {
    match here {
        Value::Object(map) => map.get(key).map(|next| (key.to_owned(), next)),
        Value::Array(items) => {
            let by_index = key.parse::<usize>().ok().and_then(|index| Some((index, items.get(index)?)));
            by_index.or_else(|| by_name(items, key)).map(|(index, next)| (index.to_string(), next))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// `containers[api]` and `containers[name=api]`, as our own diff and server-side apply write them.
fn by_name<'v>(items: &'v [Value], key: &str) -> Option<(usize, &'v Value)> {
    let key = key.trim_start_matches('{').trim_end_matches('}');
    let (field, wanted) = key.split_once('=').unwrap_or(("name", key));
    let wanted = wanted.trim_matches('"');
    items.iter().enumerate().find(|(_, item)| item.get(field).and_then(Value::as_str) == Some(wanted))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_paths_of_servers_become_pointers() {
        let value = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "web", "a": "b"}, "annotations": {"x.y": {"z": 1}}},
            "spec": {"containers": [{"name": "api", "image": "x", "ports": [{"containerPort": 80}]}]},
            "data": {"a.b": "1", "a": {"b": "2"}, "tls.crt": ""},
        });
        let cases = [
            ("spec.containers[0].image", "/spec/containers/0/image"),
            ("spec.containers[api].image", "/spec/containers/0/image"),
            ("spec.containers[name=\"api\"].image", "/spec/containers/0/image"),
            (".spec.containers[0].ports[0].containerPort", "/spec/containers/0/ports/0/containerPort"),
            ("metadata.labels[app.kubernetes.io/name]", "/metadata/labels/app.kubernetes.io~1name"),
            ("metadata.labels.app.kubernetes.io/name", "/metadata/labels/app.kubernetes.io~1name"),
            ("metadata.annotations.x.y.z", "/metadata/annotations/x.y/z"),
            ("data[tls.crt]", "/data/tls.crt"),
            ("data.a.b", "/data/a.b"),
            ("spec.containers[7].image", "/spec/containers"),
            ("spec.containers[0].missing.more", "/spec/containers/0"),
            ("nonsense[[[", ""),
            ("", ""),
        ];
        for (field, pointer) in cases {
            assert_eq!(to_pointer(&value, field), pointer, "{field}");
        }
    }
}
