//! P7: thirty commits in a minute to one environment. The newest must be live soon after the last one, whatever was skipped.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::board::{Board, Key};
use crate::daemon::Daemon;
use crate::install::LIMIT;
use crate::options::Options;
use crate::raw;
use crate::repo::Repo;
use crate::shape::{Apps, OBJECTS};
use crate::stage::Stage;
use crate::table::{Table, number};

const COMMITS: u32 = 30;
const STORM: Duration = Duration::from_mins(1);
const NAMESPACE: &str = "bench-storm";
/// Apps of the environment.
const APPS: usize = 50;

/// Lets the storm loose and prints when the newest commit was healthy.
pub async fn measure(stage: &Stage, options: &Options) -> Result<()> {
    let client = stage.client_of("bench").await?;
    stage.namespace(&client, NAMESPACE).await?;
    let apps = Apps::new(NAMESPACE, APPS);
    let repo = Repo::new()?;
    let daemon = Daemon::start(&options.daemon, &repo.url(), &stage.kubeconfig_of(NAMESPACE)?)?;
    daemon.wait_until_ready(LIMIT).await?;
    let mut board = Board::watch(&client, NAMESPACE);
    let keys: Vec<Key> = apps.objects("v1")?.iter().map(raw::key).collect();
    // One update by itself is the measure of the apply time.
    let mut single = 0.0;
    for version in ["v1", "v2"] {
        let staged = repo.stage(&apps.files(1, version), version)?;
        stage.settle().await;
        let start = Instant::now();
        repo.publish(&staged)?;
        single = board.wait(&keys, version, LIMIT).await?.saturating_duration_since(start).as_secs_f64();
    }
    stage.settle().await;
    let mark = stage.mark()?;
    let mut last = Instant::now();
    let begin = last;
    for number in 0..COMMITS {
        let staged = repo.stage(&apps.files(1, &format!("storm-{number}")), "storm")?;
        let due = begin + STORM / COMMITS * number;
        tokio::time::sleep_until(due.into()).await;
        last = Instant::now();
        repo.publish(&staged)?;
    }
    let until = board.wait(&keys, &format!("storm-{}", COMMITS - 1), LIMIT).await?;
    let newest = until.saturating_duration_since(last).as_secs_f64();
    let requests = stage.requests(NAMESPACE, mark)?;
    let title = format!(
        "P7: {COMMITS} commits in {} s to one environment of {} objects",
        STORM.as_secs(),
        APPS * OBJECTS
    );
    let mut table = Table::new(title, &["one update s", "newest healthy after s", "apply times", "requests"]);
    table.row([number(single), number(newest), number(newest / single), requests.listed()]);
    table.print();
    Ok(())
}
