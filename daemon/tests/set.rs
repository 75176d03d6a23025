//! `tidegate set` by the real program: files in a folder, what is printed, and how it exits.

#[path = "support/program.rs"]
mod program;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::{text, tidegate};

/// A copy of the example environments.
fn example() -> (tempfile::TempDir, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the daemon stands below the root");
    let folder = tempfile::tempdir().expect("a folder");
    for part in ["environments", "policies"] {
        let copied = Command::new("cp").arg("-a").arg(root.join(part)).arg(folder.path()).status();
        assert!(copied.expect("cp runs").success());
    }
    let staging = folder.path().join("environments/staging/environment.yaml");
    (folder, staging)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

#[test]
fn a_release_is_one_line_and_the_rest_of_the_file_stays() {
    let (folder, file) = example();
    let before = read(&file);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("rights");
    let output = tidegate(folder.path(), &["set", "substitute", "staging", "SHOP_VERSION=1.1.0"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("environments/staging/environment.yaml:"), "{said}");
    assert_eq!(lines[1..], ["-    SHOP_VERSION: \"1.0.0\"", "+    SHOP_VERSION: \"1.1.0\""]);
    assert_eq!(read(&file), before.replace("SHOP_VERSION: \"1.0.0\"", "SHOP_VERSION: \"1.1.0\""));
    let mode = std::fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "the file keeps its rights");
    assert_eq!(tidegate(folder.path(), &["validate"]).status.code(), Some(0));
    let again = tidegate(folder.path(), &["set", "substitute", "staging", "SHOP_VERSION=1.1.0"]);
    assert!(text(&again.stdout).starts_with("no changes: "), "{}", text(&again.stdout));
    let left = std::fs::read_dir(file.parent().expect("a folder")).expect("a folder").count();
    assert_eq!(left, 1, "no file is left behind");
}

#[test]
fn an_image_is_set_by_the_name_in_its_tag() {
    let (folder, file) = example();
    let before = read(&file);
    let arguments = ["set", "image", "staging", "house-price=docker.io/local/shop:1.1.0", "-o", "json"];
    let output = tidegate(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let data: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&data["schema"], &data["changed"]), (&"tidegate.set/v1".into(), &true.into()));
    assert_eq!(
        read(&file),
        before.replace("HOUSE_PRICE_VERSION: \"1.0.0\"", "HOUSE_PRICE_VERSION: \"1.1.0\"")
    );
}

#[test]
fn what_concerns_others_or_is_unknown_is_refused_and_nothing_is_written() {
    let (folder, file) = example();
    let before = read(&file);
    let refused = |arguments: &[&str]| {
        let output = tidegate(folder.path(), arguments);
        (output.status.code().unwrap_or_default(), text(&output.stderr))
    };
    let (code, shared) = refused(&["set", "image", "staging", "Deployment/web=docker.io/local/shop:1.1.0"]);
    assert!(code == 2 && shared.contains("  = staging: Deployment shop-staging/api\n"), "{shared}");
    let (code, unknown) = refused(&["set", "substitute", "staging", "SHOP_VERSON=1"]);
    assert!(code == 2 && unknown.contains("help: did you mean `SHOP_VERSION`?"), "{unknown}");
    let (code, usage) = refused(&["set", "substitute", "staging", "SHOP_VERSION"]);
    assert!(code == 64 && usage.contains("TARGET=VALUE"), "{usage}");
    let (code, remote) =
        refused(&["--repo", "https://git.example.com/x.git", "set", "substitute", "staging", "A=1"]);
    assert!(code == 64 && remote.contains("check the repository out"), "{remote}");
    assert_eq!(read(&file), before);
}

#[test]
fn with_a_subpath_the_file_below_it_is_edited() {
    let (folder, _) = example();
    std::fs::create_dir(folder.path().join("deep")).expect("a folder");
    std::fs::rename(folder.path().join("environments"), folder.path().join("deep/environments"))
        .expect("moved");
    let arguments = ["--repo", ".", "--subpath", "deep", "set", "substitute", "dev", "SHOP_VERSION=1.1.0"];
    let output = tidegate(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        read(&folder.path().join("deep/environments/dev/environment.yaml"))
            .contains("SHOP_VERSION: \"1.1.0\"")
    );
}

const SETTINGS: &str = "apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  substitute: {A: a0, B: b0, PASSWORD: hunter2}
";

