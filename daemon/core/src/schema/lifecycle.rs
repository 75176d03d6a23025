//! API versions that Kubernetes has removed or will remove.
//!
//! Facts, taken from the life-cycle marks of k8s.io/api v0.35 and, for kinds that are gone from its sources, from the
//! deprecated API migration guide of Kubernetes.

use crate::object::Gvk;

/// Where a version stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Kubernetes 1.35 does not serve it any more.
    Removed {
        /// The minor version that first did without it.
        removed: u8,
        /// What replaces it.
        instead: Option<&'static str>,
    },
    /// Kubernetes 1.35 serves it (some only behind a switch), and says that it will go.
    Deprecated {
        /// The minor version that first said so.
        since: u8,
        /// The minor version that does without it, where that is settled.
        removed: Option<u8>,
        /// What replaces it.
        instead: Option<&'static str>,
    },
}

/// Where a kind's version stands; none when it is neither removed nor deprecated.
pub(super) fn phase(gvk: &Gvk) -> Option<Phase> {
    let is_it = |(group, version, kind): (&str, &str, &str)| {
        gvk.kind == kind && gvk.version == version && gvk.group == group
    };
    let removed = REMOVED.iter().find(|(group, version, kind, _, _)| is_it((group, version, kind)));
    let deprecated =
        || DEPRECATED.iter().find(|(group, version, kind, _, _, _)| is_it((group, version, kind)));
    match removed {
        Some((_, _, _, removed, instead)) => Some(Phase::Removed { removed: *removed, instead: *instead }),
        None => deprecated().map(|(_, _, _, since, removed, instead)| Phase::Deprecated {
            since: *since,
            removed: *removed,
            instead: *instead,
        }),
    }
}

type Removed = (&'static str, &'static str, &'static str, u8, Option<&'static str>);
type Deprecated = (&'static str, &'static str, &'static str, u8, Option<u8>, Option<&'static str>);

