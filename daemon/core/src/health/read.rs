//! Reading fields of a live object that may be absent or of another type than expected.

use serde_json::Value;

/// Conditions beyond these are not read; no controller writes more.
const MAX_CONDITIONS: usize = 100;

/// Characters kept of a message that a controller or a container wrote.
const MAX_MESSAGE: usize = 300;

/// One entry of `status.conditions`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition<'a> {
    /// `status`: True, False or Unknown.
    pub(super) status: &'a str,
    /// `reason`, empty when it has none.
    pub(super) reason: &'a str,
    message: &'a str,
    /// `observedGeneration`, where the condition has its own.
    pub(super) observed_generation: Option<i64>,
}

impl Condition<'_> {
    pub(super) fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub(super) fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// The message, or the reason when there is none, fit for the end of a sentence.
    pub(super) fn says(&self) -> String {
        let words = [self.message, self.reason].into_iter().find(|words| !words.trim().is_empty());
        sentence(words.unwrap_or("no reason is given"))
    }
}

/// The condition of a type, if the object has it.
pub(super) fn condition<'a>(live: &'a Value, kind: &str) -> Option<Condition<'a>> {
    let conditions = live.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().take(MAX_CONDITIONS).find(|entry| text(entry, "/type") == Some(kind))?;
    let part = |pointer| text(found, pointer).unwrap_or_default();
    Some(Condition {
        status: part("/status"),
        reason: part("/reason"),
        message: part("/message"),
        observed_generation: number(found, "/observedGeneration"),
    })
}

/// The condition of a type, if the object has it and it is True.
pub(super) fn true_condition<'a>(live: &'a Value, kind: &str) -> Option<Condition<'a>> {
    condition(live, kind).filter(Condition::is_true)
}

/// The condition of a type, if the object has it and it is False.
pub(super) fn false_condition<'a>(live: &'a Value, kind: &str) -> Option<Condition<'a>> {
    condition(live, kind).filter(Condition::is_false)
}

/// The text under a pointer; none when it is absent, empty or no text.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The integer under a pointer.
pub(super) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The integer under a pointer; controllers leave zeros out.
pub(super) fn count(value: &Value, pointer: &str) -> i64 {
    number(value, pointer).unwrap_or(0)
}

/// Whether the field under a pointer is `true`.
pub(super) fn is_set(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The items of the list under a pointer.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Words of others, fit for the end of a sentence: one line, of bounded length, without a full stop.
pub(crate) fn sentence(words: &str) -> String {
    let line: String =
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE + 1).collect();
    if line.chars().count() > MAX_MESSAGE {
        return line.chars().take(MAX_MESSAGE).chain(['…']).collect();
    }
    line.trim().trim_end_matches('.').to_owned()
}

/// `1 replica`, `2 replicas`.
pub(super) fn plural(count: i64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `1 of 3 replicas is ready`, `2 of 3 replicas are ready`, `0 of 1 replica is ready`.
pub(super) fn of(done: i64, wanted: i64, noun: &str, what: &str) -> String {
    let verb = if done == 1 || wanted == 1 { "is" } else { "are" };
    format!("{done} of {} {verb} {what}", plural(wanted, noun))
}
