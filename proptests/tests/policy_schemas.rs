//! The committed JSON Schemas of policies and the parser agree, on files by hand and on generated ones; what a schema cannot
//! say stands in a list, by name.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may stop where an assertion would"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::policy::PolicyFolder;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::yaml::{Budget, parse};
use tidegate_proptests::cases::Cases;
use tidegate_proptests::mistakes::{make, mistake};

/// Kinds with their schemas.
const SCHEMAS: [(&str, &str); 4] = [
    ("RolloutPolicy", include_str!("../../daemon/schemas/rollout-policy.schema.json")),
    ("ChangeWindow", include_str!("../../daemon/schemas/change-window.schema.json")),
    ("Guardrail", include_str!("../../daemon/schemas/guardrail.schema.json")),
    ("HealthRule", include_str!("../../daemon/schemas/health-rule.schema.json")),
];

/// A name, and the problems that it is about.
type Difference = (&'static str, fn(&Problem) -> bool);

/// What the parser refuses and a schema cannot.
const BEYOND_A_SCHEMA: [Difference; 13] = [
    ("a duration has bounds", |problem| {
        ["must be a duration", "must be a time like 250ms"]
            .iter()
            .any(|words| problem.message.contains(words))
    }),
    ("gates have different names", |problem| problem.message.starts_with("two gates are called")),
    ("windows that gates name exist", |problem| problem.code == Code::PolicyName),
    ("a bake is not over before its end", |problem| problem.message.starts_with("bake.max is shorter")),
    ("a gate has time for what it does", |problem| problem.message.starts_with("timeout is not longer")),
    ("a query has values that are good", |problem| problem.message.starts_with("min is above max")),
    ("headers differ in more than case", |problem| problem.message.starts_with("the header")),
    ("a Job is as Kubernetes has them", |problem| {
        problem.field.as_deref().is_some_and(|field| field.contains(".job.template"))
    }),
    ("a schedule is one", |problem| {
        problem.field.as_deref().is_some_and(|field| field.ends_with(".schedule"))
    }),
    ("a time zone exists", |problem| problem.message.starts_with("there is no time zone")),
    ("a freeze begins before it ends", |problem| problem.message.starts_with("the freeze ends before")),
    ("an expression is one", |problem| {
        ["expression: ", "Expression: ", "healthy: ", "degraded: ", "progressing: "]
            .iter()
            .any(|words| problem.message.contains(words))
    }),
    ("a health rule is for a kind of somebody else", |problem| {
        problem.message.contains("is a group of Kubernetes")
    }),
];

/// Where the schema is stricter on purpose: times are written as RFC 3339 has them.
const STRICTER: &str = "/spec/freezes/";

fn validator(kind: &str) -> Validator {
    let (_, schema) = SCHEMAS.iter().find(|(name, _)| *name == kind).expect("a kind");
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("the schema is one")
}

/// Errors of the parser, as for `policies/p.yaml`.
fn refused(text: &str) -> Vec<Problem> {
    let folder = PolicyFolder::read(&[("policies/p.yaml", text.as_bytes())].into_iter().collect());
    folder.problems().into_iter().filter(Problem::is_error).collect()
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
        (true, false) if errors.iter().all(|(path, _)| path.starts_with(STRICTER)) => Ok(Vec::new()),
        (true, false) => Err(format!("the parser accepts what the schema refuses: {text}\n{errors:#?}")),
    }
}

fn document(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1", "kind": kind, "metadata": { "name": "p", "labels": { "a": "b" } }, "spec": spec,
    })
}

