//! Which records answer a question, and what ran at a time.

use jiff::Timestamp;

use super::app::AppName;
use super::record::{Kind, Record, Result as How, Times};
use super::state::State;
use crate::ids::EnvironmentName;

/// Which records are asked for; what is not given leaves all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this environment.
    pub env: Option<EnvironmentName>,
    /// About this workload: its whole name, or what stands behind its namespace.
    pub app: Option<String>,
    /// Over at this time or later.
    pub since: Option<Timestamp>,
    /// Over at this time or earlier.
    pub until: Option<Timestamp>,
    /// That ended so.
    pub result: Option<How>,
    /// Of this sort.
    pub kind: Option<Kind>,
    /// Of this commit, or of one that it includes, by its first characters.
    pub commit: Option<String>,
}

impl Filter {
    /// True for the records that are asked for.
    pub fn takes(&self, record: &Record) -> bool {
        let Self { env, app, since, until, result, kind, commit } = self;
        let outcome = &record.outcome;
        let finished = outcome.times.finished;
        env.as_ref().is_none_or(|env| *env == record.env)
            && app.as_ref().is_none_or(|app| outcome.apps.iter().any(|change| is_called(&change.app, app)))
            && since.is_none_or(|since| finished >= since)
            && until.is_none_or(|until| finished <= until)
            && result.is_none_or(|result| outcome.result == result)
            && kind.is_none_or(|kind| outcome.kind == kind)
            && commit.as_ref().is_none_or(|commit| concerns(record, commit))
    }
}

/// `house-price` is `shop/house-price` too.
fn is_called(app: &AppName, asked: &str) -> bool {
    app.as_str() == asked || app.name() == asked
}

fn concerns(record: &Record, commit: &str) -> bool {
    let outcome = &record.outcome;
    let own = outcome.source.iter().map(|source| source.commit.as_str());
    let skipped = outcome.includes.items.iter().map(|included| included.commit.as_str());
    let asked = outcome.apps.iter().filter_map(|change| change.to.as_ref()).map(|to| to.commit.as_str());
    own.chain(skipped).chain(asked).any(|known| known.starts_with(commit))
}

/// What ran at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct At {
    /// What ran.
    pub state: State,
    /// The last record that was over.
    pub last: Option<Record>,
    /// Records that were under way: begun, and not over.
    pub under_way: Vec<Record>,
}

impl At {
    /// What followed from these records (in their order) at this time. A record counts from when traffic moved, also one that was
    /// taken back later.
    pub fn of(records: impl IntoIterator<Item = Record>, time: Timestamp) -> Result<Self, serde_json::Error> {
        let mut at = Self::default();
        for record in records {
            at.take(record, time)?;
        }
        Ok(at)
    }

    /// What followed from a log that ends with this record, all of it over at the time that is asked for.
    pub fn behind(state: State, last: Record) -> Self {
        Self { state, last: Some(last), under_way: Vec::new() }
    }

    /// True for the times of a record that [`At::take`] does not pass over.
    pub fn regards(times: &Times, time: Timestamp) -> bool {
        let begun = [times.started, times.switched].into_iter().flatten();
        begun.chain([times.finished]).any(|at| at <= time)
    }

    /// Takes the next record in, in its order.
    pub fn take(&mut self, record: Record, time: Timestamp) -> Result<(), serde_json::Error> {
        let times = &record.outcome.times;
        let is_over = times.finished <= time;
        let has_moved = times.switched.is_some_and(|switched| switched <= time);
        if is_over {
            self.state.follow(&record)?;
        } else if has_moved {
            let results = [How::Succeeded, How::RolledBack];
            for change in &record.outcome.apps {
                if results.contains(&change.result.unwrap_or(record.outcome.result)) {
                    self.state.put(change, &record)?;
                }
            }
        }
        if is_over {
            self.last = Some(record);
        } else if Self::regards(times, time) {
            self.under_way.push(record);
        }
        Ok(())
    }
}
