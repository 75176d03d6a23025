//! Servers that lie, hang or never end. The last good commit stays, and nothing takes longer than its deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::source::{Mirror, SourceConfig, SourceError};
use tidegate_core::problem::Code;

use crate::git_repo::GitRepo;
use crate::git_server::{Behaviour, GitServer};
use crate::ssh_server::SshServer;
use crate::{blocking, config, head, id, mirror, poll};

/// A repository with one commit that is mirrored already.
struct Served {
    repo: GitRepo,
    server: GitServer,
    cache: tempfile::TempDir,
    good: String,
}

impl Served {
    async fn start() -> Self {
        let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
        let server = GitServer::start(repo.parent(), None).await;
        let good = head(&mirror(config(&server.url("origin.git"), &cache))).await;
        Self { repo, server, cache, good }
    }

    fn config(&self) -> SourceConfig {
        config(&self.server.url("origin.git"), &self.cache)
    }

    /// The last good commit is still there, and is found again once the server behaves.
    async fn stays(&self, mirror: &Arc<Mirror>, newest: &str) {
        let reader = Arc::clone(mirror);
        let kept = blocking(move || reader.last_good()).await.expect("read").expect("kept");
        assert_eq!(kept.commit, id(&self.good));
        self.server.behave(Behaviour::Serve);
        assert_eq!(head(mirror).await, newest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_is_not_an_empty_repository() {
    let served = Served::start().await;
    let mirror = mirror(served.config());
    served.server.behave(Behaviour::Html);
    let error = poll(&mirror).await.expect_err("a page");
    assert!(
        matches!(&error, SourceError::NotGit { content_type, .. } if content_type.starts_with("text/html")),
        "{error:?}"
    );
    assert_eq!(error.code(), Code::SourceUnreachable);
    served.stays(&mirror, &served.good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_server_is_reported_with_its_status() {
    let served = Served::start().await;
    let mirror = mirror(served.config());
    for status in [404, 429, 500, 503] {
        served.server.behave(Behaviour::Status(status));
        let error = poll(&mirror).await.expect_err("a failure");
        assert!(matches!(error, SourceError::Status { status: seen, .. } if seen == status), "{error:?}");
    }
    served.stays(&mirror, &served.good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_left_at_the_deadline() {
    let served = Served::start().await;
    let mut config = served.config();
    config.limits.poll_deadline = Duration::from_millis(500);
    served.server.behave(Behaviour::Hang);
    let started = Instant::now();
    let error = poll(&mirror(config)).await.expect_err("hangs");
    assert!(matches!(error, SourceError::Deadline { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    served.stays(&mirror(served.config()), &served.good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_cut_at_its_cap() {
    let served = Served::start().await;
    let mut config = served.config();
    config.limits.poll_bytes = 256 * 1024;
    served.server.behave(Behaviour::Endless);
    let error = poll(&mirror(config)).await.expect_err("endless");
    assert!(matches!(error, SourceError::TooMuch { limit: 262_144, .. }), "{error:?}");
    served.stays(&mirror(served.config()), &served.good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_stops_half_way_is_left_at_the_deadline() {
    let served = Served::start().await;
    let next = served.repo.commit("a", "x".repeat(100_000));
    let mut config = served.config();
    config.limits.fetch_deadline = Duration::from_millis(500);
    served.server.behave(Behaviour::StallPack(300));
    let started = Instant::now();
    let error = poll(&mirror(config)).await.expect_err("stalls");
    assert!(matches!(error, SourceError::Deadline { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    served.stays(&mirror(served.config()), &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_with_wrong_bytes_is_refused() {
    let served = Served::start().await;
    let next = served.repo.commit("a", noise(100_000));
    let mirror = mirror(served.config());
    served.server.behave(Behaviour::CorruptPack);
    let error = poll(&mirror).await.expect_err("corrupt");
    assert!(matches!(error, SourceError::Malformed { .. }), "{error:?}");
    served.stays(&mirror, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_larger_than_its_cap_is_refused() {
    let served = Served::start().await;
    let next = served.repo.commit("a", noise(400_000));
    let mut config = served.config();
    config.limits.fetch_bytes = 100_000;
    let error = poll(&mirror(config)).await.expect_err("too large");
    assert!(matches!(error, SourceError::TooMuch { .. }), "{error:?}");
    served.stays(&mirror(served.config()), &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_inflates_beyond_its_cap_is_refused() {
    let served = Served::start().await;
    let next = served.repo.commit("a", vec![b'0'; 4 * 1024 * 1024]);
    let mut config = served.config();
    config.limits.object_bytes = 1024 * 1024;
    let error = poll(&mirror(config)).await.expect_err("a bomb");
    assert!(matches!(error, SourceError::ObjectTooLarge { limit: 1_048_576, .. }), "{error:?}");
    served.stays(&mirror(served.config()), &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_server_that_hangs_is_left_at_the_deadline_and_its_client_is_killed() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = SshServer::start();
    let key = std::fs::read_to_string(server.file("user.pub")).expect("a key");
    std::fs::write(server.file("authorized"), format!("command=\"sleep 20\" {key}")).expect("written");
    let mut config = config(&server.url(&repo.origin()), &cache);
    config.credentials.ssh.key_file = Some(server.file("user"));
    config.credentials.ssh.known_hosts = Some(server.file("known_hosts"));
    config.limits.poll_deadline = Duration::from_secs(2);
    let started = Instant::now();
    let error = poll(&mirror(config)).await.expect_err("hangs");
    assert!(matches!(error, SourceError::Deadline { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let ours = server.file("known_hosts").display().to_string();
    let deadline = Instant::now() + Duration::from_secs(5);
    while command_lines().iter().any(|line| line.contains(&ours)) {
        assert!(Instant::now() < deadline, "the ssh client is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The command lines of all processes.
fn command_lines() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("processes");
    let lines = entries.flatten().filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}
