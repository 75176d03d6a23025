//! The verb record of a lane: how the environment stands, said on its parent, as `record.rs` and `judge.rs` of
//! `daemon/src/reconcile/` do.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tidegate_core::health::{Health, HealthState, exists_is_healthy};
use tidegate_core::ids::CommitId;
use tidegate_core::object::ObjectId;
use tidegate_core::plan::WaitingReason;
use tidegate_core::problem::Problem;
use tidegate_core::status::{CommitInfo, EnvironmentStatus, Listed, ObjectCounts, SCHEMA, State, Times};

use super::bugs::Bug;
use super::lane::{Good, Lane, RETRY_REJECTED, Rounds, SAFETY_INTERVAL, Wanted};
use super::request::{CallError, ParentChange};

/// `WRITE_INTERVAL` of the daemon.
const WRITE_INTERVAL: SignedDuration = SignedDuration::from_secs(1);
/// `PROGRESS_INTERVAL` of the daemon.
const PROGRESS_INTERVAL: SignedDuration = SignedDuration::from_secs(5);
/// `UNREAD_INTERVAL` of the daemon.
const UNREAD_INTERVAL: SignedDuration = SignedDuration::from_secs(2);

impl Lane {
    /// Records how the environment stands; says when the next pass is due.
    pub(super) async fn record(
        &mut self,
        wanted: &Wanted,
        rounds: Option<Rounds>,
    ) -> Result<SignedDuration, CallError> {
        let good = self.memory.good.clone();
        let counts = good.as_ref().map(|good| self.judge(good)).unwrap_or_default();
        let state = self.state(wanted, counts, rounds);
        let next = self.next(wanted, state, counts, rounds);
        let status = self.status(wanted, good.as_ref(), state, counts);
        let written = self.write_status(status).await?;
        Ok(if written { next } else { next.min(WRITE_INTERVAL) })
    }

    fn judge(&self, good: &Good) -> ObjectCounts {
        let mut counts = ObjectCounts::default();
        let Some((observed, plan)) = &self.memory.last else { return counts };
        let waiting: BTreeMap<&ObjectId, &WaitingReason> =
            plan.waiting.iter().map(|waiting| (&waiting.object, &waiting.reason)).collect();
        let desired = good.desired();
        for id in desired.ids() {
            counts.objects += 1;
            if self.memory.failed.contains_key(&id) {
                counts.failed += 1;
                continue;
            }
            counts.waiting += usize::from(waiting.get(&id).is_some_and(|reason| !reason.is_kept()));
            let live = observed.objects.get(&id);
            let object = desired.objects.iter().find(|object| object.reference.id() == id);
            let exists = object.is_some_and(|object| exists_is_healthy(&object.reference.gvk));
            match live.map(|live| live.health.as_ref()) {
                Some(None) if exists => counts.healthy += 1,
                None | Some(None) => counts.progressing += 1,
                Some(Some(Health { state, reason: _ })) => match state {
                    HealthState::Healthy | HealthState::Suspended => counts.healthy += 1,
                    HealthState::Unknown => counts.unknown += 1,
                    HealthState::Progressing => counts.progressing += 1,
                    HealthState::Degraded => counts.degraded += 1,
                },
            }
        }
        let wanted: Vec<ObjectId> = desired.ids().collect();
        let others = waiting.iter().filter(|(id, reason)| !wanted.contains(id) && !reason.is_kept());
        counts.waiting += others.count();
        counts
    }

    fn state(&self, wanted: &Wanted, counts: ObjectCounts, rounds: Option<Rounds>) -> State {
        if self.has(Bug::LiveWithoutReadBack) && rounds.is_some() && self.memory.failed.is_empty() {
            return State::Live;
        }
        if self.is_suspended(wanted) {
            return State::Suspended;
        }
        let rejected = match wanted {
            Wanted::Missing(_) => true,
            Wanted::Present(_, target) => target.desired().is_none(),
        };
        let errors = self.memory.last.iter().any(|(_, plan)| plan.problems.iter().any(Problem::is_error));
        match rounds {
            _ if rejected => State::Failed,
            None => State::Waiting,
            Some(Rounds::Unfinished) => State::Applying,
            Some(Rounds::Settled) if counts.failed > 0 || errors => State::Failed,
            Some(Rounds::Settled) if counts.degraded > 0 => State::Degraded,
            Some(Rounds::Settled) if counts.waiting > 0 && counts.progressing == 0 => State::Waiting,
            Some(Rounds::Settled) if counts.progressing > 0 || counts.waiting > 0 => State::Progressing,
            Some(Rounds::Settled) => State::Live,
        }
    }

