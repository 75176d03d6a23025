//! `environment.yaml` read into an [`Environment`]: every error of the file at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fields::{Fields, Section, Spot};
use super::{
    Deadlines, Environment, IgnoreRule, IgnoreWhen, OnFailure, Placed, Prune, PruneBudget, Source, Suspend,
    names, paths, read_cluster, read_patches,
};
use crate::ids::EnvironmentName;
use crate::location::Location;
use crate::object::ObjectId;
use crate::problem::{Code, Problem};
use crate::yaml::{Budget, Document, NodeValue, parse};

/// The version and kind of the file.
const API_VERSION: &str = "tidegate.dev/v1";

const SPEC: &[&str] = &[
    "cluster",
    "namespaces",
    "createNamespaces",
    "serviceAccount",
    "sources",
    "substitute",
    "patches",
    "policies",
    "prune",
    "promotion",
    "ignore",
    "deadlines",
    "suspend",
    "dependsOn",
    "clusterScoped",
    "onFailure",
    "adopt",
    "decommission",
];

/// Reads the file of a folder.
pub fn environment(file: &Arc<str>, folder: &str, bytes: &[u8]) -> Result<Environment, Vec<Problem>> {
    let (documents, mut problems) = parse(file, bytes, &Budget::DEFAULT);
    let [Document { root }] = documents.as_slice() else {
        if problems.is_empty() {
            let message =
                format!("one Environment is expected in this file, not {} documents", documents.len());
            problems.push(Problem::error(Code::ConfigField, message).at(Location::file(file)));
        }
        return Err(problems);
    };
    let mut fields = Fields::new(file.clone());
    fields.problems = problems;
    let environment = document(&mut fields, &Spot::root(root), folder);
    let (errors, warnings): (Vec<_>, Vec<_>) = fields.problems.into_iter().partition(Problem::is_error);
    match environment {
        Some(environment) if errors.is_empty() => Ok(Environment { warnings, ..environment }),
        Some(_) | None => {
            let mut problems: Vec<Problem> = errors.into_iter().chain(warnings).collect();
            problems.sort_by(|left, right| left.location.cmp(&right.location));
            Err(problems)
        }
    }
}

fn document(fields: &mut Fields, root: &Spot<'_>, folder: &str) -> Option<Environment> {
    let top = fields.section(root, &["apiVersion", "kind", "metadata", "spec"])?;
    constant(fields, &top, "apiVersion", API_VERSION);
    constant(fields, &top, "kind", "Environment");
    let name = name(fields, &top, folder);
    let spec = fields.required(&top, "spec").and_then(|spot| fields.section(&spot, SPEC));
    let spec = spec?;
    let cluster = fields.required(&spec, "cluster").and_then(|spot| {
        let value = read_cluster::cluster(fields, &spot)?;
        Some(Placed { value, location: fields.location(&spot) })
    });
    let namespaces = namespaces(fields, &spec);
    not_yet(fields, &spec);
    let environment = Environment {
        name: name.clone().unwrap_or_else(|| "invalid".parse().expect("a valid name")),
        folder: folder.to_owned(),
        location: fields.location(root),
        cluster: cluster
            .clone()
            .unwrap_or(Placed { value: super::Cluster::InCluster, location: fields.location(root) }),
        namespaces,
        create_namespaces: flag(fields, &spec, "createNamespaces"),
        service_account: spec.get("serviceAccount").and_then(|spot| dns_name(fields, &spot)),
        sources: sources(fields, &spec, folder, root),
        substitute: substitute(fields, &spec),
        patches: spec.get("patches").map(|spot| fields.list(&spot, read_patches::patch)).unwrap_or_default(),
        policies: policies(fields, &spec),
        prune: spec.get("prune").and_then(|spot| prune(fields, &spot)).unwrap_or_default(),
        ignore: spec.get("ignore").map(|spot| fields.list(&spot, ignore)).unwrap_or_default(),
        deadlines: spec.get("deadlines").and_then(|spot| deadlines(fields, &spot)).unwrap_or_default(),
        suspend: spec.get("suspend").and_then(|spot| suspend(fields, &spot)),
        depends_on: spec.get("dependsOn").map(|spot| fields.list(&spot, dependency)).unwrap_or_default(),
        cluster_scoped: set(fields, &spec, "clusterScoped"),
        on_failure: spec.get("onFailure").and_then(|spot| on_failure(fields, &spot)).unwrap_or_default(),
        adopt: spec
            .get("adopt")
            .map(|spot| fields.list(&spot, object_id).into_iter().collect())
            .unwrap_or_default(),
        decommission: flag(fields, &spec, "decommission"),
        warnings: Vec::new(),
    };
    // What could not be read was reported; the stand-ins above never leave this module.
    (name.is_some() && cluster.is_some()).then_some(environment)
}

fn constant(fields: &mut Fields, top: &Section<'_>, name: &str, value: &str) {
    if let Some(spot) = fields.required(top, name)
        && spot.node.as_str() != Some(value)
    {
        fields.wrong(&spot, &format!("`{value}`"));
    }
}

