//! The same files give the same bytes, in whatever order they were found; and what is rendered reads as what was meant.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests say what they expected")]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use tidegate_core::desired::{KindScopes, discover, load, read_paths};
use tidegate_core::object::{Gvk, Scope};
use tidegate_core::render::{to_yaml, value_to_yaml};
use tidegate_core::tree::FileTree;
use tidegate_core::yaml::{Budget, Node, NodeValue, parse};
use tidegate_proptests::cases::Cases;
use tidegate_proptests::documents::{object, scalar};

struct Everything;

impl KindScopes for Everything {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        let cluster = matches!(gvk.kind.as_str(), "Namespace" | "ClusterRole" | "PriorityClass");
        Some(if cluster { Scope::Cluster } else { Scope::Namespaced })
    }
}

/// The files below a folder of this repository.
fn files(folder: &Path, root: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    let entries = std::fs::read_dir(folder).expect("the example is in this repository");
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files(&path, root, found);
        } else {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            found.push((name, std::fs::read(&path).expect("a readable file")));
        }
    }
}

fn example() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned();
    let mut found = Vec::new();
    files(&root.join("environments"), &root, &mut found);
    found
}

/// Everything that can be seen of a commit, as bytes.
fn render(files: &[(String, Vec<u8>)]) -> String {
    let tree: FileTree = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let mut out = String::new();
    for found in discover(&tree) {
        let environment = found.environment.unwrap_or_else(|problems| panic!("{problems:#?}"));
        let loaded = load(&tree, &environment, &Everything);
        let errors: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", found.name);
        assert!(!loaded.objects.is_empty(), "{} has objects", found.name);
        out.push_str(&read_paths(&environment).join("\n"));
        out.push_str(&to_yaml(&loaded.objects));
    }
    out
}

/// Every scalar of a document with the text that stands at its place, to the end of the line.
fn leaves<'t>(node: &Node, lines: &[&'t str], found: &mut Vec<(Value, &'t str)>) {
    match &node.value {
        NodeValue::Mapping(entries) => entries.iter().for_each(|entry| leaves(&entry.node, lines, found)),
        NodeValue::Sequence(items) => items.iter().for_each(|item| leaves(item, lines, found)),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => {
            let line = lines.get(node.position.line as usize - 1).expect("the line exists");
            let start =
                line.char_indices().nth(node.position.column as usize - 1).map_or(line.len(), |(at, _)| at);
            found.push((node.to_json(), line.get(start..).expect("at a character")));
        }
    }
}

#[test]
fn the_example_renders_without_a_problem() {
    let text = render(&example());
    assert!(text.contains("kind: Deployment"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Cases { sample: 64, full: 1_024 }.config() })]

    #[test]
    fn files_in_any_order_render_to_the_same_bytes(files in Just(example()).prop_shuffle()) {
        prop_assert_eq!(render(&files), render(&example()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Cases { sample: 1_000, full: 20_000 }.config() })]

    #[test]
    fn rendered_values_read_as_what_they_were(text in object()) {
        let (documents, _) = parse(&Arc::from("a.yaml"), text.as_bytes(), &Budget::DEFAULT);
        for document in documents {
            let value = document.root.to_json();
            let rendered = value_to_yaml(&value);
            let (again, problems) = parse(&Arc::from("b.yaml"), rendered.as_bytes(), &Budget::DEFAULT);
            prop_assert_eq!(&problems, &[], "{}", rendered);
            prop_assert_eq!(again.len(), 1, "{}", rendered);
            prop_assert_eq!(again[0].root.to_json(), value, "{}", &rendered);
            prop_assert_eq!(value_to_yaml(&again[0].root.to_json()), rendered);
        }
    }

    #[test]
    fn every_leaf_stands_where_its_place_says(scalars in proptest::collection::vec(scalar(), 1..6)) {
        let mut text = String::new();
        for (index, scalar) in scalars.iter().enumerate() {
            text.push_str(&["é", &index.to_string(), ": ", scalar, "\n"].concat());
        }
        let lines: Vec<&str> = text.lines().collect();
        let (documents, _) = parse(&Arc::from("a.yaml"), text.as_bytes(), &Budget::DEFAULT);
        for document in &documents {
            let mut found = Vec::new();
            leaves(&document.root, &lines, &mut found);
            prop_assert!(found.len() <= scalars.len());
            for (value, slice) in found {
                // A tag stands before its scalar, and belongs to its meaning.
                if scalars.iter().any(|scalar| scalar.starts_with('!') && scalar.ends_with(slice)) {
                    continue;
                }
                let (again, _) = parse(&Arc::from("b.yaml"), format!("k: {slice}\n").as_bytes(), &Budget::DEFAULT);
                let read = again.first().and_then(|document| document.root.get("k")).map(Node::to_json);
                prop_assert_eq!(read, Some(value), "{:?} in {:?}", slice, &text);
            }
        }
    }
}
