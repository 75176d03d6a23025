//! The cache: damaged, deleted, left by a killed process, shared, grown.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::source::{Moved, SourceError};

use crate::git_repo::GitRepo;
use crate::git_server::{Behaviour, GitServer};
use crate::{blocking, config, head, id, local, mirror, poll};

/// The only mirror in a cache.
fn folder(cache: &Path) -> PathBuf {
    let mut folders = std::fs::read_dir(cache).expect("a cache").flatten().map(|entry| entry.path());
    folders.find(|path| path.extension().is_some_and(|name| name == "git")).expect("a mirror")
}

fn packs(cache: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(cache).join("objects/pack")).expect("packs");
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "pack"))
        .collect()
}

/// Replaces every pack, or every index, by nonsense.
fn spoil(mirror: &Path, extension: &str) {
    for pack in packs(mirror.parent().expect("a cache")) {
        overwrite(&pack.with_extension(extension), b"xx");
    }
}

/// Packs are read-only files.
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).expect("removed");
    std::fs::write(path, bytes).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cache_is_rebuilt_and_remembers_the_last_good_commit() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("objects gone", |mirror| std::fs::remove_dir_all(mirror.join("objects")).expect("removed")),
        ("HEAD is nonsense", |mirror| std::fs::write(mirror.join("HEAD"), "\0\0").expect("written")),
        ("configuration is nonsense", |mirror| {
            std::fs::write(mirror.join("config"), "[[[\n").expect("written");
        }),
        ("packs are empty", |mirror| spoil(mirror, "pack")),
        ("indices are nonsense", |mirror| spoil(mirror, "idx")),
    ];
    for (name, damage) in damages {
        let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
        let good = repo.commit("a", "1");
        assert_eq!(head(&local(&repo, &cache)).await, good);

        damage(&folder(cache.path()));
        assert_eq!(head(&local(&repo, &cache)).await, good, "{name}");

        damage(&folder(cache.path()));
        repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
        let bad = repo.commit("a", "2");
        let result = poll(&local(&repo, &cache)).await.expect("polled");
        assert_eq!(
            result.moved,
            Moved::Rewound { from: id(&good), to: id(&bad) },
            "{name}, and a force-push"
        );
        let again = poll(&local(&repo, &cache)).await.expect("polled");
        assert_eq!(again.moved, Moved::Rewound { from: id(&good), to: id(&bad) }, "{name}, and once more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_reading_finds_is_repaired_by_the_next_poll() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let noise: Vec<u8> = (0..60_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let commit = repo.commit("z", &noise);
    let mirror = local(&repo, &cache);
    assert_eq!(head(&mirror).await, commit);
    let pack = packs(cache.path()).remove(0);
    let mut bytes = std::fs::read(&pack).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0);
    overwrite(&pack, &bytes);

    let read = |mirror: &Arc<tidegate::source::Mirror>| {
        let (mirror, commit) = (Arc::clone(mirror), id(&commit));
        blocking(move || mirror.read(&commit, &[String::new()]))
    };
    let problems = read(&mirror).await.expect_err("damaged");
    assert!(problems[0].message.contains("cache"), "{problems:?}");
    assert_eq!(head(&mirror).await, commit);
    assert_eq!(read(&mirror).await.expect("repaired").tree.get("z"), Some(noise.as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_cannot_be_read_is_not_one_that_is_not_there() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mirror = local(&repo, &cache);
    let commit = head(&mirror).await;
    let find = |commit: &str| {
        let (mirror, commit) = (Arc::clone(&mirror), id(commit));
        blocking(move || mirror.find_commit_info(&commit))
    };
    assert_eq!(find(&commit).await.expect("read").map(|info| info.id), Some(id(&commit)));
    assert_eq!(find(&"f".repeat(40)).await, Ok(None));
    for pack in packs(cache.path()) {
        let mut bytes = std::fs::read(&pack).expect("read");
        bytes[12..].fill(0);
        overwrite(&pack, &bytes);
    }
    let error = find(&commit).await.expect_err("damaged");
    assert!(matches!(error, SourceError::Cache { .. }), "{error}");
    assert_eq!(find(&"f".repeat(40)).await, Ok(None));
    assert_eq!(head(&mirror).await, commit, "the next poll mends the cache");
    assert!(find(&commit).await.expect("mended").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_deleted_under_a_running_daemon_is_fetched_again() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mirror = local(&repo, &cache);
    let good = head(&mirror).await;
    std::fs::remove_dir_all(folder(cache.path())).expect("removed");
    assert_eq!(head(&mirror).await, good);
    std::fs::remove_dir_all(cache.path()).expect("removed");
    assert_eq!(head(&mirror).await, good);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_leaves_is_swept() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    head(&local(&repo, &cache)).await;
    let mirror = folder(cache.path());
    let leftovers = [
        "refs/tidegate/good/HEAD.lock",
        "refs/tidegate/tip/HEAD.lock",
        "packed-refs.lock",
        "objects/pack/.tmpAbCdEf",
        "objects/pack/pack-1.keep",
    ];
    for path in leftovers {
        std::fs::write(mirror.join(path), "").expect("written");
    }
    std::fs::create_dir(mirror.with_extension("new")).expect("made");
    let next = repo.commit("a", "1");
    assert_eq!(head(&local(&repo, &cache)).await, next);
    for path in leftovers {
        assert!(!mirror.join(path).exists(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_cannot_be_written_is_a_problem() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mut config = config(repo.origin().to_str().expect("a path"), &cache);
    config.cache_dir = cache.path().join("file");
    std::fs::write(&config.cache_dir, "").expect("written");
    let error = poll(&mirror(config)).await.expect_err("no folder");
    assert!(matches!(error, SourceError::Cache { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_can_share_a_cache() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    for round in 0..5 {
        let commit = repo.commit("a", format!("{round}"));
        let (one, two) = (local(&repo, &cache), local(&repo, &cache));
        let (one, two) = tokio::join!(head(&one), head(&two));
        assert_eq!((one.as_str(), two.as_str()), (commit.as_str(), commit.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_fetches_do_not_leave_many_packs() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mut config = config(repo.origin().to_str().expect("a path"), &cache);
    config.limits.packs = 3;
    let mirror = mirror(config);
    let first = head(&mirror).await;
    let mut last = first.clone();
    for round in 0..12 {
        last = repo.commit("a", format!("{round}"));
        assert_eq!(head(&mirror).await, last);
    }
    let count = packs(cache.path()).len();
    assert!(count <= 4, "{count} packs");
    let skipped = blocking(move || mirror.skipped(&id(&first), &id(&last))).await.expect("read");
    assert_eq!(skipped.len(), 11, "the whole history is still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_killed_half_way_leaves_a_cache_that_works() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), None).await;
    let url = server.url("origin.git");
    let good = head(&mirror(config(&url, &cache))).await;
    let next = repo.commit("a", "x".repeat(200_000));
    for stall in [50, 150, 300] {
        server.behave(Behaviour::StallPack(stall));
        server.seen();
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "cache::fetches_until_it_is_killed", "--ignored", "--nocapture"])
            .env("TEST_SOURCE_URL", &url)
            .env("TEST_SOURCE_CACHE", cache.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut posts = 0;
        // The first POST lists the branch, the next ones fetch the pack.
        while posts < 2 {
            posts += server.seen().iter().filter(|seen| seen.line.starts_with("POST")).count();
            assert!(Instant::now() < deadline, "the child does not fetch");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        child.kill().expect("killed");
        child.wait().expect("gone");
        let survivor = mirror(config(&url, &cache));
        let kept = blocking(move || survivor.last_good()).await.expect("opened").expect("kept");
        assert_eq!(kept.commit, id(&good), "killed after {stall} bytes");
    }
    server.behave(Behaviour::Serve);
    assert_eq!(head(&mirror(config(&url, &cache))).await, next);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs as a process of its own, which another test kills"]
async fn fetches_until_it_is_killed() {
    let (Ok(url), Ok(cache)) = (std::env::var("TEST_SOURCE_URL"), std::env::var("TEST_SOURCE_CACHE")) else {
        return;
    };
    let url = url.parse().expect("a URL");
    let _ = poll(&mirror(tidegate::source::SourceConfig::new(url, cache))).await;
}
