//! `tidegate log`: what was changed, by the deploy log; all of it, or what is asked for. The newest first, across all logs.
//!
//! Records are printed as they are read: a log of any length takes no memory, and `--since` ends the reading.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use gix::ObjectId;
use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_core::ledger::{Filter, Kind, Record, Result as How};
use tidegate_core::review::visible::visible;

use super::exit::{Exit, Failure};
use super::ledger::{Ledger, complaint, csv, in_time, moment, sheet, title, unreadable};
use super::options::{Global, escaped, print};
use super::style::{Format, terminal_width};
use crate::ledger::{Back, Log, Step, Store, StoreError};

/// So much is collected before it is printed.
const CHUNK_BYTES: usize = 65_536;

/// What `--help` says of how it exits.
const EXITS: &str = "Reads a clone, without a cluster or a daemon: the one that we are in, or what --repo names.
`tidegate verify` says whether the log is what was written.

Times: `2026-09-03 14:00`, `2026-09-03T14:00Z`, `2026-09-03 14:00 Europe/Berlin`, `yesterday`, `monday`, `2h`, `3 days ago`

Exit codes:
  0   shown, also where no record answers
  2   there is no log of that environment
  5   there is no clone, no log in it, or it cannot be read
  64  wrong usage, e.g. a time that is none";

/// Which records.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub struct LogArgs {
    /// Only of this environment; CLUSTER/ENVIRONMENT where several clusters have one of that name
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<String>,
    /// Only about this workload: `api` or `shop/api`
    #[arg(long, value_name = "WORKLOAD")]
    pub app: Option<String>,
    /// Only what ended then or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only what ended then or earlier
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only what ended so: succeeded, failed, rolled_back, superseded, unknown
    #[arg(long, value_parser = result)]
    pub result: Option<How>,
    /// Only of this sort: deploy, rollback, model, drift, prune, config, break_glass, interrupted, ledger_gap
    #[arg(long, value_parser = kind)]
    pub kind: Option<Kind>,
    /// Only of this commit of the source repository, or what brought it in: its id, the first characters of it, or, where this
    /// clone has that commit, a branch or tag
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<String>,
    /// At most so many, the newest
    #[arg(long, short = 'n', value_name = "NUMBER")]
    pub limit: Option<usize>,
}

fn result(text: &str) -> Result<How, String> {
    let wanted = text.to_ascii_lowercase().replace(['-', ' '], "_");
    let known = How::ALL.map(How::as_str).join(", ");
    How::ALL.into_iter().find(|how| how.as_str() == wanted).ok_or_else(|| format!("it is one of {known}"))
}

fn kind(text: &str) -> Result<Kind, String> {
    let wanted = text.to_ascii_lowercase().replace(['-', ' '], "_");
    let known = Kind::ALL.map(Kind::as_str).join(", ");
    Kind::ALL.into_iter().find(|kind| kind.as_str() == wanted).ok_or_else(|| format!("it is one of {known}"))
}

/// A record, and where it stands.
pub struct Row<'a> {
    /// Its log.
    pub log: &'a Log,
    /// Its commit in the log.
    pub commit: ObjectId,
    /// The record.
    pub record: Record,
}

/// Prints them.
pub async fn run(global: &Global, args: LogArgs) -> Result<Exit, Failure> {
    let since = args.since.as_deref().map(|text| moment(global, "--since", text)).transpose()?;
    let until = args.until.as_deref().map(|text| moment(global, "--until", text)).transpose()?;
    let (since, until) = (since.map(|since| since.begin), until.map(|until| until.end));
    if since.zip(until).is_some_and(|(since, until)| since > until) {
        let what = "--since is later than --until, so that nothing lies between them";
        return Err(complaint(global.error_style(), Exit::Usage, what, &[], "swap them"));
    }
    in_time(global, move |global| read(global, &args, since, until)).await
}

fn read(
    global: &Global,
    args: &LogArgs,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Exit, Failure> {
    let clone = Ledger::open(global)?;
    let logs = clone.select(global, args.env.as_deref())?;
    let commit = args.commit.as_deref().map(|text| commit(global, &clone.store, text)).transpose()?;
    let filter = Filter {
        env: None,
        app: args.app.clone(),
        since,
        until,
        result: args.result,
        kind: args.kind,
        commit,
    };
    let mut printer = Printer::begin(global);
    let style = global.error_style();
    let broken = |error: StoreError| unreadable(style, &error);
    let limit = args.limit.unwrap_or(usize::MAX);
    let mut merged = Merged::of(&clone.store, &logs, filter.since).map_err(broken)?;
    while printer.count < limit {
        let Some((log, step)) = merged.next().map_err(broken)? else { break };
        if step.glance().is_some_and(|glance| !lies_within(&filter, glance.times.finished)) {
            continue;
        }
        let record = step.told().map_err(broken)?.record;
        if filter.takes(&record) {
            printer.row(&Row { log, commit: step.id, record });
        }
    }
    let count = printer.end();
    if count == 0 && global.output == Format::Text {
        let known: Vec<String> = logs.iter().map(|log| title(log)).collect();
        global.say(&format!("no record of {} answers that", known.join(", ")));
    }
    Ok(Exit::Ok)
}

fn lies_within(filter: &Filter, finished: Timestamp) -> bool {
    filter.since.is_none_or(|since| finished >= since) && filter.until.is_none_or(|until| finished <= until)
}

/// The beginning of a commit's id as it is, else what this clone knows by that name.
fn commit(global: &Global, store: &Store, text: &str) -> Result<String, Failure> {
    let lower = text.trim().to_ascii_lowercase();
    if (4..=64).contains(&lower.len()) && lower.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(lower);
    }
    store.commit(text).map(|id| id.to_string()).ok_or_else(|| {
        let what = format!("--commit: `{}` is no commit that this clone knows", visible(text));
        let help = "give its id, or at least four of its first characters";
        complaint(global.error_style(), Exit::Usage, &what, &[], help)
    })
}

