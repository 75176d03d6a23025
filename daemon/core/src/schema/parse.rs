//! From OpenAPI v3 schemas and structural schemas to nodes. Lenient: what it does not understand accepts everything,
//! so that a strange document never makes a good object look wrong. Depth and size are limited.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::node::{
    Array, Format, Identity, Key, Library, Node, NodeId, Null, Object, Rest, Shape, Text, Width,
};
use super::required;

/// Schemas nested deeper than this accept everything from there on.
const MAX_DEPTH: usize = 64;
/// Sets of documents with more nodes than this accept everything from there on (about 60 MB; Kubernetes itself has 9,000).
const MAX_NODES: usize = 1_000_000;
/// Key fields of a list beyond this are not looked at.
const MAX_KEYS: usize = 16;
/// Quantities are a text or a number in OpenAPI; what the text must look like follows from the name.
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
/// The schema inside a CustomResourceDefinition, and two places for it that OpenAPI leaves open.
const SCHEMA: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
const SCHEMA_OR_LIST: &str =
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray";
const SCHEMA_OR_BOOL: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool";
const REFERENCE: &str = "#/components/schemas/";

/// Who wrote a schema. Go types and structural schemas use the same words differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Generated from Go types: `null` and absent are one, `default: ""` is only the zero value.
    BuiltIn,
    /// A structural schema: what it says is enforced to the letter.
    Custom,
}

impl Dialect {
    fn of_definition(name: &str) -> Self {
        const GO: [&str; 4] = [
            "io.k8s.api.",
            "io.k8s.apimachinery.",
            "io.k8s.apiextensions-apiserver.",
            "io.k8s.kube-aggregator.",
        ];
        if GO.iter().any(|prefix| name.starts_with(prefix)) { Self::BuiltIn } else { Self::Custom }
    }
}

/// Reads schemas into one library.
pub(super) struct Parser<'d> {
    library: Library,
    names: BTreeSet<Arc<str>>,
    leaves: Vec<(Node, NodeId)>,
    sources: BTreeMap<&'d str, &'d Value>,
    definitions: BTreeMap<&'d str, NodeId>,
    pending: Vec<(&'d str, NodeId)>,
}

