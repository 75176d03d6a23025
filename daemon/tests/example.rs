//! The example in `environments/` is right as it stands, and says what its README says; offline, by the real commands.

use std::path::Path;
use std::process::Command;

fn tidegate(arguments: &[&str]) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the daemon stands below the root");
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(root)
        .env_remove("TIDEGATE_REPO")
        .output()
        .expect("the program was built for this test");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The document of a render that holds this kind and name.
fn document<'a>(render: &'a str, kind: &str, name: &str) -> &'a str {
    let marks = [format!("\nkind: {kind}\n"), format!("\n  name: {name}\n")];
    render
        .split("\n---\n")
        .find(|document| marks.iter().all(|mark| document.contains(mark)))
        .unwrap_or_default()
}

#[test]
fn the_example_environments_are_valid() {
    let (success, text) = tidegate(&["validate", "environments"]);
    assert!(success, "{text}");
    for environment in ["dev", "staging", "production"] {
        assert!(text.contains(&format!(" {environment}: ")), "{text}");
    }
    assert!(!text.contains("warning"), "{text}");
}

#[test]
fn each_environment_patches_the_shared_manifests_in_its_own_way() {
    for (environment, replicas) in [("dev", 1), ("staging", 2), ("production", 3)] {
        let (success, render) = tidegate(&["render", environment]);
        let deployment = document(&render, "Deployment", "house-price");
        assert!(success && deployment.contains(&format!("\n  replicas: {replicas}\n")), "{deployment}");
        assert!(deployment.contains(&format!("\n  namespace: shop-{environment}\n")), "{deployment}");
    }
}
