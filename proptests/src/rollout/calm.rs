//! Liveness. Whether everything comes to rest once nothing more happens to it: git stays, nobody edits, no daemon dies, pods come and
//! go as they are asked to, gates say one thing. And whether it goes on well from there.

use tidegate_core::rollout::{Deployment, Gates, Phase, Record, Revision, Selection, Slot, Verdict, Write};

use super::daemon::{Daemon, decision};
use super::fresh::Fresh;
use super::objects::Own;
use super::world::{Limits, Wanted, Ways, World};

/// More steps than this are no rest.
const STEPS_CAP: usize = 400;
/// Rest: nothing is written while this many ticks go by.
const QUIET_TICKS: u32 = 6;
/// More steps of Kubernetes' controllers than this end in nothing.
const CONTROLLERS_CAP: usize = 20;
/// The number of a revision that nobody has seen before.
const FRESH: u8 = u8::MAX;

/// What stays as it is while everything comes to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Calm {
    /// What every gate says.
    verdict: Verdict,
    /// Pods of this revision never get ready any more.
    sick: Option<Revision>,
}

const WELL: Calm = Calm { verdict: Verdict::Pass, sick: None };

/// All of it: whatever has happened and whatever gates say, everything comes to rest; a new good revision gets live from there, also
/// past a live one that is sick; and where git may ask for the end, it comes.
pub fn liveness(world: &World, limits: &Limits, gates: &Gates) -> Result<(), String> {
    let said = |what: &'static str| move |why: String| format!("liveness, {what}: {why}");
    recovers(world, limits, gates).map_err(said("a good revision"))?;
    for verdict in [Verdict::Fail, Verdict::Unknown] {
        rest(world, verdict, limits, gates).map_err(said("rest"))?;
    }
    s11_a_sick_colour_gives_way(world, limits, gates).map_err(said("S11"))?;
    if limits.ends {
        ends(world, limits, gates).map_err(said("the end"))?;
    }
    Ok(())
}

/// Whatever gates say, everything comes to rest, and what serves then is what may: gates that fail leave no bake open that could go
/// back, gates that do not know turn nothing down.
fn rest(world: &World, verdict: Verdict, limits: &Limits, gates: &Gates) -> Result<(), String> {
    let (rested, phase) = calm(world, Calm { verdict, sick: None }, limits, gates)?;
    let Some(record) = rested.objects.record() else { return Ok(()) };
    let why =
        |what: &str| Err(format!("{what} while gates say {verdict:?}, in {phase:?}: {:?}", rested.objects));
    if serves_before(world) && !rested.objects.serves_somebody() {
        return why("what served does not any more");
    }
    let may_go_back = record.is_baking() && record.from.is_some();
    if verdict == Verdict::Fail && may_go_back {
        return why("a bake stays open");
    }
    follows(&rested, phase)
}

/// True when something serves where the record says, and git does not ask for its end.
fn serves_before(world: &World) -> bool {
    let is_to_stay = match world.wanted {
        Wanted::Revision(..) | Wanted::Unknown | Wanted::Plain => true,
        Wanted::Gone => false,
    };
    let is_ours = world.objects.record().is_some_and(|record| record.agrees(world.objects.selection()));
    is_to_stay && is_ours && world.objects.serves_somebody()
}

fn calm(world: &World, how: Calm, limits: &Limits, gates: &Gates) -> Result<(World, Phase), String> {
    let mut world = world.clone();
    world.late = None;
    (world.left.flaps, world.left.scales) = (0, 0);
    world.daemons = vec![Daemon::Idle];
    let mut quiet = 0;
    for _ in 0..STEPS_CAP {
        world = controllers_finish(world, how.sick);
        let said = decision(&world.objects, world.wanted, limits, gates);
        let writes = match Daemon::begin(&said, Fresh::ALL) {
            Some(Daemon::Asking(question, _)) => question.record(how.verdict),
            Some(Daemon::Writing(writes, _)) => writes,
            Some(Daemon::Idle | Daemon::Reading(..)) | None => Vec::new(),
        };
        if writes.is_empty() {
            quiet += 1;
            if quiet > QUIET_TICKS {
                return Ok((world, said.phase));
            }
            world.tick();
        } else {
            quiet = 0;
            send(&mut world, &writes);
        }
    }
    Err(format!("no rest after {STEPS_CAP} steps: {world:?}"))
}

