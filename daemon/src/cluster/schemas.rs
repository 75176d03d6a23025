//! The schemas of a cluster: ours for the Kubernetes version that they were made from, the cluster's own for everything
//! else. Read one group-version at a time, when an environment first uses it, and again when the server says that it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Request;
use kube::Client;
use serde_json::Value;
use tidegate_core::object::Gvk;
use tidegate_core::schema::Catalogue;

use super::call::{CallError, once};

/// The minor version of Kubernetes that the bundled schemas were taken from.
const BUNDLED_MINOR: &str = "35";
/// The server is asked for its version again after this time: it may have been upgraded.
const VERSION_AGE: Duration = Duration::from_mins(1);

/// Schemas of one cluster.
pub struct Schemas {
    client: Client,
    known: Mutex<Known>,
    /// Held while the server is asked for its version, so that lanes that start together ask once.
    asking: tokio::sync::Mutex<()>,
}

struct Known {
    catalogue: Arc<Catalogue>,
    /// Paths that were read, each with the digest in its URL by which the server says that it changed.
    read: BTreeMap<String, String>,
    /// When the server last said its version, and whether it is the one that ours were taken from.
    bundled: Option<(Instant, bool)>,
}

impl Schemas {
    /// Only ours are known yet.
    pub fn new(client: Client) -> Self {
        let catalogue = Catalogue::kubernetes_1_35().clone();
        let known = Known { catalogue, read: BTreeMap::new(), bundled: None };
        Self { client, known: Mutex::new(known), asking: tokio::sync::Mutex::default() }
    }

    /// The catalogue for objects of these kinds.
    pub async fn for_kinds(&self, gvks: &BTreeSet<Gvk>) -> Result<Arc<Catalogue>, CallError> {
        let bundled = Catalogue::kubernetes_1_35();
        let ours = self.is_bundled_version().await?;
        let wanted: BTreeSet<String> =
            gvks.iter().filter(|gvk| !ours || bundled.kind(gvk).is_none()).map(path_of).collect();
        if wanted.is_empty() {
            return Ok(bundled.clone());
        }
        let index = self.get("/openapi/v3").await?;
        for path in wanted {
            let url =
                index.get("paths").and_then(|paths| paths.get(&path)?.get("serverRelativeURL")?.as_str());
            // A group that the cluster does not serve stays unknown, and is reported as such.
            let Some(url) = url.map(str::to_owned) else { continue };
            if self.lock().read.get(&path) == Some(&url) {
                continue;
            }
            let document = self.get(&url).await?;
            let mut known = self.lock();
            known.catalogue = Arc::new(known.catalogue.with_documents(&[document]));
            known.read.insert(path, url);
        }
        Ok(self.lock().catalogue.clone())
    }

    async fn is_bundled_version(&self) -> Result<bool, CallError> {
        let fresh = |(at, _): &(Instant, bool)| at.elapsed() < VERSION_AGE;
        let _asking = self.asking.lock().await;
        if let Some((_, bundled)) = self.lock().bundled.filter(fresh) {
            return Ok(bundled);
        }
        let version = once(self.client.apiserver_version()).await?;
        let bundled = version.major == "1" && version.minor.trim_end_matches('+') == BUNDLED_MINOR;
        self.lock().bundled = Some((Instant::now(), bundled));
        Ok(bundled)
    }

    async fn get(&self, path: &str) -> Result<Value, CallError> {
        let request =
            Request::get(path).body(Vec::new()).map_err(|error| CallError::Server(error.to_string()))?;
        once(self.client.request::<Value>(request)).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn path_of(gvk: &Gvk) -> String {
    if gvk.group.is_empty() {
        format!("api/{}", gvk.version)
    } else {
        format!("apis/{}/{}", gvk.group, gvk.version)
    }
}
