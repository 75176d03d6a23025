//! The workloads of an environment that roll out in colours: each has a lane of its own ([`crate::rollout`]); this one says what
//! git asks of it, in its turn among the waves, and reads how it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::runtime::events::{Recorder, Reporter};
use tidegate_core::inventory::{ENVIRONMENT, PART_OF};
use tidegate_core::object::{DesiredObject, Gvk, ObjectId};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::rollout::{Phase, WorkloadState, WorkloadStatus};
use tidegate_core::status::State;
use tidegate_core::workload::{Colours, Workload};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::Rounds;
use super::lane::Lane;
use super::rollout_services::HeldServices;
use super::rollout_tasks::held_tasks;
use super::standings::Standings;
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{ParentChange, WORKLOADS, workloads_text};
use crate::rollout::ask::Asking;
use crate::rollout::board::{Board, Entry, key};
use crate::rollout::calls::Calls;
use crate::rollout::kept::Kept;
use crate::rollout::lane::{Task, Want, WorkloadLane};
use crate::rollout::leaving::Leaving;
use crate::rollout::leaving::Stays;
use crate::rollout::tell::{About, Teller};
use crate::world::DesiredSet;

/// The lanes of workloads.
#[derive(Default)]
pub struct Rollouts {
    board: Board,
    lanes: BTreeMap<String, Running>,
    /// Those that have gone back to having no colours: the ordinary engine has them again.
    plain: BTreeSet<String>,
    /// Those that had colours, are in git, and no policy matches any more.
    unmatched: BTreeSet<String>,
    /// Services that are theirs.
    pub(super) held: HeldServices,
    /// Deletes that go beyond the budget.
    pub(super) over_budget: Option<Problem>,
}

/// A lane that runs; dropped, it ends where it stands.
struct Running {
    task: watch::Sender<Task>,
    wake: Arc<Notify>,
    handle: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Rollouts {
    /// Nothing runs yet; `changed` is woken when a workload stands otherwise.
    pub fn new(changed: Arc<Notify>) -> Self {
        Self { board: Board::new(changed), ..Self::default() }
    }

    /// Nobody works on any of them: another replica does, or nothing may be written.
    pub fn stop(&mut self) {
        for key in std::mem::take(&mut self.lanes).into_keys() {
            self.board.forget(&key);
        }
    }

    /// How they stand, by namespace and name. What has no colours any more is among the environment's objects.
    pub fn statuses(&self) -> Vec<WorkloadStatus> {
        let coloured = self.board.all().into_iter().filter(|(name, _)| !self.plain.contains(name));
        coloured.filter_map(|(_, entry)| entry.status).collect()
    }

    /// Those that no policy matches any more go on by what they were told last, and begin nothing new: what is live is watched,
    /// and goes back from an open bake.
    fn unled(&self, unmatched: &BTreeSet<String>) -> BTreeMap<String, Task> {
        let running = self.lanes.iter().filter(|(name, _)| unmatched.contains(*name));
        let tasks = running.map(|(name, running)| (name.clone(), running.task.borrow().clone()));
        // One that was about to go has nothing to go on by: git has it again.
        let rolled = tasks.filter(|(_, task)| matches!(task.want, Want::Rolled(_)));
        rolled
            .map(|(name, task)| {
                let leaving = Leaving { may_delete: false, is_held: true, ..task.leaving.clone() };
                (name, Task { held: Some("no policy matches it any more".to_owned()), leaving, ..task })
            })
            .collect()
    }

    /// For what waits for it: it is at what git asks for. One that has lost its pods since then keeps nobody waiting: what comes
    /// later may be what it needs.
    fn is_live(&self, desired: &DesiredSet, workload: &Workload) -> bool {
        let mut entry = self.board.all().remove(&key_of(workload)).unwrap_or_default();
        if let Some(status) = entry.status.as_mut().filter(|status| status.state == WorkloadState::Degraded) {
            status.state = WorkloadState::Live;
        }
        judged(&entry, desired, workload) == State::Live
    }
}

impl Lane {
    /// What the ordinary engine enforces: all that rolls out in colours is left to its lane.
    pub(super) fn without_rollouts(&self, desired: Arc<DesiredSet>) -> Arc<DesiredSet> {
        let Rollouts { plain, held, .. } = &self.rollouts;
        let unmatched = self.unmatched(&desired);
        let is_held = desired.ordinary.iter().any(|object| held.hold(object));
        if unmatched.is_empty() && plain.is_empty() && !is_held {
            return desired;
        }
        let mut set = DesiredSet::clone(&desired);
        let kept_back: Vec<_> = desired
            .objects
            .iter()
            .filter(|object| {
                object.reference.gvk.kind == "Deployment" && unmatched.contains(&key_of_object(object))
            })
            .collect();
        set.ordinary.retain(|object| !kept_back.iter().any(|deployment| belongs_to(object, deployment)));
        // One that gets colours with this commit is no longer the ordinary engine's.
        let is_finished =
            |workload: &&Arc<Workload>| workload.mode == Colours::Plain && plain.contains(&key_of(workload));
        let finished = desired.workloads.iter().filter(is_finished);
        set.ordinary.extend(finished.flat_map(|workload| workload.plain()));
        set.ordinary.retain(|object| !held.hold(object));
        set.ordinary.sort_by_cached_key(|object| (object.wave, object.reference.id()));
        set.ordinary.dedup_by_key(|object| object.reference.id());
        Arc::new(set)
    }

