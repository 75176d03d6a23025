//! No two worlds of the cluster tests have names of which one begins the other: they would clean each other away. The suite
//! says so, too, but only where both run: a test that is tried alone passes.

use crate::{Source, assert_none, example, repository};

/// What a world's name is given to.
const TAKEN_BY: [&str; 3] = ["World::new(\"", "Scene::new(\"", "installed(\""];

/// `path:line` and name of every world that is named where it is made.
fn worlds(sources: &[Source]) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust() && source.path.contains("tests/cluster/")) {
        for (index, line) in source.text.lines().enumerate() {
            let names = TAKEN_BY.iter().filter_map(|call| line.split_once(call)?.1.split_once('"'));
            found.extend(names.map(|(name, _)| (format!("{}:{}", source.path, index + 1), name)));
        }
    }
    found
}

fn overlapping_worlds(sources: &[Source]) -> Vec<String> {
    let worlds = worlds(sources);
    let begins = |one: &str, other: &str| {
        other.strip_prefix(one).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let mut complaints = Vec::new();
    for (index, (place, name)) in worlds.iter().enumerate() {
        for (earlier, taken) in worlds.iter().take(index) {
            if begins(name, taken) || begins(taken, name) {
                complaints.push(format!("{place}: {name} overlaps with {taken} of {earlier}"));
            }
        }
    }
    complaints
}

#[test]
fn worlds_of_two_tests_do_not_overlap() {
    let sources = repository();
    assert!(worlds(&sources).len() > 100, "the tests were read");
    assert_none(&overlapping_worlds(&sources));
}

#[test]
fn worlds_that_overlap_are_found() {
    let path = "daemon/tests/cluster/some.rs";
    for (text, found) in [
        ("World::new(\"one\")\nScene::new(\"one\")", 1),
        ("World::new(\"one\")\nScene::installed(\"one-more\", x)", 1),
        ("World::new(\"one\")\nScene::new(\"ones\")", 0),
    ] {
        assert_eq!(overlapping_worlds(&example(path, text)).len(), found, "{text}");
    }
}
