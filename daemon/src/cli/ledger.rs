//! What the commands share that ask the deploy log: the clone that holds it, which of its logs are meant, times, and complaints.
//!
//! Nothing here needs a cluster, a daemon or a network: a clone is read where it is, never written.

pub mod csv;
pub mod sheet;

use std::path::{Path, PathBuf};

use gix::ObjectId;
use jiff::{Timestamp, Zoned};
use tidegate_core::ledger::{Moment, parse_time};
use tidegate_core::review::visible::visible;

use super::exit::{Exit, Failure};
use super::options::{Given, Global};
use super::style::{Style, Tone};
use crate::ledger::{Log, Store, StoreError};

/// How to get a log that a clone lacks.
const FETCH: &str = "if it is kept in this repository, fetch it: \
    `git fetch origin 'refs/heads/deploylog/*:refs/remotes/origin/deploylog/*'`; \
    else clone the repository that it is kept in, and name the clone with --repo";

/// A clone with logs.
pub struct Ledger {
    /// The repository.
    pub store: Store,
    /// Its logs, at least one.
    pub logs: Vec<Log>,
}

impl Ledger {
    /// The clone that is named, else the one that we are in.
    pub fn open(global: &Global) -> Result<Self, Failure> {
        let style = global.error_style();
        let place = place(global);
        let shown = visible(&place.display().to_string());
        let store = Store::discover(&place).map_err(|error| {
            let help = if is_url(&shown) {
                "logs are read from a clone on this machine: `git clone --no-checkout URL`, then name its folder with --repo"
            } else {
                "go into a clone of the repository that the log is kept in, or name one with --repo"
            };
            complaint(style, Exit::OutOfReach, &chain(&error), &[], help)
        })?;
        let logs = store.logs().map_err(|error| unreadable(style, &error))?;
        if logs.is_empty() {
            let what = format!(
                "there is no deploy log in {shown}: it has no branch deploylog/CLUSTER/ENVIRONMENT/EPOCH"
            );
            return Err(complaint(style, Exit::OutOfReach, &what, &[], FETCH));
        }
        Ok(Self { store, logs })
    }

    /// The logs of an environment (`prod`, or `CLUSTER/prod` where several clusters have one of that name), or all.
    pub fn select(&self, global: &Global, environment: Option<&str>) -> Result<Vec<&Log>, Failure> {
        let Some(name) = environment else { return Ok(self.logs.iter().collect()) };
        let is_meant = |log: &&Log| match name.split_once('/') {
            Some((cluster, environment)) => {
                log.branch.cluster.as_str() == cluster && log.branch.environment.as_str() == environment
            }
            None => log.branch.environment.as_str() == name,
        };
        let meant: Vec<&Log> = self.logs.iter().filter(is_meant).collect();
        if meant.is_empty() {
            let known: Vec<String> = self.logs.iter().map(title).collect();
            let known = format!("there are logs of: {}", known.join(", "));
            let what = format!("there is no log of the environment `{}` in this clone", visible(name));
            let help = "fetch again if it is new: `git fetch`";
            return Err(complaint(global.error_style(), Exit::Invalid, &what, &[known], help));
        }
        Ok(meant)
    }
}

/// As in `plan`: what the flag names; the variable is there for the daemon's sake, and whoever stands in a clone means this one.
fn place(global: &Global) -> PathBuf {
    let here = Path::new(".");
    match (&global.repo, global.repo_given) {
        (Some(_), Given::Variable) if Store::discover(here).is_ok() => here.to_owned(),
        (Some(repo), Given::Variable | Given::Flag | Given::Nowhere) => PathBuf::from(repo),
        (None, _) => here.to_owned(),
    }
}

fn is_url(text: &str) -> bool {
    text.contains("://") || text.split_once(':').is_some_and(|(host, _)| host.contains('@'))
}

/// `prod in prod-eks`.
pub fn title(log: &Log) -> String {
    format!("{} in {}", log.branch.environment, log.branch.cluster)
}

/// Reads where blocking is no harm, within the time that the command may take.
pub async fn in_time<T: Send + 'static>(
    global: &Global,
    ask: impl FnOnce(&Global) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let own = global.clone();
    let reading = tokio::task::spawn_blocking(move || ask(&own));
    match tokio::time::timeout(global.timeout, reading).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Failure::new(Exit::OutOfReach, "reading the log crashed")),
        Err(_) => Err(Failure::new(
            Exit::TimedOut,
            "the log could not be read in time; --timeout allows more, --since and --env ask for less",
        )),
    }
}

/// The time that a flag names, seen from now and from the time zone of this machine.
pub fn moment(global: &Global, flag: &str, text: &str) -> Result<Moment, Failure> {
    parse_time(text, &Zoned::now()).map_err(|why| {
        let help = "without a zone a time is one of this machine's; `2026-09-03 14:00 UTC` and `… Europe/Berlin` name theirs";
        complaint(global.error_style(), Exit::Usage, &format!("{flag}: {}", visible(&why.to_string())), &[], help)
    })
}

/// `2026-09-03 02:00:11Z`: in UTC, whoever reads it.
pub fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The first twelve digits of a commit of the log: enough to be found again in any of them.
pub fn brief(id: ObjectId) -> String {
    id.to_hex_with_len(12).to_string()
}

/// Something that cannot be answered: what, what is to be known of it, what to do.
pub fn complaint(style: Style, exit: Exit, what: &str, notes: &[String], help: &str) -> Failure {
    let mut text = format!("{}: {what}\n", style.paint(Tone::Bad, "error"));
    for note in notes {
        text.push_str(&format!("  = {note}\n"));
    }
    text.push_str(&format!("  {}: {help}\n", style.paint(Tone::Strong, "help")));
    Failure::new(exit, text)
}

/// What is said where a clone cannot be read.
pub fn unreadable(style: Style, error: &StoreError) -> Failure {
    let help = "`tidegate verify` names the first record that is not as it was written; `git fsck` says whether the clone is whole, which is made anew \
                where it is not";
    complaint(style, Exit::OutOfReach, &chain(error), &[], help)
}

/// An error with everything that led to it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = visible(&error.to_string());
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {}", visible(&cause.to_string())));
        source = cause.source();
    }
    text
}
