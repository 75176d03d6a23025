//! The state of the small world, and what may happen in it next.

use std::sync::Arc;

use tidegate_core::rollout::{
    Attempt, Command, Desired, Gate, GateName, Gates, Order, Revision, Selection, Slot, Slots, Verdict, Write,
};

use super::bugs::Bug;
use super::daemon::{Daemon, decision, make_write_old, tick_write};
use super::invariants::{Violation, check, check_decision, invariant_no_blackout};
use super::objects::{
    Fresh, Mixture, NOW, Objects, Own, PointerObject, SlotObject, Target, UncolouredObject, target,
};

/// Stands for "as often as one likes".
pub const ALWAYS: u8 = u8::MAX;

/// One less of what may still happen.
const fn less(left: &mut u8) {
    if *left != ALWAYS {
        *left -= 1;
    }
}

/// What may happen, and how often; [`ALWAYS`] is without end.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that may happen, in any combination")]
pub struct Limits {
    /// Revisions that git may ask for.
    pub revisions: u8,
    /// Git may be unreadable.
    pub unknown: bool,
    /// Git may ask for no colours, or for nothing.
    pub ends: bool,
    /// A Deployment without colours is there from the beginning.
    pub adopts: bool,
    /// How often people order something.
    pub orders: u8,
    /// Autoscalers size the slots between one and two pods.
    pub autoscales: bool,
    /// How often an autoscaler changes its mind.
    pub scales: u8,
    /// Tries beyond the first.
    pub retries: u32,
    /// How often git moves.
    pub moves: u8,
    /// Daemons at once.
    pub daemons: usize,
    /// Kills whose last write lands later.
    pub late: u8,
    /// How often a pod that is ready stops to be.
    pub flaps: u8,
    /// How often people edit or delete.
    pub edits: u8,
    /// How often a gate may say that it does not know.
    pub unknowns: u8,
    /// What is decided on was read one object after the other, with anything in between.
    pub stale: bool,
    /// A Service follows the pointer.
    pub followers: bool,
    /// A mistake put around the decisions.
    pub bug: Option<Bug>,
}

impl Limits {
    /// One daemon, one commit after the first, nothing else.
    pub const ONE: Self = Self {
        revisions: 2,
        unknown: false,
        ends: false,
        adopts: false,
        orders: 0,
        autoscales: false,
        scales: 0,
        retries: 0,
        moves: 1,
        daemons: 1,
        late: 0,
        flaps: 0,
        edits: 0,
        unknowns: 0,
        stale: false,
        followers: false,
        bug: None,
    };
}

/// What git asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A revision, in a try.
    Revision(u8, u32),
    /// Git cannot be read.
    Unknown,
    /// Nothing any more.
    Gone,
    /// No colours.
    Plain,
}

impl Wanted {
    pub fn desired(self) -> Desired {
        match self {
            Self::Revision(revision, git) => Desired::Revision {
                revision: Revision::new(u128::from(revision)),
                attempt: Attempt { git, ordered: 0 },
            },
            Self::Unknown => Desired::Unknown,
            Self::Gone => Desired::Gone { may_delete: true },
            Self::Plain => Desired::Plain,
        }
    }
}

/// How often things may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Left {
    pub moves: u8,
    pub late: u8,
    pub flaps: u8,
    pub edits: u8,
    pub unknowns: u8,
    pub orders: u8,
    pub scales: u8,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub objects: Objects,
    pub wanted: Wanted,
    pub daemons: Vec<Daemon>,
    /// A write of a daemon that was killed, on its way.
    pub late: Option<(Write, Fresh)>,
    pub left: Left,
}

/// A step of the world: what happened, and what it came to.
pub type Next = (String, Result<World, Violation>);

/// The gates of the small world: one before the switch, one in the bake.
pub fn gates() -> Gates {
    let gate = |name: &str| Gate { name: GateName(Arc::from(name)), config: 1 };
    Gates { before_switch: vec![gate("smoke")], while_baking: vec![gate("errors")] }
}

