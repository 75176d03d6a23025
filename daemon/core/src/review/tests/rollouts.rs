//! What becomes of workloads that roll out in colours.

use super::{EnvironmentReview, compare, environment, lines, told, told_line};
use crate::review::{Standing, markdown};

/// A web server of this image and size.
fn web(image: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec: {{containers: [{{name: web, image: {image}, readinessProbe: {{tcpSocket: {{port: 80}}}}}}]}}\n{SERVICE}"
    )
}

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";

const SCALER: &str = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec: \
                      {minReplicas: 4, maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}\n";

/// A policy with further lines of `spec` (indented by two).
fn policy(further: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {{name: blue-green}}\nspec:\n  match: {{names: [web]}}\n{further}"
    )
}

const GATES: &str = "  gates:\n    beforeSwitch: [{name: smoke, http: {path: /}}, {name: port, tcp: {}}]\n    \
                     whileBaking: [{name: up, lbHealth: {}}]\n  bake: {duration: 5m}\n";

/// A side: manifests, and the policy where the environment names one.
struct Side<'a> {
    manifests: &'a str,
    policy: Option<&'a str>,
}

fn coloured<'a>(manifests: &'a str, policy: &'a str) -> Side<'a> {
    Side { manifests, policy: Some(policy) }
}

fn ordinary(manifests: &str) -> Side<'_> {
    Side { manifests, policy: None }
}

fn review(base: &Side<'_>, head: &Side<'_>) -> EnvironmentReview {
    let settings = |side: &Side<'_>| {
        environment("dev", if side.policy.is_some() { "  policies: [blue-green]\n" } else { "" })
    };
    let (old, new) = (settings(base), settings(head));
    let files = |side: &Side<'_>, settings: &str| -> Vec<(String, String)> {
        let policy = side.policy.map(|policy| ("policies/p.yaml".to_owned(), policy.to_owned()));
        let own = [("dev/environment.yaml", settings), ("dev/all.yaml", side.manifests)];
        let own = own.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned()));
        own.chain(policy).collect()
    };
    let (old, new) = (files(base, &old), files(head, &new));
    let old: Vec<(&str, &str)> = old.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let new: Vec<(&str, &str)> = new.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    compare(&old, &new).environments.remove(0)
}

/// What is said of the workloads, revisions left out.
fn said(review: &EnvironmentReview) -> Vec<String> {
    let lines = review.rollouts.iter().flat_map(lines::of_rollout).map(|line| told_line(&line));
    let known = review.rollouts.iter().flat_map(|rollout| rollout.from.into_iter().chain(rollout.to));
    let names: Vec<String> =
        known.map(|revision| crate::ids::short(&revision.to_string()).to_owned()).collect();
    let hidden = |text: String| names.iter().fold(text, |text, name| text.replace(name, "REV"));
    lines.map(hidden).collect()
}

#[test]
fn another_revision_is_a_rollout_with_its_gates_and_its_pods() {
    let (old, new, policy) = (web("web:1", 3), web("web:2", 3), policy(GATES));
    let review = review(&coloured(&old, &policy), &coloured(&new, &policy));
    assert_eq!(
        said(&review),
        [
            "~ rollout: Deployment shop/web REV -> REV: beside the live colour 3 pods more, until the bake closes @ environments/dev/all.yaml:1:1",
            "  gates before the switch: smoke (http), port (tcp)",
            "  gates while baking: up (lbHealth)",
            "  bake 5m, at most 30m; drain 30s; by the policy blue-green",
        ]
    );
    let rollout = &review.rollouts[0];
    assert!(rollout.from.is_some() && rollout.to.is_some() && rollout.from != rollout.to);
    assert_eq!(review.line(), "1 update, 1 rollout");
}

#[test]
fn an_autoscaler_says_how_many_pods_there_may_be() {
    let (old, new, policy) = (web("web:1", 3), web("web:2", 3), policy(""));
    let (old, new) = (format!("{old}{SCALER}"), format!("{new}{SCALER}"));
    let review = review(&coloured(&old, &policy), &coloured(&new, &policy));
    let said = said(&review);
    assert!(said[0].contains("beside the live colour 4 to 9 pods more"), "{said:?}");
    assert_eq!(said[1], "  gates before the switch: none but readiness");
}

#[test]
fn what_the_pods_ask_for_is_told_for_all_of_them_where_their_manifest_says_so() {
    let asking = |image: &str| {
        let resources = "resources: {requests: {cpu: 250m, memory: 128Mi}}, readinessProbe";
        web(image, 3).replace("readinessProbe", resources)
    };
    let (old, new, policy) = (asking("web:1"), asking("web:2"), policy(""));
    let review_of = |old: &str, new: &str| review(&coloured(old, &policy), &coloured(new, &policy));
    let first = |review: &EnvironmentReview| said(review).first().cloned().unwrap_or_default();
    let told = first(&review_of(&old, &new));
    assert!(told.contains("3 pods more (750m CPU, 384Mi memory), until the bake closes"), "{told}");
    let told = first(&review_of(&format!("{old}{SCALER}"), &format!("{new}{SCALER}")));
    let bounds = "4 to 9 pods more (1 CPU, 512Mi memory; at most 2250m CPU, 1152Mi memory), until";
    assert!(told.contains(bounds), "{told}");
    let told = first(&review_of("", &new));
    assert!(told.contains("3 pods (750m CPU, 384Mi memory), with traffic once"), "{told}");
}

