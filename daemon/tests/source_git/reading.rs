//! Files, ids and history, read from the object database.

use std::path::Path;
use std::sync::Arc;

use tidegate::source::{Mirror, Snapshot, SourceConfig, SourceError};
use tidegate_core::problem::{Code, Problem};

use crate::git_repo::{GitRepo, run};
use crate::{blocking, config, head, id, mirror, poll};

/// A repository, and a mirror of it that is polled before each reading.
struct Read {
    repo: GitRepo,
    mirror: Arc<Mirror>,
    _cache: tempfile::TempDir,
}

impl Read {
    fn new(change: impl FnOnce(&mut SourceConfig)) -> Self {
        let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
        let mut config = config(repo.origin().to_str().expect("a path"), &cache);
        change(&mut config);
        Self { repo, mirror: mirror(config), _cache: cache }
    }

    async fn read(&self, paths: &[&str]) -> Result<Snapshot, Vec<Problem>> {
        let (mirror, commit) = (Arc::clone(&self.mirror), id(&head(&self.mirror).await));
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        blocking(move || mirror.read(&commit, &paths)).await
    }

    async fn problem(&self, paths: &[&str]) -> Problem {
        let mut problems = self.read(paths).await.expect_err("refused");
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems.remove(0)
    }

    async fn ids(&self, paths: &[&str]) -> Vec<Option<String>> {
        let (mirror, commit) = (Arc::clone(&self.mirror), id(&head(&self.mirror).await));
        let asked: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let found = blocking(move || mirror.tree_ids(&commit, &asked)).await.expect("ids");
        paths.iter().map(|path| found[*path].clone()).collect()
    }
}

fn place(problem: &Problem) -> (Code, &str) {
    (problem.code, problem.location.as_ref().map_or("nowhere", |place| &place.file))
}

fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.tree.iter().map(|(path, _)| path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_below_the_asked_paths_are_read_and_no_others() {
    let source = Read::new(|_| {});
    source.repo.write("environments/dev/app/deep/x.yaml", "x");
    source.repo.write("policies/p.yaml", "p");
    source.repo.write("README.md", "r");
    source.repo.commit_all("more");
    let snapshot =
        source.read(&["environments/dev", "./policies/", "README.md", "nowhere"]).await.expect("read");
    assert_eq!(
        paths(&snapshot),
        [
            "README.md",
            "environments/dev/app/deep/x.yaml",
            "environments/dev/environment.yaml",
            "policies/p.yaml"
        ]
    );
    assert_eq!(snapshot.prefix, "");
    assert_eq!(paths(&source.read(&["environments/dev/app"]).await.expect("read")).len(), 1);
    assert_eq!(paths(&source.read(&[""]).await.expect("read")).len(), 4);
    assert_eq!(place(&source.problem(&["../etc"]).await).0, Code::SourcePath);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subpath_is_the_root_and_stands_in_front_of_places() {
    let source = Read::new(|config| config.subpath = "deploy/live/".to_owned());
    source.repo.write("deploy/live/environments/dev/a.yaml", "a");
    source.repo.commit_all("more");
    let snapshot = source.read(&["environments"]).await.expect("read");
    assert_eq!(
        (paths(&snapshot), snapshot.prefix.as_str()),
        (vec!["environments/dev/a.yaml"], "deploy/live/")
    );
    std::os::unix::fs::symlink("a.yaml", source.repo.work().join("deploy/live/environments/dev/b.yaml"))
        .expect("linked");
    source.repo.commit_all("a symlink");
    let problem = source.problem(&["environments"]).await;
    assert_eq!(place(&problem), (Code::TreeEntry, "deploy/live/environments/dev/b.yaml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn symlinks_are_refused_inside_read_paths_and_ignored_outside() {
    let source = Read::new(|_| {});
    let work = source.repo.work();
    std::os::unix::fs::symlink("/etc/passwd", work.join("environments/dev/leak.yaml")).expect("linked");
    std::os::unix::fs::symlink("environments", work.join("alias")).expect("linked");
    std::fs::create_dir(work.join("policies")).expect("made");
    source.repo.write("policies/p.yaml", "p");
    source.repo.commit_all("symlinks");
    let problem = source.problem(&["environments"]).await;
    assert_eq!(place(&problem), (Code::TreeEntry, "environments/dev/leak.yaml"));
    assert!(problem.message.contains("a symlink"), "{problem}");
    assert_eq!(place(&source.problem(&["alias/dev"]).await), (Code::TreeEntry, "alias"));
    assert!(source.read(&["policies"]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unreadable_entry_does_not_keep_the_rest_from_being_read() {
    let source = Read::new(|config| config.limits.files = 20);
    source.repo.write("environments/good/a.yaml", "a");
    source.repo.write("environments/bad/a.yaml", "a");
    std::os::unix::fs::symlink("a.yaml", source.repo.work().join("environments/bad/b.yaml")).expect("linked");
    let commit = source.repo.commit_all("one bad environment");
    head(&source.mirror).await;
    let read = |commit: &str| {
        let (mirror, commit) = (Arc::clone(&source.mirror), id(commit));
        blocking(move || mirror.read_partly(&commit, &["environments".to_owned()]))
    };
    let partial = read(&commit).await.expect("read");
    assert_eq!(
        paths(&partial.snapshot),
        ["environments/bad/a.yaml", "environments/dev/environment.yaml", "environments/good/a.yaml"]
    );
    assert_eq!(
        partial.problems.iter().map(place).collect::<Vec<_>>(),
        [(Code::TreeEntry, "environments/bad/b.yaml")]
    );

    // Where the budget ends, nobody knows what is missing.
    for number in 0..20 {
        source.repo.write(&format!("environments/bad/{number}.yaml"), "x");
    }
    let commit = source.repo.commit_all("too many");
    head(&source.mirror).await;
    assert!(read(&commit).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_are_refused_inside_read_paths() {
    let source = Read::new(|_| {});
    let commit = source.repo.git(&["rev-parse", "HEAD"]);
    source.repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{commit},environments/dev/module"),
    ]);
    source.repo.git(&["commit", "-q", "-m", "a submodule"]);
    source.repo.git(&["push", "-q", "origin", "HEAD:main"]);
    let problem = source.problem(&["environments"]).await;
    assert_eq!(place(&problem), (Code::TreeEntry, "environments/dev/module"));
    assert!(problem.message.contains("a submodule"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_became_a_symlink_is_named_and_not_taken_for_a_removed_one() {
    let source = Read::new(|_| {});
    source.repo.write("environments/staging/a.yaml", "a");
    source.repo.write("environments/README.md", "a");
    std::os::unix::fs::symlink("staging", source.repo.work().join("environments/live")).expect("linked");
    source.repo.commit_all("environments");
    let (mirror, commit) = (Arc::clone(&source.mirror), id(&head(&source.mirror).await));
    let listing = blocking(move || mirror.folders(&commit, "environments")).await.expect("listed");
    assert_eq!(listing.folders, ["dev", "staging"]);
    assert_eq!(
        listing.problems.iter().map(place).collect::<Vec<_>>(),
        [(Code::TreeEntry, "environments/live")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_file_is_refused_before_it_is_read() {
    let source = Read::new(|config| config.limits.file_bytes = 1000);
    source.repo.commit("environments/dev/fits.yaml", "x".repeat(1000));
    assert!(source.read(&["environments"]).await.is_ok());
    source.repo.commit("environments/dev/huge.yaml", "x".repeat(1001));
    let problem = source.problem(&["environments"]).await;
    assert_eq!(place(&problem), (Code::TreeEntry, "environments/dev/huge.yaml"));
    assert!(problem.message.contains("1001 bytes"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_files_too_many_bytes_and_too_deep_folders_are_refused() {
    let source = Read::new(|config| config.limits.files = 20);
    for number in 0..20 {
        source.repo.write(&format!("environments/dev/{number}.yaml"), "x");
    }
    source.repo.commit_all("many");
    assert!(source.problem(&["environments"]).await.message.contains("more than 20 files"));

    let source = Read::new(|config| config.limits.total_bytes = 1000);
    for number in 0..20 {
        source.repo.write(&format!("environments/dev/{number}.yaml"), "x".repeat(100));
    }
    source.repo.commit_all("large");
    let problems = source.read(&["environments"]).await.expect_err("refused");
    assert!(problems[0].message.contains("more than 1000 bytes"), "{problems:?}");

    let source = Read::new(|config| config.limits.depth = 5);
    source.repo.commit("environments/1/2/3/4/5/6/x.yaml", "x");
    assert!(source.problem(&["environments"]).await.message.contains("more than 5 deep"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_that_git_would_never_write_are_refused() {
    let (repo, cache) = (GitRepo::with_one_commit(), tempfile::tempdir().expect("a folder"));
    let blob = run(&repo.origin(), &["rev-parse", "main:environments/dev/environment.yaml"]);
    let entry = |mode: &str, name: &str| [format!("{mode} {name}\0").into_bytes(), bytes_of(&blob)].concat();
    for (name, tree) in [
        ("the same name twice", [entry("100644", "a.yaml"), entry("100644", "a.yaml")].concat()),
        ("a parent folder", entry("100644", "..")),
        ("a path as a name", entry("100644", "../../etc/x")),
        ("an odd mode", entry("100777", "a.yaml")),
        ("a device", entry("060000", "a.yaml")),
        ("an escape sequence", entry("100644", "a\u{1b}[2J.yaml")),
    ] {
        let file = cache.path().join("tree");
        std::fs::write(&file, &tree).expect("written");
        let path = file.to_str().expect("a path");
        let inner = run(&repo.origin(), &["hash-object", "-t", "tree", "--literally", "-w", path]);
        std::fs::write(&file, [b"40000 environments\0".to_vec(), bytes_of(&inner)].concat())
            .expect("written");
        let root = run(&repo.origin(), &["hash-object", "-t", "tree", "--literally", "-w", path]);
        let commit = run(&repo.origin(), &["commit-tree", "-p", "main", "-m", name, &root]);
        run(&repo.origin(), &["update-ref", "refs/heads/main", &commit]);
        let mirror = mirror(config(repo.origin().to_str().expect("a path"), &cache));
        // Where `git upload-pack` itself refuses to serve such a tree, there is nothing to read.
        let Ok(_) = poll(&mirror).await else { continue };
        let read = blocking(move || mirror.read(&id(&commit), &["environments".to_owned()])).await;
        let problems = read.expect_err(name);
        assert_eq!(problems[0].code, Code::TreeEntry, "{name}");
        assert!(!problems[0].message.contains('\u{1b}'), "{name}");
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_ids_change_with_what_they_cover_and_with_nothing_else() {
    let source = Read::new(|_| {});
    let asked = ["environments/dev", "policies", "environments/dev/environment.yaml"];
    let first = source.ids(&asked).await;
    assert!(first[0].is_some() && first[1].is_none() && first[2].is_some(), "{first:?}");

    source.repo.commit("README.md", "unrelated");
    assert_eq!(source.ids(&asked).await, first);

    source.repo.commit("policies/p.yaml", "p");
    let second = source.ids(&asked).await;
    assert_eq!((&second[0], &second[2]), (&first[0], &first[2]));
    assert!(second[1].is_some());

    // The same bytes as a symlink are something else.
    let file: &Path = &source.repo.work().join("environments/dev/environment.yaml");
    let text = std::fs::read_to_string(file).expect("read");
    std::fs::remove_file(file).expect("removed");
    std::os::unix::fs::symlink(&text, file).expect("linked");
    source.repo.commit_all("a symlink of the same content");
    let third = source.ids(&asked).await;
    assert_ne!(third[0], second[0]);
    assert_ne!(third[2], second[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_described_without_control_characters() {
    let source = Read::new(|_| {});
    source.repo.write("a", "1");
    source.repo.commit_all("feat: \u{1b}[31mred\u{7}\n\nbody");
    let commit = id(&head(&source.mirror).await);
    let (mirror, asked) = (Arc::clone(&source.mirror), commit.clone());
    let info = blocking(move || mirror.commit_info(&asked)).await.expect("described");
    assert_eq!(info.subject, "feat: [31mred");
    assert_eq!(info.author.to_string(), "Ada Example <ada@example.org>");
    assert_eq!(info.author_time.to_string(), "2026-11-20T10:00:00Z");
    assert_eq!(info.committer_time.to_string(), "2026-11-20T11:00:00Z");
    assert_eq!(info.parents.len(), 1);
    let (mirror, unknown) = (Arc::clone(&source.mirror), id(&"0".repeat(40)));
    let error = blocking(move || mirror.commit_info(&unknown)).await.expect_err("unknown");
    assert!(matches!(error, SourceError::NoSuchCommit { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_commits_are_those_of_the_first_parent_line_between() {
    let source = Read::new(|_| {});
    let start = source.repo.git(&["rev-parse", "HEAD"]);
    let one = source.repo.commit("a", "1");
    source.repo.git(&["checkout", "-q", "-b", "topic"]);
    source.repo.write("t", "1");
    source.repo.git(&["add", "-A"]);
    source.repo.git(&["commit", "-q", "-m", "topic"]);
    let topic = source.repo.git(&["rev-parse", "HEAD"]);
    source.repo.git(&["checkout", "-q", "main"]);
    let two = source.repo.commit("a", "2");
    source.repo.git(&["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
    let merge = source.repo.git(&["rev-parse", "HEAD"]);
    let last = source.repo.commit("a", "3");
    head(&source.mirror).await;
    let skipped = |from: &str, to: &str| {
        let (mirror, from, to) = (Arc::clone(&source.mirror), id(from), id(to));
        async move {
            let found = blocking(move || mirror.skipped(&from, &to)).await.expect("skipped");
            found.into_iter().map(String::from).collect::<Vec<_>>()
        }
    };
    assert_eq!(skipped(&start, &last).await, [one.as_str(), &two, &merge]);
    assert_eq!(skipped(&merge, &last).await, Vec::<String>::new());
    assert_eq!(skipped(&last, &last).await, Vec::<String>::new());
    assert_eq!(skipped(&topic, &last).await, [two.as_str(), &merge], "came in by a merge");
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_are_resolved_and_nonsense_is_refused() {
    let source = Read::new(|_| {});
    let first = source.repo.git(&["rev-parse", "HEAD"]);
    let second = source.repo.commit("a", "1");
    head(&source.mirror).await;
    let resolve = |text: &str| {
        let (mirror, text) = (Arc::clone(&source.mirror), text.to_owned());
        blocking(move || mirror.resolve(&text).map(String::from))
    };
    for (text, expected) in [
        ("HEAD", &second),
        ("main", &second),
        ("HEAD~1", &first),
        (&second[..7], &second),
        (&first, &first),
        ("HEAD^", &first),
    ] {
        assert_eq!(resolve(text).await.as_ref(), Ok(expected), "{text}");
    }
    for text in ["", "other", "abc", "HEAD~100", ":/x", "-x", "HEAD:environments", "@{upstream}", "ffffffff"]
    {
        assert!(matches!(resolve(text).await, Err(SourceError::NoSuchCommit { .. })), "{text}");
    }
}
