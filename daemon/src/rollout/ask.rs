//! Asks gates beside the passes: one at a time, each no more often than its policy says. What a gate says counts only if
//! nothing that it was asked about has changed since. Which one is asked is decided in the core.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_core::gate::AddressRange;
use tidegate_core::policy::{self, GateKind, Reach};
use tidegate_core::rollout::{
    Asked, Attempt, Finding, Gate, POINTER_RECORD, Phase, Question, Revision, SLOT_RECORD, Stage, Verdict,
    WorkloadStatus, Write,
};
use tidegate_core::workload::{DrainSafety, Workload};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::names::Names;
use super::observe::Seen;
use crate::gate;

/// How one workload's gates are asked.
pub struct Asking {
    client: kube::Client,
    reach: Reach,
    allowed: Arc<[AddressRange]>,
    owner: BTreeMap<String, String>,
    running: Option<Running>,
    known: BTreeMap<Key, Known>,
    answered: Arc<Notify>,
}

/// A gate that is being asked.
struct Running {
    question: Question,
    basis: String,
    handle: JoinHandle<Finding>,
}

/// What an answer is about. One of another revision or try says nothing of this one, nor how long this one has been asked.
type Key = (Gate, Stage, Revision, Attempt);

/// What a gate said last.
#[derive(Clone)]
struct Known {
    first: Timestamp,
    finding: Finding,
}

/// Where a question stands.
pub enum Outcome {
    /// It is being asked, or not due yet, or said what stands on the slot already.
    Pending,
    /// It has said something new.
    Answered {
        /// The gate's name.
        gate: String,
        /// The writes that put it on the slot.
        writes: Vec<Write>,
        /// What it said.
        finding: Finding,
    },
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Asking {
    /// Nothing has been asked yet. `owner`: labels of objects that gates make.
    pub fn new(
        client: kube::Client,
        reach: Reach,
        allowed: Arc<[AddressRange]>,
        owner: BTreeMap<String, String>,
    ) -> Self {
        Self {
            client,
            reach,
            allowed,
            owner,
            running: None,
            known: BTreeMap::new(),
            answered: Arc::default(),
        }
    }

    /// How gates get to pods from now on.
    pub const fn reach(&mut self, reach: Reach) {
        self.reach = reach;
    }

    /// Notified when a gate has answered.
    pub fn answered(&self) -> Arc<Notify> {
        self.answered.clone()
    }

    /// Nobody waits for an answer any more.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Goes on with a question: begins it, or takes its answer.
    pub fn ask(&mut self, workload: &Workload, names: &Names, seen: &Seen, question: &Question) -> Outcome {
        let basis = basis(seen, question);
        if let Some(running) = self.running.take() {
            let is_same = is_about(&running.question, question) && running.basis == basis;
            if is_same && running.handle.is_finished() {
                return self.take(workload, running);
            }
            if is_same {
                self.running = Some(running);
                return Outcome::Pending;
            }
        }
        let Some(gate) = self.due(workload, question) else { return Outcome::Pending };
        let handle = self.begin(workload, names, seen, question, gate);
        self.running = Some(Running { question: question.clone(), basis, handle });
        Outcome::Pending
    }

    /// When each gate said something last: whose turn it is comes of it.
    pub fn asked(&self, workload: Option<&Workload>) -> Vec<Asked> {
        let Some(workload) = workload else { return Vec::new() };
        let asked = |((gate, stage, revision, attempt), known): (&Key, &Known)| {
            let at = known.finding.ended;
            let again = at.checked_add(spec(workload, *stage, gate)?.every).unwrap_or(Timestamp::MAX);
            Some(Asked {
                gate: gate.clone(),
                stage: *stage,
                revision: *revision,
                attempt: *attempt,
                at,
                again,
            })
        };
        self.known.iter().filter_map(asked).collect()
    }

    /// The gate as its policy has it, once its pause is over.
    fn due<'w>(&self, workload: &'w Workload, question: &Question) -> Option<&'w policy::Gate> {
        let spec = spec(workload, question.stage, &question.gate)?;
        let known = self.known.get(&key_of(question));
        known.is_none_or(|known| elapsed(known.finding.ended) >= spec.every).then_some(spec)
    }

    fn begin(
        &self,
        workload: &Workload,
        names: &Names,
        seen: &Seen,
        question: &Question,
        gate: &policy::Gate,
    ) -> JoinHandle<Finding> {
        let Question { slot, stage, revision, attempt, .. } = question.clone();
        let namespace = workload.reference.namespace.clone().unwrap_or_default();
        let live = seen.record.as_ref().and_then(|record| record.record.live);
        let replicas = seen.views.get(slot).deployment.as_ref().map_or(1, |held| held.replicas);
        let parity = match live {
            Some(live) if live != slot => seen.views.get(live).pods.ready.max(workload.size.replicas),
            Some(_) | None => replicas,
        };
        let (client, reach, allowed) = (self.client.clone(), self.reach, self.allowed.clone());
        let (app, service, owner) = (names.app.clone(), names.service.clone(), self.owner.clone());
        let (gate, answered) = (gate.clone(), self.answered.clone());
        let drain = (gate.kind == GateKind::DrainSafe)
            .then(|| tidegate_core::workload::drain_safe(&workload.object.to_value()));
        tokio::spawn(async move {
            let finding = if let Some(safety) = drain {
                drain_finding(safety)
            } else {
                let asking = gate::Asking {
                    client: &client,
                    reach,
                    gate: &gate,
                    namespace: &namespace,
                    app: &app,
                    slot,
                    revision,
                    attempt,
                    stage,
                    parity,
                    service: &service,
                    labels: &owner,
                    allowed_addresses: &allowed,
                };
                gate::ask(&asking).await
            };
            answered.notify_one();
            finding
        })
    }

    fn take(&mut self, workload: &Workload, mut running: Running) -> Outcome {
        let question = running.question.clone();
        // One that ended without an answer is asked again.
        let Some(Ok(finding)) = futures::FutureExt::now_or_never(&mut running.handle) else {
            return Outcome::Pending;
        };
        let key = key_of(&question);
        let Question { revision, attempt, stage, .. } = question;
        self.known.retain(|known, _| (known.1, known.2, known.3) == (stage, revision, attempt));
        let first = self.known.get(&key).map_or(finding.started, |known| known.first);
        let finding = in_time(finding, first, workload, question.stage);
        self.known.insert(key, Known { first, finding: finding.clone() });
        let verdict = finding.verdict;
        let gate = question.gate.name.0.to_string();
        let writes = question.record(verdict);
        if writes.is_empty() { Outcome::Pending } else { Outcome::Answered { gate, writes, finding } }
    }

    /// What gates have said since it was last written down, and how long those have that cannot tell yet.
    pub fn overlay(&self, status: &mut WorkloadStatus, workload: Option<&Workload>) {
        let deadline = workload.map(|workload| workload.policy.deadlines.gates);
        for gate in &mut status.gates {
            let newest = self
                .known
                .iter()
                .filter(|((known, stage, ..), _)| *known.name.0 == *gate.name && word(*stage) == gate.stage)
                .map(|(_, known)| &known.finding)
                .max_by_key(|finding| finding.ended);
            let Some(finding) = newest.filter(|finding| gate.at.is_some_and(|at| at < finding.ended)) else {
                continue;
            };
            gate.verdict = Some(finding.verdict);
            gate.value.clone_from(&finding.value);
            gate.threshold.clone_from(&finding.threshold);
            gate.samples = finding.samples;
            gate.summary.clone_from(&finding.summary);
            gate.at = Some(finding.ended);
        }
        if status.phase != Phase::Gates {
            return;
        }
        for gate in status.gates.iter_mut().filter(|gate| gate.verdict == Some(Verdict::Unknown)) {
            let is_it = |(known, stage, ..): &Key| *known.name.0 == *gate.name && word(*stage) == gate.stage;
            let asked = self.known.iter().filter(|(key, _)| is_it(key));
            let first = asked.map(|(_, known)| known.first).max();
            gate.until = first.zip(deadline).and_then(|(first, deadline)| first.checked_add(deadline).ok());
            status.until = status.until.or(gate.until);
        }
    }
}

