//! The environments of a commit, and how they depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Environment, Found, Placed, read};
use crate::ids::EnvironmentName;
use crate::policy::KnownPolicies;
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
    let found = tree.folders_in(FOLDER).into_iter();
    let mut found: Vec<Found> = found.filter_map(|folder| find(tree, folder, known, &mut read)).collect();
    known.files = read;
    check_dependencies(&mut found);
    found
}

/// The files of environments and policies as they were read last.
#[derive(Debug, Default)]
pub struct KnownFiles {
    /// The folder of policies.
    pub policies: KnownPolicies,
    files: BTreeMap<Arc<str>, Read>,
}

/// A file, and what was read from it.
type Read = (Arc<File>, Result<Arc<Environment>, Vec<Problem>>);

fn find(
    tree: &FileTree,
    folder: &str,
    known: &mut KnownFiles,
    read: &mut BTreeMap<Arc<str>, Read>,
) -> Option<Found> {
    let name = folder.strip_prefix(FOLDER)?.strip_prefix('/')?;
    let path = format!("{folder}/{FILE}");
    let file = tree.file(&path)?;
    let known = known.files.remove_entry(path.as_str());
    let same = known.filter(|(_, (before, _))| Arc::ptr_eq(before, file) || before == file);
    let (path, (file, environment)) = same.unwrap_or_else(|| {
        let path: Arc<str> = Arc::from(path);
        let environment = read::environment(&path, folder, file.bytes()).map(Arc::new);
        (path, (file.clone(), environment))
    });
    read.insert(path, (file, environment.clone()));
    Some(Found { folder: folder.to_owned(), name: name.to_owned(), environment })
}

type Dependencies = BTreeMap<String, Vec<Placed<EnvironmentName>>>;

/// Whoever depends on nobody costs nothing here.
fn check_dependencies(found: &mut [Found]) {
    let read = found.iter().filter_map(|found| Some((&found.name, found.environment.as_ref().ok()?)));
    let read = read.filter(|(_, environment)| !environment.depends_on.is_empty());
    let dependencies: Dependencies =
        read.map(|(name, environment)| (name.clone(), environment.depends_on.clone())).collect();
    if dependencies.is_empty() {
        return;
    }
    let names: BTreeSet<String> = found.iter().map(|found| found.name.clone()).collect();
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
