//! Remotes and programs that refuse, hang, fill up or are not there: what is told of each, and what must not be.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tidegate::ledger::{Answer, LocalError, RemoteConfig, RemoteError};
use tidegate::source::{Credentials, Secret, SshSettings, Token};

use crate::desk::{Bare, Desk, appears, ends, program};
use crate::git_server::{Behaviour, GitServer};
use crate::scene::generated;
use crate::ssh_server::SshServer;

/// What nobody may read.
const TOKEN: &str = "hunter2-and-more";
/// It, as a header has it: `x-access-token:hunter2-and-more`.
const ENCODED: &str = "eC1hY2Nlc3MtdG9rZW46aHVudGVyMi1hbmQtbW9yZQ==";

fn with_token(config: &mut RemoteConfig) {
    config.credentials.token = Some(Token::Text(Secret::new(TOKEN)));
}

/// Everything that is told of an error.
fn all_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error:?} {error}");
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text} {source}");
        next = source.source();
    }
    text
}

/// What taking the log fails with.
async fn refused(desk: &Desk) -> RemoteError {
    let mut local = desk.open();
    let error = local.adopt(&desk.remote, &desk.keys(), None).await.expect_err("nothing is to be had");
    let told = all_of(&error);
    assert!(!told.contains(TOKEN) && !told.contains(ENCODED), "{told}");
    match error {
        LocalError::Remote(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_protected_branch_is_told_in_the_words_of_the_remote_and_may_be_pushed_to_later() {
    let bare = Bare::new();
    let server = GitServer::start(bare.parent(), Some(TOKEN)).await;
    let desk = Desk::with(&server.url("origin.git"), with_token);
    let outcomes = generated(2);
    let (mut local, mut pen, _) = desk.written(&outcomes[..1]).await;
    let script = format!("printf 'GH006: protected, ask Ada \\033[31m {TOKEN}\\n' >&2; exit 1");
    bare.hook("pre-receive", Some(&script));
    desk.append(&local, &mut pen, &outcomes[1..]);
    let answer = desk.push(&mut local, &pen).await.expect("an answer");
    let Answer::Refused { reason } = answer else { panic!("{answer:?}") };
    assert_eq!(reason, "[remote rejected] (pre-receive hook declined): GH006: protected, ask Ada [31m ***");
    bare.hook("pre-receive", None);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
}

#[tokio::test]
async fn words_without_end_are_cut() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let (mut local, mut pen) = desk.begin().await;
    bare.hook("pre-receive", Some("yes no | head -c 300000 >&2; exit 1"));
    desk.append(&local, &mut pen, &generated(1));
    let answer = desk.push(&mut local, &pen).await.expect("an answer");
    let Answer::Refused { reason } = answer else { panic!("{answer:?}") };
    assert!(reason.ends_with('…') && reason.chars().count() < 400, "{reason}");
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_from_silence_and_never_shown() {
    let bare = Bare::new();
    let server = GitServer::start(bare.parent(), Some("right")).await;
    let url = server.url("origin.git");
    let wrong = Desk::with(&url, with_token);
    let none = Desk::new(&url);
    let in_url = Desk::new(&url.replace("http://", &format!("http://x-access-token:{TOKEN}@")));
    for desk in [&wrong, &none, &in_url] {
        let error = refused(desk).await;
        assert!(matches!(error, RemoteError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains("does not accept the credentials"), "{error}");
    }
    // May read, may not write.
    let reader =
        Desk::with(&url, |config| config.credentials.token = Some(Token::Text(Secret::new("right"))));
    let (mut local, mut pen) = reader.begin().await;
    reader.append(&local, &mut pen, &generated(1));
    bare.git(&["config", "http.receivepack", "false"]);
    let error = reader.push(&mut local, &pen).await.expect_err("403");
    assert!(matches!(error, RemoteError::Denied { .. }), "{error:?}");
    let absent = Desk::with(&url, |config| {
        config.credentials.token = Some(Token::File(bare.parent().join("nowhere")));
    });
    let error = refused(&absent).await;
    assert!(matches!(&error, RemoteError::Local { what, .. } if what.contains("nowhere")), "{error:?}");
}

#[tokio::test]
async fn a_key_that_ssh_does_not_take_is_told_and_so_is_a_host_that_nobody_knows() {
    let bare = Bare::new();
    let server = SshServer::start();
    let nobody = bare.parent().join("nobody");
    std::fs::write(&nobody, "").expect("written");
    let desk = |key: &str, known: &Path| {
        let ssh = SshSettings { key_file: Some(server.file(key)), known_hosts: Some(known.to_owned()) };
        let credentials = Credentials { token: None, ssh };
        Desk::with(&server.url(&bare.path()), |config| config.credentials = credentials)
    };
    let error = refused(&desk("stranger", &server.file("known_hosts"))).await;
    assert!(
        matches!(&error, RemoteError::Denied { reason, .. } if reason.contains("Permission denied")),
        "{error:?}"
    );
    let error = refused(&desk("user", &nobody)).await;
    assert!(
        matches!(&error, RemoteError::Unreachable { reason, .. } if reason.contains("Host key verification failed")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_redirect_to_another_place_gets_no_token() {
    let bare = Bare::new();
    let (server, other) =
        (GitServer::start(bare.parent(), None).await, GitServer::start(bare.parent(), None).await);
    let desk = Desk::with(&server.url("origin.git"), with_token);
    server.behave(Behaviour::Redirect(301, other.url("").trim_end_matches('/').to_owned()));
    let error = refused(&desk).await;
    assert!(matches!(error, RemoteError::Unreachable { .. }), "{error:?}");
    assert!(other.seen().is_empty(), "nobody came");
}

#[tokio::test]
async fn a_remote_that_is_not_there_is_told_with_what_to_do() {
    let nowhere = Bare::new();
    std::fs::rename(nowhere.path(), nowhere.parent().join("moved")).expect("moved");
    for url in [nowhere.url(), "https://127.0.0.1:1/origin.git".to_owned()] {
        let error = refused(&Desk::with(&url, with_token)).await;
        assert!(matches!(error, RemoteError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains(&url) && error.help().contains("records wait"), "{error}");
    }
}

#[tokio::test]
async fn without_a_git_program_it_is_told_what_to_do() {
    let bare = Bare::new();
    let mut desk = Desk::new(&bare.url());
    desk.remote = desk.remote.with_program("/nowhere/git".into());
    let error = refused(&desk).await;
    assert!(matches!(error, RemoteError::Program { .. }), "{error:?}");
    assert!(error.help().contains("install git"), "{}", error.help());
}

#[tokio::test]
async fn a_git_that_hangs_is_ended_at_its_deadline_with_everything_that_it_started() {
    let bare = Bare::new();
    let file = bare.parent().join("child");
    let git = bare.parent().join("git");
    program(&git, &format!("sleep 600 & echo $! > {}; wait", file.display()));
    let mut desk = Desk::with(&bare.url(), |config| config.limits.fetch_deadline = Duration::from_secs(5));
    desk.remote = desk.remote.with_program(git);
    let error = refused(&desk).await;
    assert_eq!(error.to_string(), format!("failed to reach {}: no answer within 5 s", bare.url()));
    ends(&appears(&file).await).await;
}

#[tokio::test]
async fn a_remote_that_hangs_is_left_at_the_deadline() {
    let bare = Bare::new();
    let server = GitServer::start(bare.parent(), None).await;
    let desk =
        Desk::with(&server.url("origin.git"), |config| config.limits.push_deadline = Duration::from_secs(4));
    let (mut local, mut pen) = desk.begin().await;
    desk.append(&local, &mut pen, &generated(1));
    server.behave(Behaviour::Hang);
    let error = desk.push(&mut local, &pen).await.expect_err("nothing comes");
    assert!(error.to_string().ends_with("no answer within 4 s"), "{error}");
}

#[tokio::test]
async fn a_remote_that_sends_more_than_it_may_is_cut_off() {
    let bare = Bare::new();
    let server = GitServer::start(bare.parent(), None).await;
    let desk = Desk::with(&server.url("origin.git"), |config| config.limits.fetch_bytes = 1_000);
    desk.written(&generated(30)).await;
    // It stops in the middle, so that there is time to look at what has come.
    server.behave(Behaviour::StallPack(20_000));
    let error = refused(&desk.elsewhere()).await;
    assert!(error.to_string().ends_with("it sent more than 1000 bytes"), "{error}");
}

#[tokio::test]
async fn git_sees_no_settings_of_anybody_and_no_argument_has_the_token() {
    let bare = Bare::new();
    let (seen, told) = (bare.parent().join("environment"), bare.parent().join("arguments"));
    let git = bare.parent().join("git");
    let script = format!("printf '%s\\n' \"$@\" > {}; env > {}; exit 1", told.display(), seen.display());
    program(&git, &script);
    let mut desk = Desk::with("https://127.0.0.1:1/origin.git", with_token);
    desk.remote = desk.remote.with_program(git);
    let error = refused(&desk).await;
    assert!(error.to_string().ends_with("git failed without a word"), "{error}");
    let arguments = std::fs::read_to_string(told).expect("it was run");
    assert!(!arguments.contains(TOKEN) && !arguments.contains(ENCODED), "{arguments}");
    let environment = std::fs::read_to_string(seen).expect("it was run");
    let value = |name: &str| {
        let lines = environment.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).next()
    };
    let local = desk.open();
    for (name, expected) in [
        ("HOME", local.folder().to_str().expect("a path")),
        ("GIT_ALLOW_PROTOCOL", "https"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_VALUE_0", &format!("Authorization: Basic {ENCODED}")),
    ] {
        assert_eq!(value(name).as_deref(), Some(expected), "{name}");
    }
    let ours = |name: &str| std::env::var_os(name).is_some();
    // Cargo sets these for every test.
    assert!(ours("CARGO_MANIFEST_DIR") && value("CARGO_MANIFEST_DIR").is_none(), "{environment}");
}

/// A small disk; nothing where this machine lets nobody have one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of_two_megabytes() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_of_the_remote_is_told_and_nothing_is_lost() {
    let bare = Bare::new();
    let Some(small) = Disk::of_two_megabytes() else {
        println!("no disk may be mounted here: a hook stands for it");
        let desk = Desk::new(&bare.url());
        let (mut local, mut pen) = desk.begin().await;
        bare.hook("pre-receive", Some("echo 'No space left on device' >&2; exit 1"));
        desk.append(&local, &mut pen, &generated(1));
        let answer = desk.push(&mut local, &pen).await.expect("an answer");
        assert!(
            matches!(&answer, Answer::Refused { reason } if reason.contains("No space left")),
            "{answer:?}"
        );
        return;
    };
    let there = small.0.path().join("origin.git");
    let copied = Command::new("cp").arg("-r").arg(bare.path()).arg(&there).status().expect("cp runs");
    assert!(copied.success());
    let desk = Desk::new(there.to_str().expect("a path"));
    let outcomes = generated(3);
    let (mut local, mut pen, _) = desk.written(&outcomes[..1]).await;
    // As much as there is room for; cp stops where the disk is full.
    let filler = small.0.path().join("filler");
    let fill =
        Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", filler.display())).output();
    assert!(!fill.expect("dd runs").status.success(), "the disk is full");
    desk.append(&local, &mut pen, &outcomes[1..]);
    let answer = desk.push(&mut local, &pen).await.expect("an answer");
    let Answer::Refused { reason } = answer else { panic!("{answer:?}") };
    assert!(reason.starts_with("[remote rejected]"), "{reason}");
    println!("a full disk: {reason}");
    std::fs::remove_file(filler).expect("removed");
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
}

#[tokio::test]
async fn a_tip_that_does_not_hold_what_is_there_is_not_pushed() {
    use tidegate::ledger::{Push, Remote as _};
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let (local, pen, commits) = desk.written(&generated(3)).await;
    // The lease alone would let it through: the branch is where it is expected.
    let back = Push { branch: pen.branch().clone(), tip: commits[0], expected: Some(commits[2]) };
    let error = desk.remote.push(local.folder(), &back).await.expect_err("it takes records away");
    assert!(matches!(error, RemoteError::NotAbove { .. }), "{error:?}");
    assert_eq!(bare.tip(pen.branch()), Some(commits[2]));
    let again = Push { branch: pen.branch().clone(), tip: commits[2], expected: None };
    assert_eq!(
        desk.remote.push(local.folder(), &again).await.expect("an answer"),
        Answer::Pushed,
        "it is there"
    );
}
