//! The API server as the judge of the offline schema check: the same manifests to both, and where they disagree.
//!
//! The list holds only manifests whose fate the schemas decide; what the server refuses for reasons of meaning
//! (names, ranges, references) is the dry-run's business. Needs a cluster, so tests call it with a kubeconfig.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tidegate_core::location::Position;
use tidegate_core::object::{DesiredObject, Gvk, ObjectRef};
use tidegate_core::problem::Problem;
use tidegate_core::schema::{Catalogue, validate};
use tidegate_core::yaml::Spans;

use crate::schema_cases::{Case, cases};

/// The real kubectl and the cluster that it asks. Nothing is changed there: every request is a dry-run.
#[derive(Debug, Clone)]
pub struct Oracle {
    /// The kubectl program.
    pub kubectl: PathBuf,
    /// An admin kubeconfig of a Kubernetes 1.35 cluster.
    pub kubeconfig: PathBuf,
}

/// What came of one comparison.
#[derive(Debug)]
pub struct Report {
    /// How many manifests were compared.
    pub compared: usize,
    /// Where the two did not say the same.
    pub disagreements: Vec<Disagreement>,
}

/// One manifest about which the two do not say the same.
#[derive(Debug)]
pub struct Disagreement {
    /// Which manifest.
    pub case: &'static str,
    /// What the offline check says; empty when it accepts.
    pub ours: Vec<String>,
    /// What kubectl says; none when the server accepts.
    pub server: Option<String>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, ours, server } = self;
        let ours = if ours.is_empty() { "accepted".to_owned() } else { ours.join("; ") };
        write!(f, "{case}\n  ours:   {ours}\n  server: {}", server.as_deref().unwrap_or("accepted"))
    }
}

impl Oracle {
    /// The oracle with the kubectl of the PATH.
    pub fn new(kubeconfig: &Path) -> Self {
        Self { kubectl: PathBuf::from("kubectl"), kubeconfig: kubeconfig.to_owned() }
    }

    /// Sends every manifest to both judges. An error means that kubectl could not be asked at all.
    pub fn compare(&self) -> Result<Report, String> {
        self.reachable()?;
        let cases = cases();
        let mut disagreements = Vec::new();
        for Case { name, manifest } in &cases {
            let problems = errors(manifest);
            let server = self.server(manifest)?;
            if !agree(&problems, server.as_deref()) {
                let ours = problems.into_iter().map(|problem| problem.message).collect();
                disagreements.push(Disagreement { case: name, ours, server });
            }
        }
        Ok(Report { compared: cases.len(), disagreements })
    }

    fn reachable(&self) -> Result<(), String> {
        let output = self.command().args(["get", "--raw", "/readyz"]).output();
        let output =
            output.map_err(|error| format!("failed to start {}: {error}", self.kubectl.display()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("the cluster does not answer: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Why the server refuses the manifest; none when it accepts.
    fn server(&self, manifest: &Value) -> Result<Option<String>, String> {
        const APPLY: [&str; 6] = [
            "apply",
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
            "--field-manager=oracle",
            "-f-",
        ];
        let failed = |error: std::io::Error| format!("failed to ask kubectl: {error}");
        let mut child = self
            .command()
            .args(APPLY)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(manifest.to_string().as_bytes()).map_err(failed)?;
        }
        let output = child.wait_with_output().map_err(failed)?;
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(if output.status.success() { None } else { Some(message) })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }
}

/// The errors (not the warnings) of the offline check.
pub fn errors(manifest: &Value) -> Vec<Problem> {
    let text =
        |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let gvk = Gvk::from_api_version(&text("/apiVersion"), &text("/kind"));
    let reference = ObjectRef { gvk, namespace: None, name: text("/metadata/name") };
    let spans = Spans::new(Arc::from("manifest.yaml"), Position::START);
    let object = DesiredObject::new(reference, manifest.clone(), spans, 0);
    validate(&object, Catalogue::kubernetes_1_35()).into_iter().filter(Problem::is_error).collect()
}

/// What the server says when it fails to decode a value, without a word on where the value stands.
const NAMELESS: [&str; 5] = [
    "cannot convert ",
    "json: cannot unmarshal ",
    "quantities must match ",
    "parsing time ",
    "illegal base64 ",
];

/// Both accept, or both refuse and the server's message names one of the fields that the check names (the server
/// often stops at the first mistake, and names kinds that it does not know in words of its own).
fn agree(problems: &[Problem], server: Option<&str>) -> bool {
    match server {
        None => problems.is_empty(),
        Some(message) => problems.iter().any(|problem| match problem.field.as_deref() {
            None | Some("apiVersion" | "kind") => message.contains("no matches for kind"),
            Some(field) => {
                names(message, field) || NAMELESS.iter().any(|nameless| message.contains(nameless))
            }
        }),
    }
}

/// Whether the message holds the last name of the path, or (for a list's items and a dictionary's keys) the name of what holds it.
fn names(message: &str, field: &str) -> bool {
    let last = field.rsplit('.').next().unwrap_or(field);
    let parts = last.split(['[', ']']).filter(|part| !part.is_empty());
    parts.into_iter().any(|part| message.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_good_and_broken_manifests() {
        let cases = cases();
        let good = cases.iter().filter(|case| errors(&case.manifest).is_empty()).count();
        let broken = cases.len() - good;
        assert!(good >= 12 && broken >= 25, "{good} good, {broken} broken");
    }

    #[test]
    fn every_manifest_that_is_called_good_has_no_error() {
        for Case { name, manifest } in cases() {
            let errors = errors(&manifest);
            assert_eq!(errors.is_empty(), name.starts_with("good: "), "{name}: {errors:?}");
        }
    }
}
