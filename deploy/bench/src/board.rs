//! The objects of a namespace as watches show them: how both clocks are stopped, by the same reader, which is none of the
//! two that are compared.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use kube::api::ApiResource;
use kube::core::{DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::shape::VERSION;

/// The kinds of an app, and ConfigMaps.
pub const KINDS: [(&str, &str, &str); 5] = [
    ("", "v1", "ServiceAccount"),
    ("", "v1", "Service"),
    ("apps", "v1", "Deployment"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("", "v1", "ConfigMap"),
];

/// A kind and a name.
pub type Key = (String, String);

/// An object as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    pub version: String,
    pub healthy: bool,
}

struct Event {
    key: Key,
    live: Live,
    at: Instant,
}

/// Everything that was seen of a namespace.
pub struct Board {
    live: HashMap<Key, Live>,
    events: mpsc::UnboundedReceiver<Event>,
    tasks: Vec<AbortHandle>,
}

impl Board {
    /// Watches the namespace.
    pub fn watch(client: &Client, namespace: &str) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let tasks = KINDS
            .iter()
            .map(|(group, version, kind)| {
                let resource = resource(group, version, kind);
                let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
                tokio::spawn(follow(api, (*kind).to_owned(), sender.clone())).abort_handle()
            })
            .collect();
        Self { live: HashMap::new(), events, tasks }
    }

    /// Waits until each of these objects was seen healthy at this version; when the last one was.
    pub async fn wait(&mut self, keys: &[Key], version: &str, limit: Duration) -> Result<Instant> {
        let is_there = |live: &Live| live.healthy && live.version == version;
        while let Ok(event) = self.events.try_recv() {
            self.live.insert(event.key, event.live);
        }
        let mut missing: HashSet<Key> =
            keys.iter().filter(|key| !self.live.get(*key).is_some_and(is_there)).cloned().collect();
        let mut last = Instant::now();
        let wait = async {
            while !missing.is_empty() {
                let event = self.events.recv().await.context("the watches have ended")?;
                if is_there(&event.live) && missing.remove(&event.key) {
                    last = event.at;
                }
                self.live.insert(event.key, event.live);
            }
            Ok(())
        };
        match tokio::time::timeout(limit, wait).await {
            Ok(done) => done.map(|()| last),
            Err(_) => bail!(
                "{} of {} objects are not healthy at {version} within {} s, e.g. {:?}",
                missing.len(),
                keys.len(),
                limit.as_secs(),
                missing.iter().next()
            ),
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A kind for kube's dynamic client.
pub fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    if kind == "Ingress" {
        "ingresses".clone_into(&mut resource.plural);
    }
    resource
}

async fn follow(api: Api<DynamicObject>, kind: String, sender: mpsc::UnboundedSender<Event>) {
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event else { continue };
        let at = Instant::now();
        let Some(version) = object.metadata.annotations.as_ref().and_then(|all| all.get(VERSION)).cloned()
        else {
            continue;
        };
        let name = object.metadata.name.clone().unwrap_or_default();
        let healthy = kind != "Deployment" || is_available(object.metadata.generation, &object.data);
        let event = Event { key: (kind.clone(), name), live: Live { version, healthy }, at };
        if sender.send(event).is_err() {
            return;
        }
    }
}

/// A Deployment whose controller has seen its newest generation, and calls it available.
fn is_available(generation: Option<i64>, object: &Value) -> bool {
    let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    let mut conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    observed >= generation
        && number("/status/updatedReplicas") >= number("/spec/replicas")
        && conditions.any(|condition| {
            condition.get("type").is_some_and(|kind| kind == "Available")
                && condition.get("status").is_some_and(|status| status == "True")
        })
}
