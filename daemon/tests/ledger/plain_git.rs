//! What git and ssh-keygen say of a log, without Tidegate.

use std::process::{Command, Stdio};

use crate::scene::{Scene, generated, git, succeed};

/// A log in a bare repository, the daemon's key in git's allowed signers file.
fn scene() -> (Scene, usize) {
    let (scene, written) = Scene::of(&generated(4));
    let signers = scene.folder.path().join("allowed_signers");
    std::fs::write(&signers, format!("deploylog@tidegate.invalid {}\n", scene.key.public)).expect("a file");
    let path = signers.to_str().expect("a path");
    succeed(git(&scene.bare(), &["config", "gpg.ssh.allowedSignersFile", path]));
    (scene, written.len())
}

#[test]
fn git_verifies_every_commit_with_the_daemons_public_key() {
    let (scene, count) = scene();
    let branch = scene.branch.to_string();
    let list = succeed(git(&scene.bare(), &["log", "--format=%G? %GF", &branch]));
    let expected = format!("G {}", scene.key.signing.fingerprint());
    assert_eq!(list.lines().collect::<Vec<_>>(), vec![expected.as_str(); count]);
    for commit in succeed(git(&scene.bare(), &["rev-list", &branch])).lines() {
        succeed(git(&scene.bare(), &["verify-commit", commit]));
    }
    succeed(git(&scene.bare(), &["fsck", "--strict", "--full"]));
}

#[test]
fn ssh_keygen_verifies_the_signature_of_a_commit() {
    let (scene, _) = scene();
    let raw = succeed(git(&scene.bare(), &["cat-file", "commit", &scene.branch.to_string()]));
    let (head, rest) = raw.split_once("gpgsig ").expect("a signature");
    let (signature, message) = rest.split_once("-----END SSH SIGNATURE-----\n").expect("its end");
    let armoured = format!("{signature}-----END SSH SIGNATURE-----\n").replace("\n ", "\n");
    let file = scene.folder.path().join("signature");
    std::fs::write(&file, armoured).expect("a file");
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-n", "git", "-I", "deploylog@tidegate.invalid", "-s"]).arg(&file);
    command.arg("-f").arg(scene.folder.path().join("allowed_signers"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ssh-keygen");
    let payload = format!("{head}{message}");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), payload.as_bytes()).expect("a pipe");
    let said = succeed(child.wait_with_output().expect("its end"));
    assert!(said.contains("Good \"git\" signature"), "{said}");
}

#[test]
fn git_reads_the_trailers_and_what_runs() {
    let (scene, count) = scene();
    let branch = scene.branch.to_string();
    let format = "--format=%(trailers:key=Deploy-Seq,valueonly,separator=%x2C)";
    let numbers = succeed(git(&scene.bare(), &["log", "--reverse", format, &branch]));
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(numbers.lines().collect::<Vec<_>>(), expected);
    let checked = scene.check().expect("whole");
    let files = succeed(git(&scene.bare(), &["ls-tree", "-r", "--name-only", &branch]));
    let expected: Vec<String> = checked.state.apps().map(|state| state.app.state_path()).collect();
    let mut files: Vec<&str> = files.lines().collect();
    files.sort_unstable();
    let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(files, expected);
    for state in checked.state.apps() {
        let file = format!("{branch}:{}", state.app.state_path());
        assert_eq!(succeed(git(&scene.bare(), &["show", &file])), state.text().expect("JSON"));
    }
}

#[test]
fn a_signature_that_git_made_is_one_of_ours() {
    let (scene, _) = scene();
    let key = scene.key.file.to_str().expect("a path");
    let tree = succeed(git(&scene.bare(), &["rev-parse", &format!("{}^{{tree}}", scene.branch)]));
    let made = succeed(git(
        &scene.bare(),
        &[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example",
            "-c",
            "gpg.format=ssh",
            "-c",
            &format!("user.signingKey={key}"),
            "commit-tree",
            "-S",
            "-m",
            "made by git",
            tree.trim(),
        ],
    ));
    let id = gix::ObjectId::from_hex(made.trim().as_bytes()).expect("an id");
    let commit = scene.commit(id);
    let (name, armoured) = commit.extra_headers.first().expect("a signature").clone();
    assert_eq!(name, "gpgsig");
    let mut payload = commit.clone();
    payload.extra_headers.clear();
    let ours = scene.key.signing.sign(&crate::forge::bytes(&payload)).expect("a signature");
    assert_eq!(ours.trim_end(), armoured.to_string().trim_end());
}