/// True when the next write moves traffic to this slot.
pub fn is_move(writes: &[Write], to: Slot) -> bool {
    match writes {
        [Write::Point { selection, .. }, ..] => *selection == Selection::Only(to),
        _ => false,
    }
}

impl World {
    /// Nothing is there, and git asks for the first revision.
    pub fn new(limits: &Limits) -> Self {
        let follower = limits.followers.then_some(Selection::Nothing);
        let before =
            UncolouredObject { own: Own::Ready, has_autoscaler: true, has_budget: true, is_ours: false };
        let service = PointerObject { record: None, selection: Selection::All };
        let slot = SlotObject { autoscaler_min: limits.autoscales.then_some(1), ..SlotObject::default() };
        let objects = Objects {
            slots: Slots { blue: slot.clone(), green: slot },
            follower,
            uncoloured: limits.adopts.then_some(before),
            pointer: limits.adopts.then_some(service),
            ..Objects::default()
        };
        Self {
            objects,
            wanted: Wanted::Revision(0, 0),
            daemons: vec![Daemon::Idle; limits.daemons],
            late: None,
            left: Left {
                moves: limits.moves,
                late: limits.late,
                flaps: limits.flaps,
                edits: limits.edits,
                unknowns: limits.unknowns,
                orders: limits.orders,
                scales: limits.scales,
            },
        }
    }

    /// Everything that may happen next.
    pub fn next(&self, limits: &Limits, gates: &Gates) -> Vec<Next> {
        let mut next = Vec::new();
        for index in 0..self.daemons.len() {
            self.daemon_goes_on(index, limits, gates, &mut next);
        }
        self.late_lands(limits, gates, &mut next);
        self.controllers(&mut next);
        self.git_moves(limits, &mut next);
        self.people_edit(&mut next);
        self.people_order(limits, &mut next);
        let mut later = self.clone();
        later.tick();
        next.push(("tick".to_owned(), Ok(later)));
        let renews = limits.bug == Some(Bug::RenewedVersions);
        for (_, world) in &mut next {
            *world = world.clone().map(|world| world.canonical(renews));
        }
        next.retain(|(_, world)| world.as_ref() != Ok(self));
        next
    }

    pub fn tick(&mut self) {
        self.objects.tick();
        self.daemons.iter_mut().for_each(Daemon::tick);
        if let Some((write, _)) = &mut self.late {
            tick_write(write);
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut world = self.clone();
        change(&mut world);
        world
    }

    fn set_daemon(&mut self, index: usize, daemon: Daemon) {
        if let Some(place) = self.daemons.get_mut(index) {
            *place = daemon;
        }
    }

    fn daemon_goes_on(&self, index: usize, limits: &Limits, gates: &Gates, next: &mut Vec<Next>) {
        let Some(daemon) = self.daemons.get(index) else { return };
        let put = |daemon: Daemon| self.with(|world| world.set_daemon(index, daemon));
        match daemon {
            Daemon::Idle => {
                if limits.stale {
                    let seen = Box::new(self.objects.clone());
                    next.push((format!("{index} reads"), Ok(put(Daemon::Reading(seen, Fresh::ALL)))));
                }
                let decision = decision(&self.objects, self.wanted, limits, gates);
                if let Some(daemon) = Daemon::begin(&decision, Fresh::ALL) {
                    let decided = check_decision(&self.objects, &decision).map(|()| put(daemon));
                    next.push((format!("{index} decides {:?}", decision.phase), decided));
                }
            }
            Daemon::Reading(seen, fresh) => {
                next.push((format!("{index} is killed"), Ok(put(Daemon::Idle))));
                for old in Mixture::ALL {
                    let objects = self.objects.mixed_with(seen, old);
                    let decision = decision(&objects, self.wanted, limits, gates);
                    let what = format!("{index} decides {:?} with {old:?}", decision.phase);
                    let daemon = Daemon::begin(&decision, old.fresh(*fresh)).unwrap_or(Daemon::Idle);
                    next.push((what, Ok(put(daemon))));
                }
            }
            Daemon::Asking(question, fresh) => {
                next.push((format!("{index} is killed"), Ok(put(Daemon::Idle))));
                for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Unknown] {
                    let is_unknown = verdict == Verdict::Unknown;
                    if is_unknown && self.left.unknowns == 0 {
                        continue;
                    }
                    let mut world = put(Daemon::writing(question.as_ref().clone().record(verdict), *fresh));
                    if is_unknown {
                        less(&mut world.left.unknowns);
                    }
                    next.push((format!("{index} hears {verdict:?}"), Ok(world)));
                }
            }
            Daemon::Writing(writes, fresh) => {
                let Some((first, rest)) = writes.split_first() else { return };
                let mut killed = put(Daemon::Idle);
                next.push((format!("{index} is killed"), Ok(killed.clone())));
                if self.left.late > 0 && self.late.is_none() && target(first) != Target::Nothing {
                    killed.late = Some((first.clone(), *fresh));
                    less(&mut killed.left.late);
                    next.push((format!("{index} is killed, its write is on its way"), Ok(killed)));
                }
                let mut world = self.clone();
                world.set_daemon(index, Daemon::Idle);
                let fresh = if limits.bug.is_some_and(|bug| bug.renews(first)) { Fresh::ALL } else { *fresh };
                let landed = world.land(first, fresh, limits, gates);
                let what = format!("{index} sends {first:?}");
                next.push((
                    what,
                    landed.map(|landed| {
                        if landed {
                            world.set_daemon(index, Daemon::writing(rest.to_vec(), fresh));
                        }
                        world
                    }),
                ));
            }
        }
    }

