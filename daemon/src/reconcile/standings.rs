//! How an environment stands, before it is put into a record: what holds it, else how its objects are.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tidegate_core::health::{Health, HealthState, all_healthy};
use tidegate_core::ids::short;
use tidegate_core::object::ObjectId;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::rollback::{Held, Unhealthy};
use tidegate_core::standing::{Judgement, Seen, judge, overdue, settling, unhealthy, unwell_since};
use tidegate_core::status::{ObjectCounts, State};

use super::Rounds;
use super::claim::said;
use super::lane::{Lane, Wanted};
use super::memory::Memory;
use crate::cluster::handle::Cluster;
use crate::cluster::pods;
use crate::world::{DesiredSet, prefixed};

/// How many workloads that are not ready have their pods looked at in one pass.
const PODS_LOOKS: usize = 5;

/// How an environment stands.
pub(super) struct Standings {
    /// In one word.
    pub state: State,
    /// In one sentence.
    pub reason: String,
    /// What wakes it next, in words.
    pub next: Option<String>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// How its objects stand.
    pub judgement: Judgement,
    /// Those that are applied as git asks, and not healthy.
    pub unhealthy: Vec<Unhealthy>,
    /// What is enforced was planned to its end, and nothing of it is refused, waits to be applied, or is unhealthy.
    pub is_well: bool,
    /// Nothing will change by itself.
    pub settled: bool,
}

impl Lane {
    /// How the environment stands after the rounds of a pass (none: nothing was planned).
    pub(super) async fn standings(
        &mut self,
        cluster: &Arc<Cluster>,
        wanted: &Wanted,
        desired: Option<&DesiredSet>,
        rounds: Option<Rounds>,
        now: Timestamp,
    ) -> Standings {
        let mut problems = self.source_problems(wanted);
        let rejected = !problems.is_empty();
        problems.extend(self.rewound());
        problems.extend(self.memory.moved.iter().cloned());
        let mut judgement = Judgement::default();
        let mut sick = Vec::new();
        let mut is_well = false;
        let mut state = State::Waiting;
        let mut reason = "not looked at yet".to_owned();
        if let (Some(desired), Some((observed, plan))) = (desired, &self.memory.last) {
            judgement = judge(desired.enforced(), observed, plan, &self.memory.failed, &self.memory.pods);
            if settling(&self.memory.progress, &judgement, now).is_some() || judgement.telling.is_empty() {
                // Pods have had no time to be in trouble, or there are none.
                self.memory.pods.clear();
            } else if rounds == Some(Rounds::Settled) {
                self.memory.pods = look_at_pods(cluster, desired, &judgement).await;
                judgement = judge(desired.enforced(), observed, plan, &self.memory.failed, &self.memory.pods);
            }
            problems.extend(desired.warnings.iter().cloned());
            problems.extend(prefixed(plan.problems.clone(), &desired.prefix));
            problems.extend(self.memory.failed.values().map(|failure| failure.problem.clone()));
            problems.extend(self.memory.further.values().flatten().cloned());
            if rounds == Some(Rounds::Settled) {
                self.memory.progress.look(desired.environment.deadlines.healthy, now);
                let Memory { progress, unwell, .. } = &self.memory;
                self.memory.unwell = unwell_since(progress, unwell, &judgement.sick, now);
            }
            let late =
                overdue(desired.enforced(), &judgement, &self.memory.progress, &self.memory.unwell, now);
            let Memory { failed, unwell, .. } = &self.memory;
            let seen = Seen { observed, plan, failed, unwell };
            let deadline = desired.environment.deadlines.healthy;
            sick = unhealthy(&judgement.objects, &seen, deadline, now);
            state = judgement.state(plan);
            is_well = rounds != Some(Rounds::Unfinished) && judgement.is_well(plan);
            if state == State::Progressing && late.iter().any(|late| late.code == Code::HealthDeadline) {
                state = State::Degraded;
            }
            problems.extend(prefixed(late, &desired.prefix));
            without_repeats(&mut problems);
            reason = sentence(state, &judgement, &problems);
        }
        problems.extend(self.hold().map(Held::problem));
        let (state, reason, next) = self.overriding(wanted, desired, rounds, rejected, (state, reason));
        let settled = state.is_settled();
        let mut standings =
            Standings { state, reason, next, problems, judgement, unhealthy: sick, is_well, settled };
        if let (Some(desired), Some(Rounds::Settled)) = (desired, rounds) {
            self.with_workloads(desired, &mut standings);
        }
        standings
    }

