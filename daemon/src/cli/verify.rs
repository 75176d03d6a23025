//! `tidegate verify`: whether a deploy log is what was written, by any clone of it; where it is not, the first bad record.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use serde_json::{Value, json};
use tidegate_core::ledger::{Bad, Fault, Fingerprint, Trust};
use tidegate_core::review::visible::visible;

use super::exit::{Exit, Failure};
use super::ledger::{Ledger, brief, complaint, in_time, title, unreadable, utc};
use super::options::Global;
use super::style::{Style, Tone};
use crate::ledger::{Checked, Log, check, trusted};

/// No list of keys is longer.
const MAX_KEYS_BYTES: u64 = 1_048_576;
/// Shorter beginnings of a commit's id are none.
const SHORTEST: usize = 7;

/// What `--help` says of how it exits.
const EXITS: &str = "Reads a clone, without a cluster, a daemon or a network: the one that we are in, or what --repo names. Every record is held
against the one before it: its text, its number, its signature, its times, and the files that say what runs.

What a clone cannot say by itself: whose key it was signed with (--allowed-signers), and whether its end was cut off (--tip).

Exit codes:
  0   every log that was asked for is what was written
  2   there is no log of that environment, or the list of keys cannot be read
  5   there is no clone, no log in it, or it cannot be read; nothing was verified
  7   a log is not what was written: its first bad record is named
  64  wrong usage";

/// What is known from elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub struct VerifyArgs {
    /// Only this environment; CLUSTER/ENVIRONMENT where several clusters have one of that name [default: all]
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<String>,
    /// The keys that may sign: git's allowed signers file, a public key file, or fingerprints, one to a line
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// A commit that is known to belong to the log, noted at an earlier check: shows that its end was not cut off; may be repeated
    #[arg(long, value_name = "COMMIT", value_parser = commit)]
    pub tip: Vec<String>,
}

fn commit(text: &str) -> Result<String, String> {
    let lower = text.trim().to_ascii_lowercase();
    let valid = (SHORTEST..=64).contains(&lower.len()) && lower.chars().all(|c| c.is_ascii_hexdigit());
    if valid {
        Ok(lower)
    } else {
        Err(format!("give its id, or at least {SHORTEST} of its first characters"))
    }
}

/// What came of one log.
struct Judged<'a> {
    log: &'a Log,
    outcome: Result<Checked, Box<Bad>>,
}

/// Checks and prints.
pub async fn run(global: &Global, args: VerifyArgs) -> Result<Exit, Failure> {
    in_time(global, move |global| judge(global, &args)).await
}

fn judge(global: &Global, args: &VerifyArgs) -> Result<Exit, Failure> {
    let keys = args.allowed_signers.as_deref().map(|file| keys(global.error_style(), file)).transpose()?;
    let clone = Ledger::open(global)?;
    let logs = clone.select(global, args.env.as_deref())?;
    let (known, strange) = known(&clone, &logs, &args.tip);
    let mut judged = Vec::new();
    for (log, known) in logs.iter().zip(&known) {
        let trust = keys.clone().map_or(Trust::First, Trust::Keys);
        let outcome = check(&clone.store, log, trust, known);
        let outcome = outcome.map_err(|error| unreadable(global.error_style(), &error))?;
        if let Err(bad) = &outcome
            && clone.store.is_shallow()
            && matches!(bad.fault, Fault::Object(_))
        {
            // Nothing was altered as far as this goes: the clone was made without it.
            let what = format!("{} cannot be verified: {}", title(log), visible(&bad.fault.to_string()));
            let help = "fetch the rest: `git fetch --unshallow`";
            return Err(complaint(global.error_style(), Exit::OutOfReach, &what, &[], help));
        }
        judged.push(Judged { log, outcome });
    }
    let unproven = unproven(args);
    let all_well = judged.iter().all(|judged| judged.outcome.is_ok()) && strange.is_empty();
    let style = global.style();
    let mut text: String = judged.iter().map(|judged| lines(judged, style)).collect();
    for tip in &strange {
        text.push_str(&stranger(tip, style));
    }
    for line in unproven.iter().filter(|_| all_well) {
        text.push_str(&format!("not proven: {line}\n"));
    }
    let data = json!({
        "schema": "tidegate.verify/v1",
        "ok": all_well,
        "logs": judged.iter().map(data).collect::<Vec<_>>(),
        "missingTips": strange,
        "notProven": unproven,
    });
    global.print(&text, &data);
    Ok(if all_well { Exit::Ok } else { Exit::Altered })
}

