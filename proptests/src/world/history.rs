//! One history of the world: replicas at work, git moving, hands, faults and kills, all from one seed; then calm, in which
//! everything must come to rest.

use std::cell::RefCell;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use tidegate_core::schedule::ReplicaId;

use super::bugs::Bug;
use super::chance::Chance;
use super::environments;
use super::git::Mirror;
use super::hands;
use super::replica::{Local, Shared};
use super::request::{CallError, Reply, Request};
use super::server::World;
use super::tasks::{Task, tasks_of};
use super::trace::{self, short, shorter};
use super::truth::Violation;

/// Steps of the part in which things go wrong.
const TURMOIL_STEPS: usize = 600;
/// More steps than this in the calm part: something runs in circles.
const CALM_STEPS: usize = 60_000;
/// Longest pause of a replica: a stopped process, a laptop's lid.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// Within so long after the last fault every environment is what it must be, and stays so (invariant 1)...
const LIVE_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// ... counted from when the pause of a lane that failed again and again, or a write that must be tried again, is over.
const LAST_BACKOFF: SignedDuration = SignedDuration::from_secs(60);
/// ... and from when a commit has missed its deadline, which is so long here (`content.rs`).
const DEADLINE: SignedDuration = SignedDuration::from_secs(8);
/// So often the world is looked at on its way to rest.
const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(700);
/// So long nothing may be written afterwards (invariant 2).
const IDLE_FOR: SignedDuration = SignedDuration::from_secs(60);

/// What a history came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What did not hold.
    pub violation: Option<Violation>,
    /// The last happenings, oldest first.
    pub trace: Vec<String>,
    /// Requests that were carried out.
    pub requests: u64,
    /// Plans that were made.
    pub plans: u64,
    /// Scheduler steps.
    pub steps: u64,
    /// Replicas that were killed.
    pub kills: u64,
    /// Requests whose fate was not the ordinary one.
    pub faults: u64,
    /// Moves of git and of hands.
    pub moves: u64,
    /// Commits that were rolled back from.
    pub rollbacks: u64,
    /// Writes of replicas that had been overtaken.
    pub overtaken: u64,
    /// Objects of such writes that are left and that no inventory names.
    pub strays: usize,
    /// How long the world took to come to rest.
    pub rest: SignedDuration,
}

impl Report {
    /// Adds the numbers of another history.
    pub fn add(&mut self, other: &Self) {
        let Self {
            violation: _,
            trace: _,
            requests,
            plans,
            steps,
            kills,
            faults,
            moves,
            rollbacks,
            overtaken,
            strays,
            rest,
        } = other;
        self.requests += requests;
        self.plans += plans;
        self.steps += steps;
        self.kills += kills;
        self.faults += faults;
        self.moves += moves;
        self.rollbacks += rollbacks;
        self.overtaken += overtaken;
        self.strays += strays;
        self.rest = self.rest.max(*rest);
    }
}

/// A replica: running, stopped for a while, or dead with what its disk keeps.
struct Replica {
    local: Rc<RefCell<Local>>,
    tasks: Vec<Task>,
    starts: usize,
    alive: bool,
    paused_until: Option<Timestamp>,
    frozen_until: Option<Timestamp>,
}

/// A request that may be carried out next: replica, task, ticket.
type Place = (usize, usize, u64);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Carried out, and answered.
    Served,
    /// Carried out; the reply is lost.
    ReplyLost,
    /// Not carried out; no reply.
    RequestLost,
    /// No reply; carried out some time later.
    Late,
    /// Answered with an error, and not carried out.
    Refused,
    /// Answered with an error, and carried out all the same.
    FailedButDone,
    /// The replica is killed before it is sent.
    KilledBefore,
    /// The replica is killed when it is carried out, before the reply is read.
    KilledAfter,
    /// The replica is killed, and the request is carried out later.
    KilledLate,
}

/// One history.
pub struct History {
    world: Shared,
    chance: Chance,
    replicas: Vec<Replica>,
    late: Vec<(Timestamp, Request)>,
    report: Report,
    calm: bool,
}

