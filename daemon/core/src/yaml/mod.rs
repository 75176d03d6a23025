//! YAML as kubectl reads it, stricter where kubectl is silently wrong, with a place for every value.
//!
//! The only module that knows the parser (`serde_yaml`, which is the package serde-saphyr; see DESIGN.md).

mod budget;
mod builder;
mod field_path;
mod mapping;
mod node;
mod parse;
mod scalar;
mod spans;
mod value;

pub use budget::Budget;
pub use node::{Document, Entry, Node, NodeValue};
pub use parse::parse;
pub use scalar::{Meaning, is_base_sixty, meaning};
pub use spans::Spans;

/// A key as a token of a JSON pointer (RFC 6901).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
