//! One decision at a time: what a workload looks like, and the phase and the writes that follow. (That no order of them breaks
//! a rule is the model's to show, in `proptests`.)

mod bake;
mod ends;
mod failure;
mod forward;
mod orders;
mod report;
pub(super) mod scene;
mod trouble;
mod turns;
