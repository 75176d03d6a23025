//! The deploy log on real repositories: written and checked by the daemon's own code, read by git and ssh-keygen.

// Helpers of tests may panic as tests may.
#![allow(clippy::indexing_slicing, clippy::panic)]

#[path = "ledger/forge.rs"]
mod forge;
#[path = "ledger/plain_git.rs"]
mod plain_git;
#[path = "ledger/scene.rs"]
mod scene;
#[path = "ledger/tampering.rs"]
mod tampering;
#[path = "ledger/writing.rs"]
mod writing;
