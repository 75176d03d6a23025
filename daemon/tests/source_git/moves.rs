//! How branches move: rewinds, deletions, repositories without commits.

use std::sync::Arc;

use tidegate::source::{Moved, SourceError};
use tidegate_core::problem::Code;

use crate::git_repo::{GitRepo, run};
use crate::{blocking, config, head, id, local, mirror, poll};

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_keeps_the_last_good_commit_until_it_is_accepted() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let good = repo.commit("a", "1");
    let first = local(&repo, &cache);
    assert_eq!(head(&first).await, good);

    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let bad = repo.commit("a", "2");
    let result = poll(&first).await.expect("polled");
    assert_eq!(result.head.commit, id(&good));
    assert_eq!(result.moved, Moved::Rewound { from: id(&good), to: id(&bad) });
    assert_eq!(first.rewound(&id(&good), &id(&bad)).problem().code, Code::SourceRewound);

    // A restart does not forget it, and the good files are still here.
    let mirror = local(&repo, &cache);
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Rewound { from: id(&good), to: id(&bad) });
    let (reader, commit) = (Arc::clone(&mirror), id(&good));
    let snapshot = blocking(move || reader.read(&commit, &["a".to_owned()])).await.expect("read");
    assert_eq!(snapshot.tree.get("a"), Some(b"1".as_slice()));

    // Only the tip can be accepted, and then the branch goes on from there.
    let (rewinder, wrong) = (Arc::clone(&mirror), id(&good));
    let refused = blocking(move || rewinder.accept_rewind(&wrong)).await;
    assert!(matches!(refused, Err(SourceError::NotTheTip { .. })), "{refused:?}");
    let (rewinder, to) = (Arc::clone(&mirror), id(&bad));
    assert_eq!(blocking(move || rewinder.accept_rewind(&to)).await.expect("accepted").commit, id(&bad));
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Unchanged);
    let next = repo.commit("a", "3");
    assert_eq!(head(&mirror).await, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_to_an_older_commit_is_a_rewind_too() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let old = repo.git(&["rev-parse", "HEAD"]);
    let good = repo.commit("a", "1");
    let mirror = local(&repo, &cache);
    assert_eq!(head(&mirror).await, good);
    repo.git(&["push", "-q", "-f", "origin", &format!("{old}:main")]);
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Rewound { from: id(&good), to: id(&old) });
    repo.git(&["push", "-q", "-f", "origin", &format!("{good}:main")]);
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Unchanged, "put right again");
}

#[tokio::test(flavor = "multi_thread")]
async fn unrelated_history_is_a_rewind() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mirror = local(&repo, &cache);
    let good = head(&mirror).await;
    repo.git(&["checkout", "-q", "--orphan", "other"]);
    let other = repo.commit("b", "1");
    assert_eq!(
        poll(&mirror).await.expect("polled").moved,
        Moved::Rewound { from: id(&good), to: id(&other) }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shallow_repository_is_read_as_far_as_it_goes() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let second = repo.commit("a", "1");
    let origin = format!("file://{}", repo.origin().display());
    run(repo.parent(), &["clone", "-q", "--bare", "--depth", "1", &origin, "shallow.git"]);
    let shallow = repo.parent().join("shallow.git");
    let mirror = mirror(config(shallow.to_str().expect("a path"), &cache));
    assert_eq!(head(&mirror).await, second);
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Unchanged);
    let third = repo.commit("a", "2");
    repo.git(&["push", "-q", shallow.to_str().expect("a path"), "HEAD:main"]);
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Forward { from: Some(id(&second)) });
    let skipped = blocking(move || mirror.skipped(&id(&second), &id(&third))).await.expect("skipped");
    assert!(skipped.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_moves_forward() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mirror = local(&repo, &cache);
    head(&mirror).await;
    repo.git(&["checkout", "-q", "-b", "topic"]);
    repo.write("b", "1");
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-q", "-m", "topic"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
    let merge = repo.commit_all("after the merge");
    assert_eq!(head(&mirror).await, merge);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_branch_is_an_error_and_the_last_good_commit_stays() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    repo.git(&["push", "-q", "origin", "HEAD:live"]);
    repo.git(&["push", "-q", "origin", "HEAD:live2"]);
    let mut config = config(repo.origin().to_str().expect("a path"), &cache);
    config.branch = Some("live".to_owned());
    let mirror = mirror(config);
    let good = head(&mirror).await;
    repo.git(&["push", "-q", "origin", "--delete", "live"]);
    let error = poll(&mirror).await.expect_err("gone");
    assert!(matches!(&error, SourceError::BranchMissing { branch, .. } if branch == "live"), "{error:?}");
    assert_eq!(error.code(), Code::SourceRewound);
    let kept = blocking(move || mirror.last_good()).await.expect("read").expect("kept");
    assert_eq!((kept.commit.as_str(), kept.branch.as_str()), (good.as_str(), "live"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_is_an_error_until_its_first_commit() {
    let (repo, cache) = (GitRepo::empty(), tempfile::tempdir().expect("a folder"));
    let mirror = local(&repo, &cache);
    let error = poll(&mirror).await.expect_err("empty");
    assert!(matches!(error, SourceError::Empty { .. }), "{error:?}");
    let first = repo.commit("a", "1");
    assert_eq!(head(&mirror).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_branch_is_followed_but_not_into_other_history() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mirror = local(&repo, &cache);
    let good = head(&mirror).await;
    repo.git(&["checkout", "-q", "--orphan", "other"]);
    repo.git(&["commit", "-q", "-m", "other"]);
    repo.git(&["push", "-q", "origin", "HEAD:other"]);
    run(&repo.origin(), &["symbolic-ref", "HEAD", "refs/heads/other"]);
    let result = poll(&mirror).await.expect("polled");
    assert!(matches!(result.moved, Moved::Rewound { .. }), "{result:?}");
    assert_eq!(result.head.commit, id(&good));
    run(&repo.origin(), &["symbolic-ref", "HEAD", "refs/heads/main"]);
    assert_eq!(poll(&mirror).await.expect("polled").moved, Moved::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_points_to_no_commit_is_refused() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let mirror = local(&repo, &cache);
    let good = head(&mirror).await;
    let blob = run(&repo.origin(), &["rev-parse", "main:environments/dev/environment.yaml"]);
    std::fs::write(repo.origin().join("refs/heads/main"), format!("{blob}\n")).expect("written");
    assert!(poll(&mirror).await.is_err());
    let kept = blocking(move || mirror.last_good()).await.expect("read").expect("kept");
    assert_eq!(kept.commit, id(&good));
}
