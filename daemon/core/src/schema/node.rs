//! One schema in memory: an arena of nodes with shared names. Not the reading of OpenAPI (that is `parse`),
//! and not the checking of values (that is `walk`).
//!
//! Invariant: a [`NodeId`] is only ever used with the [`Library`] that made it, so every lookup finds a node.

use std::sync::Arc;

use serde_json::Value;

/// The index of a node in its [`Library`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

/// Every node of one set of documents, or of one CustomResourceDefinition.
#[derive(Debug, Default)]
pub(super) struct Library {
    nodes: Vec<Node>,
}

impl Library {
    /// Adds a node that accepts everything until [`Library::replace`] says what it is.
    pub(super) fn reserve(&mut self) -> NodeId {
        self.add(Node::ANY)
    }

    /// Adds a node.
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        let id = u32::try_from(self.nodes.len()).expect("the parser stops long before 2^32 nodes");
        self.nodes.push(node);
        NodeId(id)
    }

    /// Says what a reserved node is.
    pub(super) fn replace(&mut self, id: NodeId, node: Node) {
        if let Some(slot) = self.nodes.get_mut(id.0 as usize) {
            *slot = node;
        }
    }

    /// The node under an id.
    pub(super) fn get(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0 as usize).unwrap_or(&Node::ANY)
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// What one value may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// What `null` means in place of a value.
    pub(super) null: Null,
    /// The value itself.
    pub(super) shape: Shape,
}

impl Node {
    /// Accepts everything.
    pub(super) const ANY: Self = Self { null: Null::Value, shape: Shape::Any };
}

/// What `null` means in place of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Null {
    /// As if the field were absent: how the built-in kinds read it, and custom ones where there is a default.
    Absent,
    /// A value like any other: custom kinds with `nullable: true`.
    Value,
    /// A value of the wrong type: all other fields of custom kinds.
    Refused,
}

/// The form of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Anything: the schema says nothing, or says to preserve unknown fields of any type.
    Any,
    /// What another node says (a reference between definitions).
    Same(NodeId),
    /// The `metadata` of an object, by the catalogue's own definition of it.
    Metadata,
    /// A mapping.
    Object(Object),
    /// A sequence.
    Array(Array),
    /// A text.
    Text(Text),
    /// A whole number.
    Integer(Width),
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A whole number or a text, as ports and percentages are.
    IntOrString(Width),
    /// When it is a mapping, what another node says; otherwise anything (parts of a CustomResourceDefinition's schema).
    IfMapping(NodeId),
    /// An amount such as `500m` or `1Gi`, as a text or a number.
    Quantity,
}

/// The fields of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    /// Named fields, sorted by name.
    pub(super) fields: Box<[(Arc<str>, NodeId)]>,
    /// The names that must be there.
    pub(super) required: Box<[Arc<str>]>,
    /// What holds for the other keys.
    pub(super) rest: Rest,
}

impl Object {
    /// The node of a named field.
    pub(super) fn field(&self, name: &str) -> Option<NodeId> {
        let at = self.fields.binary_search_by(|(field, _)| field.as_ref().cmp(name)).ok()?;
        self.fields.get(at).map(|(_, node)| *node)
    }
}

/// What holds for keys of a mapping that are not named fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rest {
    /// There are none: an unknown key is an unknown field.
    Refused,
    /// There are none, but server-side apply drops unknown keys without a word: custom mappings without named fields.
    Dropped,
    /// Anything goes.
    Free,
    /// The mapping is a dictionary: every value is of this form.
    Each(NodeId),
}

/// The items of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// The form of each item.
    pub(super) item: NodeId,
    /// How the API server tells items apart.
    pub(super) identity: Identity,
}

/// `x-kubernetes-list-type` with its keys.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Identity {
    /// The sequence is one value.
    Atomic,
    /// Items are told apart by their value; a second equal one is refused.
    Set,
    /// Items are told apart by these fields (with the default of an absent one); a second equal one is refused.
    Map(Box<[Key]>),
}

/// One key field of a keyed list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    /// The name of the field.
    pub(super) name: Arc<str>,
    /// What an absent field counts as, e.g. `TCP`.
    pub(super) default: Option<Value>,
}

/// What a text may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    /// Its format, where the API server checks one.
    pub(super) format: Format,
    /// The only values it may have; empty when any will do.
    pub(super) allowed: Box<[Arc<str>]>,
}

/// Formats of texts that the API server checks when it decodes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// No format, or one that is not checked here.
    Plain,
    /// RFC 3339.
    DateTime,
    /// Base64.
    Byte,
}

/// The range of a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// `int32`
    Bits32,
    /// `int64`, and whole numbers without a format.
    Bits64,
}
