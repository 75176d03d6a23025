//! Substitution, patches and output: from parsed documents to the objects that are sent.

mod apply;
mod patches;
mod string_data;
mod substitute;
mod to_yaml;

pub use apply::{Applied, Draft, apply};
pub use patches::{Change, MergePatch, Operation, Patch, Target};
pub use string_data::encode_string_data;
pub use substitute::{Substitution, is_variable};
pub use to_yaml::{to_yaml, value_to_yaml};

pub use crate::diff::masked as mask_secrets;
