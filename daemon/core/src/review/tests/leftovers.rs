//! What becomes of objects and environments that leave git.

use super::{compare, config_map, dev, environment, problems, told};
use crate::review::{Action, Standing};

/// So many ConfigMaps.
fn maps(names: std::ops::Range<u32>) -> String {
    names.map(|n| config_map(&format!("m{n}"), "v")).collect::<Vec<_>>().join("---\n")
}

#[test]
fn what_leaves_git_is_deleted_and_comes_first() {
    let base = format!("{}---\n{}", config_map("a", "one"), config_map("z", "one"));
    let head = format!("{}---\n{}", config_map("a", "two"), config_map("b", "one"));
    let review = dev(("", &base), ("", &head));
    assert_eq!(
        told(&review),
        ["ConfigMap shop/z: deleted", "ConfigMap shop/b: created", "ConfigMap shop/a: updated"]
    );
    assert_eq!(review.changes[0].location.to_string(), "environments/dev/all.yaml:7:1");
    assert_eq!(review.line(), "1 delete, 1 create, 1 update");
}

#[test]
fn guards_keep_what_left_git_and_say_why() {
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
    let kept = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {tidegate.dev/prune: disabled}}\n";
    let stays = config_map("stays", "v");
    let base = format!("{claim}---\n{kept}---\n{stays}");
    let review = dev(("", &base), ("", &stays));
    assert_eq!(
        told(&review),
        [
            "ConfigMap shop/kept: left git and stays: `tidegate.dev/prune: disabled` stands on it",
            "PersistentVolumeClaim shop/data: left git and stays: `prune.allow` does not name PersistentVolumeClaim",
        ]
    );
    let allowed = "  prune: {enabled: true, allow: [PersistentVolumeClaim]}\n";
    assert_eq!(
        told(&dev((allowed, &base), (allowed, &stays)))[0],
        "PersistentVolumeClaim shop/data: deleted"
    );
    let off = "  prune: {enabled: false}\n";
    let review = dev((off, &maps(0..2)), (off, &maps(0..1)));
    assert_eq!(told(&review), ["ConfigMap shop/m1: left git and stays: `prune.enabled` is false"]);
}

#[test]
fn a_namespace_with_wanted_objects_in_it_stays_even_if_namespaces_may_go() {
    let settings = |create: bool| {
        format!("  createNamespaces: {create}\n  prune: {{enabled: true, allow: [Namespace]}}\n")
    };
    let review = dev((&settings(true), &maps(0..1)), (&settings(false), &maps(0..1)));
    assert_eq!(
        told(&review),
        ["Namespace shop: left git and stays: ConfigMap shop/m0 is in it and still wanted"]
    );
}

#[test]
fn beyond_the_budget_nothing_is_deleted_and_it_is_an_error() {
    let budget = "  prune: {enabled: true, budget: {max: 2, percent: 100}}\n";
    let review = dev((budget, &maps(0..4)), (budget, &maps(0..1)));
    assert_eq!(review.counts.delete, 0);
    assert_eq!(review.counts.keep, 3);
    assert_eq!(
        problems(&review),
        [
            "environments/dev/environment.yaml:7:26: error[E0405]: 3 of 4 objects leave git, more than the prune budget of 2 objects or 100 % allows: nothing is deleted"
        ]
    );
    assert_eq!(dev((budget, &maps(0..4)), (budget, &maps(0..2))).counts.delete, 2);
    let share = "  prune: {enabled: true, budget: {max: 50, percent: 20}}\n";
    assert_eq!(dev((share, &maps(0..10)), (share, &maps(0..8))).counts.delete, 2);
    assert_eq!(dev((share, &maps(0..10)), (share, &maps(0..7))).counts.keep, 3);
    assert_eq!(dev((share, &maps(0..9)), (share, &maps(0..6))).counts.delete, 3, "the share counts from ten");
    assert_eq!(
        dev((share, &maps(0..2)), (share, "")).counts.keep,
        2,
        "nothing left is never a delete of all"
    );
}

