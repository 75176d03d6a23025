//! `adopt` of an environment: which objects with the marks of others are taken over.

use std::fmt;
use std::str::FromStr;

use crate::object::ObjectId;

/// One object of `adopt`, written `apps/Deployment house-price/api`, `ConfigMap house-price/settings` or
/// `rbac.authorization.k8s.io/ClusterRole reader`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectMatcher {
    id: ObjectId,
}

/// Why a text is not a matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no object: write `group/Kind namespace/name`, without group for core kinds and without namespace for cluster-scoped ones"
)]
pub struct InvalidMatcher(String);

impl ObjectMatcher {
    /// True for the object that it names.
    pub fn matches(&self, id: &ObjectId) -> bool {
        self.id == *id
    }
}

impl From<ObjectId> for ObjectMatcher {
    fn from(id: ObjectId) -> Self {
        Self { id }
    }
}

impl FromStr for ObjectMatcher {
    type Err = InvalidMatcher;

    fn from_str(text: &str) -> Result<Self, InvalidMatcher> {
        let invalid = || InvalidMatcher(text.to_owned());
        let mut words = text.split_whitespace();
        let (Some(kind), Some(name), None) = (words.next(), words.next(), words.next()) else {
            return Err(invalid());
        };
        let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, name),
        };
        let well_formed = |part: &str| !part.is_empty() && !part.contains('/');
        if !well_formed(kind) || !well_formed(name) || namespace.is_some_and(str::is_empty) {
            return Err(invalid());
        }
        let id = ObjectId {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        Ok(Self { id })
    }
}

impl fmt::Display for ObjectMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.id.group.is_empty() {
            write!(f, "{}/", self.id.group)?;
        }
        write!(f, "{}", self.id)
    }
}
