//! The rollout page's S-invariants, as far as they can be said about states and steps of this world: one function each, named after
//! it. Everything is judged on the objects as they really are, with the true durations and the true evidence.
//!
//! | | in this world | elsewhere |
//! |---|---|---|
//! | S1 | `on_writes`: `s1_proven`, `s1_no_failure_is_lost`; `on_states`: `s1_all_pods_are_judged` | |
//! | S2 | `on_writes`: `s2_as_many_as_are_needed`, `s2_no_blackout`; load balancers are not in it | the mode `alb` is refused so far |
//! | S3 | `on_writes`: `s3_free`, `s3_followed`; `on_steps`: `s3_not_what_is_selected`; the drain of what has left git is not judged | `a_workload_that_left_git_loses_its_pointer_then_its_pods` |
//! | S4 | `on_writes`: `s4_kept_while_baking`; `on_states`: `s4_holds_what_it_held` | |
//! | S5 | `on_steps`: `s5_each_object_once`; that a write whose object has changed is refused and ends its step is how this world is made | uid and resourceVersion on the wire: `Guard` in `daemon/src/rollout/calls.rs` with its tests, and every write of every run of `a_daemon_killed_at_any_write_of_a_rollout_ends_it_as_it_would_have_and_no_request_fails` (`daemon/tests/cluster/guarded.rs`, sizes too) |
//! | S6 | `on_steps`: `s6_needs_nobody_else`: the decision alone | nothing is rendered or fetched for a move: `a_bake_goes_back_without_git_and_without_prometheus`, and beside a bake `a_live_colour_is_kept_by_a_new_daemon_that_cannot_reach_git` |
//! | S7 | `on_writes`: `s7_rolled_back_for_a_reason`; `on_steps`: `s7_takes_nothing_away`; S1 and S14 for what passes | which answers are no data: the table of verdicts in `DESIGN.md`, each line with a test in `daemon/core/src/gate` |
//! | S8 | `on_steps`: `s8_ready_is_not_turned_down`; S2 counts | |
//! | S9 | `on_steps`: `s9_both_sides`; what comes of it in all worlds | |
//! | S10 | no daemon of this world knows who leads: all worlds with two of them | `another_daemon_goes_on_with_the_bake_of_one_that_died` |
//! | S11 | `calm`: `s11_a_sick_colour_gives_way` | `a_live_colour_that_dies_while_another_warms_does_not_keep_it_from_the_traffic` |
//! | S12 | `on_states`: `s12_serves_without_a_daemon` | |
//! | S13 | `on_writes`: `s13_tested_pods_serve`, `s13_emptied` | |
//! | S14 | `on_writes`: `s14_closed_by_gates`; S1 before the switch | what is expired, empty or not a number: as S7 |
//! | S15 | `on_steps`: `s15_undone_at_once` | who it was: `a_selector_that_somebody_edits_goes_back_and_halts_what_comes` |

/// A rule that was broken; its words begin with the rule's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub &'static str);

pub fn ensure(holds: bool, what: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(what)) }
}
