//! From an API server's refusal to a [`Problem`] that points into git.
//!
//! The server names fields (`spec.template.spec.containers[0].image`); the object's spans know who asked for them.

use kube::core::Status;
use tidegate_core::diff::repeats_secret;
use tidegate_core::object::DesiredObject;
use tidegate_core::problem::{Code, Problem};

use super::call::CallError;

/// Longest message of a server that is passed on.
const MESSAGE_CAP: usize = 1_000;
/// More causes than this of one refusal are not listed one by one.
const CAUSES_CAP: usize = 20;

/// What a failed write of an object means; every cause that the server names becomes a problem of its own.
pub fn problems(object: &DesiredObject, error: &CallError) -> Vec<Problem> {
    match error {
        CallError::Refused(status) | CallError::Conflict(status) => refused(object, status),
        CallError::Forbidden(status) => {
            vec![
                about(object, Code::Forbidden, words(object, &status.message)).help(
                    "grant the daemon's identity this right, or take the object out of the environment",
                ),
            ]
        }
        CallError::NotFound(status) => vec![missing(object, status)],
        CallError::Busy { .. }
        | CallError::Server(_)
        | CallError::Unreachable(_)
        | CallError::Unauthorized(_) => {
            vec![about(object, Code::ClusterUnreachable, words(object, &error.to_string()))]
        }
    }
}

fn refused(object: &DesiredObject, status: &Status) -> Vec<Problem> {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let named: Vec<Problem> = causes
        .iter()
        .filter(|cause| !cause.field.is_empty() && cause.field != "<nil>")
        .take(CAUSES_CAP)
        .map(|cause| {
            let code = if is_immutable(&cause.message) { Code::Immutable } else { Code::Rejected };
            let location = object.spans.locate_field(object.value(), &cause.field);
            let message = format!("{}: {}", cause.field, words(object, &cause.message));
            with_help(about(object, code, message).field(&cause.field).at(location))
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let message = words(object, &status.message);
    let code = if is_immutable(&message) { Code::Immutable } else { Code::Rejected };
    vec![with_help(about(object, code, message))]
}

fn with_help(problem: Problem) -> Problem {
    if problem.code != Code::Immutable {
        return problem;
    }
    problem.help(
        "the API server does not let this field change: give the object another name, or delete it by hand once you are sure",
    )
}

fn missing(object: &DesiredObject, status: &Status) -> Problem {
    let message = words(object, &status.message);
    if message.contains("namespaces") {
        return about(object, Code::Rejected, message)
            .help("create the namespace first, or set `createNamespaces: true`");
    }
    let gvk = &object.reference.gvk;
    about(object, Code::UnknownKind, format!("the cluster serves no {} in {}", gvk.kind, gvk.api_version()))
        .help("install its CustomResourceDefinition, or correct `apiVersion`")
}

fn about(object: &DesiredObject, code: Code, message: String) -> Problem {
    Problem::error(code, message).object(&object.reference).at(object.location())
}

/// The words that Kubernetes' own validation uses for fields that cannot change.
pub fn is_immutable(message: &str) -> bool {
    message.contains("field is immutable")
        || message.contains("is immutable after creation")
        || message.contains("may not change once set")
        || message.contains("updates to statefulset spec for fields other than")
        || message.contains("cannot change roleRef")
}

/// What a server says about an object, as far as people may read it: not too long, and no value of a Secret.
pub fn words(object: &DesiredObject, message: &str) -> String {
    if repeats_secret(object.value(), message) {
        return "the API server's message is withheld, because it repeats a value of the Secret".to_owned();
    }
    capped(message)
}

fn capped(message: &str) -> String {
    if message.chars().count() <= MESSAGE_CAP {
        return message.to_owned();
    }
    message.chars().take(MESSAGE_CAP).chain(std::iter::once('…')).collect()
}
