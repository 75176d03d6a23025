//! What is kept as it should be beside the decisions: templates that somebody edited, the pointer's body, autoscalers and budgets
//! of slots, copies of configuration, and what nothing refers to any more.
//!
//! None of it moves traffic or changes what a slot runs: a template goes back to the render that was kept of it, guarded by what
//! was read. Each part is done once, and again when its object or git has changed since.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_core::ids::Digest;
use tidegate_core::rollout::{POINTER_RECORD, Revision, Slot, SlotRecord};
use tidegate_core::workload::names::{APP, CONFIG};
use tidegate_core::workload::{Colours, SlotRender, Workload};

use super::bodies;
use super::calls::{BODY, Guard, Kind, Live};
use super::carry::Carrier;
use super::observe::SeenSlot;
use crate::cluster::call::CallError;

/// What was found to be as it should, by the name of the object: a digest of what was asked and of what was there.
#[derive(Debug, Default)]
pub struct Verified(BTreeMap<String, Digest>);

impl Verified {
    fn holds(&self, name: &str, digest: &Digest) -> bool {
        self.0.get(name) == Some(digest)
    }

    fn set(&mut self, name: &str, digest: Digest) {
        self.0.insert(name.to_owned(), digest);
    }
}

/// A change that somebody had made and that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The object's name.
    pub name: String,
    /// Who had made it, as far as field managers say.
    pub managers: Vec<String>,
}

/// What upkeep did.
#[derive(Debug, Default)]
pub struct Kept {
    /// Something was written: what was seen no longer holds.
    pub wrote: bool,
    /// Changes that were taken back.
    pub repairs: Vec<Repair>,
}