impl History {
    /// A new one.
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let world = Rc::new(RefCell::new(World::new(bug)));
        let mut history = Self {
            world,
            chance: Chance::new(seed),
            replicas: Vec::new(),
            late: Vec::new(),
            report: Report::default(),
            calm: false,
        };
        hands::begin(&mut history.world.borrow_mut(), &mut history.chance);
        for index in 0..2 {
            let replica = history.replica(index, 0, Mirror::default());
            history.replicas.push(replica);
        }
        history
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Report {
        self.turmoil();
        if self.violation().is_none() {
            self.rest();
        }
        let world = self.world.borrow();
        Report {
            violation: world.truth.violation.clone(),
            trace: world.trace.iter().cloned().collect(),
            requests: world.truth.requests,
            plans: world.truth.plans,
            rollbacks: world.truth.rollbacks,
            overtaken: world.truth.overtaken,
            strays: world.strays(),
            ..self.report.clone()
        }
    }

    fn violation(&self) -> Option<Violation> {
        self.world.borrow().truth.violation.clone()
    }

    fn turmoil(&mut self) {
        for _ in 0..TURMOIL_STEPS {
            if self.violation().is_some() {
                return;
            }
            self.happen();
            self.step();
        }
    }

    /// What happens beside requests.
    fn happen(&mut self) {
        self.tell_goods();
        if self.chance.happens(70) {
            self.report.moves += 1;
            hands::move_git_or_objects(&mut self.world.borrow_mut(), &mut self.chance);
        }
        let index = self.chance.below(self.replicas.len());
        let what = self.chance.below(1_000);
        let now = self.now();
        let Some(replica) = self.replicas.get_mut(index) else { return };
        match what {
            0..5 if replica.alive => replica.paused_until = now.checked_add(PAUSE).ok(),
            5..15 if replica.alive => {
                replica.frozen_until = now.checked_add(SignedDuration::from_secs(40)).ok();
            }
            15..45 if !replica.alive => self.start(index),
            45..52 => self.pass(SignedDuration::from_secs(20)),
            _ => {}
        }
        self.hear();
    }

    /// Watches tell some of what happened, unless they are frozen.
    fn hear(&mut self) {
        let now = self.now();
        let Self { world, chance, .. } = self;
        for replica in self.replicas.iter_mut().filter(|replica| replica.alive) {
            if replica.frozen_until.is_some_and(|until| until > now) {
                continue;
            }
            let events = if self.calm { usize::MAX / 2 } else { chance.below(4) };
            replica.local.borrow_mut().hear(&world.borrow(), events);
        }
    }

    /// One request, or time until there is one.
    fn step(&mut self) {
        self.report.steps += 1;
        let places = self.places();
        if places.is_empty() {
            self.wait();
            return;
        }
        let Some((replica, task, ticket)) = self.chance.pick(&places) else { return };
        let Some(line) =
            self.replicas.get(replica).and_then(|it| it.tasks.get(task)).map(|it| it.line.clone())
        else {
            return;
        };
        let Some(request) = line.take(ticket) else { return };
        let is_sleep = matches!(request, Request::Sleep { .. });
        let fate = if self.calm || is_sleep { Fate::Served } else { self.fate(&request) };
        let reply = self.decide(replica, &request, fate);
        if !is_sleep {
            let milliseconds = i64::try_from(1 + self.chance.below(9)).unwrap_or(1);
            self.pass(SignedDuration::from_millis(milliseconds));
        }
        match reply {
            Some(reply) => {
                line.reply(ticket, reply);
                self.poll(replica, task);
            }
            None => self.kill(replica),
        }
    }

    /// The requests that can be carried out now.
    fn places(&self) -> Vec<Place> {
        let now = self.now();
        let mut places = Vec::new();
        for (index, replica) in self.replicas.iter().enumerate() {
            if !replica.alive || replica.paused_until.is_some_and(|until| until > now) {
                continue;
            }
            for (place, task) in replica.tasks.iter().enumerate() {
                let wire = task.line.0.borrow();
                let local = replica.local.borrow();
                let due = wire.open.iter().filter(|(_, request)| task.work.is_due(&local, request, now));
                places.extend(due.map(|(ticket, _)| (index, place, *ticket)));
            }
        }
        places
    }

    /// Until something is due.
    fn wait(&mut self) {
        let now = self.now();
        let mut ends: Vec<Timestamp> = self.late.iter().map(|(at, _)| *at).collect();
        ends.extend(self.world.borrow().next_rollout());
        for replica in &self.replicas {
            ends.extend(replica.paused_until);
            ends.extend(replica.frozen_until);
            for task in &replica.tasks {
                let wire = task.line.0.borrow();
                ends.extend(wire.open.values().filter_map(|request| match request {
                    Request::Sleep { until, wake: _ } => Some(*until),
                    _ => None,
                }));
            }
        }
        let next = ends.into_iter().filter(|end| *end > now).min();
        let time = next.map_or(SignedDuration::from_secs(1), |next| next.duration_since(now));
        self.pass(time);
        self.hear();
    }

