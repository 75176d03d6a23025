//! Expressions in CEL, the language of Kubernetes' admission policies: compiled, checked and evaluated within bounds.
//!
//! The only module that knows the interpreter. Not here: what expressions are about ([`crate::policy`]).
//!
//! Bounds: the text, its brackets and conditionals before it is parsed (the parser recurses), the tree after it, the
//! functions that may be called, and the product of loops and sizes before it is evaluated.

mod check;
mod value;

use std::fmt;
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::{Context, ExecutionError, Program, Value};
use serde_json::Value as Json;

/// The longest expression.
pub const MAX_TEXT: usize = 2048;
/// Brackets within brackets, quoted ones counted too.
const MAX_BRACKETS: usize = 32;
/// `a ? b : c`, which the parser reads by recursion.
const MAX_CONDITIONALS: usize = 16;
/// What loops over the largest collection of an object may amount to: steps, or bytes where texts are put together.
const MAX_COST: u64 = 100_000_000;
/// What a regular expression counts for, as it is compiled with every step.
const REGEX_COST: u64 = 10_000;
/// The longest text that an expression may make for people.
const MAX_MESSAGE: usize = 1024;

/// The one variable of all expressions.
const OBJECT: &str = "object";

/// An expression over `object`, compiled and checked.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<Program>,
    shape: check::Shape,
}

impl Expression {
    /// Compiles a text; what is wrong with it otherwise.
    pub fn compile(text: &str) -> Result<Self, String> {
        check::text(text)?;
        let program = Program::compile(text).map_err(|errors| {
            // Further errors of the parser follow from the first more often than not.
            errors.errors.first().map_or_else(
                || "it is not CEL".to_owned(),
                |error| {
                    let message = error.msg.lines().next().unwrap_or_default();
                    format!(
                        "it is not CEL: {message} (character {} of its line {})",
                        error.pos.1, error.pos.0
                    )
                },
            )
        })?;
        let shape = check::tree(&program.expression().expr, OBJECT)?;
        Ok(Self { text: Arc::from(text), program: Arc::new(program), shape })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is true of an object.
    pub fn holds(&self, facts: &Facts) -> Result<bool, NoAnswer> {
        match self.evaluate(facts)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(NoAnswer::because("it is neither true nor false")),
        }
    }

    /// The text that it makes of an object, cut at 1,024 bytes.
    pub fn message(&self, facts: &Facts) -> Result<String, NoAnswer> {
        match self.evaluate(facts)? {
            Value::String(text) => {
                let end = (0..=MAX_MESSAGE.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
                Ok(text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned())
            }
            _ => Err(NoAnswer::because("it is no text")),
        }
    }

    fn evaluate(&self, facts: &Facts) -> Result<Value, NoAnswer> {
        if self.cost(facts) > MAX_COST {
            let reason = format!("the object is too large for {} loops within each other", self.shape.loops);
            return Err(NoAnswer { is_absent: false, reason });
        }
        self.program.execute(&facts.context).map_err(|error| reason(&error))
    }

    /// What the evaluation may take at most, in steps or bytes.
    fn cost(&self, facts: &Facts) -> u64 {
        let check::Shape { loops, longest: written, sums, splits, matches } = self.shape;
        let Sizes { longest, bytes } = facts.sizes;
        let longest = if splits { longest.max(bytes) } else { longest };
        let longest = longest.max(written).saturating_mul(sums + 1);
        let texts = if sums > 0 { bytes.max(1).saturating_mul(sums) } else { 1 };
        let regex = if matches { REGEX_COST } else { 1 };
        let steps = longest.saturating_pow(loops).saturating_mul(texts).saturating_mul(regex);
        if loops == 0 { 0 } else { steps }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Why an expression says nothing of an object. No value of the object stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// It asks for something that is not there.
    pub is_absent: bool,
    /// For people.
    pub reason: String,
}

impl NoAnswer {
    fn because(reason: &str) -> Self {
        Self { is_absent: false, reason: reason.to_owned() }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// An object as expressions see it.
pub struct Facts {
    context: Context<'static>,
    sizes: Sizes,
}

/// How large an object is.
#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    /// Entries of its longest list or mapping.
    longest: u64,
    /// Bytes of its texts and keys.
    bytes: u64,
}

impl Facts {
    /// What is true of an object. Values of Secrets are empty: whatever a rule says of them is read by people.
    pub fn of(object: &Json) -> Self {
        let masked = crate::secret::is_secret(object)
            .then(|| crate::secret::replaced(object, "", &|_| Json::String(String::new())));
        let object = masked.as_ref().unwrap_or(object);
        let mut sizes = Sizes::default();
        let value = value::of(object, &mut sizes);
        let mut context = Context::default().with_all();
        context.add_variable_from_value(OBJECT, value);
        Self { context, sizes }
    }
}

/// Why an evaluation ended, without any value: errors of the interpreter print what they are about.
fn reason(error: &ExecutionError) -> NoAnswer {
    let is_absent = matches!(error, ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_));
    let reason = match error {
        ExecutionError::NoSuchKey(key) => format!("the object has no `{key}` there; ask `has(...)` first"),
        ExecutionError::UndeclaredReference(name) => format!("nothing is known of `{name}`"),
        ExecutionError::NoSuchOverload
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedUnaryOperator(..) => {
            "it puts values together that do not go together".to_owned()
        }
        ExecutionError::IndexOutOfBounds(_) => "it asks for an item that the list does not have".to_owned(),
        ExecutionError::FunctionError { function, message: _ } => {
            format!("`{function}` could not be computed")
        }
        // The interpreter may learn of further ones.
        _ => "it could not be computed".to_owned(),
    };
    NoAnswer { is_absent, reason }
}

#[cfg(test)]
mod tests;
