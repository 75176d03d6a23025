//! Which commits are compared: branches, tags, ids, what is merged to what; and what is said when that cannot be.

use std::path::PathBuf;

use crate::git_repo::{GitRepo, run};
use crate::repository::{config_map, environment, example};
use crate::{Printed, tidegate, tidegate_with};

/// `base` and `head` of a plan, as they are called.
fn compared(plan: &Printed) -> (String, String) {
    let json = plan.json();
    let text = |value: &serde_json::Value| value["name"].as_str().unwrap_or_default().to_owned();
    (text(&json["base"]), text(&json["head"]))
}

fn json(folder: &std::path::Path, further: &[&str]) -> Printed {
    let arguments: Vec<&str> = ["plan", "-o", "json"].into_iter().chain(further.iter().copied()).collect();
    tidegate(folder, &arguments)
}

/// Adds a commit to `main`, on top of what is there.
fn advance_main(repo: &GitRepo, name: &str) -> String {
    repo.git(&["checkout", "-q", "main"]);
    let commit = repo.commit(&format!("environments/staging/{name}.yaml"), config_map(name, "later"));
    repo.git(&["fetch", "-q", "origin"]);
    repo.git(&["checkout", "-q", "feature"]);
    commit
}

/// A clone beside the repository, with these arguments.
fn clone(repo: &GitRepo, name: &str, arguments: &[&str]) -> PathBuf {
    let url = format!("file://{}", repo.origin().display());
    let all: Vec<&str> =
        ["clone", "-q"].into_iter().chain(arguments.iter().copied()).chain([url.as_str(), name]).collect();
    run(repo.parent(), &all);
    repo.parent().join(name)
}

#[test]
fn the_default_is_what_a_merge_would_change() {
    let repo = example();
    let later = advance_main(&repo, "later");
    let plan = json(&repo.work(), &[]);
    assert_eq!(compared(&plan), ("origin/main".to_owned(), "HEAD".to_owned()));
    assert_ne!(plan.json()["base"]["commit"], later, "main has gone on; that is no part of the merge");
    let staging = plan.json()["environments"][3].clone();
    assert_eq!(
        (staging["name"].as_str(), staging["standing"].as_str()),
        (Some("staging"), Some("unchanged"))
    );
}

#[test]
fn a_named_base_is_taken_as_it_is_and_what_it_misleads_about_is_said() {
    let repo = example();
    advance_main(&repo, "later");
    let plan = json(&repo.work(), &["--base", "main"]);
    let notes = plan.json()["notes"].to_string();
    assert!(notes.contains("main has commits that HEAD lacks"), "{notes}");
    let plan = json(&repo.work(), &["--base", "feature", "--head", "feature~1"]);
    let notes = plan.json()["notes"].to_string();
    assert!(notes.contains("feature~1 is older than feature"), "{notes}");
}

#[test]
fn branches_tags_and_short_ids_name_the_same_commits() {
    let repo = example();
    repo.git(&["tag", "-a", "v1", "-m", "one", "main"]);
    let id = repo.git(&["rev-parse", "main"]);
    let plans: Vec<String> =
        ["main", "v1", "HEAD~1", &id, id.get(..9).unwrap(), "refs/heads/main", "origin/main"]
            .into_iter()
            .map(|base| {
                let plan = json(&repo.work(), &["--base", base, "--head", "feature"]);
                plan.json()["planId"].as_str().unwrap_or_else(|| panic!("{base}: {}", plan.stderr)).to_owned()
            })
            .collect();
    assert!(plans.iter().all(|plan| *plan == plans[0]), "{plans:?}");
}

#[test]
fn bare_repositories_linked_work_trees_and_folders_within_are_read_alike() {
    let repo = example();
    let wanted = json(&repo.work(), &[]).json()["planId"].clone();
    repo.git(&["push", "-q", "origin", "feature"]);
    let bare = json(&repo.origin(), &["--head", "feature"]);
    assert_eq!(bare.json()["planId"], wanted, "{}", bare.stderr);
    assert_eq!(compared(&bare).0, "main");
    repo.git(&["worktree", "add", "-q", "--detach", "../linked", "feature"]);
    let linked = json(&repo.parent().join("linked"), &[]);
    assert_eq!(linked.json()["planId"], wanted, "{}", linked.stderr);
    let within = json(&repo.work().join("environments/production"), &[]);
    assert_eq!(within.json()["planId"], wanted, "{}", within.stderr);
    let named = json(repo.parent(), &["--repo", repo.work().to_str().unwrap()]);
    assert_eq!(named.json()["planId"], wanted, "{}", named.stderr);
}

#[test]
fn the_merge_commit_that_ci_checks_out_is_compared_with_what_it_is_merged_to() {
    let repo = example();
    advance_main(&repo, "later");
    repo.git(&["checkout", "-q", "--detach", "main"]);
    repo.git(&["merge", "-q", "--no-edit", "feature"]);
    let plan = json(&repo.work(), &[]);
    let tip = repo.git(&["rev-parse", "main"]);
    assert_eq!(plan.json()["base"]["commit"], tip, "{}", plan.stdout);
    assert_eq!(plan.json()["notes"], serde_json::json!([]));
}

#[test]
fn the_default_branch_is_the_remotes_whatever_its_name() {
    let repo = example();
    run(&repo.origin(), &["branch", "-m", "main", "trunk"]);
    repo.git(&["push", "-q", "origin", "feature"]);
    let clone = clone(&repo, "clone", &[]);
    run(&clone, &["checkout", "-q", "feature"]);
    assert_eq!(compared(&json(&clone, &[])).0, "origin/trunk");
}

