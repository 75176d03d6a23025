//! The two slots of a workload, and what is to be seen of one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gate::Evidence;

/// What a slot runs: the first 128 bits of the digest of the canonical pod template and the contents of the configuration that
/// it refers to. Sizes are not in it: they change without a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Revision(u128);

impl Revision {
    /// From the first bits of a digest.
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }
}

impl FromStr for Revision {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        let is_ours = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = is_ours.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        bits.map(Self).ok_or_else(|| NotARevision(text.chars().take(64).collect()))
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}

impl TryFrom<String> for Revision {
    type Error = NotARevision;

    fn try_from(text: String) -> Result<Self, NotARevision> {
        text.parse()
    }
}

/// A text that is no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not 32 hexadecimal digits")]
pub struct NotARevision(String);

impl fmt::Display for Revision {
    /// 32 hexadecimal digits: fits a label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Which try of a revision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The number of `tidegate.dev/retry` in git, 0 without it.
    pub git: u32,
    /// How often a person has ordered another try.
    pub ordered: u32,
}

/// One of the two fixed places in which a workload runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// `<app>-blue`; the first revision of a workload goes here.
    Blue,
    /// `<app>-green`.
    Green,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Blue, Self::Green];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blue => "blue",
            Self::Green => "green",
        })
    }
}

/// Something for each slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slots<T> {
    /// Of the blue one.
    pub blue: T,
    /// Of the green one.
    pub green: T,
}

impl<T> Slots<T> {
    /// That of one slot.
    pub const fn get(&self, slot: Slot) -> &T {
        match slot {
            Slot::Blue => &self.blue,
            Slot::Green => &self.green,
        }
    }

    /// That of one slot, to change.
    pub const fn get_mut(&mut self, slot: Slot) -> &mut T {
        match slot {
            Slot::Blue => &mut self.blue,
            Slot::Green => &mut self.green,
        }
    }
}

/// What is to be seen of a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SlotView {
    /// Its Deployment, where there is one.
    pub deployment: Option<Deployment>,
    /// Its pods, which may outlive it.
    pub pods: Pods,
    /// `minReplicas` of its autoscaler, where it has one.
    pub autoscaler_min: Option<u32>,
    /// `maxReplicas` of it: of another commit, it may be another one than git's.
    pub autoscaler_max: Option<u32>,
    /// Why not all of its pods are ready, in the words of who keeps them from it: the scheduler, the kubelet, the API server.
    /// Nothing is decided by it.
    pub cause: Option<Arc<str>>,
}

/// A slot's Deployment, as far as decisions read it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Deployment {
    /// Of its template, by the label that was written with it.
    pub revision: Revision,
    /// The try for which the template was written.
    pub attempt: Attempt,
    /// `spec.replicas`.
    pub replicas: u32,
    /// The size that it was last given on purpose: it is repaired to this one.
    pub recorded: u32,
    /// When traffic was moved to it last: the served mark.
    pub served: Option<Timestamp>,
    /// When it was let go, because the workload had left git: the drain counts from then, where no pointer keeps a time.
    pub released: Option<Timestamp>,
    /// When its template was written.
    pub prepared_at: Timestamp,
    /// What gates have said about it; replaced together with the template.
    pub evidence: Vec<Evidence>,
    /// Its controller has seen the newest generation.
    pub is_current: bool,
    /// It is the Deployment from before Tidegate came, under its own name: it is deleted where a slot's own one is emptied.
    pub is_adopted: bool,
}

/// The pods of a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Pods {
    /// Endpoints of pods with the revision's label that are ready and not terminating.
    pub ready: u32,
    /// Pods of another revision, in whatever state.
    pub others: u32,
    /// Those among them that are ready and not terminating.
    pub others_ready: u32,
    /// All pods, in whatever state.
    pub total: u32,
}
