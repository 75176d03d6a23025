//! The deploy log on real repositories: written and checked by the daemon's own code, read by git and ssh-keygen, pushed to real
//! remotes on loopback.

// Helpers of tests may panic as tests may.
#![allow(clippy::indexing_slicing, clippy::panic)]

#[path = "ledger/adopting.rs"]
mod adopting;
#[path = "ledger/asking.rs"]
mod asking;
#[path = "ledger/commands.rs"]
mod commands;
#[path = "ledger/desk.rs"]
mod desk;
#[path = "ledger/forge.rs"]
mod forge;
// The source's tests need more of these servers.
#[allow(dead_code)]
#[path = "support/git_server.rs"]
mod git_server;
#[path = "ledger/kept_local.rs"]
mod kept_local;
#[path = "ledger/page.rs"]
mod page;
#[path = "ledger/plain_git.rs"]
mod plain_git;
#[path = "ledger/pushing.rs"]
mod pushing;
#[path = "ledger/scene.rs"]
mod scene;
#[allow(dead_code)]
#[path = "support/ssh_server.rs"]
mod ssh_server;
#[path = "ledger/story.rs"]
mod story;
#[path = "ledger/tampering.rs"]
mod tampering;
#[path = "ledger/troubles.rs"]
mod troubles;
#[path = "ledger/writing.rs"]
mod writing;
