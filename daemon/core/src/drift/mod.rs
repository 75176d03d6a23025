//! Who changed what is ours: managed fields read, drift suspected and named. No requests are made here.

mod blame;
mod entry;
mod evidence;
mod fields;
mod flips;
mod migrate;
mod owners;
mod summary;
mod suspect;

pub use blame::{ForeignField, MAX_FOREIGN_FIELDS, blame, foreign_fields};
pub use evidence::Evidence;
pub use fields::{FieldPath, FieldsError, PathElement, parse_fields};
pub use flips::{ADDED_FIELDS, Fight, FlipSettings, Flips, MAX_FLIPS, WHOLE_OBJECT};
pub use migrate::migrate_kubectl;
pub use owners::{handed_on, sole_owner};
pub use summary::{AllowList, ForeignEntry, ManagedSummary};
pub use suspect::{SETTLE_SECONDS, Suspicion, is_settled, suspect};

/// The field manager of every ordinary apply.
pub const FIELD_MANAGER: &str = "tidegate";
