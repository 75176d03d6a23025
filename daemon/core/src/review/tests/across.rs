//! Several environments of one cluster.

use super::{compare, config_map, environment, problems, told};

fn review(adopt: &str, cluster: &str) -> Vec<Vec<String>> {
    let a = environment("a", "");
    let b = environment("b", adopt).replace("kubeconfig: {}", cluster);
    let (moving, staying) = (config_map("moving", "v"), config_map("staying", "v"));
    let other = config_map("other", "v");
    let review = compare(
        &[
            ("a/environment.yaml", &a),
            ("a/staying.yaml", &staying),
            ("a/moving.yaml", &moving),
            ("b/environment.yaml", &b),
            ("b/other.yaml", &other),
        ],
        &[
            ("a/environment.yaml", &a),
            ("a/staying.yaml", &staying),
            ("b/environment.yaml", &b),
            ("b/other.yaml", &other),
            ("b/moving.yaml", &moving),
        ],
    );
    review.environments.iter().map(told).collect()
}

#[test]
fn an_object_that_moves_is_said_on_both_sides() {
    assert_eq!(
        review("", "kubeconfig: {}"),
        [
            ["ConfigMap shop/moving: deleted; moves to `b`, which creates it once it is gone"],
            ["ConfigMap shop/moving: created; comes from `a`, once it is deleted there"],
        ]
    );
    assert_eq!(
        review("  adopt: [\"ConfigMap shop/moving\"]\n", "kubeconfig: {}"),
        [
            ["ConfigMap shop/moving: deleted; moves to `b`, unless that adopts it first"],
            ["ConfigMap shop/moving: created; comes from `a`, adopted if it is still there"],
        ]
    );
}

#[test]
fn objects_of_the_same_name_in_different_clusters_do_not_move() {
    assert_eq!(
        review("", "kubeconfig: {path: other}"),
        [["ConfigMap shop/moving: deleted"], ["ConfigMap shop/moving: created"]]
    );
}

#[test]
fn an_object_that_two_environments_define_is_an_error_with_both_places() {
    let (a, b) = (environment("a", ""), environment("b", ""));
    let map = config_map("shared", "v");
    let files = [
        ("a/environment.yaml", a.as_str()),
        ("a/m.yaml", &map),
        ("b/environment.yaml", &b),
        ("b/m.yaml", &map),
    ];
    let review = compare(&files, &files);
    let found = problems(&review.environments[1]);
    assert_eq!(
        found,
        ["environments/b/m.yaml:1:1: error[E0403]: ConfigMap shop/shared: environment `a` defines it too"]
    );
    let related = &review.environments[1].problems[0].related[0];
    assert_eq!(related.location.to_string(), "environments/a/m.yaml:1:1");
}