/// Group, version, kind, the minor version that removed it, what replaces it.
#[rustfmt::skip]
const REMOVED: &[Removed] = &[
    ("admissionregistration.k8s.io", "v1alpha1", "ValidatingAdmissionPolicy", 32, Some("admissionregistration.k8s.io/v1")),
    ("admissionregistration.k8s.io", "v1alpha1", "ValidatingAdmissionPolicyBinding", 32, Some("admissionregistration.k8s.io/v1")),
    ("admissionregistration.k8s.io", "v1beta1", "MutatingWebhookConfiguration", 22, Some("admissionregistration.k8s.io/v1")),
    ("admissionregistration.k8s.io", "v1beta1", "ValidatingAdmissionPolicy", 34, Some("admissionregistration.k8s.io/v1")),
    ("admissionregistration.k8s.io", "v1beta1", "ValidatingAdmissionPolicyBinding", 34, Some("admissionregistration.k8s.io/v1")),
    ("admissionregistration.k8s.io", "v1beta1", "ValidatingWebhookConfiguration", 22, Some("admissionregistration.k8s.io/v1")),
    ("apiextensions.k8s.io", "v1beta1", "CustomResourceDefinition", 22, Some("apiextensions.k8s.io/v1")),
    ("apiregistration.k8s.io", "v1beta1", "APIService", 22, Some("apiregistration.k8s.io/v1")),
    ("apps", "v1beta1", "ControllerRevision", 16, Some("apps/v1")),
    ("apps", "v1beta1", "Deployment", 16, Some("apps/v1")),
    ("apps", "v1beta1", "StatefulSet", 16, Some("apps/v1")),
    ("apps", "v1beta2", "ControllerRevision", 16, Some("apps/v1")),
    ("apps", "v1beta2", "DaemonSet", 16, Some("apps/v1")),
    ("apps", "v1beta2", "Deployment", 16, Some("apps/v1")),
    ("apps", "v1beta2", "ReplicaSet", 16, Some("apps/v1")),
    ("apps", "v1beta2", "StatefulSet", 16, Some("apps/v1")),
    ("autoscaling", "v2beta1", "HorizontalPodAutoscaler", 25, Some("autoscaling/v2")),
    ("autoscaling", "v2beta2", "HorizontalPodAutoscaler", 26, Some("autoscaling/v2")),
    ("batch", "v1beta1", "CronJob", 25, Some("batch/v1")),
    ("batch", "v2alpha1", "CronJob", 21, Some("batch/v1")),
    ("certificates.k8s.io", "v1beta1", "CertificateSigningRequest", 22, Some("certificates.k8s.io/v1")),
    ("coordination.k8s.io", "v1beta1", "Lease", 22, Some("coordination.k8s.io/v1")),
    ("discovery.k8s.io", "v1beta1", "EndpointSlice", 25, Some("discovery.k8s.io/v1")),
    ("events.k8s.io", "v1beta1", "Event", 25, Some("events.k8s.io/v1")),
    ("extensions", "v1beta1", "DaemonSet", 16, Some("apps/v1")),
    ("extensions", "v1beta1", "Deployment", 16, Some("apps/v1")),
    ("extensions", "v1beta1", "Ingress", 22, Some("networking.k8s.io/v1")),
    ("extensions", "v1beta1", "NetworkPolicy", 16, Some("networking.k8s.io/v1")),
    ("extensions", "v1beta1", "PodSecurityPolicy", 16, Some("Pod Security Admission")),
    ("extensions", "v1beta1", "ReplicaSet", 16, Some("apps/v1")),
    ("flowcontrol.apiserver.k8s.io", "v1beta1", "FlowSchema", 26, Some("flowcontrol.apiserver.k8s.io/v1")),
    ("flowcontrol.apiserver.k8s.io", "v1beta1", "PriorityLevelConfiguration", 26, Some("flowcontrol.apiserver.k8s.io/v1")),
    ("flowcontrol.apiserver.k8s.io", "v1beta2", "FlowSchema", 29, Some("flowcontrol.apiserver.k8s.io/v1")),
    ("flowcontrol.apiserver.k8s.io", "v1beta2", "PriorityLevelConfiguration", 29, Some("flowcontrol.apiserver.k8s.io/v1")),
    ("flowcontrol.apiserver.k8s.io", "v1beta3", "FlowSchema", 32, Some("flowcontrol.apiserver.k8s.io/v1")),
    ("flowcontrol.apiserver.k8s.io", "v1beta3", "PriorityLevelConfiguration", 32, Some("flowcontrol.apiserver.k8s.io/v1")),
    ("networking.k8s.io", "v1beta1", "Ingress", 22, Some("networking.k8s.io/v1")),
    ("networking.k8s.io", "v1beta1", "IngressClass", 22, Some("networking.k8s.io/v1")),
    ("node.k8s.io", "v1alpha1", "RuntimeClass", 22, Some("node.k8s.io/v1")),
    ("node.k8s.io", "v1beta1", "RuntimeClass", 25, Some("node.k8s.io/v1")),
    ("policy", "v1beta1", "PodDisruptionBudget", 25, Some("policy/v1")),
    ("policy", "v1beta1", "PodSecurityPolicy", 25, Some("Pod Security Admission")),
    ("rbac.authorization.k8s.io", "v1alpha1", "ClusterRole", 22, Some("rbac.authorization.k8s.io/v1")),
    ("rbac.authorization.k8s.io", "v1alpha1", "ClusterRoleBinding", 22, Some("rbac.authorization.k8s.io/v1")),
    ("rbac.authorization.k8s.io", "v1alpha1", "Role", 22, Some("rbac.authorization.k8s.io/v1")),
    ("rbac.authorization.k8s.io", "v1alpha1", "RoleBinding", 22, Some("rbac.authorization.k8s.io/v1")),
    ("rbac.authorization.k8s.io", "v1beta1", "ClusterRole", 22, Some("rbac.authorization.k8s.io/v1")),
    ("rbac.authorization.k8s.io", "v1beta1", "ClusterRoleBinding", 22, Some("rbac.authorization.k8s.io/v1")),
    ("rbac.authorization.k8s.io", "v1beta1", "Role", 22, Some("rbac.authorization.k8s.io/v1")),
    ("rbac.authorization.k8s.io", "v1beta1", "RoleBinding", 22, Some("rbac.authorization.k8s.io/v1")),
    ("scheduling.k8s.io", "v1beta1", "PriorityClass", 22, Some("scheduling.k8s.io/v1")),
    ("settings.k8s.io", "v1alpha1", "PodPreset", 20, None),
    ("storage.k8s.io", "v1alpha1", "CSIStorageCapacity", 24, Some("storage.k8s.io/v1")),
    ("storage.k8s.io", "v1alpha1", "VolumeAttachment", 24, Some("storage.k8s.io/v1")),
    ("storage.k8s.io", "v1alpha1", "VolumeAttributesClass", 35, Some("storage.k8s.io/v1")),
    ("storage.k8s.io", "v1beta1", "CSIDriver", 22, Some("storage.k8s.io/v1")),
    ("storage.k8s.io", "v1beta1", "CSINode", 22, Some("storage.k8s.io/v1")),
    ("storage.k8s.io", "v1beta1", "CSIStorageCapacity", 27, Some("storage.k8s.io/v1")),
    ("storage.k8s.io", "v1beta1", "StorageClass", 22, Some("storage.k8s.io/v1")),
    ("storage.k8s.io", "v1beta1", "VolumeAttachment", 22, Some("storage.k8s.io/v1")),
];

/// Group, version, kind, deprecated since, removed in, what replaces it.
#[rustfmt::skip]
const DEPRECATED: &[Deprecated] = &[
    ("", "v1", "ComponentStatus", 19, None, None),
    ("", "v1", "Endpoints", 33, None, Some("discovery.k8s.io/v1 EndpointSlice")),
    ("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicy", 35, Some(38), Some("admissionregistration.k8s.io/v1beta1")),
    ("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicyBinding", 35, Some(38), Some("admissionregistration.k8s.io/v1beta1")),
    ("certificates.k8s.io", "v1alpha1", "ClusterTrustBundle", 34, Some(37), Some("certificates.k8s.io/v1beta1")),
    ("coordination.k8s.io", "v1alpha2", "LeaseCandidate", 35, Some(38), Some("coordination.k8s.io/v1beta1")),
    ("networking.k8s.io", "v1beta1", "IPAddress", 34, Some(37), Some("networking.k8s.io/v1")),
    ("networking.k8s.io", "v1beta1", "ServiceCIDR", 34, Some(37), Some("networking.k8s.io/v1")),
    ("resource.k8s.io", "v1beta1", "DeviceClass", 35, Some(38), Some("resource.k8s.io/v1")),
    ("resource.k8s.io", "v1beta1", "ResourceClaim", 35, Some(38), Some("resource.k8s.io/v1")),
    ("resource.k8s.io", "v1beta1", "ResourceClaimTemplate", 35, Some(38), Some("resource.k8s.io/v1")),
    ("resource.k8s.io", "v1beta1", "ResourceSlice", 35, Some(38), Some("resource.k8s.io/v1")),
    ("storage.k8s.io", "v1beta1", "VolumeAttributesClass", 34, Some(37), Some("storage.k8s.io/v1")),
];
