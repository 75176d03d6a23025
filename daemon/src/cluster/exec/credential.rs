//! What a program for credentials is told, and what it answers: `ExecCredential` of client.authentication.k8s.io.
//!
//! Read by hand from JSON, because the errors of derived readers quote values, and these are secret.

use jiff::Timestamp;
use kube::config::ExecAuthCluster;
use serde_json::{Value, json};

use crate::source::Secret;

/// The group of all versions.
const GROUP: &str = "client.authentication.k8s.io";

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `v1`
    V1,
    /// `v1beta1`
    V1Beta1,
}

impl Version {
    /// From an `apiVersion`; none for versions that are not spoken.
    pub fn read(text: &str) -> Option<Self> {
        [Self::V1, Self::V1Beta1].into_iter().find(|version| version.name() == text)
    }

    fn name(self) -> String {
        let version = match self {
            Self::V1 => "v1",
            Self::V1Beta1 => "v1beta1",
        };
        format!("{GROUP}/{version}")
    }
}

/// How the API server lets us in: a token, a certificate with its key, or both.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Sent with each request.
    pub token: Option<Secret>,
    /// PEM.
    pub certificate: Option<Pair>,
    /// When it ends; none when the program does not say.
    pub expires: Option<Timestamp>,
}

/// A certificate of ours, and its key.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate, with those between it and the authority.
    pub certificate: Secret,
    /// Its key.
    pub key: Secret,
}

/// What the program is told, in `KUBERNETES_EXEC_INFO`.
pub fn question(version: Version, cluster: Option<&ExecAuthCluster>) -> String {
    let mut spec = json!({ "interactive": false });
    if let (Some(cluster), Some(spec)) = (cluster, spec.as_object_mut()) {
        // A struct of texts and JSON: it can be written.
        spec.insert("cluster".to_owned(), serde_json::to_value(cluster).unwrap_or_default());
    }
    json!({ "apiVersion": version.name(), "kind": "ExecCredential", "spec": spec }).to_string()
}

/// Reads an answer; the error says what is wrong with it and quotes nothing.
pub fn read(answer: &[u8], version: Version) -> Result<Credential, String> {
    let answer: Value =
        serde_json::from_slice(answer).map_err(|error| format!("what it printed is not JSON: {error}"))?;
    let part = |key| answer.get(key).unwrap_or(&Value::Null);
    if part("kind") != "ExecCredential" {
        return Err("what it printed is not of the kind ExecCredential".to_owned());
    }
    if *part("apiVersion") != version.name() {
        return Err(format!(
            "its answer must have the apiVersion that the kubeconfig asks for, {}",
            version.name()
        ));
    }
    let status = part("status");
    let token = text(status, "token")?;
    if token.as_deref().is_some_and(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
        return Err("its status.token has characters that no token has".to_owned());
    }
    let certificate = match (text(status, "clientCertificateData")?, text(status, "clientKeyData")?) {
        (Some(certificate), Some(key)) => {
            Some(Pair { certificate: Secret::new(certificate), key: Secret::new(key) })
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(
                "its status has one of clientCertificateData and clientKeyData without the other".to_owned()
            );
        }
    };
    if token.is_none() && certificate.is_none() {
        return Err("its status has neither a token nor a certificate".to_owned());
    }
    let expires = match text(status, "expirationTimestamp")? {
        Some(time) => Some(time.parse().map_err(|_| "its status.expirationTimestamp is no time".to_owned())?),
        None => None,
    };
    Ok(Credential { token: token.map(Secret::new), certificate, expires })
}

/// A text of the status; an empty one is none, as for kubectl.
fn text(status: &Value, key: &str) -> Result<Option<String>, String> {
    match status.get(key).unwrap_or(&Value::Null) {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("its status.{key} is not a text"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: &Value) -> Vec<u8> {
        let version = "client.authentication.k8s.io/v1";
        json!({ "apiVersion": version, "kind": "ExecCredential", "status": status }).to_string().into_bytes()
    }

    #[test]
    fn tokens_certificates_and_their_end_are_read() {
        let both = json!({
            "token": "t", "clientCertificateData": "c", "clientKeyData": "k",
            "expirationTimestamp": "2026-11-21T10:00:00Z",
        });
        let credential = read(&answer(&both), Version::V1).expect("it is well formed");
        assert_eq!(credential.token.expect("a token").expose(), "t");
        assert_eq!(credential.certificate.expect("a pair").key.expose(), "k");
        assert_eq!(credential.expires.map(|at| at.to_string()).as_deref(), Some("2026-11-21T10:00:00Z"));
    }

    #[test]
    fn what_is_no_answer_is_said_without_a_word_of_it() {
        let cases = [
            (b"hunter2".to_vec(), "not JSON"),
            (br#"{"kind":"hunter2"}"#.to_vec(), "not of the kind"),
            (answer(&json!({})), "neither a token nor a certificate"),
            (answer(&json!({ "token": "" })), "neither a token nor a certificate"),
            (answer(&json!({ "token": ["hunter2"] })), "status.token is not a text"),
            (answer(&json!({ "token": "hunter2\nX: y" })), "characters that no token has"),
            (answer(&json!({ "clientKeyData": "hunter2" })), "without the other"),
            (answer(&json!({ "token": "t", "expirationTimestamp": "hunter2" })), "is no time"),
        ];
        for (bytes, said) in cases {
            let error = read(&bytes, Version::V1).expect_err(said);
            assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_answer_in_another_version_than_was_asked_for_is_refused() {
        let error = read(&answer(&json!({ "token": "t" })), Version::V1Beta1).expect_err("it is another one");
        assert!(error.contains("client.authentication.k8s.io/v1beta1"), "{error}");
    }

    #[test]
    fn the_program_is_told_the_version_and_that_nobody_is_there() {
        let told: Value = serde_json::from_str(&question(Version::V1Beta1, None)).expect("it is JSON");
        assert_eq!(told["apiVersion"], "client.authentication.k8s.io/v1beta1");
        assert_eq!(told["spec"], json!({ "interactive": false }));
    }
}
