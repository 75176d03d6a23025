//! The asking of gates: one gate, once. Not here: what is asked and what an answer means (the core's `policy` and `gate`),
//! which gate is asked when, and what follows ([`tidegate_core::rollout`] decides).
//!
//! An asking changes nothing but for the Job of a `job` gate, whose name says what it is for. It never fails: whatever keeps
//! it from an answer is a finding that says so. Whoever is killed in the middle of one asks again.
//!
//! | file | what |
//! |---|---|
//! | `pods` | the colour's ready pods, and those that are being taken away |
//! | `service` | what a Service of the cluster stands for |
//! | `door` | a fresh connection: by address, or through the API server |
//! | `own` | the API server's own addresses |
//! | `request`, `session` | HTTP over such a connection, with its limits |
//! | `http`, `tcp`, `prometheus`, `job`, `endpoints`, `load` | a kind of gate each |

mod door;
mod endpoints;
mod http;
mod job;
mod load;
mod own;
mod pods;
mod prometheus;
mod request;
mod service;
mod session;
mod tcp;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tidegate_core::gate::{AddressRange, Judgement};
use tidegate_core::policy::{Gate, GateKind, Reach};
use tidegate_core::rollout::{Attempt, Finding, Revision, Slot, Stage};
use tokio::time::{Instant, timeout};

/// A pod has so long for one request, or half of the gate's timeout where that is shorter.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// After its time a gate may still say what it has learnt: one look at the pods, one log.
const AFTERWARDS: Duration = Duration::from_secs(10);
/// Gates with a duration of their own take so much more, whatever their timeout says.
const BESIDE_DURATION: Duration = Duration::from_secs(30);

/// A gate, and whom it is about.
pub struct Asking<'a> {
    /// The target cluster, under the environment's identity.
    pub client: &'a Client,
    /// How pods and Services are reached.
    pub reach: Reach,
    /// What is asked.
    pub gate: &'a Gate,
    /// The workload's namespace.
    pub namespace: &'a str,
    /// Its name in git.
    pub app: &'a str,
    /// The colour.
    pub slot: Slot,
    /// Only pods of this revision are asked.
    pub revision: Revision,
    /// The try.
    pub attempt: Attempt,
    /// Before the switch, or in which bake.
    pub stage: Stage,
    /// As many ready pods as the colour has to have.
    pub parity: u32,
    /// The workload's Service.
    pub service: &'a str,
    /// Labels for objects that are made for the gate.
    pub labels: &'a BTreeMap<String, String>,
    /// The operator's exceptions from what gates may not ask.
    pub allowed_addresses: &'a [AddressRange],
}

impl Asking<'_> {
    /// How long one request may take.
    fn request_deadline(&self) -> Duration {
        REQUEST_DEADLINE.min(self.gate.timeout / 2)
    }

    /// How long the whole asking takes at most.
    fn limit(&self) -> Duration {
        let Gate { timeout, kind, .. } = self.gate;
        match kind {
            GateKind::LbHealth(gate) => gate.duration.saturating_add(BESIDE_DURATION).max(*timeout),
            GateKind::Load(gate) => gate.duration.saturating_add(BESIDE_DURATION).max(*timeout),
            GateKind::Http(_)
            | GateKind::Tcp(_)
            | GateKind::Job(_)
            | GateKind::Prometheus(_)
            | GateKind::DrainSafe
            | GateKind::Window(_) => *timeout,
        }
    }
}

/// Asks the gate once.
pub async fn ask(asking: &Asking<'_>) -> Finding {
    let started = Timestamp::now();
    let limit = asking.limit();
    let until = Instant::now() + limit;
    let judgement = match timeout(limit.saturating_add(AFTERWARDS), of_kind(asking, until)).await {
        Ok(judgement) => judgement,
        Err(_) => Judgement::unknown(format!("it was not over within {} s", limit.as_secs())),
    };
    judgement.finding(started, Timestamp::now())
}

async fn of_kind(asking: &Asking<'_>, until: Instant) -> Judgement {
    match &asking.gate.kind {
        GateKind::Http(gate) => http::ask(asking, gate, until).await,
        GateKind::Tcp(gate) => tcp::ask(asking, gate, until).await,
        GateKind::Job(gate) => job::ask(asking, gate, until).await,
        GateKind::Prometheus(gate) => prometheus::ask(asking, gate, until).await,
        GateKind::LbHealth(gate) => endpoints::ask(asking, *gate, until).await,
        GateKind::Load(gate) => load::ask(asking, gate, until).await,
        GateKind::DrainSafe => Judgement::unknown("it is read from the manifest, not asked of the cluster"),
        GateKind::Window(_) => Judgement::unknown("windows are looked up when traffic might move, not asked"),
    }
}
#[cfg(test)]
mod tests;