fn name(fields: &mut Fields, top: &Section<'_>, folder: &str) -> Option<EnvironmentName> {
    let metadata = fields.required(top, "metadata")?;
    let metadata = fields.section(&metadata, &["name", "labels", "annotations"])?;
    let spot = fields.required(&metadata, "name")?;
    let text = fields.text(&spot)?;
    let folder = folder.rsplit('/').next().unwrap_or_default();
    if text != folder {
        let message = format!("the environment `{text}` stands in the folder `{folder}`");
        let help = match (folder.parse::<EnvironmentName>(), text.parse::<EnvironmentName>()) {
            (Ok(folder), _) => format!("write `name: {folder}`"),
            (Err(_), Ok(name)) => format!("rename the folder to `{name}`"),
            (Err(error), Err(_)) => format!("rename the folder: {error}"),
        };
        fields.report(&spot, Problem::error(Code::EnvironmentName, message).help(help));
    }
    text.parse()
        .map_err(|error: crate::ids::InvalidId| {
            fields.report(&spot, Problem::error(Code::EnvironmentName, error.to_string()));
        })
        .ok()
}

fn flag(fields: &mut Fields, section: &Section<'_>, name: &str) -> bool {
    section.get(name).and_then(|spot| fields.flag(&spot)).unwrap_or(false)
}

fn set(fields: &mut Fields, section: &Section<'_>, name: &str) -> BTreeSet<String> {
    section.get(name).map(|spot| fields.list(&spot, Fields::text).into_iter().collect()).unwrap_or_default()
}

fn dns_name(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let name = fields.text(spot)?;
    if names::is_subdomain(&name) {
        return Some(name);
    }
    fields.wrong(spot, "a name of a-z, 0-9, `-` and `.`");
    None
}

fn namespaces(fields: &mut Fields, spec: &Section<'_>) -> Vec<Placed<String>> {
    let Some(spot) = fields.required(spec, "namespaces") else { return Vec::new() };
    let before = fields.problems.len();
    let mut seen = BTreeSet::new();
    let namespaces = fields.list(&spot, |fields, spot| {
        let value = fields.text(spot)?;
        if !names::is_label(&value) {
            fields.wrong(spot, "the name of a namespace: at most 63 of a-z, 0-9 and `-`");
            return None;
        }
        if !seen.insert(value.clone()) {
            fields.wrong(spot, "a namespace that is not on the list yet");
            return None;
        }
        Some(Placed { value, location: fields.location(spot) })
    });
    if namespaces.is_empty() && fields.problems.len() == before {
        fields.wrong(&spot, "a list of at least one namespace");
    }
    namespaces
}

/// Says of each part that this version does not do.
fn not_yet(fields: &mut Fields, spec: &Section<'_>) {
    if let Some(spot) = spec.get("promotion") {
        let message = "promotion comes with a later version; without it this environment would not wait for the other one";
        fields.report(&spot, Problem::error(Code::NotSupported, message));
    }
    if let Some(spot) = spec.get("serviceAccount") {
        // Ignoring it would write with more rights than the environment asks for.
        let message =
            "serviceAccount comes with a later version; without it the daemon's own rights would be used";
        fields.report(&spot, Problem::error(Code::NotSupported, message));
    }
}

fn sources(fields: &mut Fields, spec: &Section<'_>, folder: &str, root: &Spot<'_>) -> Vec<Placed<Source>> {
    let Some(spot) = spec.get("sources") else {
        return vec![Placed { value: Source::Manifests(folder.to_owned()), location: fields.location(root) }];
    };
    fields.list(&spot, |fields, spot| {
        let section = fields.section(spot, &["manifests", "kustomize", "helm"])?;
        for other in ["kustomize", "helm"] {
            if let Some(spot) = section.get(other) {
                let problem =
                    Problem::error(Code::NotSupported, format!("{other} sources come with a later version"));
                fields.report(
                    &spot,
                    problem.help("write the rendered manifests into a folder and name it as `manifests`"),
                );
                return None;
            }
        }
        let spot = fields.required(&section, "manifests")?;
        let path = fields.text(&spot)?;
        match paths::resolve(folder, &path) {
            Ok(path) => Some(Placed { value: Source::Manifests(path), location: fields.location(&spot) }),
            Err(why) => {
                fields.report(
                    &spot,
                    Problem::error(Code::SourcePath, format!("the path `{}` {why}", path.escape_debug())),
                );
                None
            }
        }
    })
}

fn substitute(fields: &mut Fields, spec: &Section<'_>) -> BTreeMap<String, String> {
    let Some(spot) = spec.get("substitute") else { return BTreeMap::new() };
    let mut values = BTreeMap::new();
    for (name, spot) in fields.entries(&spot) {
        if !crate::render::is_variable(name) {
            let message = format!("`{name}` is not a name for `${{…}}`: use letters, digits and `_`");
            fields.report(&spot, Problem::error(Code::Substitution, message));
        }
        let text = match &spot.node.value {
            NodeValue::String(text) => text.clone(),
            NodeValue::Bool(_) | NodeValue::Number(_) => {
                spot.node.written.as_deref().unwrap_or_default().to_owned()
            }
            NodeValue::Null | NodeValue::Sequence(_) | NodeValue::Mapping(_) => {
                fields.wrong(&spot, "a text or a number");
                continue;
            }
        };
        values.insert(name.to_owned(), text);
    }
    values
}