    /// Workloads with colours that git has and no policy matches.
    fn unmatched(&self, desired: &DesiredSet) -> BTreeSet<String> {
        let matched: BTreeSet<String> = desired.workloads.iter().map(|workload| key_of(workload)).collect();
        let known = self.known_workloads();
        let in_git = |name: &String| {
            desired.objects.iter().any(|object| {
                object.reference.gvk.kind == "Deployment"
                    && *name
                        == key(
                            object.reference.namespace.as_deref().unwrap_or_default(),
                            &object.reference.name,
                        )
            })
        };
        known.into_iter().filter(|name| !matched.contains(name) && in_git(name)).collect()
    }

    pub(super) fn known_workloads(&self) -> BTreeSet<String> {
        self.memory.parent.as_ref().map(|parent| parent.workloads.clone()).unwrap_or_default()
    }

    /// The ordinary engine no longer owns what rolls out, or is kept back: it neither applies nor deletes it.
    pub(super) fn hand_over(&mut self, desired: &DesiredSet) {
        let Some((inventory, stored)) = &mut self.memory.inventory else { return };
        let enforced: BTreeSet<ObjectId> =
            desired.ordinary.iter().map(|object| object.reference.id()).collect();
        let all = desired.objects.iter().map(|object| object.reference.id());
        let ids: Vec<ObjectId> = all.filter(|id| !enforced.contains(id)).collect();
        for id in ids {
            if inventory.forget(&id) {
                stored.outdate();
            }
        }
    }

    /// Says what git asks of each workload, once what comes before it is applied.
    pub(super) async fn roll_out(
        &mut self,
        cluster: &Arc<Cluster>,
        desired: &Arc<DesiredSet>,
    ) -> Result<(), CallError> {
        let known = self.known_workloads();
        if desired.workloads.is_empty() && known.is_empty() && self.rollouts.lanes.is_empty() {
            return Ok(());
        }
        let unmatched = self.unmatched(desired);
        let mut tasks = self.tasks(desired, &known, &unmatched);
        tasks.extend(self.rollouts.unled(&unmatched));
        let names: BTreeSet<String> = tasks.keys().chain(&unmatched).cloned().collect();
        let coloured: BTreeSet<String> = names.difference(&self.rollouts.plain).cloned().collect();
        if !coloured.is_subset(&known) {
            // Before anything of them is made: whoever comes after a kill knows of them.
            self.say_workloads(cluster, known.union(&coloured).cloned().collect()).await?;
        }
        self.rollouts.unmatched = unmatched;
        watch_kinds(cluster, desired, &names).await?;
        let gone: Vec<String> =
            self.rollouts.lanes.keys().filter(|name| !tasks.contains_key(*name)).cloned().collect();
        for name in gone {
            self.rollouts.lanes.remove(&name);
            self.rollouts.board.forget(&name);
        }
        self.hand_out(cluster, tasks);
        self.finish(cluster, desired).await
    }

