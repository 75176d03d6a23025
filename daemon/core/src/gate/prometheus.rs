//! The answer of Prometheus to an instant query, and what follows from it. Everything but one finite, fresh sample is no data.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Judgement, text};
use crate::policy::{PrometheusGate, Traffic};

/// Notes about a query, not about missing data, begin so (Prometheus 2.50 and later).
const NOTE: &str = "PromQL info";

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Its value, finite.
    pub value: f64,
    /// When it was evaluated, or written where that is known, in seconds of Unix time.
    pub at: f64,
    /// Whether it is of a vector: it may be older than its evaluation ([`timestamp_of`]).
    pub of_vector: bool,
}

impl Sample {
    /// The same with the time that the query [`timestamp_of`] gave.
    #[must_use]
    pub fn written(mut self, times: Self) -> Self {
        self.at = self.at.min(times.value);
        self
    }
}

/// A query for the time of the same sample: of a plain selector it is when the sample was written, of everything else when it
/// was evaluated.
pub fn timestamp_of(query: &str) -> String {
    // A comment ends with its line.
    format!("timestamp(\n{query}\n)")
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Value,
}

/// The only sample of an answer, or why there is none, as the end of a sentence about the query.
pub fn read(status: u16, body: &[u8]) -> Result<Sample, String> {
    let reply: Result<Reply, _> = serde_json::from_slice(body);
    let reply = match reply {
        Ok(reply) => reply,
        Err(_) if (300..400).contains(&status) => {
            return Err(format!("was answered with a redirect ({status}), which is not followed"));
        }
        Err(error) => {
            return Err(format!("was answered {status} with what is no answer of Prometheus ({error})"));
        }
    };
    let Reply { status: outcome, error, warnings, data } = reply;
    if status != 200 || outcome != "success" {
        return Err(format!("was answered {status}: {}", text::quote(&error)));
    }
    if let Some(warning) = warnings.iter().find(|warning| !warning.starts_with(NOTE)) {
        return Err(format!(
            "was answered with a warning, so that data may be missing: {}",
            text::quote(warning)
        ));
    }
    let Some(Data { kind, result }) = data else { return Err("was answered without data".to_owned()) };
    let pair = match kind.as_str() {
        "scalar" => &result,
        "vector" => match result.as_array().map(Vec::as_slice) {
            Some([one]) => one.get("value").unwrap_or(&Value::Null),
            Some([]) => return Err("has no sample".to_owned()),
            Some(many) => return Err(format!("has {} samples, and one is needed: aggregate it", many.len())),
            None => return Err("was answered with a vector that is none".to_owned()),
        },
        other => return Err(format!("gives a {}, and one sample is needed", text::quote(other))),
    };
    let at = pair.get(0).and_then(Value::as_f64);
    let value = pair.get(1).and_then(Value::as_str).and_then(|value| value.parse::<f64>().ok());
    let (Some(at), Some(value)) = (at, value) else {
        return Err("was answered with a sample that is none".to_owned());
    };
    if !value.is_finite() {
        return Err(format!("gives {value}, which is no number to compare"));
    }
    Ok(Sample { value, at, of_vector: kind == "vector" })
}

/// Why a sample is too old (or from a clock that is far ahead); none when it is fresh.
fn stale(sample: Sample, now: Timestamp, max_age: Duration) -> Option<String> {
    let age = now.as_duration().as_secs_f64() - sample.at;
    // An age that is not a number is not fresh.
    let fresh = age.abs().partial_cmp(&max_age.as_secs_f64()).is_some_and(std::cmp::Ordering::is_le);
    (!fresh).then(|| {
        let limit = text::duration(max_age);
        if age < 0.0 {
            format!(
                "gives a sample from {:.0} s ahead of this daemon's clock, at most {limit} are allowed",
                -age
            )
        } else {
            format!("gives a sample that is {age:.0} s old, at most {limit} are allowed")
        }
    })
}

/// What was asked, and what came back of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Of the query.
    pub query: Result<Sample, String>,
    /// Of the query that counts requests, where the gate has one.
    pub traffic: Option<Result<Sample, String>>,
}

