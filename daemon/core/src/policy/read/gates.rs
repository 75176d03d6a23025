//! The gates of a RolloutPolicy.

use std::collections::BTreeMap;
use std::time::Duration;

use super::values::{self, HOUR, SECOND};
use super::{http, job, prometheus};
use crate::desired::fields::{Fields, Section, Spot};
use crate::ids::Digest;
use crate::location::Location;
use crate::policy::{Gate, GateKind, LbHealthGate, LoadGate, TcpGate, TcpTarget};
use crate::problem::{Code, Problem};
use crate::yaml::Node;

const KINDS: &[&str] = &["http", "tcp", "job", "prometheus", "lbHealth", "load", "drainSafe", "window"];
/// Gates that the formats know and this version does not.
const LATER: &[&str] = &["model", "approval", "promotion", "compareWithLive"];
const COMMON: &[&str] = &["name", "timeout", "every"];
/// Gates before the switch, and as many while baking.
const MAX_GATES: usize = 32;
/// Windows that one gate names.
const MAX_WINDOWS: usize = 32;
/// What a load may send in a second.
const MAX_RATE: u32 = 1000;
/// How long a load may last.
const MAX_LOAD: Duration = Duration::from_mins(10);

const TIMEOUT: Duration = Duration::from_secs(30);
const JOB_TIMEOUT: Duration = Duration::from_mins(10);
const EVERY: Duration = Duration::from_secs(10);

/// When a gate is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before traffic moves.
    BeforeSwitch,
    /// While the bake is open.
    WhileBaking,
}

/// Reads the gates of a stage. `names`: of the gates so far, with their places.
pub fn list(
    fields: &mut Fields,
    spot: &Spot<'_>,
    stage: Stage,
    names: &mut BTreeMap<String, Location>,
) -> Vec<Gate> {
    let Some(items) = spot.items() else {
        fields.wrong(spot, "a sequence");
        return Vec::new();
    };
    if items.len() > MAX_GATES {
        values::refuse(fields, spot, format!("{} has more than {MAX_GATES} gates", spot.shown()));
        return Vec::new();
    }
    items.iter().filter_map(|spot| gate(fields, spot, stage, names)).collect()
}

fn gate(
    fields: &mut Fields,
    spot: &Spot<'_>,
    stage: Stage,
    names: &mut BTreeMap<String, Location>,
) -> Option<Gate> {
    let known = [COMMON, KINDS, LATER].concat();
    let before = fields.problems.len();
    let section = fields.section(spot, &known)?;
    let misspelt = fields.problems.len() > before;
    let name = fields.required(&section, "name").and_then(|spot| name(fields, &spot, names));
    let asked = what(fields, &section);
    if let (Ok(None), false) = (&asked, misspelt) {
        let problem = Problem::error(Code::ConfigField, "the gate asks nothing");
        fields.report(spot, problem.help(format!("it takes exactly one of {}", KINDS.join(", "))));
    }
    let asked = asked.ok().flatten();
    let kind = asked.as_ref().and_then(|(kind, spot)| read(fields, kind, spot, stage));
    let timeout = time(fields, &section, "timeout");
    let every = time(fields, &section, "every").unwrap_or(EVERY);
    let kind = kind?;
    let least = match &kind {
        GateKind::Load(LoadGate { duration, .. }) | GateKind::LbHealth(LbHealthGate { duration, .. }) => {
            *duration
        }
        GateKind::Http(_)
        | GateKind::Tcp(_)
        | GateKind::Job(_)
        | GateKind::Prometheus(_)
        | GateKind::DrainSafe
        | GateKind::Window(_) => Duration::ZERO,
    };
    if let (Some(timeout), Some(spot)) = (timeout, section.get("timeout"))
        && timeout <= least
    {
        values::refuse(
            fields,
            &spot,
            "timeout is not longer than the gate's own duration: it could never pass",
        );
    }
    let default = match &kind {
        GateKind::Job(_) => JOB_TIMEOUT,
        GateKind::Http(_)
        | GateKind::Tcp(_)
        | GateKind::Prometheus(_)
        | GateKind::LbHealth(_)
        | GateKind::Load(_)
        | GateKind::DrainSafe
        | GateKind::Window(_) => TIMEOUT + least,
    };
    Some(Gate {
        name: name?,
        location: fields.location(spot),
        timeout: timeout.unwrap_or(default),
        every,
        kind,
        config: config(spot.node),
    })
}

fn time(fields: &mut Fields, section: &Section<'_>, name: &str) -> Option<Duration> {
    section.get(name).and_then(|spot| values::duration(fields, &spot, SECOND..=HOUR))
}

