//! The objects of an environment: read, rendered, placed in namespaces, checked and put in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::files::{Manifest, manifests};
use super::{Environment, KindScopes, Loaded, Placed, identity, text_fields, waves};
use crate::location::Location;
use crate::object::{DesiredObject, Gvk, ObjectId, ObjectRef, Scope};
use crate::problem::{Code, Problem};
use crate::render::{Draft, apply};
use crate::schema::suggest;
use crate::tree::FileTree;
use crate::yaml::Spans;

/// The annotation that puts an object into a wave.
pub(crate) const WAVE: &str = "tidegate.dev/wave";
/// Where it stands in an object.
pub(super) const WAVE_POINTER: &str = "/metadata/annotations/tidegate.dev~1wave";
/// Namespaces that every cluster has; they are not made, and not owned unless a manifest says so.
const BUILT_IN: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease", SYSTEM_NAMESPACE];
/// Where Tidegate keeps parents, inventories and Leases.
const SYSTEM_NAMESPACE: &str = "tidegate-system";
/// What their names begin with.
const SYSTEM_PREFIX: &str = "tidegate-";

/// Reads, renders and checks the objects of an environment.
///
/// Objects with problems are left out where nothing sensible can be said about them, so that one mistake is reported
/// once; whoever applies looks at the problems first.
pub fn load(tree: &FileTree, environment: &Environment, catalogue: &dyn KindScopes) -> Loaded {
    let mut problems = environment.warnings.clone();
    let manifests = manifests(tree, environment, &mut problems);
    let mut drafts: Vec<Draft> =
        manifests.into_iter().filter_map(|manifest| draft(manifest, &mut problems)).collect();
    let default_namespace = environment.namespaces.first().map_or("default", |first| first.value.as_str());
    let applied = apply(&environment.patches, &mut drafts, default_namespace);
    problems.extend(applied.failed);
    // Never a later symptom when an earlier cause exists: the object that a patch means may be the one that is broken.
    if !problems.iter().any(hides_objects) {
        problems.extend(applied.unmatched);
    }
    let scopes = Scopes { catalogue, defined: defined_scopes(&drafts) };
    let mut objects: Vec<DesiredObject> =
        drafts.into_iter().filter_map(|draft| place(draft, environment, &scopes, &mut problems)).collect();
    if environment.create_namespaces {
        let made = missing_namespaces(&objects, environment);
        objects.extend(made);
    }
    let mut objects = without_duplicates(objects, &mut problems);
    objects.sort_by_cached_key(|object| (object.wave, object.reference.id()));
    let objects: Vec<Arc<DesiredObject>> = objects.into_iter().map(Arc::new).collect();
    problems.extend(waves::check(&objects));
    problems.sort_by(|left, right| left.location.cmp(&right.location).then(left.code.cmp(&right.code)));
    problems.dedup();
    Loaded { objects, problems }
}

/// Whether objects may be missing because of a problem.
fn hides_objects(problem: &Problem) -> bool {
    let codes = [
        Code::YamlSyntax,
        Code::YamlBudget,
        Code::YamlEncoding,
        Code::NotAnObject,
        Code::GenerateName,
        Code::SourcePath,
    ];
    codes.contains(&problem.code)
}

/// From a document to an object, as far as it is one.
fn draft(manifest: Manifest, problems: &mut Vec<Problem>) -> Option<Draft> {
    let Manifest { file, mut root } = manifest;
    text_fields::check(&mut root, &file, problems);
    let draft = Draft { value: root.to_json(), spans: root.spans(&file) };
    match identity::of(&draft) {
        Ok(_) => Some(draft),
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// What says in which scope a kind lives.
struct Scopes<'a> {
    catalogue: &'a dyn KindScopes,
    /// Of the CustomResourceDefinitions in the same environment, by group and kind.
    defined: BTreeMap<(String, String), Scope>,
}

impl Scopes<'_> {
    fn of(&self, gvk: &Gvk) -> Option<Scope> {
        let defined = || self.defined.get(&(gvk.group.clone(), gvk.kind.clone())).copied();
        self.catalogue.scope(gvk).or_else(defined)
    }
}

