//! What is refused of an expression before it is evaluated.

use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, operators};

use super::{MAX_BRACKETS, MAX_CONDITIONALS, MAX_TEXT};
use crate::schema::suggest;

/// The functions that may be called. Not among them: what makes a long value of a short text.
const FUNCTIONS: &[&str] = &[
    "add",
    "asApproximateFloat",
    "asInteger",
    "bool",
    "charAt",
    "compareTo",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "find",
    "findAll",
    "indexOf",
    "int",
    "isGreaterThan",
    "isInteger",
    "isLessThan",
    "isQuantity",
    "isSorted",
    "lastIndexOf",
    "lowerAscii",
    "matches",
    "max",
    "min",
    "quantity",
    "sign",
    "size",
    "split",
    "startsWith",
    "string",
    "sub",
    "substring",
    "sum",
    "trim",
    "uint",
    "upperAscii",
];
/// Loops within loops: pods, containers, and what these have.
const MAX_LOOPS: u32 = 3;
/// The tree is walked, and evaluated, by recursion.
const MAX_DEPTH: usize = 96;

/// What is refused before the parser sees it.
pub fn text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("an expression has at most {MAX_TEXT} bytes"));
    }
    let mut open = 0_usize;
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_BRACKETS {
            return Err(format!("an expression has at most {MAX_BRACKETS} brackets within each other"));
        }
    }
    if text.matches('?').count() > MAX_CONDITIONALS {
        return Err(format!("an expression has at most {MAX_CONDITIONALS} conditionals"));
    }
    Ok(())
}

/// What an evaluation costs by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// Loops within loops.
    pub loops: u32,
    /// Items of the longest list that is written in it.
    pub longest: u64,
    /// Texts or lists that are put together.
    pub sums: u64,
    /// Texts are taken apart.
    pub splits: bool,
    /// There are regular expressions.
    pub matches: bool,
}

/// What is refused of the tree; its shape otherwise.
pub fn tree(expression: &Expr, variable: &str) -> Result<Shape, String> {
    let mut walk = Walk { names: vec![variable.to_owned()], shape: Shape::default() };
    let loops = walk.all(&[expression], 0)?;
    if loops > MAX_LOOPS {
        return Err(format!("an expression has at most {MAX_LOOPS} loops within each other"));
    }
    Ok(Shape { loops, ..walk.shape })
}

struct Walk {
    /// What stands for something here.
    names: Vec<String>,
    shape: Shape,
}

impl Walk {
    /// The most loops within loops of these.
    fn all(&mut self, below: &[&Expr], depth: usize) -> Result<u32, String> {
        if depth > MAX_DEPTH {
            return Err("the expression is nested too deeply".to_owned());
        }
        let mut most = 0;
        for below in below {
            most = most.max(self.one(below, depth + 1)?);
        }
        Ok(most)
    }

    fn one(&mut self, expression: &Expr, depth: usize) -> Result<u32, String> {
        match expression {
            Expr::Literal(_) => Ok(0),
            Expr::Ident(name) if self.names.contains(name) => Ok(0),
            Expr::Ident(name) => Err(unknown("variable", name, self.names.iter().map(String::as_str))),
            Expr::Call(call) => {
                self.call(call)?;
                all_of(call.target.as_deref().into_iter().chain(&call.args), |below| self.all(below, depth))
            }
            Expr::List(list) => {
                self.shape.longest = self.shape.longest.max(list.elements.len() as u64);
                all_of(&list.elements, |below| self.all(below, depth))
            }
            Expr::Select(select) => self.all(&[&select.operand.expr], depth),
            Expr::Map(map) => {
                self.shape.longest = self.shape.longest.max(map.entries.len() as u64);
                let mut below = Vec::new();
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) => below.extend([&entry.key.expr, &entry.value.expr]),
                        EntryExpr::StructField(_) => return Err(no_messages()),
                    }
                }
                self.all(&below, depth)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::Struct(_) => Err(no_messages()),
            Expr::Unspecified => Err("the expression is not whole".to_owned()),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Result<(), String> {
        let name = call.func_name.as_str();
        // Operators have names that nobody can write.
        let written = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
        if written && !FUNCTIONS.contains(&name) {
            return Err(unknown("function", name, FUNCTIONS.iter().copied()));
        }
        // A loop that collects adds item by item to a variable whose name nobody can write.
        let collects = matches!(call.args.first().map(|first| &first.expr), Some(Expr::Ident(name)) if name.starts_with('@'));
        self.shape.sums += u64::from(name == operators::ADD && !collects);
        self.shape.splits |= matches!(name, "split" | "findAll");
        self.shape.matches |= matches!(name, "matches" | "find" | "findAll");
        Ok(())
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr, depth: usize) -> Result<u32, String> {
        let ComprehensionExpr {
            iter_range,
            iter_var,
            iter_var2,
            accu_var,
            accu_init,
            loop_cond,
            loop_step,
            result,
        } = comprehension;
        let before = self.all(&[&iter_range.expr, &accu_init.expr], depth)?;
        let outside = self.names.len();
        self.names.push(accu_var.clone());
        let after = self.all(&[&result.expr], depth)?;
        self.names.push(iter_var.clone());
        self.names.extend(iter_var2.clone());
        let inner = self.all(&[&loop_cond.expr, &loop_step.expr], depth)?;
        self.names.truncate(outside);
        Ok(before.max(after).max(inner + 1))
    }
}

fn all_of<'e>(
    expressions: impl IntoIterator<Item = &'e IdedExpr>,
    walk: impl FnOnce(&[&Expr]) -> Result<u32, String>,
) -> Result<u32, String> {
    let below: Vec<&Expr> = expressions.into_iter().map(|expression| &expression.expr).collect();
    walk(&below)
}

fn no_messages() -> String {
    "an expression makes no messages of a type; write a map like {'key': value}".to_owned()
}

fn unknown<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    let known = known.filter(|name| !name.starts_with('@'));
    match suggest::nearest(name, known.clone()) {
        Some(near) => format!("there is no {what} `{name}`; did you mean `{near}`?"),
        None => format!("there is no {what} `{name}`; known: {}", known.collect::<Vec<_>>().join(", ")),
    }
}
