//! A small world of one workload under blue/green, in which everything that may happen does: the real decision function of
//! the core, one or two daemons that may be killed between any two requests, writes that land late, pods that come and go,
//! gates that say anything at any time, git that moves, people who edit. It is explored to its end, state by state.
//!
//! Time is relative: a state keeps how long ago things were, up to the longest duration that anybody asks about, so that there
//! are finitely many states. Versions of objects are kept as "still as this daemon has read it", for the same reason.
//!
//! | file | what it holds |
//! |---|---|
//! | `world` | the state, and what may happen in it next |
//! | `daemon` | a daemon: reads, decides, and sends one write after the other |
//! | `objects` | what a write does to the pointer and the slots, and when it is refused |
//! | `bugs` | mistakes that are put around the decision function, to be found |
//! | `people` | what people edit and order |
//! | `fresh` | which objects are still as a daemon has read them |
//! | `invariants` | the table of the S-invariants, and where each is looked at |
//! | `on_writes` | what no write may ever do |
//! | `on_steps` | what no decision may ever ask for |
//! | `on_states` | what holds in each state |
//! | `canonical` | one form for all states that nothing can tell apart |
//! | `calm` | whether everything comes to rest once nothing more happens to it |
//! | `explore` | all states, each once |

mod bugs;
mod calm;
mod canonical;
mod daemon;
mod explore;
mod fresh;
mod invariants;
mod objects;
mod on_states;
mod on_steps;
mod on_writes;
mod people;
mod world;

pub use bugs::Bug;
pub use calm::{liveness, recovers};
pub use explore::{Bounds, End, Explored, Found, explore};
pub use world::{ALWAYS, Limits, World, gates};
