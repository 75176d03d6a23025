//! Our reading of YAML against the real kubectl's: what both accept means the same.
#![expect(clippy::panic, reason = "helpers of tests say what they expected")]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tidegate_core::location::Position;
use tidegate_core::problem::Code;
use tidegate_core::yaml::{Budget, parse};
use tidegate_proptests::cases::Cases;
use tidegate_proptests::documents::{TRICKY, object};

/// Documents per call of kubectl, which takes about 40 ms however many there are.
const BATCH: usize = 300;
const BATCHES: Cases = Cases { sample: 12, full: 240 };

/// What kubectl reads, one object per document; or its error.
fn kubectl(text: &str) -> Result<Vec<Value>, String> {
    let program = std::env::var("TIDEGATE_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let mut child = Command::new(&program)
        .args(["label", "--local", "-f", "-", "tidegate-test=y", "-o", "json"])
        .env("KUBECONFIG", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("this test needs kubectl: `{program}` from TIDEGATE_KUBECTL or PATH: {error}")
        });
    // Written from a thread: kubectl answers before it has read everything.
    let mut stdin = child.stdin.take().expect("piped above");
    let input = text.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("the child was spawned above");
    writer.join().expect("the writer does not panic");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    Ok(values
        .map(|value| {
            let mut value = value.expect("kubectl writes JSON");
            let metadata =
                value.get_mut("metadata").and_then(Value::as_object_mut).expect("objects have metadata");
            metadata.remove("labels");
            value
        })
        .collect())
}

/// What we read; none when we refuse the text.
fn ours(text: &str) -> Option<Value> {
    let (documents, problems) = parse(&Arc::from("generated.yaml"), text.as_bytes(), &Budget::DEFAULT);
    let [document] = documents.as_slice() else { return None };
    problems.is_empty().then(|| document.root.to_json())
}

/// Numbers by value: kubectl prints whole floats beyond 2^63 in another way than we do, and this test's reader of JSON
/// may be wrong in the last digit.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let close = |left: f64, right: f64| (left - right).abs() <= left.abs() * 1e-15;
            left == right
                || !(left.is_i64() && right.is_i64())
                    && left.as_f64().zip(right.as_f64()).is_some_and(|(left, right)| close(left, right))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        (left, right) => left == right,
    }
}

/// Compares the documents that we accept with kubectl's reading of them; says how many that are.
fn compare(documents: &[String]) -> usize {
    let accepted: Vec<(&String, Value)> =
        documents.iter().filter_map(|text| ours(text).map(|value| (text, value))).collect();
    if accepted.is_empty() {
        return 0;
    }
    let texts: Vec<&String> = accepted.iter().map(|(text, _)| *text).collect();
    let Ok(theirs) = kubectl(&in_one_file(&texts)) else {
        panic!("we accept what kubectl refuses: {}", refused_among(&texts));
    };
    assert_eq!(theirs.len(), accepted.len(), "kubectl finds as many documents as we do");
    for ((text, ours), theirs) in accepted.iter().zip(&theirs) {
        assert!(same(ours, theirs), "ours:   {ours}\ntheirs: {theirs}\nof:\n{text}");
    }
    accepted.len()
}

fn in_one_file(texts: &[&String]) -> String {
    texts.iter().flat_map(|text| ["---\n", text.as_str()]).collect()
}

/// Which of some documents kubectl refuses, found by halving.
fn refused_among(texts: &[&String]) -> String {
    let mut texts = texts;
    while texts.len() > 1 {
        let (left, right) = texts.split_at(texts.len() / 2);
        texts = if kubectl(&in_one_file(left)).is_err() { left } else { right };
    }
    texts.first().map_or_else(String::new, |text| format!("{text}\n{:?}", kubectl(text)))
}

fn with_value(value: &str) -> String {
    format!("apiVersion: example.dev/v1\nkind: Thing\nmetadata: {{name: a}}\nv: {value}\n")
}

// Not `proptest!`: its cases would be one call of kubectl each. A failing document is small and is printed by itself.
#[test]
fn generated_documents_mean_the_same_to_kubectl() {
    let mut runner = TestRunner::default();
    let strategy = object();
    for _ in 0..BATCHES.count() {
        let one = |runner: &mut TestRunner| strategy.new_tree(runner).expect("nothing is filtered").current();
        let documents: Vec<String> = (0..BATCH).map(|_| one(&mut runner)).collect();
        let accepted = compare(&documents);
        assert!(accepted * 2 > BATCH, "only {accepted} of {BATCH} documents were compared");
    }
}

