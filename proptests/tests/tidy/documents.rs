//! Pages for people: their links lead somewhere, and the environments that they show are read without an error.

use std::path::Path;

use tidegate_core::desired::discover;
use tidegate_core::tree::FileTree;

use super::{Source, assert_none, example, repository, top};

fn pages(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources
        .iter()
        .filter(|source| Path::new(&source.path).extension().is_some_and(|extension| extension == "md"))
}

/// Links to files, as `path: target`.
fn dead_links(sources: &[Source]) -> Vec<String> {
    let mut dead = Vec::new();
    for page in pages(sources) {
        let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
        for (_, rest) in page.text.match_indices("](").map(|(at, _)| page.text.split_at(at + 2)) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !top().join(folder).join(target).exists() {
                dead.push(format!("{}: {target}", page.path));
            }
        }
    }
    dead
}

/// The fenced blocks of a page that are whole environments.
fn environments(page: &Source) -> impl Iterator<Item = &str> {
    let blocks = page.text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("kind: Environment\n"))
}

/// Each block takes the place of the example environment of its name, beside the others.
fn wrong_environments(pages_of: &[Source], neighbours: &[Source]) -> Vec<String> {
    let files = |source: &Source| source.path.starts_with("environments/");
    let mut wrong = Vec::new();
    for page in pages(pages_of) {
        for block in environments(page) {
            let name = block.split("name: ").nth(1).and_then(|rest| rest.split([',', '}', '\n']).next());
            let name = name.unwrap_or("none");
            let mut tree: FileTree = neighbours
                .iter()
                .filter(|source| files(source))
                .map(|source| (source.path.as_str(), source.text.as_bytes()))
                .collect();
            tree.insert(format!("environments/{name}/environment.yaml"), block.as_bytes());
            let problems = discover(&tree).into_iter().filter_map(|found| found.environment.err()).flatten();
            wrong.extend(problems.map(|problem| format!("{}: {problem}", page.path)));
        }
    }
    wrong
}

#[test]
fn links_between_files_lead_somewhere() {
    assert_none(&dead_links(&repository()));
    let page = example("daemon/b.md", "[x](../README.md#top) [y](https://example.com) [z](absent.md)");
    assert_eq!(dead_links(&page), ["daemon/b.md: absent.md"]);
}

#[test]
fn environments_in_pages_are_read_without_an_error() {
    let sources = repository();
    assert!(pages(&sources).any(|page| environments(page).count() > 0), "there is one in README.md");
    assert_none(&wrong_environments(&sources, &sources));
    let page = example("a.md", "```yaml\nkind: Environment\nmetadata: {name: a}\nspec: {prnue: {}}\n```\n");
    assert!(!wrong_environments(&page, &[]).is_empty());
}
