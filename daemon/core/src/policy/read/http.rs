//! HTTP requests of gates, and what their answers have to be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::values;
use crate::desired::fields::{Fields, Section, Spot};
use crate::policy::{Expectation, HttpAnswer, HttpGate, HttpRequest, Json, JsonCheck, ScalarType, Tolerance};
use crate::problem::{Code, Problem};
use crate::yaml::NodeValue;

/// The fields of a request.
pub const REQUEST: &[&str] = &["method", "path", "headers", "body", "port"];
const METHODS: [(&str, &str); 7] = [
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
];
const MAX_PATH: usize = 2048;
const MAX_HEADERS: usize = 32;
const MAX_HEADER: usize = 4096;
/// A body, as JSON.
const MAX_BODY: usize = 64 * 1024;
const MAX_REQUESTS: u32 = 1000;
const MAX_EXPECTATIONS: usize = 64;
const MAX_TOLERANCE: f64 = 1e12;
const MAX_POINTER: usize = 1024;
/// What frames a request is not for policies to say.
const FRAMING: [&str; 7] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Reads `http`.
pub fn gate(fields: &mut Fields, spot: &Spot<'_>) -> Option<HttpGate> {
    let own: &[&str] = &["expect", "requests", "everyPod"];
    let section = fields.section_or_nothing(spot, &[REQUEST, own].concat())?;
    let request = request(fields, &section);
    let expect = match section.get("expect") {
        Some(spot) => expect(fields, &spot),
        None => Some(HttpAnswer { status: vec![200], ..HttpAnswer::default() }),
    };
    let requests = section.get("requests").map(|spot| values::count(fields, &spot, 1..=MAX_REQUESTS));
    let every_pod = section.get("everyPod").map(|spot| fields.flag(&spot));
    Some(HttpGate {
        request: request?,
        expect: expect?,
        requests: requests.unwrap_or(Some(1))?,
        every_pod: every_pod.unwrap_or(Some(false))?,
    })
}

/// Reads what is sent.
pub fn request(fields: &mut Fields, section: &Section<'_>) -> Option<HttpRequest> {
    let method = section.get("method").map(|spot| fields.choice(&spot, &METHODS));
    let path = section.get("path").map(|spot| path(fields, &spot));
    let headers = section.get("headers").map(|spot| headers(fields, &spot)).unwrap_or_default();
    let body = section.get("body").map(|spot| body(fields, &spot));
    let port = section.get("port").map(|spot| values::port(fields, &spot));
    let default = if body.is_some() { "POST" } else { "GET" };
    Some(HttpRequest {
        method: method.unwrap_or(Some(default))?.to_owned(),
        path: path.unwrap_or_else(|| Some("/".to_owned()))?,
        headers,
        body: body.map_or(Some(None), |body| body.map(Some))?,
        port: port.map_or(Some(None), |port| port.map(Some))?,
    })
}

fn path(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let path = values::text(fields, spot, MAX_PATH)?;
    let plain = path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'#');
    if path.starts_with('/') && plain {
        return Some(path);
    }
    fields.wrong(spot, "a path like /predict?rooms=6, with other characters as %XX");
    None
}

fn headers(fields: &mut Fields, spot: &Spot<'_>) -> BTreeMap<String, String> {
    let entries = fields.entries(spot);
    if entries.len() > MAX_HEADERS {
        values::refuse(fields, spot, format!("{} has more than {MAX_HEADERS} headers", spot.shown()));
        return BTreeMap::new();
    }
    let mut seen = BTreeSet::new();
    let header = |(name, spot): (&str, Spot<'_>)| {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let lower = name.to_ascii_lowercase();
        if name.is_empty() || !name.chars().all(token) {
            values::refuse(fields, &spot, format!("`{name}` is not the name of a header"));
            return None;
        }
        if FRAMING.contains(&lower.as_str()) {
            values::refuse(fields, &spot, format!("the header {name} is set by whoever sends the request"));
            return None;
        }
        if !seen.insert(lower) {
            values::refuse(fields, &spot, format!("the header {name} stands twice"));
            return None;
        }
        let value = values::text(fields, &spot, MAX_HEADER)?;
        if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            fields.wrong(&spot, "printable ASCII");
            return None;
        }
        Some((name.to_owned(), value))
    };
    entries.into_iter().filter_map(header).collect()
}

fn body(fields: &mut Fields, spot: &Spot<'_>) -> Option<Value> {
    let value = spot.node.to_json();
    if value.to_string().len() > MAX_BODY {
        values::refuse(fields, spot, format!("{} has more than {MAX_BODY} bytes", spot.shown()));
        return None;
    }
    Some(value)
}

