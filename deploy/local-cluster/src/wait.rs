//! Waiting for something to become true, never without a named limit.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A limit and what it is for, which the error names.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub what: &'static str,
    pub longest: Duration,
    pub interval: Duration,
}

impl Limit {
    pub const fn new(what: &'static str, seconds: u64, interval_milliseconds: u64) -> Self {
        Self {
            what,
            longest: Duration::from_secs(seconds),
            interval: Duration::from_millis(interval_milliseconds),
        }
    }

    /// Asks again and again until there is a value; the last reason for its absence is in the error.
    pub fn wait<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let started = Instant::now();
        loop {
            let reason = match attempt() {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => "not yet".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if started.elapsed() >= self.longest {
                bail!("{} took longer than {} s: {reason}", self.what, self.longest.as_secs());
            }
            sleep(self.interval);
        }
    }
}