    /// While the environment waits for others or is gone from git, what is live is watched and kept, and nothing new is begun.
    pub(super) async fn keep_rollouts(&mut self, cluster: &Arc<Cluster>, why: &str) -> Result<(), CallError> {
        let Some(desired) = self.worked_for() else { return Ok(()) };
        let known = self.known_workloads();
        if known.is_empty() {
            return Ok(());
        }
        let log = self.clerk().map(|clerk| (clerk, self.who_asks(&desired)));
        let tasks = held_tasks(&desired, &known, log, why);
        watch_kinds(cluster, &desired, &known).await?;
        self.hand_out(cluster, tasks);
        Ok(())
    }

    fn hand_out(&mut self, cluster: &Arc<Cluster>, tasks: BTreeMap<String, Task>) {
        for (name, task) in tasks {
            match self.rollouts.lanes.get(&name) {
                Some(running) if !running.handle.is_finished() => {
                    running.task.send_replace(task);
                    running.wake.notify_one();
                }
                Some(_) | None => {
                    let running = self.start(cluster, &name, task);
                    self.rollouts.lanes.insert(name, running);
                }
            }
        }
    }

    /// Takes in which workloads have gone, or have no colours any more.
    async fn finish(&mut self, cluster: &Cluster, desired: &DesiredSet) -> Result<(), CallError> {
        let entries = self.rollouts.board.all();
        let is_gone = |name: &String| entries.get(name).is_some_and(|entry| entry.is_gone);
        let asked: BTreeSet<String> = asked_of(desired).iter().map(|workload| key_of(workload)).collect();
        let gone: BTreeSet<String> = self
            .rollouts
            .lanes
            .keys()
            .filter(|name| is_gone(name) && !asked.contains(*name))
            .cloned()
            .collect();
        let is_plain = |workload: &&Arc<Workload>| {
            let status = entries.get(&key_of(workload)).and_then(|entry| entry.status.as_ref());
            let has_no_colours = status.is_some_and(|status| {
                status.serves.is_none() && status.slots.blue.is_none() && status.slots.green.is_none()
            });
            workload.mode == Colours::Plain
                && status.is_some_and(|status| status.phase == Phase::Steady)
                && has_no_colours
        };
        let plain: BTreeSet<String> =
            desired.workloads.iter().filter(is_plain).map(|workload| key_of(workload)).collect();
        if plain != self.rollouts.plain {
            self.rollouts.plain = plain;
            self.wake.notify_one();
        }
        // What has no colours any more is an ordinary Deployment, whatever policies say of it later.
        let known = self.known_workloads();
        let left: BTreeSet<String> = known
            .iter()
            .filter(|name| !gone.contains(*name) && !self.rollouts.plain.contains(*name))
            .cloned()
            .collect();
        if left != known {
            self.say_workloads(cluster, left).await?;
        }
        for name in gone {
            self.rollouts.lanes.remove(&name);
            self.rollouts.board.forget(&name);
        }
        Ok(())
    }

    async fn say_workloads(&mut self, cluster: &Cluster, names: BTreeSet<String>) -> Result<(), CallError> {
        let annotations = BTreeMap::from([(WORKLOADS.to_owned(), workloads_text(&names))]);
        self.write_parent(cluster, ParentChange { annotations, status: None }).await
    }

    /// The lowest wave with a workload that is not live: ordinary objects of later waves wait for it.
    pub(super) fn unfinished_workloads(&self, desired: &DesiredSet) -> Option<i32> {
        let waited_for = desired.workloads.iter().filter(|workload| !self.is_finished(desired, workload));
        waited_for.map(|workload| workload.wave).min()
    }

