//! In which order: waves, phases by kind, dependencies within a phase.

use std::collections::BTreeMap;

use super::{Action, Apply, Phase, Stage};
use crate::object::ObjectId;

/// Chains of objects of one phase that need each other are followed so far; longer ones come from cycles.
const MAX_CHAIN: usize = 16;

/// The phase in which objects of this kind are applied.
pub fn phase_of(group: &str, kind: &str) -> Phase {
    match (group, kind) {
        ("", "Namespace") => Phase::Namespaces,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Phase::Definitions,
        ("", "Node" | "PersistentVolume")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("node.k8s.io", "RuntimeClass")
        | ("networking.k8s.io", "IngressClass" | "ServiceCIDR" | "IPAddress")
        | (
            "storage.k8s.io",
            "StorageClass" | "CSIDriver" | "CSINode" | "VolumeAttachment" | "VolumeAttributesClass",
        )
        | ("resource.k8s.io", "DeviceClass" | "ResourceSlice" | "DeviceTaintRule")
        | ("certificates.k8s.io", "CertificateSigningRequest" | "ClusterTrustBundle")
        | ("flowcontrol.apiserver.k8s.io", "FlowSchema" | "PriorityLevelConfiguration")
        | ("internal.apiserver.k8s.io", "StorageVersion")
        | ("storagemigration.k8s.io", "StorageVersionMigration") => Phase::ClusterScoped,
        (
            "",
            "ConfigMap"
            | "Secret"
            | "ServiceAccount"
            | "ResourceQuota"
            | "LimitRange"
            | "PersistentVolumeClaim"
            | "PodTemplate"
            | "Event",
        )
        | ("rbac.authorization.k8s.io", "Role" | "RoleBinding")
        | ("networking.k8s.io", "NetworkPolicy")
        | ("coordination.k8s.io", "Lease" | "LeaseCandidate")
        | ("resource.k8s.io", "ResourceClaim" | "ResourceClaimTemplate")
        | ("certificates.k8s.io", "PodCertificateRequest")
        | ("storage.k8s.io", "CSIStorageCapacity")
        | ("events.k8s.io", "Event") => Phase::Config,
        ("", "Pod" | "ReplicationController")
        | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ControllerRevision")
        | ("batch", "Job" | "CronJob")
        | ("scheduling.k8s.io", "Workload") => Phase::Workloads,
        ("", "Service" | "Endpoints")
        | ("discovery.k8s.io", "EndpointSlice")
        | ("networking.k8s.io", "Ingress")
        | ("autoscaling", "HorizontalPodAutoscaler")
        | ("policy", "PodDisruptionBudget")
        | ("apiregistration.k8s.io", "APIService")
        | ("gateway.networking.k8s.io", _) => Phase::Routes,
        ("admissionregistration.k8s.io", _) => Phase::Admission,
        _ => Phase::Custom,
    }
}

/// Where an apply stands: wave, phase, place in a chain of objects that need each other.
type Place = (i32, Phase, usize);

/// The applies in stages. `needs` names, for each of them, those of the others that it needs.
pub(super) fn stages(
    applies: BTreeMap<ObjectId, Apply>,
    needs: &BTreeMap<ObjectId, Vec<ObjectId>>,
) -> Vec<Stage> {
    let places = places(&applies, needs);
    let mut stages: BTreeMap<Place, Vec<Action>> = BTreeMap::new();
    for (id, apply) in applies {
        let place = places.get(&id).copied().unwrap_or((apply.object.wave, phase_of(&id.group, &id.kind), 0));
        stages.entry(place).or_default().push(Action::Apply(apply));
    }
    stages.into_iter().map(|((wave, phase, _), actions)| Stage { wave, phase, actions }).collect()
}

/// Every object stands after what it needs: later in its phase, or in the later phase of what it needs.
fn places(
    applies: &BTreeMap<ObjectId, Apply>,
    needs: &BTreeMap<ObjectId, Vec<ObjectId>>,
) -> BTreeMap<ObjectId, Place> {
    let mut places: BTreeMap<ObjectId, Place> = applies
        .iter()
        .map(|(id, apply)| (id.clone(), (apply.object.wave, phase_of(&id.group, &id.kind), 0)))
        .collect();
    for _ in 0..MAX_CHAIN {
        let mut moved = false;
        for (id, needed) in needs {
            let Some(&own) = places.get(id) else { continue };
            let after = needed.iter().filter_map(|other| places.get(other)).max();
            let Some(&(wave, phase, link)) = after else { continue };
            let wanted = (wave, phase, link + 1);
            if wave == own.0 && wanted > own {
                places.insert(id.clone(), wanted);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    places
}
