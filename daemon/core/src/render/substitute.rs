//! `${NAME}` in the values of a document, typed and strict. Keys are left as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::location::Location;
use crate::problem::{Code, Problem};
use crate::schema::suggest;
use crate::yaml::{Node, NodeValue, plain};

/// Bytes that the substitutions of one environment may write.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Substitutes in one document after another.
pub struct Substitution<'a> {
    values: &'a BTreeMap<String, String>,
    left: usize,
    exhausted: bool,
}

impl<'a> Substitution<'a> {
    /// With the values of an environment.
    pub fn new(values: &'a BTreeMap<String, String>) -> Self {
        Self { values, left: MAX_BYTES, exhausted: false }
    }

    /// Replaces every `${NAME}`; `$${NAME}` becomes `${NAME}`. An unquoted scalar is read anew by the rules of YAML, so
    /// that `replicas: ${REPLICAS}` is a number; a quoted one stays a text. The depth of a node is bounded by its budget.
    /// What stands in a Secret is not repeated in a problem.
    pub fn apply(&mut self, node: &mut Node, file: &Arc<str>, problems: &mut Vec<Problem>) {
        self.walk(node, Words::Quoted, file, problems);
    }

    fn walk(&mut self, node: &mut Node, words: Words, file: &Arc<str>, problems: &mut Vec<Problem>) {
        let words = if is_secret(node) { Words::Withheld } else { words };
        match &mut node.value {
            NodeValue::Sequence(items) => {
                for item in items {
                    self.walk(item, words, file, problems);
                }
            }
            NodeValue::Mapping(entries) => {
                for entry in entries {
                    self.walk(&mut entry.node, words, file, problems);
                }
            }
            NodeValue::String(text) if text.contains("${") => {
                let place = Location { file: file.clone(), position: node.position };
                match self.text(text, words) {
                    Ok(replaced) if node.plain => match plain(&replaced) {
                        // What stands in the file is what advice must quote.
                        Ok(read) => {
                            let written = Some(std::mem::take(text).into_boxed_str());
                            *node = Node { position: node.position, written, ..read };
                        }
                        Err(problem) => problems.push(after(problem, text, words).at(place)),
                    },
                    Ok(replaced) => *text = replaced,
                    Err(problem) => problems.push(problem.at(place)),
                }
            }
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => {}
        }
    }

    fn text(&mut self, text: &str, words: Words) -> Result<String, Box<Problem>> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let (name, after) = after.split_once('}').ok_or_else(|| malformed("`${` has no `}`"))?;
            out.push_str(self.value(name, words)?);
            rest = after;
        }
        out.push_str(rest);
        self.spend(out.len())?;
        Ok(out)
    }

    fn value(&self, name: &str, words: Words) -> Result<&'a str, Box<Problem>> {
        if let Some(value) = self.values.get(name) {
            return Ok(value);
        }
        if !is_variable(name) {
            // Not repeated: it may stand in a Secret, where nobody meant a substitution.
            return Err(malformed("what stands in `${…}` is not a name"));
        }
        match words {
            Words::Quoted => {}
            Words::Withheld => {
                let help = "define it under `spec.substitute`, or write `$${` for the text itself";
                let message = "what stands in `${…}` is not defined";
                return Err(Box::new(Problem::error(Code::Substitution, message).help(help)));
            }
        }
        let problem = Problem::error(Code::Substitution, format!("`${{{name}}}` is not defined"));
        let help = match suggest::nearest(name, self.values.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `${{{near}}}`?"),
            None => format!("define it under `spec.substitute`, or write `$${{{name}}}` for the text itself"),
        };
        Err(Box::new(problem.help(help)))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Box<Problem>> {
        match self.left.checked_sub(bytes) {
            Some(left) if !self.exhausted => self.left = left,
            Some(_) | None => {
                self.exhausted = true;
                let message = format!("substitution writes more than {MAX_BYTES} bytes");
                return Err(Box::new(Problem::error(Code::Substitution, message)));
            }
        }
        Ok(())
    }
}

/// Whether a problem may repeat what stands in the file.
#[derive(Clone, Copy)]
enum Words {
    Quoted,
    Withheld,
}