/// A policy of a kind that uses every field.
fn full(kind: &str) -> Value {
    let request = json!({ "method": "POST", "path": "/a?b=%20", "headers": { "X-A": "b c" }, "body": { "a": [1, "x"] }, "port": "http" });
    let with = |further: Value| {
        let mut all = request.clone();
        all.as_object_mut().expect("a map").extend(further.as_object().expect("a map").clone());
        all
    };
    let json = json!([
        { "pointer": "/a", "equals": 1.5, "tolerance": { "abs": 0.1, "rel": 0.2 } }, { "pointer": "/a~1b", "absent": true },
        { "pointer": "/c", "type": "object" }, { "pointer": "/d", "equals": null },
    ]);
    let selector = json!({
        "matchLabels": { "example.com/a": "b", "c": "" },
        "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b"] }, { "key": "c", "operator": "Exists" }],
    });
    let spec = match kind {
        "RolloutPolicy" => json!({
            "match": { "kinds": ["Deployment"], "names": ["api", "web"], "selector": selector },
            "traffic": { "mode": "service", "service": "api" },
            "gates": {
                "beforeSwitch": [
                    { "name": "http", "timeout": "1m", "every": "5s",
                      "http": with(json!({ "expect": { "status": [200, 201], "json": json, "p95": "250ms" }, "requests": 20, "everyPod": true })) },
                    { "name": "pods", "tcp": { "port": 80 } }, { "name": "db", "tcp": { "service": "db", "port": 5432 } },
                    { "name": "job", "job": { "template": { "spec": { "containers": [{ "name": "a", "image": "b" }] } }, "backoffLimit": 2 } },
                    { "name": "health", "lbHealth": { "endpoints": 2, "duration": "5s" } },
                    { "name": "load", "load": with(json!({ "status": 200, "rate": 10, "duration": "30s", "maxErrors": 0.1, "p95": "1s" })) },
                    { "name": "drain", "drainSafe": {} },
                ],
                "whileBaking": [
                    { "name": "errors", "prometheus": { "url": "http://p.monitoring:9090/x", "query": "a{b=\"${slot}\",c=~\"5..$\"}", "max": 0.1,
                      "min": -1, "maxAge": "2m", "minRequests": 10, "requestsQuery": "a{p=~\"${pods}\"}" } },
                    { "name": "own", "prometheus": { "service": { "namespace": "m", "name": "p", "port": 9090 }, "query": "a", "max": 1 } },
                ],
            },
            "bake": { "duration": "10m", "max": "1h", "floor": "80%" },
            "drain": "30s", "keepFailed": "10m", "reach": "apiserver", "standby": "0s",
            "deadlines": { "warm": "10m", "gates": "15m", "settle": "2m", "grace": "30s" },
        }),
        "ChangeWindow" => {
            let time = json!({ "schedule": "0 9 * * 1-5", "duration": "8h", "timeZone": "Asia/Tokyo", "reason": "why" });
            json!({
                "timeZone": "Europe/Berlin", "allow": [time], "deny": [time],
                "freezes": [{ "from": "2026-12-20T00:00:00Z", "until": "2027-01-07T00:00:00+01:00", "reason": "year end" }],
            })
        }
        "Guardrail" => json!({
            "match": { "kinds": ["Deployment", "*"], "groups": ["", "apps"], "selector": selector }, "action": "warn",
            "validations": [{ "expression": "object.a == 1", "message": "a", "messageExpression": "'a'" }],
        }),
        _ => json!({
            "group": "example.com", "kind": "Database", "healthy": "object.a == 1", "degraded": "object.b", "progressing": "object.c",
            "messageExpression": "object.d",
        }),
    };
    document(kind, &spec)
}

fn with(kind: &str, pointer: &str, value: Value) -> Value {
    let mut full = full(kind);
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match full.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.insert(key.to_owned(), value)),
        Some(Value::Array(items)) => items[key.parse::<usize>().expect("an index")] = value,
        _ => panic!("nothing at {parent}"),
    }
    full
}

