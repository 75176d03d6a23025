//! The writes of the Services that traffic goes by: the pointer with its record, and its followers. Beside the carrier of all
//! other writes ([`super::carry`]); what git asks for in their bodies is kept up in [`super::services`].

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_core::drift::{handed_on, sole_owner};
use tidegate_core::inventory::ENVIRONMENT;
use tidegate_core::rollout::{Held, PointerRecord, Record, Selection, Slot, Slots};
use tidegate_core::workload::SlotRender;

use super::bodies;
use super::calls::{BODY, Calls, Kind, Live, ROLLOUT};
use super::carry::Carrier;
use super::guard::Guard;
use super::halted;
use super::observe::{SeenSlot, escaped};
use super::traffic;
use crate::cluster::call::CallError;

/// What a move of traffic changes beside the selector: the ports that fit the pods it goes to.
#[derive(Debug, Default)]
pub struct Ports {
    /// The pointer's.
    pub pointer: Option<Value>,
    /// Its followers', by name.
    pub followers: BTreeMap<String, Value>,
}

impl Ports {
    /// Those of a slot's render.
    pub fn of(render: SlotRender) -> Self {
        let SlotRender { ports, mut follower_ports, .. } = render;
        follower_ports.retain(|_, ports| ports.is_array());
        Self { pointer: Some(ports).filter(Value::is_array), followers: follower_ports }
    }

    /// All of them, by the names of the Services.
    fn by_name(&self, service: &str) -> BTreeMap<String, Value> {
        let pointer = self.pointer.iter().map(|ports| (service.to_owned(), ports.clone()));
        self.followers.iter().map(|(name, ports)| (name.clone(), ports.clone())).chain(pointer).collect()
    }
}

