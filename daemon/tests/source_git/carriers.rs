//! Clone, fetch and no change over https's protocol, ssh and files; credentials.

use base64::Engine as _;
use tidegate::source::{Moved, Secret, SourceError, Token};
use tidegate_core::problem::Code;

use crate::git_repo::GitRepo;
use crate::git_server::{Behaviour, GitServer};
use crate::ssh_server::SshServer;
use crate::tls_front::TlsFront;
use crate::{blocking, config, head, id, local, mirror, poll};

const TOKEN: &str = "tok-3n-canary";

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_cloned_then_fetched_then_unchanged_over_http() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), Some(TOKEN)).await;
    let mut config = config(&server.url("origin.git"), &cache);
    config.credentials.token = Some(Token::Text(Secret::new(TOKEN)));
    let mirror = mirror(config);

    let first = repo.git(&["rev-parse", "HEAD"]);
    let result = poll(&mirror).await.expect("polled");
    assert_eq!((result.head.commit.as_str(), result.head.branch.as_str()), (first.as_str(), "main"));
    assert_eq!(result.moved, Moved::Forward { from: None });
    server.seen();

    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Unchanged);
    let lines: Vec<String> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        lines,
        ["GET /origin.git/info/refs?service=git-upload-pack", "POST /origin.git/git-upload-pack"],
        "one ls-refs is all that a poll costs"
    );

    let second = repo.commit("environments/dev/app.yaml", "kind: Service\n");
    let result = poll(&mirror).await.expect("polled");
    assert_eq!(result.head.commit, id(&second));
    assert_eq!(result.moved, Moved::Forward { from: Some(id(&first)) });
}

