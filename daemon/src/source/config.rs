//! What a source is configured with: the repository, the branch, the limits. Values only.

use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;
use super::url::SourceUrl;

/// Where the desired state comes from and how it is read.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// The repository.
    pub url: SourceUrl,
    /// The branch; the remote's HEAD when absent.
    pub branch: Option<String>,
    /// The folder inside the repository that counts as its root; empty for the root itself.
    pub subpath: String,
    /// Where mirrors are kept. Deleting it loses nothing but the last good commit of a rewound branch.
    pub cache_dir: PathBuf,
    /// How the other side knows us.
    pub credentials: Credentials,
    /// How often the remote is asked.
    pub poll_interval: Duration,
    /// What is too much, too large or too slow.
    pub limits: Limits,
}

impl SourceConfig {
    /// A source with the usual limits, polled every ten seconds.
    pub fn new(url: SourceUrl, cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            url,
            branch: None,
            subpath: String::new(),
            cache_dir: cache_dir.into(),
            credentials: Credentials::default(),
            poll_interval: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// How the other side knows us. Each part counts for its own kind of URL only.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// For https: sent as the password of Basic authentication, to the configured host only.
    pub token: Option<Token>,
    /// For ssh.
    pub ssh: SshSettings,
}

/// Where the token comes from. A file is read again at each use, so that a rotated token needs no restart.
#[derive(Debug, Clone)]
pub enum Token {
    /// Given once (`TIDEGATE_GIT_TOKEN`).
    Text(Secret),
    /// A file, as Kubernetes mounts Secrets.
    File(PathBuf),
}

/// How `ssh` is run. What is absent is up to ssh's own configuration.
#[derive(Debug, Clone, Default)]
pub struct SshSettings {
    /// The private key; no other is tried when it is given.
    pub key_file: Option<PathBuf>,
    /// The hosts that are trusted; unknown hosts are always refused.
    pub known_hosts: Option<PathBuf>,
}

/// What is too much, too large or too slow. Every loop, body and wait of this module has its limit here.
#[derive(Debug, Clone)]
pub struct Limits {
    /// One question for the branch's tip, from the connection to the last byte.
    pub poll_deadline: Duration,
    /// One fetch, from the connection to the indexed pack.
    pub fetch_deadline: Duration,
    /// Bytes that the remote may send when asked for a tip.
    pub poll_bytes: u64,
    /// Bytes that the remote may send in a fetch.
    pub fetch_bytes: u64,
    /// Bytes of one object, inflated: what a hostile pack may make us allocate at once.
    pub object_bytes: u64,
    /// Bytes of one file that is read.
    pub file_bytes: u64,
    /// Files that are read at once.
    pub files: usize,
    /// Bytes of all files that are read at once.
    pub total_bytes: u64,
    /// Folders inside folders.
    pub depth: usize,
    /// The longest wait between polls while the remote is in trouble.
    pub back_off: Duration,
    /// Packs in a mirror before it is repacked.
    pub packs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            poll_deadline: Duration::from_secs(30),
            fetch_deadline: Duration::from_mins(10),
            poll_bytes: 4 * MIB,
            fetch_bytes: 4096 * MIB,
            object_bytes: 256 * MIB,
            file_bytes: 4 * MIB,
            files: 100_000,
            total_bytes: 256 * MIB,
            depth: 64,
            back_off: Duration::from_mins(2),
            packs: 50,
        }
    }
}
