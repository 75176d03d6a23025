//! The simulated world's API server against a real one (`TIDEGATE_TEST_KUBECONFIG`): the same seeded writes to both.
//!
//! `TIDEGATE_TEST_SEED=<n>` plays that one sequence; without it, a sample runs, or, with `TIDEGATE_TEST=full`, many more.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_proptests::apply_oracle::{Played, play};
use tidegate_proptests::kube_http::Http;

/// So many differences are told.
const TOLD: usize = 3;
/// Sequences side by side.
const PLACES: usize = 4;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A namespace of its own, in which no pod is ever made; taken away at the end.
struct Namespace<'a>(&'a Http, String);

impl<'a> Namespace<'a> {
    fn new(http: &'a Http) -> Self {
        let name = format!("apply-{}", std::process::id());
        let made = http.call(
            "POST",
            "/api/v1/namespaces",
            "application/json",
            Some(&json!({"metadata": {"name": name}})),
        );
        assert_eq!(made.code, 201, "{}", made.body);
        let quota = json!({"metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}});
        let path = format!("/api/v1/namespaces/{name}/resourcequotas");
        assert_eq!(http.call("POST", &path, "application/json", Some(&quota)).code, 201);
        Self(http, name)
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        self.0.call("DELETE", &format!("/api/v1/namespaces/{}", self.1), "application/json", None);
    }
}

#[test]
fn the_simulated_server_does_what_the_real_one_does() {
    let kubeconfig = variable("TIDEGATE_TEST_KUBECONFIG")
        .expect("this test needs a cluster: make test, or TIDEGATE_TEST_KUBECONFIG");
    let kubectl = PathBuf::from(variable("TIDEGATE_KUBECTL").unwrap_or_else(|| "kubectl".to_owned()));
    let http = Http::start(&kubectl, &PathBuf::from(kubeconfig)).expect("kubectl starts");
    let namespace = Namespace::new(&http);
    let full = variable("TIDEGATE_TEST").is_some_and(|amount| amount == "full");
    let (most, time) = if full { (3_000, 400) } else { (80, 60) };
    let (first, end) = match variable("TIDEGATE_TEST_SEED").and_then(|seed| seed.parse().ok()) {
        Some(seed) => (seed, seed + 1),
        None => (0, most),
    };
    let (next, begun) = (AtomicU64::new(first), Instant::now());
    let all: Mutex<(usize, Played, Vec<String>)> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..PLACES {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || begun.elapsed() > Duration::from_secs(time) {
                        return;
                    }
                    let Played { steps, invalid, difference } = play(&http, &namespace.1, seed);
                    let mut all = all.lock().expect("no thread has panicked");
                    all.0 += 1;
                    all.1.steps += steps;
                    all.1.invalid += invalid;
                    all.2.extend(difference);
                }
            });
        }
    });
    let (sequences, Played { steps, invalid, .. }, differences) =
        all.into_inner().expect("no thread has panicked");
    println!(
        "compared {sequences} sequences, {steps} steps ({invalid} more were invalid), {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let told: Vec<&str> = differences.iter().take(TOLD).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} sequences differ:\n{}", differences.len(), told.join("\n\n"));
    assert!(invalid * 5 <= steps, "{invalid} of {steps} steps said nothing");
    assert!(end - first == 1 || steps > 100, "only {steps} steps");
}
