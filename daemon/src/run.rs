//! `tidegate run`, wired together: the source, the lanes, the clusters, the HTTP endpoints, and how all of it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidegate_core::desired::KnownFiles;
use tidegate_core::gate::AddressRange;
use tidegate_core::ids::{Digest, EnvironmentName};
use tidegate_core::problem::Problem;
use tidegate_core::schedule::ReplicaId;
use tidegate_core::schema::Catalogue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::connect::{Access, Means};
use crate::cluster::lease::Identity;
use crate::cluster::pace::in_line;
use crate::clusters::Clusters;
use crate::reconcile::{
    Board, Lane, LedgerSettings, Shared, Unreadable, Wanted, is_recorded, keep_records, read_world,
};
use crate::source::{Origin, Source, SourceHandle, SourceHead, SourceState};
use crate::telemetry::Metrics;
use crate::web::{Web, serve};
use crate::world::World;

/// After the signal to end, tasks get this long to give up their Leases.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(3);

/// How often clusters are looked through for environments that git no longer names (in memory; no request is made).
const ORPHANS_INTERVAL: Duration = Duration::from_secs(5);

/// How the daemon is started.
pub struct Options {
    /// Where desired state comes from.
    pub origin: Origin,
    /// Address of the HTTP endpoints.
    pub listen: Option<SocketAddr>,
    /// Where the deploy log goes; none: there is none.
    pub ledger: Option<LedgerSettings>,
    /// The name of this replica.
    pub replica: String,
    /// What the operator says about clusters.
    pub means: Means,
    /// Addresses that gates may ask although they are refused to others.
    pub gate_addresses: Arc<[AddressRange]>,
    /// End once every environment has settled, instead of running on.
    pub once: Option<Duration>,
}

/// How a `--once` run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By a signal.
    Signal,
    /// Every environment has settled: the states by name.
    Settled(BTreeMap<String, String>),
    /// Time ran out; the states by name.
    TimedOut(BTreeMap<String, String>),
    /// The source could not be read.
    NoSource(Box<Problem>),
}

/// A number between 0 and 1 that differs between daemons and calls; for spreading things out, not for secrets.
pub fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Runs until `shutdown` (or until settled, with `once`).
pub async fn run(options: Options, shutdown: CancellationToken) -> std::io::Result<Ended> {
    let metrics = Arc::new(Metrics::default());
    let tasks = TaskTracker::new();
    let identity =
        Identity { replica: ReplicaId(options.replica.clone()), source: source_id(&options.origin) };
    let source = Source::spawn(options.origin, shutdown.clone());
    let clusters = Clusters::new(identity, options.means, metrics.clone(), shutdown.clone(), tasks.clone());
    let shared = Arc::new(Shared {
        clusters,
        source: source.clone(),
        metrics: metrics.clone(),
        catalogue: Catalogue::kubernetes_1_35().clone(),
        ledger: options.ledger,
        replica: options.replica,
        key: secret_key(),
        board: Board::default(),
        unreadable: Unreadable::default(),
        gate_addresses: options.gate_addresses,
    });
    tasks.spawn(keep_records(shared.clone(), shutdown.clone()));
    let ready = Arc::new(AtomicBool::new(false));
    if let Some(address) = options.listen {
        let web = Web { metrics, ready: ready.clone() };
        let (bound, _) = serve(address, web, shutdown.clone()).await?;
        tracing::info!(%bound, "serving /healthz, /readyz and /metrics");
    }
    let daemon =
        Daemon { shared: shared.clone(), source, tasks: tasks.clone(), shutdown: shutdown.clone(), ready };
    let ended = match options.once {
        None => daemon.follow().await,
        Some(limit) => daemon.once(limit).await,
    };
    shutdown.cancel();
    tasks.close();
    if tokio::time::timeout(SHUTDOWN_DEADLINE, tasks.wait()).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
    Ok(ended)
}

/// A short digest of what is followed: replicas with the same one share their environments.
fn source_id(origin: &Origin) -> String {
    let text = match origin {
        Origin::Git(config) => format!("{}\n{}", config.url.digest(), config.subpath),
        Origin::Folder(config) => format!("{}\n{}", config.path.display(), config.subpath),
    };
    Digest::of(text.as_bytes()).as_str().chars().take(12).collect()
}

