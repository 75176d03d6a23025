//! The inventory as compressed shards, each small enough for one ConfigMap, and back.
//!
//! An object's shard is chosen by a hash of its id among a power-of-two number of shards, so that a change of one object
//! rewrites one shard. A shard names its place and how many there are: a missing, doubled or damaged one is an error,
//! never an inventory with fewer objects. When the number changes, the shell writes the new set under new names before
//! the parent points to it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Inventory, InventoryEntry};
use crate::ids::Digest;
use crate::object::ObjectId;

/// No shard is larger than this before base64 (an object of the API server holds 1 MiB).
pub const SHARD_LIMIT_BYTES: usize = 700 * 1024;
/// More shards than this are refused.
pub const MAX_SHARDS: u32 = 1024;

/// So many objects per shard on average: the longest names there can be stay far below the limit.
const OBJECTS_PER_SHARD: usize = 1_024;
/// A shard larger than this after decompression is no shard of ours.
const MAX_EXPANDED_BYTES: u64 = 32 * 1024 * 1024;
/// The schema that each shard names.
const SCHEMA: &str = "tidegate.inventory/v1";

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

/// The first line of a shard.
#[derive(Serialize, Deserialize)]
struct Header {
    schema: String,
    shard: u32,
    of: u32,
    objects: usize,
}

/// One object of a shard; short names, because there are 40,000 of them.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(rename = "g")]
    group: String,
    #[serde(rename = "k")]
    kind: String,
    #[serde(rename = "ns", default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "v")]
    api_version: String,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    applied: Option<Digest>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    own: Option<Digest>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    foreign: Option<Digest>,
    #[serde(rename = "s", default, skip_serializing_if = "std::ops::Not::not")]
    settled: bool,
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    adopted: bool,
}

/// The inventory in as few shards as it needs.
pub fn encode(inventory: &Inventory) -> Vec<Shard> {
    encode_at(inventory, 1)
}

/// The inventory in as many shards as it has now, if that is neither too few nor far too many.
pub fn encode_at(inventory: &Inventory, shards_now: u32) -> Vec<Shard> {
    let needed = inventory.entries.len().div_ceil(OBJECTS_PER_SHARD).next_power_of_two();
    let needed = u32::try_from(needed).unwrap_or(MAX_SHARDS).clamp(1, MAX_SHARDS);
    let kept =
        if shards_now.is_power_of_two() && shards_now <= needed.saturating_mul(4) { shards_now } else { 1 };
    let mut of = needed.max(kept).min(MAX_SHARDS);
    loop {
        let shards: Vec<Shard> =
            (0..of).zip(split(inventory, of)).map(|(index, lines)| pack(index, of, &lines)).collect();
        let fits = shards.iter().all(|shard| shard.bytes.len() <= SHARD_LIMIT_BYTES);
        if fits || of >= MAX_SHARDS {
            return shards;
        }
        of *= 2;
    }
}

fn split(inventory: &Inventory, of: u32) -> Vec<Vec<(&ObjectId, &InventoryEntry)>> {
    let mut buckets: Vec<Vec<(&ObjectId, &InventoryEntry)>> = (0..of).map(|_| Vec::new()).collect();
    for (id, entry) in &inventory.entries {
        if let Some(bucket) = buckets.get_mut(bucket_of(id, of)) {
            bucket.push((id, entry));
        }
    }
    buckets
}

/// `of` is a power of two, so that doubling it splits every shard in two and moves nothing else.
fn bucket_of(id: &ObjectId, of: u32) -> usize {
    let ObjectId { group, kind, namespace, name } = id;
    let namespace = namespace.as_deref().unwrap_or_default();
    let hash = Sha256::digest(format!("{group}\n{kind}\n{namespace}\n{name}").as_bytes());
    let number = hash.iter().take(4).fold(0u32, |number, byte| (number << 8) | u32::from(*byte));
    (number & (of - 1)) as usize
}

fn pack(index: u32, of: u32, entries: &[(&ObjectId, &InventoryEntry)]) -> Shard {
    let header = Header { schema: SCHEMA.to_owned(), shard: index, of, objects: entries.len() };
    let mut text = to_json(&header);
    for (id, entry) in entries {
        text.push('\n');
        text.push_str(&to_json(&line(id, entry)));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let bytes = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    Shard { index, of, bytes: bytes.expect("writing to a vector cannot fail") }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and booleans under text keys are always JSON")
}

fn line(id: &ObjectId, entry: &InventoryEntry) -> Line {
    let ObjectId { group, kind, namespace, name } = id.clone();
    let InventoryEntry { api_version, uid, applied, own, foreign, settled, adopted } = entry.clone();
    Line { group, kind, namespace, name, api_version, uid, applied, own, foreign, settled, adopted }
}

/// The inventory that the shards hold, in any order; every one must be there.
pub fn decode<B: AsRef<[u8]>>(shards: &[B]) -> Result<Inventory, CorruptInventory> {
    let mut inventory = Inventory::default();
    let mut seen = BTreeSet::new();
    let mut expected = None;
    for shard in shards {
        let text = expand(shard.as_ref())?;
        let mut lines = text.lines();
        let header: Header = from_json(lines.next().unwrap_or_default())?;
        check(&header, &mut seen, &mut expected)?;
        let before = inventory.entries.len();
        for text in lines {
            let (id, entry) = entry(from_json(text)?);
            inventory.entries.insert(id, entry);
        }
        let found = inventory.entries.len() - before;
        if found != header.objects {
            let message = format!("shard {} holds {found} objects and says {}", header.shard, header.objects);
            return Err(CorruptInventory::Incomplete(message));
        }
    }
    let of: u32 = expected.ok_or(CorruptInventory::Missing)?;
    if seen.len() != of as usize {
        return Err(CorruptInventory::Incomplete(format!("{} of {of} are there", seen.len())));
    }
    Ok(inventory)
}

fn expand(bytes: &[u8]) -> Result<String, CorruptInventory> {
    let mut text = String::new();
    let read = GzDecoder::new(bytes).take(MAX_EXPANDED_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| CorruptInventory::Unreadable(error.to_string()))?;
    if text.len() as u64 > MAX_EXPANDED_BYTES {
        return Err(CorruptInventory::Unreadable(format!(
            "it expands to more than {MAX_EXPANDED_BYTES} bytes"
        )));
    }
    Ok(text)
}

fn check(
    header: &Header,
    seen: &mut BTreeSet<u32>,
    expected: &mut Option<u32>,
) -> Result<(), CorruptInventory> {
    let Header { schema, shard, of, objects: _ } = header;
    if schema != SCHEMA {
        return Err(CorruptInventory::Unreadable(format!("its schema is `{schema}`, not `{SCHEMA}`")));
    }
    if *expected.get_or_insert(*of) != *of || *of > MAX_SHARDS || shard >= of {
        return Err(CorruptInventory::Incomplete(format!("one is number {shard} of {of}")));
    }
    if !seen.insert(*shard) {
        return Err(CorruptInventory::Incomplete(format!("number {shard} is there twice")));
    }
    Ok(())
}

fn from_json<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, CorruptInventory> {
    serde_json::from_str(text).map_err(|error| CorruptInventory::Unreadable(error.to_string()))
}

fn entry(line: Line) -> (ObjectId, InventoryEntry) {
    let Line { group, kind, namespace, name, api_version, uid, applied, own, foreign, settled, adopted } =
        line;
    (
        ObjectId { group, kind, namespace, name },
        InventoryEntry { api_version, uid, applied, own, foreign, settled, adopted },
    )
}
