//! What `up` says while it works: one line for each step, on standard error, so that standard output stays
//! for results. Plain lines on and off a terminal.

use std::time::{Duration, Instant};

/// One line about what happens now.
pub fn say(line: &str) {
    eprintln!("local-cluster: {line}");
}

/// A step with a known place among several: "building etcd (2 of 5)".
#[derive(Debug)]
pub struct Step {
    title: String,
    started: Instant,
    last_said: Instant,
}

impl Step {
    pub fn start(title: impl Into<String>) -> Self {
        let now = Instant::now();
        let step = Self { title: title.into(), started: now, last_said: now };
        say(&step.title);
        step
    }

    /// Says every `interval` that the step still goes on.
    pub fn still(&mut self, interval: Duration) {
        if self.last_said.elapsed() >= interval {
            self.last_said = Instant::now();
            say(&format!("{}, {} s so far", self.title, self.started.elapsed().as_secs()));
        }
    }

    pub fn done(self) {
        say(&format!("{}: done in {:.1} s", self.title, self.started.elapsed().as_secs_f64()));
    }
}
