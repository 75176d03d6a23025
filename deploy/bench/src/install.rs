//! P1: from a commit to everything applied and healthy, beside the raw client. What it installs is what the other parts use.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;

use crate::board::{Board, Key};
use crate::daemon::Daemon;
use crate::options::Options;
use crate::raw;
use crate::repo::{Repo, Staged};
use crate::shape::{Apps, OBJECTS};
use crate::stage::{Requests, Stage};
use crate::table::{Table, float, number};
use crate::usage::{Meter, Used};

/// The users whose requests are counted.
pub const DAEMON: &str = "bench-tidegate";
const RAW: &str = "bench-raw";
/// Apps that warm the API server up before the first clock starts.
const WARM_UP: usize = 20;
/// Longest wait for one step.
pub const LIMIT: Duration = Duration::from_mins(15);

/// What is done, and the version that it leaves.
const STEPS: [(&str, &str); 2] = [("install", "v1"), ("update", "v2")];

/// What one step cost.
struct Run {
    step: &'static str,
    who: &'static str,
    used: Used,
    recorded_seconds: Option<f64>,
    requests: Requests,
}

/// The apps installed by the daemon, which runs on.
pub struct Installation {
    pub apps: Apps,
    pub environments: usize,
    pub repo: Repo,
    pub daemon: Daemon,
    pub board: Board,
    pub client: Client,
    pub keys: Vec<Key>,
}

/// Measures the raw client and then the daemon in one cluster, and prints the table. Where nothing is compared with the raw
/// client, the daemon installs, and that is all.
pub async fn install(stage: &Stage, options: &Options) -> Result<Installation> {
    let client = stage.client_of("bench").await?;
    let compared = options.parts.iter().any(|part| part.needs_raw_client());
    let mut runs = Vec::new();
    if compared {
        runs.extend(raw_runs(stage, &client, options.size).await?);
    }
    let mut installation = begin(stage, client, options).await?;
    for (step, version) in STEPS.into_iter().take(if compared { STEPS.len() } else { 1 }) {
        runs.push(installation.step(stage, step, version).await?);
    }
    if compared {
        print(&runs, options);
    }
    Ok(installation)
}

async fn raw_runs(stage: &Stage, client: &Client, size: usize) -> Result<Vec<Run>> {
    let sender = stage.client_of(RAW).await?;
    for (namespace, count) in [("bench-warm-up", WARM_UP), ("bench-raw", 0)] {
        stage.namespace(client, namespace).await?;
        raw::apply(&sender, &Apps::new(namespace, count).objects("v1")?).await?;
    }
    let apps = Apps::new("bench-raw", size);
    let mut board = Board::watch(client, &apps.namespace);
    let mut runs = Vec::new();
    for (step, version) in STEPS {
        let objects = apps.objects(version)?;
        let keys: Vec<Key> = objects.iter().map(raw::key).collect();
        stage.settle().await;
        let mark = stage.mark()?;
        let meter = Meter::start(std::process::id(), stage.plane);
        raw::apply(&sender, &objects).await?;
        let until = board.wait(&keys, version, LIMIT).await?;
        let used = meter.stop(until);
        stage.settle().await;
        let Used { client, api_server, others, .. } = meter.stop(until);
        let used = Used { client, api_server, others, ..used };
        let requests = stage.requests(RAW, mark)?;
        runs.push(Run { step, who: "raw client", used, recorded_seconds: None, requests });
    }
    Ok(runs)
}

async fn begin(stage: &Stage, client: Client, options: &Options) -> Result<Installation> {
    let apps = Apps::new("bench-apps", options.size);
    stage.namespace(&client, &apps.namespace).await?;
    let board = Board::watch(&client, &apps.namespace);
    let repo = Repo::new()?;
    let daemon = Daemon::start(&options.daemon, &repo.url(), &stage.kubeconfig_of(DAEMON)?)?;
    daemon.wait_until_ready(LIMIT).await?;
    let keys = apps.objects("v1")?.iter().map(raw::key).collect();
    let environments = options.environments.unwrap_or(options.size).min(options.size);
    Ok(Installation { apps, environments, repo, daemon, board, client, keys })
}

impl Installation {
    async fn step(&mut self, stage: &Stage, step: &'static str, version: &str) -> Result<Run> {
        let staged = self.repo.stage(&self.apps.files(self.environments, version), version)?;
        stage.settle().await;
        let mark = stage.mark()?;
        let meter = Meter::start(self.daemon.id(), stage.plane);
        self.repo.publish(&staged)?;
        let until = self.board.wait(&self.keys, version, LIMIT).await;
        let until = until.with_context(|| self.daemon.last_words())?;
        let used = meter.stop(until);
        let recorded = self.wait_for_records(&staged).await?;
        let recorded_seconds = Some(recorded.saturating_duration_since(meter.started()).as_secs_f64());
        // What the daemon does after the clock has stopped is its cost as well.
        stage.settle().await;
        let Used { client, api_server, others, .. } = meter.stop(until);
        let used = Used { client, api_server, others, ..used };
        let requests = stage.requests(DAEMON, mark)?;
        Ok(Run { step, who: "Tidegate", used, recorded_seconds, requests })
    }

    /// Waits until every environment is recorded as live with this commit.
    pub async fn wait_for_records(&self, staged: &Staged) -> Result<std::time::Instant> {
        crate::records::wait(&self.client, self.environments, &staged.0, LIMIT)
            .await
            .with_context(|| self.daemon.last_words())
    }
}

fn print(runs: &[Run], options: &Options) {
    let apps = options.size;
    let environments = options.environments.unwrap_or(apps).min(apps);
    let title = format!("P1: {apps} apps, {} objects, {environments} environments", apps * OBJECTS);
    let head = [
        "step",
        "by",
        "healthy after s",
        "ratio",
        "recorded after s",
        "CPU s of client",
        "CPU s of API server",
        "CPU s of etcd and controllers",
        "requests",
        "per app",
        "load",
    ];
    let mut table = Table::new(title, &head);
    let mut kinds = Table::new("Requests by what they were", &["step", "by", "requests"]);
    for run in runs {
        let Run { step, who, used, recorded_seconds, requests } = run;
        let limit = runs
            .iter()
            .find(|other| other.step == *step)
            .map_or(used.wall_seconds, |run| run.used.wall_seconds);
        table.row([
            (*step).to_owned(),
            (*who).to_owned(),
            number(used.wall_seconds),
            number(used.wall_seconds / limit),
            recorded_seconds.map_or_else(String::new, number),
            number(used.client),
            number(used.api_server),
            number(used.others),
            requests.total.to_string(),
            number(float(requests.total) / float(apps)),
            number(used.load),
        ]);
        kinds.row([(*step).to_owned(), (*who).to_owned(), requests.listed()]);
    }
    table.print();
    kinds.print();
}