#[test]
fn every_tricky_scalar_means_the_same_to_kubectl() {
    let documents: Vec<String> = TRICKY.iter().map(|text| with_value(text)).collect();
    assert_eq!(compare(&documents), documents.len());
    let items: Vec<String> =
        TRICKY.iter().map(|text| with_value(&format!("[{text}, {{k: {text}}}]"))).collect();
    assert_eq!(compare(&items), items.len());
}

#[test]
fn files_with_marks_windows_line_ends_and_anchors_mean_the_same_to_kubectl() {
    let documents = [
        format!("\u{feff}{}", with_value("1")),
        with_value("yes").replace('\n', "\r\n"),
        with_value("&a [1, 2]\nw: *a"),
        with_value("{p: &p {a: 1, b: 2}, q: &q {b: 3, c: 4}, m: {<<: [*p, *q], c: 5}}"),
        with_value("{p: &p {a: 1}, m: {\"<<\": x}, o: {!!merge <<: *p}}"),
        with_value("\n  - a\n  -\n  - b: |\n      text\n  - ? c\n    : d"),
        with_value("\"multi\n  line\n\n  text\""),
        with_value("plain\n  multi\n  line"),
        with_value("# nothing"),
        "{\"apiVersion\": \"v1\", \"kind\": \"Thing\", \"metadata\": {\"name\": \"a\"}, \"v\": \"\\ud83d\\ude00\\/\"}".to_owned(),
        "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Thing\",\n\t\"metadata\": {\"name\": \"a\"}\n}".to_owned(),
    ];
    for text in &documents {
        let ours = ours(text).unwrap_or_else(|| panic!("we refuse {text}"));
        let theirs = kubectl(text).unwrap_or_else(|error| panic!("kubectl refuses {text}: {error}"));
        assert!(same(&ours, &theirs[0]), "ours:   {ours}\ntheirs: {}\nof:\n{text}", theirs[0]);
    }
}

#[test]
fn empty_documents_are_skipped_as_kubectl_skips_them() {
    let text = format!("---\n# nothing\n---\n{}---\n\n---\n{}---\n", with_value("1"), with_value("2"));
    let (documents, problems) = parse(&Arc::from("a.yaml"), text.as_bytes(), &Budget::DEFAULT);
    let ours: Vec<Value> = documents.iter().map(|document| document.root.to_json()).collect();
    assert_eq!(problems, []);
    assert_eq!(kubectl(&text), Ok(ours));
}

#[test]
fn what_kubectl_refuses_is_refused() {
    let refused = [
        ".inf",
        "-.INF",
        ".nan",
        "!!int 1.0",
        "!!int 1e3",
        "!!float yes",
        "!!null x",
        "!!float ''",
        "!!binary '%'",
        "*unknown",
        "{~: a}",
        "{[a]: b}",
        "{? {a: b} : c}",
        "&a [*a]",
        "{<<: a}",
        "{<<: [a]}",
        "[",
        "{a: b",
        "a: b",
        "\n\tk: v",
        "\"\\q\"",
        "@a",
        "`a",
        "%a",
        "a\n b: c",
        "{a: b}}",
        "- a",
        "'a",
        "|\n    a\n  b",
        "&a &b c",
        "18446744073709551615: a",
    ];
    for value in refused {
        let text = with_value(value);
        assert!(kubectl(&text).is_err(), "kubectl refuses {value}");
        assert_eq!(ours(&text), None, "we refuse {value}");
    }
}

#[test]
fn where_kubectl_is_silently_wrong_it_is_an_error_with_its_place() {
    let cases = [
        ("{a: 1, a: 2}", Code::YamlDuplicateKey, 11),
        ("{1: x, \"1\": y}", Code::YamlDuplicateKey, 11),
        ("{yes: x}", Code::YamlAmbiguous, 5),
        ("{0644: x}", Code::YamlAmbiguous, 5),
        ("{1.0: x}", Code::YamlAmbiguous, 5),
        ("{p: &p {a: 1}, m: {a: 2, <<: *p}}", Code::YamlAmbiguous, 29),
        ("9223372036854775808", Code::YamlUnsupported, 4),
        ("18446744073709551615", Code::YamlUnsupported, 4),
        ("123456789012345678901234567890", Code::YamlUnsupported, 4),
    ];
    for (value, code, column) in cases {
        let text = with_value(value);
        assert!(kubectl(&text).is_ok(), "kubectl accepts {value}");
        let (_, problems) = parse(&Arc::from("a.yaml"), text.as_bytes(), &Budget::DEFAULT);
        let [problem] = problems.as_slice() else { panic!("{value}: {problems:?}") };
        assert_eq!(problem.code, code, "{value}");
        assert_eq!(
            problem.location.as_ref().map(|place| place.position),
            Some(Position { line: 4, column }),
            "{value}"
        );
    }
}
