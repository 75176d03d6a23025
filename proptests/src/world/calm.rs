//! What a replica sends when nothing goes wrong, request by request: the five scenarios of the enumerated faults
//! (`daemon/tests/cluster/fault_run.rs`), in the simulated world. The order of requests here is a copy of the shell's; the same
//! list is held against the real daemon's requests there, so that neither changes unseen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::SignedDuration;
use serde_json::json;
use tidegate_core::ids::EnvironmentName;

use super::content::{Shape, Spec, item_id};
use super::fields::{path, put};
use super::git::Mirror;
use super::lane::Lane;
use super::replica::{Local, Shared};
use super::request::{Line, Request};
use super::server::World;
use super::tasks::Task;

/// The requests of all scenarios, as both sides must send them.
pub const EXPECTED: &str = include_str!("../../../daemon/tests/cluster/request_order.txt");

/// Three ConfigMaps and a Service, by their places in the items.
const ALL: [usize; 4] = [0, 1, 2, 4];
/// The first ConfigMap and the Service.
const FEW: [usize; 2] = [0, 4];
/// More requests than this are a loop.
const MOST_REQUESTS: usize = 200;

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Everything is made.
    Install,
    /// Every ConfigMap changes.
    Update,
    /// Two ConfigMaps leave git.
    Prune,
    /// A hand changes a ConfigMap.
    Repair,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Install, Self::Update, Self::Prune, Self::Repair];
}

fn spec(items: &[usize], text: u8) -> Spec {
    // The Service stays as it is.
    let text = |item: usize| if item == 4 { 1 } else { text };
    let objects: BTreeMap<usize, u8> = items.iter().map(|item| (*item, text(*item))).collect();
    Spec { objects, shape: Shape::Good, budget: 10 }
}

/// The requests of a scenario, in order: `VERB what`.
pub fn requests(scenario: Scenario) -> Vec<String> {
    let environment: EnvironmentName = "dev".parse().expect("it is a name");
    let world: Shared = Rc::new(RefCell::new(World::new(None)));
    let mut local = Local::new(0, "replica-0-0".to_owned(), Mirror::default(), world.borrow().now);
    local.ready = true;
    local.hear(&world.borrow(), usize::MAX);
    let local = Rc::new(RefCell::new(local));
    commit(&world, &local, &environment, &spec(&ALL, 1));
    let mut task =
        Task::of_lane(Lane::new(environment.clone(), local.clone(), world.clone(), Line::default()));
    let mut sent = until_idle(&world, &local, &mut task);
    match scenario {
        Scenario::Install => return sent,
        Scenario::Update => commit(&world, &local, &environment, &spec(&ALL, 2)),
        Scenario::Prune => commit(&world, &local, &environment, &spec(&FEW, 1)),
        Scenario::Repair => {
            let id = item_id(&environment, 0).expect("there is a first item");
            let mut world = world.borrow_mut();
            if let Some(mut after) = world.objects.get(&id).cloned() {
                put(&mut after, &path(&["data", "text"]), json!("by hand"));
                world.update(&id, after, "test", "");
            }
        }
    }
    sent.clear();
    sent.extend(until_idle(&world, &local, &mut task));
    sent
}

fn commit(world: &Shared, local: &Rc<RefCell<Local>>, environment: &EnvironmentName, spec: &Spec) {
    let mut world = world.borrow_mut();
    let tip = world.git.tip().cloned();
    let tip = world.git.commit(tip, BTreeMap::from([(environment.clone(), spec.clone())]));
    let mut local = local.borrow_mut();
    let local = &mut *local;
    local.mirror.take(&world.git, &tip, false);
    local.head = Some(tip);
    local.woken.insert(environment.clone());
}

/// Answers everything at once, until the lane sleeps and nothing wakes it for a while.
fn until_idle(world: &Shared, local: &Rc<RefCell<Local>>, task: &mut Task) -> Vec<String> {
    let mut sent = Vec::new();
    let end = world.borrow().now.saturating_add(SignedDuration::from_secs(30)).unwrap_or_default();
    while sent.len() < MOST_REQUESTS && world.borrow().now < end {
        local.borrow_mut().hear(&world.borrow(), usize::MAX / 2);
        let next =
            task.line.0.borrow().open.iter().next().map(|(ticket, request)| (*ticket, request.clone()));
        let Some((ticket, request)) = next else { break };
        let now = world.borrow().now;
        if !task.work.is_due(&local.borrow(), &request, now) {
            world.borrow_mut().pass(SignedDuration::from_secs(1));
            continue;
        }
        drop(task.line.take(ticket));
        sent.extend(name_of(&request));
        let reply = world.borrow_mut().serve(&request);
        task.line.reply(ticket, reply);
        task.poll();
    }
    sent
}

/// As a request to an API server; none for what is none.
fn name_of(request: &Request) -> Option<String> {
    let resource = |kind: &str| format!("{}s", kind.to_lowercase());
    Some(match request {
        Request::Get(id) => format!("GET {}", resource(&id.kind)),
        Request::Apply { id, dry_run: true, .. } => format!("PATCH {} dry-run", resource(&id.kind)),
        Request::Apply { id, .. } | Request::Migrate { id, .. } => format!("PATCH {}", resource(&id.kind)),
        Request::Delete { id, .. } => format!("DELETE {}", resource(&id.kind)),
        Request::ReadParent(_) => "GET parent".to_owned(),
        Request::CreateParent { .. } | Request::UpdateParent { .. } => "WRITE parent".to_owned(),
        Request::DeleteParent { .. } => "DELETE parent".to_owned(),
        Request::ReadShards(_) => "GET shard".to_owned(),
        Request::WriteShard { .. } => "WRITE shard".to_owned(),
        Request::Renew(_) | Request::Leases | Request::Poll | Request::Sleep { .. } => return None,
    })
}
