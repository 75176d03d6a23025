//! The shipped policies by the real program: what they let through, what they do not, and how a broken one is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests end with the first thing that is not as it should be"
)]

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use std::sync::Arc;

use program::{text, tidegate};
use serde_json::{Value, json};
use tidegate_core::desired::{discover, load};
use tidegate_core::health::judge;
use tidegate_core::object::{Gvk, Scope};
use tidegate_core::observed::Observed;
use tidegate_core::policy::{Policies, PolicyFolder, WindowState, window_state};
use tidegate_core::problem::Code;
use tidegate_core::schema::Catalogue;
use tidegate_core::summarize::{detail_of, id_of, summarize};
use tidegate_core::tree::FileTree;
use tidegate_core::workload::{Workload, split};

/// Every shipped policy but those for rollouts, which match workloads of their own: [`WEB`] and the example's house-price.
const ALL: &str =
    "office-hours, year-end, named-images, no-privileges, memory-limits, certificate, external-secret";

/// A repository with the shipped policies, and an environment that names these, with a Deployment.
fn repository(policies: &str, deployment: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, text).expect("a file");
    };
    for (name, policy) in [
        ("blue-green", include_str!("../../policies/blue-green.yaml")),
        ("change-windows", include_str!("../../policies/change-windows.yaml")),
        ("guardrails", include_str!("../../policies/guardrails.yaml")),
        ("health-rules", include_str!("../../policies/health-rules.yaml")),
        ("house-price", include_str!("../../policies/house-price.yaml")),
    ] {
        write(&format!("policies/{name}.yaml"), policy);
    }
    let environment = "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n  \
                       cluster: {kubeconfig: {}}\n  namespaces: [shop]\n";
    write("environments/dev/environment.yaml", &format!("{environment}  policies: [{policies}]\n"));
    write("environments/dev/web.yaml", deployment);
    folder
}

fn deployment(container: &str, pod: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  \
         template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      {pod}\n      containers:\n      - {{name: main, {container}}}\n"
    )
}

/// The exit code, and what is said of problems.
fn validated(folder: &Path) -> (i32, Vec<String>) {
    let output = tidegate(folder, &["validate", "-o", "json"]);
    let data: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let problems = data["environments"][0]["problems"].as_array().cloned().unwrap_or_default();
    let said = |problem: &Value| {
        format!(
            "{}: {}",
            problem["severity"].as_str().unwrap_or_default(),
            problem["message"].as_str().unwrap_or_default()
        )
    };
    (output.status.code().unwrap_or(-1), problems.iter().map(said).collect())
}

const LIMIT: &str = "resources: {limits: {memory: 64Mi}}";

#[test]
fn the_shipped_policies_let_a_good_deployment_through() {
    for image in ["example.com/web:1.4", "localhost:5000/web:1.4", "example.com/web@sha256:0123456789abcdef"]
    {
        let folder = repository(ALL, &deployment(&format!("image: \"{image}\", {LIMIT}"), ""));
        assert_eq!(validated(folder.path()), (0, Vec::new()), "{image}");
    }
}

#[test]
fn the_shipped_guardrails_stop_what_they_say() {
    let image =
        "error: images are named by a tag that is not latest, or by a digest (guardrail `named-images`)";
    let privileged = "error: no container is privileged (guardrail `no-privileges`)";
    let network = "error: no pod uses the network of its node (guardrail `no-privileges`)";
    let memory = "warning: no memory limit: main (guardrail `memory-limits`)";
    let good = "image: \"example.com/web:1.4\"";
    let cases = [
        (format!("image: example.com/web, {LIMIT}"), "", 2, image),
        (format!("image: \"localhost:5000/web\", {LIMIT}"), "", 2, image),
        (format!("image: \"example.com/web:latest\", {LIMIT}"), "", 2, image),
        (format!("{good}, {LIMIT}, securityContext: {{privileged: true}}"), "", 2, privileged),
        (format!("{good}, {LIMIT}"), "hostNetwork: true", 2, network),
        (good.to_owned(), "", 0, memory),
    ];
    for (container, pod, code, expected) in cases {
        let folder = repository(ALL, &deployment(&container, pod));
        assert_eq!(validated(folder.path()), (code, vec![expected.to_owned()]), "{container} {pod}");
        let unnamed = repository("office-hours", &deployment(&container, pod));
        assert_eq!(validated(unnamed.path()), (0, Vec::new()), "a policy holds for who names it");
    }
}