impl Carrier<'_> {
    /// Does what is due. Stops after the first write of an object that decisions read.
    pub async fn keep_up(&self, verified: &mut Verified) -> Result<Kept, CallError> {
        let mut kept = Kept::default();
        for slot in Slot::ALL {
            if let Some(repair) = self.keep_template(slot, verified).await? {
                kept.wrote = true;
                kept.repairs.extend(repair);
                return Ok(kept);
            }
        }
        let Some(workload) = self.workload.filter(|workload| workload.mode == Colours::Coloured) else {
            return Ok(kept);
        };
        if self.keep_services(workload, verified).await? {
            kept.wrote = true;
            return Ok(kept);
        }
        for slot in Slot::ALL {
            kept.wrote |= self.keep_sizing(workload, slot, verified).await?;
        }
        Ok(kept)
    }

    /// A slot's template is that of its kept render. Answers whether anything was written, and the repair that it was.
    async fn keep_template(
        &self,
        slot: Slot,
        verified: &mut Verified,
    ) -> Result<Option<Option<Repair>>, CallError> {
        let Some(SeenSlot { live, record, is_adopted: false }) = self.seen.slots.get(slot) else {
            return Ok(None);
        };
        let asked = self.workload.filter(|workload| workload.revision == record.revision);
        let revisions = asked.map_or("", |_| self.commit);
        let state = Digest::of(format!("{revisions}{}", shape(live)).as_bytes());
        if verified.holds(live.name(), &state) {
            return Ok(None);
        }
        let Some(render) = self.kept_or_rendered(slot, record.revision).await? else { return Ok(None) };
        let render =
            asked.map_or(render.clone(), |workload| workload.refreshed(slot, &record.commit, &render));
        self.ensure_configs(&render.configs).await?;
        let body = |live: &Live, record: &SlotRecord| {
            bodies::slot(&render.deployment, Some(live), record, 0, self.marks)
        };
        let is_foreign = foreign(live);
        let after = self.calls.dry_run(Kind::Deployment, body(live, record), live).await?;
        let is_same = is_foreign.is_empty() && template(&after) == template(&live.value);
        if is_same && shape(&Live { value: after }) == shape(live) {
            verified.set(live.name(), state);
            return Ok(None);
        }
        // What gates have said is about pods of another template.
        let is_tested = !is_same && !self.serves(slot);
        let record =
            if is_tested { SlotRecord { answers: Vec::new(), ..record.clone() } } else { record.clone() };
        let live = self.calls.hand_over(live, &is_foreign).await?;
        let managers = is_foreign.clone();
        // By what it is now: a size that was handed over with the rest is ours to repeat.
        self.calls.apply(Kind::Deployment, BODY, body(&live, &record), &live.guard()).await?;
        Ok(Some((!is_same).then(|| Repair { name: live.name().to_owned(), managers })))
    }

    fn serves(&self, slot: Slot) -> bool {
        self.seen.record.as_ref().is_some_and(|record| record.record.live == Some(slot))
    }

    async fn kept_or_rendered(
        &self,
        slot: Slot,
        revision: Revision,
    ) -> Result<Option<SlotRender>, CallError> {
        if let Some(render) = self.kept.read(slot, revision).await? {
            return Ok(Some(render));
        }
        // Somebody took it away; git may still say the same.
        let asked = self.workload.filter(|workload| workload.revision == revision);
        let Some(render) = asked.map(|workload| workload.slot(slot, self.commit)) else { return Ok(None) };
        self.kept.keep(slot, revision, &render).await?;
        Ok(Some(render))
    }

    /// The pointer's body, once what is live is what git asks for; and followers that are missing. True when anything was
    /// written.
    async fn keep_services(&self, workload: &Workload, verified: &mut Verified) -> Result<bool, CallError> {
        let Some(record) = &self.seen.record else { return Ok(false) };
        let live_slot = record.record.live.and_then(|live| self.seen.slots.get(live).as_ref());
        let is_asked = live_slot.is_some_and(|seen| seen.record.revision == workload.revision);
        let selector = |live: &Live| live.value.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
        let mut wrote = false;
        if let Some(live) = self.seen.service.as_ref().filter(|_| is_asked) {
            let body = bodies::service(
                &workload.service_body(),
                Some(live),
                selector(live),
                Some(record),
                self.marks,
            );
            wrote |= self.keep_service(live, body, verified).await?;
        }
        for follower in &workload.followers {
            let name = &follower.object.reference.name;
            let recorded =
                bodies::selector(record.record.selection(), &self.names.app, &follower.base_selector());
            match self.seen.followers.get(name).and_then(Option::as_ref) {
                Some(live) if is_asked => {
                    let body =
                        bodies::service(&follower.body(), Some(live), selector(live), None, self.marks);
                    wrote |= self.keep_service(live, body, verified).await?;
                }
                Some(_) => {}
                None => {
                    let body = bodies::service(&follower.body(), None, recorded, None, self.marks);
                    self.calls.apply(Kind::Service, BODY, body, &Guard::Nowhere).await?;
                    wrote = true;
                }
            }
        }
        Ok(wrote)
    }

    async fn keep_service(
        &self,
        live: &Live,
        body: Value,
        verified: &mut Verified,
    ) -> Result<bool, CallError> {
        let mut asked = body.clone();
        // The record changes with every step; it is not what is looked at here.
        bodies::annotate(&mut asked, POINTER_RECORD, Value::Null);
        let state = Digest::of(format!("{asked}{}", shape(live)).as_bytes());
        if verified.holds(live.name(), &state) {
            return Ok(false);
        }
        let after = self.calls.apply(Kind::Service, BODY, body, &live.guard()).await?;
        let wrote = after.text("/metadata/resourceVersion") != live.text("/metadata/resourceVersion");
        if !wrote {
            verified.set(live.name(), state);
        }
        Ok(wrote)
    }

    /// A slot that holds what git asks for has git's autoscaler and budget. The least size stays as it is: decisions say it.
    async fn keep_sizing(
        &self,
        workload: &Workload,
        slot: Slot,
        verified: &mut Verified,
    ) -> Result<bool, CallError> {
        let seen = self.seen.slots.get(slot).as_ref();
        let Some(seen) = seen.filter(|seen| seen.record.revision == workload.revision && !seen.is_adopted)
        else {
            return Ok(false);
        };
        let mut wrote = false;
        for mut body in workload.sizing(slot) {
            let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_autoscaler = Kind::of(&body) == Some(Kind::Autoscaler);
            let live = self.seen.autoscalers.get(slot).as_ref().filter(|_| is_autoscaler);
            let missing = is_autoscaler && live.is_none();
            let state = Digest::of(format!("{body}{}", seen.live.text("/metadata/uid")).as_bytes());
            if verified.holds(&name, &state) && !missing {
                continue;
            }
            if let (Some(live), Some(spec)) = (live, body.get_mut("spec").and_then(Value::as_object_mut)) {
                spec.insert("minReplicas".to_owned(), json!(live.number("/spec/minReplicas").max(1)));
            }
            self.ensure(&body).await?;
            verified.set(&name, state);
            wrote |= missing;
        }
        Ok(wrote)
    }

    /// Takes away what no slot refers to: kept renders, copies of configuration, what sized the Deployment from before.
    pub async fn collect(&self) -> Result<(), CallError> {
        let held: Vec<_> = Slot::ALL
            .into_iter()
            .filter_map(|slot| Some((slot, self.seen.slots.get(slot).as_ref()?.record.revision)))
            .collect();
        self.kept.collect(&held).await?;
        self.collect_configs().await?;
        let is_adopted = Slot::ALL
            .into_iter()
            .any(|slot| self.seen.slots.get(slot).as_ref().is_some_and(|seen| seen.is_adopted));
        let is_coloured = self.workload.is_some_and(|workload| workload.mode == Colours::Coloured);
        if is_adopted || self.seen.uncoloured.is_some() || !is_coloured {
            return Ok(());
        }
        for (kind, name) in [(Kind::Autoscaler, &self.names.autoscaler), (Kind::Budget, &self.names.budget)] {
            let Some(name) = name else { continue };
            if let Some(live) = self.calls.read(kind, name).await? {
                self.calls.delete(kind, &live, &live.guard()).await?;
            }
        }
        Ok(())
    }

    async fn collect_configs(&self) -> Result<(), CallError> {
        let labels = format!("{APP}={},{CONFIG}", self.names.app);
        let mut used = String::new();
        for slot in Slot::ALL {
            if let Some(seen) = self.seen.slots.get(slot) {
                used.push_str(&template(&seen.live.value).to_string());
            }
        }
        // Pods of a template of before may still start.
        for set in self.calls.replica_sets(&self.names.app).await? {
            used.push_str(&set.to_string());
        }
        for kind in [Kind::ConfigMap, Kind::Secret] {
            for config in self.calls.list(kind, &labels).await? {
                if !used.contains(&format!("\"{}\"", config.name())) {
                    self.calls.delete(kind, &config, &config.guard()).await?;
                }
            }
        }
        Ok(())
    }
}

