//! What is refused of an expression before it is evaluated.

use kube_cel::cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr};

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

/// What is refused of the tree; the loops within loops otherwise.
pub fn tree(expression: &Expr, variable: &str) -> Result<u32, String> {
    let mut names = vec![variable.to_owned()];
    let loops = walk(expression, &mut names, 0)?;
    if loops > MAX_LOOPS {
        return Err(format!("an expression has at most {MAX_LOOPS} loops within each other"));
    }
    Ok(loops)
}

/// `names`: what stands for something here.
fn walk(expression: &Expr, names: &mut Vec<String>, depth: usize) -> Result<u32, String> {
    if depth > MAX_DEPTH {
        return Err("the expression is nested too deeply".to_owned());
    }
    let mut all = |below: &[&IdedExpr]| -> Result<u32, String> {
        let mut most = 0;
        for below in below {
            most = most.max(walk(&below.expr, names, depth + 1)?);
        }
        Ok(most)
    };
    match expression {
        Expr::Literal(_) => Ok(0),
        Expr::Ident(name) => {
            if names.contains(name) {
                Ok(0)
            } else {
                Err(unknown("variable", name, names.iter().map(String::as_str)))
            }
        }
        Expr::Call(call) => {
            // Operators have names that nobody can write.
            let written = call.func_name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
            if written && !FUNCTIONS.contains(&call.func_name.as_str()) {
                return Err(unknown("function", &call.func_name, FUNCTIONS.iter().copied()));
            }
            all(&call.target.as_deref().into_iter().chain(&call.args).collect::<Vec<_>>())
        }
        Expr::List(list) => all(&list.elements.iter().collect::<Vec<_>>()),
        Expr::Select(select) => all(&[&select.operand]),
        Expr::Map(map) => {
            let mut below = Vec::new();
            for entry in &map.entries {
                match &entry.expr {
                    EntryExpr::MapEntry(entry) => below.extend([&entry.key, &entry.value]),
                    EntryExpr::StructField(_) => return Err(no_messages()),
                }
            }
            all(&below)
        }
        Expr::Comprehension(comprehension) => walk_loop(comprehension, names, depth),
        Expr::Struct(_) => Err(no_messages()),
        Expr::Unspecified => Err("the expression is not whole".to_owned()),
    }
}

fn walk_loop(
    comprehension: &ComprehensionExpr,
    names: &mut Vec<String>,
    depth: usize,
) -> Result<u32, String> {
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
    let mut most = walk(&iter_range.expr, names, depth + 1)?;
    most = most.max(walk(&accu_init.expr, names, depth + 1)?);
    let outside = names.len();
    names.push(accu_var.clone());
    let after = walk(&result.expr, names, depth + 1)?;
    names.push(iter_var.clone());
    names.extend(iter_var2.clone());
    let inner = walk(&loop_cond.expr, names, depth + 1)?.max(walk(&loop_step.expr, names, depth + 1)?);
    names.truncate(outside);
    Ok(most.max(after).max(inner + 1))
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