fn keys(style: Style, file: &Path) -> Result<BTreeSet<Fingerprint>, Failure> {
    let shown = visible(&file.display().to_string());
    let wrong = |why: &str| {
        let help = "a line is `NAMES ssh-ed25519 AAAA…` as in git's allowed signers file, a public key, or `SHA256:…`";
        complaint(style, Exit::Invalid, &format!("--allowed-signers {shown}: {}", visible(why)), &[], help)
    };
    let size = std::fs::metadata(file).map_err(|error| wrong(&error.to_string()))?.len();
    if size > MAX_KEYS_BYTES {
        return Err(wrong(&format!("it has {size} bytes, and at most {MAX_KEYS_BYTES} are read")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error.to_string()))?;
    let keys = trusted(&text).map_err(|error| wrong(&error.to_string()))?;
    if keys.is_empty() { Err(wrong("there is no key in it")) } else { Ok(keys) }
}

/// The known commits of each log, and those that belong to none. Of several logs a commit's own record says which one it claims.
fn known(clone: &Ledger, logs: &[&Log], tips: &[String]) -> (Vec<Vec<ObjectId>>, Vec<String>) {
    let mut known = vec![Vec::new(); logs.len()];
    let mut strange = Vec::new();
    for tip in tips {
        let found = clone.store.commit(tip);
        let record = found.and_then(|id| clone.store.told(id).ok()).map(|(told, _)| told.record);
        let claims = |log: &&&Log| {
            record.as_ref().is_some_and(|record| {
                record.env == log.branch.environment && record.cluster.name == log.branch.cluster.as_str()
            })
        };
        let place = logs.iter().position(|log| claims(&log));
        match (found, place.and_then(|place| known.get_mut(place))) {
            (Some(id), Some(known)) => known.push(id),
            (Some(_) | None, _) => strange.push(tip.clone()),
        }
    }
    (known, strange)
}

/// What this check cannot show.
fn unproven(args: &VerifyArgs) -> Vec<String> {
    let mut lines = Vec::new();
    if args.allowed_signers.is_none() {
        lines.push(
            "whose key it is; one hand has signed all of a log, whoever that is. Name the daemon's public key with --allowed-signers FILE"
                .to_owned(),
        );
    }
    if args.tip.is_empty() {
        lines.push(
            "that nothing was cut off at the end. Name the last commit of an earlier check with --tip COMMIT, and keep the one above for the next"
                .to_owned(),
        );
    }
    lines
}

fn lines(judged: &Judged<'_>, style: Style) -> String {
    let title = title(judged.log);
    match &judged.outcome {
        Ok(checked) => {
            let Checked { records, tip, last, keys, state: _, foreign } = checked;
            let mut text = format!(
                "{} {title}: {records} records are what was written\n",
                style.paint(Tone::Good, style.pick("✔", "ok"))
            );
            if let (Some(tip), Some(last)) = (tip, last) {
                let when = utc(last.outcome.times.finished);
                text.push_str(&format!("  last: record #{} of {when}, commit {tip}\n", last.seq));
            }
            for key in keys {
                text.push_str(&format!("  signed by {key}\n"));
            }
            for (branch, newest) in foreign {
                text.push_str(&format!(
                    "  {} {branch} has commits of somebody else, the newest {}; none of them is part of the log\n",
                    style.paint(Tone::Notice, "note:"),
                    brief(*newest)
                ));
            }
            text
        }
        Err(bad) => format!(
            "{} {title}: {}\n  commit {} on {}\n  {}: {}\n",
            style.paint(Tone::Bad, style.pick("✖", "x")),
            visible(&bad.to_string()),
            visible(&bad.commit),
            judged.log.branch,
            style.paint(Tone::Strong, "help"),
            help(&bad.fault)
        ),
    }
}

fn stranger(tip: &str, style: Style) -> String {
    let what = "is known to belong to a log, and is part of none of these: an end was cut off or replaced, or the clone is older than it";
    format!(
        "{} the commit {tip} {what}\n  {}: {}\n",
        style.paint(Tone::Bad, style.pick("✖", "x")),
        style.paint(Tone::Strong, "help"),
        help(&Fault::Cut(tip.to_owned()))
    )
}

/// What to do.
fn help(fault: &Fault) -> &'static str {
    match fault {
        Fault::Object(_) => {
            "make the clone anew; if it says the same, the repository that it is from is damaged, and an older clone may still have the log whole"
        }
        Fault::Stranger(_) => {
            "ask who runs the daemon for its public key; if the key is theirs, name it in --allowed-signers, else somebody else wrote this record"
        }
        Fault::Cut(_) => {
            "fetch again; if it says the same, ask who can push to the repository of the log, and look for the commit in other clones of it"
        }
        Fault::Epoch | Fault::Fork(_) => {
            "fetch again with `--prune`; if it says the same, ask who can push to the repository of the log: two ends of it were signed"
        }
        Fault::Message(_)
        | Fault::Unsigned
        | Fault::Signature(_)
        | Fault::Parent
        | Fault::Number { .. }
        | Fault::Previous
        | Fault::Elsewhere(_)
        | Fault::Twice
        | Fault::Times
        | Fault::Tree => {
            "rely on nothing from this record on; ask who can push to the repository of the log, and compare with an older clone"
        }
    }
}

fn data(judged: &Judged<'_>) -> Value {
    let branch = &judged.log.branch;
    let mut data = json!({
        "environment": branch.environment, "cluster": branch.cluster.as_str(), "branch": branch.to_string(),
    });
    let more = match &judged.outcome {
        Ok(Checked { records, tip, last, keys, state: _, foreign }) => json!({
            "ok": true,
            "records": records,
            "tip": tip.map(|tip| tip.to_string()),
            "lastRecord": last.as_ref().map(|last| json!({
                "id": last.id, "seq": last.seq, "finished": last.outcome.times.finished,
            })),
            "keys": keys.iter().map(|key| &key.0).collect::<Vec<_>>(),
            "foreign": foreign.iter().map(|(branch, newest)| json!({
                "branch": branch.to_string(), "commit": newest.to_string(),
            })).collect::<Vec<_>>(),
        }),
        Err(bad) => json!({
            "ok": false,
            "bad": {
                "seq": bad.seq, "commit": bad.commit, "reason": bad.fault.to_string(), "help": help(&bad.fault),
            },
        }),
    };
    if let (Some(fields), Value::Object(more)) = (data.as_object_mut(), more) {
        fields.extend(more);
    }
    data
}
