//! The committed JSON Schema of `environment.yaml` and the parser agree, on files by hand and on generated ones; what a
//! schema cannot say stands in a list, by name.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may stop where an assertion would"
)]

use std::path::Path;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::desired::discover;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::tree::FileTree;
use tidegate_core::yaml::{Budget, parse};
use tidegate_proptests::cases::Cases;
use tidegate_proptests::mistakes::{make, mistake};

const SCHEMA: &str = include_str!("../../daemon/schemas/environment.schema.json");

/// A name, and the problems that it is about.
type Difference = (&'static str, fn(&Problem) -> bool);

/// What the parser refuses and a schema cannot.
const BEYOND_A_SCHEMA: [Difference; 4] = [
    ("the name is that of the folder", |problem| {
        problem.code == Code::EnvironmentName && problem.message.contains("stands in the folder")
    }),
    ("a source stays inside the repository", |problem| {
        problem.code == Code::SourcePath && problem.message.contains("repository")
    }),
    ("a duration is more than nothing and at most a year", |problem| {
        problem.code == Code::ConfigField && problem.message.contains("must be a duration")
    }),
    ("dependsOn names environments that exist", |problem| {
        problem.code == Code::DependsOn && problem.message.starts_with("there is no environment")
    }),
];

/// Where the schema is stricter on purpose, so that editors complain about what has no meaning: a name, and the place.
const STRICTER: [(&str, &str); 1] = [("times are written as RFC 3339 has them", "/spec/suspend/until")];

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("the schema is one")
}

/// Errors of the parser, as for `environments/dev/environment.yaml`.
fn refused(text: &str) -> Vec<Problem> {
    let tree: FileTree = [("environments/dev/environment.yaml", text.as_bytes())].into_iter().collect();
    let found = discover(&tree).pop().expect("the file makes an environment");
    found.environment.err().unwrap_or_default().into_iter().filter(Problem::is_error).collect()
}

/// The names of the differences between parser and schema about a file, or what is no known difference.
fn differences(validator: &Validator, value: &Value) -> Result<Vec<&'static str>, String> {
    let text = value.to_string();
    let problems = refused(&text);
    let errors: Vec<(String, String)> = validator
        .iter_errors(value)
        .map(|error| (error.instance_path().to_string(), error.to_string()))
        .collect();
    match (problems.is_empty(), errors.is_empty()) {
        (true, true) | (false, false) => Ok(Vec::new()),
        (false, true) => {
            let name = |problem: &Problem| {
                BEYOND_A_SCHEMA.iter().find(|(_, is_it)| is_it(problem)).map(|(name, _)| *name)
            };
            let names: Option<Vec<_>> = problems.iter().map(name).collect();
            names.ok_or_else(|| format!("the schema accepts what the parser refuses: {text}\n{problems:#?}"))
        }
        (true, false) => {
            let name = |(path, _): &(String, String)| {
                STRICTER.iter().find(|(_, place)| path.starts_with(place)).map(|(name, _)| *name)
            };
            let names: Option<Vec<_>> = errors.iter().map(name).collect();
            names.ok_or_else(|| format!("the parser accepts what the schema refuses: {text}\n{errors:#?}"))
        }
    }
}

/// An environment that uses every field.
fn full() -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1", "kind": "Environment",
        "metadata": { "name": "dev", "labels": { "team": "shop" } },
        "spec": {
            "cluster": { "kubeconfig": { "context": "c", "secretRef": { "namespace": "n", "name": "s", "key": "k" } } },
            "namespaces": ["shop", "extra"], "createNamespaces": true,
            "sources": [{ "manifests": "app" }, { "manifests": "../base" }],
            "substitute": { "TAG": "1.0.0", "PORT": 80, "ON": true },
            "patches": [
                { "target": { "group": "", "kind": "Service", "name": "web", "namespace": "shop" },
                  "patch": [{ "op": "replace", "path": "/spec/x", "value": 1 }, { "op": "remove", "path": "/a~1b" },
                            { "op": "move", "from": "/a", "path": "/b" }] },
                { "target": { "kind": "Deployment" }, "merge": { "spec": { "replicas": 2 } } },
            ],
            "policies": ["blue-green", "office.hours"], "prune": { "enabled": true, "budget": { "max": 3, "percent": 10 }, "allow": ["Namespace"] },
            "ignore": [{ "kind": "Deployment", "name": "web", "pointers": ["/spec/replicas"], "when": "hpa" }],
            "deadlines": { "apply": "1m", "healthy": "1h30m5s" },
            "suspend": { "reason": "incident", "until": "2026-12-01T00:00:00Z" },
            "dependsOn": [], "clusterScoped": ["ClusterRole"], "onFailure": "stay",
            "adopt": ["apps/Deployment shop/web"], "decommission": false,
        },
    })
}