/// A key that nobody can look up: digests of Secret values cannot be compared between runs.
fn secret_key() -> Vec<u8> {
    use std::hash::{BuildHasher, Hasher};
    (0..4)
        .flat_map(|_| std::collections::hash_map::RandomState::new().build_hasher().finish().to_le_bytes())
        .collect()
}

struct Daemon {
    shared: Arc<Shared>,
    source: SourceHandle,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    ready: Arc<AtomicBool>,
}

/// The running lanes, each with the channel that says what git asks of it.
type Lanes = BTreeMap<EnvironmentName, watch::Sender<Wanted>>;

/// The clusters in which an environment has a parent, where these are several.
type Homes = BTreeMap<EnvironmentName, BTreeSet<Access>>;

impl Daemon {
    /// Follows the source until shutdown: every new head is handed to the lanes that it concerns.
    async fn follow(&self) -> Ended {
        let mut states = self.source.subscribe();
        let mut lanes = Lanes::new();
        let mut known: Option<SourceHead> = None;
        let mut trouble: Option<Problem> = None;
        let mut look = tokio::time::interval(ORPHANS_INTERVAL);
        let mut homes = Homes::new();
        let mut files = KnownFiles::default();
        loop {
            let state = states.borrow_and_update().clone();
            let before = trouble.clone();
            note(&state, &mut trouble);
            if concerns_records(before.as_ref(), trouble.as_ref()) {
                for lane in lanes.values() {
                    lane.send_modify(|_| {});
                }
            }
            if state.head != known
                && let Some(head) = &state.head
                && self.take(head, &mut lanes, &mut files).await
            {
                known.clone_from(&state.head);
                self.ready.store(true, Ordering::Relaxed);
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return Ended::Signal,
                changed = states.changed() => if changed.is_err() { return Ended::Signal },
                _ = look.tick() => if known.is_some() {
                    self.adopt_orphans(&mut lanes).await;
                    self.tell_moved(&lanes, &mut homes).await;
                },
            }
        }
    }