#[test]
fn the_schemas_are_of_draft_2020_12_and_accept_policies_with_every_field_and_with_few() {
    let least = [
        ("RolloutPolicy", json!({ "match": { "kinds": ["Deployment"] } })),
        ("ChangeWindow", json!({ "deny": [{ "schedule": "* * * * *", "duration": "1m" }] })),
        ("Guardrail", json!({ "match": { "kinds": ["A"] }, "validations": [{ "expression": "true" }] })),
        ("HealthRule", json!({ "group": "a.io", "kind": "A", "healthy": "true" })),
    ];
    for ((kind, schema), (of, spec)) in SCHEMAS.iter().zip(least) {
        assert_eq!(*kind, of);
        let schema: Value = serde_json::from_str(schema).expect("JSON");
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{kind}");
        for good in [full(kind), document(kind, &spec)] {
            let errors: Vec<String> =
                validator(kind).iter_errors(&good).map(|error| error.to_string()).collect();
            assert_eq!((refused(&good.to_string()), errors), (Vec::new(), Vec::new()), "{kind}");
        }
    }
}

#[test]
fn bad_policies_are_refused_by_both() {
    let gate = "/spec/gates/beforeSwitch/0";
    let at = |path: &str| format!("{gate}{path}");
    let rollout = [
        ("/kind".to_owned(), json!("RolloutPolcy")),
        ("/metadata/name".to_owned(), json!("A")),
        ("/spec/match".to_owned(), json!({})),
        ("/spec/match/kinds/0".to_owned(), json!("StatefulSet")),
        ("/spec/match/selector".to_owned(), json!({})),
        ("/spec/match/selector/matchExpressions/0/values".to_owned(), json!([])),
        ("/spec/match/selector/matchExpressions/1/values".to_owned(), json!(["a"])),
        ("/spec/traffic/mode".to_owned(), json!("alb")),
        ("/spec/traffic/mode".to_owned(), json!("none")),
        ("/spec/bake/floor".to_owned(), json!("0%")),
        ("/spec/bake/floor".to_owned(), json!(80)),
        ("/spec/drain".to_owned(), json!("1d")),
        ("/spec/reach".to_owned(), json!("pods")),
        (at("/name"), json!("a.b")),
        (at("/tcp"), json!({})),
        (at("/http"), json!([])),
        (at("/http/requests"), json!(0)),
        (at("/http/path"), json!("a")),
        (at("/http/headers/a b"), json!("c")),
        (at("/http/headers/content-length"), json!("1")),
        (at("/http/expect/status/0"), json!(99)),
        (at("/http/expect/json/0/equals"), json!("x")),
        (at("/http/expect/json/0/tolerance"), json!({})),
        (at("/http/expect/json/1/absent"), json!(false)),
        (at("/http/expect/p95"), json!("1m")),
        ("/spec/gates/beforeSwitch/2/tcp/port".to_owned(), json!("sql")),
        ("/spec/gates/beforeSwitch/3/job/template".to_owned(), json!({ "spec": { "containers": [] } })),
        ("/spec/gates/beforeSwitch/5/load/rate".to_owned(), Value::Null),
        ("/spec/gates/whileBaking/1/prometheus/max".to_owned(), Value::Null),
        ("/spec/gates/whileBaking/1/prometheus/url".to_owned(), json!("http://p")),
        ("/spec/gates/whileBaking/0/prometheus/url".to_owned(), json!("http://a:b@p")),
        ("/spec/gates/whileBaking/0/prometheus/query".to_owned(), json!("a{b=\"${slots}\"}")),
        ("/spec/gates/whileBaking/0/prometheus/requestsQuery".to_owned(), Value::Null),
        ("/spec/gates/whileBaking/0".to_owned(), json!({ "name": "w", "window": ["a"] })),
    ];
    let others = [
        ("ChangeWindow", "/spec", json!({ "timeZone": "UTC" })),
        ("ChangeWindow", "/spec/allow", json!([])),
        ("ChangeWindow", "/spec/allow/0/schedule", json!("0 9 * *")),
        ("ChangeWindow", "/spec/allow/0/duration", Value::Null),
        ("ChangeWindow", "/spec/freezes/0/until", json!("tomorrow")),
        ("ChangeWindow", "/spec/freezes/0/reason", Value::Null),
        ("Guardrail", "/spec/match/kinds", json!([])),
        ("Guardrail", "/spec/match/groups/0", json!("A")),
        ("Guardrail", "/spec/action", json!("refuse")),
        ("Guardrail", "/spec/validations", json!([])),
        ("Guardrail", "/spec/validations/0/expression", json!("a".repeat(2049))),
        ("HealthRule", "/spec/group", json!("")),
        ("HealthRule", "/spec/healthy", Value::Null),
        ("HealthRule", "/spec/suspended", json!("true")),
    ];
    let rollout = rollout.into_iter().map(|(pointer, value)| ("RolloutPolicy", pointer, value));
    let others = others.into_iter().map(|(kind, pointer, value)| (kind, pointer.to_owned(), value));
    for (kind, pointer, value) in rollout.chain(others) {
        let bad = with(kind, &pointer, value.clone());
        assert!(!refused(&bad.to_string()).is_empty(), "the parser accepts {pointer} {value}");
        assert!(!validator(kind).is_valid(&bad), "the schema accepts {pointer} {value}");
    }
}