    /// Carries a write out where its guard holds, and makes everybody else's reads of the object old.
    fn land(
        &mut self,
        write: &Write,
        fresh: Fresh,
        limits: &Limits,
        gates: &Gates,
    ) -> Result<bool, Violation> {
        if let Write::Recheck(recheck) = write {
            return Ok(self.objects.slots.get(recheck.slot).holds(*recheck));
        }
        let target = target(write);
        if !fresh.is(target) {
            return Ok(false);
        }
        let before = self.objects.clone();
        if !self.objects.carry(write) {
            return Ok(false);
        }
        if let Write::Prepare { slot, .. } = write
            && limits.bug.is_some_and(Bug::keeps_evidence)
        {
            self.objects.keep_evidence_of(&before, *slot);
        }
        check(&before, write, fresh.raced, self.left.edits < limits.edits, gates)?;
        let is_gone = matches!(write, Write::DeletePointer) || self.objects.pointer.is_none();
        if !is_gone {
            invariant_no_blackout(&before, &self.objects, fresh.raced)?;
        }
        self.changed(target);
        if let (Some(before), Some(after)) = (before.record(), self.objects.record())
            && before.switched_at != after.switched_at
        {
            self.daemons.iter_mut().for_each(Daemon::make_old);
            if let Some((write, _)) = &mut self.late {
                make_write_old(write);
            }
        }
        Ok(true)
    }

    /// A slot has lost readiness: who has read it again, and is about to move traffic there, could not know.
    fn races(&mut self, slot: Slot) {
        for daemon in &mut self.daemons {
            if let Daemon::Writing(writes, fresh) = daemon {
                fresh.raced |= is_move(writes, slot);
            }
        }
        if let Some((write, fresh)) = &mut self.late {
            fresh.raced |= is_move(std::slice::from_ref(write), slot);
        }
    }

    fn changed(&mut self, target: Target) {
        let readers = self.daemons.iter_mut().filter_map(Daemon::fresh);
        readers.chain(self.late.as_mut().map(|(_, fresh)| fresh)).for_each(|fresh| fresh.set(target, false));
    }

    fn late_lands(&self, limits: &Limits, gates: &Gates, next: &mut Vec<Next>) {
        let Some((write, fresh)) = &self.late else { return };
        let mut world = self.with(|world| world.late = None);
        let landed = world.land(write, *fresh, limits, gates);
        next.push((format!("late: {write:?}"), landed.map(|_| world)));
    }

