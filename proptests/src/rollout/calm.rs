//! Whether everything comes to rest once nothing more happens to it: git stays, nobody edits, no daemon dies, pods come and
//! go as they are asked to, gates know what they say. And whether it goes on well from there.

use tidegate_core::rollout::{Deployment, Gates, Phase, Record, Revision, Verdict};

use super::daemon::{Daemon, decision};
use super::objects::{Fresh, Own};
use super::world::{Limits, Wanted, World};

/// More steps than this are no rest.
const STEPS_CAP: usize = 400;
/// Rest: nothing is written while this many ticks go by.
const QUIET_TICKS: u32 = 6;

/// Where a world comes to rest when gates say this; the phase in which it does, else why it does not.
pub fn rest(world: &World, verdict: Verdict, limits: &Limits, gates: &Gates) -> Result<Phase, String> {
    calm(world, verdict, limits, gates).map(|(_, phase)| phase)
}

fn calm(world: &World, verdict: Verdict, limits: &Limits, gates: &Gates) -> Result<(World, Phase), String> {
    let mut world = world.clone();
    world.late = None;
    (world.left.flaps, world.left.scales) = (0, 0);
    world.daemons = vec![Daemon::Idle];
    let mut quiet = 0;
    for _ in 0..STEPS_CAP {
        world = controllers_finish(world);
        let said = decision(&world.objects, world.wanted, limits, gates);
        match Daemon::begin(&said, Fresh::ALL) {
            None => {
                quiet += 1;
                if quiet > QUIET_TICKS {
                    return Ok((world, said.phase));
                }
                world.tick();
            }
            Some(Daemon::Asking(question, _)) => {
                let writes = (*question).record(verdict);
                if writes.is_empty() {
                    quiet += 1;
                    if quiet > QUIET_TICKS {
                        return Ok((world, said.phase));
                    }
                    world.tick();
                } else {
                    quiet = 0;
                    for write in &writes {
                        world.objects.carry(write);
                    }
                }
            }
            Some(Daemon::Writing(writes, _)) => {
                quiet = 0;
                let holds = |world: &World, write: &tidegate_core::rollout::Write| match write {
                    tidegate_core::rollout::Write::Recheck(recheck) => {
                        world.objects.slots.get(recheck.slot).holds(*recheck)
                    }
                    _ => true,
                };
                for write in &writes {
                    if !holds(&world, write) || !world.objects.carry(write) {
                        break;
                    }
                }
            }
            Some(Daemon::Idle | Daemon::Reading(..)) => {}
        }
    }
    Err(format!("no rest after {STEPS_CAP} steps: {world:?}"))
}

/// The number of a revision that nobody has seen before.
const FRESH: u8 = u8::MAX;

/// Whatever has happened: a new good revision gets live, the other slot is put away, and no bake stays open.
pub fn recovers(world: &World, limits: &Limits, gates: &Gates) -> Result<(), String> {
    let (mut world, phase) = calm(world, Verdict::Pass, limits, gates)?;
    rests_well(&world, phase)?;
    if let Some(record) = world.objects.pointer.as_mut().and_then(|pointer| pointer.record.as_mut()) {
        record.order = None;
    }
    world.wanted = Wanted::Revision(FRESH, 0);
    let (world, phase) = calm(&world, Verdict::Pass, limits, gates)?;
    let why = |what: &str| Err(format!("{what}, in {phase:?}: {:?}", world.objects));
    let Some(live) = world.objects.record().and_then(|record| record.live) else {
        return why("nothing is live");
    };
    let (object, other) = (world.objects.slots.get(live), world.objects.slots.get(live.other()));
    let is_fresh = |held: &Deployment| held.revision == Revision::new(u128::from(FRESH)) && held.replicas > 0;
    if !object.deployment.as_ref().is_some_and(is_fresh) || object.own != Own::Ready {
        return why("a new good revision is not live");
    }
    if other.deployment.as_ref().is_some_and(|held| held.replicas > 0) {
        return why("the other slot is not put away");
    }
    if world.objects.record().is_some_and(Record::is_baking) {
        return why("its bake stays open");
    }
    tried_again(&world, limits, gates)
}

/// What has come to rest while all gates pass: something serves, and nothing is left over.
fn rests_well(world: &World, phase: Phase) -> Result<(), String> {
    let Some(record) = world.objects.record() else { return Ok(()) };
    let Some(live) = record.live.filter(|_| !record.is_leaving) else { return Ok(()) };
    let why = |what: &str| Err(format!("{what}, in {phase:?}: {:?}", world.objects));
    let (object, other) = (world.objects.slots.get(live), world.objects.slots.get(live.other()));
    if object.own != Own::Ready {
        return why("the live slot does not serve");
    }
    if phase == Phase::Stranded {
        return Ok(());
    }
    if record.is_baking() {
        return why("a bake stays open");
    }
    let is_to_be_empty = phase == Phase::Steady || phase == Phase::Rejected;
    if is_to_be_empty
        && world.wanted != Wanted::Unknown
        && other.deployment.as_ref().is_some_and(|held| held.replicas > 0)
    {
        return why("the other slot is not put away");
    }
    Ok(())
}

/// A revision that a gate has turned down gets live in another try, when the gate passes then.
fn tried_again(world: &World, limits: &Limits, gates: &Gates) -> Result<(), String> {
    let mut world = world.clone();
    world.wanted = Wanted::Revision(FRESH - 1, 0);
    let (mut world, phase) = calm(&world, Verdict::Fail, limits, gates)?;
    let live = |world: &World| {
        let live = world.objects.record().and_then(|record| record.live)?;
        world.objects.slots.get(live).deployment.as_ref().map(|held| held.revision)
    };
    if live(&world) != Some(Revision::new(u128::from(FRESH))) {
        return Err(format!("a revision that fails its gates is live, in {phase:?}"));
    }
    world.wanted = Wanted::Revision(FRESH - 1, 1);
    let (world, phase) = calm(&world, Verdict::Pass, limits, gates)?;
    if live(&world) == Some(Revision::new(u128::from(FRESH - 1))) {
        return Ok(());
    }
    Err(format!("a new try is not live, in {phase:?}: {:?}", world.objects))
}

/// Pods come and go until nothing changes.
fn controllers_finish(mut world: World) -> World {
    for _ in 0..20 {
        let mut next = Vec::new();
        world.controllers(&mut next);
        let Some((_, Ok(after))) = next.into_iter().next() else { break };
        world = after;
    }
    world
}