    /// What comes before health: a suspension, a broken commit, work that is not finished, others that come first.
    fn overriding(
        &self,
        wanted: &Wanted,
        desired: Option<&DesiredSet>,
        rounds: Option<Rounds>,
        rejected: bool,
        (state, reason): (State, String),
    ) -> (State, String, Option<String>) {
        if let Some((mut why, until)) = self.suspension(wanted) {
            match self.drifted(Timestamp::UNIX_EPOCH).len() {
                0 => {}
                1 => why.push_str("; 1 object differs from what was applied"),
                count => why.push_str(&format!("; {count} objects differ from what was applied")),
            }
            return (State::Suspended, why, Some(until));
        }
        if rejected {
            let kept = desired
                .map_or("nothing is applied".to_owned(), |set| format!("{} stays applied", set.revision));
            let next = "a commit that mends it".to_owned();
            return (State::Failed, format!("the newest commit is not applied; {kept}"), Some(next));
        }
        if desired.is_some_and(|set| set.environment.decommission) && self.memory.parent.is_none() {
            return (State::Live, "taken down".to_owned(), None);
        }
        if let Some(other) = self.waits_for(wanted) {
            let why = format!("`{other}` must be live at its newest commit first (dependsOn)");
            return (State::Waiting, why, Some(format!("`{other}` becomes live")));
        }
        if let Some((reason, next)) = self.without_past() {
            return (State::Failed, reason, Some(next));
        }
        match rounds {
            None => {
                let seen = self
                    .memory
                    .parent
                    .as_ref()
                    .and_then(|parent| said(parent).last_seen().into_iter().next());
                let short = seen.as_ref().map_or("", |seen| short(seen.as_str()));
                let why =
                    format!("{short} was seen before, and the newest commit here is no descendant of it");
                let next =
                    format!("the next poll, or tidegate sync {} --rewind COMMIT --reason TEXT", self.name);
                (State::Waiting, why, Some(next))
            }
            Some(Rounds::Unfinished) => {
                let why = self.hold().map_or("changes are being applied".to_owned(), Held::outline);
                (State::Applying, why, None)
            }
            Some(Rounds::Settled) => self.in_place_of_held(state, reason),
        }
    }

    /// The problems of the newest inputs, when they are not the ones that are enforced.
    pub(super) fn source_problems(&self, wanted: &Wanted) -> Vec<Problem> {
        match wanted {
            Wanted::Missing => vec![
                Problem::error(
                    Code::EnvironmentMissing,
                    format!("environments/{} is gone from git; nothing is deleted", self.name),
                )
                .help("restore the folder; to take the environment down, commit `decommission: true` first"),
            ],
            Wanted::Present(target) => match (&target.environment, &self.memory.rejected) {
                (Err(problems), _) => problems.clone(),
                (Ok(_), Some((inputs, problems))) if *inputs == target.inputs => problems.clone(),
                (Ok(_), _) => Vec::new(),
            },
        }
    }

    /// A branch that was rewound or deleted: the last good commit stays, and people must know why nothing newer comes.
    /// (A repository out of reach is said in the log only: every environment's record would be written at each hiccup.)
    fn rewound(&self) -> Option<Problem> {
        let states = self.shared.source.subscribe();
        let trouble = states.borrow().trouble.clone();
        trouble.filter(is_recorded)
    }
}

/// Whether records say this of the source.
pub fn is_recorded(trouble: &Problem) -> bool {
    trouble.code == Code::SourceRewound
}

/// A refused object is a problem of the plan and of the refusal; people read it once.
fn without_repeats(problems: &mut Vec<Problem>) {
    let mut seen: Vec<Problem> = Vec::with_capacity(problems.len());
    for problem in problems.drain(..) {
        if !seen.contains(&problem) {
            seen.push(problem);
        }
    }
    *problems = seen;
}

fn sentence(state: State, judgement: &Judgement, problems: &[Problem]) -> String {
    let ObjectCounts { objects, healthy, unknown, .. } = judgement.counts;
    let error = problems.iter().find(|problem| problem.is_error());
    match state {
        State::Live if unknown > 0 => {
            format!("{healthy} of {objects} objects are healthy, {unknown} have no health rule")
        }
        State::Live => all_healthy(objects),
        State::Failed => error.map_or("an object was refused".to_owned(), |problem| problem.message.clone()),
        State::Applying
        | State::Progressing
        | State::Degraded
        | State::RolledBack
        | State::Suspended
        | State::Waiting
        | State::Unreachable => judgement.first.clone().unwrap_or_default(),
    }
}

async fn look_at_pods(
    cluster: &Cluster,
    desired: &DesiredSet,
    judgement: &Judgement,
) -> BTreeMap<ObjectId, Health> {
    let mut found = BTreeMap::new();
    for id in judgement.telling.iter().take(PODS_LOOKS) {
        let object = desired.ordinary.iter().find(|object| object.reference.is(id));
        let Some(object) = object else { continue };
        // A read that fails leaves the workload's own words to stand.
        if let Ok(Some(trouble)) = pods::trouble(&cluster.client, id, &object.to_value()).await {
            let state = if trouble.fatal { HealthState::Degraded } else { HealthState::Progressing };
            found.insert(id.clone(), Health { state, reason: pods::sentence(&trouble) });
        }
    }
    found
}