#[test]
fn a_change_that_leaves_only_what_create_namespaces_makes_deletes_nothing() {
    let own = "  createNamespaces: true\n";
    let review = dev((own, &maps(0..2)), (own, ""));
    assert_eq!((review.counts.delete, review.counts.keep), (0, 2));
    assert!(
        problems(&review)[0].contains("nothing but the Namespaces of `createNamespaces`"),
        "{:?}",
        problems(&review)
    );
}

#[test]
fn an_environment_that_is_taken_down_loses_everything_whatever_the_budget() {
    let review = dev(("", &maps(0..30)), ("  decommission: true\n", &maps(0..30)));
    assert_eq!((review.counts.delete, review.counts.errors), (30, 0));
    assert!(review.notes.iter().any(|note| note.text.contains("taken down")), "{:?}", review.notes);
    let down = "  decommission: true\n";
    assert_eq!(dev((down, &maps(0..3)), (down, &maps(0..2))).standing, Standing::Unchanged);
    assert_eq!(dev((down, &maps(0..3)), ("", &maps(0..3))).counts.create, 3);
}

#[test]
fn an_environment_that_leaves_git_deletes_nothing_unless_it_was_taken_down_before() {
    let (up, down) = (environment("dev", ""), environment("dev", "  decommission: true\n"));
    let text = maps(0..2);
    let base = [("dev/environment.yaml", up.as_str()), ("dev/all.yaml", text.as_str())];
    let review = &compare(&base, &[("dev/all.yaml", &text)]).environments[0];
    assert_eq!((review.standing, review.counts.keep, review.counts.errors), (Standing::Removed, 2, 1));
    assert!(problems(review)[0].contains("E0504"), "{:?}", problems(review));
    let base = [("dev/environment.yaml", down.as_str()), ("dev/all.yaml", text.as_str())];
    let review = &compare(&base, &[]).environments[0];
    assert_eq!((review.changes.len(), review.counts.errors), (0, 0));
}

#[test]
fn a_new_environment_creates_everything() {
    let file = environment("dev", "");
    let text = maps(0..3);
    let review = &compare(&[], &[("dev/environment.yaml", &file), ("dev/all.yaml", &text)]).environments[0];
    assert_eq!((review.standing, review.counts.create), (Standing::Added, 3));
}

#[test]
fn another_cluster_leaves_the_objects_of_the_old_one_behind() {
    let file = |path: &str| {
        environment("dev", "").replace("kubeconfig: {}", &format!("kubeconfig: {{path: {path}}}"))
    };
    let (old, new) = (file("a"), file("b"));
    let text = maps(0..2);
    let review = compare(
        &[("dev/environment.yaml", &old), ("dev/all.yaml", &text)],
        &[("dev/environment.yaml", &new), ("dev/all.yaml", &text)],
    );
    let review = &review.environments[0];
    assert_eq!((review.counts.keep, review.counts.create), (2, 2));
    assert!(review.notes.iter().any(|note| note.text.contains("another cluster")), "{:?}", review.notes);
}

#[test]
fn a_broken_head_is_said_and_changes_nothing() {
    let review =
        dev(("", &maps(0..2)), ("", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"${WHO}\"}\n"));
    assert_eq!((review.standing, review.changes.len()), (Standing::Broken, 0));
    assert_eq!(review.plan_id, None);
    assert!(
        problems(&review)[1].starts_with("environments/dev/all.yaml:3:18: error[E0204]"),
        "{:?}",
        problems(&review)
    );
}

#[test]
fn a_base_that_cannot_be_read_makes_no_creates_up() {
    let review = dev(("", "kind: ["), ("", &maps(0..2)));
    assert_eq!((review.standing, review.changes.len()), (Standing::Unknown, 0));
    assert!(review.has_news());
}

#[test]
fn a_suspension_is_said_beside_the_changes_that_it_holds() {
    let suspended = "  suspend: {reason: incident 4711, until: 2026-12-01T00:00:00Z}\n";
    let review = dev(("", &maps(0..1)), (suspended, &maps(0..2)));
    let note = &review.notes[0];
    assert_eq!(note.text, "suspended (incident 4711): nothing is written until 2026-12-01T00:00:00Z");
    assert!(note.location.is_some());
    assert_eq!(review.changes[0].action, Action::Create);
}
