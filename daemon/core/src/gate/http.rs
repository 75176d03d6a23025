//! The answers to the requests of an `http` gate, and what follows from them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::json::compare;
use super::latency::Latency;
use super::{Judgement, Miss, text};
use crate::location::Location;
use crate::policy::HttpAnswer;
use crate::rollout::Verdict;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body, whole.
    pub body: Vec<u8>,
    /// From the request's first byte to the answer's last.
    pub elapsed: Duration,
}

/// Why something is not as expected.
#[derive(Debug, Clone)]
struct Wrong {
    /// The how manieth request it was, over all pods.
    order: u64,
    said: String,
    measured: Option<(String, String)>,
    rule: Location,
}

/// What one pod answered.
#[derive(Debug, Clone)]
struct Pod {
    asked: u64,
    latency: Latency,
    wrong: u64,
    first_wrong: Option<Wrong>,
    untold: Option<Miss>,
}

/// The answers so far, by pod.
#[derive(Debug, Clone)]
pub struct Tally<'a> {
    expect: &'a HttpAnswer,
    rule: &'a Location,
    asked: u64,
    pods: BTreeMap<String, Pod>,
    left: Vec<String>,
}

impl<'a> Tally<'a> {
    /// Nothing yet. `rule` is where the gate stands.
    pub fn new(expect: &'a HttpAnswer, rule: &'a Location) -> Self {
        Self { expect, rule, asked: 0, pods: BTreeMap::new(), left: Vec::new() }
    }

    /// One more request, to this pod, and what came of it.
    pub fn add(&mut self, pod: &str, came: Result<Answer, Miss>) {
        self.asked += 1;
        let order = self.asked;
        let (expect, rule) = (self.expect, self.rule);
        let entry = self.pods.entry(pod.to_owned()).or_insert_with(|| Pod {
            asked: 0,
            latency: Latency::held_against(expect.p95),
            wrong: 0,
            first_wrong: None,
            untold: None,
        });
        entry.asked += 1;
        let wrong = match came {
            Ok(answer) => {
                entry.latency.took(answer.elapsed);
                wrong(expect, rule, &answer)
            }
            Err(miss) => match miss.of_pod() {
                Verdict::Fail => Some((miss.to_string(), None, rule.clone())),
                Verdict::Pass | Verdict::Unknown => {
                    entry.untold.get_or_insert(miss);
                    None
                }
            },
        };
        if let Some((said, measured, rule)) = wrong {
            entry.wrong += 1;
            entry.first_wrong.get_or_insert(Wrong { order, said, measured, rule });
        }
    }

    /// Pods whose answers were not as expected: worth a look whether they are still there.
    pub fn suspects(&self) -> Vec<String> {
        self.pods.iter().filter(|(_, pod)| pod.wrong > 0).map(|(name, _)| name.clone()).collect()
    }

    /// This pod was being taken away while it was asked: what it answered says nothing.
    pub fn forget(&mut self, pod: &str) {
        if self.pods.remove(pod).is_some() {
            self.left.push(pod.to_owned());
        }
    }

    /// What follows, when so many requests were meant to be sent.
    pub fn judge(self, planned: u64) -> Judgement {
        let asked: u64 = self.pods.values().map(|pod| pod.asked).sum();
        let wrong: u64 = self.pods.values().map(|pod| pod.wrong).sum();
        let first = self
            .pods
            .iter()
            .filter_map(|(name, pod)| Some((name, pod.first_wrong.as_ref()?)))
            .min_by_key(|(_, wrong)| wrong.order);
        if let Some((pod, Wrong { order: _, said, measured, rule })) = first {
            let summary = match (wrong, asked) {
                (1, 1) => format!("pod {pod} {said}"),
                _ => format!("{wrong} of {asked} requests failed, the first: pod {pod} {said}"),
            };
            let judgement = Judgement::fail(asked, summary).by(rule);
            return match measured {
                Some((value, threshold)) => judgement.measured(value, threshold),
                None => judgement,
            };
        }
        if let Some((pod, miss)) = self.pods.iter().find_map(|(name, pod)| Some((name, pod.untold.as_ref()?)))
        {
            return Judgement::unknown(format!("pod {pod} {miss}"));
        }
        if let Some(pod) = self.left.first() {
            return Judgement::unknown(format!("pod {pod} was taken away while it was asked"));
        }
        if asked < planned {
            return Judgement::unknown(format!(
                "{asked} of {planned} requests were answered well, then the time was over"
            ));
        }
        self.speed(asked)
    }

