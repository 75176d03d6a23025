//! One watch: lists, follows, and goes on through refusals, kinds that go and come, and versions that are served no more.
//!
//! Kinds whose mere existence is healthy are watched by metadata only; kinds with a health rule as whole objects, of
//! which the compact form is kept. Only objects that carry our environment label are watched.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::core::{DynamicObject, PartialObjectMeta, Status};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde::Serialize;
use serde_json::Value;
use tidegate_core::inventory::ENVIRONMENT;
use tidegate_core::object::{Gvk, ObjectId, Scope};
use tidegate_core::observed::LiveObject;
use tidegate_core::schedule::Backoff;
use tidegate_core::summarize::{Detail, detail_of, id_of, summarize};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::call::chain;
use super::coverage::Coverage;
use super::kinds::{Kinds, ServedKind};
use super::store::Store;
use super::watch::Phase;

/// Objects of a watch's first list are read in pages of this size.
const PAGE: u32 = 500;
/// What is refused or not served is tried again with growing pauses: rights and kinds may come.
const RETRY: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };
/// A watch that held for so long begins with short pauses again.
const STEADY: Duration = Duration::from_mins(2);
/// Where listing was allowed and watching was not, a list counts only after so long without a refusal.
const TRUST_AFTER: Duration = Duration::from_secs(2);

/// One watch.
pub struct Follower {
    /// The cluster.
    pub client: Client,
    /// Where to put what is seen.
    pub store: Arc<Store>,
    /// Which versions are served.
    pub kinds: Kinds,
    /// What is watched.
    pub coverage: Coverage,
    /// Where the watch stands.
    pub phase: watch::Sender<Phase>,
    /// Told when the kind is served again.
    pub again: Arc<Notify>,
}

/// Why a watch cannot go on as it is. Everything else (lost connections, expired versions) is mended within the stream.
#[derive(Debug)]
enum End {
    /// The identity may not list this much.
    ListRefused(String),
    /// It may list, and not watch.
    WatchRefused(String),
    /// The kind is not served under this path.
    NotServed,
}

type Events<K> = BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>;

impl Follower {
    /// Never returns: whoever wants the watch no more aborts it.
    pub async fn run(self, gvk: Gvk, kind: ServedKind) {
        let mut served = (gvk, kind);
        let mut failures = 0;
        let mut said = false;
        let mut trust = Duration::ZERO;
        loop {
            let started = Instant::now();
            let end = self.follow(&served.0, &served.1, trust, &mut said).await;
            failures = if started.elapsed() > STEADY { 1 } else { failures + 1 };
            match end {
                End::ListRefused(why) => self.refused(&why, &served.1, &mut said),
                End::WatchRefused(why) => {
                    trust = TRUST_AFTER;
                    self.refused(&why, &served.1, &mut said);
                }
                End::NotServed => {
                    self.kinds.doubt();
                    match self.kinds.resolve_any(&served.0).await {
                        Ok(Some(now)) => {
                            if now.0 != served.0 {
                                tracing::info!(coverage = %self.coverage, from = %served.0.version, to = %now.0.version, "watched in another version");
                                failures = 1;
                            }
                            served = now;
                        }
                        Ok(None) => self.enter(Phase::NotServed),
                        Err(error) => {
                            tracing::debug!(coverage = %self.coverage, %error, "the served versions are not known");
                        }
                    }
                }
            }
            // A kind that is there again is watched again: its objects are repaired from then on.
            sleep(RETRY.base).await;
            tokio::select! {
                () = sleep(RETRY.delay(failures, crate::run::jitter()).saturating_sub(RETRY.base)) => {}
                () = self.again.notified() => failures = 1,
            }
        }
    }

    fn refused(&self, why: &str, kind: &ServedKind, said: &mut bool) {
        if !*said {
            match (kind.scope, &self.coverage.namespace) {
                (Scope::Namespaced, None) => tracing::info!(
                    coverage = %self.coverage, error = why,
                    "the identity may not list and watch this: it is watched in each namespace instead"
                ),
                (Scope::Namespaced, Some(_)) | (Scope::Cluster, _) => tracing::warn!(
                    coverage = %self.coverage, error = why,
                    "the identity may not list and watch this: its objects are read one by one, and drift of them is seen \
                     only at the resync, every 10 min"
                ),
            }
        }
        *said = true;
        self.enter(Phase::Refused);
    }

