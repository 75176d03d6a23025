//! Values of Secrets: nowhere, in no form.

use base64::Engine as _;

use super::{below, dev};
use crate::review::markdown::{Comment, markdown};
use crate::review::{EnvironmentReview, Review};

/// Everything that is ever shown of a review.
fn shown(environment: EnvironmentReview) -> String {
    let review = Review { plan_id: crate::ids::Digest::of(b""), environments: vec![environment] };
    let comment = Comment { review: &review, base: "main", head: "HEAD", notes: &[], live: &[] };
    format!("{}\n{}", serde_json::to_string(&review).expect("JSON"), markdown(&comment))
}

/// Fails when one of these words, or its base64, is shown.
fn hides(text: &str, words: &[&str]) {
    for word in words {
        let encoded = base64::engine::general_purpose::STANDARD.encode(word);
        // The last digits depend on what follows.
        let mut stem = encoded.trim_end_matches('=').to_owned();
        stem.pop();
        assert!(!text.contains(word) && !text.contains(&stem), "{word}: {text}");
        assert!(!text.contains("sha:"), "{text}");
    }
}

fn secret(fields: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\n{fields}")
}

#[test]
fn a_changed_value_is_shown_as_changed_and_no_more() {
    let old = secret("stringData: {password: hunter2-old, user: jane}\n");
    let new = secret("stringData: {password: hunter2-new, user: jane}\n");
    let review = dev(("", &old), ("", &new));
    assert_eq!(
        below(&review.changes[0]),
        ["~ data.password: *** -> *** (a value of a Secret) @ environments/dev/all.yaml:4:24"]
    );
    hides(&shown(review), &["hunter2-old", "hunter2-new"]);
}

#[test]
fn values_that_come_or_go_show_their_keys_only() {
    let old = secret("stringData: {gone: hunter2-old}\n");
    let new = secret("stringData: {token: hunter2-new}\n");
    let review = dev(("", &old), ("", &new));
    let lines = below(&review.changes[0]);
    assert!(
        lines[0].starts_with("- data.gone: ***") && lines[1].starts_with("+ data.token: ***"),
        "{lines:?}"
    );
    hides(&shown(review), &["hunter2-old", "hunter2-new"]);
    let review = dev(("", ""), ("", &new));
    assert!(
        below(&review.changes[0]).contains(&"+   token: \"***\"".to_owned()),
        "{:?}",
        below(&review.changes[0])
    );
    hides(&shown(review), &["hunter2-new"]);
}

#[test]
fn a_value_that_is_substituted_into_a_secret_is_hidden_in_the_settings_too() {
    let text = secret("stringData: {url: \"postgres://jane:${PASSWORD}@db\"}\n---\n")
        + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {tag: \"${TAG}\"}\n";
    let settings =
        |password: &str, tag: &str| format!("  substitute: {{PASSWORD: {password}, TAG: {tag}}}\n");
    let review = dev((&settings("hunter2-old", "v1"), &text), (&settings("hunter2-new", "v2"), &text));
    let paths: Vec<(&str, bool)> =
        review.settings.iter().map(|edit| (edit.path.as_str(), edit.secret)).collect();
    assert_eq!(paths, [("spec.substitute.PASSWORD", true), ("spec.substitute.TAG", false)]);
    hides(&shown(review), &["hunter2-old", "hunter2-new"]);
}

#[test]
fn a_patch_of_a_secret_is_hidden_whatever_its_place() {
    let text = secret("stringData: {password: start}\n");
    let patches = |value: &str| {
        format!(
            "  patches:\n  - target: {{kind: Secret}}\n    merge: {{stringData: {{password: {value}}}}}\n"
        )
    };
    hides(
        &shown(dev((&patches("hunter2-old"), &text), (&patches("hunter2-new"), &text))),
        &["hunter2-old", "hunter2-new"],
    );
    hides(&shown(dev(("", &text), (&patches("hunter2-new"), &text))), &["hunter2-new"]);
    hides(&shown(dev((&patches("hunter2-old"), &text), ("", &text))), &["hunter2-old"]);
}

#[test]
fn the_copy_that_kubectl_leaves_is_hidden() {
    let with = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  annotations:\n    \
             kubectl.kubernetes.io/last-applied-configuration: '{{\"data\":\"{value}\"}}'\n"
        )
    };
    hides(
        &shown(dev(("", &with("hunter2-old")), ("", &with("hunter2-new")))),
        &["hunter2-old", "hunter2-new"],
    );
    hides(&shown(dev(("", ""), ("", &with("hunter2-new")))), &["hunter2-new"]);
}
