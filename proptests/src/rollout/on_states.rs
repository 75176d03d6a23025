//! What holds in each state, whatever led to it.

use tidegate_core::rollout::Selection;

use super::invariants::{Violation, ensure};
use super::objects::{Objects, Own};
use super::world::{Ways, World};

/// More steps of Kubernetes' controllers than this end in nothing.
const STEPS_CAP: usize = 20;

/// Looks at a state.
pub fn judge_state(world: &World) -> Result<(), Violation> {
    s1_all_pods_are_judged(&world.objects)?;
    s4_holds_what_it_held(&world.objects)?;
    s12_serves_without_a_daemon(world)
}

/// S1: traffic to all pods, on the way out of the colours, is traffic to the other slot's: it has none, whatever was said of it.
fn s1_all_pods_are_judged(objects: &Objects) -> Result<(), Violation> {
    let leaving =
        objects.record().filter(|record| record.is_leaving && objects.selection() == Selection::All);
    let Some(live) = leaving.and_then(|record| record.live) else { return Ok(()) };
    let other = objects.slots.get(live.other());
    let has_pods = other.own != Own::None || other.has_others || objects.replicas(live.other()) > 0;
    ensure(!has_pods, "S1: traffic to all pods reaches a slot that is not live")
}

/// S4: the slot that an open bake may go back to holds the revision that it had then.
fn s4_holds_what_it_held(objects: &Objects) -> Result<(), Violation> {
    let from = objects.record().filter(|record| record.is_baking()).and_then(|record| record.from);
    let held = from.and_then(|from| objects.slots.get(from.slot).deployment.as_ref());
    let is_kept = match (from, held) {
        (Some(from), Some(held)) => held.revision == from.revision,
        (None, _) | (_, None) => true,
    };
    ensure(is_kept, "S4: the slot that an open bake may go back to holds something else")
}

/// S12: every daemon dies now, and what serves goes on to serve, whatever Kubernetes was at.
fn s12_serves_without_a_daemon(world: &World) -> Result<(), Violation> {
    if !world.objects.serves_somebody() {
        return Ok(());
    }
    let mut alone = world.clone();
    (alone.daemons, alone.late) = (Vec::new(), None);
    (alone.left.flaps, alone.left.scales) = (0, 0);
    for _ in 0..STEPS_CAP {
        let mut next = Ways::new(false);
        alone.controllers(&mut next);
        let Some(after) = next.find(|_| true) else { break };
        alone = after;
        ensure(alone.objects.serves_somebody(), "S12: nothing serves once the daemons are gone")?;
    }
    Ok(())
}