#[test]
fn what_a_schema_cannot_say_is_named() {
    let cases = [
        ("RolloutPolicy", "/spec/drain", json!("99h")),
        ("RolloutPolicy", "/spec/gates/whileBaking/0/name", json!("http")),
        ("RolloutPolicy", "/spec/gates/beforeSwitch/6", json!({ "name": "w", "window": ["nowhere"] })),
        ("RolloutPolicy", "/spec/bake/max", json!("1m")),
        ("RolloutPolicy", "/spec/gates/beforeSwitch/5/timeout", json!("30s")),
        ("RolloutPolicy", "/spec/gates/whileBaking/0/prometheus/min", json!(1)),
        ("RolloutPolicy", "/spec/gates/beforeSwitch/0/http/headers/x-a", json!("b")),
        ("RolloutPolicy", "/spec/gates/beforeSwitch/3/job/template/spec/contaners", json!([])),
        ("ChangeWindow", "/spec/allow/0/schedule", json!("0 25 * * *")),
        ("ChangeWindow", "/spec/timeZone", json!("Europe/Berln")),
        ("ChangeWindow", "/spec/freezes/0/until", json!("2026-12-19T00:00:00Z")),
        ("Guardrail", "/spec/validations/0/expression", json!("objekt")),
        ("HealthRule", "/spec/group", json!("apps")),
    ];
    assert_eq!(cases.len(), BEYOND_A_SCHEMA.len(), "every difference has its case");
    for ((kind, pointer, value), (name, _)) in cases.into_iter().zip(BEYOND_A_SCHEMA) {
        assert_eq!(differences(&validator(kind), &with(kind, pointer, value)), Ok(vec![name]), "{pointer}");
    }
}

/// The shipped policies.
fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").join("policies");
    let files = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[test]
fn the_shipped_policies_are_as_their_schemas_say_and_name_them_for_editors() {
    let mut kinds = BTreeSet::new();
    for path in shipped() {
        let text = std::fs::read_to_string(&path).expect("a policy");
        assert_eq!(refused(&text), [], "{}", path.display());
        let first = text.lines().next().unwrap_or_default();
        let schema = first.strip_prefix("# yaml-language-server: $schema=").expect("the schema for editors");
        let schema =
            std::fs::read_to_string(path.parent().expect("a folder").join(schema)).expect("the schema");
        let (documents, _) = parse(&"p.yaml".into(), text.as_bytes(), &Budget::DEFAULT);
        assert!(!documents.is_empty(), "{}", path.display());
        for document in documents {
            let value = document.root.to_json();
            let kind = value["kind"].as_str().expect("a kind");
            let (name, own) = SCHEMAS.iter().find(|(name, _)| *name == kind).expect("a kind with a schema");
            kinds.insert(*name);
            assert_eq!(&schema, own, "{}: editors get the schema of another kind", path.display());
            assert!(validator(kind).is_valid(&value), "{}: {value:#}", path.display());
        }
    }
    assert_eq!(kinds, SCHEMAS.iter().map(|(name, _)| *name).collect(), "an example of each kind");
}

