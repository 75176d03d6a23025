//! `tidegate health` by the real program: files and standard input, text and JSON, and how it exits.

#[path = "support/schema.rs"]
mod schema;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn health(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("health")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built for this test");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads its input");
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const OBJECTS: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}}
- apiVersion: v1
  kind: List
  items:
  - {apiVersion: batch/v1, kind: CronJob, metadata: {name: j, namespace: shop}, spec: {suspend: true}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, generation: 2}
spec: {replicas: 2}
status: {observedGeneration: 1}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}, status: {phase: Active}}
---
{apiVersion: acme.dev/v1, kind: Widget, metadata: {name: w, namespace: shop}}
";

#[test]
fn the_json_has_exactly_the_promised_fields_in_the_order_of_the_input() {
    let output = health(&["-f", "-", "-o", "json"], OBJECTS.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let data: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(data["schema"], "tidegate.health/v1");
    schema::assert_valid("health", &data);
    assert_eq!(data.as_object().map(serde_json::Map::len), Some(2));
    let items = data["items"].as_array().expect("items");
    let short: Vec<Value> = items
        .iter()
        .map(|item| json!([item["kind"], item["namespace"], item["name"], item["status"]]))
        .collect();
    assert_eq!(
        short,
        [
            json!(["ConfigMap", "shop", "c", "Healthy"]),
            json!(["CronJob", "shop", "j", "Suspended"]),
            json!(["Deployment", "shop", "web", "Progressing"]),
            json!(["Namespace", "", "shop", "Healthy"]),
            json!(["Widget", "shop", "w", "Unknown"]),
        ]
    );
    for item in items {
        assert_eq!(item.as_object().map(serde_json::Map::len), Some(5), "{item}");
        assert!(item["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{item}");
    }
}

#[test]
fn people_read_a_line_per_object() {
    let said = text(&health(&["-f", "-"], OBJECTS.as_bytes()).stdout);
    assert_eq!(said.lines().count(), 5, "{said}");
    assert!(said.contains("Healthy      ConfigMap shop/c: it exists\n"), "{said}");
    assert!(said.contains("Healthy      Namespace shop: "), "{said}");
    let none = health(&["-f", "-"], b"{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": []}");
    assert_eq!((none.status.code(), text(&none.stdout).as_str()), (Some(0), "no objects\n"));
    let colours = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: \"\\e[31mx\"}}";
    assert!(
        !text(&health(&["-f", "-"], colours).stdout).contains('\u{1b}'),
        "a file cannot colour a terminal"
    );
}

#[test]
fn scripts_can_ask_for_the_answer_as_an_exit_code() {
    let object = |kind: &str, rest: &str| format!("{{apiVersion: {kind}, metadata: {{name: a}}, {rest}}}");
    let healthy = object("v1, kind: ConfigMap", "data: {}");
    let progressing = object("apps/v1, kind: Deployment", "spec: {replicas: 1}, status: {}");
    let degraded = object("v1, kind: Pod", "status: {phase: Failed}");
    let unknown = object("acme.dev/v1, kind: Widget", "spec: {}");
    let code = |objects: &[&String], arguments: &[&str]| {
        let input = objects.iter().map(|text| format!("---\n{text}\n")).collect::<Vec<_>>().concat();
        health(&[&["-f", "-"], arguments].concat(), input.as_bytes()).status.code()
    };
    let asked = &["--exit-code"][..];
    assert_eq!(code(&[&healthy], asked), Some(0));
    assert_eq!(code(&[&progressing, &healthy], asked), Some(4));
    assert_eq!(code(&[&progressing, &degraded], asked), Some(3));
    assert_eq!(code(&[&unknown], asked), Some(3));
    assert_eq!(code(&[&degraded], &[]), Some(0), "the question was answered");
}

#[test]
fn bad_input_is_named_with_its_place_and_nothing_is_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("bad.yaml");
    std::fs::write(&bad, "apiVersion: v1\nkind: Pod\nmetadata: {name: [}\n").expect("a file");
    let good = folder.path().join("good.yaml");
    std::fs::write(&good, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").expect("a file");
    let (bad, good) = (bad.display().to_string(), good.display().to_string());
    let output = health(&["-f", &good, "-f", &bad], b"");
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
    assert!(stderr.contains("error[E0101]") && stderr.contains(&format!("{bad}:3:")), "{stderr}");
    assert!(stderr.contains("    3 | metadata: {name: [}\n"), "{stderr}");
    let empty = health(&["-f", "-"], b"");
    assert_eq!(empty.status.code(), Some(2), "nothing at all is no answer");
    assert!(text(&empty.stderr).contains("--> stdin:1:1"), "{}", text(&empty.stderr));
    let absent = health(&["-f", "/nonexistent"], b"");
    assert!(absent.status.code() == Some(2) && text(&absent.stderr).contains("/nonexistent"));
    assert_eq!(health(&[], b"").status.code(), Some(64), "-f must be given");
}

#[test]
fn what_is_endless_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large");
    // Sparse: it takes no room on the disk.
    std::fs::File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("a large file");
    let output = health(&["-f", &path.display().to_string()], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("more than 67108864 bytes"), "{}", text(&output.stderr));
    let bomb = "a: &a [x, x, x, x, x, x, x, x]\n".to_owned()
        + &(0..20u8)
            .map(|n| {
                let [this, last] = [char::from(b'b' + n), char::from(b'a' + n)];
                format!("{this}: &{this} [*{last}, *{last}, *{last}, *{last}, *{last}, *{last}, *{last}, *{last}]\n")
            })
            .collect::<Vec<_>>().concat();
    let output = health(&["-f", "-"], bomb.as_bytes());
    assert!(text(&output.stderr).contains("error[E0103]"), "{}", text(&output.stderr));
}

#[test]
fn a_value_of_a_secret_is_never_repeated() {
    let input =
        b"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hunter2}\n---\nhunter2\n";
    let output = health(&["-f", "-"], input);
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output.stderr).contains("hunter2"), "{}", text(&output.stderr));
}
