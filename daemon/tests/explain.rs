//! `tidegate explain` by the real program: offline, for every code, and named once where errors are listed.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tidegate_core::explain::{EXAMPLE_ENVIRONMENT, Example, explain};
use tidegate_core::problem::Code;

fn tidegate(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("TIDEGATE_REPO")
        .output()
        .expect("the program was built for this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

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
    let list = text(&tidegate(&["explain"], empty.path()).stdout);
    assert_eq!(list.lines().count(), Code::ALL.len(), "{list}");
    for code in Code::ALL {
        assert!(list.contains(&format!("{code}  {}\n", explain(*code).title)), "{list}");
        let output = tidegate(&["explain", code.as_str()], empty.path());
        let said = text(&output.stdout);
        assert!(output.status.success() && said.starts_with(&format!("{code}: ")), "{said}");
        assert_eq!(text(&output.stderr), "", "an explanation points nowhere");
    }
}

#[test]
fn the_catalogue_is_data_for_programs_too() {
    let output = tidegate(&["explain", "e0301", "-o", "json"], Path::new("/"));
    let data: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(data["schema"], "tidegate.explain/v1");
    assert_eq!(data["codes"][0]["code"], "E0301");
    assert_eq!(data["codes"][0]["example"]["problems"][0]["code"], "E0301");
    let all: Value =
        serde_json::from_slice(&tidegate(&["explain", "-o", "json"], Path::new("/")).stdout).expect("JSON");
    assert_eq!(all["codes"].as_array().map(Vec::len), Some(Code::ALL.len()));
}

#[test]
fn an_unknown_code_is_wrong_usage() {
    let output = tidegate(&["explain", "E9999"], Path::new("/"));
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("`tidegate explain` lists all codes"));
}

#[test]
fn a_list_of_errors_points_to_their_explanations_once_and_a_quiet_one_does_not() {
    let folder =
        repository("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndta: {}\nbinarydata: {}\n");
    let output = tidegate(&["validate"], folder.path());
    assert_eq!(text(&output.stdout).matches("error[E0301]").count(), 2);
    let stderr = text(&output.stderr);
    assert!(stderr.ends_with("\n`tidegate explain E0301` says more\n"), "{stderr}");
    assert_eq!(stderr.matches("tidegate explain").count(), 1, "{stderr}");
    assert_eq!(text(&tidegate(&["validate", "--quiet"], folder.path()).stderr), "");
    let json = tidegate(&["validate", "-o", "json"], folder.path());
    assert!(!text(&json.stderr).contains("explain"), "programs read the code itself");
    let render = tidegate(&["render", "dev"], folder.path());
    let stderr = text(&render.stderr);
    assert!(stderr.ends_with("dev: 2 errors\n`tidegate explain E0301` says more\n"), "{stderr}");
}

#[test]
fn a_symlink_is_told_as_the_catalogue_tells_it() {
    let folder = repository("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    std::os::unix::fs::symlink("a.yaml", folder.path().join("environments/dev/settings.yaml"))
        .expect("a link");
    let said = text(&tidegate(&["validate"], folder.path()).stdout);
    let Example::Situation { says, .. } = explain(Code::TreeEntry).example else { panic!("a situation") };
    assert!(said.contains(&format!("error[E0208]: {says}")), "{said}");
}

#[test]
fn the_schema_for_editors_is_printed_as_it_is_committed() {
    let output = tidegate(&["schema"], Path::new("/"));
    assert_eq!(text(&output.stdout), include_str!("../schemas/environment.schema.json"));
    assert_eq!(tidegate(&["schema", "pod"], Path::new("/")).status.code(), Some(64));
}
