//! The page of hostile input: every row names a test, and every test that it names exists.

use std::collections::BTreeMap;

use super::{Source, assert_none, example, repository};

const PAGE: &str = "daemon/tests/HOSTILE.md";

/// Rows without a test, and tests that do not exist.
fn unfounded(page: &Source, sources: &[Source]) -> Vec<String> {
    let by_path: BTreeMap<&str, &str> =
        sources.iter().map(|source| (source.path.as_str(), source.text.as_str())).collect();
    let mut complaints = Vec::new();
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| input |");
    for row in page.text.lines().filter(is_row) {
        let named: Vec<(&str, &str)> = row.split('`').filter_map(|span| span.split_once(".rs::")).collect();
        if named.is_empty() {
            complaints.push(format!("{}: no test: {row}", page.path));
        }
        for (file, name) in named {
            let text = by_path.get(format!("{file}.rs").as_str()).copied().unwrap_or_default();
            if !text.contains(&format!("fn {name}(")) {
                complaints.push(format!("{}: {file}.rs has no test {name}", page.path));
            }
        }
    }
    complaints
}

#[test]
fn every_hostile_input_has_its_tests() {
    let sources = repository();
    let page = sources.iter().find(|source| source.path == PAGE).expect("the page is there");
    assert!(page.text.lines().count() > 40, "the page was read");
    assert_none(&unfounded(page, &sources));

    let mut bad =
        example(PAGE, "| input | tests |\n|---|---|\n| a | `x.rs::b` |\n| c | none |\n| d | `x.rs::e` |\n");
    bad.extend(example("x.rs", "fn e() {}\n"));
    let complaints = unfounded(&bad[0], &bad);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(
        complaints[0].ends_with("x.rs has no test b") && complaints[1].contains("| c |"),
        "{complaints:?}"
    );
}
