//! The id: the same for the same content wherever it stands, another one for every other content.

use super::{compare, config_map, environment};
use crate::ids::Digest;

fn id(base: super::Files<'_>, head: super::Files<'_>) -> Digest {
    compare(base, head).plan_id
}

#[test]
fn paths_order_and_comments_do_not_matter() {
    let file = environment("dev", "  prune: {enabled: true, allow: [Namespace]}\n");
    let turned = environment("dev", "  # why\n  prune: {allow: [Namespace], enabled: true}\n");
    let (a, b) = (config_map("a", "v"), config_map("b", "v"));
    let both = format!("{b}---\n# said twice\n{a}");
    let one = id(
        &[("dev/environment.yaml", &file), ("dev/a.yaml", &a)],
        &[("dev/environment.yaml", &file), ("dev/a.yaml", &a), ("dev/b.yaml", &b)],
    );
    let other = id(
        &[("dev/environment.yaml", &turned), ("dev/deep/down.yml", &a)],
        &[("dev/environment.yaml", &turned), ("dev/all.yaml", &both)],
    );
    assert_eq!(one, other);
}

#[test]
fn every_change_of_content_or_of_a_setting_that_acts_is_another_id() {
    let text = |settings: &str, value: &str| (environment("dev", settings), config_map("a", value));
    let of = |base: &(String, String), head: &(String, String)| {
        id(
            &[("dev/environment.yaml", &base.0), ("dev/a.yaml", &base.1)],
            &[("dev/environment.yaml", &head.0), ("dev/a.yaml", &head.1)],
        )
    };
    let (one, two) = (text("", "one"), text("", "two"));
    let suspended = text("  suspend: {reason: why}\n", "two");
    let ids = [of(&one, &two), of(&two, &one), of(&one, &one), of(&two, &two), of(&one, &suspended)];
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(id), "{index}");
    }
}

#[test]
fn a_value_that_only_a_secret_has_changes_the_id() {
    let file = environment("dev", "");
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: {value}}}\n")
    };
    let of = |value: &str| {
        id(
            &[("dev/environment.yaml", &file), ("dev/s.yaml", &secret("hunter1"))],
            &[("dev/environment.yaml", &file), ("dev/s.yaml", &secret(value))],
        )
    };
    assert_ne!(of("hunter2"), of("hunter3"));
}

#[test]
fn a_review_of_one_environment_has_the_same_id_for_it() {
    let (a, b) = (environment("a", ""), environment("b", ""));
    let review = compare(&[], &[("a/environment.yaml", &a), ("b/environment.yaml", &b)]);
    let one = review.clone().only(|name| name == "b");
    assert_eq!(one.environments[0].plan_id, review.environments[1].plan_id);
    assert_ne!(one.plan_id, review.plan_id);
}
