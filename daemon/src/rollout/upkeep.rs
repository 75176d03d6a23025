//! What is kept as it should be beside the decisions: templates that somebody edited, the pointer's body, autoscalers and budgets
//! of slots, copies of configuration, and what nothing refers to any more.
//!
//! None of it moves traffic or changes what a slot runs: a template goes back to the render that was kept of it, guarded by what
//! was read. Each part is done once, and again when its object or git has changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use tidegate_core::ids::Digest;
use tidegate_core::inventory::PART_OF;
use tidegate_core::rollout::{Revision, Slot, SlotRecord};
use tidegate_core::workload::names::{APP, CONFIG, REVISION, SLOT};
use tidegate_core::workload::{Colours, SlotRender, Workload};

use super::bodies;
use super::calls::{BODY, Kind, Live};
use super::carry::Carrier;
use super::leaving::Stays;
use super::observe::{SeenSlot, escaped, is_alive};
use crate::cluster::call::CallError;

/// The shortest time between two repairs of one template, doubled with each: whoever changes it again and again wins at last,
/// and is named each time, without a rollout of pods every second.
const REPAIR: Duration = Duration::from_secs(1);
/// The longest.
const REPAIR_CAP: Duration = Duration::from_mins(5);
/// Annotation of a template by which `kubectl rollout restart` makes it another one.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// The shortest time between two looks for the copies of configuration of one slot.
const LOOK: Duration = Duration::from_secs(2);
/// A template that was left alone for so long begins anew.
const QUIET: Duration = Duration::from_mins(10);

/// What was found to be as it should, by the name of the object: a digest of what was asked and of what was there. And what was
/// repaired when, so that it is not done without end.
#[derive(Debug, Default)]
pub struct Verified {
    found: BTreeMap<String, Digest>,
    copies: BTreeMap<String, Copies>,
    repaired: BTreeMap<String, Repaired>,
    /// When `kubectl rollout restart` was last seen to have been used, and on which revision.
    restarts: BTreeMap<String, (Revision, String)>,
}

/// The copies of configuration that the pods of a slot refer to.
#[derive(Debug)]
struct Copies {
    names: Vec<(Kind, String)>,
    looked_at: Instant,
    /// Something has happened since, and they were not looked at again.
    is_due: bool,
}

impl Copies {
    /// Those of a render; they are there now.
    fn of(render: &SlotRender) -> Self {
        let name = |config: &Value| {
            Some((Kind::of(config)?, config.pointer("/metadata/name")?.as_str()?.to_owned()))
        };
        let names = render.configs.iter().filter_map(name).collect();
        Self { names, looked_at: Instant::now(), is_due: false }
    }
}

#[derive(Debug, Clone, Copy)]
struct Repaired {
    at: Instant,
    times: u32,
    is_due: bool,
}

impl Verified {
    /// True when this was found last.
    pub fn holds(&self, name: &str, digest: &Digest) -> bool {
        self.found.get(name) == Some(digest)
    }

    /// This was found.
    pub fn set(&mut self, name: &str, digest: Digest) {
        self.found.insert(name.to_owned(), digest);
    }

    /// A pass begins: what it does not come to again is due no longer, or a slot that has gone would be waited for without end.
    fn begin(&mut self) {
        self.repaired.values_mut().for_each(|known| known.is_due = false);
        self.copies.values_mut().for_each(|copies| copies.is_due = false);
    }

    /// True when a repair may be done now; one that is put off is due later.
    fn may_repair(&mut self, name: &str, now: Instant) -> bool {
        let Some(known) = self.repaired.get_mut(name) else { return true };
        known.is_due = now.duration_since(known.at) < wait_after(known.times);
        !known.is_due
    }

    fn repaired(&mut self, name: &str, now: Instant) {
        let before = self.repaired.get(name).filter(|known| now.duration_since(known.at) < QUIET);
        let times = before.map_or(0, |known| known.times).saturating_add(1);
        self.repaired.insert(name.to_owned(), Repaired { at: now, times, is_due: false });
    }

