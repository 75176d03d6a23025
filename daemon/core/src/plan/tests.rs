//! Behaviour of plans, on hand-made worlds. Properties over generated worlds stand in `proptests/`.

use serde_json::{Value, json};

use super::*;
use crate::diff::FieldChange;
use crate::drift::{AllowList, FlipSettings, Flips, ForeignEntry, ManagedSummary};
use crate::health::{Health, HealthState};
use crate::ids::Digest;
use crate::inventory::{Inventory, InventoryEntry};
use crate::location::Position;
use crate::object::Gvk;
use crate::observed::{DryRun, LiveObject, Observed, Ownership};
use crate::problem::Code;
use crate::yaml::Spans;

const SET: &str = "applyset-ours-v1";
const OWN_FILE: &str = "environments/dev/environment.yaml";

/// A small world: what git asks for, what is live, what we own.
struct World {
    settings: PlanSettings,
    desired: Option<Vec<Arc<DesiredObject>>>,
    observed: Observed,
    inventory: Inventory,
    failed: BTreeMap<ObjectId, Failure>,
    flips: Flips,
    now: &'static str,
}

impl World {
    fn new(desired: Vec<Arc<DesiredObject>>) -> Self {
        Self {
            settings: settings(),
            desired: Some(desired),
            observed: Observed::default(),
            inventory: Inventory::default(),
            failed: BTreeMap::new(),
            flips: Flips::default(),
            now: "2026-11-21T12:00:00Z",
        }
    }

    /// All that git asks for is applied, and healthy.
    fn converged(desired: &[Arc<DesiredObject>]) -> Self {
        let mut world = Self::new(desired.to_vec());
        for object in desired {
            world.put(object);
        }
        world
    }

    /// The object is applied by us, and healthy.
    fn put(&mut self, object: &DesiredObject) {
        let id = object.reference.id();
        let uid = format!("uid-{id}");
        let own = Some(Digest::of(b"own"));
        self.observed.objects.insert(
            id.clone(),
            Arc::new(LiveObject {
                api_version: object.reference.gvk.api_version(),
                uid: uid.clone(),
                resource_version: "7".into(),
                deleting: false,
                finalizers: Vec::new(),
                ownership: ours(),
                prune_disabled: false,
                managed: ManagedSummary { own: own.clone(), ..ManagedSummary::default() },
                health: Some(Health { state: HealthState::Healthy, reason: String::new() }),
                kept: None,
                podless: false,
            }),
        );
        self.inventory.entries.insert(
            id,
            InventoryEntry {
                api_version: object.reference.gvk.api_version(),
                uid: Some(uid),
                applied: Some(object.digest()),
                own,
                foreign: None,
                settled: false,
                adopted: false,
            },
        );
    }

    fn live(&mut self, object: &DesiredObject) -> &mut LiveObject {
        Arc::make_mut(self.observed.objects.get_mut(&object.reference.id()).unwrap())
    }

    fn remove(&mut self, object: &DesiredObject) {
        self.observed.objects.remove(&object.reference.id());
    }

    fn dry_run(&mut self, object: &DesiredObject, changes: Vec<FieldChange>) -> &mut DryRun {
        let run = DryRun {
            resource_version: "7".into(),
            desired: object.digest(),
            changes,
            by: vec![by("kubectl-edit")],
            migrate: false,
            error: None,
        };
        self.observed.dry_runs.entry(object.reference.id()).or_insert(run)
    }

    fn plan(&self) -> Plan {
        plan(&PlanInput {
            settings: &self.settings,
            desired: self.desired.as_deref(),
            observed: &self.observed,
            inventory: &self.inventory,
            failed: &self.failed,
            flips: &self.flips,
            now: self.now.parse().unwrap(),
        })
    }

