//! Pods that stay ready: what each look at them says. A flap between two looks is seen by the restarts and by the time since
//! which a pod is ready.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Judgement, text};
use crate::location::Location;

/// What is to be seen of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLook {
    /// Its name.
    pub name: String,
    /// Ready, and not terminating.
    pub ready: bool,
    /// Since when it is what it is.
    pub since: Option<Timestamp>,
    /// How often its containers were started again.
    pub restarts: u32,
}

/// The colour's pods by uid.
pub type Look = BTreeMap<String, PodLook>;

/// Pods that have to stay ready.
#[derive(Debug, Clone)]
pub struct Endpoints<'a> {
    wanted: u32,
    duration: Duration,
    rule: &'a Location,
    last: Option<Look>,
}

impl<'a> Endpoints<'a> {
    /// At least `wanted` pods for so long.
    pub fn new(wanted: u32, duration: Duration, rule: &'a Location) -> Self {
        Self { wanted, duration, rule, last: None }
    }

    /// One more look, so long after the first; a judgement when it decides.
    pub fn look(&mut self, after: Duration, seen: Look) -> Option<Judgement> {
        let ready = seen.values().filter(|pod| pod.ready).count();
        let needed = usize::try_from(self.wanted).unwrap_or(usize::MAX);
        let samples = u64::try_from(ready).unwrap_or(u64::MAX);
        let measured = |judgement: Judgement| {
            let of = text::duration(after);
            judgement.measured(format!("{ready} ready after {of}"), self.threshold())
        };
        let Some(last) = &self.last else {
            if ready < needed {
                let said = format!("{ready} of {needed} pods are ready: it is not begun before all are");
                return Some(measured(Judgement::unknown(said)));
            }
            self.last = Some(seen);
            return None;
        };
        if let Some(said) = flap(last, &seen) {
            return Some(measured(Judgement::fail(samples, said)).by(self.rule));
        }
        if ready < needed {
            let which =
                unready(last, &seen).map_or_else(String::new, |pod| format!(": pod {pod} is ready no more"));
            let said = format!("{ready} of {needed} pods are ready{which}");
            return Some(measured(Judgement::fail(samples, said)).by(self.rule));
        }
        if after >= self.duration {
            let said = format!("{ready} pods stayed ready for {}", text::duration(self.duration));
            return Some(measured(Judgement::pass(samples, said)));
        }
        self.last = Some(seen);
        None
    }

    fn threshold(&self) -> String {
        format!("at least {} for {}", self.wanted, text::duration(self.duration))
    }
}

/// What happened to a pod that was ready at the last look and is still there.
fn flap(last: &Look, look: &Look) -> Option<String> {
    last.iter().filter(|(_, before)| before.ready).find_map(|(uid, before)| {
        let now = look.get(uid)?;
        let PodLook { name, ready, since, restarts } = now;
        if *restarts > before.restarts {
            return Some(format!("pod {name} was started again ({restarts} restarts)"));
        }
        (*ready && *since != before.since).then(|| format!("pod {name} was not ready for a moment"))
    })
}

/// A pod that was ready and is not, or is gone.
fn unready<'a>(last: &'a Look, look: &Look) -> Option<&'a str> {
    let gone = |uid: &String| look.get(uid).is_none_or(|pod| !pod.ready);
    last.iter().find(|(uid, before)| before.ready && gone(uid)).map(|(_, before)| before.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::Verdict;

    fn pod(name: &str, ready: bool, since: i64, restarts: u32) -> (String, PodLook) {
        let since = Timestamp::from_second(since).ok();
        (format!("uid-{name}"), PodLook { name: name.to_owned(), ready, since, restarts })
    }

    fn judged(looks: Vec<Vec<(String, PodLook)>>) -> Option<Judgement> {
        let rule = Location::file("p.yaml");
        let mut endpoints = Endpoints::new(2, Duration::from_secs(3), &rule);
        looks.into_iter().zip(0..).find_map(|(look, second)| {
            endpoints.look(Duration::from_secs(second), look.into_iter().collect())
        })
    }

    #[test]
    fn enough_pods_for_the_whole_time_pass() {
        let look = || vec![pod("a", true, 1, 0), pod("b", true, 1, 2)];
        assert_eq!(judged(vec![look(), look(), look()]), None);
        assert_eq!(judged(vec![look(), look(), look(), look()]).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn too_few_at_the_beginning_are_not_a_flap() {
        let judged = judged(vec![vec![pod("a", true, 1, 0), pod("b", false, 1, 0)]]).unwrap();
        assert_eq!(judged.verdict, Verdict::Unknown);
        assert!(judged.summary.starts_with("1 of 2 pods are ready"), "{}", judged.summary);
    }

    #[test]
    fn a_pod_that_is_lost_a_restart_and_a_short_gap_are_flaps() {
        let good = || vec![pod("a", true, 1, 0), pod("b", true, 1, 0)];
        for (second, said) in [
            (vec![pod("a", true, 1, 0), pod("b", false, 2, 0)], "pod b is ready no more"),
            (vec![pod("a", true, 1, 0)], "pod b is ready no more"),
            (vec![pod("a", true, 1, 0), pod("b", true, 1, 1)], "pod b was started again"),
            (vec![pod("a", true, 1, 0), pod("b", true, 2, 0)], "pod b was not ready for a moment"),
        ] {
            let judged = judged(vec![good(), second]).unwrap();
            assert_eq!(judged.verdict, Verdict::Fail, "{said}");
            assert!(judged.summary.contains(said), "{}: {said}", judged.summary);
            assert!(judged.rule.is_some());
        }
    }

    #[test]
    fn a_pod_that_comes_or_goes_beyond_the_wanted_number_is_no_flap() {
        let two = || vec![pod("a", true, 1, 0), pod("b", true, 1, 0)];
        let three = || vec![pod("a", true, 1, 0), pod("b", true, 1, 0), pod("c", true, 2, 0)];
        assert_eq!(judged(vec![three(), two(), three(), two()]).unwrap().verdict, Verdict::Pass);
    }
}
