//! From the OpenAPI v3 documents of a cluster to a catalogue: the paths tell scope and plural, the definitions the fields.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::catalogue::{Catalogue, KindInfo, Schema};
use super::node::NodeId;
use super::parse::Parser;
use crate::object::{Gvk, Scope};

/// The `metadata` of every object.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const GVK: &str = "x-kubernetes-group-version-kind";

/// Reads the documents of one cluster; where two define the same name, the first counts.
pub(super) fn read(documents: &[Value]) -> Catalogue {
    let mut sources: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut kinds: BTreeMap<Gvk, (Scope, &str)> = BTreeMap::new();
    for document in documents {
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        for (name, schema) in schemas.into_iter().flatten() {
            sources.entry(name).or_insert(schema);
        }
        for (path, operations) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let Some((scope, plural)) = item_path(path) else { continue };
            let Some(gvk) = operations.pointer("/patch").and_then(|patch| gvk_of(patch.get(GVK)?)) else {
                continue;
            };
            kinds.entry(gvk).or_insert((scope, plural));
        }
    }
    let definitions = definitions_by_kind(&sources);
    let mut parser = Parser::new(sources);
    let mut found: Vec<(Gvk, Scope, String, Option<NodeId>)> = Vec::new();
    for (gvk, (scope, plural)) in kinds {
        let root = definitions.get(&gvk).and_then(|name| parser.definition(name));
        found.push((gvk, scope, plural.to_owned(), root));
    }
    let metadata = parser.definition(METADATA);
    let library = parser.finish();
    let schema = |root| Schema { library: Arc::clone(&library), root };
    let mut catalogue = Catalogue::default();
    for (gvk, scope, plural, root) in found {
        catalogue.insert(gvk, KindInfo { scope, plural, schema: root.map(schema), deprecation: None });
    }
    if let Some(root) = metadata {
        catalogue.set_metadata(schema(root));
    }
    catalogue
}

/// Scope and plural from the path of one object, e.g. `/apis/apps/v1/namespaces/{namespace}/deployments/{name}`;
/// none for lists, subresources and watches.
fn item_path(path: &str) -> Option<(Scope, &str)> {
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let (["api", _, inside @ ..] | ["apis", _, _, inside @ ..]) = steps.as_slice() else { return None };
    match inside {
        ["namespaces", "{namespace}", plural, "{name}"] => Some((Scope::Namespaced, plural)),
        [plural, "{name}"] => Some((Scope::Cluster, plural)),
        _ => None,
    }
}

/// The definition of each kind: the one that names this kind and no other (options name them all).
fn definitions_by_kind<'d>(sources: &BTreeMap<&'d str, &'d Value>) -> BTreeMap<Gvk, &'d str> {
    let mut definitions = BTreeMap::new();
    for (name, schema) in sources {
        let Some([only]) = schema.get(GVK).and_then(Value::as_array).map(Vec::as_slice) else { continue };
        if let Some(gvk) = gvk_of(only) {
            definitions.entry(gvk).or_insert(*name);
        }
    }
    definitions
}

fn gvk_of(value: &Value) -> Option<Gvk> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Gvk { group: text("group")?, version: text("version")?, kind: text("kind")? })
}
