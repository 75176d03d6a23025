//! The `spec` of a RolloutPolicy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::About;
use super::gates::{self, Stage};
use super::values::{self, HOUR, SECOND, WEEK};
use crate::desired::fields::{Fields, Section, Spot};
use crate::policy::{
    Bake, Deadlines, LabelExpression, LabelOperator, LabelSelector, Match, Mode, Reach, RolloutPolicy,
};
use crate::yaml::NodeValue;

const SPEC: &[&str] =
    &["match", "traffic", "gates", "bake", "drain", "keepFailed", "reach", "standby", "deadlines"];
const DAY: Duration = Duration::from_hours(24);
/// Names in a match, and values in a selector.
const MAX_NAMES: usize = 1000;

/// Reads a spec. What could not be read was reported; its stand-ins are used by nobody, because the file is broken.
pub fn policy(fields: &mut Fields, spec: &Spot<'_>, about: About) -> Option<RolloutPolicy> {
    let spec = fields.section(spec, SPEC)?;
    let matches = fields.required(&spec, "match").and_then(|spot| matches(fields, &spot));
    let gates = spec.get("gates").and_then(|spot| fields.section(&spot, &["beforeSwitch", "whileBaking"]));
    let mut names = BTreeMap::new();
    let mut stage = |fields: &mut Fields, name, stage| {
        let spot = gates.as_ref()?.get(name)?;
        Some(gates::list(fields, &spot, stage, &mut names))
    };
    let before_switch = stage(fields, "beforeSwitch", Stage::BeforeSwitch).unwrap_or_default();
    let while_baking = stage(fields, "whileBaking", Stage::WhileBaking).unwrap_or_default();
    let About { name, location } = about;
    Some(RolloutPolicy {
        name,
        location,
        mode: spec
            .get("traffic")
            .and_then(|spot| mode(fields, &spot))
            .unwrap_or(Mode::Service { service: None }),
        before_switch,
        while_baking,
        bake: bake(fields, spec.get("bake").as_ref()),
        drain: time(fields, &spec, "drain", Duration::ZERO, DAY).unwrap_or(Duration::from_secs(30)),
        keep_failed: time(fields, &spec, "keepFailed", Duration::ZERO, WEEK)
            .unwrap_or(Duration::from_mins(10)),
        standby: time(fields, &spec, "standby", Duration::ZERO, WEEK).unwrap_or(Duration::ZERO),
        deadlines: spec.get("deadlines").and_then(|spot| deadlines(fields, &spot)).unwrap_or_default(),
        reach: spec.get("reach").and_then(|spot| {
            fields.choice(&spot, &[("direct", Reach::Direct), ("apiserver", Reach::ApiServer)])
        }),
        matches: matches?,
    })
}

fn time(
    fields: &mut Fields,
    section: &Section<'_>,
    name: &str,
    min: Duration,
    max: Duration,
) -> Option<Duration> {
    section.get(name).and_then(|spot| values::duration(fields, &spot, min..=max))
}

fn matches(fields: &mut Fields, spot: &Spot<'_>) -> Option<Match> {
    let section = fields.section(spot, &["kinds", "selector", "names"])?;
    let parts = ["kinds", "selector", "names"].map(|name| section.get(name));
    let [kinds, selector, names] = parts;
    if kinds.is_none() && selector.is_none() && names.is_none() {
        // Whoever means every workload says so; one who forgets the match must not mean them.
        values::refuse(
            fields,
            spot,
            "match says of no workload that it is meant; `kinds: [Deployment]` means all",
        );
        return None;
    }
    let kinds = kinds.map(|spot| values::some(fields, &spot, MAX_NAMES, kind).unwrap_or_default());
    let names = names.map(|spot| values::names(fields, &spot, MAX_NAMES).unwrap_or_default());
    Some(Match {
        kinds: kinds.unwrap_or_else(|| vec!["Deployment".to_owned()]).into_iter().collect(),
        selector: selector.and_then(|spot| label_selector(fields, &spot)),
        names: names.unwrap_or_default().into_iter().collect(),
    })
}

fn kind(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let kind = fields.text(spot)?;
    match kind.as_str() {
        "Deployment" => return Some(kind),
        "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "ReplicaSet" | "Pod" => {
            values::refuse(fields, spot, format!("a {kind} cannot run in two colours; only Deployments can"));
        }
        "ModelRelease" => values::later(fields, spot, "the kind ModelRelease"),
        _ => fields.wrong(spot, "`Deployment`"),
    }
    None
}

/// A label selector as Kubernetes writes it; one that selects everything has to be left out.
pub fn label_selector(fields: &mut Fields, spot: &Spot<'_>) -> Option<LabelSelector> {
    let section = fields.section(spot, &["matchLabels", "matchExpressions"])?;
    let labels = section.get("matchLabels").map(|spot| labels(fields, &spot)).unwrap_or_default();
    let expressions = section.get("matchExpressions").map(|spot| fields.list(&spot, expression));
    let expressions = expressions.unwrap_or_default();
    let nothing = section.get("matchLabels").is_none() && section.get("matchExpressions").is_none();
    if nothing {
        values::refuse(fields, spot, format!("{} selects nothing in particular", spot.shown()));
    }
    Some(LabelSelector { labels, expressions })
}

