//! Who changed what, as a commit and its message say it. Nothing is asked of a forge, and what a commit does not say is not known.

use super::capped::Capped;
use super::record::Change;

/// The trailers that name who else wrote it.
const CO_AUTHORS: [&str; 1] = ["co-authored-by"];
/// The trailers that name who vouches for it.
const APPROVERS: [&str; 3] = ["reviewed-by", "acked-by", "approved-by"];
/// So many lines of the end of a message are looked through for trailers.
const TRAILER_LINES: usize = 200;
/// So many people are named of each sort.
const PEOPLE: usize = 100;

/// A commit as git has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitFacts {
    /// `NAME <ADDRESS>` of the author.
    pub author: String,
    /// `NAME <ADDRESS>` of the committer.
    pub committer: String,
    /// The whole message.
    pub message: String,
    /// Of a merge: author and message of the newest commit that it brings in.
    pub merged: Option<(String, String)>,
}

impl Change {
    /// What a commit says. Of a merge the author is that of what it brings in, and the merger is its committer.
    pub fn of(facts: &CommitFacts) -> Self {
        let CommitFacts { author, committer, message, merged } = facts;
        let mut messages = vec![message.as_str()];
        messages.extend(merged.iter().map(|(_, message)| message.as_str()));
        let named = |keys: &[&str]| {
            let mut people: Vec<String> = Vec::new();
            for person in messages.iter().flat_map(|message| trailers(message, keys)).take(PEOPLE) {
                if !people.contains(&person) {
                    people.push(person);
                }
            }
            people
        };
        let (co_authors, approvers) = (named(&CO_AUTHORS), named(&APPROVERS));
        let author = merged.as_ref().map_or(author, |(author, _)| author).clone();
        let is_author = |person: &String| *person == author || co_authors.contains(person);
        let merger = merged.is_some().then(|| committer.clone());
        // Nobody who is named: nothing is said about it, in either way.
        let others = approvers.iter().any(|person| !is_author(person));
        let self_approved = (!approvers.is_empty()).then_some(!others);
        Self {
            author,
            committer: committer.clone(),
            co_authors: Capped::all(co_authors),
            approvers: Capped::all(approvers),
            merger,
            pr: request(message.lines().next().unwrap_or_default()),
            self_approved,
        }
    }
}

/// The values of these trailers: lines `Key: value` of the last paragraph (git-interpret-trailers), their keys in any case.
fn trailers(message: &str, keys: &[&str]) -> Vec<String> {
    let lines: Vec<&str> = message.trim_end().lines().rev().take(TRAILER_LINES).collect();
    let paragraph = lines.iter().take_while(|line| !line.trim().is_empty());
    let mut found: Vec<String> = paragraph
        .filter_map(|line| line.split_once(": "))
        .filter(|(key, _)| keys.iter().any(|known| key.eq_ignore_ascii_case(known)))
        .map(|(_, value)| value.trim().to_owned())
        .filter(|value| !value.is_empty())
        .collect();
    found.reverse();
    found
}

/// The number of a pull or merge request in a subject: `Merge pull request #812 from …`, `new prices (#812)`, `See merge request
/// shop/api!7` stands in the body and is not looked for.
fn request(subject: &str) -> Option<String> {
    let marked = match subject.strip_prefix("Merge pull request #") {
        Some(rest) => rest,
        None => subject.trim_end().strip_suffix(')')?.rsplit_once("(#")?.1,
    };
    let digits: String = marked.chars().take_while(char::is_ascii_digit).collect();
    let is_whole = !digits.is_empty() && digits.len() <= 12;
    let rest = marked.get(digits.len()..).unwrap_or_default();
    (is_whole && (rest.is_empty() || rest.starts_with(' '))).then(|| format!("#{digits}"))
}