    /// The plan as short texts: what is done in order, then what waits.
    fn told(&self) -> Vec<String> {
        let plan = self.plan();
        let done = plan.actions().map(|action| match action {
            Action::Apply(apply) => {
                let reason = match &apply.reason {
                    ApplyReason::Create => "create",
                    ApplyReason::Recreate => "recreate",
                    ApplyReason::Changed => "change",
                    ApplyReason::Drift { .. } => "repair",
                    ApplyReason::Resume => "resume",
                    ApplyReason::Adopt => "adopt",
                };
                format!("{reason} {}", apply.object.reference)
            }
            Action::Delete(delete) => format!("delete {}", delete.object),
        });
        let waiting = plan.waiting.iter().map(|waiting| format!("{}: {}", waiting.object, waiting.reason));
        done.chain(plan.inspect.iter().map(|id| format!("inspect {id}")))
            .chain(plan.accept.iter().map(|id| format!("accept {id}")))
            .chain(plan.forget.iter().map(|id| format!("forget {id}")))
            .chain(waiting)
            .collect()
    }

    fn codes(&self) -> Vec<Code> {
        self.plan().problems.iter().map(|problem| problem.code).collect()
    }
}

fn settings() -> PlanSettings {
    PlanSettings {
        apply_set: SET.into(),
        environment: "dev".parse().unwrap(),
        prune: PruneSettings::default(),
        adopt: Vec::new(),
        suspended: None,
        rolled_back_from: None,
        unfinished_wave: None,
        decommission: false,
        allow: AllowList::default(),
        file: OWN_FILE.into(),
    }
}

fn ours() -> Ownership {
    Ownership::ApplySet { id: SET.into(), environment: Some("dev".into()) }
}

fn by(manager: &str) -> ForeignEntry {
    ForeignEntry {
        manager: manager.into(),
        apply: false,
        subresource: String::new(),
        time: None,
        fields: Digest::of(b"fields"),
        migrate: false,
    }
}

fn change() -> FieldChange {
    FieldChange {
        path: "spec.replicas".into(),
        pointer: "/spec/replicas".into(),
        old: Some(json!(5)),
        new: Some(json!(2)),
    }
}

fn object(
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    rest: Value,
) -> Arc<DesiredObject> {
    waved(0, api_version, kind, namespace, name, rest)
}

fn waved(
    wave: i32,
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    mut rest: Value,
) -> Arc<DesiredObject> {
    rest["apiVersion"] = json!(api_version);
    rest["kind"] = json!(kind);
    rest["metadata"] = json!({"name": name});
    let reference = ObjectRef {
        gvk: Gvk::from_api_version(api_version, kind),
        namespace: namespace.map(str::to_owned),
        name: name.into(),
    };
    Arc::new(DesiredObject::new(reference, rest, Spans::new(Arc::from("a.yaml"), Position::START), wave))
}

fn config(name: &str) -> Arc<DesiredObject> {
    object("v1", "ConfigMap", Some("shop"), name, json!({"data": {"a": "b"}}))
}

fn deployment(name: &str, config: &str) -> Arc<DesiredObject> {
    let container = json!({"name": "web", "envFrom": [{"configMapRef": {"name": config}}]});
    let spec = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    object("apps/v1", "Deployment", Some("shop"), name, spec)
}

fn namespace() -> Arc<DesiredObject> {
    object("v1", "Namespace", None, "shop", json!({}))
}

/// As `createNamespaces` makes it: it stands in the environment's own file.
fn own_namespace(name: &str) -> Arc<DesiredObject> {
    let made = object("v1", "Namespace", None, name, json!({}));
    let spans = Spans::new(Arc::from(OWN_FILE), Position::START);
    Arc::new(DesiredObject::new(made.reference.clone(), made.to_value(), spans, 0))
}

fn definition() -> Arc<DesiredObject> {
    let spec = json!({"spec": {"group": "example.com", "names": {"kind": "Widget"}}});
    object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, "widgets.example.com", spec)
}

fn unwell(state: HealthState) -> Health {
    Health { state, reason: "1 of 3 replicas are ready".into() }
}

mod apply;
mod delete;
mod order;
