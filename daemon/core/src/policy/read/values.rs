//! Values of policies: numbers and durations with their bounds, ports, names, labels.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::cel::Expression;
use crate::desired::fields::{Fields, Section, Spot, parse_duration};
use crate::desired::names;
use crate::policy::Port;
use crate::problem::{Code, Problem};
use crate::yaml::NodeValue;

/// The longest time that a policy may ask for.
pub const WEEK: Duration = Duration::from_hours(7 * 24);
/// The longest time that one asking of a gate may take.
pub const HOUR: Duration = Duration::from_hours(1);
/// The shortest time that makes sense where there has to be one.
pub const SECOND: Duration = Duration::from_secs(1);

/// Notes what is wrong with a value, as a sentence of its own.
pub fn refuse(fields: &mut Fields, spot: &Spot<'_>, message: impl Into<String>) {
    fields.report(spot, Problem::error(Code::ConfigField, message));
}

/// A field that the formats know and this version does not.
pub fn later(fields: &mut Fields, spot: &Spot<'_>, what: &str) {
    let message = format!("{what} is not supported by this version");
    fields.report(spot, Problem::error(Code::NotSupported, message));
}

/// A duration within bounds.
pub fn duration(fields: &mut Fields, spot: &Spot<'_>, bounds: RangeInclusive<Duration>) -> Option<Duration> {
    let found = spot.node.as_str().and_then(parse_duration);
    bounded(fields, spot, found, bounds, "a duration like 30s, 5m or 1h30m")
}

/// The time that an answer may take: milliseconds or seconds, at most a minute.
pub fn latency(fields: &mut Fields, spot: &Spot<'_>) -> Option<Duration> {
    let parse = |text: &str| {
        let (number, unit) = match text.strip_suffix("ms") {
            Some(number) => (number, 1),
            None => (text.strip_suffix('s')?, 1000),
        };
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| number.parse::<u64>().ok()).flatten()?;
        Some(Duration::from_millis(number.checked_mul(unit)?))
    };
    let found = spot.node.as_str().and_then(parse);
    let bounds = Duration::from_millis(1)..=Duration::from_mins(1);
    bounded(fields, spot, found, bounds, "a time like 250ms or 2s")
}

fn bounded(
    fields: &mut Fields,
    spot: &Spot<'_>,
    found: Option<Duration>,
    bounds: RangeInclusive<Duration>,
    what: &str,
) -> Option<Duration> {
    let found = found.filter(|found| bounds.contains(found));
    if found.is_none() {
        fields.wrong(spot, &format!("{what}, from {} to {}", shown(*bounds.start()), shown(*bounds.end())));
    }
    found
}

/// A duration in the largest unit that it is a whole number of.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.is_zero() => "0s".to_owned(),
        0 => format!("{}ms", duration.as_millis()),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) && seconds > 60 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// A whole number within bounds.
pub fn count(fields: &mut Fields, spot: &Spot<'_>, bounds: RangeInclusive<u32>) -> Option<u32> {
    if let NodeValue::Number(number) = &spot.node.value
        && let Some(value) = number.as_u64().and_then(|value| u32::try_from(value).ok())
        && bounds.contains(&value)
    {
        return Some(value);
    }
    fields.wrong(spot, &format!("a whole number from {} to {}", bounds.start(), bounds.end()));
    None
}

/// A number; `bounds` where it has any.
pub fn number(fields: &mut Fields, spot: &Spot<'_>, bounds: Option<RangeInclusive<f64>>) -> Option<f64> {
    if let NodeValue::Number(number) = &spot.node.value
        && let Some(value) = number.as_f64().filter(|value| value.is_finite())
        && bounds.as_ref().is_none_or(|bounds| bounds.contains(&value))
    {
        return Some(value);
    }
    match bounds {
        Some(bounds) => fields.wrong(spot, &format!("a number from {} to {}", bounds.start(), bounds.end())),
        None => fields.wrong(spot, "a number"),
    }
    None
}

/// A text of at most so many bytes.
pub fn text(fields: &mut Fields, spot: &Spot<'_>, max: usize) -> Option<String> {
    let text = fields.text(spot)?;
    if text.len() <= max {
        return Some(text);
    }
    refuse(fields, spot, format!("{} has {} bytes, more than {max}", spot.shown(), text.len()));
    None
}

