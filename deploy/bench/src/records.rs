//! What the daemon has written down of its environments, as anybody can read it in the cluster.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;

/// Records are looked at this often: a list of a thousand is no small request.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until so many environments are recorded as live with this commit applied.
pub async fn wait(client: &Client, count: usize, commit: &str, limit: Duration) -> Result<Instant> {
    let start = Instant::now();
    let mut live = 0;
    while start.elapsed() < limit {
        live = read(client).await?.iter().filter(|status| is_live(status, commit)).count();
        if live >= count {
            return Ok(Instant::now());
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!("{live} of {count} environments are recorded as live at {commit} within {} s", limit.as_secs())
}

async fn read(client: &Client) -> Result<Vec<Value>> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "tidegate-system");
    let list = api.list(&ListParams::default().labels("tidegate.dev/parent-of")).await?;
    let status = |object: ConfigMap| serde_json::from_str(object.data?.get("status.json")?).ok();
    Ok(list.items.into_iter().filter_map(status).collect())
}

fn is_live(status: &Value, commit: &str) -> bool {
    let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str);
    text("/state") == Some("live") && text("/applied/id") == Some(commit)
}
