//! Prometheus queries of gates.

use std::time::Duration;

use super::values::{self, HOUR, SECOND};
use crate::desired::fields::{Fields, Section, Spot};
use crate::policy::{PrometheusGate, PrometheusSource, Traffic};
use crate::problem::{Code, Problem};
use crate::schema::suggest;

/// What `${…}` in a query stands for.
pub const VARIABLES: &[&str] = &["slot", "pods", "namespace", "app", "revision"];
const MAX_QUERY: usize = 8 * 1024;
const MAX_URL: usize = 2048;

/// Reads `prometheus`.
pub fn gate(fields: &mut Fields, spot: &Spot<'_>) -> Option<PrometheusGate> {
    let known = ["url", "service", "query", "min", "max", "maxAge", "minRequests", "requestsQuery"];
    let section = fields.section(spot, &known)?;
    let source = source(fields, spot, &section);
    let query = fields.required(&section, "query").and_then(|spot| query(fields, &spot));
    let bound = |fields: &mut Fields, name| {
        section.get(name).map(|spot| (values::number(fields, &spot, None), fields.location(&spot)))
    };
    let (min, max) = (bound(fields, "min"), bound(fields, "max"));
    let max_age = section.get("maxAge").and_then(|spot| values::duration(fields, &spot, SECOND..=HOUR));
    let traffic = traffic(fields, &section);
    let Some((_, bound)) = max.as_ref().or(min.as_ref()) else {
        values::refuse(fields, spot, "nothing says which values are good: write max, min or both");
        return None;
    };
    let bound = bound.clone();
    let value = |bound: Option<(Option<f64>, _)>| bound.map_or(Some(None), |(number, _)| number.map(Some));
    let (min, max) = (value(min)?, value(max)?);
    if let (Some(least), Some(most), Some(spot)) = (min, max, section.get("min"))
        && least > most
    {
        values::refuse(fields, &spot, "min is above max: no value would be good");
    }
    Some(PrometheusGate {
        source: source?,
        query: query?,
        min,
        max,
        bound,
        max_age: max_age.unwrap_or(Duration::from_mins(1)),
        traffic: traffic.ok()?,
    })
}

fn source(fields: &mut Fields, spot: &Spot<'_>, section: &Section<'_>) -> Option<PrometheusSource> {
    match values::at_most_one(fields, section, &["url", "service"]).ok()? {
        Some(("url", spot)) => Some(PrometheusSource::Url(url(fields, &spot)?)),
        Some((_, spot)) => {
            let section = fields.section(&spot, &["namespace", "name", "port"])?;
            let name = |fields: &mut Fields, name| {
                fields.required(&section, name).and_then(|spot| values::label_name(fields, &spot))
            };
            let (namespace, name) = (name(fields, "namespace"), name(fields, "name"));
            let port = fields.required(&section, "port").and_then(|spot| values::port_number(fields, &spot));
            Some(PrometheusSource::Service { namespace: namespace?, name: name?, port: port? })
        }
        None => {
            values::refuse(fields, spot, "nothing says where Prometheus is: write url or service");
            None
        }
    }
}

/// The URL before `/api/v1/query`.
fn url(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let url = values::text(fields, spot, MAX_URL)?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if authority.contains('@') {
        // What stands in git can be read by everybody who can read the repository, and in every message about it.
        values::refuse(fields, spot, "the URL holds a user or password, which do not belong into git");
        return None;
    }
    let plain = url.bytes().all(|byte| (0x21..0x7f).contains(&byte) && !matches!(byte, b'?' | b'#' | b'\\'));
    if plain && authority.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') {
        return Some(url);
    }
    fields.wrong(spot, "a URL like http://prometheus.monitoring:9090, without a query");
    None
}

fn query(fields: &mut Fields, spot: &Spot<'_>) -> Option<String> {
    let query = values::text(fields, spot, MAX_QUERY)?;
    let mut good = true;
    for rest in query.split("${").skip(1) {
        let name = rest.split_once('}').map(|(name, _)| name);
        if name.is_some_and(|name| VARIABLES.contains(&name)) {
            continue;
        }
        good = false;
        let message = match name {
            Some(name) => format!("nothing is known of ${{{name}}}"),
            None => "`${` has no `}`".to_owned(),
        };
        let help = match name.and_then(|name| suggest::nearest(name, VARIABLES.iter().copied())) {
            Some(near) => format!("did you mean `${{{near}}}`?"),
            None => format!(
                "known: {}",
                VARIABLES.iter().map(|name| format!("${{{name}}}")).collect::<Vec<_>>().join(", ")
            ),
        };
        fields.report(spot, Problem::error(Code::Substitution, message).help(help));
    }
    good.then_some(query)
}

/// How much traffic is asked for; an error after what was wrong with it was reported.
fn traffic(fields: &mut Fields, section: &Section<'_>) -> Result<Option<Traffic>, ()> {
    match (section.get("minRequests"), section.get("requestsQuery")) {
        (None, None) => Ok(None),
        (Some(min), Some(counts)) => {
            let min = values::number(fields, &min, Some(0.0..=1e15));
            let query = query(fields, &counts);
            query.zip(min).map(|(query, min)| Some(Traffic { query, min })).ok_or(())
        }
        (Some(spot), None) => {
            values::refuse(fields, &spot, "minRequests needs requestsQuery, which counts the requests");
            Err(())
        }
        (None, Some(spot)) => {
            values::refuse(fields, &spot, "requestsQuery needs minRequests, which says how many are enough");
            Err(())
        }
    }
}