    pub(super) fn is_finished(&self, desired: &DesiredSet, workload: &Workload) -> bool {
        let is_plain = workload.mode == Colours::Plain && self.rollouts.plain.contains(&key_of(workload));
        is_plain || self.rollouts.is_live(desired, workload)
    }

    fn start(&self, cluster: &Arc<Cluster>, name: &str, task: Task) -> Running {
        let (namespace, app) = name.split_once('/').unwrap_or(("default", name));
        let calls = Calls::new(cluster.client.clone(), namespace.to_owned());
        let marks = self.marks();
        let environment = self.name.to_string();
        let owner = BTreeMap::from([
            (PART_OF.to_owned(), marks.apply_set.clone()),
            (ENVIRONMENT.to_owned(), marks.environment.clone()),
        ]);
        let reporter =
            Reporter { controller: "tidegate".to_owned(), instance: Some(self.shared.replica.clone()) };
        let teller = Teller {
            environment: environment.clone(),
            namespace: namespace.to_owned(),
            metrics: self.shared.metrics.clone(),
            recorder: Recorder::new(cluster.client.clone(), reporter),
            about: About::default(),
        };
        let asking =
            Asking::new(cluster.client.clone(), task.reach, self.shared.gate_addresses.clone(), owner);
        let (sender, receiver) = watch::channel(task);
        let wake = Arc::new(Notify::new());
        let lane = WorkloadLane::new(
            calls.clone(),
            Kept::new(&calls, &environment, app),
            marks,
            app.to_owned(),
            receiver,
            wake.clone(),
            self.rollouts.board.within(namespace),
            teller,
            asking,
        );
        Running { task: sender, wake, handle: tokio::spawn(lane.run()) }
    }

    /// The standings of the environment with those of its workloads.
    pub(super) fn with_workloads(&self, desired: &DesiredSet, standings: &mut Standings) {
        if desired.workloads.is_empty() && self.known_workloads().is_empty() {
            return;
        }
        if let Some(problem) = &self.rollouts.over_budget {
            standings.problems.push(problem.clone());
            standings.is_well = false;
        }
        for name in &self.rollouts.unmatched {
            standings.problems.push(unmatched(name));
            worsen(standings, State::Degraded, &format!("{name} has colours and no policy matches it"));
        }
        let entries = self.rollouts.board.all();
        let mut all_settled = true;
        let asked: BTreeSet<String> = asked_of(desired).iter().map(|workload| key_of(workload)).collect();
        for workload in asked_of(desired) {
            let name = key_of(workload);
            if workload.mode == Colours::Plain && self.rollouts.plain.contains(&name) {
                continue;
            }
            let entry = entries.get(&name).cloned().unwrap_or_default();
            let follow = entry.followers.iter();
            standings.problems.extend(follow.map(|(service, why)| follower_left(service, &name, why)));
            all_settled &= entry.is_settled;
            match judged(&entry, desired, workload) {
                State::Live => {}
                state => worsen(standings, state, &told(&name, desired, &entry)),
            }
            standings.problems.extend(problem_of(workload, desired, &entry));
        }
        let coloured = asked.difference(&self.rollouts.plain).count();
        if standings.state == State::Live && coloured > 0 {
            standings.reason = and_workloads(standings, coloured);
        }
        for name in self.known_workloads().difference(&asked) {
            if self.rollouts.unmatched.contains(name) {
                continue;
            }
            let entry = entries.get(name).cloned().unwrap_or_default();
            let goes = entry.status.is_some() && entry.stays.is_none();
            all_settled &= !goes;
            standings.problems.extend(entry.stays.as_ref().map(|why| left_behind(name, why)));
        }
        standings.settled = standings.state.is_settled() && all_settled;
    }