    /// What Kubernetes' controllers do, each at its own time.
    pub fn controllers(&self, next: &mut Vec<Next>) {
        for slot in Slot::ALL {
            let object = self.objects.slots.get(slot);
            let is_wanted = object.deployment.as_ref().is_some_and(|held| held.replicas > 0);
            let mut becomes = |what: &str, own: Own| {
                let world = self.with(|world| {
                    if own == Own::Leaving {
                        world.races(slot);
                    }
                    let object = world.objects.slots.get_mut(slot);
                    object.own = own;
                    if let Some(held) = &mut object.deployment {
                        held.is_current = true;
                        object.is_evidence_orphaned |= own == Own::None && !held.evidence.is_empty();
                    }
                });
                next.push((format!("{slot}: {what}"), Ok(world)));
            };
            match (object.own, is_wanted) {
                (Own::None, true) => becomes("a pod starts", Own::Starting),
                (Own::Starting, true) => becomes("its pod is ready", Own::Ready),
                (Own::Starting | Own::Ready, false) => becomes("its pod leaves", Own::Leaving),
                (Own::Leaving, _) => becomes("its pod is gone", Own::None),
                (Own::None, false) | (Own::Ready, true) => {}
            }
            let is_rolling =
                object.deployment.as_ref().is_some_and(|held| held.is_adopted) && object.own != Own::Ready;
            if object.has_others && !is_rolling {
                let world = self.with(|world| world.objects.slots.get_mut(slot).has_others = false);
                next.push((format!("{slot}: old pods are gone"), Ok(world)));
            }
            if object.deployment.as_ref().is_some_and(|held| !held.is_current) {
                let world = self.with(|world| {
                    if let Some(held) = &mut world.objects.slots.get_mut(slot).deployment {
                        held.is_current = true;
                    }
                });
                next.push((format!("{slot}: seen by its controller"), Ok(world)));
            }
            if object.own == Own::Ready && self.left.flaps > 0 {
                let world = self.with(|world| {
                    less(&mut world.left.flaps);
                    world.objects.slots.get_mut(slot).own = Own::Starting;
                    world.races(slot);
                });
                next.push((format!("{slot}: its pod is unready"), Ok(world)));
            }
        }
        self.autoscalers(next);
        self.uncoloured_pods(next);
        if !self.objects.is_settled && self.objects.pointer.is_some() {
            next.push(("traffic has followed".to_owned(), Ok(self.with(|world| world.objects.settle()))));
        }
    }

    /// An autoscaler changes the size of a slot that has one, and the second pod comes and goes with it.
    fn autoscalers(&self, next: &mut Vec<Next>) {
        for slot in Slot::ALL {
            let object = self.objects.slots.get(slot);
            let Some(held) = &object.deployment else { continue };
            if object.own == Own::Ready && (held.replicas > 1) != object.has_surplus {
                let world = self.with(|world| {
                    let has_surplus = &mut world.objects.slots.get_mut(slot).has_surplus;
                    *has_surplus = !*has_surplus;
                });
                next.push((format!("{slot}: its second pod comes or goes"), Ok(world)));
            }
            let Some(min) = object.autoscaler_min.filter(|_| held.replicas > 0) else { continue };
            let size = if held.replicas == 1 { 2 } else { 1 };
            if size >= min && self.left.scales > 0 {
                let world = self.with(|world| {
                    less(&mut world.left.scales);
                    world.changed(Target::Slot(slot));
                    if let Some(held) = &mut world.objects.slots.get_mut(slot).deployment {
                        (held.replicas, held.is_current) = (size, false);
                    }
                });
                next.push((format!("{slot}: its autoscaler wants {size}"), Ok(world)));
            }
        }
    }

    fn uncoloured_pods(&self, next: &mut Vec<Next>) {
        let Some(uncoloured) = self.objects.uncoloured else { return };
        let own = match uncoloured.own {
            Own::None => Own::Starting,
            Own::Starting => Own::Ready,
            Own::Ready | Own::Leaving => return,
        };
        let world =
            self.with(|world| world.objects.uncoloured = Some(UncolouredObject { own, ..uncoloured }));
        next.push((format!("without colour: {own:?}"), Ok(world)));
    }

