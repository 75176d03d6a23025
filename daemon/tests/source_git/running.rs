//! The loop: what wakes it, what it says, how it ends.

use std::time::{Duration, Instant};

use tidegate::source::{
    FolderConfig, Limits, Origin, Revision, Source, SourceConfig, SourceHandle, SourceState, Watching,
};
use tidegate_core::problem::Code;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config;
use crate::git_repo::GitRepo;
use crate::git_server::{Behaviour, GitServer};

const LONG: Duration = Duration::from_secs(20);

fn start(origin: Origin) -> (SourceHandle, DropGuard) {
    let stop = CancellationToken::new();
    (Source::spawn(origin, stop.clone()), stop.drop_guard())
}

/// A configuration that asks once an hour, so that only something else can have woken it.
fn rarely(mut config: SourceConfig) -> Origin {
    config.poll_interval = Duration::from_hours(1);
    config.limits.back_off = Duration::from_hours(1);
    Origin::Git(config)
}

async fn until(handle: &SourceHandle, what: impl FnMut(&SourceState) -> bool) -> SourceState {
    let mut states = handle.subscribe();
    let found = tokio::time::timeout(LONG, states.wait_for(what)).await;
    found.expect("in time").expect("still running").clone()
}

fn at(state: &SourceState, commit: &str) -> bool {
    state.head.as_ref().is_some_and(|head| head.revision.id() == commit)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_commit_of_a_local_repository_is_seen_without_a_poll() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let (handle, _stop) = start(rarely(config(repo.origin().to_str().expect("a path"), &cache)));
    let first = repo.git(&["rev-parse", "HEAD"]);
    let state = until(&handle, |state| at(state, &first)).await;
    assert_eq!(state.watching, Watching::Files);
    let head = state.head.expect("a head");
    assert_eq!(head.branch.as_deref(), Some("main"));
    assert_eq!(head.info.expect("described").author.name, "Ada Example");
    for number in 0..3 {
        // Longer than any pause of the loop, so that it is asleep.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let next = repo.commit("a", format!("{number}"));
        let pushed = Instant::now();
        until(&handle, |state| at(state, &next)).await;
        assert!(pushed.elapsed() < Duration::from_secs(1), "{:?}", pushed.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_a_work_tree_with_its_repository_inside_is_seen_too() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let (handle, _stop) = start(rarely(config(repo.work().to_str().expect("a path"), &cache)));
    until(&handle, |state| state.head.is_some()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    repo.git(&["commit", "-q", "--allow-empty", "-m", "more"]);
    let next = repo.git(&["rev-parse", "HEAD"]);
    let committed = Instant::now();
    until(&handle, |state| at(state, &next)).await;
    assert!(committed.elapsed() < Duration::from_secs(1), "{:?}", committed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_of_a_followed_folder_is_seen_without_a_poll() {
    let repo = GitRepo::with_one_commit();
    let poll_interval = Duration::from_hours(1);
    let folder = FolderConfig {
        path: repo.work(),
        subpath: String::new(),
        poll_interval,
        limits: Limits::default(),
        only: Vec::new(),
    };
    let (handle, _stop) = start(Origin::Folder(folder));
    let state = until(&handle, |state| state.head.is_some()).await;
    assert_eq!(state.watching, Watching::Files);
    let first = state.head.expect("a head").revision;
    tokio::time::sleep(Duration::from_millis(300)).await;
    repo.write("environments/new/environment.yaml", "kind: Environment\n");
    let written = Instant::now();
    let found = until(&handle, |state| state.head.as_ref().is_some_and(|head| head.revision != first)).await;
    assert!(written.elapsed() < Duration::from_secs(1), "{:?}", written.elapsed());
    // The file may have been seen before it was whole; the last word is right.
    let mut revision = found.head.expect("a head").revision;
    let deadline = Instant::now() + LONG;
    loop {
        let snapshot = handle.read(&revision, vec!["environments/new".to_owned()]).await.expect("read");
        if snapshot.tree.get("environments/new/environment.yaml") == Some(b"kind: Environment\n") {
            break;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
        revision = handle.subscribe().borrow().head.clone().expect("a head").revision;
    }
    assert!(matches!(revision, Revision::Folder(_)));
    assert!(handle.resolve("HEAD").await.is_err(), "a folder has no commits");
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_told_and_the_last_good_head_stays_until_it_is_over() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), None).await;
    let (handle, _stop) = start(rarely(config(&server.url("origin.git"), &cache)));
    let good = repo.git(&["rev-parse", "HEAD"]);
    let state = until(&handle, |state| at(state, &good)).await;
    assert_eq!((state.trouble, state.watching), (None, Watching::Timer));

    server.behave(Behaviour::Html);
    handle.poll_now();
    let state = until(&handle, |state| state.trouble.is_some()).await;
    assert!(at(&state, &good));
    assert_eq!(state.trouble.expect("trouble").code, Code::SourceUnreachable);
    assert!(state.last_poll > state.last_success);

    // A restart in the same trouble knows the last good commit from its cache.
    let (again, _stop_again) = start(rarely(config(&server.url("origin.git"), &cache)));
    let state = until(&again, |state| state.trouble.is_some()).await;
    assert!(at(&state, &good));

    server.behave(Behaviour::Serve);
    let next = repo.commit("a", "1");
    handle.poll_now();
    let state = until(&handle, |state| at(state, &next)).await;
    assert_eq!(state.trouble, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_waits_for_someone_to_accept_it() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let good = repo.commit("a", "1");
    let (handle, _stop) = start(rarely(config(repo.origin().to_str().expect("a path"), &cache)));
    until(&handle, |state| at(state, &good)).await;
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let bad = repo.commit("a", "2");
    let state = until(&handle, |state| state.rewound.is_some()).await;
    assert!(at(&state, &good));
    assert_eq!(state.trouble.as_ref().map(|problem| problem.code), Some(Code::SourceRewound));
    let (_, to) = state.rewound.expect("a rewind");
    assert_eq!(to.as_str(), bad);
    handle.accept_rewind(&to).await.expect("accepted");
    let state = until(&handle, |state| at(state, &bad)).await;
    assert_eq!((state.rewound, state.trouble), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_calls_becomes_a_few_polls() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), None).await;
    let (handle, _stop) = start(rarely(config(&server.url("origin.git"), &cache)));
    until(&handle, |state| state.head.is_some()).await;
    server.seen();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        handle.poll_now();
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let polls = server.seen().iter().filter(|seen| seen.line.starts_with("GET")).count();
    assert!((1..=11).contains(&polls), "{polls} polls");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_watched_are_polled_and_it_says_so() {
    let (repo, cache) = (GitRepo::empty(), tempfile::tempdir().expect("a folder"));
    let moved = repo.parent().join("later.git");
    let mut config = config(moved.to_str().expect("a path"), &cache);
    config.poll_interval = Duration::from_millis(100);
    config.limits.back_off = Duration::from_millis(200);
    let (handle, _stop) = start(Origin::Git(config));
    let state = until(&handle, |state| state.trouble.is_some()).await;
    assert!(matches!(state.watching, Watching::TimerBecause(_)), "{:?}", state.watching);
    let first = repo.commit("a", "1");
    std::fs::rename(repo.origin(), &moved).expect("moved");
    until(&handle, |state| at(state, &first)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_the_loop_in_the_middle_of_a_poll() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let server = GitServer::start(repo.parent(), None).await;
    server.behave(Behaviour::Hang);
    let (handle, stop) = start(Origin::Git(config(&server.url("origin.git"), &cache)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut states = handle.subscribe();
    drop(stop);
    let ended =
        tokio::time::timeout(Duration::from_secs(2), async { while states.changed().await.is_ok() {} });
    ended.await.expect("ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handle_reads_files_ids_and_commits() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let (handle, _stop) = start(rarely(config(repo.origin().to_str().expect("a path"), &cache)));
    let state = until(&handle, |state| state.head.is_some()).await;
    let revision = state.head.expect("a head").revision;
    let commit = revision.commit().expect("a commit").clone();
    assert_eq!(handle.folders(&revision, "environments").await.expect("listed").folders, ["dev"]);
    let paths = vec!["environments/dev".to_owned()];
    assert_eq!(handle.read(&revision, paths.clone()).await.expect("read").tree.len(), 1);
    assert!(handle.tree_ids(&revision, paths).await.expect("ids")["environments/dev"].is_some());
    assert_eq!(handle.commit_info(&commit).await.expect("described").id, commit);
    assert_eq!(handle.resolve("HEAD").await.expect("resolved"), commit);
    assert!(handle.skipped(&commit, &commit).await.expect("skipped").is_empty());
}
