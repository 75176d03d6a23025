//! `tidegate plan` on real clones: what it prints, what it compares, and how it ends. No cluster is there.
//!
//! Goldens are written anew by `UPDATE_GOLDENS=1 cargo test -p tidegate --test plan`.

#![allow(clippy::indexing_slicing, reason = "a test ends with the first thing that is not as it should be")]

#[path = "support/git_repo.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod git_repo;

#[path = "support/schema.rs"]
mod schema;

#[path = "plan/clones.rs"]
mod clones;
#[path = "plan/goldens.rs"]
mod goldens;
#[path = "plan/job.rs"]
mod job;
#[path = "plan/repository.rs"]
mod repository;
#[path = "plan/states.rs"]
mod states;

use std::path::Path;
use std::process::Command;

/// What a command printed.
pub struct Printed {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Printed {
    pub fn json(&self) -> serde_json::Value {
        let read = serde_json::from_str(&self.stdout);
        assert!(read.is_ok(), "{}\n{}", self.stdout, self.stderr);
        let plan: serde_json::Value = read.unwrap_or_default();
        schema::assert_valid("plan", &plan);
        plan
    }
}

/// Runs the real command in a folder, with nothing of this machine's settings, and no cluster to go to.
pub fn tidegate(folder: &Path, arguments: &[&str]) -> Printed {
    tidegate_with(folder, &[], arguments)
}

/// The same with variables of the environment.
pub fn tidegate_with(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Printed {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C.UTF-8")
        .env("KUBECONFIG", folder.join("there-is-none"))
        .envs(settings.iter().copied())
        .output()
        .expect("the program was built for this test");
    Printed {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}
