//! A record: one outcome, as it is written down for ever. Version 1.
//!
//! What is not known is absent, never guessed. Keys stand in the order of their declaration, so that one record has one text.
//!
//! Optional fields may be added, and older programs pass over them: the chain is over the text. Not so for what the tree and the
//! trailers are made from ([`super::Running`], [`super::Image`], [`super::Model`], [`super::AppState`], the trailers of a message): whoever
//! checks makes them again, so a change of those, and a new word in an enum, is version 2, beside the code of version 1.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::app::{AppChange, AppName};
use super::capped::Capped;
use super::id::RecordId;
use crate::ids::{Digest, EnvironmentName};
use crate::object::ObjectRef;
use crate::rollout::Verdict;

/// The version of the format.
pub const VERSION: u32 = 1;

/// One outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`VERSION`].
    pub v: u32,
    /// Its id.
    pub id: RecordId,
    /// Its number in the log of its environment, from 0, over all epochs.
    pub seq: u64,
    /// The epoch of its branch.
    pub epoch: u32,
    /// The digest of the text of the record before; none of the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
    /// Where the log went on, in the first record of an epoch after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Follows>,
    /// What it is about, and how it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The cluster.
    pub cluster: ClusterName,
    /// The environment.
    pub env: EnvironmentName,
}

/// What happened: everything of a record but its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What sort of thing happened.
    pub kind: Kind,
    /// How it ended.
    pub result: Result,
    /// The code of a problem (`E0414`), where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One sentence without a full stop.
    pub reason: String,
    /// Which part of the outcome this is, where one record could not hold all its workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The workloads whose versions it was about, at most [`super::MAX_APPS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<AppChange>,
    /// The commit of the source repository that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Who changed what in git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// The person who ordered it by a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanReference>,
    /// Commits between the one before and this one that were never live by themselves.
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub includes: Capped<Included>,
    /// What was written of which object.
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub objects: Capped<ObjectOperation>,
    /// The policy that the workload rolled out under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyReference>,
    /// What gates said.
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub gates: Capped<GateAnswer>,
    /// How traffic moved.
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub traffic: Capped<Shift>,
    /// Repairs of what somebody changed by hand.
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub repairs: Capped<Repair>,
    /// What is missing from the log, in a `ledger_gap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// What else supports it: ends of logs, what was found after a crash.
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub evidence: Capped<Evidence>,
    /// Who wrote it.
    pub actor: Actor,
    /// When what happened.
    pub times: Times,
}

impl Outcome {
    /// Something that has just begun, about which nothing else is known yet.
    pub fn begun(kind: Kind, actor: Actor, now: Timestamp, reason: &str) -> Self {
        Self {
            kind,
            result: Result::Unknown,
            code: None,
            reason: reason.to_owned(),
            part: None,
            apps: Vec::new(),
            source: None,
            change: None,
            order: None,
            plan: None,
            includes: Capped::default(),
            objects: Capped::default(),
            policy: None,
            gates: Capped::default(),
            traffic: Capped::default(),
            repairs: Capped::default(),
            gap: None,
            evidence: Capped::default(),
            actor,
            times: Times::begun(now),
        }
    }

    /// It is over now, in this way.
    #[must_use]
    pub fn ended(mut self, result: Result, reason: String, now: Timestamp) -> Self {
        (self.result, self.reason) = (result, reason);
        (self.times.finished, self.times.recorded) = (now, now);
        self
    }
}

impl Times {
    /// Of what begins now.
    pub fn begun(now: Timestamp) -> Self {
        Self {
            committed: None,
            merged: None,
            seen: None,
            started: Some(now),
            switched: None,
            finished: now,
            recorded: now,
        }
    }
}

/// One of several records of one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
}

/// What sort of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A commit was brought into the cluster, or was not.
    Deploy,
    /// Something went back to what was before.
    Rollback,
    /// A model was brought into a model server.
    Model,
    /// Changes made by hand were undone.
    Drift,
    /// Objects that left git were deleted, apart from a deploy.
    Prune,
    /// Settings or policies changed, and no object did.
    Config,
    /// A person overrode what the daemon would have done.
    BreakGlass,
    /// The daemon ended between an intent and its outcome.
    Interrupted,
    /// Records were lost.
    LedgerGap,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Deploy,
        Self::Rollback,
        Self::Model,
        Self::Drift,
        Self::Prune,
        Self::Config,
        Self::BreakGlass,
        Self::Interrupted,
        Self::LedgerGap,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Model => "model",
            Self::Drift => "drift",
            Self::Prune => "prune",
            Self::Config => "config",
            Self::BreakGlass => "break_glass",
            Self::Interrupted => "interrupted",
            Self::LedgerGap => "ledger_gap",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// As it was asked for: [`AppChange::to`] runs.
    Succeeded,
    /// It was not brought about; [`AppChange::from`] runs.
    Failed,
    /// It had been brought about and was taken back; [`AppChange::from`] runs.
    RolledBack,
    /// Something newer took its place before it ended.
    Superseded,
    /// Nobody knows how it ended; the reason says what was found.
    Unknown,
}

