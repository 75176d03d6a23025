//! Behaviour of the diff as a whole: what people read, and what drift is.

use serde_json::{Value, json};

use super::{FieldChange, describe, diff, drift_changes, to_patch};

fn lines(changes: &[FieldChange]) -> Vec<String> {
    changes.iter().map(describe).collect()
}

fn shown(old: &Value, new: &Value) -> Vec<String> {
    let mut patched = old.clone();
    json_patch::patch(&mut patched, &to_patch(old, new)).expect("our own patch applies");
    assert_eq!(&patched, new, "the patch gives the new object");
    lines(&diff(old, new))
}

fn deployment(containers: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "api", "labels": {"app.kubernetes.io/name": "api"}},
        "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}},
    })
}

#[test]
fn equal_objects_have_no_changes() {
    let object = deployment(&json!([{"name": "api", "image": "api:1"}]));
    assert!(shown(&object, &object.clone()).is_empty());
    assert!(to_patch(&object, &object.clone()).0.is_empty());
}

#[test]
fn a_changed_field_is_named_by_its_path_with_list_items_by_key() {
    let old = deployment(&json!([{"name": "proxy", "image": "proxy:1"}, {"name": "api", "image": "api:1"}]));
    let new = deployment(&json!([{"name": "proxy", "image": "proxy:1"}, {"name": "api", "image": "api:2"}]));
    assert_eq!(shown(&old, &new), ["spec.template.spec.containers[api].image: api:1 -> api:2"]);
    assert_eq!(diff(&old, &new)[0].pointer, "/spec/template/spec/containers/1/image");
}

#[test]
fn an_added_sidecar_in_front_is_one_change() {
    let old = deployment(&json!([{"name": "api", "image": "api:1"}]));
    let new = deployment(&json!([{"name": "proxy", "image": "p:1"}, {"name": "api", "image": "api:1"}]));
    let line = r#"spec.template.spec.containers[proxy]: {"image":"p:1","name":"proxy"}"#;
    assert_eq!(shown(&old, &new), [format!("+ {line}")]);
    assert_eq!(shown(&new, &old), [format!("- {line}")]);
    assert_eq!(
        diff(&new, &old)[0].pointer,
        "/spec/template/spec/containers/0",
        "a pointer into the old object"
    );
    assert_eq!(to_patch(&old, &new).0.len(), 1);
}

#[test]
fn a_changed_order_of_a_keyed_list_is_one_change_by_names() {
    let (a, b, c) = (json!({"name": "a"}), json!({"name": "b", "image": "x"}), json!({"name": "c"}));
    let old = deployment(&json!([a, b, c]));
    let new = deployment(&json!([c, a, {"name": "b", "image": "y"}]));
    assert_eq!(
        shown(&old, &new),
        [
            "spec.template.spec.containers[b].image: x -> y",
            r#"spec.template.spec.containers (order): ["a","b","c"] -> ["c","a","b"]"#,
        ]
    );
}

#[test]
fn names_with_dots_and_slashes_stand_in_brackets() {
    let old = json!({"metadata": {"labels": {"app.kubernetes.io/name": "a"}}});
    let new = json!({"metadata": {"labels": {"app.kubernetes.io/name": "b"}}});
    assert_eq!(shown(&old, &new), ["metadata.labels[app.kubernetes.io/name]: a -> b"]);
    assert_eq!(diff(&old, &new)[0].pointer, "/metadata/labels/app.kubernetes.io~1name");
}

