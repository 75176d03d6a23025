//! The verb record of a lane: how the environment stands, said on its parent, as `record.rs` of
//! `daemon/src/reconcile/` do.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidegate_core::ids::CommitId;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::rollback::{Decision, Unhealthy};
use tidegate_core::schedule::Backoff;
use tidegate_core::standing::{
    Judgement, News, Progress, Seen, Wait, judge, news, next, overdue, settling, unhealthy, until_deadline,
    unwell_since,
};
use tidegate_core::status::{CommitInfo, EnvironmentStatus, Listed, SCHEMA, State, Times};

use super::bugs::Bug;
use super::lane::{Good, Lane, Memory, Rounds, SAFETY_INTERVAL, Wanted};
use super::request::{CallError, ParentChange};

/// `GO_ON` of the daemon.
const GO_ON: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(10) };

/// How an environment stands.
#[derive(Default)]
struct Stands {
    judgement: Judgement,
    unhealthy: Vec<Unhealthy>,
    is_well: bool,
    late: Vec<Problem>,
}

impl Lane {
    /// Records how the environment stands; says when the next pass is due.
    pub(super) async fn record(
        &mut self,
        wanted: &Wanted,
        rounds: Option<Rounds>,
    ) -> Result<SignedDuration, CallError> {
        self.memory.progress.away |= rounds.is_none();
        let good = self.worked_for();
        let Stands { judgement, unhealthy, is_well, late } = self.stands(good.as_ref(), rounds);
        let is_late = late.iter().any(|late| late.code == Code::HealthDeadline);
        let state = self.state(wanted, &judgement, rounds, is_late);
        if let (Some(good), Some(Rounds::Settled)) = (&good, rounds) {
            match self.decide(wanted, good, &unhealthy) {
                Decision::RollBack { to, because } => {
                    self.roll_back(good, to, because).await?;
                    return Ok(SignedDuration::ZERO);
                }
                Decision::Stay(_) | Decision::Load(_) => {}
            }
            self.note_good(good, is_well);
        }
        let was_live = is_well && good.as_ref().is_some_and(|good| self.is_applied(good));
        if was_live && self.memory.progress.live.is_none() {
            self.memory.progress.live = Some(self.now());
        }
        let next = self.next(state, &judgement, rounds);
        let settling = settling(&self.memory.progress, &judgement, self.now());
        let status = self.status(wanted, good.as_ref(), state, judgement);
        let later = self.write_status(status, settling).await?;
        Ok(later.map_or(next, |later| next.min(SignedDuration::try_from(later).unwrap_or(next))))
    }

    fn stands(&mut self, good: Option<&Good>, rounds: Option<Rounds>) -> Stands {
        let now = self.now();
        let Memory { last, failed, progress, unwell, .. } = &mut self.memory;
        let (Some(good), Some((observed, plan))) = (good, last) else { return Stands::default() };
        let enforced = good.desired().enforced();
        let judgement = judge(enforced, observed, plan, failed, &BTreeMap::new());
        if rounds == Some(Rounds::Settled) {
            progress.look(enforced.environment.deadlines.healthy, now);
            *unwell = unwell_since(progress, unwell, &judgement.sick, now);
        }
        let late = overdue(enforced, &judgement, progress, unwell, now);
        let seen = Seen { observed, plan, failed, unwell };
        let deadline = enforced.environment.deadlines.healthy;
        let unhealthy = unhealthy(&judgement.objects, &seen, deadline, now);
        let is_well = rounds != Some(Rounds::Unfinished) && judgement.is_well(plan);
        Stands { judgement, unhealthy, is_well, late }
    }

    fn state(&self, wanted: &Wanted, judgement: &Judgement, rounds: Option<Rounds>, late: bool) -> State {
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
        let judged = self.memory.last.as_ref().map(|(_, plan)| judgement.state(plan));
        match (rounds, judged) {
            _ if rejected || self.is_without_past() => State::Failed,
            (None, _) | (Some(Rounds::Settled), None) => State::Waiting,
            (Some(Rounds::Unfinished), _) => State::Applying,
            (Some(Rounds::Settled), Some(State::Progressing)) if late => State::Degraded,
            (Some(Rounds::Settled), Some(State::Live)) if self.hold().is_some() => State::RolledBack,
            (Some(Rounds::Settled), Some(judged)) => judged,
        }
    }

