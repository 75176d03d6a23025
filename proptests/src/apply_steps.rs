//! Sequences of writes on one object, from a seed: by us and by others, by force or not, on conditions that hold or not. For
//! the comparison of the simulated server with a real one ([`crate::apply_oracle`]).
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an object without metadata is a bug and may say so"
)]

use serde_json::{Value, json};
use tidegate_core::ids::EnvironmentName;
use tidegate_core::object::ObjectId;

use crate::world::chance::Chance;
use crate::world::content::{ITEMS, item_id, manifest};
use crate::world::fields::{Path, field, identity, path, put, remove};
use crate::world::managers::Mode;

/// Most steps of a sequence.
const STEPS: usize = 10;
/// Texts of an object in git.
const TEXTS: usize = 3;
/// Places of the items that are written: one of each kind.
const KINDS: [usize; 5] = [0, 3, 4, 5, 6];
/// Who writes besides us.
const OTHERS: [&str; 2] = ["operator", "kubectl-edit"];

/// What a write asks of what stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// The uid that it has.
    Uid,
    /// Another uid.
    WrongUid,
    /// The version that it has.
    Version,
    /// An old version; where nothing stands, none at all.
    OldVersion,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A server-side apply.
    Apply {
        /// The field manager.
        manager: &'static str,
        /// What is applied.
        body: Value,
        /// By force or not.
        mode: Mode,
        /// Nothing is written.
        dry_run: bool,
        /// What must stand.
        condition: Condition,
    },
    /// An ordinary create.
    Create(&'static str, Value),
    /// An ordinary update: fields that are set, or (none) removed.
    Update {
        /// The field manager.
        manager: &'static str,
        /// What is changed.
        changes: Vec<(Path, Option<Value>)>,
        /// With the version that stands, or an old one.
        condition: Condition,
    },
    /// A delete.
    Delete(Condition),
}

/// The writes on one object.
#[derive(Debug)]
pub struct Sequence {
    /// From which it is made.
    pub seed: u64,
    /// The object.
    pub id: ObjectId,
    /// Its API version.
    pub api_version: String,
    chance: Chance,
    item: usize,
    left: usize,
}

impl Sequence {
    /// The sequence of a seed, on an object of its own in a namespace.
    pub fn new(seed: u64, namespace: &str) -> Self {
        let mut chance = Chance::new(seed);
        let item = chance.pick(&KINDS).unwrap_or_default();
        let kind = ITEMS.get(item).map_or("", |(kind, _, _)| kind);
        let found = item_id(&environment(), item).expect("the kinds are places of items");
        let id = ObjectId {
            namespace: Some(namespace.to_owned()),
            name: format!("{}-{seed}", found.name),
            ..found
        };
        let api_version = if kind == "Deployment" { "apps/v1" } else { "v1" }.to_owned();
        let left = 4 + chance.below(STEPS - 3);
        Self { seed, id, api_version, chance, item, left }
    }

    /// Whether controllers write it by themselves, so that its version is nobody's to foretell.
    pub fn is_written_by_controllers(&self) -> bool {
        !matches!(self.id.kind.as_str(), "ConfigMap" | "Service")
    }

    /// The next write, by whether the object stands; none at the end.
    pub fn next(&mut self, stands: bool) -> Option<Step> {
        self.left = self.left.checked_sub(1)?;
        Some(match self.chance.below(20) {
            _ if !stands && self.chance.happens(150) => Step::Create("somebody", self.whole()),
            0 => Step::Create("somebody", self.whole()),
            1 => Step::Delete(self.chance.pick(&[Condition::None, Condition::Uid, Condition::WrongUid])?),
            2..8 => self.update(),
            8..11 if stands => self.apply_of_others(),
            _ => self.apply(),
        })
    }

    fn whole(&mut self) -> Value {
        let text = u8::try_from(1 + self.chance.below(TEXTS)).unwrap_or(1);
        self.named(manifest(&environment(), self.item, text))
    }

    fn named(&self, mut body: Value) -> Value {
        body["metadata"]["name"] = json!(self.id.name);
        body["metadata"]["namespace"] = json!(self.id.namespace);
        body
    }