#[test]
fn a_broken_policy_is_told_once_with_its_place_also_when_nobody_names_it() {
    let web = deployment(&format!("image: \"example.com/web:1.4\", {LIMIT}"), "");
    for (policies, environments) in [("office-hours", "✔ dev: 1 object"), ("broken", "✖ dev: 1 error")] {
        let folder = repository(policies, &web);
        let broken = "apiVersion: tidegate.dev/v1\nkind: HealthRule\nmetadata: {name: broken}\n\
                      spec: {group: a.io, kind: A, healthy: objekt.ok}\n";
        std::fs::write(folder.path().join("policies/broken.yaml"), broken).expect("a file");
        let output = tidegate(folder.path(), &["validate"]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let message = "error[E0201]: spec.healthy: there is no variable `objekt`; did you mean `object`?\n  --> policies/broken.yaml:4:39";
        assert_eq!(said.matches(message).count(), 1, "{said}");
        assert!(said.contains("policies/: 1 error") && said.contains(environments), "{said}");
        let one = tidegate(folder.path(), &["validate", "--env", "dev"]);
        assert_eq!(one.status.success(), policies == "office-hours", "{}", text(&one.stdout));
    }
}

#[test]
fn the_schema_of_every_kind_of_policy_is_printed() {
    for kind in ["rollout-policy", "change-window", "guardrail", "health-rule"] {
        let output = tidegate(Path::new("/"), &["schema", kind]);
        let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let title = format!("Tidegate {}", kind.replace('-', " "));
        assert_eq!(schema["title"].as_str(), Some(title.as_str()));
    }
}

const WEB: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n---\n\
                   apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  \
                   template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      - name: web\n        \
                   image: example.com/web:1\n        readinessProbe: {tcpSocket: {port: 8080}}\n";

/// What `validate` prints where an environment names these rollout policies for `WEB`, each with the rest of its `spec`.
fn told(policies: &[(&str, &str)], web: &str) -> (i32, String) {
    let names: Vec<&str> = policies.iter().map(|(name, _)| *name).collect();
    let folder = repository(&names.join(", "), web);
    for (name, spec) in policies {
        let text = format!(
            "apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {{name: {name}}}\nspec:\n{spec}"
        );
        std::fs::write(folder.path().join(format!("policies/{name}.yaml")), text).expect("a file");
    }
    let output = tidegate(folder.path(), &["validate"]);
    (output.status.code().unwrap_or(-1), text(&output.stdout))
}

/// Policies, the manifests, the exit code, and what is said: code and message, place, what to do.
type Case = (Vec<(&'static str, String)>, String, i32, [&'static str; 3]);

fn bad_policies() -> Vec<Case> {
    const OF_WEB: &str = "  match: {names: [web]}\n";
    let gate = |gate: &str| format!("{OF_WEB}  gates:\n    beforeSwitch:\n    - name: smoke\n      {gate}\n");
    let json = |json: &str| gate(&format!("http: {{expect: {{json: [{json}]}}}}"));
    let query = gate("prometheus: {url: 'http://p:9090', query: 'errors{slot=\"${nope}\"}', max: 1}");
    let without_probe = WEB.replace("        readinessProbe: {tcpSocket: {port: 8080}}\n", "");
    let one = |spec: String| vec![("ours", spec)];
    vec![
        (
            one("  match: {names: [wbe]}\n".to_owned()),
            WEB.to_owned(),
            0,
            [
                "warning[E0602]: the rollout policy `ours` matches nothing",
                "policies/ours.yaml:1:1",
                "correct its `match`",
            ],
        ),
        (
            vec![("ours", OF_WEB.to_owned()), ("theirs", OF_WEB.to_owned())],
            WEB.to_owned(),
            2,
            [
                "error[E0601]: Deployment shop/web: several rollout policies match it: `ours`, `theirs`",
                "environments/dev/web.yaml:6:1",
                "narrow `match` of the policies",
            ],
        ),
        (
            one(query),
            WEB.to_owned(),
            2,
            [
                "error[E0204]: nothing is known of ${nope}",
                "policies/ours.yaml:9:49",
                "known: ${slot}, ${pods}",
            ],
        ),
        (
            one(json("{pointer: /a, equals: 1, tolerance: {}}")),
            WEB.to_owned(),
            2,
            [
                "error[E0201]: a tolerance needs a number",
                "policies/ours.yaml:9:55",
                "write `tolerance: {abs: 0.01}`",
            ],
        ),
        (
            one(json("{pointer: /a, equals: '1', tolerance: {abs: 1}}")),
            WEB.to_owned(),
            2,
            [
                "error[E0201]: a tolerance has a meaning beside `equals` with a number only",
                "policies/ours.yaml:9:57",
                "without quotes",
            ],
        ),
        (
            one(OF_WEB.to_owned()),
            without_probe,
            2,
            [
                "error[E0609]: Deployment shop/web: none of its containers has a readinessProbe",
                "environments/dev/web.yaml:14:7",
                "add a readinessProbe",
            ],
        ),
    ]
}

#[test]
fn pods_that_a_gate_will_turn_down_by_their_manifest_are_warned_of() {
    let gate =
        "  match: {names: [web]}\n  gates:\n    beforeSwitch:\n    - name: smoke\n      drainSafe: {}\n";
    let (code, text) = told(&[("drained", gate)], WEB);
    assert_eq!(code, 0, "{text}");
    for words in [
        "warning[E0609]: Deployment shop/web: its gate `smoke` will turn it down: container `web` has no preStop hook",
        "--> environments/dev/web.yaml:14:7",
        "a grace period that is longer than the pause",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn every_bad_rollout_policy_is_told_with_its_code_its_place_and_what_to_do() {
    for (policies, web, code, [said, place, help]) in bad_policies() {
        let policies: Vec<(&str, &str)> =
            policies.iter().map(|(name, spec)| (*name, spec.as_str())).collect();
        let (ended, text) = told(&policies, &web);
        assert_eq!(ended, code, "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let at =
            lines.iter().position(|line| line.starts_with(said)).unwrap_or_else(|| panic!("{said}\n{text}"));
        assert_eq!(lines[at + 1].trim(), format!("--> {place}"), "{text}");
        let helps = lines[at..]
            .iter()
            .take_while(|line| !line.is_empty())
            .any(|line| line.trim_start().starts_with("help: ") && line.contains(help));
        assert!(helps, "{help}\n{text}");
    }
}

/// The shipped policies of these names, as the daemon reads them; with the workloads that they match in these manifests.
fn shipped(names: &str, manifests: &str) -> (Policies, Vec<Arc<Workload>>) {
    let folder = repository(names, manifests);
    let mut tree = FileTree::default();
    for path in [
        "policies/blue-green.yaml",
        "policies/change-windows.yaml",
        "policies/guardrails.yaml",
        "policies/health-rules.yaml",
        "policies/house-price.yaml",
        "environments/dev/environment.yaml",
        "environments/dev/web.yaml",
    ] {
        tree.insert(path, std::fs::read(folder.path().join(path)).expect("a file"));
    }
    let environment = discover(&tree).remove(0).environment.expect("it is valid");
    let policies = PolicyFolder::read(&tree).select(&environment.policies).expect("they are valid");
    let loaded = load(&tree, &environment, Catalogue::kubernetes_1_35().as_ref());
    let split = split(&loaded.objects, &policies.rollouts);
    let mut problems = loaded.problems.iter().chain(&split.problems);
    assert!(problems.all(|problem| problem.code == Code::RolloutUnmatched), "{:#?}", split.problems);
    (policies, split.workloads)
}

#[test]
fn the_shipped_rollout_policies_match_the_workloads_that_they_are_for_and_no_others() {
    let web = format!("{WEB}        lifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}\n");
    let plain = web.as_str();
    let marked = web.replace(
        "kind: Deployment\nmetadata: {name: web}",
        "kind: Deployment\nmetadata: {name: web, labels: {tidegate.dev/rollout: blue-green}}",
    );
    let house = web.replace("name: web", "name: house-price");
    let cases = [
        ("blue-green", plain, None),
        ("blue-green", marked.as_str(), Some(("web", 3, 1))),
        ("house-price", plain, None),
        ("house-price", house.as_str(), Some(("house-price", 2, 1))),
    ];
    for (policy, manifests, expected) in cases {
        let (_, workloads) = shipped(policy, manifests);
        let matched = workloads.first().map(|workload| {
            let of = &workload.policy;
            assert_eq!(of.name, policy);
            (workload.reference.name.as_str(), of.before_switch.len(), of.while_baking.len())
        });
        assert_eq!(matched, expected, "{policy}");
    }
    // `validate` says nothing where nothing is missing.
    let folder = repository("blue-green", &marked);
    assert_eq!(validated(folder.path()), (0, Vec::new()));
}

#[test]
fn the_shipped_change_windows_are_open_and_closed_when_they_say() {
    let (policies, _) = shipped("office-hours, year-end", WEB);
    let said = |now: &str| match window_state(&policies.windows, now.parse().expect("a time")) {
        WindowState::Open => "open".to_owned(),
        WindowState::Closed(closed) => closed.to_string(),
    };
    // Berlin is an hour ahead of UTC in winter and two in summer; 2026-11-23 is a Monday.
    for open in
        ["2026-11-23T08:00:00Z", "2026-11-24T15:59:59Z", "2026-11-27T13:59:59Z", "2026-07-06T07:00:00Z"]
    {
        assert_eq!(said(open), "open", "{open}");
    }
    let outside = "outside the times that office-hours allows until";
    let friday = "closed by office-hours (nobody wants to look after it on Friday evening) until";
    let year_end = "frozen by year-end (year end) until 2027-01-07T08:00:00Z";
    let cases = [
        ("2026-11-23T07:59:59Z", format!("{outside} 2026-11-23T08:00:00Z")),
        ("2026-11-24T16:00:00Z", format!("{outside} 2026-11-25T08:00:00Z")),
        ("2026-11-28T10:00:00Z", format!("{outside} 2026-11-30T08:00:00Z")),
        ("2026-11-27T14:00:00Z", format!("{friday} 2026-11-30T08:00:00Z")),
        ("2026-12-21T10:00:00Z", year_end.to_owned()),
        ("2027-01-06T22:59:59Z", year_end.to_owned()),
    ];
    for (now, expected) in cases {
        assert_eq!(said(now), expected, "{now}");
    }
    assert_eq!(said("2027-01-07T08:00:00Z"), "open");
}

#[test]
fn the_shipped_health_rules_judge_what_cert_manager_and_external_secrets_write() {
    let (policies, _) = shipped("certificate, external-secret", WEB);
    let health = |group: &str, kind: &str, status: Value| {
        let gvk = Gvk::from_api_version(&format!("{group}/v1"), kind);
        let object = json!({
            "apiVersion": format!("{group}/v1"), "kind": kind,
            "metadata": { "name": "one", "namespace": "shop" }, "status": status,
        });
        let id = id_of(&gvk, Scope::Namespaced, &object).expect("it has a name");
        let mut observed = Observed::default();
        observed.objects.insert(id.clone(), Arc::new(summarize(&gvk, detail_of(&gvk), &object)));
        judge(&policies.health_rules, &mut observed);
        let health = observed.objects[&id].health.clone().expect("it is judged");
        format!("{:?}: {}", health.state, health.reason)
    };
    let ready =
        |status: &str, message: &str| json!([{ "type": "Ready", "status": status, "message": message }]);
    let certificate = |status: Value| health("cert-manager.io", "Certificate", status);
    let issuing = "Issuing certificate as Secret does not exist";
    let cases = [
        (
            certificate(json!({ "conditions": ready("True", "Certificate is up to date") })),
            "Healthy: Certificate is up to date",
        ),
        (
            certificate(json!({ "conditions": ready("False", issuing) })),
            "Progressing: Issuing certificate as Secret does not exist",
        ),
        (
            certificate(
                json!({ "conditions": ready("False", "The certificate request has failed"), "lastFailureTime": "2026-11-22T10:00:00Z" }),
            ),
            "Degraded: The certificate request has failed",
        ),
        (
            health(
                "external-secrets.io",
                "ExternalSecret",
                json!({ "conditions": ready("True", "secret synced") }),
            ),
            "Healthy: secret synced",
        ),
        (
            health(
                "external-secrets.io",
                "ExternalSecret",
                json!({ "conditions": ready("False", "could not get secret data from provider") }),
            ),
            "Degraded: could not get secret data from provider",
        ),
    ];
    for (came, expected) in cases {
        assert_eq!(came, expected);
    }
    let young = health("external-secrets.io", "ExternalSecret", json!({}));
    assert!(young.starts_with("Progressing: "), "one that nobody has looked at yet: {young}");
}
