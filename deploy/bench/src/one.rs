//! P5: a commit that touches one environment of many, beside the same commit in a repository with that one only.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::board::{Board, Key};
use crate::daemon::Daemon;
use crate::install::{DAEMON, Installation, LIMIT};
use crate::options::Options;
use crate::raw;
use crate::repo::Repo;
use crate::shape::{Apps, Fate};
use crate::stage::Stage;
use crate::table::{Table, float, millis, number, percentile};
use crate::usage::cpu_seconds;

/// Commits that are measured on each side.
const COMMITS: usize = 10;
const ALONE: &str = "bench-alone";

/// What the commits cost.
struct Cost {
    seconds: Vec<f64>,
    cpu: f64,
    requests: usize,
}

/// Commits to one environment, first alone and then among all others, and prints both.
pub async fn measure(stage: &Stage, options: &Options, installation: &mut Installation) -> Result<()> {
    let alone = alone(stage, options, installation).await?;
    let name = installation.apps.names.first().cloned().context("there is an app")?;
    let first = Apps { namespace: installation.apps.namespace.clone(), names: vec![name] };
    let folder =
        installation.apps.files(installation.environments, "v2").first().map(|(path, _)| path.clone());
    let folder = folder.and_then(|path| path.rsplit_once('/').map(|(folder, _)| folder.to_owned()));
    let folder = folder.context("there is an environment")?;
    let Installation { repo, daemon, board, .. } = installation;
    let among = commits(stage, repo, daemon, board, &first, &folder, DAEMON).await?;
    let title = format!("P5: a commit that touches one of {} environments", installation.environments);
    let head =
        ["environments", "p50", "longest", "CPU ms of daemon per commit", "requests per commit", "commits"];
    let mut table = Table::new(title, &head);
    for (environments, cost) in [(1, alone), (installation.environments, among)] {
        let Cost { seconds, cpu, requests } = cost;
        table.row([
            environments.to_string(),
            millis(percentile(&seconds, 0.5)),
            millis(percentile(&seconds, 1.0)),
            number(1_000.0 * cpu / float(COMMITS)),
            number(float(requests) / float(COMMITS)),
            COMMITS.to_string(),
        ]);
    }
    table.print();
    Ok(())
}

async fn alone(stage: &Stage, options: &Options, installation: &Installation) -> Result<Cost> {
    let mut apps = Apps::new(ALONE, 1);
    // Environments' names are taken once per cluster.
    apps.names = vec!["alone".to_owned()];
    stage.namespace(&installation.client, ALONE).await?;
    let mut board = Board::watch(&installation.client, ALONE);
    let repo = Repo::new()?;
    let daemon = Daemon::start(&options.daemon, &repo.url(), &stage.kubeconfig_of(ALONE)?)?;
    daemon.wait_until_ready(LIMIT).await?;
    let staged = repo.stage(&apps.files(1, "v1"), "v1")?;
    repo.publish(&staged)?;
    let keys: Vec<Key> = apps.objects("v1")?.iter().map(raw::key).collect();
    board.wait(&keys, "v1", LIMIT).await?;
    commits(stage, &repo, &daemon, &mut board, &apps, "environments/alone", ALONE).await
}

async fn commits(
    stage: &Stage,
    repo: &Repo,
    daemon: &Daemon,
    board: &mut Board,
    apps: &Apps,
    folder: &str,
    user: &str,
) -> Result<Cost> {
    let name = apps.names.first().context("there is an app")?;
    stage.settle().await;
    let mark = stage.mark()?;
    let before = cpu_seconds(daemon.id());
    let mut seconds = Vec::new();
    for number in 0..COMMITS {
        let version = format!("one-{number}");
        let path = format!("{folder}/{name}.yaml");
        let staged = repo.stage(&[(path, apps.manifests(name, &version, Fate::Healthy))], &version)?;
        stage.settle().await;
        let start = Instant::now();
        repo.publish(&staged)?;
        let keys: Vec<Key> = apps.objects(&version)?.iter().map(raw::key).collect();
        let until = board.wait(&keys, &version, LIMIT).await?;
        seconds.push(until.saturating_duration_since(start).as_secs_f64());
    }
    stage.settle().await;
    let requests = stage.requests(user, mark)?;
    Ok(Cost { seconds, cpu: cpu_seconds(daemon.id()) - before, requests: requests.total })
}
