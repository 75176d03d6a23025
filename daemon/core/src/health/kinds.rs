//! Which rule judges which kind.

use crate::object::Gvk;

/// The rule for a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Healthy because it exists: configuration that nothing reports on.
    Exists,
    Deployment,
    /// Also ReplicationControllers, whose status is the same.
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    Pod,
    PersistentVolumeClaim,
    PersistentVolume,
    Service,
    Ingress,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
    CustomResourceDefinition,
    ApiService,
    Namespace,
    Node,
    /// Another kind of Kubernetes itself.
    BuiltIn,
    /// A kind of somebody else.
    Custom,
}

/// Groups of Kubernetes itself. Others that end in `.k8s.io` (Gateway API, snapshots, …) are custom kinds.
const BUILT_IN_GROUPS: [&str; 22] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

pub(super) fn rule_of(gvk: &Gvk) -> Rule {
    let Gvk { group, version: _, kind } = gvk;
    match (group.as_str(), kind.as_str()) {
        ("apps", "Deployment") => Rule::Deployment,
        ("apps", "ReplicaSet") | ("", "ReplicationController") => Rule::ReplicaSet,
        ("apps", "StatefulSet") => Rule::StatefulSet,
        ("apps", "DaemonSet") => Rule::DaemonSet,
        ("batch", "Job") => Rule::Job,
        ("batch", "CronJob") => Rule::CronJob,
        ("", "Pod") => Rule::Pod,
        ("", "PersistentVolumeClaim") => Rule::PersistentVolumeClaim,
        ("", "PersistentVolume") => Rule::PersistentVolume,
        ("", "Service") => Rule::Service,
        ("networking.k8s.io", "Ingress") => Rule::Ingress,
        ("policy", "PodDisruptionBudget") => Rule::PodDisruptionBudget,
        ("autoscaling", "HorizontalPodAutoscaler") => Rule::HorizontalPodAutoscaler,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Rule::CustomResourceDefinition,
        ("apiregistration.k8s.io", "APIService") => Rule::ApiService,
        ("", "Namespace") => Rule::Namespace,
        ("", "Node") => Rule::Node,
        (group, kind) if is_configuration(group, kind) => Rule::Exists,
        (group, _) if BUILT_IN_GROUPS.contains(&group) => Rule::BuiltIn,
        _ => Rule::Custom,
    }
}

/// Kinds that only hold configuration, and those whose status says nothing about health.
fn is_configuration(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(
            kind,
            "ConfigMap"
                | "Secret"
                | "ServiceAccount"
                | "Endpoints"
                | "Event"
                | "LimitRange"
                | "PodTemplate"
                | "ResourceQuota"
        ),
        "apps" => kind == "ControllerRevision",
        "admissionregistration.k8s.io" => matches!(
            kind,
            "ValidatingWebhookConfiguration"
                | "MutatingWebhookConfiguration"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "MutatingAdmissionPolicy"
                | "MutatingAdmissionPolicyBinding"
        ),
        "certificates.k8s.io" => kind == "ClusterTrustBundle",
        "coordination.k8s.io" => matches!(kind, "Lease" | "LeaseCandidate"),
        "discovery.k8s.io" => kind == "EndpointSlice",
        "events.k8s.io" => kind == "Event",
        "flowcontrol.apiserver.k8s.io" => matches!(kind, "FlowSchema" | "PriorityLevelConfiguration"),
        "networking.k8s.io" => matches!(kind, "NetworkPolicy" | "IngressClass" | "IPAddress"),
        "node.k8s.io" => kind == "RuntimeClass",
        "rbac.authorization.k8s.io" => {
            matches!(kind, "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding")
        }
        "resource.k8s.io" => matches!(kind, "DeviceClass" | "ResourceClaimTemplate" | "ResourceSlice"),
        "scheduling.k8s.io" => kind == "PriorityClass",
        "storage.k8s.io" => matches!(
            kind,
            "StorageClass" | "CSIDriver" | "CSINode" | "CSIStorageCapacity" | "VolumeAttributesClass"
        ),
        _ => false,
    }
}

/// Whether the health of a kind is in its spec and status, so that full objects must be watched. Also true for kinds
/// that only conditions can speak for, custom kinds among them.
pub fn has_rule(gvk: &Gvk) -> bool {
    !exists_is_healthy(gvk)
}

/// Whether an object of this kind is healthy because it exists, so that a watch of its metadata suffices.
pub fn exists_is_healthy(gvk: &Gvk) -> bool {
    rule_of(gvk) == Rule::Exists
}
