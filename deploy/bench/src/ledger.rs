//! P11: a log of many records. How long one takes to be appended, how large a clone is, how long it takes to check the clone whole
//! and to say what ran in the middle of its time.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use tidegate::ledger::{Pen, SigningKey, Store, at, check};
use tidegate_core::ledger::{
    Actor, AppChange, AppName, Capped, ClusterName, GateAnswer, Image, Kind, ObjectOperation, Operation,
    Outcome, RecordId, Result as How, Running, Source, Times, Trust, Verified,
};
use tidegate_core::object::{Gvk, ObjectRef};
use tidegate_core::rollout::Verdict;

use crate::options::Options;
use crate::table::{Table, millis, number, percentile};

/// Workloads of the environment.
const APPS: u32 = 20;
/// A record every ten minutes: 50,000 are a year.
const EVERY: i64 = 600;
const FIRST: i64 = 1_750_000_000;

/// Writes, clones, checks and asks.
pub fn measure(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.git");
    git(folder.path(), &["init", "--quiet", "--bare", "log.git"])?;
    let (key, trust) = key(folder.path())?;
    let appended = write(&log, &key, options.records)?;
    git(folder.path(), &["clone", "--quiet", "--bare", &format!("file://{}", log.display()), "clone.git"])?;
    let clone = folder.path().join("clone.git");
    let begun = Instant::now();
    let store = Store::open(&clone)?;
    let log = store.logs()?.pop().context("a log")?;
    let checked = check(&store, &log, trust, &[])?.map_err(|bad| anyhow::anyhow!("{bad}"))?;
    let verify = begun.elapsed().as_secs_f64();
    anyhow::ensure!(
        checked.records == u64::from(options.records),
        "{} records were checked",
        checked.records
    );
    let middle = Timestamp::from_second(FIRST + EVERY * i64::from(options.records) / 2)?;
    let begun = Instant::now();
    let store = Store::open(&clone)?;
    let log = store.logs()?.pop().context("a log")?;
    let ran = at(&store, &log, middle)?.at.state;
    let asked = begun.elapsed().as_secs_f64();
    anyhow::ensure!(ran.apps().count() == APPS as usize, "{} workloads ran", ran.apps().count());
    let mut table = Table::new(
        format!("P11: a log of {} records", options.records),
        &["append p50", "append p99", "clone MiB", "verify s", "at s"],
    );
    table.row([
        millis(percentile(&appended, 0.5)),
        millis(percentile(&appended, 0.99)),
        number(size(&clone)?),
        number(verify),
        number(asked),
    ]);
    table.print();
    Ok(())
}

/// The time of each append, in seconds.
fn write(log: &Path, key: &SigningKey, records: u32) -> Result<Vec<f64>> {
    let store = Store::open(log)?;
    let cluster = ClusterName { name: "bench".to_owned(), uid: None, arn: None };
    let mut pen = Pen::take(&store, "deploylog/bench/production/0".parse()?, cluster)?;
    let mut times = Vec::new();
    for number in 0..records {
        let outcome = outcome(number)?;
        let id = RecordId::new(outcome.times.finished, [0; 10]);
        let begun = Instant::now();
        pen.append(&store, key, id, outcome)?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// A release of one workload with its gates, as a daemon would tell it.
fn outcome(number: u32) -> Result<Outcome> {
    let finished = Timestamp::from_second(FIRST + EVERY * i64::from(number))?;
    let started = Timestamp::from_second(finished.as_second() - 300)?;
    let name = format!("app-{:02}", number % APPS);
    let app: AppName = format!("production/{name}").try_into()?;
    let running = |number: u32| Running {
        commit: format!("{number:040x}"),
        revision: Some(format!("{number:032x}")),
        images: BTreeMap::from([(
            "main".to_owned(),
            Image {
                name: format!("registry.example/shop/{name}:1.{number}.0"),
                digest: Some(format!("sha256:{number:064x}")),
            },
        )]),
        model: None,
    };
    Ok(Outcome {
        kind: Kind::Deploy,
        result: How::Succeeded,
        code: None,
        reason: "all gates have passed; the bake closes".to_owned(),
        part: None,
        apps: vec![AppChange {
            app,
            from: number.checked_sub(APPS).map(running),
            to: Some(running(number)),
            result: None,
        }],
        source: Some(Source {
            repo: "https://git.example/shop.git".to_owned(),
            commit: format!("{number:040x}"),
            subject: format!("{name}: version 1.{number}.0"),
            tree: None,
            path: "environments/production".to_owned(),
            signer: None,
            verified: Verified::NotChecked,
        }),
        change: None,
        order: None,
        plan: None,
        includes: Capped::default(),
        objects: Capped::all((0..6).map(|object| operation(&name, number, object)).collect()),
        policy: None,
        gates: Capped::all((0..5).map(|number| gate(&name, number, (started, finished))).collect()),
        traffic: Capped::default(),
        repairs: Capped::default(),
        gap: None,
        evidence: Capped::default(),
        actor: Actor { version: "0.1.0".to_owned(), replica: "bench".to_owned(), image: None },
        times: Times {
            committed: None,
            merged: None,
            seen: None,
            started: Some(started),
            switched: None,
            finished,
            recorded: finished,
        },
    })
}

fn gate(name: &str, number: u32, (started, finished): (Timestamp, Timestamp)) -> GateAnswer {
    GateAnswer {
        name: format!("gate-{number}"),
        app: None,
        stage: if number < 3 { "beforeSwitch" } else { "whileBaking" }.to_owned(),
        result: Verdict::Pass,
        n: 240,
        value: Some("0.0012".to_owned()),
        threshold: Some("at most 0.01".to_owned()),
        query: Some(format!("sum(rate(http_requests_total{{app=\"{name}\",code=~\"5..\"}}[1m]))")),
        summary: "240 of 240 samples were within the bound".to_owned(),
        t0: started,
        t1: finished,
    }
}

fn operation(name: &str, number: u32, object: u32) -> ObjectOperation {
    ObjectOperation {
        object: ObjectRef {
            gvk: Gvk { group: "apps".to_owned(), version: "v1".to_owned(), kind: "Deployment".to_owned() },
            namespace: Some("production".to_owned()),
            name: format!("{name}-{object}"),
        },
        uid: Some(format!("{object:08}-0000-4000-8000-{number:012}")),
        op: Operation::Change,
        fields: Capped::all(vec![format!("spec.template.spec.containers[main].image: 1.{number}.0")]),
        times: 1,
    }
}

fn key(folder: &Path) -> Result<(SigningKey, Trust)> {
    let file = folder.join("key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status()?;
    anyhow::ensure!(made.success(), "ssh-keygen made no key");
    let key = SigningKey::read(&std::fs::read_to_string(&file)?)?;
    let trust = Trust::Keys([key.fingerprint()].into());
    Ok((key, trust))
}

fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new("git").arg("-C").arg(folder).args(arguments).status()?;
    anyhow::ensure!(status.success(), "git {} failed", arguments.join(" "));
    Ok(())
}

/// MiB of the files below a folder.
fn size(folder: &Path) -> Result<f64> {
    let mut bytes = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                bytes += entry.metadata()?.len();
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let size = bytes as f64 / f64::from(1 << 20);
    Ok(size)
}
