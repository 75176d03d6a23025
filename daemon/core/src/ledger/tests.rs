//! Records, their messages, what follows from them, and a log that is checked.

mod builder;
mod messages;
mod queueing;
mod rollouts;
mod states;
mod verifying;
