//! P8, P9 and P10: what a switch and a rollback cost, and how many requests fail, beside a plain Deployment's rolling update
//! under the same load. A running service is taken over; then releases follow one another, every second one fails in its bake,
//! until there were enough requests.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use local_cluster::Cluster;
use serde_json::Value;

use crate::board::resource;
use crate::colours::{APP, Release, Watched, environment, manifests, policy};
use crate::daemon::Daemon;
use crate::install::LIMIT;
use crate::options::Options;
use crate::repo::Repo;
use crate::requests::{Answers, Load};
use crate::stage::Stage;
use crate::table::{Table, millis, percentile};

const COLOURED: &str = "bench-colours";
const PLAIN: &str = "bench-plain";

/// What the rollouts took, in seconds.
#[derive(Default)]
struct Times {
    /// From the mark on the slot to the pointer.
    moved: Vec<f64>,
    /// From the pointer to the last fresh connection that reached the old colour; 0 when none did.
    followed: Vec<f64>,
    /// From the failure on record to the pointer.
    back: Vec<f64>,
    /// From the failure on record to the last fresh connection that reached the bad colour.
    left: Vec<f64>,
    /// From the commit that brings the policy to the pointer on the colour that the running Deployment was given.
    adopted: Vec<f64>,
}

/// Rolls out until there were enough requests, in colours and plainly, and prints both.
pub async fn measure(stage: &Stage, options: &Options) -> Result<()> {
    let image = options.image.as_ref().context("BENCH_IMAGE names the archive of the shop's image")?;
    tokio::task::block_in_place(|| Cluster::attach(&stage.name)?.load_image(image))?;
    let client = stage.client_of("bench").await?;
    let (times, coloured, releases) = colours(stage, options, &client).await?;
    let (plain, updates) = plainly(stage, options, &client).await?;
    let head = ["", "times", "median", "largest"];
    let mut table = Table::new("P8 and P10: a switch, and a rollback in the bake", &head);
    for (what, samples) in [
        ("adoption: commit to the pointer", &times.adopted),
        ("switch: mark of the slot to the pointer", &times.moved),
        ("switch: pointer to the last new connection to the old colour", &times.followed),
        ("rollback: failure on record to the pointer", &times.back),
        ("rollback: failure on record to the last new connection to the bad colour", &times.left),
    ] {
        let [median, largest] = [0.5, 1.0].map(|share| millis(percentile(samples, share)));
        table.row([what.to_owned(), samples.len().to_string(), median, largest]);
    }
    table.print();
    let title = format!("P9: requests at {} a second, half of them over fresh connections", options.rate);
    let mut table = Table::new(title, &["", "releases", "requests", "failed", "for example", "sent again"]);
    for (what, count, answers) in [("in colours", releases, coloured), ("a plain Deployment", updates, plain)]
    {
        let Answers { answered, failed, retried, failures, last: _ } = answers;
        table.row([
            what.to_owned(),
            count.to_string(),
            (answered + failed).to_string(),
            failed.to_string(),
            failures.first().cloned().unwrap_or_default(),
            retried.to_string(),
        ]);
    }
    table.print();
    Ok(())
}

async fn colours(stage: &Stage, options: &Options, client: &Client) -> Result<(Times, Answers, u32)> {
    stage.namespace(client, COLOURED).await?;
    let repo = Repo::new()?;
    let daemon = Daemon::start(&options.daemon, &repo.url(), &stage.kubeconfig_of(COLOURED)?)?;
    daemon.wait_until_ready(LIMIT).await?;
    let watched = Watched::new(client, COLOURED);
    let first = Release { version: "v0".to_owned(), offset: "0" };
    let load = running(client, COLOURED, &watched, &first, options).await?;
    let begun = Instant::now();
    commit(&repo, &first)?;
    let moved = watched.selects("blue", LIMIT).await?;
    let mut times = Times::default();
    times.adopted.push(moved.saturating_duration_since(begun).as_secs_f64());
    daemon.wait_until_live(1, LIMIT).await?;
    let (mut live, mut other, mut releases) = ("blue", "green", 0);
    let mut serves = "v0".to_owned();
    while load.so_far().answered < options.requests {
        releases += 1;
        let is_good = releases % 2 == 1;
        let release = Release { version: format!("v{releases}"), offset: if is_good { "0" } else { "0.5" } };
        let begun = Instant::now();
        commit(&repo, &release)?;
        // The template of before may hold a mark and answers of its own.
        let head = repo.head()?;
        let of_it = |record: &Value| text(record, "/commit") == head;
        let marked =
            watched.slot(other, LIMIT, |record| of_it(record) && !text(record, "/served").is_empty()).await?;
        let moved = watched.selects(other, LIMIT).await?;
        times.moved.push(moved.saturating_duration_since(marked).as_secs_f64());
        if is_good {
            watched.is_at_rest(live, LIMIT).await?;
            times.followed.push(after(&load, &serves, moved));
            (live, other) = (other, live);
            serves = release.version;
        } else {
            let failed = watched.slot(other, LIMIT, |record| of_it(record) && has_failed(record)).await?;
            let back = watched.selects(live, LIMIT).await?;
            watched.is_at_rest(other, LIMIT).await?;
            times.back.push(back.saturating_duration_since(failed).as_secs_f64());
            times.left.push(after(&load, &release.version, failed));
        }
        said("release", releases, begun, &load.so_far());
    }
    Ok((times, load.so_far(), releases))
}

