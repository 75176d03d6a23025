//! What runs of each cluster, from the records alone: works without root and when nothing answers.

use std::fmt;

use anyhow::Result;

use crate::process::Programs;
use crate::state::State;

/// One cluster with its programs.
#[derive(Debug)]
pub struct Status {
    pub name: String,
    pub index: Option<u8>,
    pub host: String,
    /// Each program with its process id if it runs.
    pub programs: Vec<(String, Option<i32>)>,
}

impl Status {
    pub fn is_whole(&self) -> bool {
        !self.programs.is_empty() && self.programs.iter().all(|(_, process)| process.is_some())
    }
}

/// All clusters of this machine, or the one of this name.
pub fn read(name: Option<&str>) -> Result<Vec<Status>> {
    State::all().iter().filter(|state| name.is_none_or(|name| name == state.name())).map(of).collect()
}

fn of(state: &State) -> Result<Status> {
    let programs = Programs::open(state.folder())?;
    let record = state.record();
    let host = record.as_ref().and_then(|record| record.slice().ok()).map(|slice| slice.host().to_string());
    let programs =
        programs.names().into_iter().map(|name| (name.clone(), programs.process_id(&name))).collect();
    Ok(Status {
        name: state.name().to_owned(),
        index: record.map(|record| record.index),
        host: host.unwrap_or_default(),
        programs,
    })
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, index, host, programs } = self;
        let index = index.map_or_else(|| "none".to_owned(), |index| index.to_string());
        let state = if self.is_whole() { "up" } else { "incomplete: `up` resumes it" };
        writeln!(out, "{name}: {state} (index {index}, host address {host})")?;
        for (program, process) in programs {
            match process {
                Some(process) => writeln!(out, "  {program}: process {process}")?,
                None => writeln!(out, "  {program}: not running")?,
            }
        }
        Ok(())
    }
}
