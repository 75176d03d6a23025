//! The environments of a commit, and how they depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Environment, Found, Placed, read};
use crate::ids::EnvironmentName;
use crate::problem::{Code, Problem};
use crate::schema::suggest;
use crate::tree::{File, FileTree};

/// The folder that holds the environments.
pub const FOLDER: &str = "environments";
/// The file that makes a folder an environment.
pub const FILE: &str = "environment.yaml";

/// The environments of a commit, in order of their folders.
///
/// A folder without an `environment.yaml` is none, and nothing is said about it: it may hold what others share.
pub fn discover(tree: &FileTree) -> Vec<Found> {
    discover_again(tree, &mut KnownFiles::default())
}

/// The same, where a file that is as it was read last is not parsed again.
pub fn discover_again(tree: &FileTree, known: &mut KnownFiles) -> Vec<Found> {
    let mut read = BTreeMap::new();
    let found = tree.files_below(FOLDER).filter_map(|(path, file)| find(path, file, known, &mut read));
    let mut found: Vec<Found> = found.collect();
    known.files = read;
    check_dependencies(&mut found);
    found
}

/// The files of environments as they were read last.
#[derive(Debug, Default)]
pub struct KnownFiles {
    files: BTreeMap<String, Read>,
}

/// A file, and what was read from it.
type Read = (Arc<File>, Result<Environment, Vec<Problem>>);

fn find(
    path: &str,
    file: &Arc<File>,
    known: &mut KnownFiles,
    read: &mut BTreeMap<String, Read>,
) -> Option<Found> {
    let folder = path.strip_suffix(FILE)?.strip_suffix('/')?;
    let name = folder.strip_prefix(FOLDER)?.strip_prefix('/')?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let same = known.files.remove(path).filter(|(before, _)| Arc::ptr_eq(before, file) || before == file);
    let (file, environment) =
        same.unwrap_or_else(|| (file.clone(), read::environment(&Arc::from(path), folder, file.bytes())));
    read.insert(path.to_owned(), (file, environment.clone()));
    Some(Found { folder: folder.to_owned(), name: name.to_owned(), environment })
}

type Dependencies = BTreeMap<String, Vec<Placed<EnvironmentName>>>;

fn check_dependencies(found: &mut [Found]) {
    let names: BTreeSet<String> = found.iter().map(|found| found.name.clone()).collect();
    let read = found.iter().filter_map(|found| Some((found.name.clone(), found.environment.as_ref().ok()?)));
    let dependencies: Dependencies = read.map(|(name, read)| (name, read.depends_on.clone())).collect();
    for found in found {
        let mut problems = Vec::new();
        for Placed { value, location } in dependencies.get(&found.name).into_iter().flatten() {
            if !names.contains(value.as_str()) {
                let problem = Problem::error(Code::DependsOn, format!("there is no environment `{value}`"));
                let near = suggest::nearest(value.as_str(), names.iter().map(String::as_str));
                let problem = match near {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                };
                problems.push(problem.at(location.clone()));
            } else if let Some(circle) = circle(&dependencies, value.as_str(), &found.name) {
                let message =
                    format!("environments wait for each other: {} -> {}", found.name, circle.join(" -> "));
                problems.push(Problem::error(Code::DependsOn, message).at(location.clone()));
            }
        }
        if !problems.is_empty() {
            found.environment = Err(problems);
        }
    }
}

/// The shortest way along dependencies from one environment to another, both included.
fn circle(dependencies: &Dependencies, from: &str, to: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, Option<&str>> = BTreeMap::from([(from, None)]);
    let mut queue = std::collections::VecDeque::from([from]);
    while let Some(here) = queue.pop_front() {
        if here == to {
            let mut way = vec![here.to_owned()];
            let mut at = here;
            while let Some(Some(before)) = came_from.get(at) {
                way.push((*before).to_owned());
                at = before;
            }
            way.reverse();
            return Some(way);
        }
        for next in dependencies.get(here).into_iter().flatten() {
            let next = next.value.as_str();
            if !came_from.contains_key(next) {
                came_from.insert(next, Some(here));
                queue.push_back(next);
            }
        }
    }
    None
}
