//! YAML as kubectl reads it, stricter where kubectl is silently wrong, with a place for every value.
//!
//! The only module that knows the parser (`serde_yaml`, which is the package serde-saphyr; see DESIGN.md).

mod spans;

pub use spans::Spans;