impl<'d> Parser<'d> {
    /// A parser whose references point into these named definitions.
    pub(super) fn new(sources: BTreeMap<&'d str, &'d Value>) -> Self {
        Self {
            library: Library::default(),
            names: BTreeSet::new(),
            leaves: Vec::new(),
            sources,
            definitions: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// The node of a named definition and of all that it refers to; none when there is no such definition.
    pub(super) fn definition(&mut self, name: &str) -> Option<NodeId> {
        let root = self.refer(name)?;
        // Bounded by the number of definitions: `refer` queues each name once.
        while let Some((name, id)) = self.pending.pop() {
            let Some(source) = self.sources.get(name).copied() else { continue };
            let node = match name {
                QUANTITY => Node { null: Null::Absent, shape: Shape::Quantity },
                SCHEMA_OR_LIST | SCHEMA_OR_BOOL => self
                    .refer(SCHEMA)
                    .map_or(Node::ANY, |schema| Node { null: Null::Absent, shape: Shape::IfMapping(schema) }),
                _ => self.node(source, Dialect::of_definition(name), Some(name), 0),
            };
            self.library.replace(id, node);
        }
        Some(root)
    }

    /// The node of a structural schema.
    pub(super) fn structural(&mut self, schema: &Value) -> NodeId {
        self.child(schema, Dialect::Custom, 0)
    }

    /// Makes the fields that every object has known in a custom kind: `apiVersion`, `kind` and `metadata`.
    pub(super) fn object_fields(&mut self, root: NodeId) {
        let Node { null, shape } = self.library.get(root).clone();
        if let Shape::Object(mut object) = shape {
            self.add_object_fields(&mut object);
            if object.rest == Rest::Dropped {
                object.rest = Rest::Refused;
            }
            self.library.replace(root, Node { null, shape: Shape::Object(object) });
        }
    }

    /// What was read.
    pub(super) fn finish(self) -> Arc<Library> {
        Arc::new(self.library)
    }

    fn refer(&mut self, name: &str) -> Option<NodeId> {
        if let Some(id) = self.definitions.get(name) {
            return Some(*id);
        }
        let (name, _) = self.sources.get_key_value(name)?;
        let id = self.library.reserve();
        self.definitions.insert(name, id);
        self.pending.push((name, id));
        Some(id)
    }

    fn child(&mut self, schema: &Value, dialect: Dialect, depth: usize) -> NodeId {
        let node = self.node(schema, dialect, None, depth);
        // Nodes of which there are only a few kinds are shared.
        let leaf = match &node.shape {
            Shape::Any
            | Shape::Metadata
            | Shape::Integer(_)
            | Shape::Number
            | Shape::Boolean
            | Shape::IntOrString(_)
            | Shape::Quantity => true,
            Shape::Text(text) => text.allowed.is_empty(),
            Shape::Object(_) | Shape::Array(_) | Shape::Same(_) | Shape::IfMapping(_) => false,
        };
        if !leaf {
            return self.library.add(node);
        }
        if let Some((_, id)) = self.leaves.iter().find(|(known, _)| *known == node) {
            return *id;
        }
        let id = self.library.add(node.clone());
        self.leaves.push((node, id));
        id
    }

    fn node(&mut self, schema: &Value, dialect: Dialect, name: Option<&str>, depth: usize) -> Node {
        let Value::Object(schema) = schema else { return Node::ANY };
        if depth > MAX_DEPTH || self.library.len() > MAX_NODES {
            return Node::ANY;
        }
        let null = match dialect {
            Dialect::BuiltIn => Null::Absent,
            Dialect::Custom if flag(schema, "nullable") => Null::Value,
            Dialect::Custom if schema.contains_key("default") => Null::Absent,
            Dialect::Custom => Null::Refused,
        };
        if let Some(target) = reference(schema) {
            let id = self.refer(target);
            return id.map_or(Node::ANY, |id| Node { null: Null::Absent, shape: Shape::Same(id) });
        }
        let int_or_string = flag(schema, "x-kubernetes-int-or-string")
            || schema.get("format").and_then(Value::as_str) == Some("int-or-string");
        if int_or_string {
            let width = match dialect {
                Dialect::BuiltIn => Width::Bits32,
                Dialect::Custom => Width::Bits64,
            };
            return Node { null, shape: Shape::IntOrString(width) };
        }
        let kind = schema.get("type").and_then(Value::as_str);
        let shape = match kind {
            Some("object") => Shape::Object(self.object(schema, dialect, name, depth)),
            None if schema.get("properties").is_some_and(Value::is_object) => {
                Shape::Object(self.object(schema, dialect, name, depth))
            }
            Some("array") => Shape::Array(self.array(schema, dialect, depth)),
            Some("string") => Shape::Text(self.text(schema, dialect)),
            Some("integer") => Shape::Integer(match schema.get("format").and_then(Value::as_str) {
                // The format of custom kinds is not enforced, and their numbers are kept whole.
                Some("int32") if dialect == Dialect::BuiltIn => Width::Bits32,
                _ => Width::Bits64,
            }),
            Some("number") => Shape::Number,
            Some("boolean") => Shape::Boolean,
            _ => return Node::ANY,
        };
        Node { null, shape }
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        dialect: Dialect,
        name: Option<&str>,
        depth: usize,
    ) -> Object {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let mut fields: Vec<(Arc<str>, NodeId)> = Vec::with_capacity(properties.len());
        for (field, property) in properties {
            let id = self.child(property, dialect, depth + 1);
            fields.push((self.name(field), id));
        }
        fields.sort();
        let rest = match schema.get("additionalProperties") {
            _ if flag(schema, "x-kubernetes-preserve-unknown-fields") => Rest::Free,
            Some(Value::Bool(true)) => Rest::Free,
            Some(each @ Value::Object(_)) => Rest::Each(self.child(each, dialect, depth + 1)),
            _ => match dialect {
                Dialect::BuiltIn if properties.is_empty() => Rest::Free,
                Dialect::Custom if properties.is_empty() => Rest::Dropped,
                Dialect::BuiltIn | Dialect::Custom => Rest::Refused,
            },
        };
        let on_paper: &[&str] = required::ON_PAPER_ONLY
            .iter()
            .find(|(definition, _)| Some(*definition) == name)
            .map_or(&[], |(_, fields)| fields);
        let required = texts(schema.get("required"))
            .filter(|field| !on_paper.contains(field))
            .filter(|field| !properties.get(*field).is_some_and(|property| fills_in(property, dialect)))
            .map(|field| self.name(field))
            .collect();
        let mut object = Object { fields: fields.into(), required, rest };
        if flag(schema, "x-kubernetes-embedded-resource") {
            self.add_object_fields(&mut object);
        }
        object
    }

    /// Adds the fields of an object inside a custom kind; the server insists on its kind.
    fn add_object_fields(&mut self, object: &mut Object) {
        let text = Shape::Text(Text { format: Format::Plain, allowed: Box::default() });
        let text = self.library.add(Node { null: Null::Refused, shape: text });
        let metadata = self.library.add(Node { null: Null::Absent, shape: Shape::Metadata });
        let own = |name: &Arc<str>| matches!(name.as_ref(), "apiVersion" | "kind" | "metadata");
        let mut fields = object.fields.to_vec();
        fields.retain(|(name, _)| !own(name));
        for (name, id) in [("apiVersion", text), ("kind", text), ("metadata", metadata)] {
            fields.push((self.name(name), id));
        }
        fields.sort();
        object.fields = fields.into();
        let mut required = object.required.to_vec();
        required.retain(|name| !own(name));
        required.extend([self.name("apiVersion"), self.name("kind")]);
        object.required = required.into();
    }

    fn array(&mut self, schema: &Map<String, Value>, dialect: Dialect, depth: usize) -> Array {
        let item_schema = schema.get("items").unwrap_or(&Value::Null);
        let item = self.child(item_schema, dialect, depth + 1);
        let identity = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => Identity::Set,
            Some("map") => {
                let fields = self.resolve(item_schema).get("properties");
                let keys = texts(schema.get("x-kubernetes-list-map-keys"));
                Identity::Map(
                    keys.take(MAX_KEYS)
                        .map(|key| Key {
                            name: self.names.get(key).cloned().unwrap_or_else(|| Arc::from(key)),
                            default: fields.and_then(|fields| fields.get(key)?.get("default")).cloned(),
                        })
                        .collect(),
                )
            }
            _ => Identity::Atomic,
        };
        Array { item, identity }
    }

    /// The schema itself, or the definition that it refers to.
    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let target = schema.as_object().and_then(reference);
        target.and_then(|name| self.sources.get(name).copied()).unwrap_or(schema)
    }

