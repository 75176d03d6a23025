//! Changed fields: old and new, where they stand, which of them cannot change.

use super::{below, config_map, dev, environment, told};
use crate::review::{Action, Standing, Way};

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        args: [serve, --port=80]
";

#[test]
fn equal_states_have_no_changes() {
    let review = dev(("", DEPLOYMENT), ("", DEPLOYMENT));
    assert_eq!((review.standing, review.line().as_str()), (Standing::Unchanged, "no changes"));
    assert!(!review.has_news());
}

#[test]
fn a_changed_field_is_shown_old_and_new_at_the_place_that_asks_for_it() {
    let head = DEPLOYMENT.replace("web:1", "web:2").replace("replicas: 2\n", "replicas: 3\n  paused: true\n");
    let review = dev(("", DEPLOYMENT), ("", &head));
    assert_eq!(told(&review), ["Deployment shop/web: updated"]);
    assert_eq!(
        below(&review.changes[0]),
        [
            "+ spec.paused: true @ environments/dev/all.yaml:6:11",
            "~ spec.replicas: 2 -> 3 @ environments/dev/all.yaml:5:13",
            "~ spec.template.spec.containers[web].image: web:1 -> web:2 @ environments/dev/all.yaml:13:16",
        ]
    );
    assert_eq!(review.line(), "1 update");
}

#[test]
fn a_field_that_goes_is_shown_where_it_stood() {
    let head = DEPLOYMENT.replace("        args: [serve, --port=80]\n", "");
    let review = dev(("", DEPLOYMENT), ("", &head));
    let lines = below(&review.changes[0]);
    assert_eq!(
        lines,
        [
            "- spec.template.spec.containers[web].args: [\"serve\",\"--port=80\"] @ was environments/dev/all.yaml:13:9"
        ]
    );
}

#[test]
fn a_substituted_value_stands_where_it_is_used_and_where_it_is_set() {
    let text = DEPLOYMENT.replace("web:1", "web:${TAG}");
    let review = dev(("  substitute: {TAG: v1}\n", &text), ("  substitute: {TAG: v2}\n", &text));
    assert_eq!(
        below(&review.changes[0]),
        ["~ spec.template.spec.containers[web].image: web:v1 -> web:v2 @ environments/dev/all.yaml:12:16"]
    );
    let setting = &review.settings[0];
    assert_eq!(setting.path, "spec.substitute.TAG");
    assert_eq!(setting.location.to_string(), "environments/dev/environment.yaml:7:21");
}

#[test]
fn a_patched_value_stands_in_the_patch() {
    let patch = |count: u32| {
        format!(
            "  patches:\n  - target: {{kind: Deployment}}\n    patch:\n    - {{op: replace, path: /spec/replicas, value: {count}}}\n"
        )
    };
    let review = dev((&patch(3), DEPLOYMENT), (&patch(4), DEPLOYMENT));
    assert_eq!(
        below(&review.changes[0]),
        ["~ spec.replicas: 3 -> 4 @ environments/dev/environment.yaml:10:7"]
    );
}

#[test]
fn a_text_of_many_lines_is_compared_line_by_line() {
    let map = |lines: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  nginx.conf: |\n{lines}")
    };
    let old = map("    one\n    two\n    three\n    four\n    five\n");
    let new = map("    one\n    two\n    3\n    four\n    five\n    six\n");
    let review = dev(("", &old), ("", &new));
    assert_eq!(
        below(&review.changes[0]),
        [
            "~ data[nginx.conf]: @ environments/dev/all.yaml:6:5",
            "  one",
            "  two",
            "- three",
            "+ 3",
            "  four",
            "  five",
            "+ six",
        ]
    );
}

#[test]
fn a_difference_in_the_middle_of_a_long_line_is_never_cut_away() {
    let line = |word: &str| format!("\"{}{word}{}\"", "x".repeat(500), "y".repeat(500));
    let review = dev(("", &config_map("a", &line("OLD"))), ("", &config_map("a", &line("NEW"))));
    let lines = below(&review.changes[0]);
    let last = lines.last().map(String::as_str).unwrap_or_default();
    assert!(last.contains("xOLDy") && last.contains("xNEWy"), "{lines:?}");
}

#[test]
fn what_is_created_is_shown() {
    let review = dev(("", ""), ("", &config_map("a", "value")));
    assert_eq!(told(&review), ["ConfigMap shop/a: created"]);
    assert!(below(&review.changes[0]).contains(&"+   key: value".to_owned()));
}

#[test]
fn another_selector_of_a_deployment_is_refused_and_named_where_it_stands() {
    let head = DEPLOYMENT.replace("app: web}", "app: shop}");
    let review = dev(("", DEPLOYMENT), ("", &head));
    assert_eq!(review.changes[0].action, Action::Replace { way: Way::Refused });
    assert_eq!(
        super::problems(&review),
        [
            "environments/dev/all.yaml:6:33: error[E0402]: Deployment shop/web: spec.selector.matchLabels.app: this field cannot change"
        ]
    );
}

