//! The objects of a file of live objects: YAML documents or JSON, with Lists in any depth. Pure.

use std::sync::Arc;

use serde_json::Value;
use tidegate_core::location::Location;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::yaml::{Budget, parse};

/// Live objects are larger than what people write, and there are more of them in one file.
const BUDGET: Budget = Budget { bytes: 64 * 1024 * 1024, nodes: 20_000_000, depth: 256, aliases: 10_000 };
/// Problems of one file that are named one by one.
const MAX_PROBLEMS: usize = 100;

/// What stands in a file, before its places are known.
#[derive(Default)]
struct Found {
    objects: Vec<Value>,
    /// What is no object: the document, the pointer in it, and why.
    wrong: Vec<(usize, String, &'static str)>,
}

/// All objects in the order of the file, or what is wrong with it and where.
pub fn objects(file: &Arc<str>, bytes: &[u8]) -> Result<Vec<Value>, Vec<Problem>> {
    // JSON is read as JSON: its escapes are not all YAML's, and it is by far the faster way.
    let json = read_json(bytes).map(found);
    if let Some(Found { objects, wrong }) = json
        && wrong.is_empty()
    {
        return Ok(objects);
    }
    // Every value takes a byte at least: what is beyond that is made by aliases.
    let nodes = BUDGET.nodes.min(bytes.len().saturating_add(Budget::DEFAULT.nodes));
    let (documents, problems) = parse(file, bytes, &Budget { nodes, ..BUDGET });
    if !problems.is_empty() {
        return Err(first(problems));
    }
    if documents.is_empty() {
        let problem = Problem::error(Code::NotAnObject, "the input is empty").at(Location::file(file));
        return Err(vec![problem.help("the command that should have written it may have failed")]);
    }
    let Found { objects, wrong } = found(documents.iter().map(|document| document.root.to_json()).collect());
    if wrong.is_empty() {
        return Ok(objects);
    }
    let problem = |(document, pointer, why): (usize, String, &'static str)| {
        let place = documents.get(document).map(|document| document.root.spans(file).locate(&pointer));
        Problem::error(Code::NotAnObject, why).at(place.unwrap_or_else(|| Location::file(file)))
    };
    Err(first(wrong.into_iter().map(problem).collect()))
}

/// The problems that are named; the last one says how many are not.
fn first(mut problems: Vec<Problem>) -> Vec<Problem> {
    let left = problems.len().saturating_sub(MAX_PROBLEMS);
    problems.truncate(MAX_PROBLEMS);
    if left > 0
        && let Some(last) = problems.pop()
    {
        problems.push(last.help(format!("{left} more problems of this file are not named")));
    }
    problems
}

/// One JSON document after another; none when it is anything else.
fn read_json(bytes: &[u8]) -> Option<Vec<Value>> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(first, b'{' | b'[') {
        return None;
    }
    serde_json::Deserializer::from_slice(bytes).into_iter().collect::<Result<_, _>>().ok()
}

fn found(documents: Vec<Value>) -> Found {
    let mut found = Found::default();
    for (index, document) in documents.into_iter().enumerate() {
        expand(document, index, &mut String::new(), &mut found);
    }
    found
}

/// Recurses as deep as the document was allowed to be.
fn expand(value: Value, document: usize, pointer: &mut String, found: &mut Found) {
    let mut map = match value {
        Value::Array(items) => return expand_all(items, document, pointer, found),
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.wrong.push((document, pointer.clone(), "it is not an object: it is no mapping"));
            return;
        }
    };
    let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let item_kind = kind.strip_suffix("List").map(str::to_owned);
    if let (Some(item_kind), Some(Value::Array(_) | Value::Null)) = (item_kind, map.get("items")) {
        let Some(Value::Array(mut items)) = map.remove("items") else { return };
        if !item_kind.is_empty() {
            for item in &mut items {
                name_kind(item, &api_version, &item_kind);
            }
        }
        let length = pointer.len();
        pointer.push_str("/items");
        expand_all(items, document, pointer, found);
        pointer.truncate(length);
        return;
    }
    if api_version.is_empty() || kind.is_empty() {
        found.wrong.push((document, pointer.clone(), "it is not an object: apiVersion or kind is missing"));
        return;
    }
    found.objects.push(Value::Object(map));
}

fn expand_all(items: Vec<Value>, document: usize, pointer: &mut String, found: &mut Found) {
    let length = pointer.len();
    for (index, item) in items.into_iter().enumerate() {
        pointer.push_str(&format!("/{index}"));
        expand(item, document, pointer, found);
        pointer.truncate(length);
    }
}

