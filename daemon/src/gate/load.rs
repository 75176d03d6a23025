//! `load`: a small closed loop. A bounded number of connections send requests at a bounded rate, and wait for each answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tidegate_core::gate::load::{Came, Tally};
use tidegate_core::gate::{Judgement, Miss};
use tidegate_core::policy::{LoadGate, Reach};
use tidegate_core::rollout::Verdict;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::door::Door;
use super::request::Prepared;
use super::session::Session;
use super::{Asking, pods};

/// Whatever a policy says, no more requests a second.
const RATE_CAP: u64 = 1_000;
/// Nor for longer.
const DURATION_CAP: Duration = Duration::from_mins(10);
/// A request that begins later than this after the last one is due is not sent: its pods were too slow.
const LATE: Duration = Duration::from_millis(500);
/// Connections at a time.
const CONNECTIONS: usize = 32;
/// The same through the API server: each is a stream that it keeps.
const STREAMS: usize = 8;

pub async fn ask(asking: &Asking<'_>, gate: &LoadGate, until: Instant) -> Judgement {
    let prepared = match Prepared::of_gate(asking, &gate.request) {
        Ok(prepared) => prepared,
        Err(why) => return Judgement::unknown(why),
    };
    let doors = match pods::doors(asking, gate.request.port.as_ref()).await {
        Ok(doors) => doors,
        Err(why) => return Judgement::unknown(why),
    };
    let connections = match asking.reach {
        Reach::Direct => CONNECTIONS,
        Reach::ApiServer => STREAMS,
    };
    let plan = Plan::new(gate, until);
    let (tally, sent) = drive(&doors, &prepared, gate, &plan, connections).await;
    let suspicious = tally.is_suspicious();
    let judgement = tally.judge(gate, &asking.gate.location, plan.total, sent);
    match judgement.verdict {
        Verdict::Fail if suspicious => unless_gone(asking, &doors, judgement).await,
        Verdict::Fail | Verdict::Pass | Verdict::Unknown => judgement,
    }
}

/// Errors of a pod that is being taken away are not the revision's.
async fn unless_gone(asking: &Asking<'_>, doors: &[Door], judgement: Judgement) -> Judgement {
    let names: Vec<String> = doors.iter().map(|door| door.whose.clone()).collect();
    match pods::gone(asking, &names).await {
        Ok(gone) => match gone.first() {
            None => judgement,
            Some(pod) => {
                Judgement::unknown(format!("pod {pod} was taken away meanwhile; {}", judgement.summary))
            }
        },
        Err(error) => Judgement::unknown(format!(
            "whether all pods are still there cannot be told ({error}); {}",
            judgement.summary
        )),
    }
}

/// When each request is due.
pub(super) struct Plan {
    begun: Instant,
    rate: u64,
    /// How many requests in all.
    pub(super) total: u64,
    /// How late the last one may begin.
    pub(super) late: Duration,
    /// Nothing is sent or waited for after this.
    end: Instant,
}

impl Plan {
    pub(super) fn new(gate: &LoadGate, until: Instant) -> Self {
        let rate = u64::from(gate.rate).clamp(1, RATE_CAP);
        let duration = gate.duration.min(DURATION_CAP);
        let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).saturating_mul(rate) / 1_000;
        let begun = Instant::now();
        Self { begun, rate, total: total.max(1), late: LATE, end: until }
    }

    /// When the n-th is due, from 0.
    fn due(&self, n: u64) -> Instant {
        self.begun + Duration::from_micros(n.saturating_mul(1_000_000) / self.rate)
    }

    /// No request begins after this: whoever is late then was too slow.
    fn last_begin(&self) -> Instant {
        (self.due(self.total) + self.late).min(self.end)
    }
}

/// Sends what the plan says; what came of it, and how many were sent.
pub(super) async fn drive(
    doors: &[Door],
    prepared: &Prepared,
    gate: &LoadGate,
    plan: &Plan,
    connections: usize,
) -> (Tally, u64) {
    let tally = Mutex::new(Tally::new(gate));
    let (next, sent) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = Work { prepared, gate, plan, tally: &tally, next: &next, sent: &sent };
    let total = usize::try_from(plan.total).unwrap_or(usize::MAX);
    let count = connections.max(doors.len().min(CONNECTIONS)).min(total);
    // The futures are made before they are joined: a closure would not be general enough for a spawned task.
    let mut workers = Vec::with_capacity(count);
    for door in doors.iter().cycle().take(count) {
        workers.push(work.on(door));
    }
    join_all(workers).await;
    (tally.into_inner(), sent.into_inner())
}

/// What the workers share.
struct Work<'a> {
    prepared: &'a Prepared,
    gate: &'a LoadGate,
    plan: &'a Plan,
    tally: &'a Mutex<Tally>,
    next: &'a AtomicU64,
    sent: &'a AtomicU64,
}

impl Work<'_> {
    /// One worker, until the plan ends.
    async fn on(&self, door: &Door) {
        let Self { prepared, gate, plan, tally, next, sent } = self;
        let mut session = None;
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= plan.total {
                return;
            }
            sleep_until(plan.due(n)).await;
            if Instant::now() > plan.last_begin() {
                return;
            }
            let Ok(came) = timeout_at(plan.end, send(&mut session, door, prepared)).await else { return };
            sent.fetch_add(1, Ordering::Relaxed);
            tally.lock().await.add(gate, &door.whose, came);
        }
    }
}

/// One request over the worker's connection, or over a new one where it has none.
async fn send(session: &mut Option<Session>, door: &Door, prepared: &Prepared) -> Came {
    let kept = session.take().filter(Session::is_open);
    let was_kept = kept.is_some();
    let mut current = match kept {
        Some(kept) => kept,
        None => match Session::open(door).await {
            Ok(new) => new,
            Err(miss) => return Came::Miss(miss),
        },
    };
    let miss = match current.ask(prepared).await {
        Ok(answer) => {
            *session = Some(current);
            return Came::Answer(answer.status, answer.elapsed);
        }
        Err(miss) => current.explain(miss).await,
    };
    // A server may close a connection that it has kept open just when the next request is on its way.
    if was_kept && matches!(miss, Miss::Cut) {
        return again(session, door, prepared).await;
    }
    Came::Miss(miss)
}

async fn again(session: &mut Option<Session>, door: &Door, prepared: &Prepared) -> Came {
    let mut fresh = match Session::open(door).await {
        Ok(fresh) => fresh,
        Err(miss) => return Came::Miss(miss),
    };
    match fresh.ask(prepared).await {
        Ok(answer) => {
            *session = Some(fresh);
            Came::Answer(answer.status, answer.elapsed)
        }
        Err(miss) => Came::Miss(fresh.explain(miss).await),
    }
}