    /// Follows the source until every environment has settled at the newest head, or `limit` is over.
    async fn once(&self, limit: Duration) -> Ended {
        let settled = async {
            loop {
                if self.ready.load(Ordering::Relaxed) && self.shared.board.is_settled() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let states = || -> BTreeMap<String, String> {
            let all = self.shared.board.all();
            all.into_iter()
                .map(|(name, standing)| (name.to_string(), standing.state.as_str().to_owned()))
                .collect()
        };
        tokio::select! {
            ended = self.follow() => ended,
            () = settled => Ended::Settled(states()),
            () = tokio::time::sleep(limit) => match self.source.subscribe().borrow().trouble.clone() {
                Some(problem) if !self.ready.load(Ordering::Relaxed) => Ended::NoSource(Box::new(problem)),
                Some(_) | None => Ended::TimedOut(states()),
            },
        }
    }

    /// Environments that clusters know as ours and git does not name (any more): they get a lane that says so.
    async fn adopt_orphans(&self, lanes: &mut Lanes) {
        for (access, cluster) in self.shared.clusters.all().await {
            let Some(view) = cluster.view() else { continue };
            for (name, source) in cluster.environments() {
                let ours = source.as_deref() == Some(view.source());
                if ours && !lanes.contains_key(&name) {
                    let (sender, receiver) = watch::channel(Wanted::Missing);
                    let lane =
                        Lane::new(name.clone(), self.shared.clone(), receiver).known_at(access.clone());
                    self.spawn(name.to_string(), lane);
                    lanes.insert(name, sender);
                }
            }
        }
    }

    /// Wakes the lanes of environments that stand in several clusters, when these are others than before: one that was moved
    /// says what it left behind.
    async fn tell_moved(&self, lanes: &Lanes, known: &mut Homes) {
        let mut homes = Homes::new();
        for (access, cluster) in self.shared.clusters.all().await {
            for (name, _) in cluster.environments() {
                homes.entry(name).or_default().insert(access.clone());
            }
        }
        homes.retain(|_, clusters| clusters.len() > 1);
        for name in homes.keys().chain(known.keys()).filter(|name| homes.get(*name) != known.get(*name)) {
            if let Some(lane) = lanes.get(name) {
                lane.send_modify(|_| {});
            }
        }
        *known = homes;
    }

    /// Hands a new head to the lanes; false when it could not be read (tried again with the next state).
    async fn take(&self, head: &SourceHead, lanes: &mut Lanes, files: &mut KnownFiles) -> bool {
        let snapshot = match read_world(&self.source, &head.revision, files).await {
            Ok(snapshot) => snapshot,
            Err(problems) => {
                for problem in problems.iter().take(20) {
                    tracing::error!(revision = %head.revision, "{problem}");
                }
                return false;
            }
        };
        let world = World::again(head.revision.clone(), head.info.clone(), snapshot, files);
        tracing::info!(revision = %world.revision, environments = world.environments.len(), "new head");
        let mut wanted: BTreeMap<EnvironmentName, Wanted> = BTreeMap::new();
        for (name, target) in &world.environments {
            match name.parse() {
                Ok(name) => drop(wanted.insert(name, Wanted::Present(target.clone()))),
                Err(error) => tracing::error!(revision = %world.revision, "environments/{name}: {error}"),
            }
        }
        for name in lanes.keys() {
            wanted.entry(name.clone()).or_insert(Wanted::Missing);
        }
        let watchful = world.watchful();
        self.shared.board.expect(wanted.keys().cloned().collect());
        for (name, wanted) in wanted {
            match lanes.get(&name) {
                // A commit that leaves an environment as it is wakes nobody: its lane finds it with the next pass.
                Some(sender) => drop(sender.send_if_modified(|known| {
                    // One that is gone says so again, because it is expected again.
                    let gone = match wanted {
                        Wanted::Missing => true,
                        Wanted::Present(_) => false,
                    };
                    let wakes = gone || watchful.contains(name.as_str()) || !known.asks_the_same(&wanted);
                    *known = wanted;
                    wakes
                })),
                None => drop(lanes.insert(name.clone(), self.start(name, wanted))),
            }
        }
        true
    }

    fn start(&self, name: EnvironmentName, wanted: Wanted) -> watch::Sender<Wanted> {
        let (sender, receiver) = watch::channel(wanted);
        let waits_in = name.to_string();
        self.spawn(waits_in, Lane::new(name, self.shared.clone(), receiver));
        sender
    }

    /// Starts a lane; its requests to API servers wait in a line of this name.
    fn spawn(&self, name: String, lane: Lane) {
        self.tasks.spawn(in_line(name, Box::pin(lane.run(self.shutdown.clone()))));
    }
}

/// Whether environments look again because of what is new about the source's trouble. Their records say that the branch was
/// rewound or is gone; a repository that is out of reach is said in the log only, and wakes nobody however often it comes
/// and goes.
fn concerns_records(before: Option<&Problem>, now: Option<&Problem>) -> bool {
    let recorded = |trouble: Option<&Problem>| trouble.filter(|problem| is_recorded(problem)).cloned();
    recorded(before) != recorded(now)
}

/// Says what is new about the source's trouble.
fn note(state: &SourceState, known: &mut Option<Problem>) {
    if state.trouble == *known {
        return;
    }
    if let Some(problem) = &state.trouble {
        tracing::error!("{problem}");
    } else {
        tracing::info!("the source answers again");
    }
    known.clone_from(&state.trouble);
}

#[cfg(test)]
mod tests {
    use tidegate_core::problem::Code;

    use super::*;

    #[test]
    fn only_what_records_say_of_the_source_wakes_their_environments() {
        let rewound = |branch: &str| Problem::error(Code::SourceRewound, format!("{branch} was rewound"));
        let away = |reason: &str| Problem::error(Code::SourceUnreachable, reason);
        let wakes =
            |before: Option<Problem>, now: Option<Problem>| concerns_records(before.as_ref(), now.as_ref());
        for (before, now) in [
            (None, Some(away("a timeout"))),
            (Some(away("a timeout")), Some(away("HTTP 500"))),
            (Some(away("HTTP 500")), None),
            (Some(rewound("main")), Some(rewound("main"))),
        ] {
            assert!(!wakes(before.clone(), now.clone()), "{before:?} {now:?}");
        }
        for (before, now) in [
            (None, Some(rewound("main"))),
            (Some(away("a timeout")), Some(rewound("main"))),
            (Some(rewound("main")), Some(away("a timeout"))),
            (Some(rewound("main")), Some(rewound("next"))),
            (Some(rewound("main")), None),
        ] {
            assert!(wakes(before.clone(), now.clone()), "{before:?} {now:?}");
        }
    }
}
