//! What the lanes of one replica share: its mirror, what its watches have told it, who else lives. And the two tasks that
//! keep it so, as `daemon/src/cluster/handle.rs`, `store.rs`, `lease.rs` and `daemon/src/source/handle.rs` do.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_core::ids::{CommitId, EnvironmentName};
use tidegate_core::inventory::ENVIRONMENT;
use tidegate_core::object::{Gvk, ObjectId};
use tidegate_core::observed::LiveObject;
use tidegate_core::schedule::{LeaseRecord, LeaseView, ReplicaId, owner};
use tidegate_core::summarize::{detail_of, summarize};

use super::bugs::Bug;
use super::git::Mirror;
use super::request::{Answer, CallError, Lease, Line, Parent, Request};
use super::server::{News, World};

/// `RENEW_EVERY` of the daemon.
const RENEW_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// `DEAD_AFTER` of the daemon.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// The pause between two polls.
pub const POLL_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// `RECONNECT_CAP` of the daemon.
const RECONNECT_CAP: SignedDuration = SignedDuration::from_secs(30);

/// The world, as everything in it shares it.
pub type Shared = Rc<RefCell<World>>;

/// What the lanes of a replica share.
#[derive(Debug)]
pub struct Local {
    /// Which replica.
    pub index: usize,
    /// Its name, new with each start.
    pub name: String,
    /// Its mirror, which its disk keeps.
    pub mirror: Mirror,
    /// The head that the last poll gave.
    pub head: Option<CommitId>,
    /// A tip that the last poll refused.
    pub rewound: Option<CommitId>,
    /// What the watches of objects told.
    pub store: Store,
    /// What the watch of parents told.
    pub parents: BTreeMap<EnvironmentName, Parent>,
    /// How many events the watches have told.
    pub told: usize,
    /// The version of the cluster that the watches have reached.
    pub cursor: u64,
    /// Our Lease stands.
    pub ready: bool,
    /// Who lives, as far as this replica knows.
    pub live: Vec<ReplicaId>,
    /// Who was woken.
    pub woken: BTreeSet<EnvironmentName>,
    /// The source was asked to poll now.
    pub poll_now: bool,
    /// What its lane remembered when it last went to sleep, for those who tell states apart; none: nobody asks.
    pub remembers: Option<String>,
    /// A lane is in the middle of a pass: what a planted bug looks at.
    pub busy: bool,
    /// Until when the lane that failed last pauses: what a planted bug looks at.
    pub backs_off_until: Option<Timestamp>,
    started: Timestamp,
    leases: BTreeMap<String, LeaseView>,
}

impl Local {
    /// A replica that has just started.
    pub fn new(index: usize, name: String, mirror: Mirror, now: Timestamp) -> Self {
        Self {
            index,
            name,
            mirror,
            head: None,
            rewound: None,
            store: Store::default(),
            parents: BTreeMap::new(),
            told: 0,
            cursor: 0,
            ready: false,
            live: Vec::new(),
            woken: BTreeSet::new(),
            poll_now: false,
            remembers: None,
            busy: false,
            backs_off_until: None,
            started: now,
            leases: BTreeMap::new(),
        }
    }

    /// The watches tell so many more events.
    pub fn hear(&mut self, world: &World, events: usize) {
        let first = !self.store.synced;
        let end = if first { world.events.len() } else { (self.told + events).min(world.events.len()) };
        for event in world.events.get(self.told..end).into_iter().flatten() {
            self.cursor = event.version;
            match &event.news {
                News::Object { id, object, gone } => self.store.hear(id, object, *gone),
                News::Parent(environment, parent) => self.hear_parent(environment, parent.as_deref()),
            }
        }
        self.told = end;
        if end == world.events.len() {
            self.cursor = world.version;
        }
        if first {
            self.store.ends.clear();
        }
        self.store.synced = true;
        self.woken.extend(std::mem::take(&mut self.store.woken));
    }

    /// Takes in a parent that we have just made, before the watch shows it.
    pub fn note_made(&mut self, parent: &Parent) {
        self.parents.entry(parent.environment.clone()).or_insert_with(|| parent.clone());
    }

