//! The pointer: the one object that says who is live, and the record that stands on it. Both change in the same write.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gate::GateName;
use super::order::Order;
use super::slot::{Attempt, Revision, Slot};

/// What is to be seen of the pointer object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "nearly every pointer has a record")]
pub enum Pointer {
    /// There is no record of ours: the object is missing, or has never been ours, or lost its annotations.
    Unrecorded,
    /// A record, and where traffic really goes.
    Recorded {
        /// What we have written.
        record: Record,
        /// What the object selects.
        selection: Selection,
    },
}

/// Where a pointer object sends traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Selection {
    /// To no slot: a selector that no pod has.
    Nothing,
    /// To this slot alone.
    Only(Slot),
    /// To all pods of the workload, whatever their colour: it is being left, or was never coloured.
    All,
    /// To something that we never write: the key of the slot names neither, weights are shared.
    Foreign,
}

/// What the pointer records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The live slot; none until the first switch of an installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Slot>,
    /// Where traffic came from, while a bake is open and there was such a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<From>,
    /// When traffic was moved last.
    pub switched_at: Timestamp,
    /// When the move had reached everybody; drains count from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// Whether the last move may still be taken back.
    pub bake: Bake,
    /// The revision that was turned down last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// Set when people have to look before anything new is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halted>,
    /// Since when slots are below their floor while the bake is open.
    #[serde(default, skip_serializing_if = "Unready::is_none")]
    pub unready: Unready,
    /// What a person has ordered, until it is carried out or struck off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// How often a person has ordered another try of a revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried: Option<Retried>,
    /// Git asks for the workload without colours, and traffic goes to all its pods.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_leaving: bool,
    /// Grows with every decision that writes a slot for what the pointer says: the guard of the other side.
    pub epoch: u64,
}

/// Where traffic came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct From {
    /// The slot.
    pub slot: Slot,
    /// What it ran then, and runs as long as the bake is open.
    pub revision: Revision,
}

/// Whether the last move may still be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Bake {
    /// It may.
    Open {
        /// Gates are asked at least until then.
        until: Timestamp,
        /// A bake without verdict ends here.
        max: Timestamp,
    },
    /// It may not; the other slot stays at its size until then, where it does.
    Closed {
        /// The end of the standby.
        standby_until: Option<Timestamp>,
    },
}

/// A revision that was turned down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// Which.
    pub revision: Revision,
    /// In which try; another one clears it.
    pub attempt: Attempt,
    /// Why.
    pub reason: Reason,
    /// Why its pods were not ready, where that was the reason: they are gone when people look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Arc<str>>,
    /// When.
    pub at: Timestamp,
}

/// Why a revision was turned down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// This gate failed.
    Gate(GateName),
    /// Its pods were not ready in time.
    NeverReady,
    /// Too few of its pods were ready while it was live.
    LostReadiness,
    /// Traffic did not reach it in time.
    NeverSettled,
    /// It was live when somebody tore the pointer away, and had no ready pod.
    Torn,
    /// A person has ordered it.
    Ordered(Order),
}

/// How often a person has ordered another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retried {
    /// Of this revision.
    pub revision: Revision,
    /// How often.
    pub times: u32,
}

/// A halt: no new revision is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Halted {
    /// The desired revision of that moment, for which the halt holds; none (git could not be read) holds for any.
    pub revision: Option<Revision>,
}

/// Since when slots are below their floor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unready {
    /// The live one.
    pub live: Option<Timestamp>,
    /// The one that traffic came from.
    pub from: Option<Timestamp>,
}

impl Unready {
    /// True when both are well.
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Record {
    /// True when traffic goes where this says.
    pub fn agrees(&self, selection: Selection) -> bool {
        self.selection() == selection
    }

    /// Where traffic is to go.
    pub fn selection(&self) -> Selection {
        match self.live {
            Some(_) if self.is_leaving => Selection::All,
            Some(live) => Selection::Only(live),
            None => Selection::Nothing,
        }
    }

    /// True while the last move may be taken back.
    pub fn is_baking(&self) -> bool {
        match self.bake {
            Bake::Open { .. } => true,
            Bake::Closed { .. } => false,
        }
    }

    /// The slot that traffic came from, while the bake is open.
    pub fn from_slot(&self) -> Option<Slot> {
        if self.is_baking() { self.from.map(|from| from.slot) } else { None }
    }
}
