//! The deploy log on real repositories: written and checked by the daemon's own code, read by git and ssh-keygen.

// Helpers of tests may panic as tests may.
#![allow(clippy::indexing_slicing, clippy::panic)]

#[path = "ledger/asking.rs"]
mod asking;
#[path = "ledger/commands.rs"]
mod commands;
#[path = "ledger/forge.rs"]
mod forge;
#[path = "ledger/page.rs"]
mod page;
#[path = "ledger/plain_git.rs"]
mod plain_git;
#[path = "ledger/scene.rs"]
mod scene;
#[path = "ledger/story.rs"]
mod story;
#[path = "ledger/tampering.rs"]
mod tampering;
#[path = "ledger/writing.rs"]
mod writing;
