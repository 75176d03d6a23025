//! The benchmarks of `make bench`: what the daemon costs and how long it takes, beside a raw client in the same run and on
//! the same API server. Not a test: it prints tables and decides nothing.
//!
//! | file | what it holds |
//! |---|---|
//! | `install` | P1, and the installation that P2-P5 and P13 look at |
//! | `idle`, `drift`, `one`, `start` | P2 and P3, P4, P5, P13 |
//! | `sick`, `storm` | P6, P7, each with a repository and a daemon of its own |
//! | `rollouts` | P8, P9 and P10 in one run, beside a plain Deployment; `colours` what rolls out, `requests` the load |
//! | `ledger` | P11, without a cluster |
//! | `raw`, `board`, `records` | the raw client; the reader that stops both clocks; what the daemon has recorded |
//! | `stage`, `repo`, `daemon`, `usage` | cluster and audit log, git, the daemon's process, `/proc` |
//! | `shape`, `options`, `table` | what is deployed, what is asked for, what is printed |

mod board;
mod colours;
mod daemon;
mod drift;
mod idle;
mod install;
mod ledger;
mod one;
mod options;
mod raw;
mod records;
mod repo;
mod requests;
mod rollouts;
mod shape;
mod sick;
mod stage;
mod start;
mod storm;
mod table;
mod usage;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser as _;

use options::{Options, Part};
use stage::Stage;

/// Longest time of one part; the others still run.
const PART_LIMIT: Duration = Duration::from_mins(30);
/// The same of rollouts: a million requests at 500 a second are half an hour, twice.
const ROLLOUTS_LIMIT: Duration = Duration::from_mins(90);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tokio::select! {
        measured = measure(&options) => match measured {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("bench: {error:#}");
                ExitCode::FAILURE
            }
        },
        _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
    }
}

async fn measure(options: &Options) -> Result<()> {
    anyhow::ensure!(options.daemon.exists(), "there is no {}", options.daemon.display());
    anyhow::ensure!(options.size > 0, "a size is at least 1");
    if options.parts.contains(&Part::P11) {
        limited(PART_LIMIT, "P11", async { tokio::task::block_in_place(|| ledger::measure(options)) }).await;
    }
    if !options.parts.iter().any(|part| part.needs_cluster()) {
        return Ok(());
    }
    // Run on a thread that may block; dropped, and the cluster with it, when somebody interrupts.
    let stage = tokio::task::block_in_place(|| Stage::up(&options.cluster))?;
    println!("Load before: {}", table::number(usage::load()));
    if options.parts.iter().any(|part| part.needs_installation()) {
        limited(PART_LIMIT, "the installation", installed(&stage, options)).await;
    }
    for part in &options.parts {
        match part {
            Part::P6 => limited(PART_LIMIT, "P6", sick::measure(&stage, options)).await,
            Part::P7 => limited(PART_LIMIT, "P7", storm::measure(&stage, options)).await,
            Part::P1
            | Part::P2
            | Part::P3
            | Part::P4
            | Part::P5
            | Part::P8
            | Part::P9
            | Part::P10
            | Part::P11
            | Part::P13 => {}
        }
    }
    if options.parts.iter().any(|part| part.is_of_rollouts()) {
        limited(ROLLOUTS_LIMIT, "P8, P9 and P10", rollouts::measure(&stage, options)).await;
    }
    Ok(())
}

async fn installed(stage: &Stage, options: &Options) -> Result<()> {
    let mut installation = install::install(stage, options).await?;
    let wants = |part: Part| options.parts.contains(&part);
    if wants(Part::P2) || wants(Part::P3) {
        limited(PART_LIMIT, "P2 and P3", idle::measure(stage, options, &installation)).await;
    }
    if wants(Part::P4) {
        limited(PART_LIMIT, "P4", drift::measure(stage, options, &mut installation)).await;
    }
    if wants(Part::P5) {
        limited(PART_LIMIT, "P5", one::measure(stage, options, &mut installation)).await;
    }
    if wants(Part::P13) {
        limited(PART_LIMIT, "P13", start::measure(stage, &mut installation)).await;
    }
    Ok(())
}

/// A part that fails says so, and the others still run.
async fn limited(limit: Duration, what: &str, part: impl Future<Output = Result<()>>) {
    let done = tokio::time::timeout(limit, part).await;
    let done = done.with_context(|| format!("not done within {} s", limit.as_secs())).and_then(|done| done);
    if let Err(error) = done {
        println!("\n{what} failed: {error:#}");
    }
}