/// The full environment with one value replaced; `Value::Null` under `remove` takes it out.
fn with(pointer: &str, value: Value) -> Value {
    let mut full = full();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match full.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.insert(key.to_owned(), value);
        }
        Some(Value::Array(items)) => items[key.parse::<usize>().expect("an index")] = value,
        _ => panic!("nothing at {parent}"),
    }
    full
}

#[test]
fn the_schema_is_one_of_draft_2020_12() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    let properties = schema["$defs"]["spec"]["properties"].as_object().expect("fields");
    for (name, field) in properties {
        let described = field
            .get("description")
            .or_else(|| schema.pointer(field["$ref"].as_str()?.strip_prefix('#')?)?.get("description"));
        assert!(described.is_some(), "editors show what {name} is");
    }
}

#[test]
fn good_files_are_accepted_by_both() {
    let validator = validator();
    let minimal = json!({
        "apiVersion": "tidegate.dev/v1", "kind": "Environment", "metadata": { "name": "dev" },
        "spec": { "cluster": { "inCluster": null }, "namespaces": ["a"] },
    });
    for good in
        [full(), minimal, with("/spec/prune", Value::Null), with("/spec/patches/1/patch", Value::Null)]
    {
        let errors: Vec<String> = validator.iter_errors(&good).map(|error| error.to_string()).collect();
        assert_eq!((refused(&good.to_string()), errors), (Vec::new(), Vec::new()), "{good}");
    }
}

#[test]
fn bad_files_are_refused_by_both() {
    let validator = validator();
    let bad = [
        ("/apiVersion", json!("tidegate.dev/v2")),
        ("/kind", json!("Enviroment")),
        ("/metadata/name", json!("Dev")),
        ("/metadata/name", json!("dev-inventory-1-2")),
        ("/metadata/nmae", json!("dev")),
        ("/spec/namespace", json!(["a"])),
        ("/spec/namespaces", json!([])),
        ("/spec/namespaces", json!(["a", "a"])),
        ("/spec/namespaces/0", json!("a.b")),
        ("/spec/namespaces/0", json!("x".repeat(64))),
        ("/spec/cluster", json!({})),
        ("/spec/cluster", json!({ "inCluster": {}, "kubeconfig": {} })),
        ("/spec/cluster", json!({ "eks": { "arn": "x" } })),
        ("/spec/cluster", json!({ "inCluster": { "a": 1 } })),
        ("/spec/cluster/kubeconfig/path", json!("x")),
        ("/spec/cluster/kubeconfig/secretRef/name", Value::Null),
        ("/spec/serviceAccount", json!("x")),
        ("/spec/promotion", json!({})),
        ("/spec/sources/0", json!({ "kustomize": "." })),
        ("/spec/sources/0", json!({ "manifests": "/etc" })),
        ("/spec/sources/0", json!({ "manifests": "a\\b" })),
        ("/spec/sources/0", json!({ "manifests": "a\u{7}" })),
        ("/spec/substitute/A-B", json!("x")),
        ("/spec/substitute/A", Value::Null),
        ("/spec/substitute/A", json!(["x"])),
        ("/spec/patches/0/merge", json!({})),
        ("/spec/patches/0/patch", Value::Null),
        ("/spec/patches/0/target", json!({ "name": "x" })),
        ("/spec/patches/0/patch/0", json!({ "op": "replce", "path": "/a", "value": 1 })),
        ("/spec/patches/0/patch/0", json!({ "op": "add", "path": "/a" })),
        ("/spec/patches/0/patch/0", json!({ "op": "add", "path": "a", "value": 1 })),
        ("/spec/patches/0/patch/0", json!({ "op": "add", "path": "/~2", "value": 1 })),
        ("/spec/patches/0/patch/0", json!({ "op": "copy", "path": "/a", "value": 1 })),
        ("/spec/patches/0/patch/0", json!({ "op": "copy", "path": "/a", "from": "b" })),
        ("/spec/policies", json!("blue-green")),
        ("/spec/policies", json!(["blue-green", "blue-green"])),
        ("/spec/policies/0", json!("Blue")),
        ("/spec/policies/0", json!("a..b")),
        ("/spec/prune/budget/max", json!(-1)),
        ("/spec/prune/budget/max", json!(1.5)),
        ("/spec/prune/budget/percent", json!(101)),
        ("/spec/prune/allow/0", json!("")),
        ("/spec/ignore/0/pointers/0", json!("spec/replicas")),
        ("/spec/ignore/0/when", json!("HPA")),
        ("/spec/deadlines/apply", json!("5")),
        ("/spec/deadlines/apply", json!("5s1m")),
        ("/spec/suspend", json!({})),
        ("/spec/suspend/until", json!("tomorrow")),
        ("/spec/dependsOn", json!(["A"])),
        ("/spec/onFailure", json!("stop")),
        ("/spec/adopt/0", json!("web")),
        ("/spec/decommission", json!("yes")),
    ];
    for (pointer, value) in bad {
        let bad = with(pointer, value.clone());
        assert!(!refused(&bad.to_string()).is_empty(), "the parser accepts {pointer} {value}");
        assert!(!validator.is_valid(&bad), "the schema accepts {pointer} {value}");
    }
}

