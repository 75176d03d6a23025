//! Lists that may be cut: of what is cut, the count and a digest stay.

use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// A list that may be cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capped<T> {
    /// How many there were.
    pub total: u64,
    /// The first of them.
    pub items: Vec<T>,
    /// The digest of the whole list as JSON, before it or a text in it was cut; none where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl<T> Capped<T> {
    /// All of them.
    pub fn all(items: Vec<T>) -> Self {
        Self { total: items.len() as u64, items, digest: None }
    }

    /// True when there was nothing.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

impl<T> Default for Capped<T> {
    fn default() -> Self {
        Self::all(Vec::new())
    }
}

impl<T: Serialize> Capped<T> {
    /// Keeps so many, each of them cut; the digest is of what there was before anything of it was cut.
    pub fn cut(&mut self, keep: usize, mut each: impl FnMut(&mut T)) {
        if self.digest.is_none() && !self.is_empty() {
            // What cannot be written has no digest; it could not be in a record either.
            self.digest = serde_json::to_vec(&self.items).ok().map(|text| Digest::of(&text));
        }
        self.items.truncate(keep);
        self.items.iter_mut().for_each(&mut each);
    }
}
