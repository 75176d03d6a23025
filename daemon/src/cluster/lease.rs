//! One Lease per replica of the daemon in each target cluster, and who owns which environment.
//!
//! An optimisation that keeps two daemons from doing the same work; safety comes from the preconditions on every write
//! (S10 of the design). Liveness of others is judged by our own monotonic clock since their renewal was last *seen* to
//! change, never by comparing wall clocks (as client-go does).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
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
const REPLICAS_CAP: u32 = 100;

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
    seen: BTreeMap<ReplicaId, LeaseView>,
    started: Instant,
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
        let filter = ListParams::default().labels(&format!("{LABEL}={}", self.source)).limit(REPLICAS_CAP);
        let leases = repeated(|| self.api.list(&filter)).await?;
        self.note(leases.items);
        Ok(())
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
        let live = self
            .seen
            .iter()
            .filter(|(replica, view)| **replica == self.me || view.is_alive(DEAD_AFTER, now))
            .map(|(replica, _)| replica.clone())
            .collect();
        View { me: self.me.clone(), live }
    }

    fn note(&mut self, leases: Vec<Lease>) {
        let now = self.started.elapsed();
        let mut seen = BTreeMap::new();
        for lease in leases {
            let spec = lease.spec.unwrap_or_default();
            let Some(holder) = spec.holder_identity else { continue };
            let renewed = spec.renew_time.map(|time| time.0.to_string()).unwrap_or_default();
            let resource_version = lease.metadata.resource_version.unwrap_or_default();
            let record = LeaseRecord { holder: holder.clone(), renewed, resource_version };
            let replica = ReplicaId(holder);
            let view = match self.seen.remove(&replica) {
                Some(mut view) => {
                    view.observe(record, now);
                    view
                }
                None => LeaseView::first_seen(record, now),
            };
            seen.insert(replica, view);
        }
        self.seen = seen;
    }

    fn lease_name(&self) -> String {
        format!("tidegate-{}-{}", self.source, self.me.0)
    }
}

/// The live replicas of one cluster, as this one sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    me: ReplicaId,
    live: Vec<ReplicaId>,
}

impl View {
    /// True when this replica is the one that works on the environment (rendezvous hashing).
    pub fn owns(&self, environment: &EnvironmentName) -> bool {
        owner(environment, &self.live).is_none_or(|owner| *owner == self.me)
    }
}

/// Whether any daemon works on a cluster, as a command sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// These replicas renewed their Leases of late.
    Running(Vec<String>),
    /// None did.
    Down,
}

/// Looks for Leases that were renewed of late. Clocks of different machines are compared here, so it is a hint for
/// people and nothing that the daemon acts on.
pub async fn presence(client: &Client) -> Result<Presence, CallError> {
    let api: Api<Lease> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let filter = ListParams::default().labels(LABEL).limit(REPLICAS_CAP);
    let leases = repeated(|| api.list(&filter)).await?;
    let now = jiff::Timestamp::now();
    let fresh = |lease: &Lease| -> Option<String> {
        let spec = lease.spec.as_ref()?;
        let renewed = spec.renew_time.as_ref()?.0;
        let age = now.duration_since(renewed).unsigned_abs();
        (age < DEAD_AFTER).then(|| spec.holder_identity.clone()).flatten()
    };
    let running: Vec<String> = leases.items.iter().filter_map(fresh).collect();
    Ok(if running.is_empty() { Presence::Down } else { Presence::Running(running) })
}
