//! How a release behaves, from environment variables, so that a bad release can be played without another image.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// The environment variables of the process, read once.
#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// What the process was started with.
    pub fn of_process() -> Self {
        Self(std::env::vars().collect())
    }

    /// A variable's value; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable's value in its own type, or what holds when it is not set.
    pub fn parsed<T>(&self, name: &str, otherwise: T) -> anyhow::Result<T>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let Some(text) = self.get(name) else { return Ok(otherwise) };
        text.parse().with_context(|| format!("{name}={text} is not a value that {name} can have"))
    }

    /// A duration such as `250ms`, `3s` or `2m`, when the variable is set.
    pub fn duration(&self, name: &str) -> anyhow::Result<Option<Duration>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        duration(text)
            .map(Some)
            .with_context(|| format!("{name}={text} is not a duration such as 250ms, 3s or 2m"))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Variables {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse()?;
    match text.strip_prefix(digits) {
        Some("ms") => Ok(Duration::from_millis(number)),
        Some("s") => Ok(Duration::from_secs(number)),
        Some("m") => Ok(Duration::from_secs(number.saturating_mul(60))),
        unit => bail!("unknown unit {}", unit.unwrap_or_default()),
    }
}

/// What is answered instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// 200 with a page that is no JSON.
    Nonsense,
    /// 302 to the address where clouds keep the credentials of their machines.
    Metadata,
    /// 200 with 100 MB.
    Huge,
}

impl FromStr for Lie {
    type Err = std::io::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nonsense" => Ok(Self::Nonsense),
            "metadata" => Ok(Self::Metadata),
            "huge" => Ok(Self::Huge),
            _ => Err(std::io::Error::other("nonsense, metadata and huge are known")),
        }
    }
}

/// What the environment asks of this release.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// `VERSION`: baked into the image, and told in every answer (header `x-version`).
    pub version: String,
    /// `PORT`: where it listens.
    pub port: u16,
    /// `PREDICTION_OFFSET`: added to each prediction; a wrong model.
    pub prediction_offset: f64,
    /// `FAIL_RATE`: the share of requests (0 to 1) answered with 500; probes are spared.
    pub fail_rate: f64,
    /// `DELAY`: waited before each answer; probes are spared.
    pub delay: Duration,
    /// `LIE`: what each request is answered with; probes are spared.
    pub lie: Option<Lie>,
    /// `NOT_READY=true`: never becomes ready.
    pub not_ready: bool,
    /// `CRASH_AFTER`: ends with an error that long after the start.
    pub crash_after: Option<Duration>,
}

impl Behaviour {
    /// Reads and checks the variables; says which one is wrong.
    pub fn from_variables(variables: &Variables) -> anyhow::Result<Self> {
        let fail_rate = variables.parsed("FAIL_RATE", 0.0)?;
        if !(0.0..=1.0).contains(&fail_rate) {
            bail!("FAIL_RATE={fail_rate} is not between 0 and 1");
        }
        let prediction_offset: f64 = variables.parsed("PREDICTION_OFFSET", 0.0)?;
        if !prediction_offset.is_finite() {
            bail!("PREDICTION_OFFSET={prediction_offset} is not a finite number");
        }
        Ok(Self {
            version: variables.get("VERSION").unwrap_or("unknown").to_owned(),
            port: variables.parsed("PORT", 8080)?,
            prediction_offset,
            fail_rate,
            delay: variables.duration("DELAY")?.unwrap_or_default(),
            lie: variables.get("LIE").map(|_| variables.parsed("LIE", Lie::Nonsense)).transpose()?,
            not_ready: variables.parsed("NOT_READY", false)?,
            crash_after: variables.duration("CRASH_AFTER")?,
        })
    }

    /// True when the `n`th request (from 1) has to fail. Spread evenly and without chance: a rate of 0.25 fails each fourth.
    pub fn fails(&self, n: u64) -> bool {
        // Exact up to 2^52 requests, which no demo reaches.
        #[allow(clippy::cast_precision_loss)]
        let due = |n: u64| (n as f64 * self.fail_rate).floor();
        due(n) > due(n.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaviour(pairs: [(&str, &str); 1]) -> anyhow::Result<Behaviour> {
        Behaviour::from_variables(&Variables::from(pairs))
    }

    #[test]
    fn without_variables_a_release_is_good() {
        let good = Behaviour::from_variables(&Variables::default()).unwrap();
        assert!(!good.not_ready && good.crash_after.is_none() && good.delay.is_zero());
        assert!((1..1000).all(|n| !good.fails(n)));
    }

    #[test]
    fn a_fail_rate_fails_that_share_of_the_requests() {
        let bad = behaviour([("FAIL_RATE", "0.25")]).unwrap();
        assert_eq!((1..=1000).filter(|&n| bad.fails(n)).count(), 250);
        assert!((1..=100).all(|n| behaviour([("FAIL_RATE", "1")]).unwrap().fails(n)));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(behaviour([("DELAY", "250ms")]).unwrap().delay, Duration::from_millis(250));
        assert_eq!(behaviour([("CRASH_AFTER", "2m")]).unwrap().crash_after, Some(Duration::from_mins(2)));
        assert!(behaviour([("DELAY", "5")]).is_err());
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        for pair in [
            ("FAIL_RATE", "2"),
            ("FAIL_RATE", "x"),
            ("NOT_READY", "yes"),
            ("PORT", "http"),
            ("DELAY", "s"),
            ("LIE", "x"),
        ] {
            let message = format!("{:#}", behaviour([pair]).unwrap_err());
            assert!(message.starts_with(pair.0), "{message}");
        }
    }
}
