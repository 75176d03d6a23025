//! Fields that are left to others: taken out of what is sent, so that server-side apply never owns them.

use std::cmp::Ordering;

use serde_json::Value;

/// The JSON pointers in the text of an ignore annotation, separated by commas or white space.
pub fn pointers_of(text: &str) -> Vec<String> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A copy of an object without the fields under these JSON pointers (RFC 6901), so that others own them.
///
/// All pointers are meant in the object as it is given: removing item 0 of a list does not change what `/…/1` means.
/// A map or list that becomes empty by this goes too, because an empty one would still be claimed. A pointer to nothing,
/// to the object itself or without a leading `/` does nothing.
pub fn without_pointers(value: &Value, pointers: &[String]) -> Value {
    let mut targets: Vec<Vec<String>> = pointers.iter().filter_map(|pointer| tokens(pointer)).collect();
    targets.sort_by(|one, other| by_position(one, other));
    // What lies below another goes with it; removed on its own it might take the item of a list away, and the other pointer
    // would mean the next one.
    targets.dedup_by(|later, earlier| later.starts_with(earlier));
    let mut result = value.clone();
    for target in targets.iter().rev() {
        remove(&mut result, target);
    }
    result
}

fn tokens(pointer: &str) -> Option<Vec<String>> {
    let rest = pointer.strip_prefix('/')?;
    Some(rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}

/// The order of places in an object: items of a list by number, what is below a place right after it.
fn by_position(one: &[String], other: &[String]) -> Ordering {
    for (one, other) in one.iter().zip(other) {
        let order = match (one.parse::<usize>(), other.parse::<usize>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            _ => one.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    one.len().cmp(&other.len())
}

/// Removes what a path leads to; says whether `value` became empty by it. Depth is bounded by the length of the path.
fn remove(value: &mut Value, path: &[String]) -> bool {
    let Some((token, rest)) = path.split_first() else { return false };
    match value {
        Value::Object(fields) => {
            let Some(field) = fields.get_mut(token) else { return false };
            if !rest.is_empty() && !remove(field, rest) {
                return false;
            }
            fields.remove(token);
            fields.is_empty()
        }
        Value::Array(items) => {
            let Some(index) = token.parse::<usize>().ok().filter(|index| *index < items.len()) else {
                return false;
            };
            let emptied = items.get_mut(index).is_some_and(|item| rest.is_empty() || remove(item, rest));
            if emptied {
                items.remove(index);
            }
            emptied && items.is_empty()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn without(value: &Value, pointers: &[&str]) -> Value {
        without_pointers(value, &pointers.iter().map(|pointer| (*pointer).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn ignored_fields_go_and_all_others_stay() {
        let object =
            json!({"spec": {"replicas": 3, "paused": false}, "metadata": {"labels": {"a/b": "c", "d": "e"}}});
        assert_eq!(
            without(&object, &["/spec/replicas", "/metadata/labels/a~1b"]),
            json!({"spec": {"paused": false}, "metadata": {"labels": {"d": "e"}}})
        );
    }

    #[test]
    fn an_item_and_a_field_of_it_are_one_item_less() {
        let object = json!({"ports": [{"a": 1}, {"b": 2}, {"c": 3}]});
        assert_eq!(without(&object, &["/ports/1/b", "/ports/1"]), json!({"ports": [{"a": 1}, {"c": 3}]}));
    }

    #[test]
    fn a_map_that_becomes_empty_goes_and_one_that_was_empty_stays() {
        let object = json!({"spec": {"limits": {"cpu": 1}, "emptyDir": {}}});
        assert_eq!(without(&object, &["/spec/limits/cpu"]), json!({"spec": {"emptyDir": {}}}));
    }

    #[test]
    fn pointers_mean_the_object_as_it_is_given() {
        let object = json!({"list": [{"n": 0, "x": 0}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]});
        let rest = json!({"list": [{"n": 0}, 1, 3, 4, 5, 6, 7, 8, 9, 11]});
        assert_eq!(without(&object, &["/list/2", "/list/10", "/list/0/x", "/list/2"]), rest);
        assert_eq!(without(&json!([1, 2, 3]), &["/0", "/1"]), json!([3]));
    }

    #[test]
    fn pointers_to_nothing_do_nothing() {
        let object = json!({"spec": {"replicas": 3, "args": ["a"]}});
        for pointer in
            ["", "spec", "/none", "/spec/replicas/deeper", "/spec/args/1", "/spec/args/-", "/spec/args/x/y"]
        {
            assert_eq!(without(&object, &[pointer]), object, "{pointer}");
        }
    }

    #[test]
    fn an_annotation_holds_pointers_between_commas_or_spaces() {
        assert_eq!(pointers_of(" /spec/replicas, /a~1b\n/c ,"), ["/spec/replicas", "/a~1b", "/c"]);
        assert!(pointers_of("  ").is_empty());
    }
}
