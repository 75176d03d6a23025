//! What commits hold: real files of one environment, read by the core's own loader. Few of them, so that histories collide.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_core::desired::{self, Environment, KindScopes};
use tidegate_core::ids::{Digest, EnvironmentName};
use tidegate_core::inventory::apply_set_id;
use tidegate_core::object::{DesiredObject, Gvk, ObjectId, Scope};
use tidegate_core::plan::{PlanSettings, plan_id};
use tidegate_core::problem::Problem;
use tidegate_core::standing::Enforced;
use tidegate_core::tree::FileTree;

/// What may stand in an environment: kind, name, and the wave.
pub const ITEMS: [(&str, &str, i32); 9] = [
    ("ConfigMap", "settings", 0),
    ("ConfigMap", "routes", 0),
    ("ConfigMap", "extra", 0),
    ("Deployment", "web", 0),
    ("Service", "web", 0),
    ("PersistentVolumeClaim", "data", 0),
    ("ResourceQuota", "limits", 0),
    ("ConfigMap", "later", 1),
    ("Deployment", "worker", 1),
];

/// The text with which a Deployment never becomes available.
pub const NEVER_READY: u8 = 9;

/// What one commit asks of one environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spec {
    /// The objects by their place in [`ITEMS`], and which text each has.
    pub objects: BTreeMap<usize, u8>,
    /// Whether the files can be read, and what they say of the whole environment.
    pub shape: Shape,
    /// The prune budget.
    pub budget: u32,
}

/// What is special about a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Nothing.
    Good,
    /// One of its files is no YAML.
    Broken,
    /// `environment.yaml` itself is none.
    Unreadable,
    /// `suspend` stands in it.
    Suspended,
    /// `decommission: true` stands in it.
    Decommission,
}

/// An environment of one commit as a lane sees it.
#[derive(Debug)]
pub struct Target {
    /// The digest of the files.
    pub inputs: Digest,
    /// What its own file says, if that can be read.
    pub environment: Option<Environment>,
    /// The set, or what is wrong with it.
    pub wanted: Result<Desired, Vec<Problem>>,
    /// The files.
    pub files: FileTree,
    /// What was asked for.
    pub spec: Spec,
}

/// A complete set free of errors.
#[derive(Debug)]
pub struct Desired {
    /// What the environment says about itself.
    pub environment: Environment,
    /// Its objects.
    pub objects: Vec<Arc<DesiredObject>>,
    /// What plans depend on.
    pub settings: PlanSettings,
    /// The digest of the objects.
    pub plan_id: Digest,
}

type Known = BTreeMap<(EnvironmentName, Spec), Rc<Target>>;

thread_local! {
    /// The same files give the same set, so each is read once.
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Reads the files of an environment as the daemon would.
pub fn target(environment: &EnvironmentName, spec: &Spec) -> Rc<Target> {
    let key = (environment.clone(), spec.clone());
    let known = KNOWN.with_borrow(|known| known.get(&key).cloned());
    known.unwrap_or_else(|| {
        let read = Rc::new(read(environment, spec));
        KNOWN.with_borrow_mut(|known| known.insert(key, read.clone()));
        read
    })
}

/// The namespace of an environment's objects.
pub fn namespace(environment: &EnvironmentName) -> String {
    format!("shop-{environment}")
}

/// The id of an environment's ApplySet, as the daemon makes it.
pub fn apply_set(environment: &EnvironmentName) -> String {
    apply_set_id(&format!("tidegate-{environment}"), "tidegate-system", "ConfigMap", "")
}

/// The object of this place in [`ITEMS`].
pub fn item_id(environment: &EnvironmentName, item: usize) -> Option<ObjectId> {
    let (kind, name, _) = ITEMS.get(item)?;
    let group = Gvk::from_api_version(api_version(kind), kind).group;
    let namespace = Some(namespace(environment));
    Some(ObjectId { group, kind: (*kind).to_owned(), namespace, name: (*name).to_owned() })
}

fn api_version(kind: &str) -> &'static str {
    if kind == "Deployment" { "apps/v1" } else { "v1" }
}

