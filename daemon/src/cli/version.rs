//! `tidegate version`.

use serde_json::json;

use super::exit::Exit;
use super::options::Global;

/// Prints the version.
pub fn run(global: &Global) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    let kubernetes = "1.35";
    global.print(
        &format!("tidegate {version} (schemas of Kubernetes {kubernetes})\n"),
        &json!({ "schema": "tidegate.version/v1", "version": version, "kubernetesSchemas": kubernetes }),
    );
    Exit::Ok
}
