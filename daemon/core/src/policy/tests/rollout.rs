//! The fields of a RolloutPolicy beside its gates.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{found, policy, rollout};
use crate::policy::{Bake, Deadlines, LabelOperator, Mode, Reach};

#[test]
fn what_is_left_out_has_the_defaults_that_the_types_name() {
    let read = rollout(&policy(""));
    assert_eq!(read.matches.kinds, BTreeSet::from(["Deployment".to_owned()]));
    assert_eq!((read.matches.selector.as_ref(), read.matches.names.len()), (None, 0));
    assert_eq!(read.mode, Mode::Service { service: None });
    let minutes = Duration::from_mins;
    assert_eq!(read.bake, Bake { duration: minutes(10), max: minutes(60), floor_percent: 80 });
    assert_eq!((read.drain, read.keep_failed), (Duration::from_secs(30), minutes(10)));
    assert_eq!((read.standby, read.deadlines, read.reach), (Duration::ZERO, Deadlines::default(), None));
    assert_eq!((read.location.position.line, read.before_switch.len(), read.while_baking.len()), (1, 0, 0));
}

#[test]
fn what_is_written_is_read() {
    let read = rollout(
        "apiVersion: tidegate.dev/v1
kind: RolloutPolicy
metadata: {name: p, labels: {team: shop}}
spec:
  match:
    names: [api, web]
    selector:
      matchLabels: {tier: front}
      matchExpressions:
        - {key: example.com/canary, operator: NotIn, values: ['yes', '']}
        - {key: app, operator: Exists}
  traffic: {mode: service, service: api}
  bake: {duration: 1h, max: 90m, floor: 100%}
  drain: 0s
  keepFailed: 2h
  reach: apiserver
  standby: 30m
  deadlines: {warm: 5m, gates: 1m, settle: 10s, grace: 0s}
",
    );
    let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let selector = read.matches.selector.as_ref().expect("a selector");
    assert_eq!(read.matches.names, BTreeSet::from(["api".to_owned(), "web".to_owned()]));
    assert!(selector.selects(&labels(&[("tier", "front"), ("app", "api")])));
    assert!(!selector.selects(&labels(&[("tier", "front"), ("app", "api"), ("example.com/canary", "yes")])));
    assert!(!selector.selects(&labels(&[("tier", "front")])));
    assert_eq!(selector.expressions.last().map(|last| &last.operator), Some(&LabelOperator::Exists));
    assert_eq!(read.mode, Mode::Service { service: Some("api".to_owned()) });
    let (hour, minutes, seconds) = (Duration::from_hours(1), Duration::from_mins, Duration::from_secs);
    assert_eq!(read.bake, Bake { duration: hour, max: minutes(90), floor_percent: 100 });
    assert_eq!((read.drain, read.keep_failed, read.standby), (Duration::ZERO, hour * 2, minutes(30)));
    assert_eq!(read.reach, Some(Reach::ApiServer));
    let deadlines =
        Deadlines { warm: minutes(5), gates: minutes(1), settle: seconds(10), grace: Duration::ZERO };
    assert_eq!(read.deadlines, deadlines);
    assert_eq!(rollout(&policy("traffic: {mode: none}")).mode, Mode::None);
    assert_eq!(rollout(&policy("reach: direct")).reach, Some(Reach::Direct));
}

#[test]
fn every_mistake_is_named_at_its_place() {
    let cases = [
        ("gate: {}", "6:3: unknown field spec.gate"),
        ("traffic: {mode: alb}", "6:19: the traffic mode alb is not supported by this version"),
        (
            "traffic: {mode: Service}",
            "6:19: spec.traffic.mode must be service or none or gateway or alb or patch",
        ),
        ("traffic: {mode: none, service: a}", "6:34: service has no meaning with the mode none"),
        ("bake: {duration: 10m, max: 5m}", "6:30: bake.max is shorter than bake.duration"),
        (
            "bake: {duration: 2 s, max: 1m}",
            "6:20: spec.bake.duration must be a duration like 30s, 5m or 1h30m, from 1s to 168h",
        ),
        ("bake: {floor: 80}", "6:17: spec.bake.floor must be a share like 80%, from 1% to 100%"),
        ("bake: {floor: 0%}", "6:17: spec.bake.floor must be a share like 80%, from 1% to 100%"),
        ("bake: {floor: 101%}", "6:17: spec.bake.floor must be a share like 80%, from 1% to 100%"),
        (
            "bake: {duration: 0s}",
            "6:20: spec.bake.duration must be a duration like 30s, 5m or 1h30m, from 1s to 168h",
        ),
        ("drain: 25h", "6:10: spec.drain must be a duration like 30s, 5m or 1h30m, from 0s to 24h"),
        ("drain: 30", "6:10: spec.drain must be a duration like 30s, 5m or 1h30m, from 0s to 24h"),
        (
            "deadlines: {grace: 2h}",
            "6:22: spec.deadlines.grace must be a duration like 30s, 5m or 1h30m, from 0s to 1h",
        ),
        ("reach: pods", "6:10: spec.reach must be direct or apiserver"),
    ];
    for (spec, expected) in cases {
        assert_eq!(found(&policy(spec)), [expected], "{spec}");
    }
    let text = policy("drain: 1w\nreach: pods\nstandby: x");
    assert_eq!(found(&text).len(), 3, "all at once");
}

#[test]
fn a_match_says_what_is_meant() {
    let with = |matches: &str| policy("").replace("{kinds: [Deployment]}", matches);
    let cases = [
        ("{}", "5:3: match says of no workload that it is meant; `kinds: [Deployment]` means all"),
        ("{kinds: []}", "5:11: spec.match.kinds must be a sequence of 1 to 1000 items"),
        ("{kinds: [StatefulSet]}", "5:19: a StatefulSet cannot run in two colours; only Deployments can"),
        ("{kinds: [ModelRelease]}", "5:19: the kind ModelRelease is not supported by this version"),
        ("{kinds: [Deploymnt]}", "5:19: spec.match.kinds[0] must be `Deployment`"),
        ("{names: [a, a]}", "5:22: `a` stands twice"),
        ("{selector: {}}", "5:11: spec.match.selector selects nothing in particular"),
        (
            "{selector: {matchLabels: {}}}",
            "5:22: spec.match.selector.matchLabels must be a mapping with at least one label",
        ),
        ("{selector: {matchLabels: {a: 1}}}", "5:39: spec.match.selector.matchLabels.a must be a text"),
        (
            "{selector: {matchLabels: {-a: b}}}",
            "5:40: `-a` is not the key of a label, like `app` or `example.com/app`",
        ),
        (
            "{selector: {matchExpressions: [{key: a, operator: In}]}}",
            "5:41: spec.match.selector.matchExpressions[0].values is missing",
        ),
        (
            "{selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}",
            "5:68: values have no meaning with Exists",
        ),
    ];
    for (matches, expected) in cases {
        assert_eq!(found(&with(matches)), [expected], "{matches}");
    }
    let without = policy("").replace("  match: {kinds: [Deployment]}\n", "  drain: 1m\n");
    assert_eq!(found(&without), ["4:1: spec.match is missing"]);
}