/// API servers leave kind and version out of the items of a typed list (`PodList`).
fn name_kind(item: &mut Value, api_version: &str, kind: &str) {
    if let Some(item) = item.as_object_mut()
        && !item.contains_key("kind")
        && !item.contains_key("apiVersion")
    {
        item.insert("apiVersion".to_owned(), Value::from(api_version));
        item.insert("kind".to_owned(), Value::from(kind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, Vec<String>> {
        let name =
            |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "");
        objects(&Arc::from("a.yaml"), text.as_bytes())
            .map(|objects| objects.iter().map(name).collect())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}}";

    #[test]
    fn documents_lists_and_lists_in_lists_give_their_objects_in_order() {
        let list = |items: &str| format!("{{apiVersion: v1, kind: List, items: [{items}]}}");
        let b = POD.replace("name: a", "name: b");
        assert_eq!(names(POD), Ok(vec!["Pod a".to_owned()]));
        assert_eq!(names(&format!("{POD}\n---\n---\n{b}\n")).map(|all| all.len()), Ok(2));
        let nested = list(&format!("{}, {b}", list(&list(POD))));
        assert_eq!(names(&nested), Ok(vec!["Pod a".to_owned(), "Pod b".to_owned()]));
        assert_eq!(names(&list("")), Ok(Vec::new()), "a list of nothing is not an empty input");
        assert_eq!(names("{apiVersion: v1, kind: PodList, items: null}"), Ok(Vec::new()));
        assert_eq!(names(&format!("[{POD}, {b}]")).map(|all| all.len()), Ok(2));
    }

    #[test]
    fn items_of_typed_lists_have_the_kind_of_the_list() {
        let list =
            r#"{"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [{"metadata": {"name": "a"}}]}"#;
        assert_eq!(names(list), Ok(vec!["Deployment a".to_owned()]));
        let custom = "{apiVersion: acme.dev/v1, kind: AllowList, metadata: {name: x}, spec: {}}";
        assert_eq!(
            names(custom),
            Ok(vec!["AllowList x".to_owned()]),
            "not every kind that ends so is a list"
        );
    }

    #[test]
    fn json_is_read_as_json_also_several_documents_of_it() {
        let json = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"\ud83d\ude00\/"}}"#;
        assert_eq!(names(&format!("\n{json}\n\t{json}")), Ok(vec!["Pod 😀/".to_owned(); 2]));
    }

    #[test]
    fn what_is_no_object_is_named_at_its_place() {
        let cases = [
            ("", "a.yaml:1:1: error[E0110]: the input is empty"),
            ("# nothing\n---\n", "a.yaml:1:1: error[E0110]: the input is empty"),
            ("hello\n", "a.yaml:1:1: error[E0110]: it is not an object: it is no mapping"),
            ("a: 1\n", "a.yaml:1:1: error[E0110]: it is not an object: apiVersion or kind is missing"),
            (
                "apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n",
                "a.yaml:4:3: error[E0110]: it is not an object: apiVersion or kind is missing",
            ),
            (
                "{\"kind\": \"List\", \"items\": [\n  7]}",
                "a.yaml:2:3: error[E0110]: it is not an object: it is no mapping",
            ),
            ("a: b: c\n", "a.yaml:1:5: error[E0101]"),
        ];
        for (text, expected) in cases {
            let errors = names(text).expect_err(text);
            assert!(errors[0].starts_with(expected), "{text}: {errors:?}");
        }
        assert_eq!(names(&"[".repeat(100_000)).expect_err("too deep").len(), 1);
    }

    #[test]
    fn aliases_cannot_make_more_of_a_file_than_its_size_allows() {
        let level = |(name, below): (char, char)| {
            format!("{name}: &{name} [{}]\n", vec![format!("*{below}"); 9].join(","))
        };
        let bomb =
            "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned() + &('b'..='i').zip('a'..).map(level).collect::<String>();
        let errors = names(&bomb).expect_err("a bomb");
        assert!(errors[0].contains("error[E0103]") && errors[0].contains("1000"), "{errors:?}");
    }

    #[test]
    fn problems_that_are_not_named_are_counted() {
        let many = objects(&Arc::from("a.yaml"), "7\n---\n".repeat(250).as_bytes()).expect_err("no objects");
        let last = many.last().and_then(|problem| problem.help.clone());
        assert_eq!(
            (many.len(), last.as_deref()),
            (100, Some("150 more problems of this file are not named"))
        );
    }

    #[test]
    fn every_object_that_is_wrong_is_named_in_one_pass() {
        assert_eq!(names(&format!("7\n---\n{POD}\n---\nkind: x\n")).expect_err("two").len(), 2);
    }
}
