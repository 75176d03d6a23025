//! Kinds that the catalogue does not have, and versions that it has but should not be used: what to say about them.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use super::lifecycle::{self, Phase};
use super::suggest;
use crate::object::{DesiredObject, Gvk};
use crate::problem::{Code, Problem};

/// Why the API server would not know the kind; none when a custom kind of that name may well exist.
pub(super) fn refused(object: &DesiredObject, catalogue: &Catalogue) -> Option<Problem> {
    let gvk = &object.reference.gvk;
    if let Some(Phase::Removed { removed, instead }) = lifecycle::phase(gvk) {
        let message = format!("{} was removed in Kubernetes 1.{removed}", named(gvk));
        let instead = instead.map(|instead| format!("{message}; use {instead}"));
        return Some(problem(object, "/apiVersion", instead.unwrap_or(message)));
    }
    let elsewhere: Vec<String> = served_in(catalogue, |other| other.kind == gvk.kind);
    let versions: Vec<String> =
        served_in(catalogue, |other| other.kind == gvk.kind && other.group == gvk.group);
    let same_version = |other: &&Gvk| other.group == gvk.group && other.version == gvk.version;
    let kinds: BTreeSet<&str> =
        gvks(catalogue).filter(same_version).map(|other| other.kind.as_str()).collect();
    let group_known = gvks(catalogue).any(|other| other.group == gvk.group);
    if !versions.is_empty() {
        let message = format!("{} is not served; there is {}", named(gvk), versions.join(", "));
        return Some(problem(object, "/apiVersion", message));
    }
    if group_known {
        let message = format!("{} has no kind {} that can be applied", gvk.api_version(), gvk.kind);
        let hint = match suggest::nearest(&gvk.kind, kinds.iter().copied()) {
            Some(kind) => Some(format!("did you mean {kind}?")),
            None if elsewhere.is_empty() => None,
            None => Some(format!("{} is in {}", gvk.kind, elsewhere.join(", "))),
        };
        let pointer = if elsewhere.is_empty() { "/kind" } else { "/apiVersion" };
        return Some(problem(
            object,
            pointer,
            hint.map_or(message.clone(), |hint| format!("{message}; {hint}")),
        ));
    }
    // The group of a custom kind has a dot (the API server insists): any other group that is not built in is a mistake.
    if gvk.group.contains('.') {
        return None;
    }
    let groups: BTreeSet<&str> = gvks(catalogue).map(|other| other.group.as_str()).collect();
    let message = format!("unknown group {} in apiVersion {}", gvk.group, gvk.api_version());
    let hint = if elsewhere.is_empty() {
        suggest::nearest(&gvk.group, groups.into_iter()).map(|group| format!("did you mean {group}?"))
    } else {
        Some(format!("{} is in {}", gvk.kind, elsewhere.join(", ")))
    };
    Some(problem(object, "/apiVersion", hint.map_or(message.clone(), |hint| format!("{message}; {hint}"))))
}

/// A warning when the version of a known kind is on its way out.
pub(super) fn deprecated(object: &DesiredObject, catalogue: &Catalogue) -> Option<Problem> {
    let gvk = &object.reference.gvk;
    let message = match catalogue.kind(gvk)?.deprecation.as_deref() {
        Some("") => format!("{} is deprecated by its definition", named(gvk)),
        Some(warning) => format!("{} is deprecated by its definition: {}", named(gvk), one_line(warning)),
        None => match lifecycle::phase(gvk)? {
            // The cluster at hand still serves it.
            Phase::Removed { removed, instead } => {
                with_instead(format!("{} is removed in Kubernetes 1.{removed}", named(gvk)), instead)
            }
            Phase::Deprecated { since, removed: Some(removed), instead } => with_instead(
                format!("{} is deprecated since Kubernetes 1.{since} and removed in 1.{removed}", named(gvk)),
                instead,
            ),
            Phase::Deprecated { since, removed: None, instead } => {
                with_instead(format!("{} is deprecated since Kubernetes 1.{since}", named(gvk)), instead)
            }
        },
    };
    let place = object.spans.locate("/apiVersion");
    Some(
        Problem::warning(Code::DeprecatedVersion, message)
            .at(place)
            .object(&object.reference)
            .field("apiVersion"),
    )
}

fn with_instead(message: String, instead: Option<&str>) -> String {
    match instead {
        Some(instead) => format!("{message}; use {instead}"),
        None => message,
    }
}

fn problem(object: &DesiredObject, pointer: &str, message: String) -> Problem {
    let place = object.spans.locate(pointer);
    let field = pointer.trim_start_matches('/');
    Problem::error(Code::UnknownKind, message).at(place).object(&object.reference).field(field)
}

fn named(gvk: &Gvk) -> String {
    format!("{} {}", gvk.api_version(), gvk.kind)
}

fn gvks(catalogue: &Catalogue) -> impl Iterator<Item = &Gvk> {
    catalogue.kinds().map(|(gvk, _)| gvk)
}

fn served_in(catalogue: &Catalogue, is_it: impl Fn(&Gvk) -> bool) -> Vec<String> {
    gvks(catalogue).filter(|gvk| is_it(gvk)).map(Gvk::api_version).collect()
}

/// A text of the definition, short enough for a message.
fn one_line(text: &str) -> String {
    const MAX: usize = 256;
    text.chars().take(MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
