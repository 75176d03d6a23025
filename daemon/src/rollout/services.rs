//! The bodies of the pointer and its followers as git asks for them, beside the decisions. None of it moves traffic: the selector
//! and the record stay as they were read, and ports change only while what serves is what git asks for.
//!
//! The rollout's own manager holds selector and ports alone, and the ordinary manager the rest: two of them would keep a port
//! that one of them has let go of.

use serde_json::{Value, json};
use tidegate_core::ids::Digest;
use tidegate_core::rollout::{PointerRecord, Selection};
use tidegate_core::workload::{Follower, Workload};

use super::bodies;
use super::calls::{BODY, Guard, Kind, Live, ROLLOUT};
use super::carry::Carrier;
use super::point::Ports;
use super::traffic;
use super::upkeep::{Verified, shape};
use crate::cluster::call::CallError;

impl Carrier<'_> {
    /// The pointer's body, once what is live is what git asks for; and followers that are missing. True when anything was
    /// written.
    pub async fn keep_services(
        &self,
        workload: &Workload,
        verified: &mut Verified,
    ) -> Result<bool, CallError> {
        let Some(record) = &self.seen.record else { return Ok(false) };
        let live_slot = record.record.live.and_then(|live| self.seen.slots.get(live).as_ref());
        let is_asked = live_slot.is_some_and(|seen| seen.record.revision == workload.revision);
        // Where somebody else has moved traffic, decisions come first: they say who it was.
        let agrees = |live: &&Live| record.record.agrees(traffic::selection(live, &self.names.app));
        let mut wrote = false;
        if let Some(live) = self.seen.service.as_ref().filter(|_| is_asked).filter(agrees) {
            wrote |= self.keep_service(live, &workload.service_body(), Some(record), verified).await?;
        }
        for follower in &workload.followers {
            match self.seen.followers.get(&follower.object.reference.name).and_then(Option::as_ref) {
                Some(live) if is_asked && agrees(&live) => {
                    wrote |= self.keep_service(live, &follower.body(), None, verified).await?;
                }
                Some(_) => {}
                None => {
                    self.make_follower(follower, record).await?;
                    wrote = true;
                }
            }
        }
        Ok(wrote)
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

    async fn keep_service(
        &self,
        live: &Live,
        asked: &Value,
        record: Option<&PointerRecord>,
        verified: &mut Verified,
    ) -> Result<bool, CallError> {
        let state = Digest::of(format!("{asked}{}", shape(live)).as_bytes());
        if verified.holds(live.name(), &state) {
            return Ok(false);
        }
        let version = |live: &Live| live.text("/metadata/resourceVersion").to_owned();
        let selector = live.value.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
        let ports = bodies::ports(asked.pointer("/spec/ports").unwrap_or(&json!([])), live);
        let before = version(live);
        let live = self.alone(live, &ports).await?;
        let body = match record {
            Some(record) => bodies::pointer(&live, record, &selector, &ports),
            None => bodies::moved_follower(&live, &selector, &ports),
        };
        let live = self.calls.apply(Kind::Service, ROLLOUT, body, &live.guard()).await?;
        // What people have added with kubectl goes with our apply once it is ours.
        let live = self.calls.take_over(Kind::Service, &live).await?;
        let body = bodies::rest_of_service(asked, self.marks);
        let after = self.calls.apply(Kind::Service, BODY, body, &live.guard()).await?;
        let wrote = version(&after) != before;
        if !wrote {
            verified.set(after.name(), state);
        }
        Ok(wrote)
    }
}