    fn git_moves(&self, limits: &Limits, next: &mut Vec<Next>) {
        if self.left.moves == 0 {
            return;
        }
        let unknown = limits.unknown.then_some(Wanted::Unknown);
        let ends = [Wanted::Plain, Wanted::Gone].into_iter().filter(|_| limits.ends);
        let tries = |revision| (0..=limits.retries).map(move |attempt| Wanted::Revision(revision, attempt));
        for wanted in (0..limits.revisions).flat_map(tries).chain(unknown).chain(ends) {
            if wanted != self.wanted {
                let world = self.with(|world| {
                    world.wanted = wanted;
                    less(&mut world.left.moves);
                });
                next.push((format!("git: {wanted:?}"), Ok(world)));
            }
        }
    }

    fn people_edit(&self, next: &mut Vec<Next>) {
        if self.left.edits == 0 {
            return;
        }
        let mut edit = |what: String, target: Target, change: &dyn Fn(&mut Objects)| {
            let world = self.with(|world| {
                less(&mut world.left.edits);
                change(&mut world.objects);
                world.changed(target);
                if let Target::Slot(slot) = target {
                    world.races(slot);
                }
            });
            next.push((what, Ok(world)));
        };
        if self.objects.pointer.is_some() {
            for selection in [Selection::Foreign, Selection::Only(Slot::Blue), Selection::Only(Slot::Green)] {
                edit(format!("people select {selection:?}"), Target::Pointer, &|objects| {
                    objects.select(selection);
                });
            }
            edit("people delete the pointer".to_owned(), Target::Pointer, &|objects| {
                objects.select(Selection::Nothing);
                objects.pointer = None;
            });
        }
        for slot in Slot::ALL {
            let Some(held) = &self.objects.slots.get(slot).deployment else { continue };
            edit(format!("people delete {slot}"), Target::Slot(slot), &|objects| {
                let object = objects.slots.get_mut(slot);
                object.kept = object.deployment.take().map(|held| (held.revision, held.attempt));
            });
            if held.replicas > 0 {
                edit(format!("people scale {slot} to 0"), Target::Slot(slot), &|objects| {
                    if let Some(held) = &mut objects.slots.get_mut(slot).deployment {
                        held.replicas = 0;
                        held.is_current = false;
                    }
                });
            }
        }
    }

    /// Every order that might mean something, and with it those that come too late.
    fn people_order(&self, limits: &Limits, next: &mut Vec<Next>) {
        let Some(record) = self.objects.record().filter(|record| record.order.is_none()) else { return };
        if self.left.orders == 0 {
            return;
        }
        let rejected = record.rejected.as_ref().map(|rejected| rejected.revision);
        let revisions: Vec<Revision> =
            (0..limits.revisions).map(|revision| Revision::new(u128::from(revision))).collect();
        for command in [Command::Abort, Command::Promote, Command::RollBack, Command::Resume, Command::Retry]
        {
            for revision in &revisions {
                let is_about_it = match command {
                    Command::Resume => revision == &Revision::new(0),
                    Command::Retry => rejected == Some(*revision),
                    Command::Abort | Command::Promote | Command::RollBack => true,
                };
                if !is_about_it {
                    continue;
                }
                let order = Order {
                    command,
                    revision: *revision,
                    person: Arc::from(""),
                    reason: Arc::from(""),
                    at: NOW,
                };
                let world = self.with(|world| {
                    less(&mut world.left.orders);
                    if let Some(record) =
                        world.objects.pointer.as_mut().and_then(|pointer| pointer.record.as_mut())
                    {
                        record.order = Some(order);
                    }
                    world.changed(Target::Pointer);
                });
                next.push((format!("people order {command:?} {revision}"), Ok(world)));
            }
        }
    }

    /// How long ago the time of every decision is.
    pub const fn now() -> jiff::Timestamp {
        NOW
    }
}