/// The name of an object of Kubernetes.
pub fn object_name(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let name = fields.text(spot)?;
    if names::is_subdomain(&name) {
        return Some(name);
    }
    fields.wrong(spot, "a name of a-z, 0-9, `-` and `.`");
    None
}

/// The name of a gate, a Service or a namespace.
pub fn label_name(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let name = fields.text(spot)?;
    if names::is_label(&name) {
        return Some(name);
    }
    fields.wrong(spot, "a name: at most 63 of a-z, 0-9 and `-`");
    None
}

/// A port by number or name.
pub fn port(fields: &mut Fields, spot: &Spot<'_>) -> Option<Port> {
    if let NodeValue::Number(number) = &spot.node.value
        && let Some(port) = number.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
    {
        return Some(Port::Number(port));
    }
    // RFC 6335, as Kubernetes has it.
    let is_name = |text: &&str| {
        text.len() <= 15
            && names::is_label(text)
            && !text.contains("--")
            && text.contains(|c: char| c.is_ascii_lowercase())
    };
    if let Some(name) = spot.node.as_str().filter(is_name) {
        return Some(Port::Name(name.to_owned()));
    }
    fields.wrong(spot, "a port: a number from 1 to 65535, or its name in the container");
    None
}

/// A port of a Service, by number.
pub fn port_number(fields: &mut Fields, spot: &Spot<'_>) -> Option<u16> {
    let port = count(fields, spot, 1..=u32::from(u16::MAX))?;
    u16::try_from(port).ok()
}

/// The key of a label: a name with, or without, a prefix.
pub fn label_key(fields: &mut Fields, spot: &Spot<'_>, key: &str) -> Option<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !name.is_empty() && is_label_value(name) && prefix.is_none_or(names::is_subdomain) {
        return Some(key.to_owned());
    }
    refuse(fields, spot, format!("`{key}` is not the key of a label, like `app` or `example.com/app`"));
    None
}

/// The value of a label.
pub fn label_value(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let value = spot.node.as_str();
    if let Some(value) = value.filter(|value| is_label_value(value)) {
        return Some(value.to_owned());
    }
    if value.is_some() {
        fields.wrong(spot, "the value of a label: at most 63 of A-Z, a-z, 0-9, `-`, `_` and `.`");
    } else {
        // Says how to quote what stands there.
        fields.text(spot);
    }
    None
}

fn is_label_value(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric();
    text.is_empty()
        || (text.len() <= 63
            && text.chars().all(|c| inner(c) || matches!(c, '-' | '_' | '.'))
            && text.starts_with(inner)
            && text.ends_with(inner))
}

/// A list with at least one item.
pub fn some<T>(
    fields: &mut Fields,
    spot: &Spot<'_>,
    max: usize,
    mut item: impl FnMut(&mut Fields, &Spot<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(items) = spot.items() else {
        fields.wrong(spot, "a sequence");
        return None;
    };
    if items.is_empty() || items.len() > max {
        fields.wrong(spot, &format!("a sequence of 1 to {max} items"));
        return None;
    }
    let read: Vec<T> = items.iter().filter_map(|spot| item(fields, spot)).collect();
    (read.len() == items.len()).then_some(read)
}

/// Names, each once.
pub fn names(fields: &mut Fields, spot: &Spot<'_>, max: usize) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    some(fields, spot, max, |fields, spot| {
        let name = object_name(fields, spot)?;
        if !seen.insert(name.clone()) {
            refuse(fields, spot, format!("`{name}` stands twice"));
            return None;
        }
        Some(name)
    })
}

/// The fields of a mapping that must not be more than one of these; the one, where there is one.
pub fn at_most_one<'n>(
    fields: &mut Fields,
    section: &Section<'n>,
    names: &'static [&'static str],
) -> Result<Option<(&'static str, Spot<'n>)>, ()> {
    let mut found = names.iter().filter_map(|name| Some((*name, section.given(name)?)));
    let Some((first, spot)) = found.next() else { return Ok(None) };
    if let Some((second, spot)) = found.next() {
        refuse(fields, &spot, format!("{first} and {second} exclude each other"));
        return Err(());
    }
    Ok(Some((first, spot)))
}

/// An expression in CEL over `object`.
pub fn expression(fields: &mut Fields, spot: &Spot<'_>) -> Option<Expression> {
    let text = fields.text(spot)?;
    Expression::compile(&text)
        .map_err(|message| refuse(fields, spot, format!("{}: {message}", spot.shown())))
        .ok()
}