    /// Everything was answered as it has to be; what is left is how fast.
    fn speed(&self, asked: u64) -> Judgement {
        let mut all = Latency::held_against(self.expect.p95);
        for pod in self.pods.values() {
            all.merge(&pod.latency);
        }
        let pods = self.pods.len();
        let pods = if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") };
        let p95 = text::duration(all.p95().unwrap_or_default());
        let Some(limit) = all.limit() else {
            let summary = format!("{asked} of {asked} requests to {pods} answered as expected");
            return Judgement::pass(asked, summary).measured(format!("p95 {p95}"), "any time");
        };
        let limit = text::duration(limit);
        if all.exceeds() {
            let summary = format!(
                "of {asked} requests to {pods}, 95 of 100 took up to {p95}, where {limit} are allowed"
            );
            return Judgement::fail(asked, summary)
                .measured(format!("p95 {p95}"), format!("at most {limit}"))
                .by(self.rule);
        }
        let summary =
            format!("{asked} of {asked} requests to {pods} answered as expected, 95 of 100 within {p95}");
        Judgement::pass(asked, summary).measured(format!("p95 {p95}"), format!("at most {limit}"))
    }
}

type Complaint = (String, Option<(String, String)>, Location);

/// What is wrong with an answer; none when it is as expected.
fn wrong(expect: &HttpAnswer, rule: &Location, answer: &Answer) -> Option<Complaint> {
    let HttpAnswer { status, json, p95: _ } = expect;
    let Answer { status: found, body, elapsed: _ } = answer;
    let wanted: &[u16] = if status.is_empty() { &[200] } else { status };
    if !wanted.contains(found) {
        let said = format!("answered {found}{}", excerpt(body));
        let wanted: Vec<String> = wanted.iter().map(u16::to_string).collect();
        return Some((said, Some((format!("status {found}"), wanted.join(" or "))), rule.clone()));
    }
    if json.is_empty() {
        return None;
    }
    let body: Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => {
            let said = format!("answered {found} with a body that is not JSON ({error}){}", excerpt(body));
            return Some((said, None, rule.clone()));
        }
    };
    json.iter().find_map(|json| {
        let compared = compare(json, &body);
        let said = format!("answered {}, expected {}", compared.value, compared.threshold);
        (!compared.holds).then(|| (said, Some((compared.value, compared.threshold)), json.location.clone()))
    })
}