fn key_of(question: &Question) -> Key {
    (question.gate.clone(), question.stage, question.revision, question.attempt)
}

/// What the policy says of a gate.
fn spec<'w>(workload: &'w Workload, stage: Stage, gate: &Gate) -> Option<&'w policy::Gate> {
    let gates = match stage {
        Stage::BeforeSwitch => &workload.policy.before_switch,
        Stage::Baking(_) => &workload.policy.while_baking,
    };
    gates.iter().find(|spec| *spec.name == *gate.name.0)
}

/// Unknown for too long before the switch is failed.
fn in_time(finding: Finding, first: Timestamp, workload: &Workload, stage: Stage) -> Finding {
    let deadline = workload.policy.deadlines.gates;
    let is_late = finding.ended.duration_since(first)
        >= SignedDuration::try_from(deadline).unwrap_or(SignedDuration::MAX);
    match (finding.verdict, stage) {
        (Verdict::Unknown, Stage::BeforeSwitch) if is_late => {
            let summary = format!("it could not tell within {} s: {}", deadline.as_secs(), finding.summary);
            Finding { verdict: Verdict::Fail, summary, ..finding }
        }
        (Verdict::Pass | Verdict::Fail | Verdict::Unknown, Stage::BeforeSwitch | Stage::Baking(_)) => finding,
    }
}

const fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::BeforeSwitch => "beforeSwitch",
        Stage::Baking(_) => "whileBaking",
    }
}

fn elapsed(at: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default()
}

/// True when an answer to one is an answer for the other. In a bake a gate that is being asked is let finish, whoever's turn has
/// come meanwhile.
fn is_about(running: &Question, asked: &Question) -> bool {
    let same_gate = match asked.stage {
        Stage::BeforeSwitch => running.gate == asked.gate,
        Stage::Baking(_) => true,
    };
    same_gate
        && running.slot == asked.slot
        && running.stage == asked.stage
        && running.revision == asked.revision
        && running.attempt == asked.attempt
}

/// What a question rests on: the slot's template and record, and in a bake the pointer. Statuses may change meanwhile.
fn basis(seen: &Seen, question: &Question) -> String {
    let slot = seen.slots.get(question.slot).as_ref().map(|seen| {
        let template = seen.live.value.pointer("/spec/template").unwrap_or(&Value::Null);
        let record = seen.live.annotation(SLOT_RECORD).unwrap_or_default();
        format!("{}{record}{template}", seen.live.text("/metadata/uid"))
    });
    let pointer = match question.stage {
        Stage::BeforeSwitch => String::new(),
        Stage::Baking(_) => seen.service.as_ref().map_or_else(String::new, |live| {
            let selector = live.value.pointer("/spec/selector").unwrap_or(&Value::Null);
            format!(
                "{}{}{selector}",
                live.text("/metadata/uid"),
                live.annotation(POINTER_RECORD).unwrap_or_default()
            )
        }),
    };
    format!("{}{pointer}", slot.unwrap_or_default())
}

/// What a manifest says of how its pods go.
fn drain_finding(safety: DrainSafety) -> Finding {
    let now = Timestamp::now();
    let DrainSafety { verdict, summary } = safety;
    Finding {
        verdict,
        value: None,
        threshold: None,
        rule: None,
        samples: 1,
        summary,
        started: now,
        ended: now,
    }
}
