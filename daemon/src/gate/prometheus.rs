//! `prometheus`: an instant query by POST, to a URL or to a Service of the cluster. Everything that goes wrong is no data.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tidegate_core::gate::prometheus::{Asked, Sample, form, judge, read, timestamp_of};
use tidegate_core::gate::variables::{Variables, fill, names};
use tidegate_core::gate::{Judgement, text};
use tidegate_core::policy::{PrometheusGate, PrometheusSource};
use tokio::time::{Instant, timeout_at};

use super::door::Door;
use super::request::Prepared;
use super::session::{BODY_CAP, once};
use super::{Asking, pods, service};
use crate::cluster::call::chain;

/// Where instant queries are answered.
const PATH: &str = "/api/v1/query";
/// Longest wait for a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

pub async fn ask(asking: &Asking<'_>, gate: &PrometheusGate, until: Instant) -> Judgement {
    match timeout_at(until, queries(asking, gate)).await {
        Ok(Ok(asked)) => judge(gate, &asked, jiff::Timestamp::now()),
        Ok(Err(why)) => Judgement::unknown(why),
        Err(_) => Judgement::unknown("Prometheus did not answer before the time was over"),
    }
}

async fn queries(asking: &Asking<'_>, gate: &PrometheusGate) -> Result<Asked, String> {
    let query = filled(asking, &gate.query).await?;
    let traffic = match &gate.traffic {
        Some(traffic) => Some(filled(asking, &traffic.query).await?),
        None => None,
    };
    let server = Server::find(asking, &gate.source).await?;
    let ask = async |query: &str| {
        let form = |query: &str| form(query, gate.max_age, asking.request_deadline());
        let sample = server.ask(&form(query)).await?;
        if !sample.of_vector {
            return Ok(sample);
        }
        let times = server.ask(&form(&timestamp_of(query))).await;
        times
            .map(|times| sample.written(times))
            .map_err(|why| format!("{why}, when asked how old its sample is"))
    };
    // The count first: with too little traffic nobody needs the rest.
    let traffic = match traffic {
        Some(traffic) => Some(ask(&traffic).await),
        None => None,
    };
    Ok(Asked { query: ask(&query).await, traffic })
}

async fn filled(asking: &Asking<'_>, query: &str) -> Result<String, String> {
    let Asking { namespace, app, slot, revision, .. } = asking;
    let pods: Vec<String> = if names(query, "pods") {
        pods::ready(asking).await?.iter().map(|pod| pods::name(pod).to_owned()).collect()
    } else {
        Vec::new()
    };
    let variables = Variables { slot: *slot, pods: &pods, namespace, app, revision: *revision };
    fill(query, &variables).map_err(|error| error.to_string())
}

/// A Prometheus whose addresses are known.
enum Server {
    Url { client: Client, url: Url },
    Service { doors: Vec<Door>, host: String, deadline: Duration },
}

impl Server {
    async fn find(asking: &Asking<'_>, source: &PrometheusSource) -> Result<Self, String> {
        let deadline = asking.request_deadline();
        match source {
            PrometheusSource::Url(text) => {
                let url = url(text)?;
                // `host_str` has brackets around an IPv6 address, which name no host.
                let host = url.host_str().unwrap_or_default();
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let port = url.port_or_known_default().unwrap_or_default();
                let addresses = service::resolve(asking, bare, port).await?;
                let client = client(host, &addresses, deadline)?;
                Ok(Self::Url { client, url })
            }
            PrometheusSource::Service { namespace, name, port } => {
                let doors = service::doors(asking, namespace, name, *port).await?;
                Ok(Self::Service { doors, host: format!("{name}.{namespace}.svc:{port}"), deadline })
            }
        }
    }

    /// The only sample; the reason when there is none, as the end of a sentence about the query.
    async fn ask(&self, form: &str) -> Result<Sample, String> {
        match self {
            Self::Url { client, url } => {
                let (status, body) = post(client, url, form).await?;
                read(status, &body)
            }
            Self::Service { doors, host, deadline } => {
                let prepared = Prepared::form(host, PATH, form.to_owned(), *deadline)?;
                let mut last = "has nobody to answer it".to_owned();
                for door in doors {
                    match once(door, &prepared).await {
                        Ok(answer) => return read(answer.status, &answer.body),
                        Err(miss) => last = format!("was not answered: {} {miss}", door.whose),
                    }
                }
                Err(last)
            }
        }
    }
}

/// The URL of queries below the one in the policy. A password in it would stand in git.
fn url(text: &str) -> Result<Url, String> {
    let mut url: Url = text.parse().map_err(|_| "the URL of Prometheus is none".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("the URL of Prometheus does not begin with http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL of Prometheus has a user or a password in it, which is refused".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL of Prometheus has a `?` or a `#` in it, which is refused".to_owned());
    }
    let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// A client that connects to these addresses alone, follows nothing, and knows no proxy.
fn client(host: &str, addresses: &[SocketAddr], deadline: Duration) -> Result<Client, String> {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .resolve_to_addrs(host, addresses)
        .connect_timeout(CONNECT_DEADLINE.min(deadline))
        .timeout(deadline)
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| format!("no client for Prometheus: {}", chain(&error)))
}

async fn post(client: &Client, url: &Url, form: &str) -> Result<(u16, Vec<u8>), String> {
    // The URL stands in the policy; the error is shorter without it.
    let failed =
        |error: reqwest::Error| format!("was not answered: {}", text::quote(&chain(&error.without_url())));
    let sent = client
        .post(url.clone())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.to_owned())
        .send();
    let mut response = sent.await.map_err(failed)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > BODY_CAP {
            return Err(format!("was answered with more than {BODY_CAP} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_go_below_the_url_of_the_policy() {
        for (text, query) in [
            ("http://prometheus:9090", "http://prometheus:9090/api/v1/query"),
            ("https://m.example/prom/", "https://m.example/prom/api/v1/query"),
            ("http://2130706433/", "http://127.0.0.1/api/v1/query"),
        ] {
            assert_eq!(url(text).unwrap().as_str(), query);
        }
    }

    #[test]
    fn a_url_with_a_password_or_of_another_kind_is_refused_without_repeating_it() {
        for text in [
            "http://u:hunter2@p:9090",
            "http://hunter2@p",
            "file:///hunter2",
            "hunter2",
            "http://p/?hunter2",
            "http://p/#hunter2",
            "http://",
        ] {
            let error = url(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