const OBJECTS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {a: \"${A}\", b: \"${B}\"}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: \"${PASSWORD}\"}
";

/// One environment, `dev`, with a name whose value stands in a Secret.
fn dev() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = folder.path().join("environments/dev");
    std::fs::create_dir_all(&dev).expect("a folder");
    std::fs::write(dev.join("environment.yaml"), SETTINGS).expect("a file");
    std::fs::write(dev.join("objects.yaml"), OBJECTS).expect("a file");
    (folder, dev)
}

#[test]
fn edits_at_the_same_time_lose_none_of_them() {
    let (folder, dev) = dev();
    let run = |assignment: String| {
        let root = folder.path().to_owned();
        std::thread::spawn(move || tidegate(&root, &["set", "substitute", "dev", &assignment]))
    };
    for round in 1..=4 {
        let both = ["A", "B"].map(|name| run(format!("{name}={}{round}", name.to_lowercase())));
        for edit in both {
            let output = edit.join().expect("it ends");
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        }
        let file = read(&dev.join("environment.yaml"));
        assert!(file.contains(&format!("{{A: a{round}, B: b{round}, ")), "{round}: {file}");
    }
}

#[test]
fn an_edit_waits_for_another_one_and_says_whom_it_waited_for() {
    let (folder, dev) = dev();
    let lock = std::fs::File::open(folder.path().join("environments")).expect("a folder");
    lock.lock().expect("locked");
    let late = tidegate(folder.path(), &["set", "substitute", "dev", "A=a1", "--timeout", "100ms"]);
    let said = text(&late.stderr);
    assert!(
        late.status.code() == Some(4) && said.contains("another `tidegate set` is still at work"),
        "{said}"
    );
    assert_eq!(read(&dev.join("environment.yaml")), SETTINGS);
}

#[test]
fn what_a_killed_edit_left_behind_is_removed_by_the_next_one() {
    let (folder, dev) = dev();
    std::fs::write(dev.join(".tidegate-set-x1y2z3"), "half of a fi").expect("a file");
    std::fs::write(dev.join(".tidegate"), "of somebody").expect("a file");
    assert_eq!(tidegate(folder.path(), &["set", "substitute", "dev", "A=a1"]).status.code(), Some(0));
    let entries = std::fs::read_dir(&dev).expect("a folder").flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, [".tidegate", "environment.yaml", "objects.yaml"]);
}

#[test]
fn no_value_that_stands_in_a_secret_is_printed() {
    let (folder, dev) = dev();
    let said = |assignment: &str, format: &str| {
        let output = tidegate(folder.path(), &["set", "substitute", "dev", assignment, "-o", format]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout) + &text(&output.stderr)
    };
    let beside = said("A=a1", "text");
    assert!(beside.contains("-A: a0\n+A: a1\n") && !beside.contains("hunter2"), "{beside}");
    for (assignment, format) in [("PASSWORD=hunter3", "text"), ("PASSWORD=hunter4", "json")] {
        let own = said(assignment, format);
        assert!(own.contains("PASSWORD: ***") && !own.contains("hunter"), "{own}");
    }
    assert!(read(&dev.join("environment.yaml")).contains("PASSWORD: hunter4"));
    // An error in the same file shows none of it either.
    let broken = read(&dev.join("environment.yaml")).replace("PASSWORD: hunter4", "PASSWORD: [hunter4]");
    std::fs::write(dev.join("environment.yaml"), broken).expect("a file");
    let refused = tidegate(folder.path(), &["validate"]);
    let refused = text(&refused.stdout) + &text(&refused.stderr);
    assert!(refused.contains("spec.substitute.PASSWORD must be") && !refused.contains("hunter"), "{refused}");
}

#[test]
fn an_environment_that_cannot_be_read_whole_is_not_edited() {
    let (folder, dev) = dev();
    let elsewhere = folder.path().join("elsewhere.yaml");
    std::fs::rename(dev.join("objects.yaml"), &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, dev.join("objects.yaml")).expect("a link");
    let refused = |arguments: &[&str]| {
        let output = tidegate(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    let link = refused(&["set", "substitute", "dev", "A=a1"]);
    assert!(link.contains("error[E0208]") && link.contains("environments/dev/objects.yaml"), "{link}");
    assert_eq!(read(&dev.join("environment.yaml")), SETTINGS);
    let outside = folder.path().join("outside");
    std::fs::rename(&dev, &outside).expect("moved");
    std::os::unix::fs::symlink(&outside, &dev).expect("a link");
    let link = refused(&["set", "substitute", "dev", "A=a1"]);
    assert!(link.contains("error[E0208]") && link.contains("environments/dev"), "{link}");
}