fn labels(fields: &mut Fields, spot: &Spot<'_>) -> BTreeMap<String, String> {
    let entries = fields.entries(spot);
    if entries.is_empty() && matches!(spot.node.value, NodeValue::Mapping(_)) {
        fields.wrong(spot, "a mapping with at least one label");
    }
    let label = |(key, spot): (&str, Spot<'_>)| {
        let key = values::label_key(fields, &spot, key);
        let value = values::label_value(fields, &spot);
        key.zip(value)
    };
    entries.into_iter().filter_map(label).collect()
}

fn expression(fields: &mut Fields, spot: &Spot<'_>) -> Option<LabelExpression> {
    let section = fields.section(spot, &["key", "operator", "values"])?;
    let key = fields.required(&section, "key").and_then(|spot| {
        let key = fields.text(&spot)?;
        values::label_key(fields, &spot, &key)
    });
    let operators =
        [("In", "In"), ("NotIn", "NotIn"), ("Exists", "Exists"), ("DoesNotExist", "DoesNotExist")];
    let operator = fields.required(&section, "operator").and_then(|spot| fields.choice(&spot, &operators));
    let values = section.get("values");
    let operator = match operator? {
        "In" => LabelOperator::In(label_values(fields, &section)?),
        "NotIn" => LabelOperator::NotIn(label_values(fields, &section)?),
        other => {
            if let Some(spot) = values {
                values::refuse(fields, &spot, format!("values have no meaning with {other}"));
                return None;
            }
            if other == "Exists" { LabelOperator::Exists } else { LabelOperator::DoesNotExist }
        }
    };
    Some(LabelExpression { key: key?, operator })
}

fn label_values(fields: &mut Fields, section: &Section<'_>) -> Option<BTreeSet<String>> {
    let spot = fields.required(section, "values")?;
    let values = values::some(fields, &spot, MAX_NAMES, values::label_value)?;
    Some(values.into_iter().collect())
}

#[derive(Clone, Copy)]
enum Named {
    Service,
    None,
    Later(&'static str),
}

fn mode(fields: &mut Fields, spot: &Spot<'_>) -> Option<Mode> {
    let section = fields.section(spot, &["mode", "service"])?;
    let modes = [
        ("service", Named::Service),
        ("none", Named::None),
        ("gateway", Named::Later("gateway")),
        ("alb", Named::Later("alb")),
        ("patch", Named::Later("patch")),
    ];
    let service = section.get("service").and_then(|spot| Some((values::label_name(fields, &spot)?, spot)));
    let Some(named) = section.get("mode") else {
        return Some(Mode::Service { service: service.map(|(name, _)| name) });
    };
    match fields.choice(&named, &modes)? {
        Named::Service => Some(Mode::Service { service: service.map(|(name, _)| name) }),
        Named::None => {
            if let Some((_, spot)) = service {
                values::refuse(fields, &spot, "service has no meaning with the mode none");
            }
            Some(Mode::None)
        }
        Named::Later(mode) => {
            values::later(fields, &named, &format!("the traffic mode {mode}"));
            None
        }
    }
}

fn bake(fields: &mut Fields, spot: Option<&Spot<'_>>) -> Bake {
    const DEFAULT: Duration = Duration::from_mins(10);
    let section = spot.and_then(|spot| fields.section(spot, &["duration", "max", "floor"]));
    let Some(section) = section else {
        return Bake { duration: DEFAULT, max: DEFAULT * 6, floor_percent: 80 };
    };
    let duration = time(fields, &section, "duration", SECOND, WEEK);
    // One that cannot be read is told by itself, and is no measure.
    let is_known = duration.is_some() || section.get("duration").is_none();
    let duration = duration.unwrap_or(DEFAULT);
    let max = time(fields, &section, "max", SECOND, WEEK * 6);
    if let (Some(max), Some(spot)) = (max, section.get("max"))
        && is_known
        && max < duration
    {
        values::refuse(fields, &spot, "bake.max is shorter than bake.duration");
    }
    let floor_percent = section.get("floor").and_then(|spot| percent(fields, &spot)).unwrap_or(80);
    Bake { duration, max: max.unwrap_or(duration * 6), floor_percent }
}

/// `80%`.
fn percent(fields: &mut Fields, spot: &Spot<'_>) -> Option<u32> {
    let parse = |text: &str| {
        let digits = text.strip_suffix('%')?;
        let plain =
            !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten().filter(|percent| (1..=100).contains(percent))
    };
    let percent = spot.node.as_str().and_then(parse);
    if percent.is_none() {
        fields.wrong(spot, "a share like 80%, from 1% to 100%");
    }
    percent
}

fn deadlines(fields: &mut Fields, spot: &Spot<'_>) -> Option<Deadlines> {
    let section = fields.section(spot, &["warm", "gates", "settle", "grace"])?;
    let Deadlines { warm, gates, settle, grace } = Deadlines::default();
    Some(Deadlines {
        warm: time(fields, &section, "warm", SECOND, DAY).unwrap_or(warm),
        gates: time(fields, &section, "gates", SECOND, DAY).unwrap_or(gates),
        settle: time(fields, &section, "settle", SECOND, DAY).unwrap_or(settle),
        grace: time(fields, &section, "grace", Duration::ZERO, HOUR).unwrap_or(grace),
    })
}
