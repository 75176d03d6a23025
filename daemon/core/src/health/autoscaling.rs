//! HorizontalPodAutoscalers and PodDisruptionBudgets: what stands beside a workload and reports on it.

use serde_json::{Value, json};

use super::Health;
use super::generic::unseen;
use super::read::{condition, count, of, text};

/// Where `autoscaling/v1`, which has no conditions, keeps them as JSON.
const V1_CONDITIONS: &str = "/metadata/annotations/autoscaling.alpha.kubernetes.io~1conditions";

/// It reads its target and its metrics. Metrics that are missing are waited for, because they always are at first.
pub(super) fn autoscaler(live: &Value) -> Health {
    match text(live, V1_CONDITIONS).and_then(|json| serde_json::from_str::<Value>(json).ok()) {
        Some(conditions) => by_conditions(&json!({"status": {"conditions": conditions}})),
        None => by_conditions(live),
    }
}

fn by_conditions(live: &Value) -> Health {
    let Some(able) = condition(live, "AbleToScale") else {
        return Health::progressing("its controller has not seen it yet");
    };
    if matches!(able.reason, "FailedGetScale" | "FailedUpdateScale") {
        return Health::degraded(format!("it cannot scale: {}", able.says()));
    }
    let Some(active) = condition(live, "ScalingActive") else {
        return Health::progressing("it has not read its metrics yet");
    };
    match active.reason {
        _ if active.is_true() => Health::healthy("it scales by its metrics"),
        "ScalingDisabled" => Health::suspended("its target is scaled to zero"),
        "InvalidSelector" | "InvalidMetricSourceType" | "AmbiguousSelector" => {
            Health::degraded(format!("it cannot scale: {}", active.says()))
        }
        _ => Health::progressing(format!("it has no metrics: {}", active.says())),
    }
}

/// Its controller counts the pods; that none may be disrupted now is not a failure.
pub(super) fn disruption_budget(live: &Value) -> Health {
    if let Some(health) = unseen(live) {
        return health;
    }
    if let Some(failed) =
        condition(live, "DisruptionAllowed").filter(|condition| condition.reason == "SyncFailed")
    {
        return Health::degraded(format!("it cannot count its pods: {}", failed.says()));
    }
    let (healthy, needed) = (count(live, "/status/currentHealthy"), count(live, "/status/desiredHealthy"));
    if count(live, "/status/disruptionsAllowed") > 0 {
        return Health::healthy("disruptions are allowed");
    }
    Health::healthy(format!("no disruption is allowed: {}", of(healthy, needed, "needed pod", "healthy")))
}
