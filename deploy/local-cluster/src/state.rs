//! What is known of each cluster between calls: its folder, its record, and who works on it now.
//!
//! Everything is below one folder of the machine, because bridge names and addresses are the machine's too. A
//! cluster exists when its record does; the record is the last thing that `down` removes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::address::{MAX_CLUSTERS, Slice};
use crate::files::{self, Access};
use crate::parts::Parts;
use crate::wait::Limit;

const ROOT: &str = "/var/lib/tidegate/local-cluster";
/// Lock files stay here, as removing a lock file is a race; the folder is gone with the next boot.
const LOCKS: &str = "/run/tidegate-local-cluster";
/// Room for the longest path of a socket (107 bytes) and of a host name.
const MAX_NAME: usize = 24;
/// Another `up` may build everything first.
const LOCK_LIMIT: Limit = Limit::new("another local-cluster call for this cluster", 600, 50);

/// What a cluster was made as.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub index: u8,
    pub nodes: u8,
    pub audit: bool,
    pub api_server_arguments: Vec<String>,
    /// Absent in records of before there were any.
    #[serde(default)]
    pub controller_manager_arguments: Vec<String>,
}

impl Record {
    pub fn slice(&self) -> Result<Slice> {
        Slice::new(self.index)
    }
}

/// The folder of one cluster.
#[derive(Debug, Clone)]
pub struct State {
    name: String,
    folder: PathBuf,
}

impl State {
    /// The state of the cluster `name`, whether it exists or not.
    pub fn of(name: &str) -> Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(
            !name.is_empty()
                && name.len() <= MAX_NAME
                && name.bytes().all(is_plain)
                && !name.starts_with('-')
                && !name.ends_with('-'),
            "cluster name {name:?} must be 1 to {MAX_NAME} lower-case letters, digits and inner hyphens"
        );
        Ok(Self { name: name.to_owned(), folder: Path::new(ROOT).join(name) })
    }

    /// The states of all clusters of this machine.
    pub fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir(ROOT) else { return Vec::new() };
        let mut states: Vec<Self> =
            entries.flatten().filter_map(|entry| Self::of(entry.file_name().to_str()?).ok()).collect();
        states.sort_by(|left, right| left.name.cmp(&right.name));
        states
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder.join(relative)
    }

    pub fn record(&self) -> Option<Record> {
        serde_json::from_str(&fs::read_to_string(self.path("cluster.json")).ok()?).ok()
    }

    pub fn write_record(&self, record: &Record) -> Result<()> {
        files::write(&self.path("cluster.json"), serde_json::to_string(record)?, Access::Public)
    }

    /// The programs that it was last brought up with.
    pub fn parts(&self) -> Option<Parts> {
        serde_json::from_str(&fs::read_to_string(self.path("parts.json")).ok()?).ok()
    }

    pub fn write_parts(&self, parts: &Parts) -> Result<()> {
        files::write(&self.path("parts.json"), serde_json::to_string(parts)?, Access::Public)
    }

    /// The index of this cluster: the one it has, the wanted one, or the lowest that is free.
    pub fn claim_index(&self, wanted: Option<u8>, draft: impl FnOnce(u8) -> Record) -> Result<Record> {
        let _lock = lock("indexes")?;
        if let Some(record) = self.record() {
            if wanted.is_some_and(|wanted| wanted != record.index) {
                bail!("cluster {} has index {}; take it down to change that", self.name, record.index);
            }
            return Ok(record);
        }
        let taken: Vec<(String, u8)> = Self::all()
            .into_iter()
            .filter_map(|state| Some((state.name.clone(), state.record()?.index)))
            .collect();
        let holder = |index: u8| taken.iter().find(|(_, taken)| *taken == index).map(|(name, _)| name);
        let index = match wanted {
            Some(index) => match holder(index) {
                Some(name) => bail!("index {index} belongs to cluster {name}"),
                None => index,
            },
            None => (0..MAX_CLUSTERS).find(|index| holder(*index).is_none()).with_context(|| {
                format!("all {MAX_CLUSTERS} slices are taken; see `local-cluster status`")
            })?,
        };
        Slice::new(index)?;
        files::create_folder(&self.folder)?;
        let record = draft(index);
        self.write_record(&record)?;
        Ok(record)
    }

    /// Held while `up` or `down` works; freed by the kernel when the holder dies.
    pub fn lock(&self) -> Result<File> {
        lock(&format!("cluster-{}", self.name))
    }

    /// Removes the folder, the record last.
    pub fn remove(&self) -> Result<()> {
        let _lock = lock("indexes")?;
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(()) };
        for entry in entries {
            let entry = entry.context("failed to list the state of a cluster")?;
            if entry.file_name() == "cluster.json" {
                continue;
            }
            let path = entry.path();
            let removed =
                if entry.file_type()?.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("failed to remove {}", path.display()))?;
        }
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("failed to remove {}", self.folder.display()))?;
        // Gone with the last cluster; with others there it is not empty, and stays.
        let _ = fs::remove_dir(ROOT);
        if let Some(above) = Path::new(ROOT).parent() {
            let _ = fs::remove_dir(above);
        }
        Ok(())
    }
}

fn lock(name: &str) -> Result<File> {
    files::create_folder(Path::new(LOCKS))?;
    let path = Path::new(LOCKS).join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| format!("failed to open {}", path.display()))?;
    LOCK_LIMIT.wait(|| Ok(file.try_lock().ok()))?;
    Ok(file)
}
