//! `tidegate events [env]`: Kubernetes Events of an environment's objects and of what they own, the newest last.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_core::object::Gvk;
use tidegate_core::review::lines::second;

use super::exit::{Exit, Failure};
use super::family::{self, Family, Member};
use super::options::Global;
use super::style::{Style, Tone};
use super::target::{TargetCluster, exit_with, say_away};
use super::tree::printable;
use crate::cluster::call::CallError;
use crate::cluster::kinds::Kinds;

/// Where events of objects without a namespace stand.
const OF_THE_CLUSTER: &str = "default";
/// Longest message that is shown.
const MESSAGE_CAP: usize = 500;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct EventsArgs {
    /// The environment; all of them when none is named
    pub environment: Option<String>,
    /// At most so many, the newest
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
}

/// One event, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Option<Timestamp>,
    environment: String,
    kind: String,
    namespace: String,
    name: String,
    warns: bool,
    reason: String,
    message: String,
    count: u64,
}

/// Reads and prints.
pub async fn run(global: &Global, args: &EventsArgs) -> Result<Exit, Failure> {
    let read = family::with(global, args.environment.as_deref(), events_of).await?;
    let mut events: Vec<Event> = read.found.into_iter().flat_map(|(_, events)| events).collect();
    events.sort();
    let cut = events.len().saturating_sub(usize::from(args.limit));
    let events = events.split_off(cut);
    // What could not be read is not nothing.
    let none_known = events.is_empty() && !read.away.is_empty();
    let text = if none_known { String::new() } else { text(&events, cut, global.style()) };
    global.print(&text, &data(&events, cut));
    say_away(global, &read.away);
    Ok(exit_with(&read.away, Exit::Ok))
}

async fn events_of(cluster: &TargetCluster, name: String, family: Family) -> Result<Vec<Event>, CallError> {
    let members = family.members.iter().flat_map(Member::all);
    let uids: BTreeSet<String> = members.filter_map(|member| member.uid.clone()).collect();
    let kinds = Kinds::new(cluster.client.clone());
    kinds.refresh().await?;
    let mut events = Vec::new();
    let namespaces = family.namespaces.iter().map(String::as_str).chain([OF_THE_CLUSTER]);
    for namespace in namespaces.collect::<BTreeSet<_>>() {
        let listed = family::list(cluster, &kinds, &Gvk::from_api_version("v1", "Event"), namespace).await?;
        let ours = |event: &&Value| match event.pointer("/involvedObject/uid").and_then(Value::as_str) {
            Some(uid) => uids.contains(uid),
            None => is_of_a_rollout(event, &family.workloads),
        };
        events.extend(listed.objects.iter().filter(ours).map(|event| read(&name, event)));
    }
    Ok(events)
}

/// Events of a rollout are about the Deployment in git, which the cluster need not have.
fn is_of_a_rollout(event: &Value, workloads: &BTreeSet<String>) -> bool {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let workload = format!("{}/{}", text("/involvedObject/namespace"), text("/involvedObject/name"));
    text("/involvedObject/kind") == "Deployment" && workloads.contains(&workload)
}

fn read(environment: &str, event: &Value) -> Event {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    // Events of both APIs, one or many: whichever says last when it happened.
    let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    let count = |pointer: &str| event.pointer(pointer).and_then(Value::as_u64);
    Event {
        at: times.iter().find_map(|pointer| text(pointer).parse().ok()),
        environment: environment.to_owned(),
        kind: text("/involvedObject/kind"),
        namespace: text("/involvedObject/namespace"),
        name: text("/involvedObject/name"),
        warns: text("/type") == "Warning",
        reason: text("/reason"),
        message: text("/message").chars().take(MESSAGE_CAP).collect(),
        count: count("/series/count").or_else(|| count("/count")).unwrap_or(1),
    }
}

fn text(events: &[Event], cut: usize, style: Style) -> String {
    if events.is_empty() {
        return "no events\n".to_owned();
    }
    let mut text = String::new();
    if cut > 0 {
        text.push_str(&format!("… {cut} older ones are left out; --limit shows more\n"));
    }
    for Event { at, environment: _, kind, namespace, name, warns, reason, message, count } in events {
        let at = at.map(|at| second(at).to_string()).unwrap_or_default();
        let (tone, word) = if *warns { (Tone::Notice, "Warning") } else { (Tone::Dim, "Normal") };
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let often = if *count > 1 { format!(" (x{count})") } else { String::new() };
        let word = style.paint(tone, &format!("{word:<7}"));
        let said = printable(&format!("{kind} {place}{name}: {reason}: {}{often}", message.trim_end()));
        text.push_str(&format!("{at:<20} {word} {said}\n"));
    }
    text
}

fn data(events: &[Event], cut: usize) -> Value {
    let event = |event: &Event| {
        let Event { at, environment, kind, namespace, name, warns, reason, message, count } = event;
        json!({
            "time": at, "environment": environment, "kind": kind, "namespace": namespace, "name": name,
            "type": if *warns { "Warning" } else { "Normal" }, "reason": reason, "message": message, "count": count,
        })
    };
    json!({ "schema": "tidegate.events/v1", "events": events.iter().map(event).collect::<Vec<_>>(), "leftOut": cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_both_apis_are_read_and_the_newest_is_last() {
        let old = json!({
            "involvedObject": { "kind": "Pod", "namespace": "shop", "name": "a" }, "type": "Warning", "reason": "BackOff",
            "message": "again\u{1b}[31m\n", "count": 12, "lastTimestamp": "2026-11-21T10:00:02Z",
            "metadata": { "creationTimestamp": "2026-11-21T09:00:00Z" },
        });
        let new = json!({
            "involvedObject": { "kind": "Node", "name": "n" }, "type": "Normal", "reason": "Ready", "message": "it is",
            "eventTime": "2026-11-21T10:00:00.5Z", "series": { "count": 3, "lastObservedTime": "2026-11-21T10:00:03Z" },
        });
        let mut events = [read("dev", &new), read("dev", &old)];
        events.sort();
        assert_eq!(
            text(&events, 2, Style::plain()),
            "… 2 older ones are left out; --limit shows more\n\
             2026-11-21T10:00:02Z Warning Pod shop/a: BackOff: again [31m (x12)\n\
             2026-11-21T10:00:03Z Normal  Node n: Ready: it is (x3)\n"
        );
        assert_eq!(text(&[], 0, Style::plain()), "no events\n");
    }
}
