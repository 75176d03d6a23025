//! A parent that somebody deletes by hand while the daemon runs: made again, with the inventory from memory.
//!
//! Whoever makes the new parent is the one who writes: its name is taken once, so that two daemons cannot both do so. It
//! names its shards from the beginning, so that others find an inventory that cannot be read, never an empty one, until
//! they are written. After a restart nothing is remembered: what git names is then taken over anew.

use tidegate_core::inventory::Inventory;

use super::lane::{Lane, Wanted};
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::Parent;

/// What was known of a parent and its inventory when they were last read or written.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// The parent.
    pub parent: Parent,
    /// What the environment owns.
    pub inventory: Inventory,
    /// The parent that was made in its place, while its shards are not all written.
    pub made: Option<Parent>,
}

impl Lane {
    /// Makes a parent that is gone again, if this daemon remembers it and git names the environment.
    pub(super) async fn rescue(&mut self, cluster: &Cluster, wanted: &Wanted) -> Result<(), CallError> {
        let named = match wanted {
            Wanted::Present(_) => true,
            Wanted::Missing => false,
        };
        let Some(remembered) = self.memory.remembered.clone().filter(|_| named) else { return Ok(()) };
        let Remembered { parent: lost, inventory, made } = remembered;
        let made = match (made, &self.memory.parent) {
            (Some(made), Some(now)) if now.uid == made.uid => now.clone(),
            (_, Some(_)) => return Ok(()),
            (_, None) => match cluster.parents.create_again(&lost, &inventory).await {
                Ok(made) => made,
                // Somebody else was first: theirs counts.
                Err(CallError::Conflict(_)) => {
                    self.memory.parent = cluster.parents.read(&self.name).await?;
                    return Ok(());
                }
                Err(error) => return Err(error),
            },
        };
        if let Some(remembered) = &mut self.memory.remembered {
            remembered.made = Some(made.clone());
        }
        cluster.parents.write_again(&made, &inventory).await?;
        tracing::warn!(
            environment = %self.name, objects = inventory.entries.len(),
            "the parent object was deleted by hand: it is made again, with what this daemon remembers"
        );
        // Read, not believed: another replica may have gone on from there.
        self.memory.parent = cluster.parents.read(&self.name).await?;
        self.memory.inventory = None;
        self.memory.remembered = None;
        self.memory.written = None;
        Ok(())
    }
}
