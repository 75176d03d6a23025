//! What is said of a rollout beside its status: log lines, metrics, and Kubernetes Events on its objects. One line and one Event
//! for each decision that changes something, none for passes that wait.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tidegate_core::ids::Digest;
use tidegate_core::location::Location;
use tidegate_core::problem::Code;
use tidegate_core::rollout::{
    Decision, Failure, Finding, Phase, Slot, Slots, Verdict, WorkloadState, WorkloadStatus, Write,
};

use super::calls::Live;
use super::carry::Carried;
use super::observe::Seen;
use super::upkeep::Repair;
use crate::cluster::call::CallError;
use crate::telemetry::{GateLabels, Metrics, PhaseLabels, StepLabels};

/// An Event's note is cut here (the API's own limit is 1,024 bytes).
const NOTE_CAP: usize = 900;
/// Digits of a note's digest in the action of its Event.
const NOTE_DIGITS: usize = 8;
/// An Event that is not taken within this time is dropped: it must not hold a rollout up.
const EVENT_DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

/// Says things about the workloads of one environment.
#[derive(Clone)]
pub struct Teller {
    /// The environment.
    pub environment: String,
    /// The workload's namespace.
    pub namespace: String,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Events.
    pub recorder: Recorder,
    /// What they are about.
    pub about: About,
}

/// The objects that Events are about, as they were seen last: `kubectl describe` finds them by uid.
#[derive(Debug, Clone, Default)]
pub struct About {
    service: Option<ObjectReference>,
    slots: Slots<Option<ObjectReference>>,
}

impl About {
    /// Those of a pass.
    pub fn of(seen: &Seen) -> Self {
        let slot = |slot| seen.slots.get(slot).as_ref().map(|seen| reference(&seen.live));
        Self {
            service: seen.service.as_ref().map(reference),
            slots: Slots { blue: slot(Slot::Blue), green: slot(Slot::Green) },
        }
    }

    /// The Service, which lives as long as the workload.
    fn workload(&self) -> Option<&ObjectReference> {
        self.service.as_ref().or(self.slots.blue.as_ref()).or(self.slots.green.as_ref())
    }

    fn deployment(&self, name: &str) -> Option<&ObjectReference> {
        let slots = [&self.slots.blue, &self.slots.green].into_iter().flatten();
        slots.into_iter().find(|known| known.name.as_deref() == Some(name))
    }
}

fn reference(live: &Live) -> ObjectReference {
    let text = |pointer: &str| Some(live.text(pointer).to_owned()).filter(|text| !text.is_empty());
    ObjectReference {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
        uid: text("/metadata/uid"),
        ..ObjectReference::default()
    }
}

impl Teller {
    /// A pass has found out how the workload stands.
    pub fn stands(
        &self,
        app: &str,
        before: Option<&WorkloadStatus>,
        status: &WorkloadStatus,
        decision: &Decision,
    ) {
        let workload = self.workload(app);
        let known = before.map(|before| before.phase);
        if known != Some(status.phase) {
            if let Some(known) = known {
                self.phase(&workload, known).set(0);
            }
            self.phase(&workload, decision.phase).set(1);
            tracing::info!(
                environment = %self.environment, %workload, phase = status.phase.as_str(),
                state = status.state.as_str(), revision = status.desired.as_deref().unwrap_or_default(),
                reason = %status.reason, "rollout"
            );
        }
        let is_news = before.map(|before| before.state) != Some(status.state);
        if is_news {
            let is_bad = match status.state {
                WorkloadState::Rejected | WorkloadState::Halted | WorkloadState::Degraded => true,
                WorkloadState::Live
                | WorkloadState::Moving
                | WorkloadState::Baking
                | WorkloadState::Waiting => false,
            };
            let failure = status.failure.as_deref().filter(|_| is_bad);
            if let Some(failure) = failure {
                self.turned_down(&workload, failure);
            }
            let note = failure.map_or_else(|| status.reason.clone(), Failure::short);
            self.event(self.on(app), status.state.as_str(), &note, is_bad);
        }
    }

    /// One line with everything by which it can be found again.
    fn turned_down(&self, workload: &str, failure: &Failure) {
        let finding = failure.gate.as_ref().map(|gate| &gate.finding);
        let place = |location: Option<&Location>| location.map(ToString::to_string).unwrap_or_default();
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        tracing::warn!(
            environment = %self.environment, %workload, code = %Code::RolloutRejected, commit = %failure.commit,
            gate = failure.gate.as_ref().map(|gate| gate.name.as_str()).unwrap_or_default(),
            value = text(finding.and_then(|finding| finding.value.as_ref())),
            threshold = text(finding.and_then(|finding| finding.threshold.as_ref())),
            rule = place(finding.and_then(|finding| finding.rule.as_ref())),
            change = place(failure.changes.fields.first().map(|change| &change.location)),
            pod = failure.last_words.as_ref().map(|words| words.pod.as_str()).unwrap_or_default(),
            reason = %failure.headline(), "turned down"
        );
    }

