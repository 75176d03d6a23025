//! What an object needs to be there first, read from its manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::object::{DesiredObject, ObjectId};

/// The objects that this one names and cannot work without, sorted: its Namespace, what its pods mount or run as, what it
/// binds, scales or routes to. Whether they belong to the environment is not asked here; its definition is found by
/// [`Definitions`].
pub fn dependencies(object: &DesiredObject) -> Vec<ObjectId> {
    let id = object.reference.id();
    let mut needs = Needs { namespace: id.namespace.clone(), found: BTreeSet::new() };
    if let Some(namespace) = &id.namespace {
        needs.cluster("", "Namespace", Some(namespace));
    }
    needs.of_kind(&id, &object.to_value());
    needs.found.remove(&id);
    needs.found.into_iter().collect()
}

/// The custom kinds that a set of objects defines.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    by_kind: BTreeMap<(String, String), ObjectId>,
}

impl Definitions {
    /// Of all CustomResourceDefinitions among the objects.
    pub fn of(objects: &[Arc<DesiredObject>]) -> Self {
        let mut by_kind = BTreeMap::new();
        for object in objects {
            let Some(kind) = object.defines() else { continue };
            let id = object.reference.id();
            // Two definitions of one kind cannot both be served; which one counts must not depend on their order.
            let first = by_kind.entry(kind.clone()).or_insert_with(|| id.clone());
            if id < *first {
                *first = id;
            }
        }
        Self { by_kind }
    }

    /// The definition of this object's kind, if the set has it.
    pub fn of_kind(&self, id: &ObjectId) -> Option<&ObjectId> {
        if self.by_kind.is_empty() {
            return None;
        }
        self.by_kind.get(&(id.group.clone(), id.kind.clone()))
    }
}

/// Collects what one object needs.
struct Needs {
    namespace: Option<String>,
    found: BTreeSet<ObjectId>,
}

impl Needs {
    fn of_kind(&mut self, id: &ObjectId, value: &Value) {
        match (id.group.as_str(), id.kind.as_str()) {
            ("", "Pod") => self.pod(value.pointer("/spec")),
            ("", "PodTemplate") => self.pod(value.pointer("/template/spec")),
            ("apps", _) | ("", "ReplicationController") | ("batch", "Job") => {
                self.pod(value.pointer("/spec/template/spec"));
            }
            ("batch", "CronJob") => self.pod(value.pointer("/spec/jobTemplate/spec/template/spec")),
            ("", "PersistentVolumeClaim") => {
                self.cluster("storage.k8s.io", "StorageClass", text(value, "/spec/storageClassName"));
            }
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => self.role(value),
            ("autoscaling", "HorizontalPodAutoscaler") => self.scale_target(value),
            ("networking.k8s.io", "Ingress") => self.ingress(value),
            ("apiregistration.k8s.io", "APIService") => self.service(value.pointer("/spec/service")),
            ("admissionregistration.k8s.io", kind) => self.admission(kind, value),
            _ => {}
        }
    }

    fn pod(&mut self, spec: Option<&Value>) {
        let Some(spec) = spec else { return };
        self.local("", "ServiceAccount", text(spec, "/serviceAccountName"));
        self.cluster("scheduling.k8s.io", "PriorityClass", text(spec, "/priorityClassName"));
        self.cluster("node.k8s.io", "RuntimeClass", text(spec, "/runtimeClassName"));
        for secret in items(spec, "/imagePullSecrets") {
            self.local("", "Secret", text(secret, "/name"));
        }
        for volume in items(spec, "/volumes") {
            self.volume(volume);
        }
        for list in ["/initContainers", "/containers"] {
            for container in items(spec, list) {
                self.container(container);
            }
        }
    }

    fn volume(&mut self, volume: &Value) {
        self.required("ConfigMap", volume.pointer("/configMap"), "/name");
        self.required("Secret", volume.pointer("/secret"), "/secretName");
        self.local("", "PersistentVolumeClaim", text(volume, "/persistentVolumeClaim/claimName"));
        for source in items(volume, "/projected/sources") {
            self.required("ConfigMap", source.pointer("/configMap"), "/name");
            self.required("Secret", source.pointer("/secret"), "/name");
        }
    }

    fn container(&mut self, container: &Value) {
        for source in items(container, "/envFrom") {
            self.required("ConfigMap", source.pointer("/configMapRef"), "/name");
            self.required("Secret", source.pointer("/secretRef"), "/name");
        }
        for variable in items(container, "/env") {
            self.required("ConfigMap", variable.pointer("/valueFrom/configMapKeyRef"), "/name");
            self.required("Secret", variable.pointer("/valueFrom/secretKeyRef"), "/name");
        }
    }

    fn role(&mut self, binding: &Value) {
        let group = "rbac.authorization.k8s.io";
        let name = text(binding, "/roleRef/name");
        match text(binding, "/roleRef/kind") {
            Some("Role") => self.local(group, "Role", name),
            Some("ClusterRole") => self.cluster(group, "ClusterRole", name),
            Some(_) | None => {}
        }
    }

    fn scale_target(&mut self, autoscaler: &Value) {
        let group = text(autoscaler, "/spec/scaleTargetRef/apiVersion")
            .and_then(|version| version.split_once('/'))
            .map_or("", |(group, _)| group);
        if let Some(kind) = text(autoscaler, "/spec/scaleTargetRef/kind") {
            self.local(group, kind, text(autoscaler, "/spec/scaleTargetRef/name"));
        }
    }

    fn ingress(&mut self, ingress: &Value) {
        self.local("", "Service", text(ingress, "/spec/defaultBackend/service/name"));
        for rule in items(ingress, "/spec/rules") {
            for path in items(rule, "/http/paths") {
                self.local("", "Service", text(path, "/backend/service/name"));
            }
        }
        for tls in items(ingress, "/spec/tls") {
            self.local("", "Secret", text(tls, "/secretName"));
        }
    }

    fn admission(&mut self, kind: &str, value: &Value) {
        for webhook in items(value, "/webhooks") {
            self.service(webhook.pointer("/clientConfig/service"));
        }
        if let Some(policy) = kind.strip_suffix("Binding") {
            self.cluster("admissionregistration.k8s.io", policy, text(value, "/spec/policyName"));
        }
    }

    fn service(&mut self, reference: Option<&Value>) {
        let Some(reference) = reference else { return };
        if let (Some(namespace), Some(name)) = (text(reference, "/namespace"), text(reference, "/name")) {
            self.add("", "Service", Some(namespace.to_owned()), name);
        }
    }

    /// A reference that may be marked `optional`; then nothing is needed.
    fn required(&mut self, kind: &str, reference: Option<&Value>, name: &str) {
        let Some(reference) = reference else { return };
        if reference.get("optional").and_then(Value::as_bool) != Some(true) {
            self.local("", kind, text(reference, name));
        }
    }

    fn local(&mut self, group: &str, kind: &str, name: Option<&str>) {
        if let (Some(name), Some(namespace)) = (name, self.namespace.clone()) {
            self.add(group, kind, Some(namespace), name);
        }
    }

    fn cluster(&mut self, group: &str, kind: &str, name: Option<&str>) {
        if let Some(name) = name {
            self.add(group, kind, None, name);
        }
    }

    fn add(&mut self, group: &str, kind: &str, namespace: Option<String>, name: &str) {
        self.found.insert(ObjectId {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace,
            name: name.to_owned(),
        });
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
