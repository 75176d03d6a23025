//! How many generated cases a property looks at: a sample, or in `make test-full` all of them.

use std::io::Write as _;

use proptest::test_runner::Config;

/// What `TIDEGATE_TEST` says for all cases.
const FULL: &str = "full";

/// True where everything is to be looked at, however long it takes.
pub fn is_full() -> bool {
    std::env::var("TIDEGATE_TEST").as_deref() == Ok(FULL)
}

/// What a property samples, and what it looks at in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cases {
    /// In seconds, for every change.
    pub sample: u32,
    /// In minutes.
    pub full: u32,
}

impl Cases {
    /// What most properties look at.
    pub const USUAL: Self = Self { sample: 256, full: 4_096 };

    /// How many it is this time, said as `n of N` under the running test's name. `PROPTEST_CASES` beats `TIDEGATE_TEST`.
    pub fn count(self) -> u32 {
        let variable = |name: &str| std::env::var(name).ok();
        let count = self.choose(variable("TIDEGATE_TEST").as_deref(), variable("PROPTEST_CASES").as_deref());
        let test = std::thread::current().name().unwrap_or("a property").to_owned();
        // Past the harness, which keeps what a passing test prints to itself; a line that cannot be written is only not seen.
        let _ = writeln!(std::io::stderr(), "{test}: {count} of {} cases", self.full.max(count));
        count
    }

    /// The settings of a property.
    pub fn config(self) -> Config {
        Config { cases: self.count(), ..Config::default() }
    }

    fn choose(self, amount: Option<&str>, asked: Option<&str>) -> u32 {
        let Self { sample, full } = self;
        let asked = asked.and_then(|text| text.parse().ok());
        asked.unwrap_or(if amount == Some(FULL) { full } else { sample })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_taken_unless_somebody_asks_for_more() {
        let cases = Cases { sample: 10, full: 500 };
        assert_eq!(cases.choose(None, None), 10);
        assert_eq!(cases.choose(Some("sample"), None), 10);
        assert_eq!(cases.choose(Some("full"), None), 500);
        assert_eq!(cases.choose(Some("full"), Some("7")), 7);
        assert_eq!(cases.choose(None, Some("many")), 10);
    }
}
