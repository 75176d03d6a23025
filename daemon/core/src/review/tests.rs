//! Reviews of small repositories: files of two commits in, what changes out.

mod across;
mod fields;
mod identity;
mod leftovers;
mod paper;
mod rollouts;
mod secrets;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Compared, Complete, EnvironmentReview, ObjectChange, Review, Side, lines, review};
use crate::desired::{discover, load};
use crate::ignore;
use crate::policy::PolicyFolder;
use crate::problem::Problem;
use crate::render::encode_string_data;
use crate::schema::Catalogue;
use crate::tree::FileTree;
use crate::workload::split;

/// The files of a commit.
type Files<'a> = &'a [(&'a str, &'a str)];

/// An `environment.yaml` with further lines of `spec` (indented by two).
fn environment(name: &str, further: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  cluster: {{kubeconfig: {{}}}}\n  \
         namespaces: [shop]\n{further}"
    )
}

/// A ConfigMap with one value.
fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  key: {value}\n")
}

fn side(files: &FileTree, name: &str) -> Side {
    let Some(found) = discover(files).into_iter().find(|found| found.name == name) else {
        return Side::Absent;
    };
    let environment = match found.environment {
        Ok(environment) => environment,
        Err(problems) => return Side::Broken(problems),
    };
    let loaded = load(files, &environment, Catalogue::kubernetes_1_35().as_ref());
    if loaded.problems.iter().any(Problem::is_error) {
        return Side::Broken(loaded.problems);
    }
    let objects: Vec<_> = loaded.objects.iter().map(encode_string_data).collect();
    let ignored = objects
        .iter()
        .map(|object| (object.reference.id(), ignore::pointers(&environment, object, &objects)))
        .collect();
    let policies = PolicyFolder::read(files).select(&environment.policies).unwrap_or_default();
    let split = split(&objects, &policies.rollouts);
    if split.problems.iter().any(Problem::is_error) {
        return Side::Broken(split.problems);
    }
    let complete = Complete::new(files, environment, objects, ignored);
    Side::Complete(Arc::new(Complete { workloads: split.workloads, ..complete }))
}

/// The review of two commits.
fn compare(base: Files<'_>, head: Files<'_>) -> Review {
    let tree = |files: Files<'_>| -> FileTree {
        let at = |path: &str| {
            if path.starts_with("policies/") { path.to_owned() } else { format!("environments/{path}") }
        };
        files.iter().map(|(path, text)| (at(path), text.as_bytes().to_vec())).collect()
    };
    let (base, head) = (tree(base), tree(head));
    let names: BTreeSet<String> =
        discover(&base).into_iter().chain(discover(&head)).map(|found| found.name).collect();
    let compared: Vec<Compared> = names
        .into_iter()
        .map(|name| Compared {
            base: side(&base, &name),
            head: side(&head, &name),
            name,
            base_problems: Vec::new(),
            notes: Vec::new(),
        })
        .collect();
    review(&compared)
}

/// The review of the only environment, `dev`, with these settings and manifests on both sides.
fn dev(base: (&str, &str), head: (&str, &str)) -> EnvironmentReview {
    let (old, new) = (environment("dev", base.0), environment("dev", head.0));
    let mut review = compare(
        &[("dev/environment.yaml", &old), ("dev/all.yaml", base.1)],
        &[("dev/environment.yaml", &new), ("dev/all.yaml", head.1)],
    );
    review.environments.remove(0)
}

/// The changes as people read them, without their places.
fn told(review: &EnvironmentReview) -> Vec<String> {
    review.changes.iter().map(|change| lines::heading(change).text).collect()
}

/// The lines of a change below its heading, each with its sign and place.
fn below(change: &ObjectChange) -> Vec<String> {
    lines::of_change(change).iter().skip(1).map(told_line).collect()
}

fn told_line(line: &lines::Line) -> String {
    let sign = match line.sign {
        lines::Sign::New => '+',
        lines::Sign::Old => '-',
        lines::Sign::Changed => '~',
        lines::Sign::Plain => ' ',
    };
    let place = if line.place.is_empty() { String::new() } else { format!(" @ {}", line.place) };
    format!("{sign} {}{place}", line.text)
}

/// The problems, each on one line.
fn problems(review: &EnvironmentReview) -> Vec<String> {
    review.problems.iter().map(ToString::to_string).collect()
}
