//! Whether everything comes to rest once nothing more happens to it: git stays, nobody edits, no daemon dies, pods come and
//! go as they are asked to, gates know what they say.

use tidegate_core::rollout::{Gates, Phase, Verdict};

use super::daemon::{Daemon, decision};
use super::world::{Limits, World};

/// More steps than this are no rest.
const STEPS_CAP: usize = 400;
/// Rest: nothing is written while this many ticks go by.
const QUIET_TICKS: u32 = 6;

/// Where a world comes to rest when gates say this; the phase in which it does, else why it does not.
pub fn rest(world: &World, verdict: Verdict, limits: &Limits, gates: &Gates) -> Result<Phase, String> {
    let mut world = world.clone();
    world.late = None;
    world.left.flaps = 0;
    world.daemons = vec![Daemon::Idle];
    let mut quiet = 0;
    for _ in 0..STEPS_CAP {
        world = controllers_finish(world);
        let said = decision(&world.objects, world.wanted, limits, gates);
        match Daemon::begin(&said) {
            None => {
                quiet += 1;
                if quiet > QUIET_TICKS {
                    return Ok(said.phase);
                }
                world.tick();
            }
            Some(Daemon::Asking(question, _)) => {
                let writes = (*question).record(verdict);
                if writes.is_empty() {
                    quiet += 1;
                    if quiet > QUIET_TICKS {
                        return Ok(said.phase);
                    }
                    world.tick();
                } else {
                    quiet = 0;
                    writes.iter().for_each(|write| drop(world.objects.carry(write)));
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
            Some(Daemon::Idle) => {}
        }
    }
    Err(format!("no rest after {STEPS_CAP} steps: {world:?}"))
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
