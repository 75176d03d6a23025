//! Which files an environment's sources hold, and the documents in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::discover::FILE;
use super::{Environment, Placed, Source};
use crate::location::Location;
use crate::problem::{Code, Problem};
use crate::render::Substitution;
use crate::schema::suggest;
use crate::tree::FileTree;
use crate::yaml::{Budget, Node, NodeValue, parse};

/// Objects of one environment, before anything is done with them.
const MAX_OBJECTS: usize = 50_000;
/// The versions of our own files, which are not objects to apply.
const OURS: &str = "tidegate.dev/";

/// A document that is to become an object.
pub struct Manifest {
    /// Its file.
    pub file: Arc<str>,
    /// Its root.
    pub root: Node,
}

/// Reads, substitutes and expands the documents of all sources, in order of their files.
pub fn manifests(tree: &FileTree, environment: &Environment, problems: &mut Vec<Problem>) -> Vec<Manifest> {
    let mut files = BTreeSet::new();
    for source in &environment.sources {
        files.extend(source_files(tree, environment, source, problems));
    }
    let mut substitution = Substitution::new(&environment.substitute);
    let mut manifests = Vec::new();
    for path in files {
        let file: Arc<str> = Arc::from(path);
        let (documents, found) = parse(&file, tree.get(path).unwrap_or_default(), &Budget::DEFAULT);
        problems.extend(found);
        for document in documents {
            let mut root = document.root;
            if is_ours(&root, &file, problems) {
                continue;
            }
            substitution.apply(&mut root, &file, problems);
            manifests.extend(
                expand(root, &file, problems).into_iter().map(|root| Manifest { file: file.clone(), root }),
            );
        }
        if manifests.len() > MAX_OBJECTS {
            let message = format!("the environment has more than {MAX_OBJECTS} objects");
            problems.push(Problem::error(Code::YamlBudget, message).at(environment.location.clone()));
            manifests.truncate(MAX_OBJECTS);
            break;
        }
    }
    manifests
}

fn source_files<'t>(
    tree: &'t FileTree,
    environment: &Environment,
    source: &Placed<Source>,
    problems: &mut Vec<Problem>,
) -> Vec<&'t str> {
    let Placed { value: Source::Manifests(path), location } = source;
    if let Some(file) = tree.path_of(path) {
        return vec![file];
    }
    if *path != environment.folder && !tree.has_folder(path) {
        let message = format!("there is no file or folder `{path}`");
        let problem = Problem::error(Code::SourcePath, message).at(location.clone());
        problems.push(match nearest_path(tree, path) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    }
    let inside = |file: &&str| {
        let below = file.strip_prefix(path.as_str()).unwrap_or(file);
        !below.split('/').any(|part| part.starts_with('.'))
    };
    tree.below(path).map(|(file, _)| file).filter(inside).filter(|file| is_manifest(file)).collect()
}

/// A file or folder beside the one that is missing whose name is nearly the same.
fn nearest_path(tree: &FileTree, path: &str) -> Option<String> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let below = |file: &str| match parent {
        "" => file.split('/').next().map(str::to_owned),
        parent => file.strip_prefix(parent)?.strip_prefix('/')?.split('/').next().map(str::to_owned),
    };
    let siblings: BTreeSet<String> = tree.iter().filter_map(|(file, _)| below(file)).collect();
    let near = suggest::nearest(name, siblings.iter().map(String::as_str))?;
    Some(if parent.is_empty() { near.to_owned() } else { format!("{parent}/{near}") })
}

fn is_manifest(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    name != FILE && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Our own kinds are never sent to a cluster. Those that have no meaning yet are said to have none.
fn is_ours(root: &Node, file: &Arc<str>, problems: &mut Vec<Problem>) -> bool {
    let version = root.get("apiVersion").and_then(Node::as_str).unwrap_or_default();
    if !version.starts_with(OURS) {
        return false;
    }
    let kind = root.get("kind").and_then(Node::as_str).unwrap_or_default();
    if kind != "Environment" {
        let location = Location { file: file.clone(), position: root.position };
        problems.push(elsewhere(kind).at(location));
    }
    true
}

/// What is said of one of our kinds among manifests.
fn elsewhere(kind: &str) -> Problem {
    if crate::policy::KINDS.contains(&kind) {
        let help = "move it to policies/, the folder beside environments/, and name it in `spec.policies`";
        return Problem::warning(Code::NotSupported, format!("{kind} does nothing among manifests"))
            .help(help);
    }
    let message = format!("{kind} comes with a later version; this document does nothing yet");
    Problem::warning(Code::NotSupported, message)
}

/// The items of a `List`, or the document itself.
fn expand(root: Node, file: &Arc<str>, problems: &mut Vec<Problem>) -> Vec<Node> {
    if !is_list(&root) {
        return vec![root];
    }
    let items =
        root.into_entries().into_iter().flatten().find(|entry| entry.key == "items").map(|entry| entry.node);
    let items = match items.map(|node| node.value) {
        Some(NodeValue::Sequence(items)) => items,
        Some(_) | None => Vec::new(),
    };
    let (lists, items): (Vec<_>, Vec<_>) = items.into_iter().partition(is_list);
    for list in lists {
        let location = Location { file: file.clone(), position: list.position };
        problems.push(Problem::error(Code::NotAnObject, "a List stands in a List").at(location));
    }
    items
}

fn is_list(node: &Node) -> bool {
    let text = |key| node.get(key).and_then(Node::as_str).unwrap_or_default();
    text("apiVersion") == "v1" && text("kind").ends_with("List") && node.get("items").is_some()
}
