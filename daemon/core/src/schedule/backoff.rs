//! How long to wait before the next attempt.

use std::time::Duration;

/// An exponential back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub base: Duration,
    /// The longest delay.
    pub cap: Duration,
}

impl Backoff {
    /// The delay before the next attempt after `failures` failures in a row: doubled with each, capped, then shortened by
    /// up to half of it by `jitter` (0 to 1, from the shell), so that many do not try at once.
    pub fn delay(self, failures: u32, jitter: f64) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let doublings = (failures - 1).min(31);
        let full = self.base.saturating_mul(1u32 << doublings).min(self.cap);
        full.mul_f64(1.0 - unit(jitter) / 2.0)
    }
}

/// A poll interval lengthened or shortened by up to a tenth; `jitter` is 0 to 1, from the shell.
pub fn jittered(interval: Duration, jitter: f64) -> Duration {
    interval.mul_f64(0.9 + unit(jitter) / 5.0)
}

/// Anything that is not a number between 0 and 1 counts as the nearest of them (NaN as 0).
fn unit(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };

    #[test]
    fn the_delay_doubles_up_to_its_cap() {
        let seconds: Vec<u64> = (0..9).map(|failures| BACKOFF.delay(failures, 0.0).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(BACKOFF.delay(u32::MAX, 0.0), BACKOFF.cap);
    }

    #[test]
    fn jitter_takes_away_up_to_half() {
        assert_eq!(BACKOFF.delay(3, 1.0), Duration::from_secs(2));
        assert_eq!(BACKOFF.delay(3, f64::NAN), Duration::from_secs(4));
        assert_eq!(BACKOFF.delay(3, 77.0), Duration::from_secs(2));
    }

    #[test]
    fn polls_are_spread_by_a_tenth() {
        let poll = Duration::from_secs(10);
        assert_eq!(jittered(poll, 0.0), Duration::from_secs(9));
        assert_eq!(jittered(poll, 1.0), Duration::from_secs(11));
    }
}
