//! Every value of an object against its schema. All problems at once, up to a limit; places are looked up only for them.

use serde_json::{Map, Value};

use super::catalogue::{Catalogue, Schema};
use super::misplaced::{self, Parent};
use super::node::{Format, Library, Node, NodeId, Null, Object, Rest, Shape, Text, Width};
use super::path::{self, Step};
use super::{format, lists, suggest};
use crate::location::Location;
use crate::object::DesiredObject;
use crate::problem::{Code, Problem};

/// Problems of one object beyond this are not reported: it is beyond repair line by line.
const MAX_PROBLEMS: usize = 100;
/// Values nested deeper than this are not looked at (the YAML budget refuses them long before).
const MAX_DEPTH: usize = 256;
/// References from definition to definition that lead to no form; only a malicious document has more.
const MAX_HOPS: usize = 16;
/// Longer texts are cut in messages.
const MAX_SHOWN: usize = 64;

/// All problems of an object whose schema is known.
pub(super) fn whole(object: &DesiredObject, schema: &Schema, catalogue: &Catalogue) -> Vec<Problem> {
    let mut walk = Walk::new(object, catalogue);
    walk.value(object.value(), &schema.library, schema.root);
    walk.problems
}

/// The problems of the part that objects of every kind share.
pub(super) fn metadata_only(object: &DesiredObject, catalogue: &Catalogue) -> Vec<Problem> {
    let mut walk = Walk::new(object, catalogue);
    if let Some(metadata) = object.value().get("metadata") {
        walk.steps.push(Step::Field("metadata"));
        walk.metadata(metadata);
    }
    walk.problems
}