/// Several logs as one, the newest commit first.
struct Merged<'a> {
    backs: Vec<(&'a Log, Back<'a>, Option<Step>)>,
    /// Of each log that is not at its end, the time of its next commit; of two of one time the log that stands first.
    heads: BinaryHeap<(i64, Reverse<usize>)>,
    since: Option<i64>,
}

impl<'a> Merged<'a> {
    fn of(store: &'a Store, logs: &[&'a Log], since: Option<Timestamp>) -> Result<Self, StoreError> {
        let mut merged =
            Self { backs: Vec::new(), heads: BinaryHeap::new(), since: since.map(Timestamp::as_second) };
        for (place, log) in logs.iter().enumerate() {
            merged.backs.push((log, store.back(log)?, None));
            merged.advance(place)?;
        }
        Ok(merged)
    }

    /// Reads the next commit of a log, unless it and all before it are too old.
    fn advance(&mut self, place: usize) -> Result<(), StoreError> {
        let Some((_, back, head)) = self.backs.get_mut(place) else { return Ok(()) };
        let Some(step) = back.next().transpose()? else { return Ok(()) };
        let seconds = step.committer_seconds()?;
        if self.since.is_none_or(|since| seconds >= since) {
            *head = Some(step);
            self.heads.push((seconds, Reverse(place)));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(&'a Log, Step)>, StoreError> {
        let Some((_, Reverse(place))) = self.heads.pop() else { return Ok(None) };
        let Some((log, _, head)) = self.backs.get_mut(place) else { return Ok(None) };
        let found = head.take().map(|step| (*log, step));
        self.advance(place)?;
        Ok(found)
    }
}

/// Prints one record after another.
struct Printer<'a> {
    global: &'a Global,
    width: Option<usize>,
    open: String,
    count: usize,
}

impl<'a> Printer<'a> {
    fn begin(global: &'a Global) -> Self {
        let open = match global.output {
            Format::Text | Format::Jsonl => String::new(),
            Format::Csv => csv::line(&sheet::COLUMNS.map(str::to_owned)),
            Format::Json => "{\"schema\":\"tidegate.log/v1\",\"records\":[".to_owned(),
            Format::Yaml => "schema: tidegate.log/v1\nrecords:".to_owned(),
        };
        Self { global, width: terminal_width(), open, count: 0 }
    }

    fn row(&mut self, row: &Row<'_>) {
        let is_first = self.count == 0;
        self.count += 1;
        let style = self.global.style();
        match self.global.output {
            Format::Text => {
                let heading = if is_first { sheet::heading() } else { String::new() };
                let line = sheet::table_line(row, style, self.width);
                self.open.push_str(&style.harmless(&format!("{heading}{line}")));
            }
            Format::Csv => self.open.push_str(&csv::line(&sheet::cells(row))),
            Format::Json => {
                let comma = if is_first { "\n" } else { ",\n" };
                self.open.push_str(&format!("{comma}{}", escaped(&data(row).to_string())));
            }
            Format::Jsonl => self.open.push_str(&format!("{}\n", escaped(&data(row).to_string()))),
            Format::Yaml => {
                let list = tidegate_core::render::value_to_yaml(&json!([data(row)]));
                self.open.push_str(&format!("{}{list}", if is_first { "\n" } else { "" }));
            }
        }
        if self.open.len() >= CHUNK_BYTES {
            print(&std::mem::take(&mut self.open));
        }
    }

    /// How many there were.
    fn end(mut self) -> usize {
        match (self.global.output, self.count) {
            (Format::Json, 0) => self.open.push_str("]}\n"),
            (Format::Json, _) => self.open.push_str("\n]}\n"),
            (Format::Yaml, 0) => self.open.push_str(" []\n"),
            (Format::Text | Format::Csv | Format::Jsonl | Format::Yaml, _) => {}
        }
        print(&self.open);
        self.count
    }
}

/// The record whole, and where it stands.
pub fn data(row: &Row<'_>) -> Value {
    json!({ "branch": row.log.branch.to_string(), "commit": row.commit.to_string(), "record": row.record })
}
