//! One changed field as one line for people.

use serde_json::Value;

use super::FieldChange;

/// Characters shown of one value.
const MAX_SHOWN: usize = 80;

/// Characters of a common beginning that stay before the place where two long texts part.
const CONTEXT: usize = 16;

/// One line for people: `spec.replicas: 3 -> 5`, `+ spec.paused: true`, `- spec.paused: true`. Long values are cut;
/// what is cut from two long texts is what they have in common.
pub fn describe(change: &FieldChange) -> String {
    let FieldChange { path, pointer: _, old, new } = change;
    let path = if path.is_empty() { "(object)" } else { path };
    match (old, new) {
        (Some(old), Some(new)) => {
            let (old, new) = (text(old), text(new));
            let skipped = common_beginning(&old, &new);
            format!("{path}: {} -> {}", cut(&old, skipped), cut(&new, skipped))
        }
        (None, Some(new)) => format!("+ {path}: {}", cut(&text(new), 0)),
        (Some(old), None) => format!("- {path}: {}", cut(&text(old), 0)),
        (None, None) => path.to_owned(),
    }
}

/// A value as people write it: texts bare where nothing else could be meant, everything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) if is_bare(text) => text.clone(),
        other => escape_controls(&other.to_string()),
    }
}

fn is_bare(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "._-/:@+*=%".contains(c);
    let scalar = matches!(text, "true" | "false" | "null") || text.parse::<f64>().is_ok();
    !text.is_empty() && text.chars().all(plain) && !scalar
}

/// JSON escapes most control characters, but not those above ASCII, which terminals obey as well.
fn escape_controls(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// How many characters to leave out at the start: the common beginning of two texts that are too long to show whole.
fn common_beginning(old: &str, new: &str) -> usize {
    if old.chars().count().max(new.chars().count()) <= MAX_SHOWN {
        return 0;
    }
    let common = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
    if common + CONTEXT <= MAX_SHOWN { 0 } else { common - CONTEXT }
}

fn cut(text: &str, skipped: usize) -> String {
    let mut rest = text.chars().skip(skipped);
    let shown: String = rest.by_ref().take(MAX_SHOWN).collect();
    let before = if skipped > 0 { "…" } else { "" };
    let after = if rest.next().is_some() { "…" } else { "" };
    format!("{before}{shown}{after}")
}
