//! Whole repositories in odd states: broken bases and heads, links in place of folders, exit codes.

use crate::git_repo::GitRepo;
use crate::repository::{config_map, environment, example};
use crate::tidegate;

/// A repository with one environment, `dev`, with one ConfigMap of this value.
fn dev(value: &str) -> GitRepo {
    let repo = GitRepo::empty();
    repo.write("environments/dev/environment.yaml", environment("dev", ""));
    repo.commit("environments/dev/map.yaml", config_map("map", value));
    repo
}

const LAST: [&str; 3] = ["plan", "--base", "HEAD~1"];

#[test]
fn exit_codes_tell_changes_from_none_and_errors_from_both() {
    let repo = dev("one");
    repo.commit("environments/dev/map.yaml", config_map("map", "two"));
    assert_eq!(tidegate(&repo.work(), &LAST).code, 0);
    assert_eq!(tidegate(&repo.work(), &["plan", "--base", "HEAD~1", "--exit-code"]).code, 1);
    assert_eq!(tidegate(&repo.work(), &["plan", "--base", "HEAD", "--exit-code"]).code, 0);
    repo.commit("environments/dev/map.yaml", config_map("map", "[wrong]"));
    assert_eq!(tidegate(&repo.work(), &["plan", "--base", "HEAD~1", "--exit-code"]).code, 2);
    assert_eq!(tidegate(&repo.work(), &["plan", "--markdown", "-o", "json"]).code, 64);
}

#[test]
fn every_error_of_head_is_shown_at_its_place() {
    let plan = tidegate(&example().work(), &["plan", "dev"]);
    assert_eq!(plan.code, 2);
    for wanted in [
        "environments/dev/map.yaml:5:",
        "environments/dev/map.yaml:7:8",
        "2 errors: nothing of it is applied",
    ] {
        assert!(plan.stdout.contains(wanted), "{wanted}: {}", plan.stdout);
    }
}

#[test]
fn a_broken_base_is_said_and_the_state_before_it_is_compared_with() {
    let repo = dev("one");
    let good = repo.git(&["rev-parse", "HEAD"]);
    repo.commit("environments/dev/map.yaml", "kind: [");
    repo.commit("environments/dev/map.yaml", "kind: [[");
    repo.commit("environments/dev/map.yaml", config_map("map", "two"));
    let plan = tidegate(&repo.work(), &LAST);
    assert_eq!(plan.code, 0, "head is whole: {}", plan.stdout);
    let short = good.get(..7).unwrap();
    for wanted in [
        "base has 1 error",
        "environments/dev/map.yaml:1:",
        &format!("compared with {short}, which stays applied meanwhile"),
        "data.key: one -> two",
    ] {
        assert!(plan.stdout.contains(wanted), "{wanted}: {}", plan.stdout);
    }
    // The id is that of the comparison with the good state.
    let direct = tidegate(&repo.work(), &["plan", "--base", &good, "-o", "json"]).json();
    let through = tidegate(&repo.work(), &["plan", "--base", "HEAD~1", "-o", "json"]).json();
    assert_eq!(direct["planId"], through["planId"]);
}

#[test]
fn an_environment_that_was_broken_from_its_first_commit_on_is_new() {
    let repo = dev("one");
    repo.write("environments/new/environment.yaml", environment("new", ""));
    repo.commit("environments/new/map.yaml", "kind: [");
    repo.commit("environments/new/map.yaml", config_map("map", "one"));
    let plan = tidegate(&repo.work(), &LAST);
    assert!(plan.stdout.contains("nothing of it was applied"), "{}", plan.stdout);
    assert!(plan.stdout.contains("ConfigMap new/map: created"), "{}", plan.stdout);
}

#[test]
fn a_link_in_place_of_an_environment_is_an_error_and_no_removal() {
    let repo = dev("one");
    std::fs::rename(repo.work().join("environments/dev"), repo.work().join("elsewhere")).expect("moved");
    std::os::unix::fs::symlink("../elsewhere", repo.work().join("environments/dev")).expect("linked");
    repo.commit_all("a link");
    let plan = tidegate(&repo.work(), &LAST);
    assert_eq!(plan.code, 2);
    assert!(plan.stdout.contains("error[E0208]"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("left git"), "{}", plan.stdout);
}

#[test]
fn an_unknown_environment_names_those_that_there_are() {
    let plan = tidegate(&dev("one").work(), &["plan", "prod", "--base", "HEAD"]);
    assert_eq!(plan.code, 2);
    assert!(plan.stderr.contains("environments: dev"), "{}", plan.stderr);
}

#[test]
fn uncommitted_files_are_no_part_of_it() {
    let repo = dev("one");
    repo.write("environments/dev/map.yaml", config_map("map", "not committed"));
    let plan = tidegate(&repo.work(), &["plan", "--base", "HEAD", "--exit-code"]);
    assert_eq!(plan.code, 0, "{}", plan.stdout);
}

#[test]
fn without_a_cluster_the_live_part_says_so_and_the_rest_stands() {
    let repo = dev("one");
    repo.commit("environments/dev/map.yaml", config_map("map", "two"));
    let plan = tidegate(&repo.work(), &["plan", "--base", "HEAD~1", "--live"]);
    assert_eq!(plan.code, 5, "{}", plan.stderr);
    assert!(plan.stdout.contains("not asked:") && plan.stdout.contains("one -> two"), "{}", plan.stdout);
    let alone = tidegate(&repo.work(), &["plan", "--base", "HEAD~1", "-o", "json"]).json();
    let both = tidegate(&repo.work(), &["plan", "--base", "HEAD~1", "-o", "json", "--live"]).json();
    assert_eq!(alone["environments"], both["environments"]);
    assert_eq!(alone["planId"], both["planId"]);
}

#[test]
fn what_is_not_committed_is_said_to_be_missing_from_the_plan() {
    let repo = dev("one");
    let first = tidegate(&repo.work(), &["plan"]).stdout;
    assert!(
        !first.contains("not committed") && !first.contains("HEAD~1"),
        "the first commit has none before it: {first}"
    );
    repo.commit("environments/dev/map.yaml", config_map("map", "two"));
    let clean = tidegate(&repo.work(), &LAST);
    assert!(!clean.stdout.contains("not committed"), "{}", clean.stdout);
    repo.write("environments/dev/map.yaml", config_map("map", "three"));
    repo.write("environments/dev/more.yaml", config_map("more", "one"));
    repo.write("environments/dev/notes.txt", "not a manifest");
    repo.write("environments/dev/.hidden.yaml", "not read");
    let dirty = tidegate(&repo.work(), &LAST);
    let words =
        "note: not committed, and not in this plan: environments/dev/map.yaml, environments/dev/more.yaml\n";
    assert!(dirty.stdout.contains(words), "{}", dirty.stdout);
    assert!(dirty.stdout.contains("data.key: one -> two"), "{}", dirty.stdout);
    let named = tidegate(&repo.work(), &["plan", "--base", "HEAD~1", "--head", "main"]);
    assert!(!named.stdout.contains("not committed"), "whoever names a commit means it: {}", named.stdout);
}

#[test]
fn an_empty_name_of_a_commit_is_called_empty() {
    let plan = tidegate(&dev("one").work(), &["plan", "--base", ""]);
    assert!(plan.code == 5 && plan.stderr.contains("the name of a commit is empty"), "{}", plan.stderr);
}