    /// A step was carried out, or ended early.
    pub fn carried(&self, app: &str, phase: Phase, writes: &[Write], carried: &Carried) {
        let workload = self.workload(app);
        let outcome = match carried {
            Carried::Done => "done",
            Carried::Ended(_) => "ended",
            Carried::Refused(_) => "refused",
        };
        let labels = StepLabels {
            environment: self.environment.clone(),
            workload: workload.clone(),
            phase: phase.as_str().to_owned(),
            outcome: outcome.to_owned(),
        };
        self.metrics.rollout_steps.get_or_create(&labels).inc();
        let writes = writes.len();
        match carried {
            Carried::Done => tracing::info!(
                environment = %self.environment, %workload, phase = phase.as_str(), writes, "step"
            ),
            Carried::Ended(why) => tracing::debug!(
                environment = %self.environment, %workload, phase = phase.as_str(), %why, "step ended early"
            ),
            Carried::Refused(why) => {
                tracing::warn!(
                    environment = %self.environment, %workload, phase = phase.as_str(), %why, "step refused"
                );
                self.event(self.on(app), "refused", why, true);
            }
        }
    }

    /// A gate has said something new.
    pub fn answered(&self, app: &str, slot: Slot, gate: &str, phase: Phase, finding: &Finding) {
        let workload = self.workload(app);
        let verdict = match finding.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Unknown => "unknown",
        };
        let labels = GateLabels {
            environment: self.environment.clone(),
            workload: workload.clone(),
            gate: gate.to_owned(),
            verdict: verdict.to_owned(),
        };
        self.metrics.gate_answers.get_or_create(&labels).inc();
        tracing::info!(
            environment = %self.environment, %workload, phase = phase.as_str(), gate, verdict,
            value = finding.value.as_deref().unwrap_or_default(), samples = finding.samples,
            summary = %finding.summary, "gate"
        );
        let note = format!("gate {gate}: {verdict}: {}", finding.summary);
        let on = self.about.slots.get(slot).clone().unwrap_or_else(|| self.on(app));
        self.event(on, "gate", &note, finding.verdict == Verdict::Fail);
    }

    /// A hand-made change was taken back.
    pub fn repaired(&self, app: &str, repair: &Repair) {
        let Repair { name, managers } = repair;
        let managers = managers.join(", ");
        tracing::info!(
            environment = %self.environment, workload = %self.workload(app), deployment = %name, %managers,
            "a changed template was taken back"
        );
        let by = if managers.is_empty() { String::new() } else { format!(" by {managers}") };
        let on = self.about.deployment(name).cloned().unwrap_or_else(|| self.on(app));
        self.event(
            on,
            "repair",
            &format!("the template of {name} was changed{by}; it is as it was again"),
            true,
        );
    }

    /// The pods of a colour are replaced by hand.
    pub fn restarted(&self, app: &str, name: &str) {
        tracing::info!(
            environment = %self.environment, workload = %self.workload(app), deployment = %name,
            "restarted by hand"
        );
        let on = self.about.deployment(name).cloned().unwrap_or_else(|| self.on(app));
        let note = format!(
            "{name} was restarted by hand (`kubectl rollout restart`): its pods are replaced one by one, at the same revision. From git, \
             through the gates: change the annotation `tidegate.dev/rollout-restart`"
        );
        self.event(on, "restart", &note, false);
    }

    /// What somebody else had done, and what was made of it.
    pub fn taken_back(&self, app: &str, phase: Phase, what: &str) {
        tracing::warn!(
            environment = %self.environment, workload = %self.workload(app), phase = phase.as_str(), %what,
            "what somebody else did was answered"
        );
        self.event(self.on(app), phase.as_str(), what, true);
    }

    /// A pass failed.
    pub fn failed(&self, app: &str, error: &CallError) {
        tracing::warn!(environment = %self.environment, workload = %self.workload(app), %error, "rollout pass failed");
    }

    /// Nobody works on the workload here any more: it is in no phase.
    pub fn left(&self, app: &str, phase: Phase) {
        self.phase(&self.workload(app), phase).set(0);
    }

    fn workload(&self, app: &str) -> String {
        super::board::key(&self.namespace, app)
    }

    fn phase(&self, workload: &str, phase: Phase) -> prometheus_client::metrics::gauge::Gauge {
        let labels = PhaseLabels {
            environment: self.environment.clone(),
            workload: workload.to_owned(),
            phase: phase.as_str().to_owned(),
        };
        self.metrics.rollout_phase.get_or_create(&labels).clone()
    }

    /// What is said of the workload as a whole; where nothing of it is there yet, the Deployment in git.
    fn on(&self, app: &str) -> ObjectReference {
        self.about.workload().cloned().unwrap_or_else(|| ObjectReference {
            api_version: Some("apps/v1".to_owned()),
            kind: Some("Deployment".to_owned()),
            name: Some(app.to_owned()),
            namespace: Some(self.namespace.clone()),
            ..ObjectReference::default()
        })
    }

    /// Sent beside the pass: nothing waits for it.
    fn event(&self, about: ObjectReference, action: &str, note: &str, is_bad: bool) {
        let mut end = note.len().min(NOTE_CAP);
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        let event = Event {
            type_: if is_bad { EventType::Warning } else { EventType::Normal },
            reason: "Rollout".to_owned(),
            note: note.get(..end).map(str::to_owned),
            action: distinct(action, note),
            secondary: None,
        };
        let recorder = self.recorder.clone();
        tokio::spawn(async move {
            let sent = tokio::time::timeout(EVENT_DEADLINE, recorder.publish(&event, &about)).await;
            if let Ok(Err(error)) = sent {
                tracing::debug!(%error, "failed to publish an Event");
            }
        });
    }
}

/// An action that is another one for another note: Events that differ in their notes alone are counted as one, and only the first
/// note would be told.
fn distinct(action: &str, note: &str) -> String {
    let digest = Digest::of(note.as_bytes());
    format!("{action}-{}", digest.as_str().get(..NOTE_DIGITS).unwrap_or_default())
}
