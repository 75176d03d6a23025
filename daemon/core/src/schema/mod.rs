//! Kinds, scopes and schemas of Kubernetes 1.35, and the validation of objects against them.
//!
//! What it is: a [`Catalogue`] of kinds, from the bundle in this crate, from the OpenAPI v3 documents of a cluster,
//! or from CustomResourceDefinitions of the same commit; and [`check()`], which names every field of an object that
//! the API server would refuse, with its place in git. What it is not: the API server's semantic validation (names,
//! ranges, references between fields, patterns, CEL rules, admission), which a dry-run answers.
//!
//! Invariant: an object that the API server accepts gets no error here. Where a schema says more than the server
//! enforces (fields marked as required that have a usable zero value), the server is followed. One exception: a whole
//! number beyond 32 bits where the field has 32 is an error, although server-side apply takes it and wraps it around.

mod bundle;
mod catalogue;
mod check;
mod definition;
mod document;
mod format;
mod lifecycle;
mod lists;
mod misplaced;
mod node;
mod parse;
pub mod path;
mod required;
pub mod suggest;
mod unknown;
mod walk;

#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, KindInfo, Schema};
pub use check::{Checked, check, validate};
