//! Which Service moves the traffic of a workload, and which follow it.

use std::sync::Arc;

use super::balancer;
use super::build::Subject;
use super::model::Follower;
use super::names::{ROLE, ROLE_BOTH, ROLE_FOLLOW, is_ours};
use super::neighbours::{Known, Labels};
use super::read::{place, place_of, refuse, says};
use crate::object::DesiredObject;
use crate::problem::{Code, Problem};

/// The Services of a workload.
#[derive(Debug)]
pub(super) struct Services {
    /// The one whose selector is moved.
    pub(super) pointer: Arc<DesiredObject>,
    /// Those that are moved after it.
    pub(super) followers: Vec<Follower>,
}

/// What a Service is to a workload whose pods it selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It says nothing: it may be the pointer.
    Unsaid,
    /// It selects the pods of both slots.
    Both,
    /// It follows the pointer.
    Follow,
}

/// A Service that selects the workload's pods.
struct Selecting<'a> {
    service: &'a Known,
    role: Role,
}

/// The pointer and its followers; or why there is none, or no such one.
pub(super) fn find(subject: &Subject<'_>, asked: Option<&str>) -> Result<Services, Vec<Problem>> {
    let mut problems = Vec::new();
    let selecting = selecting(subject, &mut problems);
    let pointer = match asked {
        Some(name) => named(subject, &selecting, name),
        None => only(subject, &selecting),
    };
    let pointer = match pointer {
        Ok(pointer) => pointer,
        Err(problem) => {
            problems.push(*problem);
            return Err(problems);
        }
    };
    let followers: Vec<&Known> =
        selecting.iter().filter(|found| found.role == Role::Follow).map(|found| found.service).collect();
    problems.extend(balancer::of_pointer(subject, pointer));
    problems.extend(followers.iter().flat_map(|follower| balancer::of_follower(subject, follower)));
    for service in std::iter::once(pointer).chain(followers.iter().copied()) {
        problems.extend(uses_ours(service));
        problems.extend(shared(subject, service));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let followers = followers.iter().map(|known| Follower { object: known.object.clone() }).collect();
    Ok(Services { pointer: pointer.object.clone(), followers })
}

/// Without colours every Service that selects the pods is to be as git says; none when nothing does.
pub(super) fn of_plain(subject: &Subject<'_>) -> Option<Services> {
    let mut selecting = selecting(subject, &mut Vec::new());
    selecting.retain(|found| found.role != Role::Both);
    selecting.sort_by_key(|found| {
        (found.role == Role::Follow, found.service.name() != subject.object.reference.name)
    });
    let mut all = selecting.into_iter().map(|found| found.service.object.clone());
    let pointer = all.next()?;
    Some(Services { pointer, followers: all.map(|object| Follower { object }).collect() })
}

fn selecting<'a>(subject: &Subject<'a>, problems: &mut Vec<Problem>) -> Vec<Selecting<'a>> {
    let mut found = Vec::new();
    for service in subject.neighbours.kind("", "Service") {
        if !selects(service, &subject.labels) {
            continue;
        }
        let role = match says(&service.value, ROLE) {
            None => Role::Unsaid,
            Some(ROLE_BOTH) => Role::Both,
            Some(ROLE_FOLLOW) => Role::Follow,
            Some(other) => {
                let message = format!(
                    "`{ROLE}: {}` is no role of a Service: `{ROLE_BOTH}` or `{ROLE_FOLLOW}`",
                    other.escape_debug()
                );
                let problem =
                    refuse(Code::FieldValue, &service.object, &place_of(&service.value, ROLE), message);
                problems.push(problem.help(format!(
                    "`{ROLE_BOTH}` selects the pods of both colours (for metrics), `{ROLE_FOLLOW}` those of the colour that has the traffic"
                )));
                continue;
            }
        };
        found.push(Selecting { service, role });
    }
    found
}

/// True when the Service selects pods with these labels. One without a selector selects none.
fn selects(service: &Known, labels: &Labels) -> bool {
    let wanted = &service.selector;
    !wanted.is_empty() && wanted.iter().all(|(key, value)| is_ours(key) || labels.get(key) == Some(value))
}

