//! Runs an example through the reading, rendering and checking of a commit.

use crate::desired::{KindScopes, discover, load};
use crate::object::{Gvk, Scope};
use crate::policy::{Policies, PolicyFolder};
use crate::problem::Problem;
use crate::schema::{self, Catalogue};
use crate::tree::FileTree;
use crate::workload::split;

/// The environment that examples stand in.
pub const EXAMPLE_ENVIRONMENT: &str = "apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
";
const EXAMPLE_FILE: &str = "environments/dev/environment.yaml";

struct Bundled<'c>(&'c Catalogue);

impl KindScopes for Bundled<'_> {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.0.scope(gvk)
    }
}

/// The files of an example with the environment that they stand in.
pub fn tree(files: &[(&str, &[u8])]) -> FileTree {
    let mut tree: FileTree = files.iter().copied().collect();
    if tree.get(EXAMPLE_FILE).is_none() {
        tree.insert(EXAMPLE_FILE, EXAMPLE_ENVIRONMENT.as_bytes());
    }
    tree
}

/// Everything that is wrong with these files, as `tidegate validate` finds it.
pub fn problems(files: &[(&str, &[u8])]) -> Vec<Problem> {
    let tree = tree(files);
    let catalogue = Catalogue::kubernetes_1_35();
    let policies = PolicyFolder::read(&tree);
    let mut problems = policies.problems();
    for found in discover(&tree) {
        match found.environment {
            Err(found) => problems.extend(found),
            Ok(environment) => {
                let named = policies.select(&environment.policies).unwrap_or_else(|found| {
                    problems.extend(found);
                    Policies::default()
                });
                let loaded = load(&tree, &environment, &Bundled(catalogue));
                problems.extend(named.check(&loaded.objects));
                if !loaded.problems.iter().any(Problem::is_error) {
                    problems.extend(split(&loaded.objects, &named.rollouts).problems);
                }
                problems.extend(loaded.problems);
                let checked = loaded.objects.iter().map(|object| schema::check(object, catalogue));
                problems.extend(checked.flat_map(schema::Checked::into_problems));
            }
        }
    }
    problems.sort_by(|a, b| (&a.location, a.code).cmp(&(&b.location, b.code)));
    problems.dedup();
    problems
}
