//! Skeleton.
pub mod source;
