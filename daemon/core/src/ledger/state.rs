//! What runs, as it follows from records: one file for each workload in the tree of the log, so that `git show BRANCH:state/api.json`
//! answers without a tool. The tree holds nothing that does not follow from the records; `verify` asks for that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::app::{AppName, Running};
use super::id::RecordId;
use super::record::{Record, Result as How};

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

impl State {
    /// Every workload that runs.
    pub fn apps(&self) -> impl Iterator<Item = &AppState> {
        self.0.values()
    }

    /// What runs of one.
    pub fn get(&self, app: &AppName) -> Option<&AppState> {
        self.0.get(app)
    }

    /// Takes a record in, and says which files of the tree it changes. Only what succeeded changes what runs; after anything else
    /// what was before still does.
    pub fn follow(&mut self, record: &Record) -> Result<Vec<FileChange>, serde_json::Error> {
        let outcome = &record.outcome;
        match outcome.result {
            How::Succeeded => {}
            How::Failed | How::RolledBack | How::Superseded | How::Unknown => return Ok(Vec::new()),
        }
        let mut changes = Vec::with_capacity(outcome.apps.len());
        for change in &outcome.apps {
            let path = change.app.state_path();
            let Some(to) = &change.to else {
                if self.0.remove(&change.app).is_some() {
                    changes.push(FileChange { path, text: None });
                }
                continue;
            };
            let state = AppState {
                app: change.app.clone(),
                running: to.clone(),
                record: record.id,
                seq: record.seq,
                since: outcome.times.switched.unwrap_or(outcome.times.finished),
            };
            changes.push(FileChange { path, text: Some(state.text()?) });
            self.0.insert(change.app.clone(), state);
        }
        Ok(changes)
    }
}
