//! Which requests one daemon sent, by the audit log of the API server.
//!
//! The daemon is given a user of its own (by impersonation), so that its requests can be told from those of others.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::NamedTempFile;

use super::Kube;

/// A user with every right, and what it has asked of the API server.
pub struct Audited {
    kubeconfig: NamedTempFile,
    user: String,
    log: PathBuf,
}

/// A place in the audit log.
pub struct Mark(u64);

/// One answered request.
pub struct Request {
    pub verb: String,
    pub uri: String,
    pub code: u64,
}

impl Request {
    pub fn is_dry_run(&self) -> bool {
        self.uri.contains("dryRun=All")
    }

    /// A write that was carried out; the renewal of the daemon's own Lease is none.
    pub fn is_write(&self) -> bool {
        let writes = ["create", "update", "patch", "delete", "deletecollection"];
        writes.contains(&self.verb.as_str()) && !self.is_dry_run() && !self.uri.contains("/leases/")
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.code, self.verb, self.uri)
    }
}

impl Audited {
    pub fn new(kube: &Kube, name: &str) -> Self {
        let user = format!("daemon-of-{name}");
        let mut config: Value =
            serde_json::from_str(&kube.must(&["config", "view", "--raw", "-o", "json"])).unwrap();
        config["users"][0]["user"]["as"] = Value::from(user.as_str());
        config["users"][0]["user"]["as-groups"] = serde_json::json!(["system:masters"]);
        let kubeconfig = NamedTempFile::new().unwrap();
        std::fs::write(kubeconfig.path(), config.to_string()).unwrap();
        let log = kube.cluster().audit_log().expect("the test cluster logs requests");
        Self { kubeconfig, user, log }
    }

    pub fn kubeconfig(&self) -> &Path {
        self.kubeconfig.path()
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark(std::fs::metadata(&self.log).unwrap().len())
    }

    /// The requests of this user that were answered since.
    pub fn since(&self, mark: &Mark) -> Vec<Request> {
        let mut file = std::fs::File::open(&self.log).unwrap();
        file.seek(SeekFrom::Start(mark.0)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        // The last line may be half written.
        text.lines().filter_map(|line| self.request(&serde_json::from_str(line).ok()?)).collect()
    }

    fn request(&self, event: &Value) -> Option<Request> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let ours = text("/impersonatedUser/username") == self.user && text("/stage") != "ResponseStarted";
        ours.then(|| Request {
            verb: text("/verb").to_owned(),
            uri: text("/requestURI").to_owned(),
            code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or(0),
        })
    }
}