/// Whether this is a Secret; also one inside a `List`.
fn is_secret(node: &Node) -> bool {
    node.get("kind").and_then(Node::as_str) == Some("Secret")
}

/// The problem of a substituted value that YAML does not read: the advice is about what stands in the file.
fn after(problem: Box<Problem>, written: &str, words: Words) -> Problem {
    match words {
        Words::Quoted => problem.help(format!("quote it if it is a text: \"{written}\"")),
        Words::Withheld => {
            Problem::error(problem.code, "with its substitutions this is no value that JSON has")
                .help("quote it if it is a text")
        }
    }
}

/// What may stand between the braces of `${…}`.
pub fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn malformed(what: &str) -> Box<Problem> {
    let help = "write `${NAME}` with letters, digits and `_`, or `$${` for the text itself";
    Box::new(Problem::error(Code::Substitution, what).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Budget, parse};

    fn substitute(text: &str) -> (serde_json::Value, Vec<String>) {
        let values = [("TAG", "v1.2"), ("REPLICAS", "3"), ("OFF", "no"), ("MULTI", "a: 1\nb: 2")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let file = Arc::from("a.yaml");
        let (mut documents, problems) = parse(&file, text.as_bytes(), &Budget::DEFAULT);
        assert_eq!(problems, []);
        let mut problems = Vec::new();
        Substitution::new(&values).apply(&mut documents[0].root, &file, &mut problems);
        (documents[0].root.to_json(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn unquoted_scalars_become_typed_and_quoted_ones_stay_texts() {
        let (value, problems) = substitute(
            "a: ${REPLICAS}\nb: \"${REPLICAS}\"\nc: ${OFF}\nd: x:${TAG}-${REPLICAS}\ne: |\n  ${REPLICAS}\nf: ${MULTI}",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            value,
            serde_json::json!({"a": 3, "b": "3", "c": false, "d": "x:v1.2-3", "e": "3\n", "f": "a: 1\nb: 2"})
        );
    }

    #[test]
    fn two_dollars_keep_the_text_and_a_single_dollar_means_nothing() {
        let (value, problems) = substitute("a: $${TAG}\nb: $TAG $(TAG) $\nc: $${X} ${TAG}\n${TAG}: key");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            value,
            serde_json::json!({"a": "${TAG}", "b": "$TAG $(TAG) $", "c": "${X} v1.2", "${TAG}": "key"})
        );
    }

    #[test]
    fn nothing_that_stands_in_a_secret_is_repeated() {
        let text = "kind: List\nitems:\n- kind: Secret\n  stringData:\n    a: pa${TAGG}ss\n    b: ${TAG_}\n    c: ${REPLICAS}e999\n    \
                    d: ${REPLICAS}99999999999999999999\n- kind: ConfigMap\n  data: {a: \"${TAGG}\"}\n";
        let values = [("TAG", "v1.2"), ("REPLICAS", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let file = Arc::from("a.yaml");
        let (mut documents, _) = parse(&file, text.as_bytes(), &Budget::DEFAULT);
        let mut problems = Vec::new();
        Substitution::new(&values).apply(&mut documents[0].root, &file, &mut problems);
        let (config, secret): (Vec<_>, Vec<_>) =
            problems.iter().partition(|problem| problem.message.contains("TAGG"));
        assert_eq!(config.len(), 1, "the ConfigMap names it: {problems:?}");
        assert_eq!(secret.len(), 3, "{problems:?}");
        for problem in secret {
            let all = format!("{problem} {}", problem.help.clone().unwrap_or_default());
            assert!(!["TAG", "pa", "999", "v1.2"].iter().any(|part| all.contains(part)), "{all}");
        }
    }

    #[test]
    fn unknown_and_malformed_names_are_errors_at_their_places() {
        let (_, problems) = substitute("a:\n  - ${TAGG}\n  - x ${\n  - ${a b}\n  - ${}");
        assert_eq!(
            problems,
            [
                "a.yaml:2:5: error[E0204]: `${TAGG}` is not defined",
                "a.yaml:3:5: error[E0204]: `${` has no `}`",
                "a.yaml:4:5: error[E0204]: what stands in `${…}` is not a name",
                "a.yaml:5:5: error[E0204]: what stands in `${…}` is not a name",
            ]
        );
    }
}
