//! What somebody without the rights of root is told. Runs the program as nobody, so it needs root itself.

#![allow(clippy::unwrap_used)] // also helpers of a test fail where they stand

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use local_cluster::root;

/// The user and the group nobody of Debian.
const NOBODY: &str = "65534";

#[test]
fn somebody_who_can_never_become_root_is_told_so_in_one_line_before_anything_is_built() {
    root::require_root().expect("the tests of the local cluster run as root on Linux");
    let program = ProgramForAll::copy();
    for words in [&["up", "--name", "nobodys"][..], &["down", "--name", "nobodys"]] {
        let output = Command::new("setpriv")
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
            .arg(&program.path)
            .args(words)
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("local-cluster: a local cluster needs root"), "{said}");
        assert!(said.contains("run this"), "{said}");
    }
}

/// The program where everybody may start it: a checkout may stand in root's own folder.
struct ProgramForAll {
    path: PathBuf,
}

impl ProgramForAll {
    fn copy() -> Self {
        let path = std::env::temp_dir().join(format!("local-cluster-{}", std::process::id()));
        fs::copy(env!("CARGO_BIN_EXE_local-cluster"), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { path }
    }
}

impl Drop for ProgramForAll {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
