//! What came of a `load` gate's requests. Its memory does not grow with them.

use std::time::Duration;

use super::latency::Latency;
use super::{Judgement, Miss, text};
use crate::location::Location;
use crate::policy::LoadGate;
use crate::rollout::Verdict;

/// Of the requests that a gate asks for, at least so many of 100 have to be sent: less load proves nothing.
const SENT_PERCENT: u64 = 90;

/// The requests so far.
#[derive(Debug, Clone)]
pub struct Tally {
    latency: Latency,
    failed: u64,
    untold: u64,
    first_failed: Option<String>,
    first_untold: Option<String>,
}

/// What came of one request.
#[derive(Debug)]
pub enum Came {
    /// An answer with this status after so long.
    Answer(u16, Duration),
    /// None.
    Miss(Miss),
}

impl Tally {
    /// Nothing yet.
    pub fn new(gate: &LoadGate) -> Self {
        let latency = Latency::held_against(gate.p95);
        Self { latency, failed: 0, untold: 0, first_failed: None, first_untold: None }
    }

    /// One more request to this pod.
    pub fn add(&mut self, gate: &LoadGate, pod: &str, came: Came) {
        match came {
            Came::Answer(status, elapsed) => {
                self.latency.took(elapsed);
                if !gate.status.contains(&status) {
                    self.failed += 1;
                    self.first_failed.get_or_insert_with(|| format!("pod {pod} answered {status}"));
                }
            }
            Came::Miss(miss) => match miss.of_pod() {
                Verdict::Fail => {
                    self.failed += 1;
                    self.first_failed.get_or_insert_with(|| format!("pod {pod} {miss}"));
                }
                Verdict::Pass | Verdict::Unknown => {
                    self.untold += 1;
                    self.first_untold.get_or_insert_with(|| format!("pod {pod} {miss}"));
                }
            },
        }
    }

    /// Whether something failed: worth a look whether the pods are still there.
    pub fn is_suspicious(&self) -> bool {
        self.failed > 0
    }

    /// What follows, when so many were meant to be sent, and `sent` were.
    pub fn judge(self, gate: &LoadGate, rule: &Location, planned: u64, sent: u64) -> Judgement {
        let Self { latency, failed, untold, first_failed, first_untold } = self;
        let most = format!("at most {} %", percent(gate.max_errors));
        if exceeds(failed, sent, gate.max_errors) {
            let first = first_failed.unwrap_or_default();
            let share = format!("{} % errors", percent(share(failed, sent)));
            let summary = format!(
                "{failed} of {sent} requests failed ({share}, {most} are allowed), the first: {first}"
            );
            return Judgement::fail(sent, summary).measured(share, most).by(rule);
        }
        if exceeds(failed + untold, sent, gate.max_errors) {
            return Judgement::unknown(format!(
                "{untold} of {sent} requests did not reach their pods, the first: {}",
                first_untold.unwrap_or_default()
            ));
        }
        let p95 = text::duration(latency.p95().unwrap_or_default());
        if latency.exceeds() {
            let limit = text::duration(latency.limit().unwrap_or_default());
            let summary =
                format!("of {sent} requests, 95 of 100 took up to {p95}, where {limit} are allowed");
            return Judgement::fail(sent, summary)
                .measured(format!("p95 {p95}"), format!("at most {limit}"))
                .by(rule);
        }
        if sent == 0 || sent * 100 < planned * SENT_PERCENT {
            return Judgement::unknown(format!(
                "only {sent} of {planned} requests could be sent: the answers (95 of 100 within {p95}) are too slow for {} a second, \
                 or this daemon is",
                gate.rate
            ));
        }
        let summary = format!("{sent} requests, {failed} failed, 95 of 100 answered within {p95}");
        let judgement = Judgement::pass(sent, summary);
        match latency.limit() {
            Some(limit) => {
                judgement.measured(format!("p95 {p95}"), format!("at most {}", text::duration(limit)))
            }
            None => judgement.measured(format!("{} % errors", percent(share(failed, sent))), most),
        }
    }
}

