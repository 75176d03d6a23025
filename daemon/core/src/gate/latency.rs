//! How fast answers were: whether 95 of 100 were within a limit, exactly, and about what the 95th took. Its memory does not
//! grow with the answers.

use std::time::Duration;

/// Steps of the scale for each doubling of the time: the shown value is at most a thirty-second too high.
const STEPS: u64 = 32;
/// Doublings beyond the first [`STEPS`] microseconds: up to half an hour.
const DOUBLINGS: usize = 26;

/// The answers so far.
#[derive(Debug, Clone)]
pub struct Latency {
    limit: Option<Duration>,
    count: u64,
    slower: u64,
    buckets: Vec<u64>,
}

impl Latency {
    /// None yet. Without a limit only the shown value is kept.
    pub fn held_against(limit: Option<Duration>) -> Self {
        let buckets = vec![0; usize::try_from(STEPS).unwrap_or_default() * (DOUBLINGS + 1)];
        Self { limit, count: 0, slower: 0, buckets }
    }

    /// One more answer.
    pub fn took(&mut self, elapsed: Duration) {
        self.count += 1;
        if self.limit.is_some_and(|limit| elapsed > limit) {
            self.slower += 1;
        }
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let last = self.buckets.len().saturating_sub(1);
        if let Some(bucket) = self.buckets.get_mut(place(micros).min(last)) {
            *bucket += 1;
        }
    }

    /// The answers of another count that is held against the same limit, added to these.
    pub fn merge(&mut self, other: &Self) {
        let Self { limit: _, count, slower, buckets } = other;
        self.count += count;
        self.slower += slower;
        self.buckets.iter_mut().zip(buckets).for_each(|(bucket, further)| *bucket += further);
    }

    /// How many answers.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True when fewer than 95 of 100 were within the limit.
    pub fn exceeds(&self) -> bool {
        self.limit.is_some() && (self.count - self.slower) * 100 < self.count * 95
    }

    /// The limit.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// About how long the 95th of 100 took; none without answers.
    pub fn p95(&self) -> Option<Duration> {
        let rank = (self.count * 95).div_ceil(100);
        let mut below = 0;
        let place = self.buckets.iter().position(|bucket| {
            below += bucket;
            below >= rank && rank > 0
        })?;
        let shown = Duration::from_micros(upper_end(place));
        // The scale is coarser than the verdict.
        Some(match self.limit {
            Some(limit) if !self.exceeds() => shown.min(limit),
            Some(_) | None => shown,
        })
    }
}

/// Which bucket a time belongs to: each microsecond at first, then [`STEPS`] for each doubling.
fn place(micros: u64) -> usize {
    if micros < STEPS {
        return usize::try_from(micros).unwrap_or_default();
    }
    let doubling = u64::from(micros.ilog2()) - u64::from(STEPS.ilog2());
    usize::try_from((doubling + 1) * STEPS + (micros >> doubling) - STEPS).unwrap_or(usize::MAX)
}

/// The longest time of a bucket.
fn upper_end(place: usize) -> u64 {
    let place = u64::try_from(place).unwrap_or_default();
    if place < STEPS {
        return place;
    }
    let doubling = place / STEPS - 1;
    ((place % STEPS + STEPS + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(limit: u64, each: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::held_against(Some(Duration::from_millis(limit)));
        each.into_iter().for_each(|millis| latency.took(Duration::from_millis(millis)));
        latency
    }

    #[test]
    fn ninety_five_of_a_hundred_have_to_be_within_the_limit() {
        let five_slow = (0..95).map(|_| 10).chain((0..5).map(|_| 900));
        assert!(!millis(100, five_slow).exceeds());
        let six_slow = (0..94).map(|_| 10).chain((0..6).map(|_| 900));
        let latency = millis(100, six_slow);
        assert!(latency.exceeds());
        assert!(latency.p95().unwrap() >= Duration::from_millis(900), "{:?}", latency.p95());
    }

    #[test]
    fn of_few_answers_none_may_be_slow_and_the_limit_itself_is_within() {
        assert!(millis(100, [101]).exceeds());
        assert!(!millis(100, [100]).exceeds());
        assert!(millis(100, [1, 1, 1, 101]).exceeds());
        assert!(!millis(100, []).exceeds());
        assert_eq!(millis(100, []).p95(), None);
    }

    #[test]
    fn the_shown_value_is_never_too_low_nor_more_than_a_little_too_high() {
        for micros in (0..2_000).chain([4_095, 4_096, 65_537, 1_000_003, 3_600_000_000]) {
            let shown = upper_end(place(micros));
            assert!(shown >= micros && shown <= micros + micros / 32, "{micros}: {shown}");
        }
        let passing = millis(100, [100]);
        assert_eq!(passing.p95(), Some(Duration::from_millis(100)));
    }
}
