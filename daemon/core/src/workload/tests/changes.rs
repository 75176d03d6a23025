//! What a revision changes against what is live, with its places.

use serde_json::{Value, json};

use super::super::Workload;
use super::shop::{Shop, config_map};
use crate::object::DesiredObject;
use crate::rollout::{Changes, Slot};

fn with_settings(text: &str, password: &str) -> Shop {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": { "name": "key" },
        "stringData": { "password": password },
    });
    let from = json!([{ "configMapRef": { "name": "settings" } }, { "secretRef": { "name": "key" } }]);
    Shop::new()
        .web("/spec/template/spec/containers/0/envFrom", from)
        .with(config_map("settings", text))
        .with(secret)
}

fn between(old: &Shop, new: &Workload, secrets: &[&DesiredObject]) -> Changes {
    let kept = old.workload().slot(Slot::Blue, "c1");
    new.changes_from(Slot::Blue, &kept, false, secrets)
}

/// `object field: old -> new` of each.
fn said(changes: &Changes) -> Vec<String> {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let line = |change: &crate::rollout::ChangedField| {
        format!("{} {}: {} -> {}", change.object, change.field, side(&change.old), side(&change.new))
    };
    changes.fields.iter().map(line).collect()
}

#[test]
fn the_fields_of_the_template_and_of_its_configuration_are_told_by_their_names_in_git() {
    let old = with_settings("info", "hunter2");
    let new = with_settings("debug", "hunter2").web("/spec/template/spec/containers/0/image", json!("web:2"));
    assert_eq!(
        said(&between(&old, &new.workload(), &[])),
        [
            "Deployment shop/web spec.template.spec.containers[web].image: \"web:1\" -> \"web:2\"",
            "ConfigMap shop/settings data.level: \"info\" -> \"debug\"",
        ]
    );
    assert_eq!(between(&old, &old.workload(), &[]), Changes::default());
}

#[test]
fn values_of_secrets_are_not_told_nor_what_repeats_them() {
    let old = with_settings("info", "hunter2");
    let new = with_settings("is hunter3 now", "hunter3");
    let workload = new.workload();
    let secrets: Vec<_> =
        new.split().ordinary.iter().filter(|one| one.reference.gvk.kind == "Secret").cloned().collect();
    assert_eq!(secrets.len(), 1);
    let secrets: Vec<&DesiredObject> = secrets.iter().map(AsRef::as_ref).collect();
    assert_eq!(
        said(&between(&old, &workload, &secrets)),
        ["ConfigMap shop/settings data.level: \"info\" -> ***", "Secret shop/key data.password: - -> -",]
    );
}

#[test]
fn of_many_changes_the_first_are_told_and_the_rest_counted() {
    let env: Vec<Value> = (0..9).map(|n| json!({ "name": format!("N{n}"), "value": "1" })).collect();
    let new = Shop::new()
        .web("/spec/template/spec/containers/0/env", json!(env))
        .web("/spec/template/spec/containers/0/image", json!("web:2"));
    let old_env: Vec<Value> = (0..9).map(|n| json!({ "name": format!("N{n}"), "value": "0" })).collect();
    let old = Shop::new().web("/spec/template/spec/containers/0/env", json!(old_env));
    let changes = between(&old, &new.workload(), &[]);
    assert_eq!((changes.fields.len(), changes.further), (5, 5));
    assert_eq!(changes.fields[0].new.as_deref(), Some("\"web:2\""), "what is released comes first");
}

#[test]
fn a_restart_that_is_asked_for_is_a_change_and_what_goes_is_told_too() {
    let old = Shop::new().web("/spec/template/spec/containers/0/args", json!(["--fast"]));
    let restart = json!({ "tidegate.dev/rollout-restart": "again" });
    let new = Shop::new().web("/metadata/annotations", restart);
    assert_eq!(
        said(&between(&old, &new.workload(), &[])),
        [
            "Deployment shop/web spec.template.spec.containers[web].args: [\"--fast\"] -> -",
            "Deployment shop/web metadata.annotations[tidegate.dev/rollout-restart]: - -> \"again\"",
        ]
    );
}

#[test]
fn defaults_that_an_adopted_deployment_shows_are_no_changes() {
    let live = Shop::new().web("/spec/template/spec/restartPolicy", json!("Always"));
    let kept = live.workload().slot(Slot::Blue, "c1");
    let new = Shop::new().web("/spec/template/spec/containers/0/image", json!("web:2")).workload();
    let changes = new.changes_from(Slot::Blue, &kept, true, &[]);
    assert_eq!(
        said(&changes),
        ["Deployment shop/web spec.template.spec.containers[web].image: \"web:1\" -> \"web:2\""]
    );
}
