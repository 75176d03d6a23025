//! Reads the fields of our own files: types, unknown names with a suggestion, every error at its place.

use std::sync::Arc;
use std::time::Duration;

use crate::location::{Location, Position};
use crate::problem::{Code, Problem};
use crate::schema::suggest;
use crate::yaml::{Entry, Node, NodeValue};

/// The longest duration that makes sense in a file: a year.
const MAX_DURATION: Duration = Duration::from_hours(366 * 24);

/// A value with its path and place.
#[derive(Clone)]
pub struct Spot<'n> {
    /// The value.
    pub node: &'n Node,
    /// Its dotted path, for people.
    pub path: String,
    position: Position,
}

/// The entries of a mapping whose keys were checked.
pub struct Section<'n> {
    node: &'n Node,
    path: String,
    position: Position,
}

impl<'n> Section<'n> {
    /// The value of a field; none when it is missing or null.
    pub fn get(&self, name: &str) -> Option<Spot<'n>> {
        let Entry { key, key_position, node } = self.node.entry(name)?;
        (node.value != NodeValue::Null).then(|| self.spot(key, *key_position, node))
    }

    /// The value of a field that says something by standing there, null included.
    pub fn given(&self, name: &str) -> Option<Spot<'n>> {
        let Entry { key, key_position, node } = self.node.entry(name)?;
        Some(self.spot(key, *key_position, node))
    }

    fn spot(&self, key: &str, key_position: Position, node: &'n Node) -> Spot<'n> {
        let position = if node.is_collection() { key_position } else { node.position };
        Spot { node, path: join(&self.path, key), position }
    }
}

impl<'n> Spot<'n> {
    /// The root of a document.
    pub fn root(node: &'n Node) -> Self {
        Self { node, path: String::new(), position: node.position }
    }

    /// The items, when this is a sequence.
    pub fn items(&self) -> Option<Vec<Self>> {
        let NodeValue::Sequence(items) = &self.node.value else { return None };
        let spot = |(index, node): (usize, &'n Node)| Self {
            node,
            path: format!("{}[{index}]", self.path),
            position: node.position,
        };
        Some(items.iter().enumerate().map(spot).collect())
    }

    /// A name for people.
    pub fn shown(&self) -> &str {
        if self.path.is_empty() { "the document" } else { &self.path }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Reads values and collects what is wrong with them.
pub struct Fields {
    file: Arc<str>,
    /// What was wrong so far.
    pub problems: Vec<Problem>,
}

impl Fields {
    /// Reads a file.
    pub fn new(file: Arc<str>) -> Self {
        Self { file, problems: Vec::new() }
    }

    /// Where a value stands.
    pub fn location(&self, spot: &Spot<'_>) -> Location {
        Location { file: self.file.clone(), position: spot.position }
    }

    /// Notes what is wrong with a value.
    pub fn report(&mut self, spot: &Spot<'_>, problem: Problem) {
        let problem = problem.at(self.location(spot));
        self.problems.push(if spot.path.is_empty() { problem } else { problem.field(spot.path.clone()) });
    }

    /// Notes that a value is not what is expected.
    pub fn wrong(&mut self, spot: &Spot<'_>, expected: &str) {
        let message = format!("{} must be {expected}", spot.shown());
        self.report(spot, Problem::error(Code::ConfigField, message));
    }

    /// Notes that a required field is missing.
    fn missing(&mut self, section: &Section<'_>, name: &str) {
        let path = join(&section.path, name);
        let problem = Problem::error(Code::ConfigField, format!("{path} is missing"));
        let location = Location { file: self.file.clone(), position: section.position };
        self.problems.push(problem.at(location).field(path));
    }

    /// The value of a field that must not be missing.
    pub fn required<'n>(&mut self, section: &Section<'n>, name: &str) -> Option<Spot<'n>> {
        let spot = section.get(name);
        if spot.is_none() {
            self.missing(section, name);
        }
        spot
    }