fn policies(fields: &mut Fields, spec: &Section<'_>) -> Vec<Placed<String>> {
    let mut seen = BTreeSet::new();
    let name = |fields: &mut Fields, spot: &Spot<'_>| {
        let value = dns_name(fields, spot)?;
        if !seen.insert(value.clone()) {
            fields.wrong(spot, "a policy that is not on the list yet");
            return None;
        }
        Some(Placed { value, location: fields.location(spot) })
    };
    spec.get("policies").map(|spot| fields.list(&spot, name)).unwrap_or_default()
}

fn prune(fields: &mut Fields, spot: &Spot<'_>) -> Option<Prune> {
    let section = fields.section(spot, &["enabled", "budget", "allow"])?;
    let mut prune = Prune::default();
    if let Some(enabled) = section.get("enabled").and_then(|spot| fields.flag(&spot)) {
        prune.enabled = enabled;
    }
    if let Some(budget) = section.get("budget").and_then(|spot| fields.section(&spot, &["max", "percent"])) {
        let PruneBudget { max, percent } = prune.budget;
        prune.budget = PruneBudget {
            max: budget.get("max").and_then(|spot| fields.count(&spot, u32::MAX)).unwrap_or(max),
            percent: budget.get("percent").and_then(|spot| fields.count(&spot, 100)).unwrap_or(percent),
        };
    }
    prune.allow = set(fields, &section, "allow");
    Some(prune)
}

fn ignore(fields: &mut Fields, spot: &Spot<'_>) -> Option<IgnoreRule> {
    let section = fields.section(spot, &["kind", "name", "pointers", "when"])?;
    let kind = fields.required(&section, "kind").and_then(|spot| fields.text(&spot));
    let pointers = fields.required(&section, "pointers").map(|spot| fields.list(&spot, pointer));
    let when = section.get("when").and_then(|spot| fields.choice(&spot, &[("hpa", IgnoreWhen::Hpa)]));
    let name = section.get("name").and_then(|spot| fields.text(&spot));
    Some(IgnoreRule { kind: kind?, name, pointers: pointers?, when: when.unwrap_or(IgnoreWhen::Always) })
}

fn pointer(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let pointer = fields.text(spot)?;
    let escapes_are_good = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if pointer.starts_with('/') && escapes_are_good {
        return Some(pointer);
    }
    fields.wrong(spot, "a JSON pointer like /spec/replicas");
    None
}

fn deadlines(fields: &mut Fields, spot: &Spot<'_>) -> Option<Deadlines> {
    let section = fields.section(spot, &["apply", "healthy"])?;
    let Deadlines { apply, healthy } = Deadlines::default();
    Some(Deadlines {
        apply: section.get("apply").and_then(|spot| fields.duration(&spot)).unwrap_or(apply),
        healthy: section.get("healthy").and_then(|spot| fields.duration(&spot)).unwrap_or(healthy),
    })
}

fn suspend(fields: &mut Fields, spot: &Spot<'_>) -> Option<Suspend> {
    let section = fields.section(spot, &["reason", "until"])?;
    let reason = fields.required(&section, "reason").and_then(|spot| fields.text(&spot));
    let until = section.get("until").and_then(|spot| {
        let until = fields.text(&spot)?.parse();
        if until.is_err() {
            fields.wrong(&spot, "a time like 2026-12-01T00:00:00Z");
        }
        until.ok()
    });
    Some(Suspend { reason: reason?, until, location: fields.location(spot) })
}

fn dependency(fields: &mut Fields, spot: &Spot<'_>) -> Option<Placed<EnvironmentName>> {
    let text = fields.text(spot)?;
    let name = text.parse().map_err(|error: crate::ids::InvalidId| {
        fields.report(spot, Problem::error(Code::DependsOn, error.to_string()));
    });
    Some(Placed { value: name.ok()?, location: fields.location(spot) })
}

fn on_failure(fields: &mut Fields, spot: &Spot<'_>) -> Option<OnFailure> {
    fields.choice(spot, &[("rollback", OnFailure::Rollback), ("stay", OnFailure::Stay)])
}

/// `apps/Deployment house-price/api`: group and namespace where there are any.
fn object_id(fields: &mut Fields, spot: &Spot<'_>) -> Option<ObjectId> {
    let text = fields.text(spot)?;
    let Some((kind, name)) = text.split_once(' ').filter(|(_, name)| !name.is_empty() && !name.contains(' '))
    else {
        fields.wrong(spot, "an object like `apps/Deployment house-price/api` or `ClusterRole reader`");
        return None;
    };
    let (group, kind) = kind.rsplit_once('/').unwrap_or(("", kind));
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, name),
    };
    Some(ObjectId { group: group.to_owned(), kind: kind.to_owned(), namespace, name: name.to_owned() })
}
