//! Writing files so that a killed writer leaves the old file or the new one, never half of one.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody on this machine.
    Public,
    /// Its owner: keys, and kubeconfigs with keys in them.
    Private,
}

/// Puts `content` at `path` in one step.
pub fn write(path: &Path, content: impl AsRef<[u8]>, access: Access) -> Result<()> {
    let mode = match access {
        Access::Public => 0o644,
        Access::Private => 0o600,
    };
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let write_draft = || -> std::io::Result<()> {
        remove(Path::new(&draft))?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        file.write_all(content.as_ref())?;
        fs::rename(&draft, path)
    };
    write_draft().with_context(|| format!("failed to write {}", path.display()))
}

/// A folder and those above it.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("failed to create {}", path.display()))
}

/// Removes a file; its absence is as good.
pub fn remove_if_there(path: &Path) -> Result<()> {
    remove(path).with_context(|| format!("failed to remove {}", path.display()))
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
