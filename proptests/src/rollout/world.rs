//! The state of the small world, and what may happen in it next.

use std::sync::Arc;

use tidegate_core::rollout::{
    Attempt, Desired, Gate, GateName, Gates, Revision, Selection, Slot, Slots, Verdict, Write,
};

use super::bugs::Bug;
use super::daemon::{Daemon, decision, make_write_old, tick_write};
use super::fresh::{Fresh, Mixture, Target, target};
use super::invariants::Violation;
use super::objects::{NOW, Objects, Own, PointerObject, SlotObject, UncolouredObject};
use super::on_steps::{judge_answer, judge_step};
use super::on_writes::{judge_write, s2_no_blackout};

/// Stands for "as often as one likes".
pub const ALWAYS: u8 = u8::MAX;

/// One less of what may still happen.
pub const fn less(left: &mut u8) {
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
    /// Decisions are judged, not only what comes of them: a mistake is to be found by its harm.
    pub judges_steps: bool,
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
        judges_steps: true,
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

/// What may happen next, while it is put together.
pub struct Ways {
    is_told: bool,
    ways: Vec<Next>,
}

impl Ways {
    pub const fn new(is_told: bool) -> Self {
        Self { is_told, ways: Vec::new() }
    }

    /// Words take longer than anything else, and most are never read.
    pub fn push(&mut self, step: impl FnOnce() -> String, world: Result<World, Violation>) {
        self.ways.push((if self.is_told { step() } else { String::new() }, world));
    }

    /// The first of them that leads to such a world.
    pub fn find(self, may_be: impl Fn(&World) -> bool) -> Option<World> {
        self.ways.into_iter().filter_map(|(_, world)| world.ok()).find(may_be)
    }
}

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

/// True when one of these writes moves traffic to this slot.
fn moves_to(writes: &[Write], to: Slot) -> bool {
    writes.iter().any(|write| is_move(std::slice::from_ref(write), to))
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

    /// Everything that may happen next; told in words where somebody wants to read them.
    pub fn next(&self, limits: &Limits, gates: &Gates, is_told: bool) -> Vec<Next> {
        let mut next = Ways::new(is_told);
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
        next.push(|| "tick".to_owned(), Ok(later));
        let renews = limits.bug == Some(Bug::RenewedVersions);
        let canonical = |(step, world): Next| (step, world.map(|world| world.canonical(renews)));
        next.ways.into_iter().map(canonical).filter(|(_, world)| world.as_ref() != Ok(self)).collect()
    }

    pub fn tick(&mut self) {
        self.objects.tick();
        self.daemons.iter_mut().for_each(Daemon::tick);
        if let Some((write, _)) = &mut self.late {
            tick_write(write);
        }
    }

    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut world = self.clone();
        change(&mut world);
        world
    }

    fn set_daemon(&mut self, index: usize, daemon: Daemon) {
        if let Some(place) = self.daemons.get_mut(index) {
            *place = daemon;
        }
    }

    fn daemon_goes_on(&self, index: usize, limits: &Limits, gates: &Gates, next: &mut Ways) {
        let Some(daemon) = self.daemons.get(index) else { return };
        let put = |daemon: Daemon| self.with(|world| world.set_daemon(index, daemon));
        match daemon {
            Daemon::Idle => {
                if limits.stale {
                    let seen = Box::new(self.objects.clone());
                    next.push(|| format!("{index} reads"), Ok(put(Daemon::Reading(seen, Fresh::ALL))));
                }
                let decision = decision(&self.objects, self.wanted, limits, gates);
                if let Some(daemon) = Daemon::begin(&decision, Fresh::ALL) {
                    let judged = judge_step(&self.objects, self.wanted, &decision, limits, gates);
                    let decided = judged.map(|()| put(daemon));
                    next.push(|| format!("{index} decides {:?}", decision.phase), decided);
                }
            }
            Daemon::Reading(seen, fresh) => {
                next.push(|| format!("{index} is killed"), Ok(put(Daemon::Idle)));
                for old in Mixture::ALL {
                    let objects = self.objects.mixed_with(seen, old);
                    let decision = decision(&objects, self.wanted, limits, gates);
                    let what = || format!("{index} decides {:?} with {old:?}", decision.phase);
                    let daemon = Daemon::begin(&decision, old.fresh(*fresh)).unwrap_or(Daemon::Idle);
                    next.push(what, Ok(put(daemon)));
                }
            }
            Daemon::Asking(question, fresh) => {
                next.push(|| format!("{index} is killed"), Ok(put(Daemon::Idle)));
                for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Unknown] {
                    let is_unknown = verdict == Verdict::Unknown;
                    if is_unknown && self.left.unknowns == 0 {
                        continue;
                    }
                    let writes = question.as_ref().clone().record(verdict);
                    let judged = judge_answer(&self.objects, &writes, limits);
                    let mut world = put(Daemon::writing(writes, *fresh));
                    if is_unknown {
                        less(&mut world.left.unknowns);
                    }
                    next.push(|| format!("{index} hears {verdict:?}"), judged.map(|()| world));
                }
            }
            Daemon::Writing(writes, fresh) => {
                let Some((first, rest)) = writes.split_first() else { return };
                let mut killed = put(Daemon::Idle);
                next.push(|| format!("{index} is killed"), Ok(killed.clone()));
                if self.left.late > 0 && self.late.is_none() && target(first) != Target::Nothing {
                    killed.late = Some((first.clone(), *fresh));
                    less(&mut killed.left.late);
                    next.push(|| format!("{index} is killed, its write is on its way"), Ok(killed));
                }
                let mut world = self.clone();
                world.set_daemon(index, Daemon::Idle);
                let fresh = if limits.bug.is_some_and(|bug| bug.renews(first)) { Fresh::ALL } else { *fresh };
                let landed = world.land(first, fresh, limits, gates);
                let what = || format!("{index} sends {first:?}");
                next.push(
                    what,
                    landed.map(|landed| {
                        if landed {
                            world.set_daemon(index, Daemon::writing(rest.to_vec(), fresh));
                        }
                        world
                    }),
                );
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
        judge_write(&before, write, fresh, gates)?;
        let is_gone = matches!(write, Write::DeletePointer) || self.objects.pointer.is_none();
        if !is_gone {
            s2_no_blackout(&before, &self.objects, fresh.raced)?;
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
    pub fn races(&mut self, slot: Slot) {
        for daemon in &mut self.daemons {
            if let Daemon::Writing(writes, fresh) = daemon {
                fresh.raced |= is_move(writes, slot);
            }
        }
        if let Some((write, fresh)) = &mut self.late {
            fresh.raced |= is_move(std::slice::from_ref(write), slot);
        }
    }

    /// A slot has got more pods: who has read it, and is about to move traffic away from there, could not know.
    fn grows(&mut self, slot: Slot) {
        for daemon in &mut self.daemons {
            match daemon {
                Daemon::Reading(_, fresh) => fresh.grown = true,
                Daemon::Writing(writes, fresh) => fresh.grown |= moves_to(writes, slot.other()),
                Daemon::Idle | Daemon::Asking(..) => {}
            }
        }
        if let Some((write, fresh)) = &mut self.late {
            fresh.grown |= moves_to(std::slice::from_ref(write), slot.other());
        }
    }

    pub fn changed(&mut self, target: Target) {
        let readers = self.daemons.iter_mut().filter_map(Daemon::fresh);
        readers.chain(self.late.as_mut().map(|(_, fresh)| fresh)).for_each(|fresh| fresh.set(target, false));
    }

    fn late_lands(&self, limits: &Limits, gates: &Gates, next: &mut Ways) {
        let Some((write, fresh)) = &self.late else { return };
        let mut world = self.with(|world| world.late = None);
        let landed = world.land(write, *fresh, limits, gates);
        next.push(|| format!("late: {write:?}"), landed.map(|_| world));
    }

    /// What Kubernetes' controllers do, each at its own time.
    pub fn controllers(&self, next: &mut Ways) {
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
                next.push(|| format!("{slot}: {what}"), Ok(world));
            };
            match (object.own, is_wanted) {
                (Own::None, true) => becomes("a pod starts", Own::Starting),
                (Own::Starting, true) => becomes("its pod is ready", Own::Ready),
                (Own::Starting | Own::Ready, false) => becomes("its pod leaves", Own::Leaving),
                (Own::Leaving, _) => becomes("its pod is gone", Own::None),
                (Own::None, false) | (Own::Ready, true) => {}
            }
            // One that somebody scales to 0 loses them without another one.
            let is_rolling = object.deployment.as_ref().is_some_and(|held| held.is_adopted)
                && is_wanted
                && object.own != Own::Ready;
            if object.has_others && !is_rolling {
                let world = self.with(|world| world.objects.slots.get_mut(slot).has_others = false);
                next.push(|| format!("{slot}: old pods are gone"), Ok(world));
            }
            if object.deployment.as_ref().is_some_and(|held| !held.is_current) {
                let world = self.with(|world| {
                    if let Some(held) = &mut world.objects.slots.get_mut(slot).deployment {
                        held.is_current = true;
                    }
                });
                next.push(|| format!("{slot}: seen by its controller"), Ok(world));
            }
            if object.own == Own::Ready && self.left.flaps > 0 {
                let world = self.with(|world| {
                    less(&mut world.left.flaps);
                    world.objects.slots.get_mut(slot).own = Own::Starting;
                    world.races(slot);
                });
                next.push(|| format!("{slot}: its pod is unready"), Ok(world));
            }
        }
        self.autoscalers(next);
        self.uncoloured_pods(next);
        if !self.objects.is_settled && self.objects.pointer.is_some() {
            next.push(|| "traffic has followed".to_owned(), Ok(self.with(|world| world.objects.settle())));
        }
    }

    /// An autoscaler changes the size of a slot that has one, and the second pod comes and goes with it.
    fn autoscalers(&self, next: &mut Ways) {
        for slot in Slot::ALL {
            let object = self.objects.slots.get(slot);
            let Some(held) = &object.deployment else { continue };
            if object.own == Own::Ready && (held.replicas > 1) != object.has_surplus {
                let world = self.with(|world| {
                    let has_surplus = !object.has_surplus;
                    world.objects.slots.get_mut(slot).has_surplus = has_surplus;
                    if has_surplus { world.grows(slot) } else { world.races(slot) }
                });
                next.push(|| format!("{slot}: its second pod comes or goes"), Ok(world));
            }
            let Some(min) = object.autoscaler_min.filter(|_| held.replicas > 0) else { continue };
            let is_due = held.replicas < min;
            let size = if held.replicas == 1 { 2 } else { 1 };
            if is_due || (size >= min && self.left.scales > 0) {
                let world = self.with(|world| {
                    // It never has to change its mind to keep to its least.
                    if !is_due {
                        less(&mut world.left.scales);
                    }
                    world.changed(Target::Slot(slot));
                    world.races(slot);
                    if let Some(held) = &mut world.objects.slots.get_mut(slot).deployment {
                        (held.replicas, held.is_current) = (size, false);
                    }
                });
                next.push(|| format!("{slot}: its autoscaler wants {size}"), Ok(world));
            }
        }
    }

    fn uncoloured_pods(&self, next: &mut Ways) {
        let Some(uncoloured) = self.objects.uncoloured else { return };
        let own = match uncoloured.own {
            Own::None => Own::Starting,
            Own::Starting => Own::Ready,
            Own::Ready | Own::Leaving => return,
        };
        let world =
            self.with(|world| world.objects.uncoloured = Some(UncolouredObject { own, ..uncoloured }));
        next.push(|| format!("without colour: {own:?}"), Ok(world));
    }

    fn git_moves(&self, limits: &Limits, next: &mut Ways) {
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
                next.push(|| format!("git: {wanted:?}"), Ok(world));
            }
        }
    }

    /// How long ago the time of every decision is.
    pub const fn now() -> jiff::Timestamp {
        NOW
    }
}