#[test]
fn what_a_schema_cannot_say_is_named() {
    let validator = validator();
    let cases = [
        ("/metadata/name", json!("staging"), "the name is that of the folder"),
        ("/spec/sources/0", json!({ "manifests": "../../../etc" }), "a source stays inside the repository"),
        ("/spec/deadlines/apply", json!("0s"), "a duration is more than nothing and at most a year"),
        ("/spec/dependsOn", json!(["other"]), "dependsOn names environments that exist"),
        ("/spec/suspend/until", json!("2026-12-01 00:00:00Z"), "times are written as RFC 3339 has them"),
    ];
    let mut names: Vec<&str> = BEYOND_A_SCHEMA.iter().map(|(name, _)| *name).collect();
    names.extend(STRICTER.iter().map(|(name, _)| *name));
    assert_eq!(
        cases.iter().map(|(.., name)| *name).collect::<Vec<_>>(),
        names,
        "every difference has its case"
    );
    for (pointer, value, name) in cases {
        assert_eq!(differences(&validator, &with(pointer, value)), Ok(vec![name]), "{pointer}");
    }
}

#[test]
fn the_example_environments_are_as_the_schema_says_and_name_it_for_editors() {
    let validator = validator();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    for name in ["dev", "staging", "production"] {
        let folder = top.join("environments").join(name);
        let bytes = std::fs::read(folder.join("environment.yaml")).expect("an example");
        let (documents, problems) = parse(&"environment.yaml".into(), &bytes, &Budget::DEFAULT);
        assert_eq!(problems, [], "{name}");
        let value = documents[0].root.to_json();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
        let text = String::from_utf8(bytes).expect("UTF-8");
        let first = text.lines().next().unwrap_or_default();
        let schema = first
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{name}: {first}"));
        assert_eq!(std::fs::read_to_string(folder.join(schema)).expect("the schema"), SCHEMA);
    }
}

/// Texts that are right somewhere, or nearly.
const TEXTS: &[&str] = &[
    "",
    "x",
    "X y",
    "a b",
    "30s",
    "0s",
    "1h1h",
    "a/b",
    "/a",
    "~",
    "~2",
    "/~2",
    "rollback",
    "hpa",
    "dev",
    "..",
    "add",
    "remove",
    "2026-12-01T00:00:00Z",
    "yes",
    "\u{7}",
    "-",
    "é",
    "a b c",
];
const NAMES: &[&str] =
    &["x", "name", "path", "patch", "merge", "from", "value", "inCluster", "kubeconfig", "helm", "eks"];

proptest! {
    #![proptest_config(Cases { sample: 500, full: 20_000 }.config())]

    #[test]
    fn parser_and_schema_agree_on_files_with_mistakes(
        steps in prop::collection::vec((any::<prop::sample::Index>(), mistake(TEXTS, NAMES)), 1..4),
    ) {
        thread_local! { static VALIDATOR: Validator = validator(); }
        let mut value = full();
        for (at, mistake) in steps {
            make(&mut value, at, mistake);
        }
        if let Err(complaint) = VALIDATOR.with(|validator| differences(validator, &value)) {
            prop_assert!(false, "{}", complaint);
        }
    }
}