fn name(fields: &mut Fields, spot: &Spot<'_>, names: &mut BTreeMap<String, Location>) -> Option<String> {
    let name = values::label_name(fields, spot)?;
    let Some(first) = names.get(&name) else {
        names.insert(name.clone(), fields.location(spot));
        return Some(name);
    };
    let problem = Problem::error(Code::ConfigField, format!("two gates are called `{name}`"));
    let problem = problem.related("the first one", first.clone());
    fields
        .report(spot, problem.help("evidence is kept by name: give each gate of a policy a name of its own"));
    None
}

/// The one thing that a gate asks; an error when what is wrong with it was reported.
fn what<'n>(fields: &mut Fields, section: &Section<'n>) -> Result<Option<(&'static str, Spot<'n>)>, ()> {
    for name in LATER {
        if let Some(spot) = section.given(name) {
            values::later(fields, &spot, &format!("the gate {name}"));
            return Err(());
        }
    }
    values::at_most_one(fields, section, KINDS)
}

fn read(fields: &mut Fields, kind: &str, spot: &Spot<'_>, stage: Stage) -> Option<GateKind> {
    let late = |fields: &mut Fields| {
        let message = format!("{kind} has a meaning before the switch only");
        values::refuse(fields, spot, message);
    };
    match kind {
        "http" => Some(GateKind::Http(http::gate(fields, spot)?)),
        "tcp" => Some(GateKind::Tcp(tcp(fields, spot)?)),
        "job" => Some(GateKind::Job(job::gate(fields, spot)?)),
        "prometheus" => Some(GateKind::Prometheus(prometheus::gate(fields, spot)?)),
        "lbHealth" => Some(GateKind::LbHealth(lb_health(fields, spot)?)),
        "load" => Some(GateKind::Load(load(fields, spot)?)),
        "drainSafe" => {
            fields.section_or_nothing(spot, &[])?;
            if stage == Stage::WhileBaking {
                late(fields);
            }
            Some(GateKind::DrainSafe)
        }
        "window" => {
            if stage == Stage::WhileBaking {
                late(fields);
            }
            Some(GateKind::Window(values::names(fields, spot, MAX_WINDOWS)?))
        }
        // `KINDS` has no other.
        _ => None,
    }
}

fn tcp(fields: &mut Fields, spot: &Spot<'_>) -> Option<TcpGate> {
    let section = fields.section_or_nothing(spot, &["port", "service"])?;
    let Some(service) = section.get("service") else {
        let port = section.get("port").map(|spot| values::port(fields, &spot));
        return Some(TcpGate {
            target: TcpTarget::Pods { port: port.map_or(Some(None), |port| port.map(Some))? },
        });
    };
    let name = values::label_name(fields, &service);
    let port = fields.required(&section, "port").and_then(|spot| values::port_number(fields, &spot));
    Some(TcpGate { target: TcpTarget::Service { name: name?, port: port? } })
}

fn lb_health(fields: &mut Fields, spot: &Spot<'_>) -> Option<LbHealthGate> {
    let section = fields.section_or_nothing(spot, &["endpoints", "duration"])?;
    Some(LbHealthGate {
        endpoints: section.get("endpoints").and_then(|spot| values::count(fields, &spot, 1..=10_000)),
        duration: time(fields, &section, "duration").unwrap_or(Duration::from_secs(10)),
    })
}

fn load(fields: &mut Fields, spot: &Spot<'_>) -> Option<LoadGate> {
    let own: &[&str] = &["status", "rate", "duration", "maxErrors", "p95"];
    let section = fields.section(spot, &[http::REQUEST, own].concat())?;
    let request = http::request(fields, &section);
    let rate = fields.required(&section, "rate").and_then(|spot| values::count(fields, &spot, 1..=MAX_RATE));
    let duration = fields.required(&section, "duration");
    let duration = duration.and_then(|spot| values::duration(fields, &spot, SECOND..=MAX_LOAD));
    let status = section.get("status").and_then(|spot| http::statuses(fields, &spot));
    let max_errors = section.get("maxErrors").map(|spot| values::number(fields, &spot, Some(0.0..=1.0)));
    let p95 = section.get("p95").and_then(|spot| values::latency(fields, &spot));
    Some(LoadGate {
        request: request?,
        status: status.unwrap_or_else(|| (200..400).collect()),
        rate: rate?,
        duration: duration?,
        max_errors: max_errors.unwrap_or(Some(0.0))?,
        p95,
    })
}

/// The first 64 bits of the digest of a gate as JSON with sorted keys: neither their order nor comments matter.
fn config(node: &Node) -> u64 {
    let mut value = node.to_json();
    value.sort_all_objects();
    let digest = Digest::of(value.to_string().as_bytes());
    let first = digest.as_str().get(..16).unwrap_or_default();
    u64::from_str_radix(first, 16).unwrap_or_default()
}
