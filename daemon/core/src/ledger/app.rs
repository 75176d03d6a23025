//! What an outcome was for one workload: its name in the log, what ran, and what was to run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

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
}

/// The name of a workload in the log: its name in git, in front of it its namespace where that is not the environment's first one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

/// A text that is no name of a workload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a workload (NAME or NAMESPACE/NAME, of a-z, 0-9, `-` and `.`)")]
pub struct InvalidAppName(String);

impl AppName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file that says what runs of it.
    pub fn state_path(&self) -> String {
        format!("state/{}.json", self.0)
    }
}

impl TryFrom<String> for AppName {
    type Error = InvalidAppName;

    /// Names become paths: no empty part, none that begins with a dot, at most one `/`.
    fn try_from(text: String) -> Result<Self, InvalidAppName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let is_part = |part: &str| {
            !part.is_empty() && part.len() <= 253 && !part.starts_with('.') && part.chars().all(allowed)
        };
        let parts = text.split('/');
        if parts.clone().count() <= 2 && parts.clone().all(is_part) {
            Ok(Self(text))
        } else {
            Err(InvalidAppName(text))
        }
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
