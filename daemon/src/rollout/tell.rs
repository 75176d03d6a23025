//! What is said of a rollout beside its status: log lines, metrics, and Kubernetes Events on its objects. One line and one Event
//! for each decision that changes something, none for passes that wait.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tidegate_core::ids::Digest;
use tidegate_core::location::Location;
use tidegate_core::problem::Code;
use tidegate_core::rollout::{
    Decision, Failure, Finding, Phase, Revision, Slot, Slots, Step, Verdict, WorkloadState, WorkloadStatus,
    Write,
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

/// What a decision is about, so that its line in the log can be found by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The slot; empty where none is.
    slot: &'static str,
    /// What the slot holds, or is about to.
    revision: String,
    /// The commit that this was made from.
    commit: String,
}

impl Subject {
    /// Of a step of a workload that stands so, where git is at this commit. A step that names no slot is about the one that holds
    /// what git asks for, else about the one that serves.
    pub fn of(step: &Step, status: &WorkloadStatus, commit: &str) -> Self {
        let held = |slot: Slot| status.slots.get(slot).as_ref();
        let holds =
            |slot: &Slot| held(*slot).is_some_and(|held| Some(&held.revision) == status.desired.as_ref());
        let named = step.slot().or_else(|| Slot::ALL.into_iter().find(holds)).or(status.serves);
        let Some(slot) = named else { return Self::default() };
        let (revision, commit) = match (prepared(step, slot), held(slot)) {
            (Some(revision), _) => (revision.to_string(), commit.to_owned()),
            (None, Some(held)) => (held.revision.clone(), held.commit.clone()),
            (None, None) => (String::new(), String::new()),
        };
        let slot = match slot {
            Slot::Blue => "blue",
            Slot::Green => "green",
        };
        Self { slot, revision, commit }
    }
}