#[test]
fn what_is_merged_already_has_no_changes_and_says_how_to_look_at_it() {
    let repo = example();
    repo.git(&["checkout", "-q", "main"]);
    repo.commit("environments/dev/map.yaml", config_map("map", "two"));
    repo.git(&["fetch", "-q", "origin"]);
    let plan = tidegate(&repo.work(), &["plan", "--exit-code"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stdout.contains("no changes in 4 environments"), "{}", plan.stdout);
    assert!(plan.stdout.contains("--base HEAD~1 compares with the commit before it"), "{}", plan.stdout);
}

#[test]
fn a_shallow_clone_says_that_it_is_one_and_what_brings_the_rest() {
    let repo = example();
    repo.git(&["push", "-q", "origin", "feature"]);
    let clone = clone(&repo, "shallow", &["--depth", "1", "--branch", "feature"]);
    let plan = tidegate(&clone, &["plan", "--base", "origin/main"]);
    assert_eq!(plan.code, 5);
    for wanted in ["`origin/main` names no commit of this clone", "git fetch --unshallow"] {
        assert!(plan.stderr.contains(wanted), "{wanted}: {}", plan.stderr);
    }
    // Both tips are there, and nothing of what they have in common.
    advance_main(&repo, "later");
    run(&clone, &["fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main"]);
    let plan = tidegate(&clone, &["plan"]);
    assert_eq!(plan.code, 5, "{}", plan.stdout);
    assert!(plan.stderr.contains("have no commit in common"), "{}", plan.stderr);
    assert!(plan.stderr.contains("git fetch --unshallow"), "{}", plan.stderr);
    run(&clone, &["fetch", "-q", "--unshallow", "origin"]);
    assert_eq!(tidegate(&clone, &["plan"]).code, 2, "the errors of dev");
}

#[test]
fn a_partial_clone_without_files_says_which_are_missing() {
    let repo = example();
    run(&repo.origin(), &["config", "uploadpack.allowFilter", "true"]);
    repo.git(&["push", "-q", "origin", "feature"]);
    let clone = clone(&repo, "partial", &["--filter=blob:none", "--no-checkout", "--branch", "feature"]);
    let plan = tidegate(&clone, &["plan"]);
    assert_eq!(plan.code, 5, "{}", plan.stdout);
    assert!(plan.stderr.contains("the clone lacks an object: environments/"), "{}", plan.stderr);
    assert!(plan.stderr.contains("git fetch --refetch"), "{}", plan.stderr);
}

#[test]
fn the_variable_of_the_daemon_is_overruled_by_the_clone_that_one_stands_in() {
    let repo = example();
    let settings = [("TIDEGATE_REPO", "https://git.example.invalid/acme/environments.git")];
    let plan = tidegate_with(&repo.work(), &settings, &["plan", "staging"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let plan = tidegate(&repo.work(), &["plan", "--repo", settings[0].1]);
    assert_eq!(plan.code, 5);
    assert!(plan.stderr.contains("git clone"), "{}", plan.stderr);
}

#[test]
fn an_unknown_name_and_a_folder_without_git_are_clear_errors() {
    let repo = example();
    for name in ["nowhere", "feature:environments", "--upload-pack=x", "../x", "deadbeef", "@{", "a..b"] {
        let flag = format!("--base={name}");
        let plan = tidegate(&repo.work(), &["plan", &flag]);
        assert_eq!(plan.code, 5, "{name}: {}", plan.stdout);
        assert!(plan.stderr.contains("names no commit of this clone"), "{name}: {}", plan.stderr);
    }
    let empty = tempfile::tempdir().expect("a folder");
    let plan = tidegate(empty.path(), &["plan"]);
    assert_eq!(plan.code, 5);
    assert!(plan.stderr.contains("is in no git repository"), "{}", plan.stderr);
}

#[test]
fn without_any_default_branch_the_base_must_be_named() {
    let repo = example();
    repo.git(&["remote", "remove", "origin"]);
    repo.git(&["branch", "-q", "-m", "main", "other"]);
    let plan = tidegate(&repo.work(), &["plan"]);
    assert_eq!(plan.code, 5);
    assert!(plan.stderr.contains("name it with --base"), "{}", plan.stderr);
    assert_eq!(compared(&json(&repo.work(), &["--base", "other"])).0, "other");
}

#[test]
fn a_repository_with_environments_in_a_sub_folder_is_found_from_within_and_by_flag() {
    let repo = GitRepo::empty();
    let path = "ops/deploy/environments/dev";
    repo.write(&format!("{path}/environment.yaml"), environment("dev", ""));
    repo.commit(&format!("{path}/map.yaml"), config_map("map", "one"));
    repo.commit(&format!("{path}/map.yaml"), config_map("map", "two"));
    let flags = ["plan", "--base", "HEAD~1"];
    let within = tidegate(&repo.work().join("ops/deploy"), &flags);
    assert!(within.stdout.contains("ops/deploy/environments/dev/map.yaml:6:8"), "{}", within.stdout);
    let flagged: Vec<&str> = flags.into_iter().chain(["--subpath", "ops/deploy"]).collect();
    assert_eq!(tidegate(&repo.work(), &flagged).stdout, within.stdout);
    let lost = tidegate(&repo.work(), &flags);
    assert_eq!(lost.code, 2);
    assert!(lost.stderr.contains("--subpath"), "{}", lost.stderr);
}