#[test]
fn kinds_without_state_are_replaced_by_recreating_them() {
    let job = |image: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: migrate}}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
             containers: [{{name: main, image: {image}}}]\n"
        )
    };
    let review = dev(("", &job("a:1")), ("", &job("a:2")));
    assert_eq!(told(&review), ["Job shop/migrate: replaced: deleted and created anew"]);
    assert_eq!(review.counts.errors, 0);
}

/// Kind, manifest with `@` where the value stands, old and new value, and whether it can change.
const CASES: &[(&str, &str, &str, &str, bool)] = &[
    ("v1 Service", "spec: {clusterIP: @, ports: [{port: 80}]}", "None", "10.96.7.7", false),
    ("v1 Service", "spec: {sessionAffinity: @, ports: [{port: 80}]}", "None", "ClientIP", true),
    (
        "v1 PersistentVolumeClaim",
        "spec: {accessModes: [@], resources: {requests: {storage: 1Gi}}}",
        "ReadWriteOnce",
        "ReadWriteMany",
        false,
    ),
    (
        "v1 PersistentVolumeClaim",
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: @}}}",
        "1Gi",
        "2Gi",
        true,
    ),
    (
        "apps/v1 StatefulSet",
        "spec: {serviceName: @, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}}}",
        "a",
        "b",
        false,
    ),
    (
        "apps/v1 StatefulSet",
        "spec: {replicas: @, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}}}",
        "1",
        "2",
        true,
    ),
    ("v1 ConfigMap", "immutable: true\ndata: {a: \"@\"}", "1", "2", false),
    ("v1 ConfigMap", "data: {a: \"@\"}", "1", "2", true),
    ("v1 Secret", "type: \"@\"", "Opaque", "example.com/mine", false),
    (
        "rbac.authorization.k8s.io/v1 RoleBinding",
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: @}",
        "a",
        "b",
        false,
    ),
];

#[test]
fn fields_that_cannot_change_are_known_and_others_are_not() {
    for (kind, manifest, old, new, can_change) in CASES {
        let (version, name) = kind.split_once(' ').expect("version and kind");
        let text = |value: &str| {
            format!(
                "apiVersion: {version}\nkind: {name}\nmetadata: {{name: a}}\n{}\n",
                manifest.replace('@', value)
            )
        };
        let review = dev(("", &text(old)), ("", &text(new)));
        let can = review.changes[0].action == Action::Update;
        assert_eq!(can, *can_change, "{kind} {manifest}: {:?}", told(&review));
    }
}

#[test]
fn a_default_that_is_written_down_is_no_replacement() {
    let set = |line: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: a}}\nspec:\n  serviceName: a\n{line}  \
             selector: {{matchLabels: {{a: b}}}}\n  template: {{metadata: {{labels: {{a: b}}}}}}\n"
        )
    };
    let review = dev(("", &set("")), ("", &set("  podManagementPolicy: OrderedReady\n")));
    assert_eq!(review.changes[0].action, Action::Update);
    let review = dev(("", &set("")), ("", &set("  podManagementPolicy: Parallel\n")));
    assert_eq!(review.changes[0].action, Action::Replace { way: Way::Refused });
}

#[test]
fn a_field_that_is_left_to_others_is_said_to_be() {
    let ignore = "  ignore: [{kind: Deployment, pointers: [/spec/replicas]}]\n";
    let head = DEPLOYMENT.replace("replicas: 2", "replicas: 5");
    let review = dev((ignore, DEPLOYMENT), (ignore, &head));
    assert_eq!(
        below(&review.changes[0]),
        ["~ spec.replicas: 2 -> 5 (left to others: the live value stays) @ environments/dev/all.yaml:5:13"]
    );
}

#[test]
fn places_begin_at_the_root_of_the_repository() {
    let files = |text: &str| -> crate::tree::FileTree {
        [
            ("environments/dev/environment.yaml", environment("dev", "")),
            ("environments/dev/all.yaml", text.to_owned()),
        ]
        .into_iter()
        .map(|(path, text)| (path, text.into_bytes()))
        .collect()
    };
    let complete = |text: &str| {
        let super::Side::Complete(complete) = super::side(&files(text), "dev") else { panic!("it is whole") };
        let complete = super::Complete::clone(&complete);
        super::Side::Complete(std::sync::Arc::new(super::Complete { prefix: "ops/".to_owned(), ..complete }))
    };
    let compared = super::Compared {
        name: "dev".to_owned(),
        base: complete(DEPLOYMENT),
        head: complete(&DEPLOYMENT.replace("web:1", "web:2")),
        base_problems: Vec::new(),
        notes: Vec::new(),
    };
    let review = super::review(&[compared]);
    let change = &review.environments[0].changes[0];
    assert_eq!(change.location.to_string(), "ops/environments/dev/all.yaml:1:1");
    assert_eq!(change.fields[0].location.to_string(), "ops/environments/dev/all.yaml:12:16");
}
