//! From a CustomResourceDefinition to its kinds. A definition that the API server would refuse defines nothing here;
//! that it is wrong is found when the definition itself is checked as an object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::catalogue::{KindInfo, Schema};
use super::parse::Parser;
use crate::object::Scope;

/// Versions of one definition beyond this are left out.
const MAX_VERSIONS: usize = 50;

/// The kind that a definition defines, in every version that it serves.
pub(super) struct Defined {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) versions: Vec<(String, KindInfo)>,
}

/// Reads a parsed `apiextensions.k8s.io/v1` CustomResourceDefinition.
pub(super) fn read(crd: &Value) -> Option<Defined> {
    let spec = crd.get("spec")?;
    let group = spec.get("group")?.as_str()?;
    let names = spec.get("names")?;
    let scope = match spec.get("scope")?.as_str()? {
        "Namespaced" => Scope::Namespaced,
        "Cluster" => Scope::Cluster,
        _ => return None,
    };
    let plural = names.get("plural")?.as_str()?;
    let mut versions = Vec::new();
    for version in spec.get("versions")?.as_array()?.iter().take(MAX_VERSIONS) {
        let Some(name) = version.get("name").and_then(Value::as_str) else { continue };
        if version.get("served") != Some(&Value::Bool(true)) {
            continue;
        }
        let deprecated = version.get("deprecated") == Some(&Value::Bool(true));
        let warning = version.get("deprecationWarning").and_then(Value::as_str).unwrap_or_default();
        let info = KindInfo {
            scope,
            plural: plural.to_owned(),
            schema: schema(spec, version),
            deprecation: deprecated.then(|| warning.to_owned()),
        };
        versions.push((name.to_owned(), info));
    }
    Some(Defined { group: group.to_owned(), kind: names.get("kind")?.as_str()?.to_owned(), versions })
}

fn schema(spec: &Value, version: &Value) -> Option<Schema> {
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(true)) {
        return None;
    }
    let source = version.pointer("/schema/openAPIV3Schema")?;
    let mut parser = Parser::new(BTreeMap::new());
    let root = parser.structural(source);
    parser.object_fields(root);
    Some(Schema { library: parser.finish(), root })
}