impl Result {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Succeeded, Self::Failed, Self::RolledBack, Self::Superseded, Self::Unknown];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The log before this one, which somebody else wrote on or took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follows {
    /// Its branch.
    pub branch: String,
    /// Its last commit of ours.
    pub tip: String,
    /// What stands there instead; none: the branch is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterName {
    /// Its name in the log: a part of the branch's name.
    pub name: String,
    /// The uid of its Namespace `kube-system`, which no other cluster has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Its Amazon Resource Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
}

/// A commit of the source repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its URL, without credentials.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// Its tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The environment's folder.
    pub path: String,
    /// The key that signed it, as the signature names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// What a look at its signature said.
    pub verified: Verified,
}

/// What a look at the signature of a commit said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// It is by a key that is trusted.
    Good,
    /// It is by another key, or of other bytes.
    Bad,
    /// There is none.
    Unsigned,
    /// Nobody looked.
    NotChecked,
}

/// Who changed what in git, as far as the commits say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Who wrote it.
    pub author: String,
    /// Who committed it.
    pub committer: String,
    /// Who else wrote it (trailers `Co-authored-by`).
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub co_authors: Capped<String>,
    /// Who vouches for it (trailers `Reviewed-by`, `Acked-by`, `Approved-by`).
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub approvers: Capped<String>,
    /// Who merged it: the committer of the merge commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merger: Option<String>,
    /// The pull request, as the merge commit's subject names it (`#812`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr: Option<String>,
    /// Only its author vouches for it; none: nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_approved: Option<bool>,
}

/// A person's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// `suspend`, `resume`, `abort`, `promote`, `rollback`, `retry`, `sync`.
    pub command: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanReference {
    /// Its id: a digest of what git asks for.
    pub id: Digest,
}

/// A commit that was never live by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Included {
    /// The commit.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
}

/// A write of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectOperation {
    /// The object.
    #[serde(rename = "ref")]
    pub object: ObjectRef,
    /// Its uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// What was done.
    pub op: Operation,
    /// Fields that changed, in words; values of Secrets masked.
    #[serde(default, skip_serializing_if = "Capped::is_empty")]
    pub fields: Capped<String>,
    /// How often, where more than once.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_once(times: &u32) -> bool {
    *times == 1
}

/// What was done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// It was made.
    Create,
    /// It was changed.
    Change,
    /// It was deleted and made anew, because what changed cannot be changed.
    Recreate,
    /// It was there before and is ours now.
    Adopt,
    /// What somebody else did was undone.
    Repair,
    /// Its size was changed.
    Scale,
    /// It was deleted.
    Delete,
    /// The write was refused.
    Refused,
}

impl Operation {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Recreate => "recreate",
            Self::Adopt => "adopt",
            Self::Repair => "repair",
            Self::Scale => "scale",
            Self::Delete => "delete",
            Self::Refused => "refused",
        }
    }
}

/// A policy's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReference {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// The file's blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
}

/// What a gate said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateAnswer {
    /// Its name.
    pub name: String,
    /// Of which workload, where the record is about several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// `beforeSwitch` or `whileBaking`.
    pub stage: String,
    /// What follows.
    pub result: Verdict,
    /// How many requests, samples or pods it rests on.
    pub n: u64,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What it was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// What was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// One sentence.
    pub summary: String,
    /// When it was begun.
    pub t0: Timestamp,
    /// When it ended.
    pub t1: Timestamp,
}

/// A move of traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// The workload.
    pub app: AppName,
    /// When.
    pub t: Timestamp,
    /// From where; none: from nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To where.
    pub to: String,
    /// How much of it, in percent.
    pub weight: u8,
}

/// An undone change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// The object.
    #[serde(rename = "ref")]
    pub object: ObjectRef,
    /// The changes in words, `field: live -> restored`; values of Secrets masked.
    pub changes: Capped<String>,
    /// Who made them, as far as the field managers say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// When it was seen first.
    pub seen: Timestamp,
    /// How often within the time of this record.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
}

/// Lost records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many.
    pub count: u64,
    /// One digest over all of them, in their order.
    pub digest: Digest,
    /// When the first of them happened.
    pub since: Timestamp,
    /// When the last of them happened.
    pub until: Timestamp,
}

/// What supports a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is: `log`, `found`.
    pub kind: String,
    /// Where it is from: a pod, an object.
    pub of: String,
    /// The text, cut.
    pub text: String,
}

/// The daemon that wrote a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Its version.
    pub version: String,
    /// Its replica: the name of its Lease.
    pub replica: String,
    /// The digest of its image, where it runs in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// When what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The commit was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Timestamp>,
    /// It was merged: the committer's time of the merge commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Timestamp>,
    /// The daemon saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// The first write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// Traffic moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<Timestamp>,
    /// It was over.
    pub finished: Timestamp,
    /// It was put into the queue.
    pub recorded: Timestamp,
}
