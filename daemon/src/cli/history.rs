//! How a commit that somebody waits for stands to the commit that the daemon has seen.

use std::collections::BTreeMap;

use tidegate_core::ids::{CommitId, Digest};

use super::exit::Failure;
use super::options::Global;
use super::world::Opened;
use crate::world::World;

/// How the awaited commit stands to a seen one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The seen one is older: the daemon has yet to come to the awaited one.
    Ahead,
    /// The seen one contains it, and asks this of each environment.
    Passed(BTreeMap<String, Digest>),
    /// Neither contains the other.
    Aside,
    /// The seen one is unknown here (newer than the last poll, or no commit at all).
    Unknown,
}

/// The repository of a commit that somebody waits for.
pub struct History {
    opened: Opened,
    commit: CommitId,
    known: BTreeMap<String, Way>,
}

impl History {
    /// The repository and what it says at the commit that `reference` names; nothing when that is no commit.
    pub async fn open(global: &Global, reference: &str) -> Result<(Option<Self>, World), Failure> {
        let opened = Opened::followed(global, Some(reference)).await?;
        let world = opened.world(global, Some(reference)).await?;
        let history =
            world.revision.commit().cloned().map(|commit| Self { opened, commit, known: BTreeMap::new() });
        Ok((history, world))
    }

    /// How the awaited commit stands to one that the daemon has seen. Asked of git once for each.
    pub async fn way(&mut self, global: &Global, seen: &str) -> Way {
        if let Some(known) = self.known.get(seen) {
            return known.clone();
        }
        let way = self.find(global, seen).await;
        match &way {
            Way::Ahead | Way::Passed(_) | Way::Aside => {
                self.known.insert(seen.to_owned(), way.clone());
            }
            Way::Unknown => self.opened.source.poll_now(),
        }
        way
    }

    async fn find(&self, global: &Global, seen: &str) -> Way {
        let Ok(seen) = seen.parse::<CommitId>() else { return Way::Unknown };
        let source = &self.opened.source;
        if source.commit_info(&seen).await.is_err() {
            return Way::Unknown;
        }
        let (Ok(is_older), Ok(is_newer)) =
            (source.is_ancestor(&seen, &self.commit).await, source.is_ancestor(&self.commit, &seen).await)
        else {
            return Way::Unknown;
        };
        match (is_newer, is_older) {
            (true, _) => match self.opened.world(global, Some(seen.as_str())).await {
                Ok(world) => Way::Passed(
                    world.environments.values().map(|it| (it.name.clone(), it.inputs.clone())).collect(),
                ),
                Err(_) => Way::Unknown,
            },
            (false, true) => Way::Ahead,
            (false, false) => Way::Aside,
        }
    }
}