fn template(value: &Value) -> &Value {
    value.pointer("/spec/template").unwrap_or(&Value::Null)
}

/// What of an object upkeep is about: all but its status, its size, and what changes with every write.
fn shape(live: &Live) -> String {
    let spec = live.value.get("spec").map(|spec| {
        let mut spec = spec.clone();
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("replicas");
        }
        spec
    });
    let labels = live.value.pointer("/metadata/labels").cloned().unwrap_or(Value::Null);
    let annotations = live.value.pointer("/metadata/annotations").and_then(Value::as_object).map(|all| {
        let is_constant =
            |key: &str| !key.starts_with("tidegate.dev/") && key != "deployment.kubernetes.io/revision";
        let kept: Vec<_> = all.iter().filter(|(key, _)| is_constant(key)).collect();
        json!(kept).to_string()
    });
    format!("{}{labels}{}", spec.unwrap_or(Value::Null), annotations.unwrap_or_default())
}

/// Managers of kubectl's that hold fields of the specification: what they have added goes with an apply only once it is ours.
fn foreign(live: &Live) -> Vec<String> {
    let entries = live.value.pointer("/metadata/managedFields").and_then(Value::as_array);
    let is_foreign = |entry: &&Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let template = entry.pointer("/fieldsV1/f:spec/f:template");
        let restarts_only = template.is_some_and(|template| {
            let fields = template.to_string();
            fields.contains("kubectl.kubernetes.io/restartedAt") && template.pointer("/f:spec").is_none()
        });
        text("manager").starts_with("kubectl")
            && text("subresource").is_empty()
            && template.is_some()
            && !restarts_only
    };
    entries
        .into_iter()
        .flatten()
        .filter(is_foreign)
        .filter_map(|entry| entry.get("manager").and_then(Value::as_str).map(str::to_owned))
        .collect()
}
