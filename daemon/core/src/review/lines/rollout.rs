//! What becomes of a workload in colours, as lines for people.

use jiff::SignedDuration;

use super::{Line, Sign, count};
use crate::ids::short;
use crate::review::{GateReview, RolloutChange, RolloutReview, RolloutWay};
use crate::rollout::Revision;

/// What becomes of it, and below it through which gates.
pub fn of_rollout(review: &RolloutReview) -> Vec<Line> {
    let RolloutReview { object, change, location, from, to, way } = review;
    let sign = match change {
        RolloutChange::Install => Sign::New,
        RolloutChange::Remove | RolloutChange::Unmatched => Sign::Old,
        RolloutChange::Adopt | RolloutChange::Roll | RolloutChange::Retry | RolloutChange::Leave => {
            Sign::Changed
        }
        RolloutChange::InPlace | RolloutChange::Policy => Sign::Plain,
    };
    let was = if *change == RolloutChange::Remove { "was " } else { "" };
    let words = words(*change, (*from, *to), way.as_ref());
    let heading = Line::new(sign, 0, &format!("rollout: {object}{words}")).at(&format!("{was}{location}"));
    std::iter::once(heading).chain(way.iter().flat_map(of_way)).collect()
}

fn words(
    change: RolloutChange,
    revisions: (Option<Revision>, Option<Revision>),
    way: Option<&RolloutWay>,
) -> String {
    let name = |revision: Option<Revision>| {
        revision.map_or_else(|| "unknown".to_owned(), |revision| short(&revision.to_string()).to_owned())
    };
    let (from, to) = (name(revisions.0), name(revisions.1));
    let (pods, asking) = (way.map(pods).unwrap_or_default(), way.map(asking).unwrap_or_default());
    match change {
        RolloutChange::Install => format!(" begins at {to}: {pods}{asking}, with traffic once the gates have passed"),
        RolloutChange::Adopt => format!(
            " is taken over and rolls out to {to}: its pods are restarted once to get a colour; then beside them {pods} more{asking}, until the bake closes"
        ),
        RolloutChange::Roll => {
            format!(" {from} -> {to}: beside the live colour {pods} more{asking}, until the bake closes")
        }
        RolloutChange::Retry => {
            format!(" {to} is tried again: beside the live colour {pods} more{asking}, until the bake closes")
        }
        RolloutChange::InPlace => format!(
            " stays at {to}: what changes is changed in place, on the colour that is live, without a rollout"
        ),
        RolloutChange::Policy => format!(" stays at {to}: its next rollout goes by other gates or times"),
        RolloutChange::Leave => {
            " goes back to having no colours: its plain Deployment comes first, then its colours go"
                .to_owned()
        }
        RolloutChange::Unmatched => {
            " is matched by no policy any more: its colours stay as they are, and nothing of it changes; a policy with `mode: none` takes them away".to_owned()
        }
        RolloutChange::Remove => {
            " leaves git: where it may be deleted its Service goes first, its colours after the drain"
                .to_owned()
        }
    }
}

fn pods(way: &RolloutWay) -> String {
    let least = usize::try_from(way.pods).unwrap_or(usize::MAX);
    match way.most_pods {
        Some(most) if most > way.pods => {
            format!("{least} to {}", count(usize::try_from(most).unwrap_or(usize::MAX), "pod"))
        }
        Some(_) | None => count(least, "pod"),
    }
}

/// What all these pods ask for.
fn asking(way: &RolloutWay) -> String {
    let RolloutWay { pods, most_pods, pod_requests, .. } = way;
    if pod_requests.is_unsaid() {
        return String::new();
    }
    let least = pod_requests.times(*pods);
    match most_pods {
        Some(most) if most > pods => format!(" ({least}; at most {})", pod_requests.times(*most)),
        Some(_) | None => format!(" ({least})"),
    }
}

fn of_way(way: &RolloutWay) -> Vec<Line> {
    let RolloutWay {
        policy,
        pods: _,
        most_pods: _,
        pod_requests: _,
        before_switch,
        while_baking,
        windows,
        bake_seconds,
        bake_max_seconds,
        drain_seconds,
    } = way;
    let (bake, most, drain) = (time(*bake_seconds), time(*bake_max_seconds), time(*drain_seconds));
    let mut texts = vec![
        format!("gates before the switch: {}", gates(before_switch)),
        format!("gates while baking: {}", gates(while_baking)),
        format!("bake {bake}, at most {most}; drain {drain}; by the policy {policy}"),
    ];
    if !windows.is_empty() {
        texts.insert(1, format!("traffic moves only while these windows are open: {}", windows.join(", ")));
    }
    texts.iter().map(|text| Line::new(Sign::Plain, 1, text)).collect()
}

fn gates(gates: &[GateReview]) -> String {
    if gates.is_empty() {
        return "none but readiness".to_owned();
    }
    gates.iter().map(|GateReview { name, kind }| format!("{name} ({kind})")).collect::<Vec<_>>().join(", ")
}

fn time(seconds: i64) -> String {
    format!("{:#}", SignedDuration::from_secs(seconds))
}