    fn pass(&mut self, time: SignedDuration) {
        self.world.borrow_mut().pass(time);
        let now = self.now();
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(Timestamp, Request)> = due;
        for (_, request) in due {
            let mut world = self.world.borrow_mut();
            let reply = world.serve(&request);
            world.note(|| format!("late: {} -> {}", short(&request), shorter(&reply)));
        }
    }

    fn fate(&mut self, request: &Request) -> Fate {
        let roll = self.chance.below(1_000);
        let write = request.is_write();
        match roll {
            0..8 if write => Fate::ReplyLost,
            8..16 => Fate::RequestLost,
            16..22 if write => Fate::Late,
            22..40 => Fate::Refused,
            40..46 if write => Fate::FailedButDone,
            46..54 => Fate::KilledBefore,
            54..68 if write => Fate::KilledAfter,
            68..72 if write => Fate::KilledLate,
            _ => Fate::Served,
        }
    }

    /// The reply to a request; none: the replica is killed.
    fn decide(&mut self, replica: usize, request: &Request, fate: Fate) -> Option<Reply> {
        let is_sleep = matches!(request, Request::Sleep { .. });
        self.report.faults += u64::from(fate != Fate::Served);
        let later = i64::try_from(50 + self.chance.below(20_000)).unwrap_or(50);
        let later = self.now().saturating_add(SignedDuration::from_millis(later)).unwrap_or(self.now());
        let error = self.error(request);
        let reply = match fate {
            Fate::Served => Some(self.world.borrow_mut().serve(request)),
            Fate::ReplyLost | Fate::KilledAfter | Fate::FailedButDone => {
                drop(self.world.borrow_mut().serve(request));
                match fate {
                    Fate::KilledAfter => None,
                    Fate::FailedButDone => Some(Err(CallError::Server)),
                    _ => Some(Err(CallError::Unreachable)),
                }
            }
            Fate::RequestLost => Some(Err(CallError::Unreachable)),
            Fate::Late | Fate::KilledLate => {
                self.late.push((later, request.clone()));
                (fate == Fate::Late).then_some(Err(CallError::Unreachable))
            }
            Fate::Refused => Some(Err(error)),
            Fate::KilledBefore => None,
        };
        let is_quiet = is_sleep
            || (fate == Fate::Served
                && matches!(request, Request::Poll | Request::Leases | Request::Renew(_)));
        if !is_quiet {
            let said = reply.as_ref().map_or_else(|| "killed".to_owned(), shorter);
            self.world.borrow_mut().note(|| format!("{replica}: {} -> {fate:?} {said}", short(request)));
        }
        reply
    }

    /// An error that the API server could answer.
    fn error(&mut self, request: &Request) -> CallError {
        match self.chance.below(5) {
            0 | 1 if request.is_write() => CallError::Conflict,
            0..3 => CallError::Refused("an admission webhook says no".to_owned()),
            3 => CallError::Busy,
            _ => CallError::Server,
        }
    }

    /// Faults end; everything must come to rest, be right, and stay so.
    fn rest(&mut self) {
        self.calm = true;
        for index in 0..self.replicas.len() {
            if let Some(replica) = self.replicas.get_mut(index) {
                replica.paused_until = None;
                replica.frozen_until = None;
            }
            if self.replicas.get(index).is_some_and(|replica| !replica.alive) && self.chance.happens(600) {
                self.start(index);
            }
        }
        if self.replicas.iter().all(|replica| !replica.alive) {
            self.start(0);
        }
        for (_, request) in std::mem::take(&mut self.late) {
            drop(self.world.borrow_mut().serve(&request));
        }
        self.tell_goods();
        hands::end(&mut self.world.borrow_mut(), &mut self.chance);
        let begun = self.now();
        self.world.borrow_mut().truth.calm_since = Some(begun);
        self.tell_who_lives();
        let deadline = begun.saturating_add(LIVE_WITHIN + LAST_BACKOFF + DEADLINE).unwrap_or(begun);
        let mut looked = begun;
        for _ in 0..CALM_STEPS {
            if self.violation().is_some() {
                return;
            }
            self.hear();
            self.step();
            if self.now().duration_since(looked) < LOOK_EVERY {
                continue;
            }
            looked = self.now();
            let missing = self.missing();
            if missing.is_none() {
                self.report.rest = self.now().duration_since(begun);
                self.stay();
                return;
            }
            if self.now() > deadline {
                let what = missing.unwrap_or_default();
                self.note_git();
                self.world.borrow_mut().violate("1", format!("after {LIVE_WITHIN:#}, {what}"));
                return;
            }
        }
        self.world.borrow_mut().violate("11", format!("{CALM_STEPS} requests did not come to rest"));
    }

