//! Files that were made to hurt, and files that went wrong: each ends soon, with an error at its place.
#![expect(clippy::panic, reason = "helpers of tests say what they expected")]

use std::fmt::Write as _;
use std::sync::Arc;

use tidegate_core::location::Position;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::yaml::{Budget, Document, parse};

fn read(bytes: &[u8]) -> (Vec<Document>, Vec<Problem>) {
    parse(&Arc::from("a.yaml"), bytes, &Budget::DEFAULT)
}

/// The only problem of a text: its code, line and column.
fn problem(bytes: &[u8]) -> (Code, u32, u32) {
    let (_, problems) = read(bytes);
    let [problem] = problems.as_slice() else { panic!("one problem is expected: {problems:#?}") };
    let Position { line, column } =
        problem.location.as_ref().expect("problems of files have places").position;
    (problem.code, line, column)
}

#[test]
fn a_hundred_thousand_nested_brackets_are_one_error() {
    for nested in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        let (documents, problems) = read(nested.as_bytes());
        assert!(documents.is_empty());
        assert_eq!(problems.first().map(|problem| problem.code), Some(Code::YamlBudget), "{problems:?}");
    }
}

#[test]
fn depth_that_comes_by_aliases_counts_too() {
    let mut text = format!("a0: &a0 {}1{}\n", "[".repeat(100), "]".repeat(100));
    for level in 1..200 {
        let _ = writeln!(text, "a{level}: &a{level} [*a{}]", level - 1);
    }
    assert_eq!(read(text.as_bytes()).1.first().map(|problem| problem.code), Some(Code::YamlBudget));
}

#[test]
fn an_alias_bomb_is_refused_before_it_is_built() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{aliases}]");
    }
    let (_, problems) = read(text.as_bytes());
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, Code::YamlBudget);
    assert!(problems[0].message.contains("1000000 values"), "{}", problems[0].message);
}

#[test]
fn a_file_beyond_the_budget_is_not_read() {
    assert_eq!(problem(&vec![b'a'; 5 * 1024 * 1024]), (Code::YamlBudget, 1, 1));
}

#[test]
fn bytes_that_are_not_utf_8_are_named_by_line_and_column() {
    assert_eq!(problem(b"a: 1\nb: \xc3\xa9\xff\n"), (Code::YamlEncoding, 2, 5));
}

#[test]
fn a_tab_that_indents_is_an_error_that_says_so() {
    let (_, problems) = read(b"a:\n\tb: 1\n");
    assert_eq!(problems[0].code, Code::YamlSyntax);
    assert_eq!(problems[0].location.as_ref().map(|place| place.position.line), Some(2));
    assert_eq!(problems[0].help.as_deref(), Some("indent with spaces"));
}

#[test]
fn a_key_that_stands_twice_names_both_places() {
    let (_, problems) = read(b"a:\n  b: 1\n  c: 2\n  b: 3\n");
    assert_eq!(problem(b"a:\n  b: 1\n  c: 2\n  b: 3\n"), (Code::YamlDuplicateKey, 4, 3));
    assert_eq!(problems[0].related[0].location.position, Position { line: 2, column: 3 });
}

#[test]
fn keys_that_are_no_texts_are_errors_at_their_places() {
    assert_eq!(problem(b"x:\n  ? [a, b]\n  : c\n"), (Code::YamlUnsupported, 2, 5));
    assert_eq!(problem(b"x:\n  ~: c\n"), (Code::YamlUnsupported, 2, 3));
}

#[test]
fn control_characters_are_errors() {
    assert_eq!(problem(b"a: 1\nb: x\0y\n").0, Code::YamlSyntax);
}

#[test]
fn a_broken_document_does_not_hide_the_ones_around_it() {
    let (documents, problems) = read(b"a: 1\n---\nb: [\n---\nc: 3\n---\nd: }\n---\ne: 5\n");
    let read: Vec<String> = documents.iter().map(|document| document.root.to_json().to_string()).collect();
    assert_eq!(read, [r#"{"a":1}"#, r#"{"c":3}"#, r#"{"e":5}"#]);
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_file_of_broken_documents_ends_with_a_bounded_number_of_errors() {
    let (_, problems) = read("}\n---\n".repeat(100_000).as_bytes());
    assert!((1..=100).contains(&problems.len()), "{}", problems.len());
}

#[test]
fn every_single_byte_change_of_a_manifest_is_read_or_refused_without_a_panic() {
    let manifest = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: &l {x: \"y\"}}\ndata:\n  <<: *l\n  k: |\n    v\n";
    for at in 0..manifest.len() {
        for byte in [0, b'\t', b'\n', b'"', b'*', b'&', b'{', b'[', b':', b'-', b'!', b'|', 0xff] {
            let mut changed = manifest.to_vec();
            changed[at] = byte;
            read(&changed);
        }
    }
}
