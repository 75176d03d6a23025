//! What the core may depend on, read from `cargo metadata`: a list of what it names itself, and a list of what must be
//! nowhere below it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{assert_none, top};

const CORE: &str = "tidegate-core";

/// A new line here is a decision: it belongs into DESIGN.md.
const DIRECT: [&str; 10] = [
    "base64",
    "flate2",
    "jiff",
    "json-patch",
    "kube-cel",
    "serde",
    "serde-saphyr",
    "serde_json",
    "sha2",
    "thiserror",
];

/// The interpreter of CEL: pure as it is used, and built on crates that could do more (DESIGN.md, "Policies").
const INTERPRETER: &str = "kube-cel";
/// What may stand below the interpreter and nowhere else: dates (its clock is never read), a lock around the tables of the
/// parser, and the ids of these.
const BELOW_INTERPRETER: [&str; 6] =
    ["chrono", "iana-time-zone", "libc", "parking_lot", "parking_lot_core", "uuid"];

/// Beginnings of names. I/O and async; the operating system, clocks and randomness; threads.
const FORBIDDEN: [&str; 51] = [
    "async",
    "aws",
    "axum",
    "curl",
    "futures",
    "gix",
    "h2",
    "http",
    "hyper",
    "inotify",
    "k8s-openapi",
    "kube",
    "mio",
    "native-tls",
    "notify",
    "openssl",
    "polling",
    "quinn",
    "reqwest",
    "ring",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tonic",
    "tower",
    "ureq", //
    "chrono",
    "fastrand",
    "getrandom",
    "iana-time-zone",
    "instant",
    "libc",
    "nix",
    "quanta",
    "rand",
    "rustix",
    "signal-hook",
    "tempfile",
    "time",
    "uuid",
    "walkdir",
    "web-time",
    "windows", //
    "crossbeam",
    "dashmap",
    "parking_lot",
    "rayon",
    "threadpool",
    "tracing",
    "flume",
];

/// Normal dependencies (not for tests, not for build scripts) by package name.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn metadata() -> Value {
    let cargo = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO")).args(arguments).current_dir(top()).output();
        let output = output.expect("cargo runs this test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("cargo writes UTF-8")
    };
    let version = cargo(&["--version", "--verbose"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    // Only this platform's: crates of others need not be on this machine.
    let flags = ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host];
    serde_json::from_str(&cargo(&flags)).expect("cargo writes JSON")
}

fn graph(metadata: &Value) -> Graph {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let is_normal =
        |dependency: &Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    let mut graph = Graph::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = list(&node["deps"]).into_iter().filter(is_normal);
        let below = graph.entry(names[&text(&node["id"])].clone()).or_default();
        below.extend(normal.map(|dependency| names[&text(&dependency["pkg"])].clone()));
    }
    graph
}

fn undecided(graph: &Graph) -> Vec<String> {
    let direct = graph[CORE].iter().filter(|name| !DIRECT.contains(&name.as_str()));
    direct.map(|name| format!("{CORE} depends on {name}, which is not in the list")).collect()
}

/// Every forbidden crate below the core, with the way to it.
fn forbidden(graph: &Graph) -> Vec<String> {
    let mut found = below(graph, CORE, &[INTERPRETER], &[INTERPRETER]);
    found.extend(below(graph, INTERPRETER, &[], &[&[INTERPRETER], BELOW_INTERPRETER.as_slice()].concat()));
    found
}

/// The forbidden crates below one, but for these, with the way to each; not further than to the `ends`.
fn below(graph: &Graph, from: &str, ends: &[&str], but_for: &[&str]) -> Vec<String> {
    let mut ways = BTreeMap::from([(from.to_owned(), from.to_owned())]);
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        if ends.contains(&name.as_str()) {
            continue;
        }
        for below in graph.get(&name).into_iter().flatten() {
            if !ways.contains_key(below) {
                ways.insert(below.clone(), format!("{} -> {below}", ways[&name]));
                open.push(below.clone());
            }
        }
    }
    let is_forbidden = |name: &str| {
        !but_for.contains(&name) && FORBIDDEN.iter().any(|beginning| is_or_begins(name, beginning))
    };
    ways.into_iter().filter(|(name, _)| is_forbidden(name)).map(|(_, way)| way).collect()
}

/// `tokio` and `tokio-util`, not `tokiox`.
fn is_or_begins(name: &str, beginning: &str) -> bool {
    name.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[test]
fn the_core_depends_on_what_was_decided_and_on_nothing_of_the_world() {
    let graph = graph(&metadata());
    assert!(graph[CORE].contains("serde_json"), "the graph was read: {:?}", graph[CORE]);
    assert_none(&undecided(&graph));
    assert_none(&forbidden(&graph));
}

#[test]
fn a_dependency_on_the_world_is_found_with_the_way_to_it() {
    let mut graph = graph(&metadata());
    graph.entry("serde".to_owned()).or_default().insert("tokio-util".to_owned());
    graph.entry(CORE.to_owned()).or_default().insert("gix".to_owned());
    assert_eq!(undecided(&graph), ["tidegate-core depends on gix, which is not in the list"]);
    let ways = forbidden(&graph);
    assert!(ways.contains(&"tidegate-core -> gix".to_owned()), "{ways:?}");
    assert!(ways.iter().any(|way| way.ends_with("serde -> tokio-util")), "{ways:?}");
    let more = more_with_the_interpreter(&mut graph);
    assert!(more.contains("kube-cel -> rand") && more.contains("tidegate-core -> chrono"), "{more:?}");
}

/// What is found when the interpreter gets a crate more, and the core one that only the interpreter may have.
fn more_with_the_interpreter(graph: &mut Graph) -> BTreeSet<String> {
    let before: BTreeSet<String> = forbidden(graph).into_iter().collect();
    graph.entry(INTERPRETER.to_owned()).or_default().insert("rand".to_owned());
    graph.entry(CORE.to_owned()).or_default().insert("chrono".to_owned());
    forbidden(graph).into_iter().filter(|way| !before.contains(way)).collect()
}
