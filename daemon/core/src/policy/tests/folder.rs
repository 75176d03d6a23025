//! Which policies an environment gets, and whom a broken file breaks.

use super::{named, policy};
use crate::policy::{KnownPolicies, PolicyFolder};
use crate::problem::{Code, Problem};
use crate::tree::FileTree;

fn called(name: &str) -> String {
    policy("").replace("{name: p}", &format!("{{name: {name}}}"))
}

fn tree(files: &[(&str, &str)]) -> FileTree {
    files.iter().map(|(path, text)| (*path, text.as_bytes())).collect()
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn an_environment_gets_what_it_names_in_its_order_from_any_file_and_document() {
    let both = format!("{}---\n{}", called("a"), called("b"));
    let files = [
        ("policies/deep/er/c.yml", called("c")),
        ("policies/two.yaml", both),
        ("policies/README.md", "# no policy".to_owned()),
        ("policies/.hidden/d.yaml", called("d")),
        ("other/e.yaml", called("e")),
    ];
    let folder =
        PolicyFolder::read(&files.iter().map(|(path, text)| (*path, text.as_bytes())).collect::<FileTree>());
    assert_eq!((folder.len(), folder.problems()), (3, Vec::new()));
    let policies = folder.select(&[named("c"), named("a")]).expect("both are there");
    assert_eq!(policies.rollouts.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), ["c", "a"]);
    assert_eq!(folder.select(&[]), Ok(crate::policy::Policies::default()));
}

#[test]
fn a_broken_file_breaks_only_who_names_a_policy_of_it() {
    let broken = format!("{}  drian: 1m\n---\n{}", called("bad"), called("beside"));
    let folder = PolicyFolder::read(&tree(&[
        ("policies/broken.yaml", broken.as_str()),
        ("policies/good.yaml", called("good").as_str()),
    ]));
    let message = "policies/broken.yaml:6:3: error[E0201]: unknown field spec.drian";
    assert_eq!(shown(&folder.problems()), [message]);
    assert!(folder.select(&[named("good")]).is_ok());
    for name in ["bad", "beside"] {
        let problems = folder.select(&[named("good"), named(name)]).expect_err(name);
        assert_eq!(shown(&problems), [message]);
    }
}

#[test]
fn a_name_that_nothing_has_is_a_problem_where_it_is_named() {
    let folder = PolicyFolder::read(&tree(&[("policies/a.yaml", called("blue-green").as_str())]));
    let problems = folder.select(&[named("blue-gren")]).expect_err("unknown");
    let message =
        "environments/dev/environment.yaml:1:1: error[E0209]: there is no policy `blue-gren` in policies/";
    assert_eq!(shown(&problems), [message]);
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `blue-green`?"));
    let nothing = PolicyFolder::default().select(&[named("a")]).expect_err("unknown");
    assert_eq!(nothing[0].help.as_deref(), Some("policies/ holds no policies"));
}

#[test]
fn a_name_that_may_stand_in_an_unreadable_file_brings_that_files_problems() {
    let folder = PolicyFolder::read(&tree(&[
        ("policies/a.yaml", "kind: [\n"),
        ("policies/b.yaml", called("b").as_str()),
    ]));
    let codes = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.code).collect::<Vec<_>>();
    let problems = folder.select(&[named("payments")]).expect_err("unknown");
    assert_eq!(problems[0].help.as_deref(), Some("it may stand in policies/a.yaml, which cannot be read"));
    assert_eq!(codes(problems), [Code::PolicyName, Code::YamlSyntax]);
    assert!(folder.select(&[named("b")]).is_ok());
}

#[test]
fn two_policies_of_one_name_are_used_by_nobody() {
    let folder = PolicyFolder::read(&tree(&[
        ("policies/1.yaml", called("a").as_str()),
        ("policies/2.yaml", format!("{}---\n{}", called("a"), called("b")).as_str()),
    ]));
    let problems = folder.problems();
    assert_eq!(shown(&problems), ["policies/2.yaml:3:18: error[E0209]: two policies are called `a`"]);
    assert_eq!(problems[0].related[0].location.to_string(), "policies/1.yaml:3:18");
    assert!(folder.select(&[named("a")]).is_err() && folder.select(&[named("b")]).is_err());
}

#[test]
fn a_window_that_a_gate_names_has_to_be_there() {
    let text = super::gate("name: hours\nwindow: [office-hours]");
    let folder = PolicyFolder::read(&tree(&[("policies/p.yaml", text.as_str())]));
    let message = "policies/p.yaml:8:7: error[E0209]: there is no ChangeWindow `office-hours` in policies/";
    assert_eq!(shown(&folder.problems()), [message]);
    let help = folder.problems().remove(0).help;
    assert_eq!(help.as_deref(), Some("policies/ holds no ChangeWindows"), "the policy itself is none");
}

#[test]
fn only_policies_stand_among_policies() {
    let cases = [
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nspec: {}\n", 2),
        ("apiVersion: tidegate.dev/v1\nkind: RolloutPolcy\nmetadata: {name: a}\nspec: {}\n", 1),
        ("apiVersion: tidegate.dev/v1\nkind: Trust\nmetadata: {name: a}\nspec: {}\n", 1),
        ("apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {name: a}\n", 1),
        (
            "apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {name: A_b}\nspec: {match: {names: [a]}}\n",
            1,
        ),
        ("- a\n", 1),
    ];
    for (text, count) in cases {
        let problems = PolicyFolder::read(&tree(&[("policies/p.yaml", text)])).problems();
        assert_eq!(problems.len(), count, "{text}: {problems:#?}");
        assert!(problems.iter().all(Problem::is_error), "{text}");
    }
    assert_eq!(PolicyFolder::read(&tree(&[("policies/p.yaml", "# nothing\n---\n")])).problems(), []);
}

#[test]
fn files_that_are_as_before_are_not_read_again() {
    let mut known = KnownPolicies::default();
    let before = tree(&[("policies/a.yaml", called("a").as_str()), ("environments/dev/a.yaml", "a: 1")]);
    let first = known.read(&before);
    let same = tree(&[("policies/a.yaml", called("a").as_str()), ("environments/dev/a.yaml", "a: 2")]);
    assert!(std::sync::Arc::ptr_eq(&first, &known.read(&same)));
    let other = known.read(&tree(&[("policies/a.yaml", called("b").as_str())]));
    assert_ne!(first, other);
}
