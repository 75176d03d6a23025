//! A review as a comment on a pull request, in the Markdown of GitHub and GitLab.
//!
//! Invariants
//! - Fewer than [`MAX_BYTES`] bytes, whatever changes.
//! - Whatever comes from git, from a cluster or from a command line stands in code spans or fenced blocks that it cannot
//!   leave; outside of them stand only words and numbers of ours. So nobody is mentioned, and nothing is a link.
//! - Deletes and replaces come first. What does not fit is counted.

mod fence;
mod fit;
mod sections;

use super::Review;
use super::live::Live;

/// A comment is shorter than this; GitHub and GitLab take 65,536 characters and a million.
pub const MAX_BYTES: usize = 60_000;

/// What stands in the comment and is not seen: whoever posts it finds its own by this, and edits it.
pub const MARKER: &str = "<!-- tidegate:plan -->";

/// Bytes for errors and warnings.
const PROBLEM_BYTES: usize = 9_000;
/// Bytes for rollouts.
const ROLLOUT_BYTES: usize = 9_000;
/// Bytes for deletes, replaces, and what is kept: as many as they need, but for what is said of everything else.
const FIRST_BYTES: usize = 44_000;
/// Bytes for what the cluster says.
const LIVE_BYTES: usize = 9_000;
/// Bytes that are left alone, for the end and for what stands between.
const SPARE_BYTES: usize = 1_500;

/// What a comment is made from.
#[derive(Debug, Clone, Copy)]
pub struct Comment<'a> {
    /// What changes.
    pub review: &'a Review,
    /// What base is called, e.g. `main (4f1c2aa)`.
    pub base: &'a str,
    /// What head is called.
    pub head: &'a str,
    /// What is to be known of the comparison.
    pub notes: &'a [String],
    /// What clusters say; empty when none was asked.
    pub live: &'a [Live],
}

/// The comment.
pub fn markdown(comment: &Comment<'_>) -> String {
    let mut out = String::new();
    out.push_str(MARKER);
    out.push('\n');
    sections::head(&mut out, comment);
    sections::table(&mut out, comment.review);
    sections::problems(&mut out, comment.review, PROBLEM_BYTES);
    sections::rollouts(&mut out, comment.review, ROLLOUT_BYTES);
    let left = |out: &String| MAX_BYTES.saturating_sub(out.len() + SPARE_BYTES);
    let room =
        left(&out).saturating_sub(if comment.live.is_empty() { 0 } else { LIVE_BYTES }).min(FIRST_BYTES);
    sections::first(&mut out, comment.review, room);
    let room = left(&out).min(LIVE_BYTES);
    sections::live(&mut out, comment.live, room);
    let room = left(&out);
    sections::rest(&mut out, comment.review, room);
    sections::foot(&mut out, comment.review);
    out
}
