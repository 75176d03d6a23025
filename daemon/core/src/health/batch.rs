//! Jobs and CronJobs.

use serde_json::Value;

use super::Health;
use super::read::{count, is_set, number, of, plural, text, true_condition};

/// Healthy when it is complete: a gate that asks for a migration asks for its end.
pub(super) fn job(live: &Value) -> Health {
    if true_condition(live, "Complete").is_some() {
        return Health::healthy("it is complete");
    }
    if let Some(failed) = true_condition(live, "Failed").or_else(|| true_condition(live, "FailureTarget")) {
        return Health::degraded(format!("it failed: {}", failed.says()));
    }
    if true_condition(live, "Suspended").is_some() || is_set(live, "/spec/suspend") {
        return Health::suspended("it is suspended");
    }
    if text(live, "/status/startTime").is_none() {
        return Health::progressing("it has not started yet");
    }
    let parallelism = number(live, "/spec/parallelism").unwrap_or(1);
    let completions = number(live, "/spec/completions").unwrap_or(parallelism);
    let done = of(count(live, "/status/succeeded"), completions, "pod", "complete");
    match count(live, "/status/failed") {
        0 => Health::progressing(done),
        failed => Health::progressing(format!("{done}, {} failed", plural(failed, "pod"))),
    }
}

/// Its jobs have health of their own.
pub(super) fn cron_job(live: &Value) -> Health {
    if is_set(live, "/spec/suspend") {
        return Health::suspended("it is suspended");
    }
    match text(live, "/status/lastSuccessfulTime") {
        Some(time) => Health::healthy(format!("it last succeeded at {time}")),
        None => Health::healthy("it is scheduled"),
    }
}
