//! One Lease per replica of the daemon in each target cluster, and who owns which environment.
//!
//! An optimisation that keeps two daemons from doing the same work; safety comes from the preconditions on every write
//! (S10 of the design). Liveness of others is judged by our own monotonic clock since their renewal was last *seen* to
//! change, never by comparing wall clocks (as client-go does).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::json;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::schedule::{LeaseRecord, LeaseView, ReplicaId, owner};

use super::call::{CallError, repeated};
use super::parent::SYSTEM_NAMESPACE;

/// How often a replica renews its Lease and looks at the others'.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);
/// A replica whose Lease has not changed for this long is taken for dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(15);
/// The label of all our Leases; its value is [`Identity::source`].
const LABEL: &str = "tidegate.dev/replica";
/// More replicas than this are not looked at.
const REPLICAS_CAP: u32 = 1_000;
/// A Lease that nobody has renewed for this long is removed: its replica is gone for good.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// Who a replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub replica: ReplicaId,
    /// A short digest of the repository that it follows. Only replicas of one repository share environments: a daemon of
    /// another repository knows nothing of them.
    pub source: String,
}

/// This replica's membership in one cluster.
pub struct Membership {
    api: Api<Lease>,
    me: ReplicaId,
    source: String,
    seen: BTreeMap<String, Seen>,
    started: Instant,
}

/// One Lease of any daemon in the cluster.
struct Seen {
    replica: ReplicaId,
    source: String,
    resource_version: String,
    view: LeaseView,
}

impl Membership {
    /// Not a member yet; the first [`Membership::renew`] makes it one.
    pub fn new(client: Client, me: Identity) -> Self {
        let Identity { replica: me, source } = me;
        Self {
            api: Api::namespaced(client, SYSTEM_NAMESPACE),
            me,
            source,
            seen: BTreeMap::new(),
            started: Instant::now(),
        }
    }

