//! A poisoned environment delays no other beyond one interval: measured in the virtual time of the simulated world.

use jiff::SignedDuration;
use tidegate_proptests::world::bugs::Bug;
use tidegate_proptests::world::neighbours::{Poison, delay, invariant_9_the_neighbour_is_not_delayed};

/// Seeds for each poison.
const SEEDS: u64 = 4;

#[test]
fn whatever_is_wrong_with_an_environment_the_other_one_is_live_as_soon_as_ever() {
    for poison in Poison::ALL {
        let (mut usual, mut poisoned) = (SignedDuration::ZERO, SignedDuration::ZERO);
        for seed in 0..SEEDS {
            let delay = delay(seed, poison, None);
            let broken = invariant_9_the_neighbour_is_not_delayed(delay);
            assert!(broken.is_none(), "{poison:?}, seed {seed}: {}", broken.unwrap_or_default());
            usual = usual.max(delay.usual);
            poisoned = poisoned.max(delay.poisoned);
        }
        println!("{poison:?}: live after {poisoned:#} at most, without it {usual:#}, {SEEDS} histories");
    }
}

#[test]
fn bugs_with_which_a_poisoned_environment_delays_others_are_found() {
    for bug in Bug::OF_NEIGHBOURS {
        let cases = Poison::ALL.into_iter().flat_map(|poison| (0..SEEDS).map(move |seed| (poison, seed)));
        let found = cases.into_iter().find_map(|(poison, seed)| {
            let broken = invariant_9_the_neighbour_is_not_delayed(delay(seed, poison, Some(bug)))?;
            Some(format!("{poison:?}, seed {seed}: {broken}"))
        });
        println!("{bug}: {}", found.clone().unwrap_or_default());
        assert!(found.is_some(), "{bug} is not found");
    }
}
