//! Programs of this machine, by their files, and their [running](run) from start to end. Not their environment: each caller has
//! one of its own.
//!
//! A program that is named by its file, not by a bare name, is started without a copy of the daemon's page tables (the
//! standard library then uses `posix_spawn`, even with a cleared environment): with 150 MiB in memory the copy was a seventh
//! of what a commit cost, and each page that was written afterwards was copied once more.

pub mod run;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The program itself: a bare name is looked up in the daemon's own `PATH`, never in one that a kubeconfig sets, and never
/// in a folder that depends on where the daemon was started.
pub fn find(command: &str) -> Option<PathBuf> {
    find_in(command, std::env::var_os("PATH").as_deref())
}

/// Where programs are looked for without a `PATH`.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn find_in(command: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|path| path.is_absolute() && is_program(path));
    }
    let folders = std::env::split_paths(path.unwrap_or(OsStr::new(USUAL_PATH)));
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(command))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_found_in_folders_that_do_not_depend_on_where_we_are() {
        let path = OsStr::new(".:bin::/bin");
        assert_eq!(find_in("sh", Some(path)), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find_in("sh", Some(OsStr::new(".:bin"))), None);
        assert_eq!(find_in("../bin/sh", Some(path)), None);
        assert!(find_in("sh", None).is_some(), "without a PATH the usual folders are looked at");
        assert_eq!(find_in("/bin", Some(path)), None);
    }
}