/// What follows.
pub fn judge(gate: &PrometheusGate, asked: &Asked, now: Timestamp) -> Judgement {
    let PrometheusGate { source: _, query, min, max, bound, max_age, traffic } = gate;
    let fresh = |sample: &Result<Sample, String>| {
        sample.clone().and_then(|sample| stale(sample, now, *max_age).map_or(Ok(sample), Err))
    };
    let mut requests = None;
    if let Some(Traffic { query: _, min }) = traffic {
        match asked.traffic.as_ref().map_or_else(|| Err("was not asked".to_owned()), fresh) {
            Err(why) => return Judgement::unknown(format!("the traffic query {why}")),
            Ok(Sample { value, .. }) if value >= *min => requests = Some(value),
            Ok(Sample { value, .. }) => {
                return Judgement::unknown(format!(
                    "too little traffic to tell: {value}, at least {min} is needed"
                ));
            }
        }
    }
    let Sample { value, .. } = match fresh(&asked.query) {
        Ok(sample) => sample,
        Err(why) => return Judgement::unknown(format!("the query {why}")),
    };
    let threshold = match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => return Judgement::unknown("it has no bound: neither `min` nor `max`"),
    };
    let samples = requests.map_or(1, whole);
    let of = requests.map_or_else(String::new, |requests| format!(" over {requests} requests"));
    // A bound that is not a number is not kept.
    let above = max.is_none_or(|max| value <= max);
    let below = min.is_none_or(|min| value >= min);
    let judgement = if above && below {
        Judgement::pass(samples, format!("the query gives {value}{of}, allowed is {threshold}"))
    } else {
        let query = text::quote(query);
        Judgement::fail(samples, format!("the query gives {value}{of}, allowed is {threshold}: {query}"))
            .by(bound)
    };
    judgement.measured(value.to_string(), threshold)
}

/// A count as Prometheus has it (`increase()` extrapolates), as one that people have.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(requests: f64) -> u64 {
    requests.max(0.0).round() as u64
}

/// The form of an instant query. `lookback_delta` keeps samples that are older out of it, where Prometheus knows it (2.42 does
/// not); without it a series that nobody writes any more is seen for five minutes.
pub fn form(query: &str, max_age: Duration, timeout: Duration) -> String {
    let seconds = max_age.as_secs_f64();
    let timeout = timeout.as_secs_f64();
    format!("query={}&lookback_delta={seconds}s&timeout={timeout}s", encoded(query))
}