/// What git says of one object with this text.
pub fn manifest(environment: &EnvironmentName, item: usize, text: u8) -> Value {
    let Some((kind, name, wave)) = ITEMS.get(item) else { return Value::Null };
    let mut value = json!({
        "apiVersion": api_version(kind), "kind": kind,
        "metadata": {"name": name, "namespace": namespace(environment), "labels": {"text": format!("t{text}")},
            "annotations": {"tidegate.dev/wave": wave.to_string()}},
    });
    let body = match *kind {
        "Deployment" => (
            "spec",
            json!({
                "replicas": text, "progressDeadlineSeconds": 600, "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [
                    {"name": "main", "image": format!("web:{text}"), "envFrom": [{"configMapRef": {"name": "settings"}}]}]}},
            }),
        ),
        "Service" => (
            "spec",
            json!({"selector": {"app": format!("web-{text}")}, "ports": [{"port": 80, "targetPort": 8000 + u32::from(text)}]}),
        ),
        // What claims ask for cannot be changed.
        "PersistentVolumeClaim" => {
            ("spec", json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}))
        }
        "ResourceQuota" => ("spec", json!({"hard": {"pods": format!("{text}0")}})),
        _ => ("data", json!({"text": format!("t{text}"), format!("only-{text}"): "yes"})),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert(body.0.to_owned(), body.1);
    }
    value
}

fn files(environment: &EnvironmentName, spec: &Spec) -> FileTree {
    let folder = format!("environments/{environment}");
    let mut said = json!({
        "cluster": {"kubeconfig": {}}, "namespaces": [namespace(environment)], "sources": [{"manifests": "objects"}],
        "deadlines": {"healthy": "8s"}, "prune": {"enabled": true, "budget": {"max": spec.budget, "percent": 100}},
    });
    if let Some(said) = said.as_object_mut() {
        match spec.shape {
            Shape::Good | Shape::Broken | Shape::Unreadable => {}
            Shape::Suspended => drop(said.insert("suspend".to_owned(), json!({"reason": "an incident"}))),
            Shape::Decommission => drop(said.insert("decommission".to_owned(), json!(true))),
        }
    }
    let whole = json!({"apiVersion": "tidegate.dev/v1", "kind": "Environment",
        "metadata": {"name": environment.as_str()}, "spec": said});
    let mut tree = FileTree::default();
    tree.insert(format!("{folder}/environment.yaml"), whole.to_string().into_bytes());
    // An empty folder does not exist in git.
    tree.insert(format!("{folder}/objects/README.md"), b"objects".to_vec());
    for (item, text) in &spec.objects {
        let bytes = manifest(environment, *item, *text).to_string().into_bytes();
        tree.insert(format!("{folder}/objects/{item}.yaml"), bytes);
    }
    if spec.shape == Shape::Unreadable {
        tree.insert(format!("{folder}/environment.yaml"), b"spec: [1,\nb".to_vec());
    }
    if spec.shape == Shape::Broken {
        tree.insert(format!("{folder}/objects/broken.yaml"), b"a: [1,\nb".to_vec());
    }
    tree
}

fn read(environment: &EnvironmentName, spec: &Spec) -> Target {
    let files = files(environment, spec);
    let lines: Vec<String> =
        files.iter().map(|(path, bytes)| format!("{path} {}", Digest::of(bytes))).collect();
    let text = lines.join("\n");
    let found = desired::discover(&files).into_iter().find(|found| found.name == environment.as_str());
    let said = found.map_or(Err(Vec::new()), |found| found.environment.map(Arc::unwrap_or_clone));
    let own = said.as_ref().ok().cloned();
    let wanted = said.and_then(|said| load(&files, environment, said));
    Target { environment: own, inputs: Digest::of(text.as_bytes()), wanted, files, spec: spec.clone() }
}

fn load(files: &FileTree, name: &EnvironmentName, environment: Environment) -> Result<Desired, Vec<Problem>> {
    let loaded = desired::load(files, &environment, &Namespaced);
    if loaded.problems.iter().any(Problem::is_error) {
        return Err(loaded.problems);
    }
    let settings = PlanSettings::of(&environment, apply_set(name));
    Ok(Desired { plan_id: plan_id(&loaded.objects), objects: loaded.objects, settings, environment })
}

/// All kinds of this world live in namespaces.
struct Namespaced;

impl KindScopes for Namespaced {
    fn scope(&self, _: &Gvk) -> Option<Scope> {
        Some(Scope::Namespaced)
    }
}

impl Target {
    /// A workload of it never becomes ready.
    pub fn is_sick(&self) -> bool {
        self.spec.objects.values().any(|text| *text == NEVER_READY)
    }

    /// The set of a commit that can be read.
    pub fn desired(&self) -> Option<&Desired> {
        self.wanted.as_ref().ok()
    }
}

impl Desired {
    /// What is judged of it.
    pub fn enforced(&self) -> Enforced<'_> {
        Enforced { environment: &self.environment, objects: &self.objects, prefix: "" }
    }

    /// Their names; none for an environment that is taken down.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> {
        let objects = if self.settings.decommission { &[][..] } else { &self.objects };
        objects.iter().map(|object| object.reference.id())
    }
}
