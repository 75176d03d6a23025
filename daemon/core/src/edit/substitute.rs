//! `spec.substitute.NAME` of an environment becomes another text.

use serde_json::Value;

use super::{Edit, Lines, Refusal, not_editable, not_exact, place};
use crate::desired::Environment;
use crate::review::{CONCEALED, names_in_secrets};
use crate::schema::suggest;
use crate::tree::FileTree;
use crate::yaml::{Written, escape};

/// Bytes of a value.
const MAX_BYTES: usize = 4096;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct SubstituteRequest<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The name, as in `${NAME}`.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
}

/// The edit that gives a name its value.
pub fn set_substitute(tree: &FileTree, request: SubstituteRequest<'_>) -> Result<Edit, Refusal> {
    let SubstituteRequest { environment, name, value } = request;
    if value.len() > MAX_BYTES || value.chars().any(char::is_control) {
        return Err(Refusal::new(format!("a value is at most {MAX_BYTES} bytes without control characters")));
    }
    let before = place::environment(tree, environment)?;
    if !before.substitute.contains_key(name) {
        let names: Vec<String> = before.substitute.keys().cloned().collect();
        let near = suggest::nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
        let refusal =
            Refusal::new(format!("`{name}` does not stand under spec.substitute")).at(&before.location);
        return Err(place::with_near(refusal, near.as_deref()).candidates(names));
    }
    let pointer = format!("/spec/substitute/{}", escape(name));
    let (file, root) = place::root(tree, &before).ok_or_else(|| not_editable(&before.location))?;
    let node = ["spec", "substitute", name].into_iter().try_fold(&root, |node, key| node.get(key));
    let position = node.map(|node| node.position).ok_or_else(|| not_editable(&before.location))?;
    let location = place::location(&file, position);
    let written = tree.get(&file).and_then(|bytes| Written::at(bytes, position));
    let edit = written.and_then(|written| Edit::new(tree, &location, &written, value));
    let edit = edit.ok_or_else(|| not_editable(&location))?;
    // Read again: the name has its value, and all the rest of the file says what it said.
    let edited = edit.applied(tree);
    let after = place::environment(&edited, environment)
        .map_err(|_| not_exact(&location, "the file into a broken one"))?;
    let mut expected = before.substitute.clone();
    expected.insert(name.to_owned(), value.to_owned());
    let rest = |root: Value| without(root, &pointer);
    let same =
        place::root(&edited, &after).is_some_and(|(_, after)| rest(after.to_json()) == rest(root.to_json()));
    if after.substitute != expected || !same {
        return Err(not_exact(&location, "more than this name"));
    }
    let lines = shown(tree, &before, &edit, request).unwrap_or_else(|| edit.lines.clone());
    Ok(Edit { lines, ..edit })
}

/// What is shown of an edit in an environment some of whose values stand in Secrets: its own name, nothing that stands beside
/// it, and no value of a Secret.
fn shown(
    tree: &FileTree,
    before: &Environment,
    edit: &Edit,
    request: SubstituteRequest<'_>,
) -> Option<Lines> {
    let secrets = names_in_secrets(tree, before);
    if secrets.is_empty() {
        return None;
    }
    let name = request.name;
    if secrets.contains(name) {
        let line = format!("{name}: {CONCEALED}");
        return Some(Lines { before: line.clone(), after: line });
    }
    let old = tree.get(&edit.location.file)?.get(edit.range.clone())?;
    let line = |value: &str| format!("{name}: {value}");
    Some(Lines { before: line(&String::from_utf8_lossy(old)), after: line(&edit.text) })
}

fn without(mut value: Value, pointer: &str) -> Value {
    if let Some(at) = value.pointer_mut(pointer) {
        *at = Value::Null;
    }
    value
}
