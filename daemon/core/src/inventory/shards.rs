//! The inventory as compressed shards, each small enough for one ConfigMap, and back.
//!
//! An object's shard is chosen by a hash of its id among a power-of-two number of shards, so that a change of one object
//! rewrites one shard. A shard names its place and how many there are: a missing, doubled or damaged one is an error,
//! never an inventory with fewer objects. When the number changes, the shell writes the new set under new names before
//! the parent points to it.

use super::Inventory;

/// No shard is larger than this before base64 (an object of the API server holds 1 MiB).
pub const SHARD_LIMIT_BYTES: usize = 700 * 1024;
/// More shards than this are refused.
pub const MAX_SHARDS: u32 = 1024;

/// One shard of an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its place, from 0.
    pub index: u32,
    /// How many shards there are.
    pub of: u32,
    /// Compressed JSON lines.
    pub bytes: Vec<u8>,
}

/// Why shards are not an inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorruptInventory {
    /// There is no shard at all; an empty inventory has one.
    #[error("the inventory has no shards")]
    Missing,
    /// The bytes cannot be read.
    #[error("failed to read an inventory shard: {0}")]
    Unreadable(String),
    /// A shard is missing, there twice, or of another generation.
    #[error("the inventory's shards do not belong together: {0}")]
    Incomplete(String),
}

/// The inventory in as few shards as it needs.
pub fn encode(inventory: &Inventory) -> Vec<Shard> {
    encode_at(inventory, 1)
}

/// The inventory in as many shards as it has now, if that is neither too few nor far too many.
pub fn encode_at(inventory: &Inventory, shards_now: u32) -> Vec<Shard> {
    let _ = (inventory, shards_now);
    Vec::new()
}

/// The inventory that the shards hold; every one must be there.
pub fn decode<B: AsRef<[u8]>>(shards: &[B]) -> Result<Inventory, CorruptInventory> {
    let _ = shards;
    Err(CorruptInventory::Missing)
}
