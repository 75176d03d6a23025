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

/// The list of a scenario; none when it is not in it.
fn expected(scenario: Scenario) -> Option<Vec<String>> {
    let title = format!("{scenario:?}");
    let mut lines = EXPECTED.lines().skip_while(|line| *line != title).skip(1).peekable();
    lines.peek()?;
    Some(lines.take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect())
}

/// Compares the calls of a clean run with the list. A run is looked at until everything is right: the writes of what the
/// daemon keeps may come after that, so that either may be longer there. None: the list does not have the scenario.
pub fn compare(scenario: Scenario, shapes: &[Shape]) -> Result<Option<usize>, String> {
    let Some(expected) = expected(scenario) else { return Ok(None) };
    let sent: Vec<String> = shapes.iter().filter_map(name_of).collect();
    let common = sent.iter().zip(&expected).take_while(|(sent, expected)| sent == expected).count();
    let is_kept = |request: &String| request.starts_with("WRITE ");
    let rest_is_kept = |requests: &[String]| requests.get(common..).unwrap_or_default().iter().all(is_kept);
    if common > 0
        && rest_is_kept(&sent)
        && rest_is_kept(&expected)
        && sent.len().min(expected.len()) == common
    {
        return Ok(Some(common));
    }
    let calls: Vec<String> = shapes.iter().map(ToString::to_string).collect();
    let (sent, expected, calls) = (sent.join("\n  "), expected.join("\n  "), calls.join("\n  "));
    Err(format!("{scenario:?} sends\n  {sent}\nand the list has\n  {expected}\nof all calls\n  {calls}"))
}
