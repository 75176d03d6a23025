//! YAML as kubectl reads it, stricter where kubectl is silently wrong, with a place for every value.
//!
//! The only module that knows the parser (`serde_yaml`, which is the package serde-saphyr; see DESIGN.md).

mod budget;
mod builder;
mod field_path;
mod mapping;
mod node;
mod parse;
mod positions;
mod scalar;
mod spans;
mod value;
mod written;

pub use budget::Budget;
pub use node::{Document, Entry, Node, NodeValue};
pub use parse::parse;
pub use scalar::{Meaning, is_base_sixty, meaning};
pub use spans::Spans;
pub use written::{Style, Written};

/// Reads a text as if it stood unquoted in a file.
pub fn plain(text: &str) -> Result<Node, Box<crate::problem::Problem>> {
    let value::Read { value, problem } =
        value::Scalar { text: text.to_owned(), plain: true, tag: None }.value();
    match (value, problem) {
        (Some(node), None) => Ok(node),
        (None, None) => Ok(Node::null(crate::location::Position::START)),
        (_, Some(problem)) => Err(Box::new(problem)),
    }
}

/// A key as a token of a JSON pointer (RFC 6901).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