    /// Renews our Lease and reads the others'.
    pub async fn renew(&mut self) -> Result<(), CallError> {
        let name = self.lease_name();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": name, "labels": { LABEL: self.source } },
            "spec": {
                "holderIdentity": self.me.0,
                "leaseDurationSeconds": DEAD_AFTER.as_secs(),
                "renewTime": format!("{:.6}", jiff::Timestamp::now()),
            }
        });
        let params = PatchParams::apply("tidegate-lease").force();
        let patch = Patch::Apply(&lease);
        repeated(|| self.api.patch(&name, &params, &patch)).await?;
        let filter = ListParams::default().labels(LABEL).limit(REPLICAS_CAP);
        let leases = repeated(|| self.api.list(&filter)).await?;
        self.note(leases.items);
        self.remove_forgotten().await
    }

    /// Gives the Lease up, so that others take over at once.
    pub async fn release(&self) -> Result<(), CallError> {
        match super::call::once(self.api.delete(&self.lease_name(), &DeleteParams::default())).await {
            Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Who is alive now.
    pub fn view(&self) -> View {
        let now = self.started.elapsed();
        let alive = |seen: &&Seen| seen.replica == self.me || seen.view.is_alive(DEAD_AFTER, now);
        let (mut live, mut others) = (Vec::new(), BTreeSet::new());
        for seen in self.seen.values().filter(alive) {
            if seen.source == self.source {
                live.push(seen.replica.clone());
            } else {
                others.insert(seen.source.clone());
            }
        }
        View { me: self.me.clone(), source: self.source.clone(), live, others }
    }

    fn note(&mut self, leases: Vec<Lease>) {
        let now = self.started.elapsed();
        let mut seen = BTreeMap::new();
        for lease in leases {
            let spec = lease.spec.unwrap_or_default();
            let source = lease.metadata.labels.and_then(|mut labels| labels.remove(LABEL));
            let (Some(holder), Some(name), Some(source)) =
                (spec.holder_identity, lease.metadata.name, source)
            else {
                continue;
            };
            let renewed = spec.renew_time.map(|time| time.0.to_string()).unwrap_or_default();
            let resource_version = lease.metadata.resource_version.unwrap_or_default();
            let record =
                LeaseRecord { holder: holder.clone(), renewed, resource_version: resource_version.clone() };
            let view = match self.seen.remove(&name) {
                Some(Seen { mut view, .. }) => {
                    view.observe(record, now);
                    view
                }
                None => LeaseView::first_seen(record, now),
            };
            seen.insert(name, Seen { replica: ReplicaId(holder), source, resource_version, view });
        }
        self.seen = seen;
    }

    /// Removes Leases of replicas that are gone for good, so that they do not pile up.
    async fn remove_forgotten(&self) -> Result<(), CallError> {
        let now = self.started.elapsed();
        for (name, seen) in self.seen.iter().filter(|(_, seen)| !seen.view.is_alive(FORGOTTEN_AFTER, now)) {
            let resource_version = Some(seen.resource_version.clone());
            let params = DeleteParams::default().preconditions(Preconditions { uid: None, resource_version });
            match super::call::once(self.api.delete(name, &params)).await {
                Ok(_) | Err(CallError::NotFound(_) | CallError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn lease_name(&self) -> String {
        format!("tidegate-{}-{}", self.source, self.me.0)
    }
}

/// The live replicas of one cluster, as this one sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    me: ReplicaId,
    source: String,
    live: Vec<ReplicaId>,
    others: BTreeSet<String>,
}

impl View {
    /// True when this replica is the one that works on the environment (rendezvous hashing).
    pub fn owns(&self, environment: &EnvironmentName) -> bool {
        owner(environment, &self.live).is_none_or(|owner| *owner == self.me)
    }

    /// True for the name of this replica.
    pub fn is_me(&self, replica: &str) -> bool {
        self.me.0 == replica
    }

    /// The digest of the repository that this daemon follows.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// True when a daemon that follows this other repository is alive.
    pub fn is_other(&self, source: &str) -> bool {
        self.others.contains(source)
    }
}

/// Whether a daemon works on an environment, as a command sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// These replicas renewed their Leases of late.
    Running(Vec<String>),
    /// None did.
    Down,
}

/// The replicas that renewed their Leases of late, by the repository that they follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replicas(BTreeMap<String, Vec<String>>);

impl Replicas {
    /// Those that follow this repository; any, where it is not known which one an environment belongs to.
    pub fn of(&self, source: Option<&str>) -> Presence {
        let wanted = |known: &&String| source.is_none_or(|source| source == known.as_str());
        let running: Vec<String> = self
            .0
            .iter()
            .filter(|(known, _)| wanted(known))
            .flat_map(|(_, replicas)| replicas.clone())
            .collect();
        if running.is_empty() { Presence::Down } else { Presence::Running(running) }
    }
}

/// Looks for Leases that were renewed of late. Clocks of different machines are compared here, so it is a hint for
/// people and nothing that the daemon acts on.
pub async fn replicas(client: &Client) -> Result<Replicas, CallError> {
    let api: Api<Lease> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let filter = ListParams::default().labels(LABEL).limit(REPLICAS_CAP);
    let leases = repeated(|| api.list(&filter)).await?;
    let now = jiff::Timestamp::now();
    let fresh = |lease: Lease| -> Option<(String, String)> {
        let spec = lease.spec?;
        let age = now.duration_since(spec.renew_time.as_ref()?.0).unsigned_abs();
        let source = lease.metadata.labels?.remove(LABEL)?;
        (age < DEAD_AFTER).then(|| Some((source, spec.holder_identity?))).flatten()
    };
    let mut found = Replicas::default();
    for (source, holder) in leases.items.into_iter().filter_map(fresh) {
        found.0.entry(source).or_default().push(holder);
    }
    Ok(found)
}
