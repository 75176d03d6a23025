//! Commits: who, when, what came between, which one a text names.

use gix::ObjectId;
use jiff::Timestamp;
use tidegate_core::ids::CommitId;
use tidegate_core::ledger::CommitFacts;

use super::error::{SourceError, clean};
use super::mirror::{Mirror, commit_id, is_ancestor};
use super::revision::{CommitInfo, Person};

/// The most commits that [`Mirror::skipped`] names.
const SKIPPED_MAX: usize = 1000;
/// The most parents that are named; real merges have a handful.
const PARENTS_MAX: usize = 64;
/// The longest text that names a revision.
const REVISION_BYTES_MAX: usize = 256;

/// The longest message that is looked at; trailers stand at its end.
const MESSAGE_CHARS_MAX: usize = 65_536;

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Who, and what they say.
    pub facts: CommitFacts,
    /// Its tree.
    pub tree: String,
    /// Its signature, which nobody has looked at.
    pub signature: Option<Signed>,
}

/// A signature, and the bytes that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// As it stands in the commit.
    pub armoured: String,
    /// The commit without it.
    pub payload: Vec<u8>,
}

impl Mirror {
    /// Author, times, subject and parents.
    pub fn commit_info(&self, commit: &CommitId) -> Result<CommitInfo, SourceError> {
        let repository = self.repository()?;
        let found = find(&repository, commit)?;
        let odd = |error: gix::Error| self.unreadable(&error.to_string());
        let author = found.author().map_err(odd)?;
        let subject = found.message().map(|message| message.title.to_string()).map_err(odd)?;
        let seconds = |time: Option<gix::date::Time>| {
            time.and_then(|time| Timestamp::from_second(time.seconds).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
        };
        Ok(CommitInfo {
            id: commit.clone(),
            subject: clean(&subject),
            author: Person { name: clean(&author.name.to_string()), email: clean(&author.email.to_string()) },
            author_time: seconds(author.time().ok()),
            committer_time: seconds(found.time().ok()),
            parents: found
                .parent_ids()
                .take(PARENTS_MAX)
                .map(|id| commit_id(id.detach()))
                .collect::<Result<_, _>>()?,
        })
    }

    /// What a commit says of itself, for those who write down who changed what.
    pub fn commit_facts(&self, commit: &CommitId) -> Result<Facts, SourceError> {
        let repository = self.repository()?;
        let found = find(&repository, commit)?;
        let odd = |error: gix::Error| self.unreadable(&error.to_string());
        let told = |commit: &gix::Commit<'_>| -> Result<(String, String, String), gix::Error> {
            let person =
                |person: gix::actor::SignatureRef<'_>| clean(&format!("{} <{}>", person.name, person.email));
            let message: String = commit.message_raw()?.to_string().chars().take(MESSAGE_CHARS_MAX).collect();
            Ok((person(commit.author()?), person(commit.committer()?), message))
        };
        let (author, committer, message) = told(&found).map_err(odd)?;
        let parents: Vec<ObjectId> = found.parent_ids().take(2).map(gix::Id::detach).collect();
        let merged = match parents.as_slice() {
            // A shallow remote may not have it.
            [_, merged] => repository.find_commit(*merged).ok().and_then(|merged| told(&merged).ok()),
            _ => None,
        };
        let signature = found.signature().ok().flatten();
        Ok(Facts {
            facts: CommitFacts {
                author,
                committer,
                message,
                merged: merged.map(|(author, _, message)| (author, message)),
            },
            tree: found.tree_id().map_err(odd)?.to_string(),
            signature: signature.map(|(armoured, signed)| Signed {
                armoured: armoured.to_string(),
                payload: gix::bstr::BString::from(signed).into(),
            }),
        })
    }

    /// The same of a commit that may not be there: none then. One that is there and cannot be read is an error.
    pub fn find_commit_info(&self, commit: &CommitId) -> Result<Option<CommitInfo>, SourceError> {
        let Ok(id) = ObjectId::from_hex(commit.as_str().as_bytes()) else { return Ok(None) };
        let found = self.repository()?.try_find_object(id).map(|object| object.is_some());
        match found {
            Ok(true) => self.commit_info(commit).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(self.unreadable(&error.to_string())),
        }
    }

    /// The commits of the first-parent line between two, both left out, oldest first; at most a thousand (the newest).
    pub fn skipped(&self, from: &CommitId, to: &CommitId) -> Result<Vec<CommitId>, SourceError> {
        let repository = self.repository()?;
        let (from, mut at) = (find(&repository, from)?.id, find(&repository, to)?);
        let mut line: Vec<ObjectId> = Vec::new();
        let mut met = at.id == from;
        while line.len() < SKIPPED_MAX && !met {
            let Some(parent) = at.parent_ids().next().map(gix::Id::detach) else { break };
            met = parent == from;
            if !met {
                line.push(parent);
            }
            // A shallow remote ends its history here.
            let Ok(parent) = repository.find_commit(parent) else { break };
            at = parent;
        }
        if !met {
            // `from` came in by a merge: the line ends where it was already contained.
            let new = line.partition_point(|commit| !is_ancestor(&repository, *commit, from));
            line.truncate(new);
        }
        line.into_iter().rev().map(commit_id).collect()
    }

    /// True when the second commit contains the first.
    pub fn contains(&self, ancestor: &CommitId, of: &CommitId) -> Result<bool, SourceError> {
        let repository = self.repository()?;
        let id = |commit: &CommitId| ObjectId::from_hex(commit.as_str().as_bytes()).ok();
        Ok(match (id(ancestor), id(of)) {
            (Some(ancestor), Some(of)) => is_ancestor(&repository, ancestor, of),
            (None, _) | (_, None) => false,
        })
    }

    /// The commit that a text names: an id, the beginning of one, `HEAD` (the last good commit), `HEAD~2`.
    pub fn resolve(&self, text: &str) -> Result<CommitId, SourceError> {
        let unknown = || SourceError::NoSuchCommit { revision: clean(text) };
        let text = text.trim();
        // The name of the branch that is followed is another word for its last good commit.
        let branch = self.last_good()?.map(|head| head.branch);
        let named = branch.as_ref().and_then(|branch| text.strip_prefix(branch.as_str()));
        let named = named.filter(|rest| rest.is_empty() || rest.starts_with(['~', '^']));
        let text = &named.map_or_else(|| text.to_owned(), |rest| format!("HEAD{rest}"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "~^".contains(c);
        if text.len() > REVISION_BYTES_MAX || !text.chars().all(plain) {
            return Err(unknown());
        }
        let repository = self.repository()?;
        let spec = match text.strip_prefix("HEAD") {
            Some(rest) => format!("{}{rest}", self.good_ref()),
            None if text.chars().take(4).filter(char::is_ascii_hexdigit).count() == 4 => text.to_owned(),
            None => return Err(unknown()),
        };
        let id = repository.rev_parse_single(spec.as_str()).map_err(|_| unknown())?.detach();
        repository.find_commit(id).map_err(|_| unknown())?;
        commit_id(id)
    }
}

/// The commit with this id.
pub(super) fn find<'r>(
    repository: &'r gix::Repository,
    commit: &CommitId,
) -> Result<gix::Commit<'r>, SourceError> {
    let unknown = || SourceError::NoSuchCommit { revision: commit.to_string() };
    let id = ObjectId::from_hex(commit.as_str().as_bytes()).map_err(|_| unknown())?;
    repository.find_commit(id).map_err(|_| unknown())
}