#[test]
fn ports_go_by_number_and_protocol_with_tcp_as_the_default() {
    let old = json!({"spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}, {"port": 80, "name": "a"}]}});
    let new = json!({"spec": {"ports": [
        {"port": 53, "protocol": "UDP", "nodePort": 1}, {"port": 53, "protocol": "TCP"}, {"port": 80, "name": "b"}]}});
    assert_eq!(
        shown(&old, &new),
        ["+ spec.ports[53/UDP].nodePort: 1", "+ spec.ports[53].protocol: TCP", "spec.ports[80].name: a -> b"]
    );
}

#[test]
fn lists_with_missing_or_doubled_keys_go_by_position() {
    let old = json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]});
    let new = json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "3"}]});
    assert_eq!(shown(&old, &new), [r#"env[1].value: "2" -> "3""#]);
    let unnamed = json!({"env": [{"value": "1"}]});
    assert_eq!(shown(&unnamed, &json!({"env": [{"name": "A", "value": "1"}]})), ["+ env[0].name: A"]);
}

#[test]
fn a_rule_inserted_in_front_of_a_positional_list_is_one_change() {
    let rule = |host: &str| json!({"host": host, "http": {"paths": []}});
    let old = json!({"spec": {"rules": [rule("b"), rule("c")]}});
    let new = json!({"spec": {"rules": [rule("a"), rule("b"), rule("c")]}});
    assert_eq!(shown(&old, &new), [r#"+ spec.rules[0]: {"host":"a","http":{"paths":[]}}"#]);
    assert_eq!(shown(&new, &old), [r#"- spec.rules[0]: {"host":"a","http":{"paths":[]}}"#]);
}

#[test]
fn a_list_of_scalars_changes_as_a_whole() {
    let old = json!({"command": ["run", "--port", "80"]});
    let new = json!({"command": ["run", "--port", "81"]});
    assert_eq!(shown(&old, &new), [r#"command: ["run","--port","80"] -> ["run","--port","81"]"#]);
}

#[test]
fn numbers_are_equal_by_value_and_the_patch_still_carries_their_spelling() {
    assert!(shown(&json!({"a": 1, "b": [2]}), &json!({"a": 1.0, "b": [2.0]})).is_empty());
    assert!(shown(&json!({"a": 0}), &json!({"a": -0.0})).is_empty());
    assert_eq!(shown(&json!({"a": 1}), &json!({"a": 1.5})), ["a: 1 -> 1.5"]);
    assert_eq!(shown(&json!({"a": i64::MAX}), &json!({"a": i64::MAX - 1})).len(), 1);
    assert_eq!(shown(&json!({"a": 1}), &json!({"a": "1"})), [r#"a: 1 -> "1""#]);
}

#[test]
fn quantities_are_equal_by_value_only_where_kubernetes_reads_quantities() {
    let limits = |cpu: Value| json!({"spec": {"resources": {"limits": {"cpu": cpu}}}});
    assert!(shown(&limits(json!("1000m")), &limits(json!("1"))).is_empty());
    assert!(shown(&limits(json!("0.5")), &limits(json!("500m"))).is_empty());
    assert!(shown(&limits(json!(1)), &limits(json!("1"))).is_empty());
    assert_eq!(shown(&limits(json!("1")), &limits(json!("2"))).len(), 1);
    for (old, new) in [
        (json!({"data": {"capacity": "1000m"}}), json!({"data": {"capacity": "1"}})),
        (
            json!({"metadata": {"annotations": {"hard": "1.0"}}}),
            json!({"metadata": {"annotations": {"hard": "1"}}}),
        ),
        (json!({"spec": {"version": "1.0"}}), json!({"spec": {"version": "1"}})),
    ] {
        assert_eq!(shown(&old, &new).len(), 1, "{old} and {new} differ");
    }
}

#[test]
fn null_absent_and_empty_all_differ() {
    for value in [json!(null), json!({}), json!([])] {
        assert_eq!(shown(&json!({}), &json!({"a": value})).len(), 1);
        assert_eq!(shown(&json!({"a": value}), &json!({})).len(), 1);
    }
    assert_eq!(shown(&json!({"a": {}}), &json!({"a": []})).len(), 1);
}

#[test]
fn long_values_are_cut_to_where_they_differ() {
    let long = "x".repeat(300);
    let line = &shown(&json!({"a": format!("{long}1")}), &json!({"a": format!("{long}2")}))[0];
    assert_eq!(*line, format!("a: …{x}1 -> …{x}2", x = "x".repeat(16)));
    let line = &shown(&json!({}), &json!({"a": long}))[0];
    assert_eq!(*line, format!("+ a: {}…", "x".repeat(80)));
}

#[test]
fn values_and_names_cannot_play_with_the_terminal() {
    for line in shown(&json!({}), &json!({"a\u{1b}[2J": "\u{9b}31m", "b": "\u{1b}[0m"})) {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn texts_that_could_be_other_values_are_quoted() {
    let texts = json!({"a": "true", "b": "1", "c": "", "d": "two words", "e": "plain"});
    assert_eq!(
        shown(&json!({}), &texts),
        [r#"+ a: "true""#, r#"+ b: "1""#, r#"+ c: """#, r#"+ d: "two words""#, "+ e: plain"]
    );
}

#[test]
fn deep_values_end_in_one_change_instead_of_a_deep_walk() {
    let deep = |leaf: Value| (0..150).fold(leaf, |inner, _| json!({"a": [{"n": inner}]}));
    assert_eq!(shown(&deep(json!(1)), &deep(json!(2))).len(), 1);
}

#[test]
fn drift_leaves_out_status_and_what_the_server_sets() {
    let live = json!({
        "kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {"name": "a", "uid": "1", "generation": 1, "resourceVersion": "5", "creationTimestamp": "t",
                     "managedFields": [{"manager": "x"}], "labels": {"a": "b"}},
        "spec": {"replicas": 3}, "status": {"replicas": 3},
    });
    let mut answer = live.clone();
    answer["metadata"]["generation"] = json!(2);
    answer["metadata"]["resourceVersion"] = json!("6");
    answer["metadata"]["managedFields"] = json!([]);
    answer["status"] = json!({});
    assert!(drift_changes(&live, &answer, b"key").is_empty());
    answer["spec"]["replicas"] = json!(5);
    answer["metadata"]["labels"]["a"] = json!("c");
    assert_eq!(
        lines(&drift_changes(&live, &answer, b"key")),
        ["metadata.labels.a: b -> c", "spec.replicas: 3 -> 5"]
    );
}

#[test]
fn drift_of_a_secret_names_the_key_and_never_shows_a_value() {
    let secret =
        |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": data});
    let live = secret(json!({"password": "b2xk", "user": "c2FtZQ=="}));
    let answer = secret(json!({"password": "bmV3", "user": "c2FtZQ==", "token": "dG9r"}));
    let changes = drift_changes(&live, &answer, b"key");
    let shown = lines(&changes);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].starts_with("data.password: ***sha:"), "{}", shown[0]);
    assert!(shown[1].starts_with("+ data.token: ***sha:"), "{}", shown[1]);
    assert_ne!(changes[0].old, changes[0].new);
    let everything = format!("{changes:?}");
    assert!(
        !["b2xk", "bmV3", "c2FtZQ", "dG9r"].iter().any(|value| everything.contains(value)),
        "{everything}"
    );
    assert_ne!(drift_changes(&live, &answer, b"other key")[0].old, changes[0].old, "the key counts");
}

#[test]
fn a_secret_that_gains_its_whole_data_is_masked_too() {
    let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}});
    let mut answer = live.clone();
    answer["data"] = json!({"password": "aHVudGVyMg=="});
    answer["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":\"aHVudGVyMg==\"}"});
    let shown = lines(&drift_changes(&live, &answer, b"key")).join("\n");
    assert!(shown.contains("password") && !shown.contains("aHVudGVyMg"), "{shown}");
}