fn defined_scopes(drafts: &[Draft]) -> BTreeMap<(String, String), Scope> {
    let definition = |draft: &Draft| {
        let text = |pointer: &str| draft.value.pointer(pointer).and_then(Value::as_str);
        if text("/kind") != Some("CustomResourceDefinition") {
            return None;
        }
        let scope = match text("/spec/scope") {
            Some("Cluster") => Scope::Cluster,
            Some(_) | None => Scope::Namespaced,
        };
        Some(((text("/spec/group")?.to_owned(), text("/spec/names/kind")?.to_owned()), scope))
    };
    drafts.iter().filter_map(definition).collect()
}

/// Gives an object its namespace and wave, and checks that the environment may own it.
fn place(
    mut draft: Draft,
    environment: &Environment,
    scopes: &Scopes<'_>,
    problems: &mut Vec<Problem>,
) -> Option<DesiredObject> {
    let mut reference = match identity::of(&draft) {
        Ok(reference) => reference,
        Err(problem) => {
            problems.push(*problem);
            return None;
        }
    };
    identity::drop_server_set(&mut draft, problems);
    match scopes.of(&reference.gvk) {
        Some(Scope::Cluster) => {
            if reference.namespace.take().is_some() {
                let message = format!("a {} lives in the cluster and has no namespace", reference.gvk.kind);
                let location = draft.spans.locate("/metadata/namespace");
                let problem = Problem::error(Code::FieldValue, message).at(location).object(&reference);
                problems.push(problem.field("metadata.namespace").help("take the namespace out"));
            }
            set_namespace(&mut draft.value, None);
            problems.extend(check_cluster_scoped(&reference, &draft, environment));
        }
        Some(Scope::Namespaced) | None => {
            let default = || environment.namespaces.first().map(|first| first.value.clone());
            reference.namespace = reference.namespace.take().or_else(default);
            set_namespace(&mut draft.value, reference.namespace.as_deref());
            problems.extend(check_namespace(&reference, &draft, environment));
            problems.extend(check_own(&reference, &draft));
        }
    }
    let wave = wave(&reference, &draft, problems);
    let Draft { mut value, spans } = draft;
    value.sort_all_objects();
    Some(DesiredObject::new(reference, value, spans, wave))
}

fn set_namespace(value: &mut Value, namespace: Option<&str>) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), Value::from(namespace)),
        None => metadata.remove("namespace"),
    };
}

fn check_namespace(reference: &ObjectRef, draft: &Draft, environment: &Environment) -> Option<Problem> {
    let namespace = reference.namespace.as_deref()?;
    let allowed = || environment.namespaces.iter().map(|allowed| allowed.value.as_str());
    if allowed().any(|allowed| allowed == namespace) {
        return None;
    }
    let message = format!("the namespace `{namespace}` is not on the environment's list");
    let help = match suggest::nearest(namespace, allowed()) {
        Some(near) => format!(
            "did you mean `{near}`? Otherwise add it to `spec.namespaces` of {}",
            environment.location.file
        ),
        None => format!("add it to `spec.namespaces` of {}", environment.location.file),
    };
    let location = draft.spans.locate("/metadata/namespace");
    let problem = Problem::error(Code::NamespaceNotAllowed, message).at(location).object(reference);
    Some(problem.field("metadata.namespace").help(help))
}

/// What Tidegate itself keeps in its namespace (parents, inventories, Leases) is no desired state: an environment that
/// wrote it would take the memory of another one, and with it the authority to delete.
fn check_own(reference: &ObjectRef, draft: &Draft) -> Option<Problem> {
    let kept = matches!(reference.gvk.kind.as_str(), "ConfigMap" | "Lease");
    let ours = kept
        && reference.namespace.as_deref() == Some(SYSTEM_NAMESPACE)
        && reference.name.starts_with(SYSTEM_PREFIX);
    let message =
        format!("{}s `{SYSTEM_PREFIX}*` in {SYSTEM_NAMESPACE} are Tidegate's own", reference.gvk.kind);
    let problem = || Problem::error(Code::Ownership, message).at(draft.spans.locate("/metadata/name"));
    ours.then(|| problem().object(reference).field("metadata.name").help("give it another name"))
}

