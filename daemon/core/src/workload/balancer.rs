//! Services whose traffic a change of the selector does not move, or not without lost requests.
//!
//! Behind a load balancer that sends to pods by address, the controller takes the old targets out before the new ones are in;
//! with a local traffic policy whole nodes drop out until it has noticed.

use super::build::Subject;
use super::neighbours::Known;
use super::read::{annotation, is_set, place, refuse, text};
use crate::problem::{Code, Problem};

const NETWORKING: &str = "networking.k8s.io";
const INGRESS: &str = "Ingress";
const NLB_TARGET_TYPE: &str = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";
const NLB_TYPE: &str = "service.beta.kubernetes.io/aws-load-balancer-type";
const ALB_TARGET_TYPE: &str = "alb.ingress.kubernetes.io/target-type";
/// The load balancers of EKS Auto Mode, whose targets are pods unless they are told otherwise.
const AUTO_MODE_CLASS: &str = "eks.amazonaws.com/nlb";

/// Why this Service cannot be the pointer.
pub(super) fn of_pointer(subject: &Subject<'_>, service: &Known) -> Vec<Problem> {
    let mut problems = Vec::new();
    if text(&service.value, "/spec/clusterIP") == Some("None") {
        let why = "it is headless: its clients hold the addresses of pods, and a change of the selector moves none of them";
        problems.push(refused(service, "/spec/clusterIP", why).help(
            "give it a cluster address, or let a further Service without one move the traffic and this one follow (`tidegate.dev/role: follow`)",
        ));
    }
    if is_set(&service.value, "/spec/publishNotReadyAddresses") {
        let why = "it publishes pods that are not ready: traffic would reach a colour before it can answer";
        problems.push(
            refused(service, "/spec/publishNotReadyAddresses", why)
                .help("take `publishNotReadyAddresses` out"),
        );
    }
    problems.extend(of_follower(subject, service));
    problems
}

/// Why this Service cannot follow the pointer.
pub(super) fn of_follower(subject: &Subject<'_>, service: &Known) -> Vec<Problem> {
    let mut problems: Vec<Problem> = kind(service).into_iter().chain(local(service)).collect();
    problems.extend(by_address(service));
    let ingresses =
        subject.neighbours.kind(NETWORKING, INGRESS).filter(|other| other.leads_to(service.name()));
    problems.extend(ingresses.filter_map(|ingress| ingress_by_address(ingress, service)));
    let bindings = subject.neighbours.kind("elbv2.k8s.aws", "TargetGroupBinding");
    problems.extend(bindings.filter_map(|binding| binding_by_address(binding, service)));
    problems
}

fn kind(service: &Known) -> Option<Problem> {
    let is_alias = text(&service.value, "/spec/type") == Some("ExternalName");
    is_alias.then(|| {
        refused(service, "/spec/type", "an ExternalName is an alias in DNS and selects no pods")
            .help("make it a ClusterIP Service")
    })
}

/// With local policies a node without a pod of the new colour answers nothing.
fn local(service: &Known) -> Option<Problem> {
    let is_local = |pointer| text(&service.value, pointer) == Some("Local");
    if is_local("/spec/internalTrafficPolicy") {
        let why = "`internalTrafficPolicy: Local` leaves callers on nodes without a pod of the new colour without an answer";
        return Some(refused(service, "/spec/internalTrafficPolicy", why).help("set it to `Cluster`"));
    }
    if is_local("/spec/externalTrafficPolicy") && is_balanced(service) {
        let why = "`externalTrafficPolicy: Local` behind a load balancer loses requests at a switch: \
                   nodes without a pod of the new colour keep their traffic until their health check fails";
        return Some(refused(service, "/spec/externalTrafficPolicy", why).help("set it to `Cluster`"));
    }
    None
}

fn is_balanced(service: &Known) -> bool {
    text(&service.value, "/spec/type") == Some("LoadBalancer")
}

/// A network load balancer whose targets are pods.
fn by_address(service: &Known) -> Option<Problem> {
    if !is_balanced(service) {
        return None;
    }
    let target = annotation(&service.value, NLB_TARGET_TYPE);
    let at = |key: &str| format!("/metadata/annotations/{}", crate::secret::escape(key));
    let class = text(&service.value, "/spec/loadBalancerClass");
    let pointer = match (target, annotation(&service.value, NLB_TYPE), class) {
        (Some("ip"), _, _) => at(NLB_TARGET_TYPE),
        (_, Some("nlb-ip"), _) => at(NLB_TYPE),
        (None, _, Some(AUTO_MODE_CLASS)) => "/spec/loadBalancerClass".to_owned(),
        _ => return None,
    };
    let why = "its load balancer sends to pods by address: at a switch it takes the old ones out before the new ones are in";
    Some(refused(service, &pointer, why).help(format!(
        "let it send to nodes (`{NLB_TARGET_TYPE}: instance`), which find the pods through the Service"
    )))
}

/// An Ingress that leads to the Service's pods by address. What the Service says beats what the Ingress says.
fn ingress_by_address(ingress: &Known, service: &Known) -> Option<Problem> {
    let own = annotation(&service.value, ALB_TARGET_TYPE);
    let target = own.or_else(|| annotation(&ingress.value, ALB_TARGET_TYPE));
    let pointer = format!("/metadata/annotations/{}", crate::secret::escape(ALB_TARGET_TYPE));
    (target == Some("ip")).then(|| led_by_address(ingress, service, &pointer))
}

/// The same of a target group that was made elsewhere.
fn binding_by_address(binding: &Known, service: &Known) -> Option<Problem> {
    let is_for_it = text(&binding.value, "/spec/serviceRef/name") == Some(service.name());
    let is_by_address = text(&binding.value, "/spec/targetType") == Some("ip");
    (is_for_it && is_by_address).then(|| led_by_address(binding, service, "/spec/targetType"))
}

fn led_by_address(other: &Known, service: &Known, pointer: &str) -> Problem {
    let reference = &other.object.reference;
    let why = format!(
        "{reference} leads to its pods by address: at a switch the load balancer takes the old ones out before the new ones are in"
    );
    refused(service, "", why)
        .related(format!("{reference} leads to it"), place(&other.object, pointer))
        .help("use `target-type: instance`, where the load balancer sends to nodes, which find the pods through the Service")
}

/// True when requests reach the Service through a load balancer.
pub(super) fn is_behind_one(subject: &Subject<'_>, service: &crate::object::DesiredObject) -> bool {
    let name = &service.reference.name;
    let balanced = subject.neighbours.find("", "Service", name).is_some_and(is_balanced);
    balanced || subject.neighbours.kind(NETWORKING, INGRESS).any(|known| known.leads_to(name))
}

fn refused(service: &Known, pointer: &str, why: impl Into<String>) -> Problem {
    refuse(Code::RolloutTraffic, &service.object, pointer, why)
}
