//! `tidegate explain` by the real program: offline, for every code, and named once where errors are listed.

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use program::{text, tidegate};
use serde_json::Value;
use tidegate_core::explain::{EXAMPLE_ENVIRONMENT, Example, explain};
use tidegate_core::problem::Code;

/// A repository with one environment and this manifest.
fn repository(manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = folder.path().join("environments/dev");
    std::fs::create_dir_all(&dev).expect("folders");
    std::fs::write(dev.join("environment.yaml"), EXAMPLE_ENVIRONMENT).expect("a file");
    std::fs::write(dev.join("a.yaml"), manifest).expect("a file");
    folder
}

#[test]
fn every_code_is_listed_and_explained_without_a_repository_or_a_cluster() {
    let empty = tempfile::tempdir().expect("a folder");
    let list = text(&tidegate(empty.path(), &["explain"]).stdout);
    assert_eq!(list.lines().count(), Code::ALL.len(), "{list}");
    for code in Code::ALL {
        assert!(list.contains(&format!("{code}  {}\n", explain(*code).title)), "{list}");
        let output = tidegate(empty.path(), &["explain", code.as_str()]);
        let said = text(&output.stdout);
        assert!(output.status.success() && said.starts_with(&format!("{code}: ")), "{said}");
        assert!(!said.contains("\n\n\n") && !said.ends_with("\n\n"), "one blank line is enough: {said}");
        assert_eq!(text(&output.stderr), "", "an explanation points nowhere");
    }
}

#[test]
fn the_catalogue_is_data_for_programs_too() {
    let output = tidegate(Path::new("/"), &["explain", "e0301", "-o", "json"]);
    let data: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(data["schema"], "tidegate.explain/v1");
    assert_eq!(data["codes"][0]["code"], "E0301");
    assert_eq!(data["codes"][0]["example"]["problems"][0]["code"], "E0301");
    let all: Value =
        serde_json::from_slice(&tidegate(Path::new("/"), &["explain", "-o", "json"]).stdout).expect("JSON");
    assert_eq!(all["codes"].as_array().map(Vec::len), Some(Code::ALL.len()));
}

#[test]
fn an_unknown_code_is_wrong_usage() {
    let output = tidegate(Path::new("/"), &["explain", "E9999"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("`tidegate explain` lists all codes"));
}

#[test]
fn a_list_of_errors_points_to_their_explanations_once_and_a_quiet_one_does_not() {
    let folder =
        repository("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndta: {}\nbinarydata: {}\n");
    let output = tidegate(folder.path(), &["validate"]);
    assert_eq!(text(&output.stdout).matches("error[E0301]").count(), 2);
    let stderr = text(&output.stderr);
    assert!(stderr.ends_with("\n`tidegate explain E0301` says more\n"), "{stderr}");
    assert_eq!(stderr.matches("tidegate explain").count(), 1, "{stderr}");
    assert_eq!(text(&tidegate(folder.path(), &["validate", "--quiet"]).stderr), "");
    let json = tidegate(folder.path(), &["validate", "-o", "json"]);
    assert!(!text(&json.stderr).contains("explain"), "programs read the code itself");
    let render = tidegate(folder.path(), &["render", "dev"]);
    let stderr = text(&render.stderr);
    assert!(stderr.ends_with("dev: 2 errors\n`tidegate explain E0301` says more\n"), "{stderr}");
}

#[test]
fn a_symlink_is_told_as_the_catalogue_tells_it() {
    let folder = repository("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    std::os::unix::fs::symlink("a.yaml", folder.path().join("environments/dev/settings.yaml"))
        .expect("a link");
    let said = text(&tidegate(folder.path(), &["validate"]).stdout);
    let Example::Situation { says, .. } = explain(Code::TreeEntry).example else { panic!("a situation") };
    assert!(said.contains(&format!("error[E0208]: {says}")), "{said}");
}

#[test]
fn the_schema_for_editors_is_printed_as_it_is_committed() {
    let output = tidegate(Path::new("/"), &["schema"]);
    assert_eq!(text(&output.stdout), include_str!("../schemas/environment.schema.json"));
    assert_eq!(tidegate(Path::new("/"), &["schema", "pod"]).status.code(), Some(64));
}
