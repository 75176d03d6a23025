//! What reaches whoever reads the output: text of hostile files and arguments as text, and nothing that is not known.

use std::path::Path;
use std::process::Command;

const ENVIRONMENT: &str = r#"
apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  dependsOn: ["x\e[2Jy"]
  "\e]0;title\afield": 1
"#;

const OBJECTS: &str = r#"
apiVersion: v1
kind: "Ki\e[2Jnd"
metadata: {name: a}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {"\e[31mselecter": 1, "\u202eports": 1, "a\nerror: b": 1}   # DIRECTION
---
"\u009b31mq": 1
"\u009b31mq": 2
"#;

/// Both outputs of a command, its colours switched on.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .args(["--color", "always"])
        .current_dir(folder)
        .env_remove("TIDEGATE_REPO")
        .output()
        .expect("the program was built for this test");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8")).concat()
}

/// What could move or hide something, our own colours left out.
fn dangerous(text: &str) -> Vec<String> {
    let mut text = text.to_owned();
    for colour in ["0", "1", "2", "31", "32", "33", "36"] {
        text = text.replace(&format!("\u{1b}[{colour}m"), "");
    }
    let is_dangerous = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
    text.lines().filter(|line| line.contains(is_dangerous)).map(str::to_owned).collect()
}

#[test]
fn nothing_in_a_file_or_an_argument_reaches_the_terminal_as_more_than_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = folder.path().join("environments/dev");
    std::fs::create_dir_all(&dev).expect("a folder");
    let settings = |text: &str| std::fs::write(dev.join("environment.yaml"), text).expect("a file");
    let none: Vec<String> = Vec::new();
    settings(ENVIRONMENT);
    for format in ["text", "json", "yaml"] {
        let refused = said(folder.path(), &["validate", "-o", format]);
        assert!(refused.contains("E0206") && refused.contains("E0201"), "{refused:?}");
        assert_eq!(dangerous(&refused), none);
    }
    settings(ENVIRONMENT.split("  dependsOn").next().expect("its first lines"));
    std::fs::write(dev.join("objects.yaml"), OBJECTS.replace("DIRECTION", "\u{202e}")).expect("a file");
    for format in ["text", "json", "yaml"] {
        let broken = said(folder.path(), &["validate", "-o", format]);
        for code in ["E0102", "E0301", "E0304"] {
            assert!(broken.contains(code), "{broken:?}");
        }
        assert_eq!(dangerous(&broken), none);
        assert!(!broken.lines().any(|line| line.starts_with("error: b")), "no line is forged: {broken:?}");
    }
    std::fs::write(dev.join("\u{1b}[2J.yaml"), "a: 1\n").expect("a file");
    assert_eq!(dangerous(&said(folder.path(), &["validate"])), none);
    for arguments in [["set", "image", "x\u{1b}[2J", "a=b"], ["set", "substitute", "dev", "x\u{1b}[2J=b"]] {
        let refused = said(folder.path(), &arguments);
        assert!(refused.contains("error"), "{refused:?}");
        assert_eq!(dangerous(&refused), none);
    }
}

#[test]
fn a_cluster_that_cannot_be_read_is_not_one_without_environments() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["tree", "events"] {
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args([command, "--kubeconfig", "missing"])
            .current_dir(folder.path())
            .output()
            .expect("the program was built for this test");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), output.stdout.as_slice()),
            (Some(5), &b""[..]),
            "{command}: {stderr}"
        );
        assert!(stderr.contains("failed to read the kubeconfig missing"), "{command}: {stderr}");
    }
}