/// What the slot is about to hold.
fn prepared(step: &Step, of: Slot) -> Option<Revision> {
    let Step::Carry(writes) = step else { return None };
    writes.iter().find_map(|write| match write {
        Write::Prepare { slot, revision, .. } if *slot == of => Some(*revision),
        _ => None,
    })
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
        commit: &str,
    ) {
        let workload = self.workload(app);
        let known = before.map(|before| before.phase);
        if known != Some(status.phase) {
            if let Some(known) = known {
                self.phase(&workload, known).set(0);
            }
            self.phase(&workload, decision.phase).set(1);
            let Subject { slot, revision, commit: made_from } = Subject::of(&decision.step, status, commit);
            tracing::info!(
                environment = %self.environment, %workload, phase = status.phase.as_str(),
                state = status.state.as_str(), slot, %revision, commit = %made_from,
                desired = status.desired.as_deref().unwrap_or_default(), git = %commit,
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
    pub fn carried(&self, app: &str, phase: Phase, subject: &Subject, writes: usize, carried: &Carried) {
        let Subject { slot, revision, commit } = subject;
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
        match carried {
            Carried::Done => tracing::info!(
                environment = %self.environment, %workload, phase = phase.as_str(), slot, %revision, %commit, writes,
                "step"
            ),
            Carried::Ended(why) => tracing::debug!(
                environment = %self.environment, %workload, phase = phase.as_str(), slot, %revision, %commit, %why,
                "step ended early"
            ),
            Carried::Refused(why) => {
                tracing::warn!(
                    environment = %self.environment, %workload, phase = phase.as_str(), slot, %revision, %commit, %why,
                    "step refused"
                );
                self.event(self.on(app), "refused", why, true);
            }
        }
    }

    /// A gate has said something new.
    pub fn answered(
        &self,
        app: &str,
        (slot, subject): (Slot, &Subject),
        gate: &str,
        phase: Phase,
        finding: &Finding,
    ) {
        let Subject { slot: name, revision, commit } = subject;
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
            slot = name, %revision, %commit, summary = %finding.summary, "gate"
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use kube::runtime::events::Reporter;
    use tidegate_core::rollout::{Attempt, SlotStatus, Waiting};

    use super::*;

    fn slot(revision: &str, commit: &str) -> SlotStatus {
        let (revision, commit) = (revision.to_owned(), commit.to_owned());
        SlotStatus { name: "api".to_owned(), revision, commit, replicas: 2, ready: 2 }
    }

    /// Blue serves what the commit `old` asked for; git asks for revision 2 at the commit `new`, which green holds.
    fn status() -> WorkloadStatus {
        WorkloadStatus {
            workload: super::super::names::reference("shop", "api"),
            state: WorkloadState::Moving,
            phase: Phase::Warm,
            reason: "pods become ready".to_owned(),
            next: None,
            until: None,
            serves: Some(Slot::Blue),
            desired: Some(Revision::new(2).to_string()),
            slots: Slots {
                blue: Some(slot(&Revision::new(1).to_string(), "old")),
                green: Some(slot(&Revision::new(2).to_string(), "new")),
            },
            gates: Vec::new(),
            can_go_back: false,
            rejected: None,
            failure: None,
        }
    }

    fn said(step: &Step, status: &WorkloadStatus) -> (&'static str, String, String) {
        let Subject { slot, revision, commit } = Subject::of(step, status, "head");
        (slot, revision, commit)
    }

    fn is(slot: &'static str, revision: u128, commit: &str) -> (&'static str, String, String) {
        (slot, Revision::new(revision).to_string(), commit.to_owned())
    }

    #[test]
    fn a_step_is_about_the_slot_that_it_writes_and_what_that_holds() {
        let retire = Step::Carry(vec![Write::Epoch, Write::Scale { slot: Slot::Blue, replicas: 0 }]);
        assert_eq!(said(&retire, &status()), is("blue", 1, "old"));
        let prepare =
            Write::Prepare { slot: Slot::Green, revision: Revision::new(3), attempt: Attempt::default() };
        let prepare = Step::Carry(vec![Write::Epoch, prepare]);
        assert_eq!(said(&prepare, &status()), is("green", 3, "head"), "what it is about to hold");
    }

    #[test]
    fn who_waits_waits_for_the_slot_that_holds_what_git_asks_for_else_for_the_one_that_serves() {
        let wait = Step::Wait(Waiting::Pods);
        assert_eq!(said(&wait, &status()), is("green", 2, "new"));
        let unknown = WorkloadStatus { desired: None, ..status() };
        assert_eq!(said(&wait, &unknown), is("blue", 1, "old"));
        let nothing = WorkloadStatus { serves: None, slots: Slots::default(), ..status() };
        assert_eq!(said(&wait, &nothing), ("", String::new(), String::new()));
    }

    /// What is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn teller() -> Teller {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(tower::BoxError::from("out of reach"))
        });
        let client = kube::Client::new(service, "shop");
        Teller {
            environment: "production".to_owned(),
            namespace: "shop".to_owned(),
            metrics: Arc::default(),
            recorder: Recorder::new(client, Reporter::from("tidegate")),
            about: About::default(),
        }
    }

    #[tokio::test]
    async fn each_decision_is_one_line_with_its_commit_its_slot_and_its_revision() {
        let (log, status) = (Log::default(), status());
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let finding = Finding {
            verdict: Verdict::Pass,
            value: None,
            threshold: None,
            rule: None,
            samples: 2,
            summary: "2 of 2 requests".to_owned(),
            started: jiff::Timestamp::UNIX_EPOCH,
            ended: jiff::Timestamp::UNIX_EPOCH,
        };
        tracing::subscriber::with_default(subscriber, || {
            let (teller, step) = (teller(), Step::Wait(Waiting::Pods));
            let subject = Subject::of(&step, &status, "new");
            teller.stands("api", None, &status, &Decision { phase: Phase::Warm, step }, "new");
            teller.carried("api", Phase::ScaleUp, &subject, 1, &Carried::Done);
            teller.carried("api", Phase::ScaleUp, &subject, 1, &Carried::Refused("quota".to_owned()));
            teller.answered("api", (Slot::Green, &subject), "smoke", Phase::Gates, &finding);
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "one each: {text}");
        let revision = Revision::new(2).to_string();
        for line in lines {
            for field in ["slot=\"green\"", &format!("revision={revision}"), "commit=new"] {
                assert!(line.contains(field), "{field} is not in: {line}");
            }
        }
    }
}