/// Texts that are right somewhere, or nearly.
const TEXTS: &[&str] = &[
    "",
    "x",
    "X y",
    "30s",
    "0s",
    "1h1h",
    "250ms",
    "a/b",
    "/a",
    "/~2",
    "service",
    "none",
    "warn",
    "direct",
    "UTC",
    "0 9 * * *",
    "2026-12-01T00:00:00Z",
    "yes",
    "object.a",
    "In",
    "Exists",
    "Deployment",
    "*",
    "50%",
    "http://p:1",
    "${slot}",
    "${x}",
    "é",
    "-",
    "a.b",
    "GET",
    "null",
    "\u{7}",
];
const NAMES: &[&str] = &[
    "x",
    "name",
    "http",
    "tcp",
    "window",
    "drainSafe",
    "load",
    "job",
    "model",
    "tolerance",
    "equals",
    "absent",
    "type",
    "url",
    "service",
    "port",
    "timeout",
    "values",
    "max",
    "timeZone",
    "messageExpression",
];

proptest! {
    #![proptest_config(Cases { sample: 1000, full: 40_000 }.config())]

    #[test]
    fn parser_and_schemas_agree_on_policies_with_mistakes(
        kind in prop::sample::select(SCHEMAS.map(|(kind, _)| kind).to_vec()),
        steps in prop::collection::vec((any::<prop::sample::Index>(), mistake(TEXTS, NAMES)), 1..4),
    ) {
        thread_local! { static VALIDATORS: Vec<(&'static str, Validator)> = SCHEMAS.iter().map(|(kind, _)| (*kind, validator(kind))).collect(); }
        let mut value = full(kind);
        for (at, mistake) in steps {
            make(&mut value, at, mistake);
        }
        let complaint = VALIDATORS.with(|all| {
            all.iter().find(|(name, _)| *name == kind).and_then(|(_, validator)| differences(validator, &value).err())
        });
        prop_assert!(complaint.is_none(), "{}", complaint.unwrap_or_default());
    }
}

/// The page beside the shipped policies.
const PAGE: &str = include_str!("../../policies/README.md");

#[test]
fn every_policy_on_the_page_is_good_and_the_page_names_every_field() {
    let blocks = PAGE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let policies: Vec<&str> =
        blocks.filter(|block| block.starts_with("apiVersion: tidegate.dev/v1")).collect();
    assert_eq!(policies.len(), 5, "one of each kind, and one with every gate");
    for policy in policies {
        assert_eq!(refused(policy), [], "{policy}");
    }
    for (kind, schema) in SCHEMAS {
        let mut fields = Vec::new();
        properties(&serde_json::from_str(schema).expect("JSON"), &mut fields);
        let missing: Vec<&String> = fields
            .iter()
            .filter(|field| !PAGE.contains(&format!("{field}`")) && !PAGE.contains(&format!("`{field}")))
            .collect();
        assert_eq!(missing, Vec::<&String>::new(), "{kind}: fields that the page does not name");
    }
}

/// The names of all properties of a spec, at any depth; those of Kubernetes' own objects are not ours to explain.
fn properties(schema: &Value, all: &mut Vec<String>) {
    const OTHERS: [&str; 12] = [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "labels",
        "annotations",
        "key",
        "operator",
        "values",
        "containers",
        "restartPolicy",
        "name",
    ];
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                if key == "properties"
                    && let Value::Object(fields) = value
                {
                    all.extend(fields.keys().filter(|field| !OTHERS.contains(&field.as_str())).cloned());
                }
                properties(value, all);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, all)),
        _ => {}
    }
}