    /// Takes in that we have deleted a parent, before the watch shows it.
    pub fn note_deleted(&mut self, parent: &Parent) {
        if self.parents.get(&parent.environment).is_some_and(|known| known.uid == parent.uid) {
            self.parents.remove(&parent.environment);
        }
    }

    /// People's requests wake the lane, and what another replica recorded.
    fn hear_parent(&mut self, environment: &EnvironmentName, parent: Option<&Parent>) {
        let before = match parent {
            Some(parent) => self.parents.insert(environment.clone(), parent.clone()),
            None => self.parents.remove(environment),
        };
        let asks = |parent: &Parent| (parent.suspended, parent.rewind.clone());
        let stands = |parent: &Parent| {
            parent.status.as_ref().map(|status| (status.state, status.inputs.clone(), status.seen.clone()))
        };
        let by_other = parent
            .and_then(|parent| parent.status.as_ref())
            .is_some_and(|status| status.replica != self.name);
        let news = match (&before, parent) {
            (Some(before), Some(parent)) => {
                asks(before) != asks(parent) || (by_other && stands(before) != stands(parent))
            }
            (_, _) => true,
        };
        if news {
            self.woken.insert(environment.clone());
        }
    }

    /// True when this replica is the one that works on the environment.
    pub fn owns(&self, environment: &EnvironmentName) -> bool {
        owner(environment, &self.live).is_none_or(|owner| owner.0 == self.name)
    }

    fn note_leases(&mut self, leases: BTreeMap<String, Lease>, now: Timestamp) {
        let now = Duration::try_from(now.duration_since(self.started)).unwrap_or_default();
        let mut views = BTreeMap::new();
        for (name, Lease { holder, renewed, version }) in leases {
            let record = LeaseRecord { holder, renewed, resource_version: version.to_string() };
            let view = match self.leases.remove(&name) {
                Some(mut view) => {
                    view.observe(record, now);
                    view
                }
                None => LeaseView::first_seen(record, now),
            };
            views.insert(name, view);
        }
        self.leases = views;
        let alive = |view: &&LeaseView| view.holder() == self.name || view.is_alive(DEAD_AFTER, now);
        self.live =
            self.leases.values().filter(alive).map(|view| ReplicaId(view.holder().to_owned())).collect();
    }
}

/// Live objects as the watches told, and as the answers to our own writes said (`daemon/src/cluster/store.rs`).
#[derive(Debug, Default)]
pub struct Store {
    objects: BTreeMap<ObjectId, LiveObject>,
    ends: BTreeMap<String, String>,
    watched: BTreeSet<ObjectId>,
    woken: BTreeSet<EnvironmentName>,
    /// The first list has come.
    pub synced: bool,
}

impl Store {
    /// What is known of an object.
    pub fn get(&self, id: &ObjectId) -> Option<&LiveObject> {
        self.objects.get(id)
    }

    /// Takes in what was seen, unless something newer is known.
    pub fn observe(&mut self, id: ObjectId, live: LiveObject) {
        let newer = |known: &str| version(known) > version(&live.resource_version);
        if self.ends.get(&live.uid).is_some_and(|end| newer(end)) {
            return;
        }
        if self.objects.get(&id).is_some_and(|known| known.uid == live.uid && newer(&known.resource_version))
        {
            return;
        }
        if self.objects.get(&id) != Some(&live) {
            self.wake(&id);
        }
        self.objects.insert(id, live);
    }

    /// What is known of an object is not to be relied on any more.
    pub fn forget(&mut self, id: &ObjectId) {
        if self.objects.remove(id).is_some() {
            self.wake(id);
        }
    }

    /// A watch tells: it selects by our label, so that an object which loses it has gone.
    fn hear(&mut self, id: &ObjectId, object: &Value, gone: bool) {
        let gvk = gvk_of(object);
        let live = summarize(&gvk, detail_of(&gvk), object);
        let labels = object.pointer("/metadata/labels");
        let labelled = labels.is_some_and(|labels| labels.get(ENVIRONMENT).is_some());
        if labelled && !gone {
            self.watched.insert(id.clone());
            self.observe(id.clone(), live);
            return;
        }
        if self.watched.remove(id) {
            self.ends.insert(live.uid.clone(), live.resource_version.clone());
            if self.objects.get(id).is_some_and(|known| known.uid == live.uid) {
                self.objects.remove(id);
            }
            self.wake(id);
        }
    }