    fn text(&mut self, schema: &Map<String, Value>, dialect: Dialect) -> Text {
        let format = match schema.get("format").and_then(Value::as_str) {
            Some("date-time") => Format::DateTime,
            Some("byte") => Format::Byte,
            _ => Format::Plain,
        };
        let mut allowed: Vec<Arc<str>> = Vec::new();
        for value in texts(schema.get("enum")) {
            allowed.push(self.name(value));
        }
        // An empty text is how Go spells "absent": the server fills in the default.
        if !allowed.is_empty() && dialect == Dialect::BuiltIn && !allowed.iter().any(|value| value.is_empty())
        {
            allowed.push(self.name(""));
        }
        Text { format, allowed: allowed.into() }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let fresh: Arc<str> = Arc::from(name);
        self.names.insert(fresh.clone());
        fresh
    }
}

/// The definition that a schema refers to, directly or (with a default beside it) through `allOf`.
fn reference(schema: &Map<String, Value>) -> Option<&str> {
    let direct = schema.get("$ref");
    let wrapped = || match schema.get("allOf")?.as_array()?.as_slice() {
        [only] => only.get("$ref"),
        _ => None,
    };
    direct.or_else(wrapped)?.as_str()?.strip_prefix(REFERENCE)
}

/// Whether the server fills the field in when it is absent.
fn fills_in(property: &Value, dialect: Dialect) -> bool {
    let Some(default) = property.get("default") else { return false };
    match dialect {
        Dialect::Custom => true,
        Dialect::BuiltIn => match default {
            Value::Null => false,
            Value::Bool(default) => *default,
            Value::Number(default) => default.as_f64() != Some(0.0),
            Value::String(default) => !default.is_empty(),
            Value::Array(default) => !default.is_empty(),
            Value::Object(default) => !default.is_empty(),
        },
    }
}

fn flag(schema: &Map<String, Value>, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