    fn next(&self, state: State, judgement: &Judgement, rounds: Option<Rounds>) -> SignedDuration {
        let now = self.now();
        let mut waits = Vec::new();
        if rounds == Some(Rounds::Unfinished) {
            waits.push(Wait::Work(GO_ON.delay(self.memory.unfinished, 0.5)));
        }
        if state == State::Progressing || !judgement.sick.is_empty() {
            waits.push(Wait::Health);
        }
        if self.memory.last.as_ref().is_some_and(|(observed, _)| !observed.unread.is_empty()) {
            waits.push(Wait::Read);
        }
        let waiting = self.memory.last.as_ref().is_some_and(|(_, plan)| !plan.waiting.is_empty());
        let rewinds = self.memory.parent.as_ref().is_some_and(|parent| parent.rewind.is_some());
        if waiting || !self.memory.failed.is_empty() || self.memory.behind || rewinds {
            waits.push(Wait::Others);
        }
        let left = |end: Timestamp| Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO);
        let retries = self.memory.failed.values().filter_map(|failure| failure.retry_at);
        waits.extend(retries.filter(|at| *at > now).map(|at| Wait::Retry(left(at))));
        if self.memory.rejected.is_some() || self.is_without_past() {
            waits.push(Wait::Commit);
        }
        if let Some(good) = self.worked_for() {
            let deadline = good.desired().environment.deadlines.healthy;
            let end = until_deadline(&self.memory.unwell, deadline, now);
            waits.extend(end.map(|left| Wait::Time(left + Duration::from_millis(100))));
        }
        let flips = self.memory.flips.next_end(now);
        waits.extend(flips.map(|end| Wait::Time(left(end) + Duration::from_millis(100))));
        SignedDuration::try_from(next(&waits)).unwrap_or(SAFETY_INTERVAL)
    }

    fn status(
        &self,
        wanted: &Wanted,
        good: Option<&Good>,
        state: State,
        judgement: Judgement,
    ) -> EnvironmentStatus {
        let now = self.now();
        let before = self.memory.written.as_ref();
        // What is only loaded is not what stands in the cluster.
        let Progress { inputs, seen, applied, live, anew, looked: _, away: _, missed: _ } =
            self.memory.progress.clone();
        let good = good.filter(|good| inputs.as_ref() == Some(&good.target.inputs));
        let whole = good.filter(|_| applied.is_some());
        let (Wanted::Present(head, _) | Wanted::Missing(head)) = wanted;
        let told = before.and_then(|before| before.seen.clone()).filter(|_| self.memory.behind);
        let times = match good {
            Some(_) => Times { committed: None, seen, applied, live, anew },
            None => before.map(|before| before.times).unwrap_or_default(),
        };
        EnvironmentStatus {
            schema: SCHEMA.to_owned(),
            environment: self.name.clone(),
            cluster: "simulated".to_owned(),
            replica: self.local.borrow().name.clone(),
            seen: told.or_else(|| matches!(wanted, Wanted::Present(..)).then(|| info(head))),
            applied: whole
                .map(|good| info(&good.commit))
                .or_else(|| before.and_then(|before| before.applied.clone())),
            inputs: good
                .map(|good| good.target.inputs.clone())
                .or_else(|| before.and_then(|before| before.inputs.clone())),
            applied_inputs: whole
                .map(|good| good.target.inputs.clone())
                .or_else(|| before.and_then(|before| before.applied_inputs.clone())),
            rejected_inputs: None,
            held: self.recorded_hold(),
            state,
            reason: state.as_str().to_owned(),
            suspended: None,
            since: before.filter(|before| before.state == state).map_or(now, |before| before.since),
            next: None,
            counts: judgement.counts,
            problems: Listed::default(),
            objects: Listed::all(judgement.objects),
            drift: Vec::new(),
            drifted: Listed::default(),
            foreign: Listed::default(),
            unchecked: Vec::new(),
            unwatched: Vec::new(),
            workloads: Vec::new(),
            times,
            plan_id: good
                .map(|good| good.desired().plan_id.clone())
                .or_else(|| before.and_then(|before| before.plan_id.clone())),
            updated: now,
        }
    }

    async fn write_status(
        &mut self,
        status: EnvironmentStatus,
        settling: Option<Duration>,
    ) -> Result<Option<Duration>, CallError> {
        if self.memory.parent.is_none() {
            return Ok(None);
        }
        let now = self.now();
        let since = self.memory.written_at.map(|at| now.duration_since(at).unsigned_abs());
        match news(self.memory.written.as_ref(), &status, since, settling) {
            News::Nothing => return self.say(None).await.map(|()| None),
            News::Later(left) => return Ok(Some(left)),
            News::Now => {}
        }
        self.say(Some(status.clone())).await?;
        self.memory.written = Some(status);
        self.memory.written_at = Some(now);
        Ok(None)
    }

    /// One write of the parent: the record, and what else is due on it.
    async fn say(&mut self, status: Option<EnvironmentStatus>) -> Result<(), CallError> {
        let change = ParentChange { status, ..self.memory.unsaid.clone() };
        if change == ParentChange::default() {
            return Ok(());
        }
        self.write_parent(change).await?;
        self.memory.unsaid = ParentChange::default();
        Ok(())
    }
}

/// A commit as records name it.
pub(super) fn info(commit: &CommitId) -> CommitInfo {
    let time = Timestamp::UNIX_EPOCH;
    CommitInfo { id: commit.to_string(), subject: String::new(), author: String::new(), time }
}
