//! What an outcome was for one workload: its name in the log, what ran, and what was to run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::Result as How;

/// A part of a name; with `.json` it is a file's.
const LONGEST: usize = 250;

/// What an outcome was for one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppChange {
    /// Its name.
    pub app: AppName,
    /// What ran before; none: it was new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Running>,
    /// What was asked for; none: it was to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Running>,
    /// How it ended for this one, where that is not how the whole did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<How>,
}

/// The name of a workload in the log: `NAMESPACE/NAME`, as git names it; before the name its kind in small letters and a dot, where it
/// is no Deployment (`shop/statefulset.redis`). Always with its namespace: what an environment's first one is may change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

/// A text that is no name of a workload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a workload (NAMESPACE/NAME, of a-z, 0-9 and `-`, with dots in the name)")]
pub struct InvalidAppName(String);

impl AppName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without its namespace.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(self.as_str(), |(_, name)| name)
    }

    /// The file that says what runs of it.
    pub fn state_path(&self) -> String {
        format!("state/{}.json", self.0)
    }
}

impl TryFrom<String> for AppName {
    type Error = InvalidAppName;

    /// Names become paths: of two parts, each at most as long as a file's name may be, with no dot in the folder (`db.json` is a
    /// file) and none at a beginning.
    fn try_from(text: String) -> Result<Self, InvalidAppName> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let valid = text.split_once('/').is_some_and(|(namespace, name)| {
            let parts = [namespace, name];
            parts.iter().all(|part| !part.is_empty() && part.len() <= LONGEST && !part.starts_with('.'))
                && namespace.chars().all(plain)
                && name.chars().all(|c| plain(c) || c == '.')
        });
        if valid { Ok(Self(text)) } else { Err(InvalidAppName(text)) }
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> Self {
        name.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What runs, or is to run, of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The commit that asked for it.
    pub commit: String,
    /// Its revision, where it rolls out in colours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its images, by container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, Image>,
    /// Its model, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As the manifest names it.
    pub name: String,
    /// The digest that its pods report; none: none of them was seen running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its artifact.
    pub digest: String,
}