    /// A mapping with known fields only.
    pub fn section<'n>(&mut self, spot: &Spot<'n>, known: &[&str]) -> Option<Section<'n>> {
        let NodeValue::Mapping(entries) = &spot.node.value else {
            self.wrong(spot, "a mapping");
            return None;
        };
        for Entry { key, key_position, node: _ } in entries {
            if !known.contains(&key.as_str()) {
                let path = join(&spot.path, key);
                let problem = Problem::error(Code::ConfigField, format!("unknown field {path}"));
                let help = match suggest::nearest(key, known.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known fields: {}", known.join(", ")),
                };
                let location = Location { file: self.file.clone(), position: *key_position };
                self.problems.push(problem.at(location).field(path).help(help));
            }
        }
        Some(Section { node: spot.node, path: spot.path.clone(), position: spot.position })
    }

    /// The same, where nothing at all is a mapping without fields.
    pub fn section_or_nothing<'n>(&mut self, spot: &Spot<'n>, known: &[&str]) -> Option<Section<'n>> {
        if spot.node.value == NodeValue::Null {
            return Some(Section { node: spot.node, path: spot.path.clone(), position: spot.position });
        }
        self.section(spot, known)
    }

    /// The fields of a mapping with keys of its own.
    pub fn entries<'n>(&mut self, spot: &Spot<'n>) -> Vec<(&'n str, Spot<'n>)> {
        let NodeValue::Mapping(entries) = &spot.node.value else {
            self.wrong(spot, "a mapping");
            return Vec::new();
        };
        let entry = |Entry { key, key_position: _, node }: &'n Entry| {
            (key.as_str(), Spot { node, path: join(&spot.path, key), position: node.position })
        };
        entries.iter().map(entry).collect()
    }

    /// A text that is not empty.
    pub fn text(&mut self, spot: &Spot<'_>) -> Option<String> {
        match spot.node.as_str() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            Some(_) => {
                self.wrong(spot, "a text that is not empty");
                None
            }
            None => {
                self.wrong(spot, "a text");
                if let (Some(written), Some(problem)) = (&spot.node.written, self.problems.last_mut()) {
                    problem.help = Some(format!("quote it: \"{written}\""));
                }
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn flag(&mut self, spot: &Spot<'_>) -> Option<bool> {
        if let NodeValue::Bool(flag) = spot.node.value {
            return Some(flag);
        }
        self.wrong(spot, "true or false");
        None
    }

    /// A whole number from 0 to `max`.
    pub fn count(&mut self, spot: &Spot<'_>, max: u32) -> Option<u32> {
        if let NodeValue::Number(number) = &spot.node.value
            && let Some(value) = number.as_u64().and_then(|value| u32::try_from(value).ok())
            && value <= max
        {
            return Some(value);
        }
        self.wrong(spot, &format!("a whole number from 0 to {max}"));
        None
    }

    /// A duration like `30s`, `5m` or `1h30m`, more than zero.
    pub fn duration(&mut self, spot: &Spot<'_>) -> Option<Duration> {
        let duration = spot.node.as_str().and_then(parse_duration);
        let duration = duration.filter(|duration| *duration > Duration::ZERO);
        if duration.is_none() {
            self.wrong(spot, "a duration like 30s, 5m or 1h30m, from 1s to a year");
        }
        duration
    }

    /// A sequence; what is made of its items.
    pub fn list<T>(
        &mut self,
        spot: &Spot<'_>,
        mut item: impl FnMut(&mut Self, &Spot<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(items) = spot.items() else {
            self.wrong(spot, "a sequence");
            return Vec::new();
        };
        items.iter().filter_map(|spot| item(self, spot)).collect()
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, spot: &Spot<'_>, choices: &[(&str, T)]) -> Option<T> {
        let found =
            choices.iter().find(|(name, _)| spot.node.as_str() == Some(name)).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(spot, &names.join(" or "));
            let near = spot.node.as_str().and_then(|text| suggest::nearest(text, names.iter().copied()));
            if let (Some(near), Some(problem)) = (near, self.problems.last_mut()) {
                problem.help = Some(format!("did you mean `{near}`?"));
            }
        }
        found
    }
}

/// `1h30m` and the like: units h, m, s, each at most once and in this order; at most a year.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part = number.parse::<u64>().ok()?.checked_mul(seconds)?;
        total = total.checked_add(Duration::from_secs(part))?;
        rest = after;
    }
    (rest.is_empty() && !text.is_empty() && total <= MAX_DURATION).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("0s", 0), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("1h5s", 3605), ("90m", 5400)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "m", "30m1h", "-5m", "5m5m", "1.5h", "99999999999999999999s", "9000h", "5 m"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