    /// After the rounds of a pass: workloads are told what git asks for.
    pub(super) async fn follow_rounds(
        &mut self,
        cluster: &Arc<Cluster>,
        desired: &Arc<DesiredSet>,
        rounds: Rounds,
    ) -> Result<(), CallError> {
        match rounds {
            Rounds::Settled => self.roll_out(cluster, desired).await,
            // They go on with what they were told last.
            Rounds::Unfinished => Ok(()),
        }
    }
}

/// True for a Deployment itself, and for what leads to its pods or sizes them: applied plainly it would undo the colours.
fn belongs_to(object: &DesiredObject, deployment: &DesiredObject) -> bool {
    if object.reference.namespace != deployment.reference.namespace {
        return false;
    }
    let (value, pods) = (object.to_value(), deployment.to_value());
    let labels = pods.pointer("/spec/template/metadata/labels").and_then(|labels| labels.as_object());
    let selects = |pointer: &str| {
        let selector = value.pointer(pointer).and_then(|selector| selector.as_object());
        selector.is_some_and(|selector| {
            let is_had =
                |(key, wanted): (&String, _)| labels.is_some_and(|labels| labels.get(key) == Some(wanted));
            !selector.is_empty() && selector.iter().all(is_had)
        })
    };
    match object.reference.gvk.kind.as_str() {
        "Deployment" => object.reference.name == deployment.reference.name,
        "Service" => selects("/spec/selector"),
        "PodDisruptionBudget" => selects("/spec/selector/matchLabels"),
        "HorizontalPodAutoscaler" => {
            let target = value.pointer("/spec/scaleTargetRef/name").and_then(|name| name.as_str());
            target == Some(deployment.reference.name.as_str())
        }
        _ => false,
    }
}

fn key_of_object(object: &DesiredObject) -> String {
    key(object.reference.namespace.as_deref().unwrap_or_default(), &object.reference.name)
}

/// The workloads that git asks for; none of an environment that is taken down.
fn asked_of(desired: &DesiredSet) -> &[Arc<Workload>] {
    if desired.environment.decommission { &[] } else { &desired.workloads }
}

pub(super) fn key_of(workload: &Workload) -> String {
    key(workload.reference.namespace.as_deref().unwrap_or_default(), workload.app())
}

/// Deployments and Services are watched, whether or not the ordinary engine has any.
async fn watch_kinds(
    cluster: &Cluster,
    desired: &DesiredSet,
    names: &BTreeSet<String>,
) -> Result<(), CallError> {
    let of_names =
        names.iter().filter_map(|name| name.split_once('/')).map(|(namespace, _)| namespace.to_owned());
    let namespaces: BTreeSet<String> = of_names
        .chain(desired.workloads.iter().filter_map(|workload| workload.reference.namespace.clone()))
        .collect();
    for (api_version, kind) in [("apps/v1", "Deployment"), ("v1", "Service")] {
        let gvk = Gvk::from_api_version(api_version, kind);
        if let Some(served) = cluster.kinds.resolve(&gvk).await? {
            cluster.watches.ensure(&gvk, &served, &namespaces);
        }
    }
    Ok(())
}

/// How a workload stands at what git asks for; what was found of another commit says nothing of it.
fn judged(entry: &Entry, desired: &DesiredSet, workload: &Workload) -> State {
    if entry.trouble.is_some() && entry.is_settled {
        return State::Degraded;
    }
    if !is_about(entry, desired) {
        return State::Progressing;
    }
    let asked = entry.status.as_ref().and_then(|status| status.desired.as_ref());
    let is_about = asked.is_some_and(|asked| *asked == workload.revision.to_string());
    if !is_about && workload.mode == Colours::Coloured {
        return State::Progressing;
    }
    match entry.status.as_ref().map(|status| status.state) {
        Some(WorkloadState::Live) => State::Live,
        Some(WorkloadState::Waiting) => State::Waiting,
        Some(WorkloadState::Degraded | WorkloadState::Rejected | WorkloadState::Halted) => State::Degraded,
        Some(WorkloadState::Moving | WorkloadState::Baking) | None => State::Progressing,
    }
}

/// Its lane has looked at what this commit asks for: its size may be another one where its revision is the same.
fn is_about(entry: &Entry, desired: &DesiredSet) -> bool {
    entry.commit == desired.revision.id()
}

fn told(name: &str, desired: &DesiredSet, entry: &Entry) -> String {
    match (&entry.trouble, &entry.status) {
        (Some(trouble), _) => format!("{name}: {trouble}"),
        (None, Some(status)) if is_about(entry, desired) => format!("{name}: {}", status.reason),
        (None, Some(_) | None) => format!("{name} is not looked at yet"),
    }
}

/// An environment stands no better than each of its workloads.
fn worsen(standings: &mut Standings, state: State, reason: &str) {
    standings.is_well = false;
    let rank = |state: State| match state {
        State::Live => 0,
        State::Progressing => 1,
        State::Waiting => 2,
        State::Degraded => 3,
        State::Applying | State::RolledBack | State::Failed | State::Suspended | State::Unreachable => 4,
    };
    if rank(state) > rank(standings.state) {
        standings.state = state;
        reason.clone_into(&mut standings.reason);
    }
}

/// How all is well, with the workloads beside the objects.
fn and_workloads(standings: &Standings, count: usize) -> String {
    let told = if count == 1 {
        "1 workload is live in its colours".to_owned()
    } else {
        format!("{count} workloads are live in their colours")
    };
    if standings.judgement.counts.objects == 0 { told } else { format!("{}, {told}", standings.reason) }
}

/// What is wrong with a workload, told whole.
fn problem_of(workload: &Workload, desired: &DesiredSet, entry: &Entry) -> Option<Problem> {
    let mut location = workload.object.location();
    location.file = format!("{}{}", desired.prefix, location.file).into();
    if let Some(trouble) = &entry.trouble {
        let help = "traffic stays where it is; once what keeps the step back is out of the way, it is tried again by itself";
        return Some(stuck(trouble).at(location).object(&workload.reference).help(help));
    }
    let status = entry.status.as_ref()?;
    let failure = status.failure.as_ref().map(|failure| failure.problem(&workload.reference));
    let problem = match status.state {
        WorkloadState::Rejected => failure.unwrap_or_else(|| {
            Problem::error(Code::RolloutRejected, status.reason.clone())
                .help("revert the commit, or mend it with another one; where something else kept it, `tidegate retry` tries the same again")
        }),
        WorkloadState::Degraded => {
            let message = format!("none of its pods is ready: {}", status.reason);
            Problem::error(Code::RolloutStuck, message).help(
                "look at its pods (`tidegate tree`, `kubectl logs`); a commit that mends it, or a revert, rolls out as any other",
            )
        }
        WorkloadState::Halted => {
            let help = if status.phase == Phase::Stranded {
                "commit another revision, or mend what both colours need; traffic stays where it is"
            } else {
                "look at what serves; then `tidegate resume`, or commit another revision"
            };
            let halted = Problem::error(Code::RolloutHalted, status.reason.clone()).help(help);
            match failure {
                Some(Problem { related, notes, .. }) => Problem { related, notes, ..halted },
                None => halted,
            }
        }
        WorkloadState::Live | WorkloadState::Moving | WorkloadState::Baking | WorkloadState::Waiting => {
            return None;
        }
    };
    let location = problem.location.clone().unwrap_or(location);
    Some(problem.at(location).object(&workload.reference))
}

/// A rollout that does not go on.
pub fn stuck(trouble: &str) -> Problem {
    Problem::error(Code::RolloutStuck, format!("the rollout does not go on: {trouble}"))
}

fn left_behind(name: &str, why: &Stays) -> Problem {
    Problem::warning(Code::RolloutStuck, format!("{name} has left git and stays with its colours: {why}"))
        .help(why.help())
}

fn follower_left(service: &str, workload: &str, why: &Stays) -> Problem {
    let namespace = workload.split_once('/').map_or("", |(namespace, _)| namespace);
    let message = format!(
        "Service {namespace}/{service} has left git and stays, where it follows the traffic of {workload}: {why}"
    );
    Problem::warning(Code::RolloutStuck, message).help(why.help())
}

fn unmatched(name: &str) -> Problem {
    Problem::error(
        Code::RolloutStuck,
        format!("{name} rolls out in colours, and no policy matches it any more"),
    )
    .help(
        "match it again, or match it with a policy of `traffic: {mode: none}`, which takes the colours away",
    )
}
