//! Newtypes for identifiers, so that no two of them can be confused. No behaviour beyond validation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Environment names become label values and parts of object names.
    #[error(
        "`{0}` is not an environment name: use at most 40 of a-z, 0-9 and `-`, beginning and ending with a letter or digit"
    )]
    Environment(String),
    /// Names that are taken by the inventories of other environments.
    #[error("`{0}` is not an environment name: the inventory of another environment may have this name")]
    Reserved(String),
    /// Commits are named by their full object id.
    #[error("`{0}` is not a full commit id (40 or 64 hexadecimal digits)")]
    Commit(String),
}

/// The name of an environment: a DNS label of at most 40 characters (it becomes part of object names).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvironmentName(String);

impl EnvironmentName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvironmentName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let valid = !text.is_empty()
            && text.len() <= 40
            && text.chars().all(|c| inner(c) || c == '-')
            && text.starts_with(inner)
            && text.ends_with(inner);
        match valid {
            true if is_inventory(text) => Err(InvalidId::Reserved(text.to_owned())),
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidId::Environment(text.to_owned())),
        }
    }
}

/// True for `<environment>-inventory-<count>-<index>`: the parent of such an environment would be a shard of another one.
fn is_inventory(text: &str) -> bool {
    let number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut parts = text.rsplit('-');
    number(parts.next())
        && number(parts.next())
        && parts.next() == Some("inventory")
        && parts.next().is_some()
}

impl TryFrom<String> for EnvironmentName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<EnvironmentName> for String {
    fn from(name: EnvironmentName) -> Self {
        name.0
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first seven characters of an id, as people quote commits.
pub fn short(id: &str) -> &str {
    id.char_indices().nth(7).and_then(|(end, _)| id.get(..end)).unwrap_or(id)
}

/// A git commit by its full, lower-case object id (SHA-1 or SHA-256).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl CommitId {
    /// The full id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, as people quote it.
    pub fn short(&self) -> &str {
        short(&self.0)
    }
}

impl FromStr for CommitId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let valid = matches!(text.len(), 40 | 64)
            && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidId::Commit(text.to_owned())) }
    }
}

impl TryFrom<String> for CommitId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256 digest of something canonical (rendered objects, managed-field entries, inputs), in hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        let mut text = String::with_capacity(64);
        for byte in sha2::Sha256::digest(bytes) {
            use fmt::Write as _;
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The digest as hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::EnvironmentName;

    #[test]
    fn an_environment_cannot_have_the_name_of_an_inventory_of_another() {
        for (name, free) in [
            ("dev-inventory-1-0", false),
            ("a-b-inventory-12-3", false),
            ("dev-inventory", true),
            ("dev-inventory-1", true),
            ("inventory-1-0", true),
            ("dev-1-0", true),
        ] {
            assert_eq!(name.parse::<EnvironmentName>().is_ok(), free, "{name}");
        }
    }
}
