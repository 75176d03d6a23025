//! The core's text names nothing that reads the world: no files, network, environment, clock, process, thread or async.
//!
//! clippy forbids the commonest calls by their resolved path; this also sees what clippy has no list of.

use super::{Source, assert_none, example, repository};

const CORE: &str = "daemon/core/";

const WORLD: [&str; 18] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::os::",
    "std::io::std",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "TimeZone::get",
    "tz::db()",
    "RandomState",
    "async ",
    ".await",
    "println!",
];

fn impurities(sources: &[Source]) -> Vec<String> {
    let core = sources.iter().filter(|source| source.is_rust() && source.path.starts_with(CORE));
    core.flat_map(|source| source.lines_where(touches_the_world)).collect()
}

fn touches_the_world(line: &str) -> bool {
    let code = line.trim_start();
    !code.starts_with("//") && WORLD.iter().any(|name| code.contains(name))
}

#[test]
fn the_core_names_nothing_of_the_world() {
    assert_none(&impurities(&repository()));
    for name in WORLD {
        let complaints =
            impurities(&example("daemon/core/src/a.rs", &format!("//! {name}\nlet a = {name}(b);")));
        assert_eq!(complaints, [format!("daemon/core/src/a.rs:2: let a = {name}(b);")]);
    }
}

#[test]
fn the_core_is_built_without_a_script() {
    let is_script = |source: &&Source| source.path == "daemon/core/build.rs";
    assert!(repository().iter().find(is_script).is_none());
}
