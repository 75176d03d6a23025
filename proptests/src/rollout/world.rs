//! The state of the small world, and what may happen in it next.

use std::sync::Arc;

use tidegate_core::rollout::{
    Attempt, Desired, Gate, GateName, Gates, Revision, Selection, Slot, Verdict, Write,
};

use super::bugs::Bug;
use super::daemon::{Daemon, decision, make_write_old, tick_write};
use super::invariants::{Violation, check};
use super::objects::{Fresh, NOW, Objects, Own, Target, target};

/// What may happen, and how often.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Revisions that git may ask for.
    pub revisions: u8,
    /// Git may be unreadable.
    pub unknown: bool,
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
    /// A mistake put around the decisions.
    pub bug: Option<Bug>,
}

/// What git asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The revision; none while git cannot be read.
    pub revision: Option<u8>,
    /// The try.
    pub attempt: u32,
}

impl Wanted {
    pub fn desired(self) -> Desired {
        match self.revision {
            Some(revision) => Desired::Revision {
                revision: Revision::new(u128::from(revision)),
                attempt: Attempt(self.attempt),
            },
            None => Desired::Unknown,
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

impl World {
    /// Nothing is there, and git asks for the first revision.
    pub fn new(limits: &Limits) -> Self {
        Self {
            objects: Objects::default(),
            wanted: Wanted { revision: Some(0), attempt: 0 },
            daemons: vec![Daemon::Idle; limits.daemons],
            late: None,
            left: Left {
                moves: limits.moves,
                late: limits.late,
                flaps: limits.flaps,
                edits: limits.edits,
                unknowns: limits.unknowns,
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
        let mut later = self.clone();
        later.tick();
        next.push(("tick".to_owned(), Ok(later)));
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

    fn daemon_goes_on(&self, index: usize, limits: &Limits, gates: &Gates, next: &mut Vec<Next>) {
        let Some(daemon) = self.daemons.get(index) else { return };
        let put = |daemon: Daemon| self.with(|world| world.daemons[index] = daemon);
        match daemon {
            Daemon::Idle => {
                let decision = decision(&self.objects, self.wanted, limits, gates);
                if let Some(daemon) = Daemon::begin(&decision) {
                    next.push((format!("{index} decides {:?}", decision.phase), Ok(put(daemon))));
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
                    world.left.unknowns -= u8::from(is_unknown);
                    next.push((format!("{index} hears {verdict:?}"), Ok(world)));
                }
            }
            Daemon::Writing(writes, fresh) => {
                let Some((first, rest)) = writes.split_first() else { return };
                let mut killed = put(Daemon::Idle);
                next.push((format!("{index} is killed"), Ok(killed.clone())));
                if self.left.late > 0 && self.late.is_none() && target(first) != Target::Nothing {
                    killed.late = Some((first.clone(), *fresh));
                    killed.left.late -= 1;
                    next.push((format!("{index} is killed, its write is on its way"), Ok(killed)));
                }
                let mut world = self.clone();
                world.daemons[index] = Daemon::Idle;
                let fresh = if limits.bug.is_some_and(|bug| bug.renews(first)) { Fresh::ALL } else { *fresh };
                let landed = world.land(first, fresh, limits, gates);
                let what = format!("{index} sends {first:?}");
                next.push((
                    what,
                    landed.map(|landed| {
                        if landed {
                            world.daemons[index] = Daemon::writing(rest.to_vec(), fresh);
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
            let ready = self.objects.slots.get(recheck.slot).view().pods.ready;
            return Ok(ready >= recheck.at_least);
        }
        let target = target(write);
        if !fresh.is(target) {
            return Ok(false);
        }
        let before = self.objects.clone();
        if !self.objects.carry(write) {
            return Ok(false);
        }
        check(&before, write, self.left.flaps < limits.flaps || self.left.edits < limits.edits, gates)?;
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
            if object.has_others {
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
                    world.left.flaps -= 1;
                    world.objects.slots.get_mut(slot).own = Own::Starting;
                });
                next.push((format!("{slot}: its pod is unready"), Ok(world)));
            }
        }
        if !self.objects.is_settled && self.objects.pointer.is_some() {
            next.push(("traffic has followed".to_owned(), Ok(self.with(|world| world.objects.settle()))));
        }
    }

    fn git_moves(&self, limits: &Limits, next: &mut Vec<Next>) {
        if self.left.moves == 0 {
            return;
        }
        let unknown = limits.unknown.then_some(None);
        let revisions = (0..limits.revisions).map(Some).chain(unknown);
        for revision in revisions {
            for attempt in 0..=limits.retries {
                let wanted = Wanted { revision, attempt };
                if wanted != self.wanted {
                    let world = self.with(|world| {
                        world.wanted = wanted;
                        world.left.moves -= 1;
                    });
                    next.push((format!("git: {wanted:?}"), Ok(world)));
                }
            }
        }
    }

    fn people_edit(&self, next: &mut Vec<Next>) {
        if self.left.edits == 0 {
            return;
        }
        let mut edit = |what: String, target: Target, change: &dyn Fn(&mut Objects)| {
            let world = self.with(|world| {
                world.left.edits -= 1;
                change(&mut world.objects);
                world.changed(target);
            });
            next.push((what, Ok(world)));
        };
        if self.objects.pointer.is_some() {
            for selection in
                [Selection::Foreign, Selection::Only(Slot::Blue), Selection::Only(Slot::Green)]
            {
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
                objects.slots.get_mut(slot).deployment = None;
            });
            if held.replicas > 0 {
                edit(format!("people scale {slot} to 0"), Target::Slot(slot), &|objects| {
                    if let Some(held) = &mut objects.slots.get_mut(slot).deployment {
                        held.replicas = 0;
                    }
                });
            }
        }
    }

    /// How long ago the time of every decision is.
    pub const fn now() -> jiff::Timestamp {
        NOW
    }
}