    fn next(
        &self,
        wanted: &Wanted,
        state: State,
        counts: ObjectCounts,
        rounds: Option<Rounds>,
    ) -> SignedDuration {
        let now = self.now();
        let mut next = SAFETY_INTERVAL;
        if rounds == Some(Rounds::Unfinished) {
            next = SignedDuration::from_millis(50);
        }
        if state == State::Progressing || counts.progressing + counts.degraded > 0 {
            next = next.min(PROGRESS_INTERVAL);
        }
        if self.memory.last.as_ref().is_some_and(|(observed, _)| !observed.unread.is_empty()) {
            next = next.min(UNREAD_INTERVAL);
        }
        let waits = self.memory.last.as_ref().is_some_and(|(_, plan)| !plan.waiting.is_empty());
        if waits || !self.memory.failed.is_empty() {
            next = next.min(SignedDuration::from_secs(10));
        }
        if self.memory.rejected.is_some() && matches!(wanted, Wanted::Present(..)) {
            next = next.min(RETRY_REJECTED);
        }
        if let Some(end) = self.memory.flips.next_end(now) {
            next = next.min(end.duration_since(now) + SignedDuration::from_millis(100));
        }
        next
    }

    fn status(
        &self,
        wanted: &Wanted,
        good: Option<&Good>,
        state: State,
        counts: ObjectCounts,
    ) -> EnvironmentStatus {
        let now = self.now();
        let before = self.memory.written.as_ref();
        let good = good.filter(|good| self.memory.claimed.is_some() || good.desired().settings.decommission);
        let parent = self.memory.parent.as_ref();
        let applied = parent.and_then(|parent| parent.applied.clone());
        let whole = good.filter(|good| {
            applied.as_ref().is_some_and(|applied| {
                let target = self.world.borrow().git.target(applied, &self.name);
                target.is_some_and(|target| target.inputs == good.target.inputs)
            })
        });
        let (Wanted::Present(head, _) | Wanted::Missing(head)) = wanted;
        EnvironmentStatus {
            schema: SCHEMA.to_owned(),
            environment: self.name.clone(),
            cluster: "simulated".to_owned(),
            replica: self.local.borrow().name.clone(),
            seen: Some(info(head, now)),
            applied: applied.map(|commit| info(&commit, now)),
            inputs: good.map(|good| good.target.inputs.clone()),
            applied_inputs: whole
                .map(|good| good.target.inputs.clone())
                .or_else(|| before.and_then(|before| before.applied_inputs.clone())),
            rejected_inputs: None,
            state,
            reason: state.as_str().to_owned(),
            suspended: None,
            since: before.filter(|before| before.state == state).map_or(now, |before| before.since),
            next: None,
            counts,
            problems: Listed::default(),
            objects: Listed::default(),
            drift: Vec::new(),
            drifted: Listed::default(),
            foreign: Listed::default(),
            unchecked: Vec::new(),
            times: Times::default(),
            plan_id: good.map(|good| good.desired().plan_id.clone()),
            updated: now,
        }
    }

    async fn write_status(&mut self, status: EnvironmentStatus) -> Result<bool, CallError> {
        if self.memory.parent.is_none() {
            return Ok(true);
        }
        let before = self.memory.written.as_ref();
        if before.is_some_and(|before| says_the_same(before, &status)) {
            return Ok(true);
        }
        let now = self.now();
        let same_state = before.is_some_and(|before| before.state == status.state);
        let by_other = before.is_some_and(|before| before.replica != status.replica);
        if (same_state || by_other)
            && self.memory.written_at.is_some_and(|at| now.duration_since(at) < WRITE_INTERVAL)
        {
            return Ok(false);
        }
        let change = ParentChange { status: Some(status.clone()), ..ParentChange::default() };
        self.write_parent(change).await?;
        self.memory.written = Some(status);
        self.memory.written_at = Some(now);
        Ok(true)
    }
}

fn info(commit: &CommitId, time: Timestamp) -> CommitInfo {
    CommitInfo { id: commit.to_string(), subject: String::new(), author: String::new(), time }
}

fn says_the_same(before: &EnvironmentStatus, now: &EnvironmentStatus) -> bool {
    let mut same = before.clone();
    same.updated = now.updated;
    same.replica.clone_from(&now.replica);
    let told = |info: &Option<CommitInfo>| info.as_ref().map(|info| info.id.clone());
    if told(&before.applied) == told(&now.applied) {
        same.applied.clone_from(&now.applied);
    }
    let goes_on = (&before.inputs, before.state) == (&now.inputs, now.state) && now.state == State::Live;
    if goes_on || told(&before.seen) == told(&now.seen) {
        same.seen.clone_from(&now.seen);
    }
    same == *now
}
