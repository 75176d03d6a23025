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
