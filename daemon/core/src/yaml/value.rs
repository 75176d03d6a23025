//! One scalar with its style and tag, read as a value or as a key.

use base64::Engine as _;
use serde_json::Number;

use super::scalar::{Meaning, key_text, meaning};
use super::{Node, NodeValue};
use crate::location::Position;
use crate::problem::{Code, Problem};

/// The prefix of YAML's own tags, `!!` for short.
const YAML_TAG: &str = "tag:yaml.org,2002:";

/// A scalar as the parser gives it.
pub struct Scalar {
    /// Its text, escapes resolved.
    pub text: String,
    /// Neither quoted nor a block.
    pub plain: bool,
    /// Its full tag.
    pub tag: Option<String>,
}

/// What could be read, and what is wrong with it. Both stand when it could be read in spite of the problem.
pub struct Read<T> {
    /// What could be read.
    pub value: Option<T>,
    /// What is wrong.
    pub problem: Option<Problem>,
}

impl<T> Read<T> {
    fn good(value: T) -> Self {
        Self { value: Some(value), problem: None }
    }

    fn bad(problem: Problem) -> Self {
        Self { value: None, problem: Some(problem) }
    }
}

impl Scalar {
    /// Whether it is the merge key `<<`, as a key.
    pub fn is_merge(&self) -> bool {
        let tagged = self.tag.as_deref().and_then(|tag| tag.strip_prefix(YAML_TAG)) == Some("merge");
        self.text == "<<" && (tagged || self.plain && self.tag.is_none())
    }

    /// As a value. Its position is set by the caller.
    pub fn value(self) -> Read<Node> {
        let Self { text, plain, tag } = self;
        match tag.as_deref().map(Tag::of) {
            None if plain => plain_value(text, true),
            None | Some(Tag::Other) => Read::good(node(NodeValue::String(text))),
            Some(Tag::Binary) => binary(&text),
            Some(Tag::Core(core)) => tagged(text, core),
        }
    }

    /// As a key: kubectl's text for it, which must be what is written.
    pub fn key(self) -> Read<String> {
        let Self { text, plain, tag } = self;
        if !plain || tag.is_some() {
            return Read::good(text);
        }
        match key_text(&text) {
            Some(key) if key == text => Read::good(text),
            Some(key) => {
                let message = format!("the unquoted key `{text}` would become `{key}`");
                let problem =
                    Problem::error(Code::YamlAmbiguous, message).help(format!("quote it: \"{text}\""));
                Read { value: Some(text), problem: Some(problem) }
            }
            None => {
                let shown = if text.is_empty() { "an empty key" } else { text.as_str() };
                let message = format!("{shown} cannot be a key");
                Read::bad(Problem::error(Code::YamlUnsupported, message).help("keys are texts; quote it"))
            }
        }
    }
}

enum Tag {
    /// `!!binary`.
    Binary,
    /// A type of YAML's core.
    Core(Core),
    /// Any other, `!` included: the text as it is.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Core {
    Str,
    Bool,
    Int,
    Float,
    Null,
}

impl Tag {
    fn of(tag: &str) -> Self {
        match tag.strip_prefix(YAML_TAG) {
            Some("binary") => Self::Binary,
            Some("str") => Self::Core(Core::Str),
            Some("bool") => Self::Core(Core::Bool),
            Some("int") => Self::Core(Core::Int),
            Some("float") => Self::Core(Core::Float),
            Some("null") => Self::Core(Core::Null),
            Some(_) | None => Self::Other,
        }
    }
}

fn node(value: NodeValue) -> Node {
    Node { value, ..Node::null(Position::START) }
}

/// Reads a plain scalar.
fn plain_value(text: String, plain: bool) -> Read<Node> {
    let value = match meaning(&text) {
        Meaning::Null => NodeValue::Null,
        Meaning::Bool(flag) => NodeValue::Bool(flag),
        Meaning::Integer(value) => NodeValue::Number(value.into()),
        Meaning::Float(value) => match Number::from_f64(value) {
            Some(number) => NodeValue::Number(number),
            None => return Read::bad(not_finite(&text)),
        },
        Meaning::NotFinite => return Read::bad(not_finite(&text)),
        Meaning::TooLarge => {
            let message = format!("{text} needs more than 63 bits, and Kubernetes would round it");
            let problem = Problem::error(Code::YamlUnsupported, message).help("quote it if it is a text");
            let value = node(NodeValue::String(text));
            return Read { value: Some(value), problem: Some(problem) };
        }
        Meaning::Text => return Read::good(Node { plain, ..node(NodeValue::String(text)) }),
    };
    let written = Some(text.into_boxed_str());
    Read::good(Node { value, plain, written, ..Node::null(Position::START) })
}

fn not_finite(text: &str) -> Problem {
    Problem::error(Code::YamlUnsupported, format!("`{text}` is no number that JSON has"))
        .help("quote it if it is a text")
}

fn binary(text: &str) -> Read<Node> {
    let packed: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).ok();
    match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) => Read::good(node(NodeValue::String(text))),
        None => Read::bad(
            Problem::error(Code::YamlUnsupported, "the value under `!!binary` is not base64 of a UTF-8 text")
                .help("write base64 without the tag, e.g. in the `data` of a Secret"),
        ),
    }
}

fn tagged(text: String, core: Core) -> Read<Node> {
    if core == Core::Str {
        return Read::good(node(NodeValue::String(text)));
    }
    let read = plain_value(text.clone(), false);
    let agrees = match read.value.as_ref().map(|node| &node.value) {
        Some(NodeValue::Null) => core == Core::Null,
        Some(NodeValue::Bool(_)) => core == Core::Bool,
        Some(NodeValue::Number(_)) => {
            core == Core::Float || core == Core::Int && !text.contains(['.', 'e', 'E'])
        }
        Some(NodeValue::String(_) | NodeValue::Sequence(_) | NodeValue::Mapping(_)) => false,
        None => return read,
    };
    if agrees {
        return read;
    }
    Read::bad(Problem::error(Code::YamlUnsupported, format!("`{text}` is not what its tag says")))
}
