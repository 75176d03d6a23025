//! Whether the pods of a workload can say why it is not healthy. Not what they say (see [`super::assess_pods`]).

use serde_json::Value;

use super::kinds::{Rule, rule_of};
use super::read::{number, text};
use super::workloads::wanted_replicas;
use crate::object::Gvk;

/// True when no pod can be of what is asked for: the object's controller has not seen its newest generation, or no replica is
/// asked for. Pods of older generations say nothing about it, and what is being deleted may well be held by its pods.
pub fn is_podless(live: &Value) -> bool {
    if text(live, "/metadata/deletionTimestamp").is_some() {
        return false;
    }
    let Some((api_version, kind)) = text(live, "/apiVersion").zip(text(live, "/kind")) else { return false };
    let generation = number(live, "/metadata/generation");
    let observed = number(live, "/status/observedGeneration");
    let is_behind = generation.zip(observed).is_some_and(|(generation, observed)| generation != observed);
    match rule_of(&Gvk::from_api_version(api_version, kind)) {
        Rule::Deployment | Rule::ReplicaSet | Rule::StatefulSet => {
            is_behind || observed.is_none() || wanted_replicas(live) == 0
        }
        // Its controller always says what it has seen.
        Rule::DaemonSet => is_behind || observed.is_none(),
        Rule::Exists
        | Rule::Job
        | Rule::CronJob
        | Rule::Pod
        | Rule::PersistentVolumeClaim
        | Rule::PersistentVolume
        | Rule::Service
        | Rule::Ingress
        | Rule::PodDisruptionBudget
        | Rule::HorizontalPodAutoscaler
        | Rule::CustomResourceDefinition
        | Rule::ApiService
        | Rule::Namespace
        | Rule::Node
        | Rule::BuiltIn
        | Rule::Custom => is_behind,
    }
}
