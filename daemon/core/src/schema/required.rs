//! Where a built-in schema asks for more than the API server does.
//!
//! Go types call a field required when it has no `omitempty`; whether the server can do without it only the server
//! knows. Found by sending objects with each required field removed to the dry-run of a 1.35 server; fields behind
//! switches that are off there (the server drops what belongs to them) are listed too.

/// Fields that the schema of a definition calls required although the server takes an object without them.
#[rustfmt::skip]
pub(super) const ON_PAPER_ONLY: &[(&str, &[&str])] = &[
    ("io.k8s.api.apps.v1.ControllerRevision", &["revision"]),
    ("io.k8s.api.batch.v1.PodFailurePolicy", &["rules"]),
    ("io.k8s.api.core.v1.ClusterTrustBundleProjection", &["path"]),
    ("io.k8s.api.core.v1.ConfigMapNodeConfigSource", &["kubeletConfigKey", "name", "namespace"]),
    ("io.k8s.api.core.v1.ContainerRestartRule", &["action"]),
    ("io.k8s.api.core.v1.ContainerRestartRuleOnExitCodes", &["operator"]),
    ("io.k8s.api.core.v1.Event", &["involvedObject"]),
    ("io.k8s.api.core.v1.FileKeySelector", &["key", "path", "volumeName"]),
    ("io.k8s.api.core.v1.HTTPHeader", &["value"]),
    ("io.k8s.api.core.v1.ISCSIPersistentVolumeSource", &["lun"]),
    ("io.k8s.api.core.v1.ISCSIVolumeSource", &["lun"]),
    ("io.k8s.api.core.v1.LimitRangeSpec", &["limits"]),
    ("io.k8s.api.core.v1.PodCertificateProjection", &["keyType", "signerName"]),
    ("io.k8s.api.core.v1.PreferredSchedulingTerm", &["preference"]),
    ("io.k8s.api.core.v1.ScaleIOPersistentVolumeSource", &["secretRef"]),
    ("io.k8s.api.core.v1.ScaleIOVolumeSource", &["secretRef"]),
    ("io.k8s.api.core.v1.SleepAction", &["seconds"]),
    ("io.k8s.api.core.v1.Sysctl", &["value"]),
    ("io.k8s.api.core.v1.TypedLocalObjectReference", &["kind", "name"]),
    ("io.k8s.api.core.v1.WorkloadReference", &["name", "podGroup"]),
    ("io.k8s.api.discovery.v1.EndpointSlice", &["endpoints"]),
    ("io.k8s.api.discovery.v1.ForNode", &["name"]),
    ("io.k8s.api.discovery.v1.ForZone", &["name"]),
    ("io.k8s.api.rbac.v1.RoleRef", &["apiGroup"]),
    ("io.k8s.api.resource.v1.CapacityRequestPolicyRange", &["min"]),
    ("io.k8s.api.resource.v1.Counter", &["value"]),
    ("io.k8s.api.resource.v1.CounterSet", &["counters", "name"]),
    ("io.k8s.api.resource.v1.DeviceCapacity", &["value"]),
    ("io.k8s.api.resource.v1.DeviceClass", &["spec"]),
    ("io.k8s.api.resource.v1.DeviceCounterConsumption", &["counterSet", "counters"]),
    ("io.k8s.api.resource.v1.DeviceTaint", &["effect", "key"]),
    ("io.k8s.api.resource.v1.ResourceClaim", &["spec"]),
    ("io.k8s.api.resource.v1.ResourceClaimTemplate", &["spec"]),
    ("io.k8s.api.resource.v1.ResourceClaimTemplateSpec", &["spec"]),
    ("io.k8s.api.resource.v1.ResourcePool", &["generation"]),
    ("io.k8s.api.scheduling.v1.PriorityClass", &["value"]),
    ("io.k8s.api.storage.v1.CSIDriver", &["spec"]),
    ("io.k8s.api.storage.v1.CSINode", &["spec"]),
    ("io.k8s.api.storage.v1.CSINodeSpec", &["drivers"]),
    ("io.k8s.api.storage.v1.TokenRequest", &["audience"]),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion", &["served"]),
];