impl Carrier<'_> {
    /// Where traffic goes as it is seen.
    pub fn selects(&self, slot: Slot) -> bool {
        let service = self.seen.service.as_ref();
        service.is_some_and(|live| traffic::selection(live, &self.names.app) == Selection::Only(slot))
    }

    /// What the pointer says that a slot holds.
    pub fn held(&self, slot: Slot) -> Option<&Held> {
        self.seen.record.as_ref().and_then(|record| record.held.get(slot).as_ref())
    }

    /// What the slots hold: as it is seen, and as it was written where a Deployment is gone. Ports are those that were written
    /// down, with a move those that it brings: what is seen may be somebody's edit.
    fn holds(&self, moved: Option<(Slot, &Ports)>) -> Slots<Option<Held>> {
        let mut held = Slots::default();
        for slot in Slot::ALL {
            let known = self.held(slot);
            let now = self.slot(slot).map(|SeenSlot { live, record, .. }| {
                let brought =
                    moved.filter(|(to, _)| *to == slot).map(|(_, ports)| ports.by_name(&self.names.service));
                let known = known.filter(|known| known.revision == record.revision);
                let known = known.map(|known| known.ports.clone()).unwrap_or_default();
                let ports = brought.filter(|ports| !ports.is_empty()).unwrap_or(known);
                let size = live.number("/spec/replicas");
                Held { ports, ..Held::new(record.revision, record.attempt, record.commit.clone(), size) }
            });
            *held.get_mut(slot) = now.or_else(|| known.cloned());
        }
        held
    }

    /// A record as it stands on the pointer.
    fn record(&self, record: Record, moved: Option<(Slot, &Ports)>) -> PointerRecord {
        let halted_because = halted::because(self.seen, self.names, &record);
        PointerRecord { app: self.names.app.clone(), record, held: self.holds(moved), halted_because }
    }

    /// What selects all pods of the workload: git's, else what the Service selects, where that is all of them, or the Deployment
    /// without a colour.
    fn plain_selector(&self) -> BTreeMap<String, String> {
        let labels = |live: &Live, pointer: &str| {
            let labels = live.value.pointer(pointer).cloned().unwrap_or_default();
            serde_json::from_value::<BTreeMap<String, String>>(labels).unwrap_or_default()
        };
        if let Some(workload) = self.workload {
            return workload.base_selector();
        }
        let of_all = |live: &&Live| traffic::selection(live, &self.names.app) == Selection::All;
        match (self.seen.service.as_ref().filter(of_all), &self.seen.uncoloured) {
            (Some(live), _) => labels(live, "/spec/selector"),
            (None, Some(uncoloured)) => labels(&uncoloured.live, "/spec/selector/matchLabels"),
            (None, None) => BTreeMap::new(),
        }
    }

    /// The selector of a Service; a Service without one would be nobody's, and its endpoints what they are for ever.
    fn selector(&self, selection: Selection, plain: &BTreeMap<String, String>) -> Result<Value, CallError> {
        if selection == Selection::All && plain.is_empty() {
            let service = &self.names.service;
            return Err(CallError::Damaged(format!(
                "nothing says which pods Service {service} is to send traffic to without colours: take its workload into git again"
            )));
        }
        Ok(bodies::selector(selection, &self.names.app, plain))
    }

    /// The ports that fit a slot's pods: those of when it had the traffic, else those that its render was kept with.
    pub async fn ports_of(&self, slot: Slot) -> Result<Ports, CallError> {
        let Some(seen) = self.slot(slot) else { return Ok(Ports::default()) };
        let revision = seen.record.revision;
        let held = self.held(slot).filter(|held| held.revision == revision && !held.ports.is_empty());
        if let Some(held) = held {
            let mut followers = held.ports.clone();
            let pointer = followers.remove(&self.names.service);
            return Ok(Ports { pointer, followers });
        }
        let render = self.kept.read(slot, revision).await?;
        Ok(render.map(Ports::of).unwrap_or_default())
    }

    /// The pointer with its record; traffic goes where the selection says.
    pub async fn point(
        &self,
        record: &Record,
        selection: Selection,
        ports: &Ports,
    ) -> Result<Option<String>, CallError> {
        let moved = record.live.map(|live| (live, ports));
        let record = self.record(record.clone(), moved);
        let selector = self.selector(selection, &self.plain_selector())?;
        let Some(live) = &self.seen.service else {
            let Some(workload) = self.workload else { return Ok(Some("the pointer is gone".to_owned())) };
            let asked = workload.service_body();
            let body =
                bodies::new_service(&asked, ports.pointer.as_ref(), selector, Some(&record), self.marks);
            self.calls.apply(Kind::Service, BODY, body, &Guard::Nowhere).await?;
            return Ok(None);
        };
        let ports = match &ports.pointer {
            Some(ports) => bodies::ports(ports, live),
            None => live.value.pointer("/spec/ports").cloned().unwrap_or(Value::Null),
        };
        let live = self.alone(live, &ports).await?;
        let body = bodies::pointer(&live, &record, &selector, &ports);
        self.calls.apply(Kind::Service, ROLLOUT, body, &live.guard()).await?;
        Ok(None)
    }

    /// Ports that go are held by the rollout alone before they do: the API server keeps what somebody else still holds beside
    /// what takes its place, and refuses two ports of one name.
    pub async fn alone(&self, live: &Live, ports: &Value) -> Result<Live, CallError> {
        const PATHS: [&[&str]; 2] = [&["f:spec", "f:ports"], &["f:spec", "f:selector"]];
        let managed = live.value.pointer("/metadata/managedFields").unwrap_or(&Value::Null);
        if bodies::keeps_ports(live, ports) {
            return Ok(live.clone());
        }
        match sole_owner(managed, ROLLOUT, &PATHS) {
            Some(managed) => self.calls.own(Kind::Service, live, &managed).await,
            None => Ok(live.clone()),
        }
    }

    /// The record with its epoch one on; traffic stays where it is.
    pub async fn epoch(&self) -> Result<Option<String>, CallError> {
        let (Some(live), Some(PointerRecord { record, .. })) = (&self.seen.service, &self.seen.record) else {
            return Ok(Some("the pointer is gone".to_owned()));
        };
        let record = Record { epoch: record.epoch.saturating_add(1), ..record.clone() };
        let record = self.record(record, None);
        let own = |pointer: &str| live.value.pointer(pointer).cloned().unwrap_or(Value::Null);
        let body = bodies::pointer(live, &record, &own("/spec/selector"), &own("/spec/ports"));
        self.calls.apply(Kind::Service, ROLLOUT, body, &live.guard()).await?;
        Ok(None)
    }

    /// One more mark on each follower.
    pub async fn mark_followers(&self) -> Result<Option<String>, CallError> {
        for live in self.seen.followers.values().flatten() {
            self.calls
                .apply(Kind::Service, ROLLOUT, bodies::follower_mark(live, &self.names.app), &live.guard())
                .await?;
        }
        Ok(None)
    }

    /// Followers that select what the pointer selects, by the ports that fit.
    pub async fn follow(&self, selection: Selection, ports: &Ports) -> Result<Option<String>, CallError> {
        for (name, live) in &self.seen.followers {
            let Some(live) = live else { continue };
            let known = self.workload.and_then(|workload| {
                workload.followers.iter().find(|follower| follower.object.reference.name == *name)
            });
            let plain =
                known.map_or_else(|| self.plain_selector(), tidegate_core::workload::Follower::base_selector);
            let selector = self.selector(selection, &plain)?;
            let ports = match ports.followers.get(name) {
                Some(ports) => bodies::ports(ports, live),
                None => live.value.pointer("/spec/ports").cloned().unwrap_or(Value::Null),
            };
            let live = self.alone(live, &ports).await?;
            let body = bodies::follower(&live, &self.names.app, &selector, &ports);
            self.calls.apply(Kind::Service, ROLLOUT, body, &live.guard()).await?;
        }
        Ok(None)
    }

    /// The Services go, the pointer last: what is to be done stands on it. A follower that git has is the ordinary engine's.
    pub async fn delete_pointer(&self) -> Result<Option<String>, CallError> {
        for live in self.seen.followers.values().flatten() {
            if self.leaving.services.contains(live.name()) {
                hand_on(self.calls, live).await?;
            } else {
                self.calls.delete(Kind::Service, live, &live.guard()).await?;
            }
        }
        if let Some(live) = self.seen.service.as_ref().filter(|live| self.is_ours(live)) {
            self.calls.delete(Kind::Service, live, &live.guard()).await?;
        }
        Ok(None)
    }

    /// With a record, or with the marks of the environment: without both it was never more than looked at.
    fn is_ours(&self, live: &Live) -> bool {
        let environment = live.text(&format!("/metadata/labels/{}", escaped(ENVIRONMENT)));
        self.seen.record.is_some() || environment == self.marks.environment
    }

    /// The Services are ordinary ones again: no record, and nothing that the rollout holds.
    pub async fn forget(&self) -> Result<Option<String>, CallError> {
        for live in self.seen.followers.values().flatten() {
            hand_on(self.calls, live).await?;
        }
        let Some(live) = &self.seen.service else { return Ok(None) };
        let live = hand_on(self.calls, live).await?;
        let annotation = tidegate_core::rollout::POINTER_RECORD;
        self.calls.drop_annotation(Kind::Service, &live, annotation).await?;
        Ok(None)
    }
}

/// What the rollout held of a Service is git's from now on: a port that leaves git goes with the next ordinary apply.
pub async fn hand_on(calls: &Calls, live: &Live) -> Result<Live, CallError> {
    let managed = live.value.pointer("/metadata/managedFields").unwrap_or(&Value::Null);
    match handed_on(managed, ROLLOUT, BODY) {
        Some(managed) => calls.own(Kind::Service, live, &managed).await,
        None => Ok(live.clone()),
    }
}