    /// The namespace names the environment, as the label does in the daemon.
    fn wake(&mut self, id: &ObjectId) {
        let name = id.namespace.as_deref().and_then(|namespace| namespace.strip_prefix("shop-"));
        self.woken.extend(name.and_then(|name| name.parse().ok()));
    }
}

fn version(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// Group, version and kind as the object names them.
pub fn gvk_of(object: &Value) -> Gvk {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    Gvk::from_api_version(text("apiVersion"), text("kind"))
}

/// Renews the Lease and looks at the others', for ever.
pub async fn keep(local: Rc<RefCell<Local>>, world: Shared, line: Line) {
    let mut pause = SignedDuration::from_secs(1);
    loop {
        let renewed = renew(&local, &world, &line).await;
        let wait = if renewed.is_ok() {
            pause = SignedDuration::from_secs(1);
            RENEW_EVERY
        } else {
            local.borrow_mut().ready = false;
            pause = (pause * 2).min(RECONNECT_CAP);
            pause
        };
        sleep(&world, &line, wait, None).await;
    }
}

async fn renew(local: &RefCell<Local>, world: &Shared, line: &Line) -> Result<(), CallError> {
    let name = local.borrow().name.clone();
    line.call(Request::Renew(name.clone())).await?;
    let Answer::Leases(leases) = line.call(Request::Leases).await? else { return Err(CallError::Server) };
    let world = world.borrow();
    let mut local = local.borrow_mut();
    let before = (local.ready, local.live.clone());
    local.note_leases(leases, world.now);
    if world.has(Bug::LeaseIgnored) {
        local.live = vec![ReplicaId(name)];
    }
    local.ready = true;
    if before != (true, local.live.clone()) {
        local.woken.extend(super::environments());
    }
    Ok(())
}

/// Polls the repository, for ever.
pub async fn follow(local: Rc<RefCell<Local>>, world: Shared, line: Line) {
    loop {
        if let Ok(Answer::Tip(Some(tip))) = line.call(Request::Poll).await {
            let world = world.borrow();
            let mut local = local.borrow_mut();
            let local = &mut *local;
            let tip = if is_followed(&world, &tip) { tip } else { local.head.clone().unwrap_or(tip) };
            local.mirror.take(&world.git, &tip, world.has(Bug::RewindAccepted));
            let rewound = local.mirror.rewound.as_ref().map(|(_, to)| to.clone());
            let news = (&local.head, &local.rewound) != (&local.mirror.good, &rewound);
            local.rewound = rewound;
            if news {
                local.head.clone_from(&local.mirror.good);
                local.woken.extend(super::environments());
            }
        } else {
            // After a restart without network, the last good commit of the disk is still one.
            let mut local = local.borrow_mut();
            let known = local.head.clone().or_else(|| local.mirror.good.clone());
            local.head = known;
        }
        let now = std::mem::take(&mut local.borrow_mut().poll_now);
        let pause = if now { SignedDuration::from_millis(1) } else { POLL_EVERY };
        sleep(&world, &line, pause, None).await;
    }
}

/// Always, but for a planted bug.
fn is_followed(world: &World, tip: &CommitId) -> bool {
    let mut targets = super::environments().into_iter().filter_map(|name| world.git.target(tip, &name));
    !world.has(Bug::BrokenForAll) || targets.all(|target| target.desired().is_some())
}

/// Nothing for a time, or until `wake` is woken.
pub async fn sleep(world: &Shared, line: &Line, time: SignedDuration, wake: Option<EnvironmentName>) {
    let now = world.borrow().now;
    let until = now.saturating_add(time).unwrap_or(now);
    // Nothing can go wrong with time.
    drop(line.call(Request::Sleep { until, wake }).await);
}
