//! `run --once` ends when everything has settled, also what goes away meanwhile.

use std::process::{Command, Stdio};

use crate::scene::bare_environment;
use crate::support::{World, check, config_map, deployment, eventually};

#[test]
fn once_ends_when_an_environment_was_taken_down_and_its_folder_went_meanwhile() {
    let world = World::new("saf-folder-went");
    let other = "environments/saf-folder-went-b";
    let neighbour = bare_environment("saf-folder-went-b", "saf-folder-went-b", "  createNamespaces: true\n");
    // A pod that cannot run until git is mended keeps the run going.
    let stuck = deployment("web", 1, "").replace("docker.io/local/pause:1", "127.0.0.1:1/missing/image:7");
    world.repo.write(&format!("{other}/environment.yaml"), &neighbour);
    world.repo.write(&format!("{other}/web.yaml"), &stuck);
    world.commit(
        "one goes, one is stuck",
        &[("environment.yaml", &world.environment("  decommission: true\n"))],
    );
    let folder = tempfile::tempdir().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["run", "--once", "--listen", "none", "--branch", "main", "--timeout", "90s"])
        .args(["--repo", &world.repo.url(), "--kubeconfig", &world.kube.kubeconfig().display().to_string()])
        .arg("--cache-dir")
        .arg(folder.path().join("cache"))
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the other one is on its way", || {
        check(world.status_of("saf-folder-went-b")["state"] == "progressing", "not yet")
    });
    world.repo.remove("environments/saf-folder-went");
    world.repo.write(&format!("{other}/web.yaml"), &config_map("c", "k", "v"));
    world.repo.commit("away, and mended");
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(0) && log.contains("saf-folder-went-b: live"), "{log}");
}