fn expect(fields: &mut Fields, spot: &Spot<'_>) -> Option<HttpAnswer> {
    let section = fields.section(spot, &["status", "json", "p95"])?;
    let status = section.get("status").map(|spot| statuses(fields, &spot));
    let json = section.get("json").map(|spot| values::some(fields, &spot, MAX_EXPECTATIONS, json));
    let p95 = section.get("p95").map(|spot| values::latency(fields, &spot));
    Some(HttpAnswer {
        status: status.unwrap_or_else(|| Some(vec![200]))?,
        json: json.unwrap_or_else(|| Some(Vec::new()))?,
        p95: p95.map_or(Some(None), |p95| p95.map(Some))?,
    })
}

/// One status, or several.
pub fn statuses(fields: &mut Fields, spot: &Spot<'_>) -> Option<Vec<u16>> {
    let status = |fields: &mut Fields, spot: &Spot<'_>| {
        values::count(fields, spot, 100..=599).and_then(|status| u16::try_from(status).ok())
    };
    match spot.node.value {
        NodeValue::Sequence(_) => values::some(fields, spot, 500, status),
        NodeValue::Null
        | NodeValue::Bool(_)
        | NodeValue::Number(_)
        | NodeValue::String(_)
        | NodeValue::Mapping(_) => Some(vec![status(fields, spot)?]),
    }
}

fn json(fields: &mut Fields, spot: &Spot<'_>) -> Option<Json> {
    let section = fields.section(spot, &["pointer", "equals", "tolerance", "absent", "type"])?;
    let pointer = fields.required(&section, "pointer").and_then(|spot| pointer(fields, &spot));
    let asked = values::at_most_one(fields, &section, &["equals", "absent", "type"]).ok()?;
    let Some((what, place)) = asked else {
        values::refuse(fields, spot, "nothing is expected: write equals, absent or type");
        return None;
    };
    let tolerance = section.given("tolerance");
    if let Some(spot) = tolerance.as_ref().filter(|_| !matches!(place.node.value, NodeValue::Number(_))) {
        let message = "a tolerance has a meaning beside `equals` with a number only";
        let help = "take it out, or write `equals` with a number, without quotes";
        fields.report(spot, Problem::error(Code::ConfigField, message).help(help));
        return None;
    }
    let check = match what {
        "equals" => {
            let tolerance = tolerance.map(|spot| self::tolerance(fields, &spot));
            JsonCheck::Equals(Expectation {
                value: place.node.to_json(),
                tolerance: tolerance.map_or(Some(None), |tolerance| tolerance.map(Some))?,
            })
        }
        "absent" if place.node.value == NodeValue::Bool(true) => JsonCheck::Absent,
        "absent" => {
            fields.wrong(&place, "true");
            return None;
        }
        _ => JsonCheck::Type(scalar_type(fields, &place)?),
    };
    Some(Json { pointer: pointer?, check, location: fields.location(&place) })
}

/// RFC 6901; the whole body has none, because an empty text is a mistake more often than not.
fn pointer(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let pointer = values::text(fields, spot, MAX_POINTER)?;
    let escapes_are_good = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if pointer.starts_with('/') && escapes_are_good {
        return Some(pointer);
    }
    fields.wrong(spot, "a JSON pointer like /prediction or /items/0");
    None
}

fn tolerance(fields: &mut Fields, spot: &Spot<'_>) -> Option<Tolerance> {
    let without = |fields: &mut Fields| {
        let message = "a tolerance needs a number: abs (by so much), rel (by this share), or both";
        let help =
            "write `tolerance: {abs: 0.01}`, or take it out where the number has to be exactly the same";
        fields.report(spot, Problem::error(Code::ConfigField, message).help(help));
    };
    // A number alone does not say which of the two it is.
    if let NodeValue::Number(_) = spot.node.value {
        without(fields);
        return None;
    }
    let section = fields.section(spot, &["abs", "rel"])?;
    let one = |fields: &mut Fields, name| {
        section.get(name).map(|spot| values::number(fields, &spot, Some(0.0..=MAX_TOLERANCE)))
    };
    let (absolute, relative) = (one(fields, "abs"), one(fields, "rel"));
    if absolute.is_none() && relative.is_none() {
        without(fields);
        return None;
    }
    Some(Tolerance {
        absolute: absolute.map_or(Some(None), |number| number.map(Some))?,
        relative: relative.map_or(Some(None), |number| number.map(Some))?,
    })
}

fn scalar_type(fields: &mut Fields, spot: &Spot<'_>) -> Option<ScalarType> {
    // Unquoted, the name of this type is the thing itself.
    if spot.node.value == NodeValue::Null {
        return Some(ScalarType::Null);
    }
    let types = [
        ("string", ScalarType::String),
        ("number", ScalarType::Number),
        ("boolean", ScalarType::Boolean),
        ("array", ScalarType::Array),
        ("object", ScalarType::Object),
        ("null", ScalarType::Null),
    ];
    fields.choice(spot, &types)
}
