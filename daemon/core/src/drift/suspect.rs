//! Whether an object may have drifted, from metadata alone. Only a dry-run says whether it has.

use jiff::Timestamp;

use super::{AllowList, ForeignEntry, ManagedSummary};
use crate::inventory::InventoryEntry;

/// Times have one-second grain: so long after our own apply nothing can carry its time any more (clocks may differ a little).
pub const SETTLE_SECONDS: i64 = 5;

/// Why a dry-run is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// We have no entry any more: somebody took every field, or replaced the object.
    OwnGone,
    /// Our entry is not the one that our apply left: a field was taken or removed, or applied under our name.
    OwnChanged,
    /// Others hold fields that no dry-run has looked at; who.
    Foreign(Vec<String>),
    /// Somebody wrote in the very second of our own apply; who.
    SameSecond(Vec<String>),
}

/// Whether the metadata of an object leaves a doubt that it is as we applied it.
pub fn suspect(summary: &ManagedSummary, entry: &InventoryEntry, allow: &AllowList) -> Option<Suspicion> {
    let ManagedSummary { own, own_time, foreign } = summary;
    let Some(own) = own else { return Some(Suspicion::OwnGone) };
    if Some(own) != entry.own.as_ref() {
        return Some(Suspicion::OwnChanged);
    }
    let others: Vec<&ForeignEntry> = foreign.iter().filter(|other| !allow.covers(other)).collect();
    let digest = summary.foreign_digest(allow);
    if digest.is_some() && digest != entry.foreign {
        return Some(Suspicion::Foreign(managers(others.into_iter())));
    }
    // A second write of the same fields in the second of our apply changes neither entry. A dry-run after that second settles it.
    let mut same_second =
        others.into_iter().filter(|other| own_time.is_some() && other.time == *own_time).peekable();
    if same_second.peek().is_some() && !entry.settled {
        return Some(Suspicion::SameSecond(managers(same_second)));
    }
    None
}

fn managers<'a>(entries: impl Iterator<Item = &'a ForeignEntry>) -> Vec<String> {
    let mut names: Vec<String> = entries.map(|entry| entry.manager.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether the second of our own entry has passed for sure; what [`crate::inventory::Inventory::record_accepted`] wants to know.
pub fn is_settled(summary: &ManagedSummary, now: Timestamp) -> bool {
    summary.own_time.is_none_or(|own| now.as_second() - own.as_second() >= SETTLE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;

    const AT: &str = "2026-11-21T12:00:00Z";
    const LATER: &str = "2026-11-21T12:00:07Z";

    fn other(manager: &str, time: &str) -> ForeignEntry {
        ForeignEntry {
            manager: manager.into(),
            apply: false,
            subresource: String::new(),
            time: time.parse().ok(),
            fields: Digest::of(b"fields"),
            migrate: false,
        }
    }

    fn summary(foreign: Vec<ForeignEntry>) -> ManagedSummary {
        ManagedSummary { own: Some(Digest::of(b"own")), own_time: AT.parse().ok(), foreign }
    }

    fn applied(summary: &ManagedSummary, settled: bool) -> InventoryEntry {
        InventoryEntry {
            api_version: "v1".into(),
            uid: Some("u".into()),
            applied: None,
            own: Some(Digest::of(b"own")),
            foreign: summary.foreign_digest(&AllowList::default()),
            settled,
            adopted: false,
        }
    }

    #[test]
    fn what_our_apply_left_is_not_suspicious() {
        let quiet = summary(vec![other("kube-controller-manager", AT)]);
        assert_eq!(suspect(&quiet, &applied(&quiet, false), &AllowList::default()), None);
    }

    #[test]
    fn a_changed_or_vanished_own_entry_is() {
        let mut seen = summary(vec![]);
        let entry = applied(&seen, true);
        seen.own = Some(Digest::of(b"less"));
        assert_eq!(suspect(&seen, &entry, &AllowList::default()), Some(Suspicion::OwnChanged));
        seen.own = None;
        assert_eq!(suspect(&seen, &entry, &AllowList::default()), Some(Suspicion::OwnGone));
    }

    #[test]
    fn others_are_suspicious_until_a_dry_run_accepts_them() {
        let seen = summary(vec![other("x", LATER), other("kubelet", LATER)]);
        let before = applied(&summary(vec![]), true);
        let allow = AllowList::default();
        assert_eq!(suspect(&seen, &before, &allow), Some(Suspicion::Foreign(vec!["x".into()])));
        assert_eq!(suspect(&seen, &applied(&seen, false), &allow), None);
        assert_eq!(
            suspect(&summary(vec![]), &applied(&seen, false), &allow),
            None,
            "others that left are harmless"
        );
    }

    #[test]
    fn a_write_in_the_second_of_our_apply_is_suspicious_until_that_second_is_settled() {
        let seen = summary(vec![other("x", AT)]);
        let allow = AllowList::default();
        assert_eq!(
            suspect(&seen, &applied(&seen, false), &allow),
            Some(Suspicion::SameSecond(vec!["x".into()]))
        );
        assert_eq!(suspect(&seen, &applied(&seen, true), &allow), None);
        assert!(!is_settled(&seen, "2026-11-21T12:00:04Z".parse().unwrap()));
        assert!(is_settled(&seen, "2026-11-21T12:00:05Z".parse().unwrap()));
    }
}
