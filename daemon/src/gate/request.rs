//! A request of a policy as it is sent. It is built before anybody is asked: what cannot be sent is nobody's failure.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, UPGRADE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use serde_json::Value;
use tidegate_core::policy::HttpRequest;

use super::Asking;

/// Who asks.
const AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));
/// Of the connection, not of the request: they are made here.
const OWN: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE];

/// A request, and how long its answer may take.
#[derive(Debug, Clone)]
pub struct Prepared {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    /// From its first byte to the answer's last.
    pub deadline: Duration,
}

impl Prepared {
    /// The request that a gate asks for; its `Host` is the workload's Service, as callers in the cluster name it.
    pub fn of_gate(asking: &Asking<'_>, request: &HttpRequest) -> Result<Self, String> {
        let host = format!("{}.{}.svc", asking.service, asking.namespace);
        Self::new(request, &host, asking.request_deadline())
    }

    /// A request to this host.
    pub fn new(request: &HttpRequest, host: &str, deadline: Duration) -> Result<Self, String> {
        let HttpRequest { method, path, headers: given, body, port: _ } = request;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
        let uri: Uri = path
            .parse()
            .ok()
            .filter(|_| path.starts_with('/'))
            .ok_or_else(|| format!("`{path}` is no path"))?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| format!("`{host}` is no host"))?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let body = match body {
            None => Bytes::new(),
            Some(body) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                match body {
                    Value::String(text) => Bytes::from(text.clone()),
                    json => Bytes::from(json.to_string()),
                }
            }
        };
        for (name, value) in given {
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no name of a header"))?;
            if OWN.contains(&name) {
                return Err(format!("the header `{name}` cannot be set: it is of the connection"));
            }
            // The value may be a secret.
            let value = HeaderValue::from_str(value)
                .map_err(|_| format!("the header `{name}` has no value to send"))?;
            headers.insert(name, value);
        }
        Ok(Self { method, uri, headers, body, deadline })
    }

    /// A form to be posted.
    pub fn form(host: &str, path: &str, form: String, deadline: Duration) -> Result<Self, String> {
        let headers = [(CONTENT_TYPE.to_string(), "application/x-www-form-urlencoded".to_owned())].into();
        let (method, path, body) = ("POST".to_owned(), path.to_owned(), Some(Value::String(form)));
        Self::new(&HttpRequest { method, path, headers, body, port: None }, host, deadline)
    }

    /// As it is sent.
    pub fn build(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prepared(
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Prepared, String> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request =
            HttpRequest { method: method.to_owned(), path: path.to_owned(), headers, body, port: None };
        Prepared::new(&request, "api.shop.svc", Duration::from_secs(1))
    }

    #[test]
    fn a_body_is_json_unless_the_policy_says_otherwise() {
        let json = prepared("POST", "/p?a=b", &[], Some(json!({ "rooms": 6.5 }))).unwrap();
        assert!(&json.body[..] == br#"{"rooms":6.5}"# && json.headers[CONTENT_TYPE] == "application/json");
        let text = prepared("PUT", "/", &[("content-type", "text/plain"), ("Host", "x")], Some(json!("a b")))
            .unwrap();
        assert!(&text.body[..] == b"a b" && text.headers[CONTENT_TYPE] == "text/plain");
        assert_eq!(text.headers[HOST], "x");
        let none = prepared("GET", "/", &[], None).unwrap();
        assert!(
            none.body.is_empty()
                && none.headers[HOST] == "api.shop.svc"
                && !none.headers.contains_key(CONTENT_TYPE)
        );
    }

    #[test]
    fn what_cannot_be_sent_is_said_without_the_value_of_a_header() {
        for (request, said) in [
            (prepared("GE T", "/", &[], None), "`GE T` is no method"),
            (prepared("GET", "http://elsewhere/", &[], None), "is no path"),
            (prepared("GET", "/a b", &[], None), "`/a b` is no path"),
            (prepared("GET", "/", &[("a b", "x")], None), "`a b` is no name of a header"),
            (prepared("GET", "/", &[("Content-Length", "7")], None), "`content-length` cannot be set"),
            (
                prepared("GET", "/", &[("authorization", "hunter2\r\nX: y")], None),
                "`authorization` has no value to send",
            ),
        ] {
            let error = request.unwrap_err();
            assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        }
    }
}