fn named<'a>(
    subject: &Subject<'a>,
    selecting: &[Selecting<'a>],
    name: &str,
) -> Result<&'a Known, Box<Problem>> {
    let policy = subject.policy;
    let asks = format!("the policy `{}` asks for the Service `{name}`", policy.name);
    let Some(service) = subject.neighbours.find("", "Service", name) else {
        let message = format!("the Service `{name}`, which is to move its traffic, is not in git");
        return Err(Box::new(
            refuse(Code::RolloutService, subject.object, "", message)
                .related(asks, policy.location.clone())
                .help("add the Service to the same namespace, or correct `traffic.service` of the policy"),
        ));
    };
    let Some(found) = selecting.iter().find(|found| found.service.name() == name) else {
        let message = format!(
            "it does not select the pods of {}, whose traffic it is to move",
            subject.object.reference
        );
        return Err(Box::new(
            refuse(Code::RolloutService, &service.object, "/spec/selector", message)
                .related(asks, policy.location.clone())
                .related("the labels of the pods", place(subject.object, "/spec/template/metadata/labels"))
                .help("correct its selector, or `traffic.service` of the policy"),
        ));
    };
    if found.role != Role::Unsaid {
        let message = format!(
            "it is to move the traffic of {}, and says that it does not lead",
            subject.object.reference
        );
        let pointer = place_of(&found.service.value, ROLE);
        return Err(Box::new(
            refuse(Code::RolloutService, &service.object, &pointer, message)
                .related(asks, policy.location.clone())
                .help(format!("take `{ROLE}` off it, or correct `traffic.service` of the policy")),
        ));
    }
    match undecided(selecting, Some(name)).as_slice() {
        [] => Ok(found.service),
        others => Err(Box::new(several(subject, others, Some(name)))),
    }
}

fn only<'a>(subject: &Subject<'a>, selecting: &[Selecting<'a>]) -> Result<&'a Known, Box<Problem>> {
    match undecided(selecting, None).as_slice() {
        [only] => Ok(only),
        [] => Err(Box::new(none(subject, selecting))),
        several_found => Err(Box::new(several(subject, several_found, None))),
    }
}

fn undecided<'a>(selecting: &[Selecting<'a>], but: Option<&str>) -> Vec<&'a Known> {
    let unsaid = selecting.iter().filter(|found| found.role == Role::Unsaid).map(|found| found.service);
    unsaid.filter(|service| but != Some(service.name())).collect()
}

fn none(subject: &Subject<'_>, selecting: &[Selecting<'_>]) -> Problem {
    let message = if selecting.is_empty() {
        "no Service selects its pods: nothing could move traffic from one colour to the other, and both would work"
            .to_owned()
    } else {
        let names: Vec<String> =
            selecting.iter().map(|found| format!("`{}`", found.service.name())).collect();
        format!("every Service that selects its pods says that it does not lead: {}", names.join(", "))
    };
    let problem = refuse(Code::RolloutService, subject.object, "", message)
        .related(format!("the policy `{}` matches it", subject.policy.name), subject.policy.location.clone())
        .help(
            "add a Service that selects its pods (a worker without one rolls out as an ordinary Deployment: take it out of the policy's `match`)",
        );
    selecting.iter().fold(problem, |problem, found| {
        let at = place(&found.service.object, &place_of(&found.service.value, ROLE));
        problem.related(format!("`{}` says so here", found.service.name()), at)
    })
}

fn several(subject: &Subject<'_>, services: &[&Known], pointer: Option<&str>) -> Problem {
    let names: Vec<String> = services.iter().map(|service| format!("`{}`", service.name())).collect();
    let names = names.join(", ");
    let message = match pointer {
        Some(pointer) => {
            format!("beside `{pointer}` further Services select its pods and do not say their role: {names}")
        }
        None => format!(
            "several Services select its pods, and which of them moves the traffic is not said: {names}"
        ),
    };
    let problem = refuse(Code::RolloutService, subject.object, "", message).help(format!(
        "give each further one the annotation `{ROLE}: {ROLE_FOLLOW}` (it selects the colour that has the traffic) or `{ROLE}: {ROLE_BOTH}` (both, for metrics)"
    ));
    services.iter().fold(problem, |problem, service| {
        problem.related(format!("`{}`", service.name()), place(&service.object, "/spec/selector"))
    })
}

/// Its selector gains our label; one that already asks for a colour is somebody's work by hand.
fn uses_ours(service: &Known) -> Option<Problem> {
    let key = service.selector.keys().find(|key| is_ours(key))?;
    let pointer = format!("/spec/selector/{}", crate::secret::escape(key));
    let message = format!("its selector names `{key}`, which Tidegate itself writes into it");
    Some(
        refuse(Code::RolloutName, &service.object, &pointer, message).help(
            "take the label out of the selector in git: which colour has the traffic is not git's to say",
        ),
    )
}

/// A selector that is narrowed to one colour leaves every other workload behind it without traffic.
fn shared(subject: &Subject<'_>, service: &Known) -> Option<Problem> {
    let own = &subject.object.reference;
    let mut others = subject.neighbours.runners().filter(|(known, _)| known.object.reference != *own);
    let (other, _) = others.find(|(_, labels)| selects(service, labels))?;
    let reference = &other.object.reference;
    let message = format!(
        "it selects the pods of {own} and of {reference}: narrowed to a colour of the one, it would lose the other"
    );
    Some(
        refuse(Code::RolloutService, &service.object, "/spec/selector", message)
            .related(format!("{reference} has these pods"), place(&other.object, "/spec/template/metadata/labels"))
            .help(format!("select by a label that only the pods of {own} have, or give the Service `{ROLE}: {ROLE_BOTH}`")),
    )
}