fn send(world: &mut World, writes: &[Write]) {
    for write in writes {
        let holds = match write {
            Write::Recheck(recheck) => world.objects.slots.get(recheck.slot).holds(*recheck),
            _ => true,
        };
        if !holds || !world.objects.carry(write) {
            return;
        }
    }
}

/// People have looked, and have ordered what ends the halt; no other order stands any more.
fn look_after(world: &mut World) {
    if let Some(record) = world.objects.pointer.as_mut().and_then(|pointer| pointer.record.as_mut()) {
        (record.order, record.halted) = (None, None);
    }
}

/// Whatever has happened: a new good revision gets live, the other slot is put away, and no bake stays open.
pub fn recovers(world: &World, limits: &Limits, gates: &Gates) -> Result<(), String> {
    let (mut rested, phase) = calm(world, WELL, limits, gates)?;
    rests_well(&rested, phase)?;
    if serves_before(world) && !rested.objects.serves_somebody() {
        return Err(format!("what served does not any more, in {phase:?}: {:?}", rested.objects));
    }
    look_after(&mut rested);
    rested.wanted = Wanted::Revision(FRESH, 0);
    let (fresh, phase) = calm(&rested, WELL, limits, gates)?;
    is_all_of(FRESH, &fresh, phase)?;
    tried_again(&fresh, limits, gates)
}

/// This revision is live and serves, the other slot is put away, and no bake is open.
fn is_all_of(revision: u8, world: &World, phase: Phase) -> Result<(), String> {
    let why = |what: &str| Err(format!("{what}, in {phase:?}: {:?}", world.objects));
    let Some(live) = world.objects.record().and_then(|record| record.live) else {
        return why("nothing is live");
    };
    let (object, other) = (world.objects.slots.get(live), live.other());
    let is_this = |held: &Deployment| held.revision == of(revision) && held.replicas > 0;
    if !object.deployment.as_ref().is_some_and(is_this) || object.own != Own::Ready {
        return why("a new good revision is not live");
    }
    if world.objects.selection() != Selection::Only(live) {
        return why("a new good revision has no traffic");
    }
    if world.objects.replicas(other) > 0 || world.objects.uncoloured.is_some() {
        return why("the other slot, or what has no colour, is not put away");
    }
    if world.objects.record().is_some_and(Record::is_baking) {
        return why("its bake stays open");
    }
    follows(world, phase)
}

const fn of(revision: u8) -> Revision {
    Revision::new(revision as u128)
}

fn follows(world: &World, phase: Phase) -> Result<(), String> {
    let recorded = world.objects.recorded_selection();
    if world.objects.selection() == recorded
        && world.objects.follower.is_none_or(|follower| follower == recorded)
    {
        return Ok(());
    }
    Err(format!("traffic does not go where the record says, in {phase:?}: {:?}", world.objects))
}

/// What has come to rest while all gates pass: something serves, and nothing is left over.
fn rests_well(world: &World, phase: Phase) -> Result<(), String> {
    let Some(record) = world.objects.record() else { return Ok(()) };
    follows(world, phase)?;
    let Some(live) = record.live.filter(|_| !record.is_leaving) else { return Ok(()) };
    let why = |what: &str| Err(format!("{what}, in {phase:?}: {:?}", world.objects));
    if world.objects.slots.get(live).own != Own::Ready {
        return why("the live slot does not serve");
    }
    if phase == Phase::Stranded {
        return Ok(());
    }
    if record.is_baking() {
        return why("a bake stays open");
    }
    let is_to_be_empty = phase == Phase::Steady || phase == Phase::Rejected;
    if is_to_be_empty && world.wanted != Wanted::Unknown && world.objects.replicas(live.other()) > 0 {
        return why("the other slot is not put away");
    }
    Ok(())
}

