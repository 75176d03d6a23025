//! P13: a daemon that starts where nothing has changed, until every environment is known to be live.

use std::time::Instant;

use anyhow::Result;

use crate::install::{DAEMON, Installation, LIMIT};
use crate::stage::Stage;
use crate::table::{Table, number};
use crate::usage::{Meter, memory_mib};

/// Restarts the daemon and prints how long it takes, and what it asks.
pub async fn measure(stage: &Stage, installation: &mut Installation) -> Result<()> {
    stage.settle().await;
    let mark = stage.mark()?;
    installation.daemon.restart()?;
    let meter = Meter::start(installation.daemon.id(), stage.plane);
    installation.daemon.wait_until_ready(LIMIT).await?;
    let ready = meter.stop(Instant::now()).wall_seconds;
    let live = installation.daemon.wait_until_live(installation.environments, LIMIT).await?;
    let used = meter.stop(live);
    let requests = stage.requests(DAEMON, mark)?;
    let title = format!("P13: start with {} environments, nothing changed", installation.environments);
    let head = [
        "source read after s",
        "all live after s",
        "CPU s of daemon",
        "CPU s of API server",
        "dry-runs",
        "RSS MiB",
        "load",
        "requests",
    ];
    let mut table = Table::new(title, &head);
    table.row([
        number(ready),
        number(used.wall_seconds),
        number(used.client),
        number(used.api_server),
        requests.dry_runs.to_string(),
        number(memory_mib(installation.daemon.id()).0),
        number(used.load),
        format!("{}: {}", requests.total, requests.listed()),
    ]);
    table.print();
    Ok(())
}
