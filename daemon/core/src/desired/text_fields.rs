//! Fields that are texts in every kind: what stands there unquoted must not be read as something else.

use std::sync::Arc;

use crate::location::Location;
use crate::problem::{Code, Problem};
use crate::yaml::{Node, NodeValue, is_base_sixty};

/// Paths from the root of an object; `*` is every key or item.
const EVERYWHERE: &[&str] =
    &["apiVersion", "kind", "metadata.name", "metadata.namespace", "spec.selector.matchLabels.*"];
const METADATA: &[&str] = &["labels.*", "annotations.*"];
const METADATA_AT: &[&str] = &[
    "metadata",
    "spec.template.metadata",
    "spec.jobTemplate.metadata",
    "spec.jobTemplate.spec.template.metadata",
    "spec.volumeClaimTemplates.*.metadata",
];
const POD: &[&str] = &["nodeSelector.*", "serviceAccountName", "volumes.*.name"];
const POD_AT: &[&str] = &["spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec"];
const CONTAINER: &[&str] =
    &["name", "image", "command.*", "args.*", "env.*.name", "env.*.value", "workingDir"];
const CONTAINERS: &[&str] = &["containers.*", "initContainers.*"];

/// Checks the texts of an object. A scalar that is reported becomes the text that was written, so that later checks do
/// not report it again.
pub fn check(root: &mut Node, file: &Arc<str>, problems: &mut Vec<Problem>) {
    let mut paths: Vec<String> = EVERYWHERE.iter().map(|path| (*path).to_owned()).collect();
    let joined = |left: &[&str], right: &[&str]| -> Vec<String> {
        left.iter().flat_map(|left| right.iter().map(move |right| format!("{left}.{right}"))).collect()
    };
    paths.extend(joined(METADATA_AT, METADATA));
    paths.extend(joined(POD_AT, POD));
    let containers = joined(POD_AT, CONTAINERS);
    paths.extend(containers.iter().flat_map(|at| joined(&[at], CONTAINER)));
    for path in paths {
        check_at(root, &path, Words::Quoted, file, problems);
    }
    let kind = root.get("kind").and_then(Node::as_str).unwrap_or_default().to_owned();
    let words = if kind == "Secret" { Words::Withheld } else { Words::Quoted };
    for path in texts_of(&kind) {
        check_at(root, path, words, file, problems);
    }
}

/// Whether a message repeats what stands in the file; values of Secrets are never repeated.
#[derive(Clone, Copy)]
enum Words {
    Quoted,
    Withheld,
}

fn check_at(root: &mut Node, path: &str, words: Words, file: &Arc<str>, problems: &mut Vec<Problem>) {
    let tokens: Vec<&str> = path.split('.').collect();
    visit(root, &tokens, &mut String::new(), &mut |node, field| {
        problems.extend(check_text(node, words).map(|problem| {
            let location = Location { file: file.clone(), position: node.position };
            problem.at(location).field(field)
        }));
    });
}

fn texts_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "ConfigMap" => &["data.*", "binaryData.*"],
        "Secret" => &["data.*", "stringData.*"],
        "Service" => &["spec.selector.*"],
        _ => &[],
    }
}

/// Calls `found` for what stands at a path. Recurses as deep as the path is long.
fn visit(node: &mut Node, path: &[&str], field: &mut String, found: &mut impl FnMut(&mut Node, &str)) {
    let Some((first, rest)) = path.split_first() else {
        found(node, field);
        return;
    };
    let length = field.len();
    match &mut node.value {
        NodeValue::Mapping(entries) => {
            for entry in entries.iter_mut().filter(|entry| *first == "*" || entry.key == *first) {
                if *first == "*" {
                    field.push_str(&["[", &entry.key, "]"].concat());
                } else {
                    field.push_str(if length == 0 { "" } else { "." });
                    field.push_str(&entry.key);
                }
                visit(&mut entry.node, rest, field, found);
                field.truncate(length);
            }
        }
        NodeValue::Sequence(items) if *first == "*" => {
            for (index, item) in items.iter_mut().enumerate() {
                field.push_str(&format!("[{index}]"));
                visit(item, rest, field, found);
                field.truncate(length);
            }
        }
        NodeValue::Sequence(_)
        | NodeValue::Null
        | NodeValue::Bool(_)
        | NodeValue::Number(_)
        | NodeValue::String(_) => {}
    }
}

fn check_text(node: &mut Node, words: Words) -> Option<Problem> {
    let (meaning, kind) = match &node.value {
        NodeValue::Bool(flag) => (format!("the boolean {flag}"), "a boolean"),
        NodeValue::Number(number) => (format!("the number {number}"), "a number"),
        NodeValue::String(text) if node.plain && is_base_sixty(text) => {
            let (what, help) = match words {
                Words::Quoted => {
                    let written = node.written.as_deref().unwrap_or(text);
                    (format!("`{text}`"), format!("quote it: \"{written}\""))
                }
                Words::Withheld => ("the value".to_owned(), "quote it".to_owned()),
            };
            let message =
                format!("{what} is a number of base 60 to readers of YAML 1.1; it is sent as a text");
            return Some(Problem::warning(Code::YamlAmbiguous, message).help(help));
        }
        NodeValue::String(_) | NodeValue::Null | NodeValue::Sequence(_) | NodeValue::Mapping(_) => {
            return None;
        }
    };
    let written = node.written.take()?;
    let (message, help) = match words {
        Words::Quoted => (
            format!("`{written}` stands where a text belongs, and unquoted it is {meaning}"),
            format!("quote it: \"{written}\""),
        ),
        Words::Withheld => {
            (format!("a text belongs here, and unquoted the value is {kind}"), "quote it".to_owned())
        }
    };
    node.value = NodeValue::String(written.into());
    Some(Problem::error(Code::YamlAmbiguous, message).help(help))
}
