//! Whether a live object is ours to write: by the inventory's uid first, then by the marks it carries.

use super::PlanSettings;
use crate::inventory::InventoryEntry;
use crate::object::ObjectId;
use crate::observed::{LiveObject, Ownership};

/// Whose a live object is, as far as writing goes.
pub(super) enum Claim {
    /// Ours: the inventory has its uid, or it carries our ApplySet's label.
    Ours,
    /// Nobody's, or one that `adopt` names: may be taken over.
    Free,
    /// Somebody else's; whose, in words.
    Foreign(String),
}

pub(super) fn claim(
    settings: &PlanSettings,
    id: &ObjectId,
    live: &LiveObject,
    entry: Option<&InventoryEntry>,
) -> Claim {
    let known = entry.and_then(|entry| entry.uid.as_ref()) == Some(&live.uid);
    let adopted = settings.adopt.iter().any(|matcher| matcher.matches(id));
    let unless_adopted = |whose: String| if adopted { Claim::Free } else { Claim::Foreign(whose) };
    match &live.ownership {
        Ownership::ApplySet { id: set, environment: _ } if *set == settings.apply_set => Claim::Ours,
        Ownership::ApplySet { id: set, environment } => {
            let other = environment.as_deref().filter(|name| *name != settings.environment.as_str());
            match other {
                Some(name) => unless_adopted(format!("it belongs to the environment `{name}`")),
                None if known => Claim::Ours,
                None => unless_adopted(format!("it belongs to the ApplySet `{set}`")),
            }
        }
        Ownership::Unmarked => {
            if known {
                Claim::Ours
            } else {
                Claim::Free
            }
        }
        Ownership::Other { tool, mark } => {
            if known {
                Claim::Ours
            } else {
                unless_adopted(format!("it belongs to {tool} (`{mark}`)"))
            }
        }
    }
}
