//! `tidegate show ID`: one record of the deploy log, with everything that it says.

mod text;

use serde_json::Value;
use tidegate_core::ledger::{line, summary};
use tidegate_core::render::value_to_yaml;
use tidegate_core::review::visible::visible;

use super::exit::{Exit, Failure};
use super::ledger::{Ledger, brief, complaint, in_time, title, unreadable, utc};
use super::options::{Global, escaped, print};
use super::style::Format;
use crate::ledger::{Hit, Hits, find, signer_of};

/// What `--help` says of how it exits.
const EXITS: &str = "Reads a clone, without a cluster or a daemon: the one that we are in, or what --repo names.
-o json prints the record as it stands in its commit: one line, the one that the next record names by its digest.

Exit codes:
  0   shown
  2   there is no such record, or no log of that environment
  5   there is no clone, no log in it, or it cannot be read
  64  wrong usage, or several records are called so";

/// Which record.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub struct ShowArgs {
    /// Its id, its commit in the log, the first characters of either, or its number (`#17`)
    pub id: String,
    /// Only of this environment; CLUSTER/ENVIRONMENT where several clusters have one of that name
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<String>,
}

/// Finds it and prints it.
pub async fn run(global: &Global, args: ShowArgs) -> Result<Exit, Failure> {
    in_time(global, move |global| show(global, &args)).await
}

fn show(global: &Global, args: &ShowArgs) -> Result<Exit, Failure> {
    let clone = Ledger::open(global)?;
    let style = global.error_style();
    let logs = clone.select(global, args.env.as_deref())?;
    let Hits { hits, total } =
        find(&clone.store, &logs, &args.id).map_err(|error| unreadable(style, &error))?;
    let titles: Vec<String> = logs.iter().map(|log| title(log)).collect();
    let [Hit { log, commit, record }] = hits.as_slice() else {
        return Err(not_one(global, &args.id, &hits, total, &titles));
    };
    let Some(log) = logs.get(*log) else { return Err(not_one(global, &args.id, &[], 0, &titles)) };
    let said = line(record).map_err(|error| Failure::new(Exit::OutOfReach, error.to_string()))?;
    match global.output {
        Format::Json | Format::Jsonl => print(&format!("{}\n", escaped(&said))),
        Format::Yaml => {
            let value: Value = serde_json::from_str(&said).unwrap_or_default();
            print(&value_to_yaml(&value));
        }
        Format::Text | Format::Csv => {
            let signer = signer_of(&clone.store, *commit).map_err(|error| unreadable(style, &error))?;
            let place = text::Place { branch: &log.branch, commit: *commit, signer };
            global.print(&text::text(record, &place, global.style()), &Value::Null);
        }
    }
    Ok(Exit::Ok)
}

fn not_one(global: &Global, asked: &str, hits: &[Hit], total: usize, logs: &[String]) -> Failure {
    let style = global.error_style();
    let asked = visible(asked);
    if total == 0 {
        let what = format!("no record of {} is called `{asked}`", logs.join(", "));
        let help = "`tidegate log` lists them; fetch again if it is new: `git fetch`";
        return complaint(style, Exit::Invalid, &what, &[], help);
    }
    let one = |hit: &Hit| {
        let log = logs.get(hit.log).cloned().unwrap_or_default();
        let (id, seq, commit) = (hit.record.id, hit.record.seq, brief(hit.commit));
        let when = utc(hit.record.outcome.times.finished);
        format!("{id}  #{seq} of {log}  commit {commit}  {when}  {}", visible(&summary(&hit.record)))
    };
    let mut notes: Vec<String> = hits.iter().map(one).collect();
    if total > hits.len() {
        notes.push(format!("and {} more", total - hits.len()));
    }
    let what = format!("{total} records are called `{asked}`");
    complaint(style, Exit::Usage, &what, &notes, "give more of its id, or --env")
}
