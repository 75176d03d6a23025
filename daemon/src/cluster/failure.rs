//! From an API server's refusal to a [`Problem`] that points into git.
//!
//! The server names fields (`spec.template.spec.containers[0].image`); the object's spans know who asked for them.

use kube::core::Status;
use tidegate_core::diff::repeats_secret;
use tidegate_core::object::{DesiredObject, ObjectRef};
use tidegate_core::problem::{Code, Problem};

use super::call::CallError;

/// Longest message of a server that is passed on.
const MESSAGE_CAP: usize = 1_000;
/// In place of a message that may repeat a value.
const WITHHELD: &str = "its message is withheld, because it may repeat a value of the Secret";
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
        | CallError::Damaged(_)
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
    about(object, Code::UnknownKind, gvk.unserved())
        .help("install its CustomResourceDefinition, or correct `apiVersion`")
}

fn about(object: &DesiredObject, code: Code, message: String) -> Problem {
    Problem::error(code, message).object(&object.reference).at(object.location())
}

/// The words that Kubernetes' own validation uses for fields that cannot change; a test has an API server say each of them.
pub fn is_immutable(message: &str) -> bool {
    let said = |words: &str| message.contains(words);
    said("field is immutable")
        || said("is immutable after creation")
        || said("may not change once set")
        || said("may not be changed in an update")
        || said("cannot change roleRef")
        || said("pod updates may not change fields other than")
        // Of StatefulSets, StorageClasses and VolumeAttributesClasses.
        || (said("updates to ") && said(" are forbidden"))
        // A rule of a custom kind that has no words of its own.
        || said("failed rule: self == oldSelf")
}

/// Why an object is still there that was to be deleted. There is no desired object to compare the message with, so that
/// nothing is repeated that a server says of a Secret.
pub fn undeleted(object: &ObjectRef, error: &CallError) -> Problem {
    let text = match error {
        CallError::NotFound(status)
        | CallError::Conflict(status)
        | CallError::Refused(status)
        | CallError::Unauthorized(status)
        | CallError::Busy { status, .. }
            if object.gvk.kind == "Secret" =>
        {
            format!("the API server answered {} {}; {WITHHELD}", status.code, status.reason)
        }
        CallError::Server(_) if object.gvk.kind == "Secret" => format!("the API server failed; {WITHHELD}"),
        // Of other objects; our own words; and those of the authoriser, who has not seen the object.
        CallError::Unreachable(_)
        | CallError::Forbidden(_)
        | CallError::NotFound(_)
        | CallError::Conflict(_)
        | CallError::Refused(_)
        | CallError::Unauthorized(_)
        | CallError::Busy { .. }
        | CallError::Damaged(_)
        | CallError::Server(_) => error.to_string(),
    };
    Problem::error(Code::Rejected, capped(&format!("failed to delete it: {text}"))).object(object)
}

/// What a server says about an object, as far as people may read it: not too long, and no value of a Secret.
pub fn words(object: &DesiredObject, message: &str) -> String {
    if repeats_secret(object.value(), message) {
        return "the API server's message is withheld, because it repeats a value of the Secret".to_owned();
    }
    capped(message)
}

/// On one line and not too long.
fn capped(message: &str) -> String {
    let message: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let message: String = message.chars().filter(|c| !c.is_control()).collect();
    if message.chars().count() <= MESSAGE_CAP {
        return message;
    }
    message.chars().take(MESSAGE_CAP).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use tidegate_core::object::Gvk;

    use super::*;

    fn reference(kind: &str) -> ObjectRef {
        let gvk = Gvk { group: String::new(), version: "v1".to_owned(), kind: kind.to_owned() };
        ObjectRef { gvk, namespace: Some("n".to_owned()), name: "x".to_owned() }
    }

    fn refused(message: &str) -> Box<Status> {
        let (message, reason) = (message.to_owned(), "Forbidden".to_owned());
        Box::new(Status { code: 403, message, reason, ..Status::default() })
    }

    #[test]
    fn a_delete_that_fails_repeats_nothing_that_was_said_of_a_secret() {
        let said = "denied: password hunter2 is in use";
        let errors = || {
            let busy = CallError::Busy { status: refused(said), after: None };
            [
                CallError::Refused(refused(said)),
                CallError::Conflict(refused(said)),
                busy,
                CallError::Server(said.to_owned()),
            ]
        };
        for error in errors() {
            let problem = undeleted(&reference("Secret"), &error);
            assert!(
                !problem.message.contains("hunter2") && problem.message.contains("withheld"),
                "{problem}"
            );
            let problem = undeleted(&reference("ConfigMap"), &error);
            assert!(problem.message.contains("hunter2"), "{problem}");
        }
        let away = CallError::Unreachable("connection refused".to_owned());
        assert!(undeleted(&reference("Secret"), &away).message.contains("connection refused"));
    }

    #[test]
    fn what_a_server_says_is_one_line_without_controls_and_not_too_long() {
        let error = CallError::Refused(refused(&format!("a\n\u{1b}[31mb\tc{}", "d".repeat(5_000))));
        let message = undeleted(&reference("ConfigMap"), &error).message;
        assert!(message.starts_with("failed to delete it: refused: a [31mb cddd"), "{message}");
        assert!(message.chars().count() <= MESSAGE_CAP + 1 && message.ends_with('…'), "{message}");
    }
}
