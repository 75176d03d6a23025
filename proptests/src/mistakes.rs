//! Documents with generated mistakes: a value replaced, taken out, put in or repeated anywhere.
//!
//! Not here: whether it is one; that is what a parser and a schema have to agree on.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// One mistake.
#[derive(Debug, Clone)]
pub enum Mistake {
    /// Another value.
    Replace(Value),
    /// Gone.
    Remove,
    /// A further field.
    Add(&'static str, Value),
    /// An item of a list twice.
    Repeat,
}

/// Mistakes with these texts (right somewhere, or nearly), and further fields of these names.
pub fn mistake(
    texts: &'static [&'static str],
    names: &'static [&'static str],
) -> impl Strategy<Value = Mistake> {
    prop_oneof![
        4 => odd_value(texts).prop_map(Mistake::Replace),
        2 => Just(Mistake::Remove),
        2 => (prop::sample::select(names), odd_value(texts)).prop_map(|(name, value)| Mistake::Add(name, value)),
        1 => Just(Mistake::Repeat),
    ]
}

fn odd_value(texts: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let others = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(3),
        json!(3.0),
        json!(1.5),
        json!(101),
        json!(4_294_967_296_u64),
        json!([]),
        json!({}),
        json!([null]),
        json!(["x"]),
        json!({ "x": 1 }),
        json!([{}]),
    ];
    prop_oneof![prop::sample::select(texts).prop_map(Value::from), prop::sample::select(others.to_vec()),]
}

/// Every pointer of a value below its root.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in below {
        let pointer = format!("{at}/{key}");
        pointers(value, &pointer, all);
        all.push(pointer);
    }
}

/// Makes a mistake somewhere in a document.
pub fn make(value: &mut Value, at: prop::sample::Index, mistake: Mistake) {
    let mut all = Vec::new();
    pointers(value, "", &mut all);
    if all.is_empty() {
        return;
    }
    let pointer = all.swap_remove(at.index(all.len()));
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let key = key.replace("~1", "/").replace("~0", "~");
    match mistake {
        Mistake::Replace(new) => *value.pointer_mut(&pointer).expect("it is there") = new,
        Mistake::Add(name, new) => {
            if let Some(Value::Object(map)) = value.pointer_mut(&pointer) {
                map.insert(name.to_owned(), new);
            }
        }
        Mistake::Remove => match value.pointer_mut(parent) {
            Some(Value::Object(map)) => drop::<Option<Value>>(Map::remove(map, &key)),
            Some(Value::Array(items)) => drop(items.remove(key.parse().expect("an index"))),
            _ => {}
        },
        Mistake::Repeat => {
            if let Some(Value::Array(items)) = value.pointer_mut(parent)
                && let Some(again) = items.get(key.parse::<usize>().expect("an index")).cloned()
            {
                items.push(again);
            }
        }
    }
}