/// `application/x-www-form-urlencoded`.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::policy::PrometheusSource;
    use crate::rollout::Verdict;

    const NOW: i64 = 1_000;

    fn gate(min: Option<f64>, max: Option<f64>, traffic: Option<f64>) -> PrometheusGate {
        PrometheusGate {
            source: PrometheusSource::Url("http://prometheus".to_owned()),
            query: "errors".to_owned(),
            min,
            max,
            bound: Location::file("p.yaml"),
            max_age: Duration::from_mins(1),
            traffic: traffic.map(|min| Traffic { query: "requests".to_owned(), min }),
        }
    }

    fn vector(values: &[&str], at: i64) -> Result<Sample, String> {
        let samples: Vec<String> =
            values.iter().map(|value| format!(r#"{{"metric":{{}},"value":[{at}.5,"{value}"]}}"#)).collect();
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
            samples.join(",")
        );
        read(200, body.as_bytes())
    }

    fn judged(
        gate: &PrometheusGate,
        query: Result<Sample, String>,
        traffic: Option<Result<Sample, String>>,
    ) -> Judgement {
        judge(gate, &Asked { query, traffic }, Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn one_sample_is_held_against_its_bounds() {
        let most = gate(None, Some(0.01), None);
        assert_eq!(judged(&most, vector(&["0.01"], NOW), None).verdict, Verdict::Pass);
        let failed = judged(&most, vector(&["0.043"], NOW), None);
        assert_eq!((failed.verdict, failed.rule), (Verdict::Fail, Some(Location::file("p.yaml"))));
        assert_eq!(
            (failed.value.as_deref(), failed.threshold.as_deref()),
            (Some("0.043"), Some("at most 0.01"))
        );
        let least = gate(Some(5.0), None, None);
        assert_eq!(judged(&least, vector(&["4.9"], NOW), None).verdict, Verdict::Fail);
        assert_eq!(judged(&least, vector(&["5"], NOW), None).verdict, Verdict::Pass);
        let scalar =
            read(200, br#"{"status":"success","data":{"resultType":"scalar","result":[1000.1,"7"]}}"#);
        assert_eq!(judged(&least, scalar, None).verdict, Verdict::Pass);
        assert_eq!(judged(&gate(None, None, None), vector(&["5"], NOW), None).verdict, Verdict::Unknown);
        assert_eq!(
            judged(&gate(None, Some(f64::NAN), None), vector(&["5"], NOW), None).verdict,
            Verdict::Fail
        );
    }

    #[test]
    fn none_many_and_what_is_no_number_are_unknown() {
        for values in [&[][..], &["1", "2"], &["NaN"], &["+Inf"], &["-Inf"], &["x"], &[""]] {
            let judged = judged(&gate(None, Some(100.0), None), vector(values, NOW), None);
            assert_eq!(judged.verdict, Verdict::Unknown, "{values:?}: {}", judged.summary);
        }
        assert!(vector(&["1", "2"], NOW).unwrap_err().contains("2 samples, and one is needed"));
    }

    #[test]
    fn an_old_sample_and_one_from_the_future_are_unknown() {
        let most = gate(None, Some(1.0), None);
        assert_eq!(judged(&most, vector(&["0"], NOW - 59), None).verdict, Verdict::Pass);
        let old = judged(&most, vector(&["0"], NOW - 62), None);
        assert!(old.verdict == Verdict::Unknown && old.summary.contains("s old"), "{}", old.summary);
        let ahead = judged(&most, vector(&["0"], NOW + 61), None);
        assert!(ahead.verdict == Verdict::Unknown && ahead.summary.contains("ahead"), "{}", ahead.summary);
    }

    #[test]
    fn a_sample_is_as_old_as_its_writing() {
        let most = gate(None, Some(1.0), None);
        let sample = vector(&["0"], NOW).unwrap();
        assert!(sample.of_vector);
        let written = |at: i64| sample.written(vector(&[&at.to_string()], NOW).unwrap());
        assert_eq!(judged(&most, Ok(written(NOW - 50)), None).verdict, Verdict::Pass);
        assert_eq!(judged(&most, Ok(written(NOW - 70)), None).verdict, Verdict::Unknown);
        assert_eq!(timestamp_of("up # all"), "timestamp(\nup # all\n)");
    }

    #[test]
    fn too_little_traffic_says_nothing_either_way() {
        let gate = gate(None, Some(0.01), Some(100.0));
        let (bad, good) = (|| vector(&["0.5"], NOW), || vector(&["0"], NOW));
        for (requests, query, verdict) in [
            (Some(vector(&["99"], NOW)), bad(), Verdict::Unknown),
            (Some(vector(&["99"], NOW)), good(), Verdict::Unknown),
            (Some(vector(&[], NOW)), good(), Verdict::Unknown),
            (Some(vector(&["500"], NOW - 600)), good(), Verdict::Unknown),
            (None, good(), Verdict::Unknown),
            (Some(vector(&["100"], NOW)), bad(), Verdict::Fail),
            (Some(vector(&["100"], NOW)), good(), Verdict::Pass),
        ] {
            let judged = judged(&gate, query, requests.clone());
            assert_eq!(judged.verdict, verdict, "{requests:?}: {}", judged.summary);
        }
        assert_eq!(judged(&gate, bad(), Some(vector(&["4812.3"], NOW))).samples, 4812);
    }

    #[test]
    fn every_other_answer_is_unknown_and_says_why() {
        for (status, body, said) in [
            (200, "<html>", "no answer of Prometheus"),
            (302, "", "redirect (302), which is not followed"),
            (200, "{}", "no answer of Prometheus"),
            (422, r#"{"status":"error","error":"parse error: x\u001b"}"#, "422: parse error: x\\u{1b}"),
            (200, r#"{"status":"error","error":"out of order"}"#, "out of order"),
            (503, r#"{"status":"success","data":{"resultType":"scalar","result":[1000,"1"]}}"#, "503"),
            (200, r#"{"status":"success"}"#, "without data"),
            (200, r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#, "gives a matrix"),
            (
                200,
                r#"{"status":"success","data":{"resultType":"vector","result":7}}"#,
                "a vector that is none",
            ),
            (
                200,
                r#"{"status":"success","data":{"resultType":"vector","result":[{}]}}"#,
                "a sample that is none",
            ),
            (
                200,
                r#"{"status":"success","warnings":["store x is down"],"data":{"resultType":"scalar","result":[1000,"1"]}}"#,
                "store x is down",
            ),
        ] {
            let error = read(status, body.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{body}: {error}");
        }
        let note = r#"{"status":"success","warnings":["PromQL info: might not be a counter"],"data":{"resultType":"scalar","result":[1000,"1"]}}"#;
        assert!(read(200, note.as_bytes()).is_ok());
    }

    #[test]
    fn a_query_is_sent_as_it_is() {
        let form = form(r#"rate(x{a="b&c"}[1m]) + 1"#, Duration::from_millis(1_500), Duration::from_secs(5));
        assert_eq!(
            form,
            "query=rate%28x%7Ba%3D%22b%26c%22%7D%5B1m%5D%29%20%2B%201&lookback_delta=1.5s&timeout=5s"
        );
    }
}
