//! The control group of a node, in every hierarchy: kubelets that share one kill each other's pods.
//!
//! Version 1 (a hierarchy for each controller) is what this is tested on; version 2 is written after its
//! documentation and untested.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::wait::Limit;

const ROOT: &str = "/sys/fs/cgroup";
const REMOVE_LIMIT: Limit = Limit::new("removing the control groups of a node", 10, 20);
/// What a kubelet needs of version 2.
const CONTROLLERS: [&str; 6] = ["cpuset", "cpu", "io", "memory", "pids", "hugetlb"];

/// The group's folder in each hierarchy.
fn folders(group: &str) -> Vec<PathBuf> {
    roots().into_iter().map(|root| root.join(group)).collect()
}

fn is_version_2() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

fn roots() -> Vec<PathBuf> {
    if is_version_2() {
        return vec![PathBuf::from(ROOT)];
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut roots: Vec<PathBuf> = mounts.lines().filter_map(hierarchy).collect();
    roots.sort();
    roots.dedup();
    roots
}

/// The mount point of a line of mountinfo, if it is a hierarchy of version 1 or the unified one beside them.
fn hierarchy(line: &str) -> Option<PathBuf> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let kind = filesystem.split(' ').next()?;
    let point = mount.split(' ').nth(4)?;
    ((kind == "cgroup" || kind == "cgroup2") && point.starts_with(ROOT)).then(|| PathBuf::from(point))
}

/// Makes the group everywhere.
pub fn ensure(group: &str) -> Result<()> {
    if is_version_2() {
        // Each by itself: a missing controller must not keep the others away.
        for controller in CONTROLLERS {
            let _ = fs::write(Path::new(ROOT).join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    for folder in folders(group) {
        fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
        inherit(&folder)?;
    }
    if is_version_2() {
        for controller in CONTROLLERS {
            let _ = fs::write(
                Path::new(ROOT).join(group).join("cgroup.subtree_control"),
                format!("+{controller}"),
            );
        }
    }
    Ok(())
}

/// A version 1 cpuset starts empty, and then no process may enter it.
fn inherit(folder: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (own, parent) = (folder.join(file), folder.parent().map(|parent| parent.join(file)));
        let Some(parent) = parent.filter(|parent| own.exists() && parent.exists()) else { continue };
        if fs::read_to_string(&own).is_ok_and(|set| set.trim().is_empty()) {
            let set = fs::read(&parent).with_context(|| format!("failed to read {}", parent.display()))?;
            fs::write(&own, set).with_context(|| format!("failed to write {}", own.display()))?;
        }
    }
    Ok(())
}

/// Removes the group and all below it. Its processes are dead; the kernel may take a moment to let them go.
pub fn remove(group: &str) -> Result<()> {
    for folder in folders(group) {
        REMOVE_LIMIT.wait(|| {
            remove_tree(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
            Ok(Some(()))
        })?;
    }
    Ok(())
}

/// Depth first, folders only: the files in a group are the kernel's.
fn remove_tree(folder: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
