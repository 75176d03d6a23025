//! What holds for every kind: deletion, observed generation, the standard conditions.

use serde_json::Value;

use super::Health;
use super::read::{condition, number, text, true_condition};

/// What is decided before any rule of a kind is asked.
pub(super) fn before_any_rule(live: &Value) -> Option<Health> {
    if text(live, "/metadata/deletionTimestamp").is_some() {
        return Some(Health::progressing(deletion(live)));
    }
    let generation = number(live, "/metadata/generation");
    let observed = number(live, "/status/observedGeneration");
    if let Some((generation, observed)) = generation.zip(observed)
        && generation != observed
    {
        let reason = format!("its controller has seen generation {observed}, not yet {generation}");
        return Some(Health::progressing(reason));
    }
    if let Some(stalled) = true_condition(live, "Stalled") {
        return Some(Health::degraded(format!("stalled: {}", stalled.says())));
    }
    let reconciling = true_condition(live, "Reconciling")?;
    Some(Health::progressing(format!("reconciling: {}", reconciling.says())))
}

fn deletion(live: &Value) -> String {
    let finalizers: Vec<&str> =
        super::read::items(live, "/metadata/finalizers").iter().filter_map(Value::as_str).take(5).collect();
    if finalizers.is_empty() {
        "it is being deleted".to_owned()
    } else {
        format!("it is being deleted, held by {}", finalizers.join(", "))
    }
}

/// Kinds of Kubernetes itself that have no rule here: without a status they are what they say.
pub(super) fn built_in(live: &Value) -> Health {
    let has_status =
        live.pointer("/status").and_then(Value::as_object).is_some_and(|status| !status.is_empty());
    if has_status { custom(live) } else { Health::healthy("it exists") }
}

/// Custom kinds: by their Ready condition; without one nothing is known.
pub(super) fn custom(live: &Value) -> Health {
    let Some(ready) = condition(live, "Ready") else {
        return Health::unknown("its kind has no health rule and it has no Ready condition");
    };
    let generation = number(live, "/metadata/generation");
    if generation.zip(ready.observed_generation).is_some_and(|(generation, observed)| observed < generation) {
        return Health::progressing("its Ready condition is about an older generation");
    }
    if ready.is_true() {
        return Health::healthy("it is ready");
    }
    Health::progressing(format!("it is not ready: {}", ready.says()))
}

/// That the controller has not seen the object at all, for kinds whose controllers always say so.
pub(super) fn unseen(live: &Value) -> Option<Health> {
    let seen = number(live, "/status/observedGeneration").is_some();
    (!seen).then(|| Health::progressing("its controller has not seen it yet"))
}