fn check_cluster_scoped(reference: &ObjectRef, draft: &Draft, environment: &Environment) -> Option<Problem> {
    let Gvk { group, version: _, kind } = &reference.gvk;
    let listed = environment.cluster_scoped.contains(kind)
        || environment.cluster_scoped.contains(&format!("{group}/{kind}"));
    let own_namespace = is_namespace(reference)
        && environment.namespaces.iter().any(|allowed| allowed.value == reference.name);
    if listed || own_namespace {
        return None;
    }
    let message = format!("this environment may not own a {kind}, which lives in the cluster");
    let file = &environment.location.file;
    let help = if is_namespace(reference) {
        format!(
            "add `{}` to `spec.namespaces`, or Namespace to `spec.clusterScoped`, of {file}",
            reference.name
        )
    } else {
        format!("add {kind} to `spec.clusterScoped` of {file}")
    };
    let location = draft.spans.locate("/kind");
    Some(Problem::error(Code::ClusterScopedNotAllowed, message).at(location).object(reference).help(help))
}

fn is_namespace(reference: &ObjectRef) -> bool {
    reference.gvk.kind == "Namespace" && reference.gvk.group.is_empty()
}

fn wave(reference: &ObjectRef, draft: &Draft, problems: &mut Vec<Problem>) -> i32 {
    let Some(text) = draft.value.pointer(WAVE_POINTER).and_then(Value::as_str) else { return 0 };
    text.trim().parse().unwrap_or_else(|_| {
        let message = format!("{WAVE} must be a whole number in quotes");
        let location = draft.spans.locate(WAVE_POINTER);
        let problem = Problem::error(Code::FieldValue, message).at(location).object(reference);
        problems.push(problem.field(format!("metadata.annotations[{WAVE}]")));
        0
    })
}

/// The Namespace objects that `createNamespaces` adds; each stands where the list names it, and comes before what is in it.
fn missing_namespaces(objects: &[DesiredObject], environment: &Environment) -> Vec<DesiredObject> {
    let stands = |name: &str| {
        objects.iter().any(|object| is_namespace(&object.reference) && object.reference.name == name)
    };
    let missing = environment
        .namespaces
        .iter()
        .filter(|namespace| !BUILT_IN.contains(&namespace.value.as_str()) && !stands(&namespace.value));
    missing
        .map(|Placed { value: name, location: Location { file, position } }| {
            let gvk = Gvk::from_api_version("v1", "Namespace");
            let reference = ObjectRef { gvk, namespace: None, name: name.clone() };
            let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            let inside = objects.iter().filter(|object| object.reference.namespace.as_ref() == Some(name));
            let wave = inside.map(|object| object.wave).min().unwrap_or_default().min(0);
            DesiredObject::new(reference, value, Spans::new(file.clone(), *position), wave)
        })
        .collect()
}

/// Of objects with one identity the first is kept.
fn without_duplicates(objects: Vec<DesiredObject>, problems: &mut Vec<Problem>) -> Vec<DesiredObject> {
    let mut first: BTreeMap<ObjectId, Location> = BTreeMap::new();
    let mut kept = Vec::with_capacity(objects.len());
    for object in objects {
        let id = object.reference.id();
        if let Some(location) = first.get(&id) {
            let message = format!("{id} stands twice in one environment");
            let problem = Problem::error(Code::DuplicateObject, message).at(object.location());
            problems.push(problem.object(&object.reference).related("first written here", location.clone()));
        } else {
            first.insert(id, object.location());
            kept.push(object);
        }
    }
    kept
}
