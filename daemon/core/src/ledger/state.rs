//! What runs, as it follows from records: one file for each workload in the tree of the log, so that `git show BRANCH:state/api.json`
//! answers without a tool. The tree holds nothing that does not follow from the records; `verify` asks for that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::app::{AppChange, AppName, Running};
use super::id::RecordId;
use super::record::{Kind, Outcome, Record, Result as How};

/// What runs of one workload, and by which record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppState {
    /// The workload.
    pub app: AppName,
    /// What runs.
    #[serde(flatten)]
    pub running: Running,
    /// The record that says so.
    pub record: RecordId,
    /// Its number.
    pub seq: u64,
    /// Since when: when traffic moved, or when it was over.
    pub since: Timestamp,
    /// A later record after which nobody knows whether it still does: of an end that is unknown, or of records that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<RecordId>,
}

impl AppState {
    /// The text of its file.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

/// What runs of each workload of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State(BTreeMap<AppName, AppState>);

/// A file of the tree that a record changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// Its text; none: it goes.
    pub text: Option<String>,
}

/// What files of a tree say, believed.
impl FromIterator<AppState> for State {
    fn from_iter<I: IntoIterator<Item = AppState>>(apps: I) -> Self {
        Self(apps.into_iter().map(|state| (state.app.clone(), state)).collect())
    }
}

impl State {
    /// Every workload that runs.
    pub fn apps(&self) -> impl Iterator<Item = &AppState> {
        self.0.values()
    }

    /// What runs of one.
    pub fn get(&self, app: &AppName) -> Option<&AppState> {
        self.0.get(app)
    }

    /// Fills in what ran before, where an outcome does not say so: what the log says of it.
    pub fn complete(&self, outcome: &mut Outcome) {
        for change in &mut outcome.apps {
            if change.from.is_none() {
                change.from = self.0.get(&change.app).map(|state| state.running.clone());
            }
        }
    }

    /// Takes a record in, and says which files of the tree it changes. Only what succeeded changes what runs; after anything else
    /// what was before still does, in doubt where nobody knows.
    pub fn follow(&mut self, record: &Record) -> Result<Vec<FileChange>, serde_json::Error> {
        let mut changes = Vec::new();
        if record.outcome.kind == Kind::LedgerGap {
            let all: Vec<AppName> = self.0.keys().cloned().collect();
            for app in all {
                changes.extend(self.doubt(&app, record)?);
            }
        }
        for change in &record.outcome.apps {
            match change.result.unwrap_or(record.outcome.result) {
                How::Succeeded => changes.extend(self.put(change, record)?),
                How::Unknown => changes.extend(self.doubt(&change.app, record)?),
                How::Failed | How::RolledBack | How::Superseded => {}
            }
        }
        Ok(changes)
    }

    /// What a record asked for runs, whatever came of it later.
    pub(super) fn put(
        &mut self,
        change: &AppChange,
        record: &Record,
    ) -> Result<Option<FileChange>, serde_json::Error> {
        let path = change.app.state_path();
        let Some(to) = &change.to else {
            let was = self.0.remove(&change.app);
            return Ok(was.map(|_| FileChange { path, text: None }));
        };
        let times = &record.outcome.times;
        let state = AppState {
            app: change.app.clone(),
            running: to.clone(),
            record: record.id,
            seq: record.seq,
            since: times.switched.unwrap_or(times.finished),
            doubt: None,
        };
        let text = Some(state.text()?);
        self.0.insert(change.app.clone(), state);
        Ok(Some(FileChange { path, text }))
    }

    fn doubt(&mut self, app: &AppName, record: &Record) -> Result<Option<FileChange>, serde_json::Error> {
        let Some(state) = self.0.get_mut(app) else { return Ok(None) };
        state.doubt = Some(record.id);
        Ok(Some(FileChange { path: app.state_path(), text: Some(state.text()?) }))
    }
}