#[test]
fn sizes_change_in_place_without_a_rollout() {
    let (old, new, policy) = (web("web:1", 3), web("web:1", 5), policy(""));
    let review = review(&coloured(&old, &policy), &coloured(&new, &policy));
    assert_eq!(
        said(&review),
        [
            "  rollout: Deployment shop/web stays at REV: what changes is changed in place, on the colour that is live, without a rollout @ environments/dev/all.yaml:1:1"
        ]
    );
    assert_eq!(review.line(), "1 update");
}

#[test]
fn other_gates_are_a_change_though_no_object_changes() {
    let (same, old, new) = (web("web:1", 3), policy(""), policy(GATES));
    let changed = review(&coloured(&same, &old), &coloured(&same, &new));
    assert_eq!(changed.standing, Standing::Changed);
    assert_eq!(
        said(&changed),
        [
            "  rollout: Deployment shop/web stays at REV: its next rollout goes by other gates or times @ environments/dev/all.yaml:1:1"
        ]
    );
    let moved = format!("# a line\n{new}");
    let same = (
        review(&coloured(&same, &new), &coloured(&same, &moved)),
        review(&coloured(&same, &new), &coloured(&same, &new)),
    );
    assert_eq!((same.0.standing, said(&same.0).len()), (Standing::Unchanged, 0));
    assert_eq!(same.0.plan_id, same.1.plan_id, "places are not in the id");
    assert_ne!(changed.plan_id, same.1.plan_id);
}

#[test]
fn a_workload_begins_is_taken_over_goes_back_and_leaves() {
    let (web, policy) = (web("web:1", 1), policy(""));
    let none = policy_of_none();
    let first =
        |base: &Side<'_>, head: &Side<'_>| said(&review(base, head)).first().cloned().unwrap_or_default();
    let colours = || coloured(&web, &policy);
    let begins = first(&coloured("", &policy), &colours());
    assert!(
        begins.starts_with("+ rollout: Deployment shop/web begins at REV: 1 pod, with traffic once"),
        "{begins}"
    );
    let taken = first(&ordinary(&web), &colours());
    assert!(taken.contains("is taken over and rolls out to REV: its pods are restarted once"), "{taken}");
    let back = first(&coloured(&web, &none), &colours());
    assert!(back.contains("is taken over"), "{back}");
    let leaves = first(&colours(), &coloured(&web, &none));
    assert!(leaves.starts_with("~ rollout: Deployment shop/web goes back to having no colours"), "{leaves}");
    let unmatched = first(&colours(), &ordinary(&web));
    assert!(
        unmatched.starts_with("- rollout: Deployment shop/web is matched by no policy any more"),
        "{unmatched}"
    );
    let gone = first(&colours(), &coloured("", &policy));
    assert!(gone.starts_with("- rollout: Deployment shop/web leaves git"), "{gone}");
    assert!(gone.ends_with("@ was environments/dev/all.yaml:1:1"), "{gone}");
    assert_eq!(first(&coloured(&web, &none), &ordinary(&web)), "", "it had none");
}

fn policy_of_none() -> String {
    policy("  traffic: {mode: none}\n")
}

#[test]
fn a_retry_is_a_rollout_of_the_same_revision() {
    let (old, policy) = (web("web:1", 1), policy(""));
    let new = old.replace(
        "{name: web}\nspec:\n  replicas",
        "{name: web, annotations: {tidegate.dev/retry: \"1\"}}\nspec:\n  replicas",
    );
    let review = review(&coloured(&old, &policy), &coloured(&new, &policy));
    let said = said(&review);
    assert!(said[0].contains("REV is tried again: beside the live colour 1 pod more"), "{said:?}");
}

#[test]
fn the_selector_of_a_workload_in_colours_may_change() {
    let (old, policy) = (web("web:1", 1), policy(""));
    let new = old
        .replace("matchLabels: {app: web}", "matchLabels: {app: web, tier: a}")
        .replace("labels: {app: web}}\n    spec", "labels: {app: web, tier: a}}\n    spec");
    let coloured = review(&coloured(&old, &policy), &coloured(&new, &policy));
    assert_eq!(told(&coloured), ["Deployment shop/web: updated"]);
    let plain = review(&ordinary(&old), &ordinary(&new));
    assert_eq!(told(&plain), ["Deployment shop/web: refused: a field that cannot change"]);
}

#[test]
fn a_comment_shows_rollouts_before_everything_that_changes() {
    let (old, new, policy) = (web("web:1", 3), web("web:2", 3), policy(GATES));
    let environment = review(&coloured(&old, &policy), &coloured(&new, &policy));
    let review =
        crate::review::Review { plan_id: crate::ids::Digest::of(b""), environments: vec![environment] };
    let comment = markdown::Comment { review: &review, base: "main", head: "topic", notes: &[], live: &[] };
    let text = markdown::markdown(&comment);
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} is missing: {text}"));
    assert!(place("**Rollouts**") < place("dev: rollout: Deployment shop/web"));
    assert!(place("smoke (http), port (tcp)") < place("Deployment shop/web: updated"));
}
