//! Carries one step out: its writes in their order, each guarded by what was read before the first one. A guard that does not
//! hold ends the step; the next pass reads and decides anew.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_core::inventory::{Marks, Precondition, marked};
use tidegate_core::rollout::{
    Answer, Attempt, Evidence, Finding, Held, Recheck, Revision, SLOT_RECORD, Selection, Slot, SlotRecord,
    Write,
};
use tidegate_core::workload::names::{APP, REVISION, SLOT};
use tidegate_core::workload::{SlotRender, Workload};

use super::bodies;
use super::calls::{BODY, COLOUR, Calls, Kind, Live, ROLLOUT};
use super::guard::Guard;
use super::kept::Kept;
use super::leaving::Leaving;
use super::names::Names;
use super::observe::{MADE_TO_LEAVE, Seen, SeenSlot, SeenUncoloured, count};
use super::point::Ports;
use crate::cluster::call::CallError;

/// Carries steps of one workload out.
pub struct Carrier<'a> {
    /// Requests.
    pub calls: &'a Calls,
    /// The kept renders.
    pub kept: &'a Kept,
    /// What the objects are called.
    pub names: &'a Names,
    /// What git asks for; none for a workload that has left it.
    pub workload: Option<&'a Workload>,
    /// The commit that asks.
    pub commit: &'a str,
    /// The marks of the environment.
    pub marks: &'a Marks,
    /// What the step was decided from.
    pub seen: &'a Seen,
    /// What of git says how to part with what it does not ask for.
    pub leaving: &'a Leaving,
    /// What a gate has said, where the step writes it down.
    pub finding: Option<&'a Finding>,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// All its writes are done.
    Done,
    /// A guard did not hold: nothing after it was written.
    Ended(String),
    /// The API server refused a write; the step ends, and its words say why.
    Refused(String),
}

/// What is read and made before the first write, so that nothing has to be found out between two of them.
#[derive(Default)]
struct Outfit {
    /// The kept render of a slot that is made again.
    remade: Option<SlotRender>,
    /// The ports of the slot that traffic is about to move to.
    ports: Ports,
    /// The revision of the Deployment that is taken over.
    adopted: Option<Revision>,
}