/// How far it is: what has come so far is known of a run that is cut off, too.
fn said(what: &str, number: u32, begun: Instant, so_far: &Answers) {
    let Answers { answered, failed, retried, failures, last: _ } = so_far;
    let example = failures.first().map(|failure| format!(" ({failure})")).unwrap_or_default();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{what} {number} took {seconds:.1} s; so far {answered} requests answered, {failed} failed{example}, {retried} sent again over a \
         new connection"
    );
}

/// How long after a moment the last fresh connection reached a version.
fn after(load: &Load, version: &str, moment: Instant) -> f64 {
    let last = load.so_far().last.get(version).copied();
    last.map_or(0.0, |last| last.saturating_duration_since(moment).as_secs_f64())
}

fn has_failed(record: &Value) -> bool {
    let answers = record.get("answers").and_then(Value::as_array);
    answers.is_some_and(|answers| answers.iter().any(|answer| text(answer, "/evidence/verdict") == "fail"))
}

/// A text at a pointer; empty where there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn commit(repo: &Repo, release: &Release) -> Result<()> {
    let folder = format!("environments/{COLOURED}");
    let files = [
        ("policies/blue-green.yaml".to_owned(), policy()),
        (format!("{folder}/environment.yaml"), environment(COLOURED)),
        (format!("{folder}/app.yaml"), manifests(release)),
    ];
    repo.publish(&repo.stage(&files, &release.version)?)
}

/// The same load and the same pods, with nothing but a Deployment's own rolling update.
async fn plainly(stage: &Stage, options: &Options, client: &Client) -> Result<(Answers, u32)> {
    stage.namespace(client, PLAIN).await?;
    let watched = Watched::new(client, PLAIN);
    let first = Release { version: "v0".to_owned(), offset: "0" };
    let load = running(client, PLAIN, &watched, &first, options).await?;
    let mut updates = 0;
    while load.so_far().answered < options.requests {
        updates += 1;
        let begun = Instant::now();
        let version = format!("v{updates}");
        apply(client, PLAIN, &Release { version: version.clone(), offset: "0" }).await?;
        watched.has_rolled(&version, LIMIT).await?;
        // Its pods of before end meanwhile.
        tokio::time::sleep(Duration::from_secs(5)).await;
        said("rolling update", updates, begun, &load.so_far());
    }
    Ok((load.so_far(), updates))
}

/// A service that runs without Tidegate, and a load on it.
async fn running(
    client: &Client,
    namespace: &str,
    watched: &Watched,
    release: &Release,
    options: &Options,
) -> Result<Load> {
    apply(client, namespace, release).await?;
    watched.has_rolled(&release.version, LIMIT).await?;
    // kube-proxy may be a moment behind the endpoints.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(Load::on(watched.address().await?, options.rate))
}

async fn apply(client: &Client, namespace: &str, release: &Release) -> Result<()> {
    for body in serde_yaml::from_multiple::<Value>(&manifests(release))? {
        let (group, kind) =
            if text(&body, "/kind") == "Service" { ("", "Service") } else { ("apps", "Deployment") };
        let resource = resource(group, "v1", kind);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        api.patch(APP, &PatchParams::apply("bench").force(), &Patch::Apply(&body)).await?;
    }
    Ok(())
}