/// One pass over one object.
pub(super) struct Walk<'a> {
    object: &'a DesiredObject,
    catalogue: &'a Catalogue,
    /// Values of Secrets never stand in a message.
    secret: bool,
    /// Where the pass stands.
    pub(super) steps: Vec<Step<'a>>,
    /// The mappings around it, each with the number of steps that lead there.
    parents: Vec<Parent<'a>>,
    /// How many places around it drop unknown fields where others refuse them.
    lenient: usize,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    /// Whether values must stay out of messages.
    pub(super) fn is_secret(&self) -> bool {
        self.secret
    }

    /// Whether enough was found.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    fn new(object: &'a DesiredObject, catalogue: &'a Catalogue) -> Self {
        let gvk = &object.reference.gvk;
        let secret = gvk.group.is_empty() && gvk.kind == "Secret";
        Self {
            object,
            catalogue,
            secret,
            steps: Vec::new(),
            parents: Vec::new(),
            lenient: 0,
            problems: Vec::new(),
        }
    }

    fn value(&mut self, value: &'a Value, library: &'a Library, id: NodeId) {
        let Some(node) = resolve(library, id) else { return };
        if self.is_full() || self.steps.len() > MAX_DEPTH {
            return;
        }
        if value.is_null() {
            match node.null {
                Null::Absent | Null::Value => return,
                Null::Refused => {}
            }
        }
        match &node.shape {
            Shape::Any | Shape::Same(_) => {}
            Shape::Metadata => self.metadata(value),
            Shape::Object(object) => match value {
                Value::Object(map) => self.mapping(map, library, object),
                other => self.wrong(other, "a mapping"),
            },
            Shape::Array(array) => match value {
                Value::Array(items) => lists::check(self, items, library, array),
                other => self.wrong(other, "a list"),
            },
            Shape::Text(text) => match value {
                Value::String(found) => self.text(found, text),
                other => self.wrong(other, "a text"),
            },
            Shape::Integer(width) => self.integer(value, *width),
            Shape::Number => {
                if !value.is_number() {
                    self.wrong(value, "a number");
                }
            }
            Shape::Boolean => {
                if !value.is_boolean() {
                    self.wrong(value, "true or false");
                }
            }
            Shape::IntOrString(width) => {
                if !value.is_string() && !fits(value, *width) {
                    self.wrong(value, "a whole number or a text");
                }
            }
            Shape::IfMapping(schema) => {
                if value.is_object() {
                    self.lenient += 1;
                    self.value(value, library, *schema);
                    self.lenient -= 1;
                }
            }
            Shape::Quantity => match value {
                Value::Number(_) => {}
                Value::String(text) if format::is_quantity(text) => {}
                other => self.wrong(other, "a quantity such as 500m or 1Gi"),
            },
        }
    }

    fn metadata(&mut self, value: &'a Value) {
        if let Some(metadata) = self.catalogue.metadata() {
            self.value(value, &metadata.library, metadata.root);
        }
    }

    fn mapping(&mut self, map: &'a Map<String, Value>, library: &'a Library, object: &'a Object) {
        self.parents.push(Parent { steps: self.steps.len(), library, object });
        for (key, value) in map {
            if self.is_full() {
                break;
            }
            if let Some(node) = object.field(key) {
                self.inside(Step::Field(key), value, library, node);
                continue;
            }
            match object.rest {
                Rest::Free => {}
                Rest::Each(node) => self.inside(Step::Key(key), value, library, node),
                Rest::Refused => self.unknown(key, object),
                Rest::Dropped => {
                    self.lenient += 1;
                    self.unknown(key, object);
                    self.lenient -= 1;
                }
            }
        }
        for name in &object.required {
            let absent = match map.get(name.as_ref()) {
                None => true,
                Some(Value::Null) => object.field(name).is_some_and(|id| reads_as_absent(library, id)),
                Some(_) => false,
            };
            if absent {
                self.missing(name);
            }
        }
        self.parents.pop();
    }

    /// Checks a value one step further in.
    pub(super) fn inside(&mut self, step: Step<'a>, value: &'a Value, library: &'a Library, node: NodeId) {
        self.steps.push(step);
        self.value(value, library, node);
        self.steps.pop();
    }

    fn text(&mut self, found: &str, text: &Text) {
        let fits = match text.format {
            Format::Plain => true,
            Format::DateTime => format::is_date_time(found),
            Format::Byte => format::is_base64(found),
        };
        if !fits {
            let wanted = match text.format {
                Format::Plain => "a text",
                Format::DateTime => "a time such as 2026-01-31T12:00:00Z",
                Format::Byte => "base64 with its padding",
            };
            self.wrong(&Value::String(found.to_owned()), wanted);
        }
        if text.allowed.is_empty() || text.allowed.iter().any(|allowed| allowed.as_ref() == found) {
            return;
        }
        let allowed: Vec<&str> =
            text.allowed.iter().map(AsRef::as_ref).filter(|text| !text.is_empty()).collect();
        let path = path::dotted(&self.steps);
        let mut message = format!("{path} must be one of {}", allowed.join(", "));
        if !self.secret {
            message = format!("{message}, not {}", shown(&Value::String(found.to_owned())));
        }
        if let Some(near) = suggest::nearest(found, allowed.into_iter()) {
            message = format!("{message}; did you mean {near}?");
        }
        self.report(Problem::error(Code::FieldValue, message));
    }

    fn integer(&mut self, value: &Value, width: Width) {
        if fits(value, width) {
            return;
        }
        match width {
            Width::Bits32 if fits(value, Width::Bits64) => {
                self.wrong(value, "a whole number of at most 32 bits");
            }
            Width::Bits32 | Width::Bits64 => self.wrong(value, "a whole number"),
        }
    }

    fn unknown(&mut self, key: &'a str, object: &'a Object) {
        let near = suggest::nearest(key, object.fields.iter().map(|(name, _)| name.as_ref()));
        let home = if near.is_none() { misplaced::home(key, &self.steps, &self.parents) } else { None };
        self.steps.push(Step::Field(key));
        let path = path::dotted(&self.steps);
        let mut message = format!("unknown field {path}");
        if let Some(near) = near {
            message = format!("{message}; did you mean {near}?");
        }
        let mut problem = if self.lenient == 0 {
            Problem::error(Code::UnknownField, message)
        } else {
            Problem::warning(Code::UnknownField, message).help("the API server drops it without a word")
        };
        if let Some(home) = home {
            problem = problem.help(format!("{key} is a field of {home}"));
        }
        // It is the key that is wrong, whatever its value.
        let place = self.object.spans.locate_key(&path::pointer(&self.steps));
        self.report_at(problem, place);
        self.steps.pop();
    }

    /// Reports that a required field of the mapping is absent.
    pub(super) fn missing(&mut self, name: &'a str) {
        self.steps.push(Step::Field(name));
        let message = format!("missing field {}", path::dotted(&self.steps));
        self.report(Problem::error(Code::MissingField, message));
        self.steps.pop();
    }

    /// Reports a value that is not what the schema wants.
    pub(super) fn wrong(&mut self, found: &Value, wanted: &str) {
        let path = path::dotted(&self.steps);
        let message = if self.secret {
            format!("{path} must be {wanted}")
        } else {
            format!("{path} must be {wanted}, not {}", shown(found))
        };
        let mut problem = Problem::error(Code::FieldValue, message);
        if wanted == "a text" && (found.is_number() || found.is_boolean()) {
            problem = problem.help("put the value in quotes");
        }
        self.report(problem);
    }

    /// Reports a problem of the place where the pass stands.
    pub(super) fn report(&mut self, problem: Problem) {
        let place = self.object.spans.locate(&path::pointer(&self.steps));
        self.report_at(problem, place);
    }

    fn report_at(&mut self, problem: Problem, place: Location) {
        if self.is_full() {
            return;
        }
        let field = path::dotted(&self.steps);
        self.problems.push(problem.at(place).object(&self.object.reference).field(field));
    }
}

/// The node itself, behind references.
pub(super) fn resolve(library: &Library, id: NodeId) -> Option<&Node> {
    let mut node = library.get(id);
    for _ in 0..MAX_HOPS {
        let Shape::Same(target) = &node.shape else { return Some(node) };
        node = library.get(*target);
    }
    None
}

fn reads_as_absent(library: &Library, id: NodeId) -> bool {
    match library.get(id).null {
        Null::Absent => true,
        Null::Value | Null::Refused => false,
    }
}

fn fits(value: &Value, width: Width) -> bool {
    match width {
        Width::Bits32 => whole_number(value).is_some_and(|number| i32::try_from(number).is_ok()),
        Width::Bits64 => whole_number(value).is_some(),
    }
}

/// The number when it is whole; `3.0` counts, for YAML readers hand it over as 3.
fn whole_number(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        // 2^53: beyond it a float does not say which whole number is meant.
        #[expect(clippy::cast_possible_truncation, reason = "the bound above makes it exact")]
        (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
    })
}

/// A value in a message.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(found) => found.to_string(),
        Value::Number(found) => found.to_string(),
        Value::String(found) if found.chars().count() > MAX_SHOWN => {
            let start: String = found.chars().take(MAX_SHOWN).collect();
            format!("{start:?}…")
        }
        Value::String(found) => format!("{found:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