#[tokio::test(flavor = "multi_thread")]
async fn https_wants_a_certificate_of_a_known_authority() {
    let repo = GitRepo::with_one_commit();
    let server = GitServer::start(repo.parent(), Some(TOKEN)).await;
    let front = TlsFront::start(server.url("").trim_end_matches('/'));
    let poll_with = |authorities: std::path::PathBuf| {
        let cache = tempfile::tempdir().expect("a folder");
        let (outcome, log) = (cache.path().join("outcome"), cache.path().join("log"));
        // The environment of this process is everybody's, so another one asks.
        let mut child = tokio::process::Command::new(std::env::current_exe().expect("this program"));
        child
            .args(["--exact", "carriers::polls_for_another_test", "--ignored"])
            .env("TEST_SOURCE_URL", front.url("origin.git"))
            .env("TEST_SOURCE_OUTCOME", &outcome)
            .env("TEST_SOURCE_LOG", &log)
            .env("SSL_CERT_FILE", authorities)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        async move {
            let _cache = cache;
            child.status().await.expect("it runs");
            let log = std::fs::read_to_string(log).expect("a log");
            assert!(log.lines().count() > 5, "too little is logged to prove anything: {log}");
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{TOKEN}"));
            assert!(!log.contains(TOKEN) && !log.contains(&basic), "{log}");
            std::fs::read_to_string(outcome).expect("an outcome")
        }
    };
    assert_eq!(poll_with(front.authority()).await, repo.git(&["rev-parse", "HEAD"]));
    assert!(server.seen().iter().all(|seen| seen.authorization.is_some()));
    let other = TlsFront::start(server.url("").trim_end_matches('/'));
    let refused = poll_with(other.authority()).await;
    assert!(refused.contains("failed to reach") && refused.contains("certificate"), "{refused}");
    assert_eq!(server.seen().len(), 0, "nothing was sent, least of all the token");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs as a process of its own, with an environment of its own"]
async fn polls_for_another_test() {
    let (Ok(url), Ok(outcome)) = (std::env::var("TEST_SOURCE_URL"), std::env::var("TEST_SOURCE_OUTCOME"))
    else {
        return;
    };
    // Everything that anyone logs, ourselves included.
    let log = std::fs::File::create(std::env::var("TEST_SOURCE_LOG").expect("a log")).expect("a log");
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(std::sync::Mutex::new(log))
        .init();
    let cache = tempfile::tempdir().expect("a folder");
    let mut config = config(&url, &cache);
    config.credentials.token = Some(Token::Text(Secret::new(TOKEN)));
    tracing::trace!(?config, "polls");
    let found = match poll(&mirror(config)).await {
        Ok(result) => result.head.commit.to_string(),
        Err(error) => error.to_string(),
    };
    std::fs::write(outcome, found).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_cloned_then_fetched_then_unchanged_over_ssh() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = SshServer::start();
    let mut config = config(&server.url(&repo.origin()), &cache);
    config.credentials.ssh.key_file = Some(server.file("user"));
    config.credentials.ssh.known_hosts = Some(server.file("known_hosts"));
    let mirror = mirror(config);

    assert_eq!(head(&mirror).await, repo.git(&["rev-parse", "HEAD"]), "{}", server.log());
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Unchanged);
    let second = repo.commit("environments/dev/app.yaml", "kind: Service\n");
    assert_eq!(head(&mirror).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_speak_the_old_protocol_are_read_too() {
    let (repo, cache) = (GitRepo::empty(), tempfile::tempdir().expect("a folder"));
    let server = SshServer::start_old();
    let mut config = config(&server.url(&repo.origin()), &cache);
    config.credentials.ssh.key_file = Some(server.file("user"));
    config.credentials.ssh.known_hosts = Some(server.file("known_hosts"));
    let mirror = mirror(config.clone());
    let error = poll(&mirror).await.expect_err("empty");
    assert!(matches!(error, SourceError::Empty { .. }), "{error:?}");
    let first = repo.commit("a", "1");
    let result = poll(&mirror).await.expect("polled");
    assert_eq!((result.head.commit.as_str(), result.head.branch.as_str()), (first.as_str(), "main"));
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Unchanged);
    let second = repo.commit("a", "2");
    assert_eq!(head(&mirror).await, second);
    config.branch = Some("nowhere".to_owned());
    let error = poll(&crate::mirror(config)).await.expect_err("no such branch");
    assert!(matches!(error, SourceError::BranchMissing { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_refuses_unknown_hosts_and_is_refused_with_an_unknown_key() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = SshServer::start();
    for (key, hosts, expected) in
        [("user", "empty", "Host key verification failed"), ("stranger", "known_hosts", "Permission denied")]
    {
        let mut config = config(&server.url(&repo.origin()), &cache);
        config.credentials.ssh.key_file = Some(server.file(key));
        config.credentials.ssh.known_hosts = Some(server.file(hosts));
        let error = poll(&mirror(config)).await.expect_err("refused");
        assert!(
            matches!(&error, SourceError::Unreachable { reason, .. } if reason.contains(expected)),
            "{error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_cloned_then_fetched_then_unchanged_from_a_folder() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mirror = local(&repo, &cache);
    assert_eq!(head(&mirror).await, repo.git(&["rev-parse", "HEAD"]));
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Unchanged);
    let second = repo.commit("environments/dev/app.yaml", "kind: Service\n");
    assert_eq!(head(&mirror).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_folder_is_out_of_reach() {
    let cache = tempfile::tempdir().expect("a folder");
    let error = poll(&mirror(config("/nowhere/at/all", &cache))).await.expect_err("missing");
    assert_eq!(error.code(), Code::SourceUnreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_and_stands_in_no_message() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), Some("another")).await;
    let mut config = config(&server.url("origin.git"), &cache);
    config.credentials.token = Some(Token::Text(Secret::new(TOKEN)));
    let shown = format!("{config:?}");
    assert!(!shown.contains(TOKEN), "{shown}");
    let error = poll(&mirror(config)).await.expect_err("refused");
    assert!(matches!(error, SourceError::Unauthorized { status: 401, with_token: true, .. }), "{error:?}");
    let text = format!("{error} {error:?} {:?}", error.problem());
    assert!(!text.contains(TOKEN), "{text}");
    assert!(error.problem().help.expect("help").contains("renew it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_token_says_where_to_put_one() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), Some(TOKEN)).await;
    let error = poll(&mirror(config(&server.url("origin.git"), &cache))).await.expect_err("refused");
    assert!(matches!(error, SourceError::Unauthorized { with_token: false, .. }), "{error:?}");
    assert!(error.problem().help.expect("help").contains("TIDEGATE_GIT_TOKEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_is_read_again_at_each_poll() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), Some(TOKEN)).await;
    let file = cache.path().join("token");
    std::fs::write(&file, "old\n").expect("written");
    let mut config = config(&server.url("origin.git"), &cache);
    config.credentials.token = Some(Token::File(file.clone()));
    let mirror = mirror(config);
    assert!(poll(&mirror).await.is_err());
    std::fs::write(&file, format!("{TOKEN}\n")).expect("written");
    assert!(poll(&mirror).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_place_is_not_followed_and_gets_no_token() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), Some(TOKEN)).await;
    let other = GitServer::start(repo.parent(), None).await;
    let elsewhere = other.url("");
    for status in [301, 302, 303, 307, 308] {
        server.behave(Behaviour::Redirect(status, elsewhere.trim_end_matches('/').to_owned()));
        let mut config = config(&server.url("origin.git"), &cache);
        config.credentials.token = Some(Token::Text(Secret::new(TOKEN)));
        let error = poll(&mirror(config)).await.expect_err("refused");
        let to = elsewhere.trim_end_matches('/');
        assert!(
            matches!(&error, SourceError::Redirected { to: shown, .. } if shown == to),
            "{status}: {error:?}"
        );
        assert!(
            server.seen().iter().all(|seen| seen.authorization.is_some()),
            "the configured host did get it"
        );
        assert_eq!(other.seen().len(), 0, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_repository_of_the_same_host_is_followed() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), None).await;
    server.behave(Behaviour::Renamed("/old.git", "/origin.git"));
    let mirror = mirror(config(&server.url("old.git"), &cache));
    assert_eq!(head(&mirror).await, repo.git(&["rev-parse", "HEAD"]));
    let second = repo.commit("a", "1");
    assert_eq!(head(&mirror).await, second);
    assert!(
        server.seen().iter().all(|seen| !seen.line.starts_with("POST /old.git")),
        "the new base is used at once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_mirror_stops_waiting() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), None).await;
    server.behave(Behaviour::Hang);
    let stop = tokio_util::sync::CancellationToken::new();
    let mirror = tidegate::source::Mirror::new(config(&server.url("origin.git"), &cache), stop.clone());
    let started = std::time::Instant::now();
    let polling = tokio::spawn(blocking(move || mirror.poll()));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    stop.cancel();
    let error = polling.await.expect("no panic").expect_err("stopped");
    assert!(matches!(error, SourceError::Stopped { .. }), "{error:?}");
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}
