//! P6: how long healthy environments take while some of their neighbours never become healthy.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::board::{Board, Key};
use crate::daemon::Daemon;
use crate::install::LIMIT;
use crate::options::Options;
use crate::raw;
use crate::repo::Repo;
use crate::shape::{Apps, Fate};
use crate::stage::Stage;
use crate::table::{Table, number};
use crate::usage::{Meter, Used};

const APPS: usize = 128;
/// Every so many app is sick: 11 of them.
const EVERY: usize = 12;
/// Pairs of installations, with and without.
const ROUNDS: usize = 3;

/// Installs the same apps with and without sick ones, in turn because machines drift, and prints how long the healthy ones
/// take.
pub async fn measure(stage: &Stage, options: &Options) -> Result<()> {
    let head =
        ["sick", "healthy after s", "updated after s", "CPU s of daemon", "CPU s of API server", "load"];
    let mut table =
        Table::new(format!("P6: {} healthy apps beside sick ones", APPS - sick_of(APPS).len()), &head);
    // The first round warms up and is not shown.
    run(stage, options, "bench-warm", Fate::Healthy).await?;
    let mut seconds = [0.0, 0.0];
    for round in 0..ROUNDS {
        for (fate, sum) in [Fate::Healthy, Fate::Sick].into_iter().zip(&mut seconds) {
            let (sick, word) = match fate {
                Fate::Healthy => (0, "well"),
                Fate::Sick => (sick_of(APPS).len(), "sick"),
            };
            let (install, update) = run(stage, options, &format!("bench-{word}-{round}"), fate).await?;
            *sum += install.wall_seconds + update.wall_seconds;
            table.row([
                format!("{sick} of {APPS}"),
                number(install.wall_seconds),
                number(update.wall_seconds),
                number(install.client + update.client),
                number(install.api_server + update.api_server),
                number(update.load),
            ]);
        }
    }
    table.print();
    let [well, sick] = seconds;
    println!("\nBeside sick ones they take {} of the time without", number(sick / well));
    Ok(())
}

fn sick_of(count: usize) -> BTreeSet<usize> {
    (0..count).step_by(EVERY).collect()
}

async fn run(stage: &Stage, options: &Options, namespace: &str, fate: Fate) -> Result<(Used, Used)> {
    let client = stage.client_of("bench").await?;
    stage.namespace(&client, namespace).await?;
    let mut apps = Apps::new(namespace, APPS);
    // Environments' names are taken once per cluster.
    for name in &mut apps.names {
        *name = format!("{namespace}-{name}");
    }
    let repo = Repo::new()?;
    let daemon = Daemon::start(&options.daemon, &repo.url(), &stage.kubeconfig_of(namespace)?)?;
    daemon.wait_until_ready(LIMIT).await?;
    let mut board = Board::watch(&client, namespace);
    let mut used = Vec::new();
    for version in ["v1", "v2"] {
        let staged = repo.stage(&files(&apps, version, fate), version)?;
        let sick: BTreeSet<&String> =
            sick_of(APPS).into_iter().filter_map(|number| apps.names.get(number)).collect();
        let keys: Vec<Key> =
            apps.objects(version)?.iter().map(raw::key).filter(|(_, name)| !sick.contains(name)).collect();
        stage.settle().await;
        let meter = Meter::start(daemon.id(), stage.plane);
        repo.publish(&staged)?;
        let until = board.wait(&keys, version, LIMIT).await?;
        used.push(meter.stop(until));
    }
    let last = used.pop().unwrap_or_default();
    Ok((used.pop().unwrap_or_default(), last))
}

fn files(apps: &Apps, version: &str, fate: Fate) -> Vec<(String, String)> {
    let mut files = apps.files(apps.names.len(), version);
    if fate == Fate::Sick {
        for name in sick_of(APPS).into_iter().filter_map(|number| apps.names.get(number)) {
            let path = format!("environments/{name}/{name}.yaml");
            for (file, text) in &mut files {
                if *file == path {
                    *text = apps.manifests(name, version, fate);
                }
            }
        }
    }
    files
}
