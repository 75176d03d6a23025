//! The order of the daemon's requests when nothing goes wrong, held against the list that the simulated daemon of `proptests`
//! is held against too: it copies that order, and must not drift from it unseen.

use crate::fault_run::{Scenario, Shape};

/// Both sides' requests, scenario by scenario.
const EXPECTED: &str = include_str!("request_order.txt");

/// A call as the list names it; none for Leases, watches, lists and discovery.
fn name_of(Shape { call, number }: &Shape) -> Option<String> {
    let mut words = call.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let further = words.next();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let ["api", "v1", "namespaces", namespace, resource, name @ ..] = segments.as_slice() else {
        return None;
    };
    if further == Some("watch") || (method == "GET" && name.is_empty()) {
        return None;
    }
    if *namespace == "tidegate-system" {
        // A create has no name in its path; the daemon makes its parent before anything else.
        let what = match name {
            [] if *number == 1 => "parent",
            [] => "shard",
            ["tidegate-ENV"] => "parent",
            [name, ..] if name.starts_with("tidegate-ENV-inventory-") => "shard",
            [_, ..] => return None,
        };
        let verb = if method == "GET" || method == "DELETE" { method } else { "WRITE" };
        return Some(format!("{verb} {what}"));
    }
    let further = further.map(|further| format!(" {further}")).unwrap_or_default();
    Some(format!("{method} {resource}{further}"))
}

/// What the list says of a write that is sent only where it says something new.
const WHEN_CHANGED: &str = ", when changed";

/// The list of a scenario, without and with what depends on the clock; none when the scenario is not in it.
fn expected(scenario: Scenario) -> Option<[Vec<String>; 2]> {
    let title = format!("{scenario:?}");
    let mut lines = EXPECTED.lines().skip_while(|line| *line != title).skip(1).peekable();
    lines.peek()?;
    let lines: Vec<&str> = lines.take_while(|line| line.starts_with("  ")).map(str::trim).collect();
    let certain = lines.iter().filter(|line| !line.ends_with(WHEN_CHANGED)).map(ToString::to_string);
    let all = lines.iter().map(|line| line.trim_end_matches(WHEN_CHANGED).to_owned());
    Some([certain.collect(), all.collect()])
}

/// Compares the calls of a clean run with the list. A run is looked at until everything is right: the writes of what the
/// daemon keeps may come after that, so that either may be longer there. None: the list does not have the scenario.
pub fn compare(scenario: Scenario, shapes: &[Shape]) -> Result<Option<usize>, String> {
    let Some([certain, all]) = expected(scenario) else { return Ok(None) };
    let sent: Vec<String> = shapes.iter().filter_map(name_of).collect();
    if let Some(common) = [&certain, &all].into_iter().find_map(|expected| agree(&sent, expected)) {
        return Ok(Some(common));
    }
    let calls: Vec<String> = shapes.iter().map(ToString::to_string).collect();
    let (sent, expected, calls) = (sent.join("\n  "), all.join("\n  "), calls.join("\n  "));
    Err(format!("{scenario:?} sends\n  {sent}\nand the list has\n  {expected}\nof all calls\n  {calls}"))
}

/// How many requests are the same, where the longer one goes on with nothing but what the daemon keeps.
fn agree(sent: &[String], expected: &[String]) -> Option<usize> {
    let common = sent.iter().zip(expected).take_while(|(sent, expected)| sent == expected).count();
    let is_kept = |request: &String| request.starts_with("WRITE ");
    let rest_is_kept = |requests: &[String]| requests.get(common..).unwrap_or_default().iter().all(is_kept);
    let is_one_longer = sent.len().min(expected.len()) == common;
    (common > 0 && is_one_longer && rest_is_kept(sent) && rest_is_kept(expected)).then_some(common)
}
