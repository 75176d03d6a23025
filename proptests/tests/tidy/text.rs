//! What is asked of every file, whatever crate it belongs to.

use super::{Source, assert_none, example, repository};

const MOST_LINES: usize = 600;

/// Written in halves, so that this file passes its own check.
const UNFINISHED: [&str; 10] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimple", "mented!("),
    concat!("dbg", "!("),
    concat!("place", "holder"),
    concat!("lorem ", "ipsum"),
    concat!("not implemented", " yet"),
    concat!("not yet", " implemented"),
];

/// An ignored test that is the body of another one: that starts it as a process, to kill it.
const IGNORED_FOR_A_REASON: &str = "runs as a process of its own";

fn long_files(sources: &[Source]) -> Vec<String> {
    let rust = sources.iter().filter(|source| source.is_rust());
    let counted = rust.map(|source| (source, source.text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > MOST_LINES);
    long.map(|(source, lines)| format!("{}: {lines} lines; at most {MOST_LINES}", source.path)).collect()
}

fn files_without_introduction(sources: &[Source]) -> Vec<String> {
    let silent = sources.iter().filter(|source| source.is_rust() && !source.text.starts_with("//! "));
    silent.map(|source| format!("{}: begins without `//! what it is`", source.path)).collect()
}

/// Texts of others and lists that programs write are not ours to word.
fn is_ours(source: &Source) -> bool {
    !["LICENSE", "Cargo.lock"].contains(&source.path.as_str()) && !source.path.ends_with("go.sum")
}

fn unfinished(sources: &[Source]) -> Vec<String> {
    let says = |line: &str| UNFINISHED.iter().any(|word| holds_word(line, word));
    sources.iter().filter(|source| is_ours(source)).flat_map(|source| source.lines_where(says)).collect()
}

/// Words in capitals are meant as they are, and not as a part of another word; the others in any case.
fn holds_word(line: &str, word: &str) -> bool {
    if word.chars().any(char::is_lowercase) {
        return line.to_lowercase().contains(word);
    }
    line.split(|character: char| !character.is_alphanumeric()).any(|part| part == word)
}

fn ignored_tests(sources: &[Source]) -> Vec<String> {
    let attribute = concat!("#[ig", "nore");
    let ignored = |line: &str| line.contains(attribute) && !line.contains(IGNORED_FOR_A_REASON);
    sources.iter().filter(|source| source.is_rust()).flat_map(|source| source.lines_where(ignored)).collect()
}

fn crates_without_lints(sources: &[Source]) -> Vec<String> {
    let is_crate =
        |source: &&Source| source.path.ends_with("Cargo.toml") && source.text.contains("[package]");
    let lax = |source: &&Source| !source.text.contains("\n[lints]\nworkspace = true\n");
    let crates = sources.iter().filter(is_crate).filter(lax);
    crates.map(|source| format!("{}: without the lints of the workspace", source.path)).collect()
}

#[test]
fn rust_files_are_short() {
    assert_none(&long_files(&repository()));
    assert_eq!(long_files(&example("a.rs", &"\n".repeat(MOST_LINES))).len(), 0);
    assert_eq!(long_files(&example("a.rs", &"\n".repeat(MOST_LINES + 1))).len(), 1);
}

#[test]
fn rust_files_begin_with_what_they_are() {
    assert_none(&files_without_introduction(&repository()));
    assert_eq!(files_without_introduction(&example("a.rs", "use std::fmt;\n")).len(), 1);
}

#[test]
fn nothing_is_unfinished() {
    assert_none(&unfinished(&repository()));
    for word in UNFINISHED {
        assert_eq!(unfinished(&example("a.md", &format!("a\n{word} b)\n"))), [format!("a.md:2: {word} b)")]);
    }
    assert_eq!(unfinished(&example("a.md", "mTODOs")).len(), 0);
}

#[test]
fn no_test_is_ignored() {
    assert_none(&ignored_tests(&repository()));
    assert_eq!(ignored_tests(&example("a.rs", concat!("#[ig", "nore]\n#[ig", "nore = \"slow\"]"))).len(), 2);
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    assert_none(&crates_without_lints(&repository()));
    assert_eq!(crates_without_lints(&example("a/Cargo.toml", "[package]\nname = \"a\"\n")).len(), 1);
}
