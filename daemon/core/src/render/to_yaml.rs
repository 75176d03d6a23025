//! Values as YAML that every reader understands alike. Same values, same bytes: keys are sorted, quoting is fixed.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use crate::object::DesiredObject;
use crate::review::visible::is_unseen;
use crate::yaml::{Meaning, is_base_sixty, meaning};

/// Objects as multi-document YAML, each after a comment that names its place in git. Same objects, same bytes.
pub fn to_yaml(objects: &[Arc<DesiredObject>]) -> String {
    let mut out = String::new();
    for object in objects {
        let location = object.location();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "---\n# Source: {}:{}", location.file.escape_debug(), location.position.line);
        out.push_str(&value_to_yaml(object.value()));
    }
    out
}

/// Any value as YAML, for `-o yaml`.
pub fn value_to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_below(&mut out, value, 0),
        Value::Array(items) if !items.is_empty() => write_below(&mut out, value, 0),
        other => {
            write_scalar(&mut out, other, 1);
            out.push('\n');
        }
    }
    out
}

/// Writes a mapping or sequence that is not empty, from the start of a line. Depth is bounded by what was parsed.
fn write_below(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (index, (key, value)) in entries.into_iter().enumerate() {
                pad(out, indent, index);
                write_text(out, key);
                out.push(':');
                write_after(out, value, indent, matches!(value, Value::Array(_)));
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pad(out, indent, index);
                out.push('-');
                match value {
                    Value::Object(map) if !map.is_empty() => {
                        out.push(' ');
                        write_below(out, value, indent + 1);
                    }
                    Value::Array(items) if !items.is_empty() => {
                        out.push(' ');
                        write_below(out, value, indent + 1);
                    }
                    other => write_after(out, other, indent, false),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            write_scalar(out, value, indent);
        }
    }
}

/// The first entry of a collection may follow a dash on its line; the others are indented.
fn pad(out: &mut String, indent: usize, index: usize) {
    if index > 0 || out.is_empty() || out.ends_with('\n') {
        out.push_str(&"  ".repeat(indent));
    }
}

fn write_after(out: &mut String, value: &Value, indent: usize, compact: bool) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            write_below(out, value, indent + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            // As kubectl writes it: the dashes of a list stand under its key.
            write_below(out, value, if compact { indent } else { indent + 1 });
        }
        other => {
            out.push(' ');
            write_scalar(out, other, indent + 1);
            out.push('\n');
        }
    }
}

fn write_scalar(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) if is_block(text) => write_block(out, text, indent),
        Value::String(text) => write_text(out, text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            out.push_str(&value.to_string());
        }
    }
}

/// Whether a text of several lines can stand as a literal block.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.trim_end_matches('\n').is_empty()
        && !text.starts_with([' ', '\n', '\t'])
        && text.lines().all(|line| !line.ends_with([' ', '\t']))
        && text.chars().all(|c| c == '\n' || is_plain_character(c))
}

/// Printable everywhere, and no mark, line separator, change of direction or other surprise.
fn is_plain_character(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{d7ff}') && !is_unseen(c)
}

fn write_block(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n').chain(std::iter::repeat_n("", (text.len() - body.len()).saturating_sub(1))) {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&"  ".repeat(indent));
            out.push_str(line);
        }
    }
}

fn write_text(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        write_quoted(out, text);
    }
}

/// Whether a text reads the same without quotes everywhere; when in doubt, no.
fn is_plain(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '$'));
    let inner = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '/' | '_' | '.' | '-' | ':' | ' ' | '=' | '(' | ')' | '$' | '@' | '+')
    };
    first
        && text.chars().all(inner)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && meaning(text) == Meaning::Text
        && !is_base_sixty(text)
        && !looks_like_a_number(text)
}

/// Numbers and dates of any YAML: whatever begins with a digit or a dot and goes on with nothing but their characters.
fn looks_like_a_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.chars().all(|c| {
            c.is_ascii_hexdigit() || matches!(c, '.' | '_' | '-' | '+' | ':' | 'x' | 'o' | 'T' | 'Z' | ' ')
        })
}

fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_plain_character(c) => out.push(c),
            // Writing to a String cannot fail.
            c if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
}