    /// How long until a repair or a look that was put off may be done.
    pub fn pause(&self) -> Option<Duration> {
        let repairs = self.repaired.values().filter(|known| known.is_due);
        let repairs = repairs.map(|known| wait_after(known.times).saturating_sub(known.at.elapsed()));
        let looks = self.copies.values().filter(|copies| copies.is_due);
        let looks = looks.map(|copies| LOOK.saturating_sub(copies.looked_at.elapsed()));
        repairs.chain(looks).min()
    }
}

fn wait_after(times: u32) -> Duration {
    REPAIR.saturating_mul(1 << times.saturating_sub(1).min(16)).min(REPAIR_CAP)
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
    /// Services that followed, have left git and stay.
    pub stay: BTreeMap<String, Stays>,
}

impl Carrier<'_> {
    /// Does what is due. Stops after the first write of an object that decisions read.
    pub async fn keep_up(&self, verified: &mut Verified) -> Result<Kept, CallError> {
        verified.begin();
        let mut kept = Kept::default();
        for slot in Slot::ALL {
            if let Some(repair) = self.keep_template(slot, verified).await? {
                kept.wrote = true;
                kept.repairs.extend(repair);
                return Ok(kept);
            }
        }
        if self.workload.is_some() {
            self.part(&mut kept).await?;
            if kept.wrote {
                return Ok(kept);
            }
        }
        let is_plain = self.workload.is_some_and(|workload| workload.mode == Colours::Plain);
        if !is_plain && self.keep_services(verified).await? {
            kept.wrote = true;
            return Ok(kept);
        }
        let Some(workload) = self.workload.filter(|_| !is_plain) else { return Ok(kept) };
        for slot in Slot::ALL {
            kept.wrote |= self.keep_sizing(workload, slot, verified).await?;
        }
        Ok(kept)
    }

    /// The slots that somebody has restarted since the last look, by the names of their Deployments. A restart takes no pod away
    /// before another one is ready, and is left.
    pub fn restarted(&self, verified: &mut Verified) -> Vec<String> {
        Slot::ALL.into_iter().filter_map(|slot| self.restarted_slot(slot, verified)).collect()
    }

    fn restarted_slot(&self, slot: Slot, verified: &mut Verified) -> Option<String> {
        let SeenSlot { live, record, .. } = self.seen.slots.get(slot).as_ref()?;
        let at = live.text(&format!("/spec/template/metadata/annotations/{}", escaped(RESTARTED)));
        let known = verified.restarts.insert(live.name().to_owned(), (record.revision, at.to_owned()));
        // git's own template may have the annotation too: then it comes with another revision.
        let is_news = known.is_some_and(|(revision, known)| revision == record.revision && known != at);
        (is_news && !at.is_empty()).then(|| live.name().to_owned())
    }

    /// A slot's template is that of its kept render. Answers whether anything was written, and the repair that it was.
    async fn keep_template(
        &self,
        slot: Slot,
        verified: &mut Verified,
    ) -> Result<Option<Option<Repair>>, CallError> {
        let Some(SeenSlot { live, record, is_adopted, is_written }) = self.seen.slots.get(slot) else {
            return Ok(None);
        };
        if *is_adopted {
            return if *is_written {
                Ok(None)
            } else {
                self.colour_again(slot, live, record).await.map(Some)
            };
        }
        let asked = self.workload.filter(|workload| workload.revision == record.revision);
        let revisions = asked.map_or("", |_| self.commit);
        let state = Digest::of(format!("{revisions}{}", shape(live)).as_bytes());
        let is_whole = self.has_copies(live, verified).await?;
        if *is_written && is_whole && verified.holds(live.name(), &state) {
            return Ok(None);
        }
        let Some(render) = self.kept_or_rendered(slot, record.revision).await? else { return Ok(None) };
        let render =
            asked.map_or(render.clone(), |workload| workload.refreshed(slot, &record.commit, &render));
        self.ensure_configs(&render.configs).await?;
        verified.copies.insert(live.name().to_owned(), Copies::of(&render));
        let body = |live: &Live, record: &SlotRecord| {
            bodies::slot(&render.deployment, Some(live), record, 0, self.marks)
        };
        let is_foreign = foreign(live);
        let after = self.calls.dry_run(Kind::Deployment, BODY, body(live, record), live).await?;
        let is_same = is_foreign.is_empty() && template(&after) == template(&live.value);
        if is_same && *is_written && shape(&Live { value: after }) == shape(live) {
            verified.set(live.name(), state);
            return Ok(None);
        }
        // A template of another revision gets traffic as soon as it has pods: whoever brings it back does not win.
        let is_of_another = template(&live.value).pointer(&revision_label()).and_then(Value::as_str)
            != Some(record.revision.to_string().as_str());
        if !is_same && !is_of_another && !verified.may_repair(live.name(), Instant::now()) {
            return Ok(None);
        }
        // What gates have said is about pods of another template.
        let is_tested = !is_same && !self.serves(slot);
        let record =
            if is_tested { SlotRecord { answers: Vec::new(), ..record.clone() } } else { record.clone() };
        let live = match is_foreign.as_slice() {
            [] => live.clone(),
            [_, ..] => self.calls.take_over(Kind::Deployment, live).await?,
        };
        let managers = is_foreign.clone();
        // By what it is now: a size that was handed over with the rest is ours to repeat.
        self.calls.apply(Kind::Deployment, BODY, body(&live, &record), &live.guard()).await?;
        if !is_same {
            verified.repaired(live.name(), Instant::now());
        }
        Ok(Some((!is_same).then(|| Repair { name: live.name().to_owned(), managers })))
    }

    /// The Deployment that was taken over has its colour again, for what it runs now.
    async fn colour_again(
        &self,
        slot: Slot,
        live: &Live,
        record: &SlotRecord,
    ) -> Result<Option<Repair>, CallError> {
        self.colour_as(slot, live, record).await?;
        Ok(Some(Repair { name: live.name().to_owned(), managers: foreign(live) }))
    }

    /// Whether the copies of configuration that a slot's pods refer to are there. Looked at once in a while.
    async fn has_copies(&self, live: &Live, verified: &mut Verified) -> Result<bool, CallError> {
        let Some(copies) = verified.copies.get_mut(live.name()) else { return Ok(true) };
        copies.is_due = live.number("/spec/replicas") > 0 && copies.looked_at.elapsed() < LOOK;
        if live.number("/spec/replicas") == 0 || copies.is_due {
            return Ok(true);
        }
        let labels = format!("{APP}={},{CONFIG}", self.names.app);
        for kind in [Kind::ConfigMap, Kind::Secret] {
            let asked = || copies.names.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str());
            if asked().next().is_none() {
                continue;
            }
            let there = self.calls.list(kind, &labels).await?;
            if asked().any(|name| !there.iter().any(|found| found.name() == name)) {
                return Ok(false);
            }
        }
        copies.looked_at = Instant::now();
        Ok(true)
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
        let mut wrote = self.drop_sizing(workload, seen, slot, verified).await?;
        for mut body in workload.sizing(slot) {
            let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_autoscaler = Kind::of(&body) == Some(Kind::Autoscaler);
            let live = self.seen.autoscalers.get(slot).as_ref().filter(|_| is_autoscaler);
            // Nothing of a decision rests on a budget, so no look has it.
            let budget = if is_autoscaler { None } else { self.calls.read(Kind::Budget, &name).await? };
            let missing = live.is_none() && budget.is_none();
            let shown = live.or(budget.as_ref()).map(bounds).unwrap_or_default();
            let state = Digest::of(format!("{body}{}{shown}", seen.live.text("/metadata/uid")).as_bytes());
            // A colour's Deployment, autoscaler and budget may have one name.
            let what = format!("{} {name}", if is_autoscaler { "autoscaler" } else { "budget" });
            if verified.holds(&what, &state) && !missing {
                continue;
            }
            if let (Some(live), Some(spec)) = (live, body.get_mut("spec").and_then(Value::as_object_mut)) {
                spec.insert("minReplicas".to_owned(), json!(live.number("/spec/minReplicas").max(1)));
            }
            // What was changed is looked at once more: what was seen of it is not what it should be.
            if !self.ensure(&body).await? {
                verified.set(&what, state);
            }
            wrote |= missing && is_autoscaler;
        }
        Ok(wrote)
    }

    /// Autoscalers and budgets of a slot that git no longer asks for, or under another name.
    async fn drop_sizing(
        &self,
        workload: &Workload,
        seen: &SeenSlot,
        slot: Slot,
        verified: &mut Verified,
    ) -> Result<bool, CallError> {
        let sizing = workload.sizing(slot);
        let name = |body: &Value| body.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
        let asked: BTreeSet<String> = sizing.iter().filter_map(name).collect();
        let what = format!("sizing of {slot}");
        let state = Digest::of(format!("{asked:?}{}", seen.live.text("/metadata/uid")).as_bytes());
        if verified.holds(&what, &state) {
            return Ok(false);
        }
        let mut dropped = false;
        for kind in [Kind::Autoscaler, Kind::Budget] {
            for live in self.calls.list(kind, &format!("{APP}={},{SLOT}={slot}", self.names.app)).await? {
                let stays = sizing
                    .iter()
                    .any(|body| Kind::of(body) == Some(kind) && name(body).as_deref() == Some(live.name()));
                if !stays {
                    self.calls.delete(kind, &live, &live.same()).await?;
                    dropped = true;
                }
            }
        }
        verified.set(&what, state);
        Ok(dropped)
    }

    /// Takes away what no slot refers to: kept renders, copies of configuration, what sized the Deployment from before. False
    /// where something is still needed for a while.
    pub async fn collect(&self) -> Result<bool, CallError> {
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
        let is_taken_over = is_coloured && (is_adopted || self.seen.uncoloured.is_some());
        let is_all = is_taken_over || self.collect_sizing().await?;
        if is_adopted || self.seen.uncoloured.is_some() || !is_coloured {
            return Ok(is_all);
        }
        for (kind, name) in [(Kind::Autoscaler, &self.names.autoscaler), (Kind::Budget, &self.names.budget)] {
            let Some(name) = name else { continue };
            if let Some(live) = self.calls.read(kind, name).await? {
                self.calls.delete(kind, &live, &live.same()).await?;
            }
        }
        Ok(is_all)
    }

    /// Autoscalers and budgets of slots that are not there: whoever deleted one may have been stopped right after it. A Deployment
    /// that has lost its colour replaces its pods, and those that still have it have no other budget. False where there are any.
    async fn collect_sizing(&self) -> Result<bool, CallError> {
        let has_colour = |pod: &Pod| is_alive(pod) && pod.labels().contains_key(SLOT);
        if self.seen.uncoloured.is_some() && self.seen.pods.iter().any(has_colour) {
            return Ok(false);
        }
        let is_there = |live: &Live| {
            let is_of = |slot: &Slot| live.label(SLOT) == Some(slot.to_string().as_str());
            Slot::ALL.iter().any(|slot| is_of(slot) && self.seen.slots.get(*slot).is_some())
        };
        for kind in [Kind::Autoscaler, Kind::Budget] {
            for live in self.calls.list(kind, &format!("{APP}={},{SLOT}", self.names.app)).await? {
                let is_ours = live.label(PART_OF) == Some(self.marks.apply_set.as_str());
                if is_ours && !is_there(&live) {
                    self.calls.delete(kind, &live, &live.same()).await?;
                }
            }
        }
        Ok(true)
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

/// What people could have changed of an autoscaler or a budget. The least size is left out: decisions say it.
fn bounds(live: &Live) -> String {
    let mut spec = live.value.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("minReplicas");
    }
    let labels = live.value.pointer("/metadata/labels").unwrap_or(&Value::Null);
    format!("{spec}{labels}")
}

/// Where the revision stands in a template.
fn revision_label() -> String {
    format!("/metadata/labels/{}", escaped(REVISION))
}

fn template(value: &Value) -> &Value {
    value.pointer("/spec/template").unwrap_or(&Value::Null)
}

/// What of an object upkeep is about: all but its status, its size, and what changes with every write.
pub fn shape(live: &Live) -> String {
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
            fields.contains(RESTARTED) && template.pointer("/f:spec").is_none()
        });
        let is_paused = entry.pointer("/fieldsV1/f:spec/f:paused").is_some();
        text("manager").starts_with("kubectl")
            && text("subresource").is_empty()
            && (is_paused || template.is_some() && !restarts_only)
    };
    entries
        .into_iter()
        .flatten()
        .filter(is_foreign)
        .filter_map(|entry| entry.get("manager").and_then(Value::as_str).map(str::to_owned))
        .collect()
}