/// The beginning of a body, for people.
fn excerpt(body: &[u8]) -> String {
    /// Enough for a quotation, however many bytes a character has.
    const HEAD: usize = 1024;
    let head = body.get(..body.len().min(HEAD)).unwrap_or_default();
    let quoted = text::quote(&String::from_utf8_lossy(head));
    if quoted.is_empty() { String::new() } else { format!(": {quoted}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Position;
    use crate::policy::{Expectation, Json, JsonCheck, Tolerance};

    fn place(line: u32) -> Location {
        Location { file: "policies/p.yaml".into(), position: Position { line, column: 3 } }
    }

    fn prediction() -> HttpAnswer {
        let tolerance = Some(Tolerance { absolute: Some(0.01), relative: None });
        let check = JsonCheck::Equals(Expectation { value: serde_json::json!(20.35), tolerance });
        HttpAnswer {
            json: vec![Json { pointer: "/prediction".to_owned(), check, location: place(21) }],
            ..HttpAnswer::default()
        }
    }

    type Came = Result<Answer, Miss>;

    #[allow(clippy::unnecessary_wraps)] // beside those that are none
    fn answer(status: u16, body: &str, millis: u64) -> Came {
        Ok(Answer { status, body: body.as_bytes().to_vec(), elapsed: Duration::from_millis(millis) })
    }

    fn judged(expect: &HttpAnswer, planned: u64, answers: Vec<(&str, Came)>) -> Judgement {
        let rule = place(9);
        let mut tally = Tally::new(expect, &rule);
        for (pod, came) in answers {
            tally.add(pod, came);
        }
        tally.judge(planned)
    }

    #[test]
    fn a_wrong_prediction_fails_with_the_value_and_the_line_of_the_rule() {
        let good = || answer(200, r#"{"prediction": 20.35}"#, 3);
        let wrong = || answer(200, r#"{"prediction": 25.35}"#, 3);
        let judged = judged(&prediction(), 3, vec![("a", good()), ("b", wrong()), ("a", good())]);
        assert_eq!(judged.verdict, Verdict::Fail);
        assert_eq!(judged.value.as_deref(), Some("/prediction = 25.35"));
        assert_eq!(judged.threshold.as_deref(), Some("20.35 ± 0.01"));
        assert_eq!(judged.rule, Some(place(21)));
        assert!(
            judged.summary.starts_with("1 of 3 requests failed, the first: pod b answered"),
            "{}",
            judged.summary
        );
    }

    #[test]
    fn all_requests_answered_as_expected_pass() {
        let judged = judged(&prediction(), 1, vec![("a", answer(200, r#"{"prediction": 20.355}"#, 3))]);
        assert_eq!((judged.verdict, judged.samples), (Verdict::Pass, 1), "{judged:?}");
    }

    #[test]
    fn another_status_fails_and_an_excerpt_of_the_body_is_told() {
        let failed =
            judged(&HttpAnswer::default(), 1, vec![("a", answer(500, "KeyError: \u{1b}[1m'v'\n", 3))]);
        assert_eq!(failed.verdict, Verdict::Fail);
        assert_eq!(failed.summary, "pod a answered 500: KeyError: \\u{1b}[1m'v'");
        assert_eq!(failed.rule, Some(place(9)));
        let asked_for = HttpAnswer { status: vec![302, 500], ..HttpAnswer::default() };
        assert_eq!(judged(&asked_for, 1, vec![("a", answer(500, "", 3))]).verdict, Verdict::Pass);
        assert_eq!(judged(&asked_for, 1, vec![("a", answer(200, "", 3))]).verdict, Verdict::Fail);
    }

    #[test]
    fn a_body_that_is_not_json_fails_where_json_is_expected() {
        for body in ["<html>", "", r#"{"prediction": NaN}"#, r#"{"prediction": 1e999}"#, "\u{0}\u{1}"] {
            assert_eq!(
                judged(&prediction(), 1, vec![("a", answer(200, body, 1))]).verdict,
                Verdict::Fail,
                "{body}"
            );
        }
    }

    #[test]
    fn slow_answers_fail_by_the_95th_of_100() {
        let expect = HttpAnswer { p95: Some(Duration::from_millis(100)), ..HttpAnswer::default() };
        let times = |slow: usize| {
            (0..20)
                .map(|n| {
                    (if n % 2 == 0 { "a" } else { "b" }, answer(200, "", if n < slow { 900 } else { 5 }))
                })
                .collect()
        };
        assert_eq!(judged(&expect, 20, times(1)).verdict, Verdict::Pass);
        let slow = judged(&expect, 20, times(2));
        assert_eq!(
            (slow.verdict, slow.threshold.as_deref()),
            (Verdict::Fail, Some("at most 100 ms")),
            "{slow:?}"
        );
    }

    #[test]
    fn what_nobody_could_tell_is_unknown_and_a_wrong_answer_outweighs_it() {
        let lost = || Err(Miss::Unreachable("no route".to_owned()));
        let none = judged(&HttpAnswer::default(), 1, vec![("a", lost())]);
        assert_eq!((none.verdict, none.samples), (Verdict::Unknown, 0));
        assert!(none.summary.contains("no route"), "{}", none.summary);
        let both = judged(&HttpAnswer::default(), 2, vec![("a", lost()), ("b", Err(Miss::Refused))]);
        assert_eq!(both.verdict, Verdict::Fail);
        assert!(both.summary.contains("pod b refused the connection"), "{}", both.summary);
    }

    #[test]
    fn fewer_answers_than_planned_are_not_enough() {
        let few = judged(&HttpAnswer::default(), 5, vec![("a", answer(200, "", 1))]);
        assert_eq!(few.verdict, Verdict::Unknown);
        assert_eq!(judged(&HttpAnswer::default(), 1, vec![]).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_pod_that_is_being_taken_away_is_not_held_against_the_colour() {
        let (expect, rule) = (HttpAnswer::default(), place(9));
        let mut tally = Tally::new(&expect, &rule);
        tally.add("a", answer(200, "", 1));
        tally.add("b", Err(Miss::Cut));
        assert_eq!(tally.suspects(), ["b"]);
        tally.forget("b");
        let judged = tally.judge(2);
        assert_eq!(judged.verdict, Verdict::Unknown);
        assert!(judged.summary.contains("pod b was taken away"), "{}", judged.summary);
    }
}
