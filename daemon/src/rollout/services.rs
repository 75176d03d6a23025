//! The bodies of the pointer and its followers as git asks for them, beside the decisions. None of it moves traffic: the selector
//! and what the record decides by stay as they were read, and ports become git's only while what serves is what git asks for; else
//! they are those that were written down when it was.
//!
//! The rollout's own manager holds selector and ports alone, and the ordinary manager the rest: two of them would keep a port
//! that one of them has let go of.

use serde_json::{Value, json};
use tidegate_core::ids::Digest;
use tidegate_core::inventory::PART_OF;
use tidegate_core::rollout::{PointerRecord, Selection, Slot};
use tidegate_core::workload::{Follower, Workload};

use super::bodies;
use super::calls::{BODY, Kind, Live, ROLLOUT};
use super::carry::Carrier;
use super::guard::Guard;
use super::leaving::holder;
use super::point::Ports;
use super::traffic;
use super::upkeep::{Verified, shape};
use crate::cluster::call::CallError;

impl Carrier<'_> {
    /// The pointer's body and its followers', once what is live is what git asks for; until then, and where git no longer has the
    /// workload, the ports of what is live. And followers that are missing. True when anything was written.
    pub async fn keep_services(&self, verified: &mut Verified) -> Result<bool, CallError> {
        let Some(record) = &self.seen.record else { return Ok(false) };
        let Some(live_slot) = record.record.live else { return self.make_followers(record, verified).await };
        let revision = self.slot(live_slot).map(|seen| seen.record.revision);
        let asked = self.workload.filter(|workload| revision == Some(workload.revision));
        // Where somebody else has moved traffic, decisions come first: they say who it was.
        let agrees = |live: &&Live| record.record.agrees(traffic::selection(live, &self.names.app));
        let pointer = self.seen.service.as_ref().filter(agrees);
        let followers = self.seen.followers.values().flatten().filter(agrees);
        let mut wrote = false;
        for live in pointer.into_iter().chain(followers) {
            let body = asked.and_then(|workload| body_of(workload, live.name()));
            let ports = match &body {
                Some(body) => Some(body.pointer("/spec/ports").cloned().unwrap_or_else(|| json!([]))),
                None => self.held(live_slot).and_then(|held| held.ports.get(live.name()).cloned()),
            };
            let Some(ports) = ports else { continue };
            let record =
                (live.name() == self.names.service).then(|| self.with_ports(record, live_slot, asked));
            wrote |= self.keep_service(live, body.as_ref(), &ports, record.as_ref(), verified).await?;
        }
        Ok(self.make_followers(record, verified).await? || wrote)
    }

    /// The record with the ports that git asks for, where what is live is what git asks for: they are that colour's from now on,
    /// whatever somebody makes of them.
    fn with_ports(&self, record: &PointerRecord, live: Slot, asked: Option<&Workload>) -> PointerRecord {
        let mut record = record.clone();
        let (Some(workload), Some(held)) = (asked, record.held.get_mut(live)) else { return record };
        let services = self.seen.service.iter().chain(self.seen.followers.values().flatten());
        for service in services {
            let Some(body) = body_of(workload, service.name()) else { continue };
            let ports = bodies::ports(body.pointer("/spec/ports").unwrap_or(&json!([])), service);
            held.ports.insert(service.name().to_owned(), ports);
        }
        held.ports.retain(|name, _| *name == self.names.service || self.seen.followers.contains_key(name));
        record
    }

    async fn make_followers(
        &self,
        record: &PointerRecord,
        verified: &mut Verified,
    ) -> Result<bool, CallError> {
        let mut wrote = false;
        for follower in self.workload.iter().flat_map(|workload| &workload.followers) {
            match self.seen.followers.get(&follower.object.reference.name) {
                Some(None) => self.make_follower(follower, record).await?,
                Some(Some(live)) if self.is_unnamed(live) => {
                    // Once: who takes the label away again and again must not keep decisions from being made.
                    let uid = Digest::of(live.text("/metadata/uid").as_bytes());
                    let what = format!("name of {}", live.name());
                    if verified.holds(&what, &uid) {
                        continue;
                    }
                    self.name_follower(live).await?;
                    verified.set(&what, uid);
                }
                Some(Some(_)) | None => continue,
            }
            wrote = true;
        }
        Ok(wrote)
    }

    /// Made by us, and it does not say yet whose it is.
    fn is_unnamed(&self, live: &Live) -> bool {
        live.label(PART_OF) == Some(self.marks.apply_set.as_str()) && holder(live).is_none()
    }

    /// It says whose it is, before traffic moves for the first time: it may leave git before that.
    async fn name_follower(&self, live: &Live) -> Result<(), CallError> {
        let own = |pointer: &str| live.value.pointer(pointer).cloned().unwrap_or(Value::Null);
        let (selector, ports) = (own("/spec/selector"), own("/spec/ports"));
        let body = bodies::moved_follower(live, &self.names.app, &selector, &ports);
        self.calls.apply(Kind::Service, ROLLOUT, body, &live.guard()).await.map(drop)
    }

    async fn make_follower(&self, follower: &Follower, record: &PointerRecord) -> Result<(), CallError> {
        let selection = record.record.selection();
        let ports = match selection {
            Selection::Only(slot) => self.ports_of(slot).await?,
            Selection::Nothing | Selection::All | Selection::Foreign => Ports::default(),
        };
        let ports = ports.followers.get(&follower.object.reference.name);
        let selector = bodies::selector(selection, &self.names.app, &follower.base_selector());
        let body = bodies::new_service(&follower.body(), ports, selector, None, self.marks);
        self.calls.apply(Kind::Service, BODY, body, &Guard::Nowhere).await.map(drop)
    }

    /// A Service as git asks for it, where it does; else its ports alone.
    async fn keep_service(
        &self,
        live: &Live,
        asked: Option<&Value>,
        ports: &Value,
        record: Option<&PointerRecord>,
        verified: &mut Verified,
    ) -> Result<bool, CallError> {
        let held = json!(record.map(|record| &record.held));
        let state = Digest::of(format!("{asked:?}{ports}{held}{}", shape(live)).as_bytes());
        let what = format!("service {}", live.name());
        if verified.holds(&what, &state) {
            return Ok(false);
        }
        let version = |live: &Live| live.text("/metadata/resourceVersion").to_owned();
        let selector = live.value.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
        let ports = bodies::ports(ports, live);
        let before = version(live);
        let live = self.alone(live, &ports).await?;
        let body = match record {
            Some(record) => bodies::pointer(&live, record, &selector, &ports),
            None => bodies::moved_follower(&live, &self.names.app, &selector, &ports),
        };
        let mut after = self.calls.apply(Kind::Service, ROLLOUT, body, &live.guard()).await?;
        if let Some(asked) = asked {
            // What people have added with kubectl goes with our apply once it is ours.
            let live = self.calls.take_over(Kind::Service, &after).await?;
            let body = bodies::rest_of_service(asked, self.marks);
            after = self.calls.apply(Kind::Service, BODY, body, &live.guard()).await?;
        }
        let wrote = version(&after) != before;
        if !wrote {
            verified.set(&what, state);
        }
        Ok(wrote)
    }
}

/// A Service of the workload as git has it, without its selector.
fn body_of(workload: &Workload, service: &str) -> Option<Value> {
    if workload.service.reference.name == service {
        return Some(workload.service_body());
    }
    let follower = workload.followers.iter().find(|follower| follower.object.reference.name == service);
    follower.map(Follower::body)
}