    fn condition(&mut self) -> Condition {
        let exact = if self.is_written_by_controllers() { Condition::Uid } else { Condition::Version };
        let all = [Condition::Uid, Condition::WrongUid, exact, Condition::OldVersion];
        if self.chance.happens(600) { Condition::None } else { self.chance.pick(&all).unwrap_or(exact) }
    }

    fn apply(&mut self) -> Step {
        let mode = if self.chance.happens(700) { Mode::Force } else { Mode::Ask };
        let (dry_run, condition, mut body) = (self.chance.happens(200), self.condition(), self.whole());
        // A field that others may hold leaves the set.
        if self.chance.happens(250) {
            remove(&mut body, &path(&["metadata", "labels", "text"]));
        }
        Step::Apply { manager: "tidegate", body, mode, dry_run, condition }
    }

    /// Some fields of their own, besides ours.
    fn apply_of_others(&mut self) -> Step {
        let mut body = identity(&self.whole());
        for _ in 0..self.chance.below(3) {
            if let (path, Some(value)) = self.change() {
                put(&mut body, &path, value);
            }
        }
        let mode = if self.chance.happens(500) { Mode::Force } else { Mode::Ask };
        let manager = self.chance.pick(&OTHERS).unwrap_or("operator");
        Step::Apply { manager, body, mode, dry_run: false, condition: Condition::None }
    }

    fn update(&mut self) -> Step {
        let manager = self.chance.pick(&OTHERS).unwrap_or("operator");
        let changes = (0..=self.chance.below(2)).map(|_| self.change()).collect();
        let condition = if self.chance.happens(100) { Condition::OldVersion } else { Condition::Version };
        Step::Update { manager, changes, condition }
    }

    /// What a hand does to one field.
    fn change(&mut self) -> (Path, Option<Value>) {
        let text = |chance: &mut Chance| json!(format!("h{}", chance.below(3)));
        let value = text(&mut self.chance);
        match (self.chance.below(8), self.id.kind.as_str()) {
            (0, _) => (path(&["metadata", "labels", "text"]), Some(value)),
            (1, _) => (path(&["metadata", "labels", "text"]), None),
            (2, _) => (path(&["metadata", "labels", "added"]), Some(value)),
            (3, _) => (path(&["metadata", "annotations", "note"]), Some(value)),
            (4, "ConfigMap") => (path(&["data", "text"]), None),
            (5, "ConfigMap") => (path(&["data", "only-1"]), Some(value)),
            (_, "ConfigMap") => (path(&["data", "text"]), Some(value)),
            (4, "Deployment") => (path(&["spec", "replicas"]), Some(json!(self.chance.below(4)))),
            (5, "Deployment") => (container("main", &["image"]), Some(value)),
            (6, "Deployment") => (container("sidecar", &["image"]), Some(value)),
            (_, "Deployment") => {
                let mut env = container("main", &["env"]);
                env.extend([r#"k:{"name":"A"}"#.to_owned(), field("value")]);
                (env, Some(value))
            }
            (4 | 5, "Service") => (path(&["spec", "selector"]), Some(json!({"app": value}))),
            (_, "Service") => {
                let mut port = path(&["spec", "ports"]);
                port.extend([r#"k:{"port":80,"protocol":"TCP"}"#.to_owned(), field("targetPort")]);
                (port, Some(json!(8000 + self.chance.below(3))))
            }
            (_, "ResourceQuota") => {
                let pods = format!("{}", 10 * self.chance.below(3));
                (path(&["spec", "hard", "pods"]), Some(json!(pods)))
            }
            (_, _) => (path(&["metadata", "annotations", "note"]), None),
        }
    }
}

fn container(name: &str, below: &[&str]) -> Path {
    let mut all = path(&["spec", "template", "spec", "containers"]);
    all.push(format!("k:{}", json!({ "name": name })));
    all.extend(below.iter().map(|name| field(name)));
    all
}

fn environment() -> EnvironmentName {
    "dev".parse().expect("it is a name")
}