impl Carrier<'_> {
    /// Carries the writes out.
    pub async fn carry(&self, writes: &[Write]) -> Result<Carried, CallError> {
        let outfit = match self.outfit(writes).await {
            Ok(outfit) => outfit,
            Err(error) => return ended(error),
        };
        for write in writes {
            match self.write(write, &outfit).await {
                Ok(None) => {}
                Ok(Some(why)) => return Ok(Carried::Ended(why)),
                Err(error) => return ended(error),
            }
        }
        Ok(Carried::Done)
    }

    /// What the writes need. None of it changes what is live or tested.
    async fn outfit(&self, writes: &[Write]) -> Result<Outfit, CallError> {
        let mut outfit = Outfit::default();
        for write in writes {
            match write {
                Write::Prepare { slot, revision, .. } => {
                    let render = self.render(*slot)?;
                    self.kept.keep(*slot, *revision, &render).await?;
                    self.ensure_configs(&render.configs).await?;
                }
                Write::Recreate(slot) => {
                    let Some(held) = self.held(*slot) else {
                        return Err(lost(*slot, "the pointer does not say what it held"));
                    };
                    let Some(render) = self.kept.read(*slot, held.revision).await? else {
                        return Err(lost(*slot, "its kept render is gone from tidegate-system"));
                    };
                    self.ensure_configs(&render.configs).await?;
                    outfit.remade = Some(render);
                }
                Write::Point { selection: Selection::Only(slot), .. } if !self.selects(*slot) => {
                    outfit.ports = self.ports_of(*slot).await?;
                }
                Write::Follow(Selection::Only(slot)) => outfit.ports = self.ports_of(*slot).await?,
                Write::Colour(slot) => {
                    let Some(uncoloured) = &self.seen.uncoloured else { continue };
                    let revision = self.adopted_revision(&uncoloured.live).await?;
                    let render = self.adopted_render(*slot, revision, &uncoloured.live);
                    self.kept.keep(*slot, revision, &render).await?;
                    outfit.adopted = Some(revision);
                }
                Write::Mark { .. }
                | Write::Release(_)
                | Write::MarkFollowers
                | Write::Recheck(_)
                | Write::Point { .. }
                | Write::Epoch
                | Write::Follow(_)
                | Write::Scale { .. }
                | Write::Evidence { .. }
                | Write::Autoscaler { .. }
                | Write::Delete(_)
                | Write::DeletePointer
                | Write::Forget
                | Write::FreezeAutoscaler
                | Write::ReplaceBudget
                | Write::Uncolour(_)
                | Write::MakeUncoloured { .. }
                | Write::DeleteUncoloured => {}
            }
        }
        Ok(outfit)
    }

    /// One write; says why the step ends where it does.
    async fn write(&self, write: &Write, outfit: &Outfit) -> Result<Option<String>, CallError> {
        match write {
            Write::Mark { slot, serves } => {
                let now = self.seen.at;
                self.note(*slot, |record| record.marked(*serves, now)).await
            }
            Write::Release(slot) => {
                let now = self.seen.at;
                self.note(*slot, |record| SlotRecord { released: Some(now), ..record }).await
            }
            Write::Evidence { slot, evidence } => self.evidence(*slot, evidence).await,
            Write::MarkFollowers => self.mark_followers().await,
            Write::Recheck(recheck) => self.recheck(*recheck).await,
            Write::Point { record, selection } => self.point(record, *selection, &outfit.ports).await,
            Write::Epoch => self.epoch().await,
            Write::Follow(selection) => self.follow(*selection, &outfit.ports).await,
            Write::Recreate(slot) => self.recreate(*slot, outfit).await,
            Write::Scale { slot, replicas } => self.scale(*slot, *replicas).await,
            Write::Autoscaler { slot, min } => self.autoscaler(*slot, *min).await,
            Write::Prepare { slot, revision, attempt } => self.prepare(*slot, *revision, *attempt).await,
            Write::Delete(slot) => self.delete(*slot).await,
            Write::DeletePointer => self.delete_pointer().await,
            Write::Forget => self.forget().await,
            Write::FreezeAutoscaler => self.freeze_autoscaler().await,
            Write::ReplaceBudget => self.replace_budget().await,
            Write::Colour(slot) => self.colour(*slot, outfit).await,
            Write::Uncolour(slot) => self.uncolour(*slot).await,
            Write::MakeUncoloured { replicas } => self.make_uncoloured(*replicas).await,
            Write::DeleteUncoloured => self.delete_uncoloured().await,
        }
    }

    // Slots

    /// A slot as it was read.
    pub fn slot(&self, slot: Slot) -> Option<&SeenSlot> {
        self.seen.slots.get(slot).as_ref()
    }

    /// Writes a slot's record anew.
    pub(super) async fn note(
        &self,
        slot: Slot,
        change: impl FnOnce(SlotRecord) -> SlotRecord,
    ) -> Result<Option<String>, CallError> {
        let Some(seen) = self.slot(slot) else { return Ok(Some(gone(slot))) };
        self.write_record(&seen.live, &change(seen.record.clone())).await.map(|_| None)
    }

    async fn write_record(&self, live: &Live, record: &SlotRecord) -> Result<Live, CallError> {
        let body = bodies::slot_record(live, record);
        self.calls.apply(Kind::Deployment, ROLLOUT, body, &live.guard()).await
    }

    async fn evidence(&self, slot: Slot, evidence: &Evidence) -> Result<Option<String>, CallError> {
        let Some(finding) = self.finding.cloned() else { return Ok(Some("no gate was asked".to_owned())) };
        let started = finding.started;
        self.note(slot, |record| {
            let known = record.answer(&evidence.gate.name, evidence.stage);
            let first_asked = known.map_or(started, |known| known.first_asked);
            record.answered(Answer { evidence: evidence.clone(), finding, first_asked })
        })
        .await
    }

    /// The size on record first: a slot that is killed in between is repaired to it.
    async fn scale(&self, slot: Slot, replicas: u32) -> Result<Option<String>, CallError> {
        let Some(SeenSlot { live, record, .. }) = self.slot(slot) else { return Ok(Some(gone(slot))) };
        if replicas == 0 || record.recorded == replicas {
            self.calls.scale(live, replicas).await?;
            return Ok(None);
        }
        let noted = self.write_record(live, &SlotRecord { recorded: replicas, ..record.clone() }).await?;
        self.calls.scale(&noted, replicas).await?;
        Ok(None)
    }

    /// The template, without evidence or mark, at 0 where it is new.
    async fn prepare(
        &self,
        slot: Slot,
        revision: Revision,
        attempt: Attempt,
    ) -> Result<Option<String>, CallError> {
        let render = self.render(slot)?;
        let held = Held::new(revision, attempt, self.commit.to_owned(), 0);
        let keep = (self.names.drain, self.names.service.clone());
        let record = SlotRecord::prepared(held, keep, self.seen.at);
        let live = self.slot(slot).map(|seen| &seen.live);
        let body = bodies::slot(&render.deployment, live, &record, 0, self.marks);
        let guard = live.map_or(Guard::Nowhere, Live::guard);
        self.calls.apply(Kind::Deployment, BODY, body, &guard).await?;
        Ok(None)
    }

    async fn recreate(&self, slot: Slot, outfit: &Outfit) -> Result<Option<String>, CallError> {
        let (Some(render), Some(held)) = (&outfit.remade, self.held(slot)) else {
            return Ok(Some(gone(slot)));
        };
        let asked = self.workload.filter(|workload| workload.revision == held.revision);
        let size = asked.map_or(0, |workload| workload.size.replicas).max(held.size).max(1);
        let keep = (self.names.drain, self.names.service.clone());
        let record = SlotRecord {
            recorded: size,
            served: Some(self.seen.at),
            ..SlotRecord::prepared(held.clone(), keep, self.seen.at)
        };
        let body = bodies::slot(&render.deployment, None, &record, size, self.marks);
        self.calls.apply(Kind::Deployment, BODY, body, &Guard::Nowhere).await?;
        Ok(None)
    }

    /// The try of a revision, as git counts it now.
    fn attempt_of(&self, revision: Revision) -> Attempt {
        let retry =
            self.workload.filter(|workload| workload.revision == revision).map_or(0, |found| found.retry);
        Attempt { git: retry, ordered: 0 }
    }

    async fn delete(&self, slot: Slot) -> Result<Option<String>, CallError> {
        let Some(SeenSlot { live, .. }) = self.slot(slot) else { return Ok(Some(gone(slot))) };
        self.calls.delete(Kind::Deployment, live, &live.guard()).await?;
        for kind in [Kind::Autoscaler, Kind::Budget] {
            for live in self.calls.list(kind, &format!("{APP}={},{SLOT}={slot}", self.names.app)).await? {
                self.calls.delete(kind, &live, &live.same()).await?;
            }
        }
        Ok(None)
    }

    async fn autoscaler(&self, slot: Slot, min: u32) -> Result<Option<String>, CallError> {
        let Some(live) = self.seen.autoscalers.get(slot) else { return Ok(Some(gone(slot))) };
        let own = |pointer: &str| live.value.pointer(pointer).cloned().unwrap_or(Value::Null);
        let body = json!({
            "apiVersion": own("/apiVersion"),
            "kind": own("/kind"),
            "metadata": { "name": live.name(), "namespace": self.calls.namespace },
            "spec": {
                "minReplicas": min,
                "maxReplicas": own("/spec/maxReplicas"),
                "scaleTargetRef": own("/spec/scaleTargetRef"),
            },
        });
        self.calls.apply(Kind::Autoscaler, ROLLOUT, body, &live.guard()).await?;
        Ok(None)
    }

    fn render(&self, slot: Slot) -> Result<SlotRender, CallError> {
        let missing = || CallError::Server("nothing in git says what this slot is to hold".to_owned());
        self.workload.map(|workload| workload.slot(slot, self.commit)).ok_or_else(missing)
    }

    /// Copies of configuration are immutable and named by their contents: one that is there is the same.
    pub async fn ensure_configs(&self, configs: &[Value]) -> Result<(), CallError> {
        for config in configs {
            let Some(kind) = Kind::of(config) else { continue };
            let body = marked(config.clone(), self.marks, &Precondition::default());
            match self.calls.apply(kind, BODY, body, &Guard::Nowhere).await {
                Ok(_) | Err(CallError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Readiness once more, right before traffic moves; never a resourceVersion.
    async fn recheck(&self, recheck: Recheck) -> Result<Option<String>, CallError> {
        let Recheck { slot, at_least } = recheck;
        let Some(seen) = self.slot(slot) else { return Ok(Some(gone(slot))) };
        let Some(live) = self.calls.read(Kind::Deployment, seen.live.name()).await? else {
            return Ok(Some(gone(slot)));
        };
        let pods = self.calls.pods(&format!("{APP}={}", self.names.app)).await?;
        let ready = count(&pods, slot, Some(seen.record.revision)).ready.min(live.number("/spec/replicas"));
        Ok((ready < at_least).then(|| format!("{ready} pods of {slot} are ready, {at_least} have to be")))
    }

    // The Deployment without a colour

    fn uncoloured(&self) -> Option<&SeenUncoloured> {
        self.seen.uncoloured.as_ref()
    }

    /// Whether the Deployment would take its colour: what sizes it is not taken away before that is known.
    async fn rehearse_colour(&self) -> Result<(), CallError> {
        let Some(SeenUncoloured { live, .. }) = self.uncoloured() else { return Ok(()) };
        let revision = self.adopted_revision(live).await?;
        let record = self.adopted_record(revision, live);
        let body = bodies::colour(live, &self.labels(Slot::Blue, revision), &record, self.marks);
        self.calls.dry_run(Kind::Deployment, COLOUR, body, live).await.map(drop)
    }

    async fn freeze_autoscaler(&self) -> Result<Option<String>, CallError> {
        self.rehearse_colour().await?;
        if let Some(live) = self.uncoloured().and_then(|seen| seen.autoscaler.as_ref()) {
            self.calls.delete(Kind::Autoscaler, live, &live.guard()).await?;
        }
        Ok(None)
    }

    /// Budgets of the slots first, then the old one is narrowed to pods without a colour: no pod ever has two, or none.
    async fn replace_budget(&self) -> Result<Option<String>, CallError> {
        let Some(workload) = self.workload else { return Ok(None) };
        self.rehearse_colour().await?;
        for slot in Slot::ALL {
            for budget in workload.sizing(slot).iter().filter(|body| Kind::of(body) == Some(Kind::Budget)) {
                self.ensure(budget).await?;
            }
        }
        let Some(live) = self.uncoloured().and_then(|seen| seen.budget.as_ref()) else { return Ok(None) };
        let spec = bodies::of_uncoloured(live.value.get("spec").cloned().unwrap_or(json!({})));
        let own = |pointer: &str| live.value.pointer(pointer).cloned().unwrap_or(Value::Null);
        let body = json!({
            "apiVersion": own("/apiVersion"),
            "kind": own("/kind"),
            "metadata": { "name": live.name(), "namespace": self.calls.namespace },
            "spec": spec,
        });
        self.calls.apply(Kind::Budget, ROLLOUT, body, &live.guard()).await?;
        Ok(None)
    }

    /// Applies an object that nothing of a decision rests on. True where that has changed it.
    pub async fn ensure(&self, body: &Value) -> Result<bool, CallError> {
        let Some(kind) = Kind::of(body) else { return Ok(false) };
        let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let live = self.calls.read(kind, name).await?;
        let guard = match &live {
            Some(live) => live.same(),
            None => Guard::Nowhere,
        };
        let body = marked(body.clone(), self.marks, &Precondition::default());
        let after = self.calls.apply(kind, BODY, body, &guard).await?;
        Ok(!guard.is_of(Some(after.text("/metadata/resourceVersion"))))
    }

    async fn colour(&self, slot: Slot, outfit: &Outfit) -> Result<Option<String>, CallError> {
        let (Some(SeenUncoloured { live, .. }), Some(revision)) = (self.uncoloured(), outfit.adopted) else {
            return Ok(Some("there is nothing to take over".to_owned()));
        };
        self.write_colour(slot, live, &self.adopted_record(revision, live)).await?;
        Ok(None)
    }

    fn adopted_record(&self, revision: Revision, live: &Live) -> SlotRecord {
        let size = live.number("/spec/replicas");
        let held = Held::new(revision, self.attempt_of(revision), self.commit.to_owned(), size);
        let keep = (self.names.drain, self.names.service.clone());
        SlotRecord { recorded: size, ..SlotRecord::prepared(held, keep, self.seen.at) }
    }

    async fn write_colour(&self, slot: Slot, live: &Live, record: &SlotRecord) -> Result<(), CallError> {
        let labels = self.labels(slot, record.revision);
        let body = bodies::colour(live, &labels, record, self.marks);
        self.calls.apply(Kind::Deployment, COLOUR, body, &live.guard()).await.map(drop)
    }

    /// The colour once more, on what the Deployment runs now.
    pub(super) async fn colour_as(
        &self,
        slot: Slot,
        live: &Live,
        record: &SlotRecord,
    ) -> Result<(), CallError> {
        let render = self.adopted_render(slot, record.revision, live);
        self.kept.keep(slot, record.revision, &render).await?;
        self.write_colour(slot, live, record).await
    }

    fn labels(&self, slot: Slot, revision: Revision) -> BTreeMap<&'static str, String> {
        let app = self.names.app.clone();
        BTreeMap::from([(APP, app), (SLOT, slot.to_string()), (REVISION, revision.to_string())])
    }

    /// git's revision, where git asks for the very template that runs; else one of its own.
    async fn adopted_revision(&self, live: &Live) -> Result<Revision, CallError> {
        let template = live.value.pointer("/spec/template").cloned().unwrap_or(Value::Null);
        if let Some(workload) = self.workload {
            let asked = self.calls.dry_run(Kind::Deployment, BODY, workload.object.to_value(), live).await?;
            if asked.pointer("/spec/template") == Some(&template) {
                return Ok(workload.revision);
            }
        }
        let digest = tidegate_core::ids::Digest::of(template.to_string().as_bytes());
        let digits = digest.as_str().get(..32).unwrap_or_default();
        digits.parse().map_err(|error| CallError::Server(format!("{error}")))
    }

    fn adopted_render(&self, slot: Slot, revision: Revision, live: &Live) -> SlotRender {
        let mut deployment = bodies::remade(live);
        let labels = deployment.pointer_mut("/spec/template/metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = labels {
            let labels = metadata.entry("labels").or_insert_with(|| json!({}));
            for (key, value) in self.labels(slot, revision) {
                if let Some(labels) = labels.as_object_mut() {
                    labels.insert(key.to_owned(), json!(value));
                }
            }
        }
        let ports = self.seen.service.as_ref().and_then(|live| live.value.pointer("/spec/ports").cloned());
        SlotRender {
            commit: self.commit.to_owned(),
            deployment,
            configs: Vec::new(),
            ports: ports.unwrap_or(Value::Null),
            follower_ports: BTreeMap::new(),
        }
    }

    /// The budget of the pods that are about to have no colour, before there are any.
    async fn ensure_budget_of_uncoloured(&self) -> Result<(), CallError> {
        let Some(budget) = self.workload.and_then(|workload| workload.budget.as_ref()) else { return Ok(()) };
        let mut body = budget.to_value();
        if let Some(spec) = body.get_mut("spec") {
            *spec = bodies::of_uncoloured(spec.take());
        }
        self.ensure(&body).await.map(drop)
    }

    async fn uncolour(&self, slot: Slot) -> Result<Option<String>, CallError> {
        let Some(SeenSlot { live, .. }) = self.slot(slot) else { return Ok(Some(gone(slot))) };
        self.ensure_budget_of_uncoloured().await?;
        let plain = self.calls.apply(Kind::Deployment, COLOUR, bodies::uncolour(live), &live.guard()).await?;
        if plain.annotation(SLOT_RECORD).is_some() {
            self.calls.drop_annotation(Kind::Deployment, &plain, SLOT_RECORD).await?;
        }
        Ok(None)
    }

    async fn make_uncoloured(&self, replicas: u32) -> Result<Option<String>, CallError> {
        let Some(workload) = self.workload else { return Ok(None) };
        self.ensure_budget_of_uncoloured().await?;
        let mut body = marked(workload.object.to_value(), self.marks, &Precondition::default());
        bodies::annotate(&mut body, MADE_TO_LEAVE, json!("true"));
        if let Some(spec) = body.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("replicas".to_owned(), json!(replicas));
        }
        self.calls.apply(Kind::Deployment, BODY, body, &Guard::Nowhere).await?;
        Ok(None)
    }

    async fn delete_uncoloured(&self) -> Result<Option<String>, CallError> {
        if let Some(SeenUncoloured { live, .. }) = self.uncoloured() {
            self.calls.delete(Kind::Deployment, live, &live.guard()).await?;
        }
        Ok(None)
    }
}

fn gone(slot: Slot) -> String {
    format!("the {slot} slot is gone")
}

fn lost(slot: Slot, why: &str) -> CallError {
    CallError::Damaged(format!("the {slot} slot cannot be made again: {why}"))
}

/// What a failed write means for its step.
fn ended(error: CallError) -> Result<Carried, CallError> {
    match error {
        CallError::Conflict(status) => Ok(Carried::Ended(format!("somebody else wrote: {}", status.message))),
        CallError::NotFound(status) => Ok(Carried::Ended(status.message.clone())),
        CallError::Refused(status) | CallError::Forbidden(status) => {
            Ok(Carried::Refused(status.message.clone()))
        }
        CallError::Damaged(why) => Ok(Carried::Refused(why)),
        error @ (CallError::Unauthorized(_)
        | CallError::Busy { .. }
        | CallError::Server(_)
        | CallError::Unreachable(_)) => Err(error),
    }
}
