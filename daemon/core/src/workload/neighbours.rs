//! The objects of one namespace in git, parsed and sorted once for everything that workloads ask of them: a namespace may hold
//! thousands of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::read::{items, selector, text, texts};
use crate::object::DesiredObject;
use crate::policy::LabelSelector;

/// Labels of pods, or a Service's selector.
pub(super) type Labels = BTreeMap<String, String>;

/// Where objects of other kinds name the workload that they are about.
const TARGETS: [&str; 3] = ["/spec/scaleTargetRef", "/spec/targetRef", "/spec/workloadRef"];

/// An object with its value, and what every workload asks of it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) object: Arc<DesiredObject>,
    pub(super) value: Value,
    /// The labels of the pods that it keeps running; none where it keeps none.
    pub(super) pod_labels: Option<Labels>,
    /// What a Service selects; empty for all other kinds.
    pub(super) selector: Labels,
    /// The pods that a disruption budget is for.
    pub(super) protects: Option<LabelSelector>,
    /// The Deployment that it names.
    pub(super) target: Option<Target>,
}

/// A Deployment that an object names.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) name: String,
    /// Where it does.
    pub(super) pointer: &'static str,
}

impl Known {
    fn new(object: &Arc<DesiredObject>) -> Self {
        let value = object.to_value();
        let gvk = &object.reference.gvk;
        let mut known = Self {
            object: object.clone(),
            pod_labels: None,
            selector: Labels::new(),
            protects: None,
            target: target(&value, &gvk.group, &gvk.kind),
            value,
        };
        match (gvk.group.as_str(), gvk.kind.as_str()) {
            ("", "Service") => known.selector = texts(&known.value, "/spec/selector"),
            ("", "Pod") => known.pod_labels = Some(texts(&known.value, "/metadata/labels")),
            ("", "ReplicationController")
            | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
                known.pod_labels = Some(texts(&known.value, "/spec/template/metadata/labels"));
            }
            ("policy", "PodDisruptionBudget") => {
                known.protects = known.value.pointer("/spec/selector").and_then(selector);
            }
            _ => {}
        }
        known
    }

    pub(super) fn name(&self) -> &str {
        &self.object.reference.name
    }

    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        self.object.reference.gvk.kind == kind && self.object.reference.gvk.group == group
    }

    /// Whether an Ingress leads to this Service.
    pub(super) fn leads_to(&self, service: &str) -> bool {
        let paths = || items(&self.value, "/spec/rules").flat_map(|rule| items(rule, "/http/paths"));
        text(&self.value, "/spec/defaultBackend/service/name") == Some(service)
            || paths().any(|path| text(path, "/backend/service/name") == Some(service))
    }
}

/// The Deployment that an object names. A ScaledObject of KEDA may leave the kind out.
fn target(value: &Value, group: &str, kind: &str) -> Option<Target> {
    let default = ((group, kind) == ("keda.sh", "ScaledObject")).then_some("Deployment");
    TARGETS.into_iter().find_map(|pointer| {
        let named = value.pointer(pointer)?;
        let group =
            text(named, "/apiVersion").map(|version| version.split_once('/').map_or("", |(group, _)| group));
        let is_deployment = text(named, "/kind").or(default) == Some("Deployment");
        let is_ours = is_deployment && group.is_none_or(|group| group == "apps");
        let name = text(named, "/name").filter(|_| is_ours)?.to_owned();
        Some(Target { name, pointer })
    })
}

/// The objects of one namespace.
#[derive(Debug, Clone)]
pub(super) struct Neighbours {
    all: Vec<Known>,
    /// By kind and name, whatever the group.
    kinds: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// Those that keep pods running.
    runners: Vec<usize>,
    /// Those that name a Deployment, by its name.
    targets: BTreeMap<String, Vec<usize>>,
}

impl Neighbours {
    /// Those of this namespace.
    pub(super) fn of(objects: &[Arc<DesiredObject>], namespace: Option<&str>) -> Self {
        let within = |object: &&Arc<DesiredObject>| object.reference.namespace.as_deref() == namespace;
        let all: Vec<Known> = objects.iter().filter(within).map(Known::new).collect();
        let mut kinds: BTreeMap<String, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
        let mut targets: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut runners = Vec::new();
        for (index, known) in all.iter().enumerate() {
            let names = kinds.entry(known.object.reference.gvk.kind.clone()).or_default();
            names.entry(known.name().to_owned()).or_default().push(index);
            if known.pod_labels.is_some() {
                runners.push(index);
            }
            if let Some(target) = &known.target {
                targets.entry(target.name.clone()).or_default().push(index);
            }
        }
        Self { all, kinds, runners, targets }
    }

    /// Those that keep pods running.
    pub(super) fn runners(&self) -> impl Iterator<Item = (&Known, &Labels)> {
        self.at(Some(&self.runners)).filter_map(|known| Some((known, known.pod_labels.as_ref()?)))
    }

    /// Those that name this Deployment.
    pub(super) fn naming(&self, deployment: &str) -> impl Iterator<Item = &Known> {
        self.at(self.targets.get(deployment))
    }

    /// Those of one kind, by name.
    pub(super) fn kind<'a>(&'a self, group: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Known> {
        let names = self.kinds.get(kind).into_iter().flat_map(BTreeMap::values);
        names.flat_map(|indexes| self.at(Some(indexes))).filter(move |known| known.is(group, kind))
    }

    /// One by its name.
    pub(super) fn find(&self, group: &str, kind: &str, name: &str) -> Option<&Known> {
        self.at(self.kinds.get(kind)?.get(name)).find(|known| known.is(group, kind))
    }

    fn at<'a>(&'a self, indexes: Option<&'a Vec<usize>>) -> impl Iterator<Item = &'a Known> {
        indexes.into_iter().flatten().filter_map(|index| self.all.get(*index))
    }
}