    /// Says where the watch stands; lanes look again when that changes what absence means.
    fn enter(&self, phase: Phase) {
        let before = self.phase.send_replace(phase);
        if before != phase && (before == Phase::Listed || phase == Phase::Listed) {
            self.store.wake_all();
        }
    }

    async fn follow(&self, gvk: &Gvk, kind: &ServedKind, trust: Duration, said: &mut bool) -> End {
        let config = watcher::Config::default().labels(ENVIRONMENT).page_size(PAGE);
        let client = self.client.clone();
        let namespace = self.coverage.namespace.as_deref();
        match detail_of(gvk) {
            Detail::Whole => {
                let api: Api<DynamicObject> = match namespace {
                    Some(namespace) => Api::namespaced_with(client, namespace, &kind.resource),
                    None => Api::all_with(client, &kind.resource),
                };
                let events = watcher(api, config).default_backoff().boxed();
                self.take_in(events, (gvk, kind, Detail::Whole), trust, said).await
            }
            Detail::Metadata => {
                let api: Api<PartialObjectMeta<DynamicObject>> = match namespace {
                    Some(namespace) => Api::namespaced_with(client, namespace, &kind.resource),
                    None => Api::all_with(client, &kind.resource),
                };
                let events = watcher(api, config).default_backoff().boxed();
                self.take_in(events, (gvk, kind, Detail::Metadata), trust, said).await
            }
        }
    }

    async fn take_in<K: Serialize>(
        &self,
        mut events: Events<K>,
        (gvk, kind, detail): (&Gvk, &ServedKind, Detail),
        trust: Duration,
        said: &mut bool,
    ) -> End {
        let compact = |object: &K| -> Option<(ObjectId, LiveObject)> {
            let value = serde_json::to_value(object).unwrap_or(Value::Null);
            Some((id_of(gvk, kind.scope, &value)?, summarize(gvk, detail, &value)))
        };
        let mut listed = HashMap::new();
        let mut trusted_at: Option<Instant> = None;
        loop {
            let trusted = async {
                match trusted_at {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            let event = tokio::select! {
                event = events.next() => event,
                () = trusted => {
                    trusted_at = None;
                    self.listed(said);
                    continue;
                }
            };
            match event {
                Some(Ok(watcher::Event::Init)) => listed.clear(),
                Some(Ok(watcher::Event::InitApply(object))) => listed.extend(compact(&object)),
                Some(Ok(watcher::Event::InitDone)) => {
                    self.store.replace(&self.coverage, std::mem::take(&mut listed));
                    trusted_at = Some(Instant::now() + trust);
                }
                Some(Ok(watcher::Event::Apply(object))) => {
                    if let Some((id, live)) = compact(&object) {
                        self.store.observe(id, live);
                    }
                }
                Some(Ok(watcher::Event::Delete(object))) => {
                    if let Some((id, live)) = compact(&object) {
                        self.store.end(&id, &live);
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(coverage = %self.coverage, error = %chain(&error), "watch interrupted");
                    if let Some(end) = end_of(&error) {
                        return end;
                    }
                }
                None => return End::NotServed,
            }
        }
    }

    fn listed(&self, said: &mut bool) {
        if std::mem::take(said) {
            tracing::info!(coverage = %self.coverage, "watched now");
        }
        self.enter(Phase::Listed);
    }
}

/// The end that an error means; none when the stream mends it by itself.
fn end_of(error: &watcher::Error) -> Option<End> {
    let refused = |status: &Status| status.code == 403;
    // 410 in answer to a list is a continuation that expired, in answer to a watch a version that did: the stream begins anew.
    let unserved = |status: &Status| matches!(status.code, 404 | 405);
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if refused(status) => {
            Some(End::ListRefused(status.message.clone()))
        }
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) | watcher::Error::WatchError(status)
            if refused(status) =>
        {
            Some(End::WatchRefused(status.message.clone()))
        }
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if unserved(status) =>
        {
            Some(End::NotServed)
        }
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => None,
    }
}
