//! Finds an environment and its file, and the nodes in it. What every edit begins with.

use std::sync::Arc;

use super::Refusal;
use crate::desired::{Environment, discover};
use crate::location::{Location, Position};
use crate::schema::suggest;
use crate::tree::FileTree;
use crate::yaml::{Budget, Node, NodeValue, parse};

/// An environment whose file could be read.
pub fn environment(tree: &FileTree, name: &str) -> Result<Arc<Environment>, Refusal> {
    let found = discover(tree);
    let names: Vec<String> = found.iter().map(|found| found.name.clone()).collect();
    match found.into_iter().find(|found| found.name == name).map(|found| found.environment) {
        Some(Ok(environment)) => Ok(environment),
        Some(Err(problems)) => {
            let refusal = Refusal::new(format!("the environment `{name}` has errors: {}", first(&problems)));
            Err(refusal.help("`tidegate validate` lists all of them"))
        }
        None => {
            let near = suggest::nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
            let refusal = Refusal::new(format!("there is no environment `{name}`"));
            Err(with_near(refusal, near.as_deref()).candidates(names))
        }
    }
}

/// The first error as one line.
pub fn first(problems: &[crate::problem::Problem]) -> String {
    let error = problems.iter().find(|problem| problem.is_error()).or(problems.first());
    error.map(ToString::to_string).unwrap_or_default()
}

/// With what was probably meant.
pub fn with_near(refusal: Refusal, near: Option<&str>) -> Refusal {
    match near {
        Some(near) => refusal.help(format!("did you mean `{near}`?")),
        None => refusal,
    }
}

/// The root of the only document of an environment's file.
pub fn root(tree: &FileTree, environment: &Environment) -> Option<(Arc<str>, Node)> {
    let file = environment.location.file.clone();
    let (documents, _) = parse(&file, tree.get(&file)?, &Budget::DEFAULT);
    documents.into_iter().next().map(|document| (file, document.root))
}

/// The value that an operation of a JSON patch gives to a field: the operation stands at a place, the field is a pointer.
pub fn patched_value(root: &Node, operation: Position, pointer: &str) -> Option<Position> {
    let items = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(NodeValue::Sequence(items)) => items.clone(),
        _ => Vec::new(),
    };
    let patches = items(root.get("spec").and_then(|spec| spec.get("patches")));
    let operations = patches.iter().flat_map(|patch| items(patch.get("patch")));
    let found = operations.into_iter().find(|node| node.position == operation)?;
    let rest = below(pointer, found.get("path")?.as_str()?)?;
    let value = rest.iter().try_fold(found.get("value")?, |node, token| match &node.value {
        NodeValue::Sequence(items) => items.get(token.parse::<usize>().ok()?),
        _ => node.get(&token.replace("~1", "/").replace("~0", "~")),
    })?;
    Some(value.position)
}

/// The tokens of a pointer below another one, whose `-` is the item that was added.
fn below<'p>(pointer: &'p str, path: &str) -> Option<Vec<&'p str>> {
    let mut tokens = pointer.split('/');
    for wanted in path.split('/') {
        let token = tokens.next()?;
        if token != wanted && wanted != "-" {
            return None;
        }
    }
    Some(tokens.collect())
}

/// A place in a file.
pub fn location(file: &Arc<str>, position: Position) -> Location {
    Location { file: file.clone(), position }
}
