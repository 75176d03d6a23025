//! P4: from a field that is edited by hand to its repair, beside a client that applies as soon as its watch shows the edit.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::board::Board;
use crate::install::{DAEMON, Installation};
use crate::options::Options;
use crate::raw;
use crate::shape::Apps;
use crate::stage::Stage;
use crate::table::{Table, float, millis, number, percentile};

/// Longest wait for one repair.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two edits, so that each is repaired by itself.
const PAUSE: Duration = Duration::from_millis(50);
/// What the last step of the installation left.
const VERSION: &str = "v2";

/// Edits objects one after another, each another one, and prints how long they stay edited.
pub async fn measure(stage: &Stage, options: &Options, installation: &mut Installation) -> Result<()> {
    let head = ["by", "p50", "p99", "longest", "edits", "requests per edit"];
    let objects = installation.apps.names.len() * crate::shape::OBJECTS;
    let mut table = Table::new(format!("P4: a field edited by hand, {objects} objects"), &head);
    stage.settle().await;
    let raw = raw_repairs(stage, options, installation).await?;
    table.row(row("raw client on a watch", &raw, String::new()));
    stage.settle().await;
    let mark = stage.mark()?;
    let ours = repairs(options, installation).await?;
    let requests = stage.requests(DAEMON, mark)?;
    table.row(row("Tidegate", &ours, number(float(requests.total) / float(ours.len()))));
    table.print();
    println!("\nRequests: {}", requests.listed());
    Ok(())
}

fn row(who: &str, seconds: &[f64], requests: String) -> [String; 6] {
    [
        who.to_owned(),
        millis(percentile(seconds, 0.5)),
        millis(percentile(seconds, 0.99)),
        millis(percentile(seconds, 1.0)),
        seconds.len().to_string(),
        requests,
    ]
}

/// So many objects, spread over all of them.
fn chosen(objects: Vec<Value>, count: usize) -> Vec<Value> {
    let step = (objects.len() / count.max(1)).max(1);
    // Odd, so that it meets all kinds in turn.
    let step = if step.is_multiple_of(2) { step - 1 } else { step };
    objects.into_iter().step_by(step).take(count).collect()
}

async fn repairs(options: &Options, installation: &mut Installation) -> Result<Vec<f64>> {
    let mut seconds = Vec::new();
    for object in chosen(installation.apps.objects(VERSION)?, options.edits) {
        raw::edit(&installation.client, &object, "drifted").await?;
        let edited = Instant::now();
        let key = [raw::key(&object)];
        // Seen first: else the state of before the edit would count as the repair.
        installation.board.wait(&key, "drifted", LIMIT).await?;
        let repaired = installation.board.wait(&key, VERSION, LIMIT).await?;
        seconds.push(repaired.saturating_duration_since(edited).as_secs_f64());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(seconds)
}

async fn raw_repairs(stage: &Stage, options: &Options, installation: &Installation) -> Result<Vec<f64>> {
    let apps = Apps::new("bench-raw", installation.apps.names.len());
    let sender = stage.client_of("bench-raw").await?;
    let mut board = Board::watch(&installation.client, &apps.namespace);
    let mut seconds = Vec::new();
    for object in chosen(apps.objects(VERSION)?, options.edits) {
        let key = [raw::key(&object)];
        board.wait(&key, VERSION, LIMIT).await?;
        raw::edit(&installation.client, &object, "drifted").await?;
        let edited = Instant::now();
        board.wait(&key, "drifted", LIMIT).await?;
        raw::apply_one(&sender, &object).await?;
        let repaired = board.wait(&key, VERSION, LIMIT).await?;
        seconds.push(repaired.saturating_duration_since(edited).as_secs_f64());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(seconds)
}