/// A revision that a gate has turned down gets live in another try, when the gate passes then.
fn tried_again(world: &World, limits: &Limits, gates: &Gates) -> Result<(), String> {
    let mut world = world.clone();
    world.wanted = Wanted::Revision(FRESH - 1, 0);
    let (mut world, phase) = calm(&world, Calm { verdict: Verdict::Fail, sick: None }, limits, gates)?;
    let live = |world: &World| {
        let live = world.objects.record().and_then(|record| record.live)?;
        world.objects.slots.get(live).deployment.as_ref().map(|held| held.revision)
    };
    if live(&world) != Some(of(FRESH)) {
        return Err(format!("a revision that fails its gates is live, in {phase:?}"));
    }
    world.wanted = Wanted::Revision(FRESH - 1, 1);
    let (world, phase) = calm(&world, WELL, limits, gates)?;
    if live(&world) == Some(of(FRESH - 1)) {
        return Ok(());
    }
    Err(format!("a new try is not live, in {phase:?}: {:?}", world.objects))
}

/// S11: the live revision's pods never get ready any more, here or in the other slot, and a new good revision gets live all the same.
/// Not asked of what is on its way to having no colours: where git changes its mind, that is taken over again, and taking over waits
/// for pods of the colour as long as others serve.
fn s11_a_sick_colour_gives_way(world: &World, limits: &Limits, gates: &Gates) -> Result<(), String> {
    let live = world.objects.record().filter(|record| !record.is_leaving).and_then(|record| record.live);
    let held = live.and_then(|live| world.objects.slots.get(live).deployment.as_ref());
    let Some(sick) = held.map(|held| held.revision) else { return Ok(()) };
    let how = Calm { verdict: Verdict::Pass, sick: Some(sick) };
    let mut world = world.clone();
    world.wanted = Wanted::Revision(FRESH, 0);
    let (mut rested, phase) = calm(&world, how, limits, gates)?;
    if phase != Phase::Halted {
        return is_all_of(FRESH, &rested, phase);
    }
    look_after(&mut rested);
    let (world, phase) = calm(&rested, how, limits, gates)?;
    is_all_of(FRESH, &world, phase)
}

/// Git asks for no colours: they go, and what served serves without one. Git asks for nothing: nothing is left.
fn ends(world: &World, limits: &Limits, gates: &Gates) -> Result<(), String> {
    let mut plain = world.clone();
    plain.wanted = Wanted::Plain;
    let (left, phase) = calm(&plain, WELL, limits, gates)?;
    let why = |what: &str, world: &World| Err(format!("{what}, in {phase:?}: {:?}", world.objects));
    let has_slots =
        |world: &World| Slot::ALL.into_iter().any(|slot| world.objects.slots.get(slot).deployment.is_some());
    if left.objects.record().is_some() || has_slots(&left) {
        return why("a colour is left", &left);
    }
    if serves_before(world) && !left.objects.serves_somebody() {
        return why("what served does not serve without a colour", &left);
    }
    let mut gone = world.clone();
    gone.wanted = Wanted::Gone;
    let (gone, _) = calm(&gone, WELL, limits, gates)?;
    if gone.objects.record().is_some() || has_slots(&gone) {
        return why("something is left of what has left git", &gone);
    }
    Ok(())
}

/// Pods come and go until nothing changes.
fn controllers_finish(mut world: World, sick: Option<Revision>) -> World {
    let is_sick = |world: &World, slot: Slot| {
        let held = world.objects.slots.get(slot).deployment.as_ref();
        sick.is_some() && held.map(|held| held.revision) == sick
    };
    for slot in Slot::ALL {
        if is_sick(&world, slot) && world.objects.slots.get(slot).own == Own::Ready {
            world.objects.slots.get_mut(slot).own = Own::Starting;
        }
    }
    for _ in 0..CONTROLLERS_CAP {
        let mut next = Ways::new(false);
        world.controllers(&mut next);
        let may_be = |world: &World| {
            Slot::ALL
                .into_iter()
                .all(|slot| !is_sick(world, slot) || world.objects.slots.get(slot).own != Own::Ready)
        };
        let Some(after) = next.find(may_be) else { break };
        world = after;
    }
    world
}
