//! The real program, run in a folder.

use std::path::Path;
use std::process::{Command, Output};

/// Runs it to its end, in a folder and without a default repository.
pub fn tidegate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("TIDEGATE_REPO")
        .output()
        .expect("the program was built for this test")
}

/// What it printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
