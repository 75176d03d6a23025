//! Whether a replica lives, judged by its Lease and our own clock only: clocks of other machines are not believed.

use std::time::Duration;

/// What a Lease says, as far as liveness needs it. Any change of it is a sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// `spec.holderIdentity`.
    pub holder: String,
    /// `spec.renewTime`, as text: compared, never read as a time.
    pub renewed: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
}

/// One replica's Lease as one observer sees it. Times are the observer's monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    record: LeaseRecord,
    changed_at: Duration,
}

impl LeaseView {
    /// The first sight of a Lease: it counts as alive from now, whatever its times say.
    pub fn first_seen(record: LeaseRecord, now: Duration) -> Self {
        Self { record, changed_at: now }
    }

    /// A later sight: only a changed record is a sign of life.
    pub fn observe(&mut self, record: LeaseRecord, now: Duration) {
        if self.record != record {
            self.record = record;
            self.changed_at = now;
        }
    }

    /// True while the last sign of life is younger than `duration`. A Lease without holder was given up: not alive.
    pub fn is_alive(&self, duration: Duration, now: Duration) -> bool {
        !self.record.holder.is_empty() && now.saturating_sub(self.changed_at) < duration
    }

    /// Who holds it.
    pub fn holder(&self) -> &str {
        &self.record.holder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn record(renewed: &str) -> LeaseRecord {
        LeaseRecord { holder: "tidegate-0".into(), renewed: renewed.into(), resource_version: "1".into() }
    }

    fn second(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_lease_lives_for_its_duration_after_each_change_that_was_seen() {
        let mut view = LeaseView::first_seen(record("1999-01-01"), second(100));
        assert!(view.is_alive(DURATION, second(114)), "its own times are not believed");
        assert!(!view.is_alive(DURATION, second(115)));
        view.observe(record("1999-01-01"), second(114));
        assert!(!view.is_alive(DURATION, second(115)), "the same record again is no sign of life");
        view.observe(record("1999-01-02"), second(116));
        assert!(view.is_alive(DURATION, second(130)));
    }

    #[test]
    fn a_lease_that_was_given_up_is_not_alive() {
        let given_up = LeaseRecord { holder: String::new(), ..record("x") };
        assert!(!LeaseView::first_seen(given_up, second(1)).is_alive(DURATION, second(1)));
    }
}
