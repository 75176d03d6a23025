//! P2 and P3: what a daemon costs whose environments are all live and nobody touches.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::install::{DAEMON, Installation};
use crate::options::Options;
use crate::shape::OBJECTS;
use crate::stage::Stage;
use crate::table::{Table, number};
use crate::usage::{Meter, memory_mib};

/// Looks at the idle daemon for a while, and prints the table.
pub async fn measure(stage: &Stage, options: &Options, installation: &Installation) -> Result<()> {
    let process = installation.daemon.id();
    stage.settle().await;
    let mark = stage.mark()?;
    let meter = Meter::start(process, stage.plane);
    tokio::time::sleep(Duration::from_secs(options.idle_seconds)).await;
    let used = meter.stop(Instant::now());
    let requests = stage.requests(DAEMON, mark)?;
    let (resident, most) = memory_mib(process);
    let objects = installation.apps.names.len() * OBJECTS;
    let title = format!(
        "P2, P3: nothing changes for {} s; {objects} objects, {} environments",
        options.idle_seconds, installation.environments
    );
    let head = ["requests/s", "share of a core", "RSS MiB", "highest RSS MiB", "load", "requests"];
    let mut table = Table::new(title, &head);
    let total = f64::from(u32::try_from(requests.total)?);
    table.row([
        number(total / used.wall_seconds),
        format!("{} %", number(100.0 * used.client / used.wall_seconds)),
        number(resident),
        number(most),
        number(used.load),
        requests.listed(),
    ]);
    table.print();
    Ok(())
}