fn exceeds(failed: u64, sent: u64, most: f64) -> bool {
    // A bound that is not a number bears nothing.
    failed > 0 && !share(failed, sent).partial_cmp(&most).is_some_and(std::cmp::Ordering::is_le)
}

/// Exact below 2^53 requests.
#[allow(clippy::cast_precision_loss)]
fn share(failed: u64, sent: u64) -> f64 {
    failed as f64 / sent.max(1) as f64
}

/// With at most two digits, and never shown as 0 when it is not.
fn percent(share: f64) -> String {
    let percent = (share * 10_000.0).round() / 100.0;
    if percent == 0.0 && share > 0.0 { "less than 0.01".to_owned() } else { percent.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::HttpRequest;

    fn gate(max_errors: f64, p95: Option<u64>) -> LoadGate {
        LoadGate {
            request: HttpRequest {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                headers: std::collections::BTreeMap::new(),
                body: None,
                port: None,
            },
            status: (200..400).collect(),
            rate: 100,
            duration: Duration::from_secs(1),
            max_errors,
            p95: p95.map(Duration::from_millis),
        }
    }

    fn judged(gate: &LoadGate, good: u64, bad: u64, lost: u64) -> Judgement {
        let mut tally = Tally::new(gate);
        (0..good).for_each(|_| tally.add(gate, "a", Came::Answer(204, Duration::from_millis(20))));
        (0..bad).for_each(|_| tally.add(gate, "b", Came::Answer(500, Duration::from_millis(20))));
        (0..lost).for_each(|_| tally.add(gate, "c", Came::Miss(Miss::Unreachable("gone".to_owned()))));
        tally.judge(gate, &Location::file("p.yaml"), 100, good + bad + lost)
    }

    #[test]
    fn errors_are_borne_up_to_their_share() {
        assert_eq!(judged(&gate(0.0, None), 100, 0, 0).verdict, Verdict::Pass);
        assert_eq!(judged(&gate(0.01, None), 99, 1, 0).verdict, Verdict::Pass);
        let failed = judged(&gate(0.01, None), 98, 2, 0);
        assert_eq!(failed.verdict, Verdict::Fail);
        assert_eq!(
            (failed.value.as_deref(), failed.threshold.as_deref()),
            (Some("2 % errors"), Some("at most 1 %"))
        );
        assert!(
            failed.summary.contains("2 of 100 requests failed")
                && failed.summary.ends_with("pod b answered 500")
        );
        assert_eq!(judged(&gate(0.0, None), 99, 1, 0).verdict, Verdict::Fail);
        assert_eq!(judged(&gate(f64::NAN, None), 99, 1, 0).verdict, Verdict::Fail);
    }

    #[test]
    fn slow_answers_fail_and_fast_ones_pass() {
        assert_eq!(judged(&gate(0.0, Some(10)), 100, 0, 0).verdict, Verdict::Fail);
        assert_eq!(judged(&gate(0.0, Some(20)), 100, 0, 0).verdict, Verdict::Pass);
    }

    #[test]
    fn less_load_than_asked_for_proves_nothing() {
        assert_eq!(judged(&gate(0.0, None), 89, 0, 0).verdict, Verdict::Unknown);
        assert_eq!(judged(&gate(0.0, None), 90, 0, 0).verdict, Verdict::Pass);
        assert_eq!(judged(&gate(1.0, None), 0, 0, 0).verdict, Verdict::Unknown);
    }

    #[test]
    fn requests_that_did_not_reach_a_pod_are_not_its_errors() {
        let lost = judged(&gate(0.0, None), 99, 0, 1);
        assert_eq!(lost.verdict, Verdict::Unknown);
        assert!(lost.summary.contains("did not reach"), "{}", lost.summary);
    }
}