    fn missing(&self) -> Option<String> {
        self.tell_goods();
        let world = self.world.borrow();
        environments().into_iter().find_map(|name| Some(format!("{name}: {}", world.ensure_liveness(&name)?)))
    }

    /// What has come to rest stays so: the second plan is empty, and nothing is written.
    fn stay(&mut self) {
        // What is right may still be on its way into the records: the last pass may come with the second look at a broken commit.
        self.go_on(SignedDuration::from_secs(45) + DEADLINE);
        for name in environments() {
            let broken = self.world.borrow().invariant_2_second_plan_is_empty(&name);
            if let Some(what) = broken {
                self.world.borrow_mut().violate("2", format!("{name}: {what}"));
            }
        }
        let writes = self.world.borrow().truth.writes;
        self.go_on(IDLE_FOR);
        let written = self.world.borrow().truth.writes - writes;
        if written > 0 {
            self.world
                .borrow_mut()
                .violate("2", format!("{written} writes after everything was as it must be"));
        }
        if let Some(what) = self.missing() {
            self.world.borrow_mut().violate("1", format!("it did not stay so: {what}"));
        }
    }

    fn go_on(&mut self, time: SignedDuration) {
        let end = self.now().saturating_add(time).unwrap_or(self.now());
        for _ in 0..CALM_STEPS {
            if self.now() > end || self.violation().is_some() {
                return;
            }
            self.hear();
            self.step();
        }
    }

    fn now(&self) -> Timestamp {
        self.world.borrow().now
    }

    fn replica(&mut self, index: usize, starts: usize, mirror: Mirror) -> Replica {
        let name = format!("replica-{index}-{starts}");
        let local = Rc::new(RefCell::new(Local::new(index, name, mirror, self.now())));
        let tasks = tasks_of(&local, &self.world);
        Replica { local, tasks, starts, alive: true, paused_until: None, frozen_until: None }
    }

    fn start(&mut self, index: usize) {
        let Some(old) = self.replicas.get(index) else { return };
        let starts = old.starts + 1;
        let lost_disk = self.chance.happens(200);
        let mirror = if lost_disk { Mirror::default() } else { old.local.borrow().mirror.clone() };
        let replica = self.replica(index, starts, mirror);
        self.world.borrow_mut().note(|| format!("replica {index} starts"));
        if let Some(slot) = self.replicas.get_mut(index) {
            *slot = replica;
        }
        self.tell_who_lives();
    }

    fn kill(&mut self, index: usize) {
        self.report.kills += 1;
        if let Some(replica) = self.replicas.get_mut(index) {
            replica.alive = false;
            replica.tasks.clear();
        }
        self.world.borrow_mut().note(|| format!("replica {index} is killed"));
        self.tell_who_lives();
    }

    fn tell_who_lives(&mut self) {
        let alive = self.replicas.iter().filter(|replica| replica.alive);
        let names = alive.map(|replica| ReplicaId(replica.local.borrow().name.clone())).collect();
        self.world.borrow_mut().truth.alive = names;
    }

    /// What git held, for people who look at a trace.
    fn note_git(&self) {
        let alive = self.replicas.iter().filter(|replica| replica.alive);
        let locals: Vec<_> = alive.map(|replica| replica.local.clone()).collect();
        trace::note_git(&mut self.world.borrow_mut(), &locals);
    }

    fn tell_goods(&self) {
        let alive = self.replicas.iter().filter(|replica| replica.alive);
        let goods = alive.filter_map(|replica| replica.local.borrow().mirror.good.clone()).collect();
        self.world.borrow_mut().truth.goods = goods;
    }

    fn poll(&mut self, replica: usize, task: usize) {
        let task = self.replicas.get_mut(replica).and_then(|replica| replica.tasks.get_mut(task));
        if let Some(task) = task {
            task.poll();
        }
    }
}
