//! Where an error names something unknown, it names what was probably meant.

use tidegate_core::explain::{EXAMPLE_ENVIRONMENT, problems};

const WEB: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], selector: {a: b}}\n";

/// What is said about an environment with this further line of `spec`, and about this manifest in it.
fn said(spec: &str, manifest: &str) -> String {
    let environment = format!("{EXAMPLE_ENVIRONMENT}{spec}");
    let files = [
        ("environments/dev/environment.yaml", environment.as_bytes()),
        ("environments/dev/app/web.yaml", WEB.as_bytes()),
        ("environments/dev/app/more.yaml", manifest.as_bytes()),
    ];
    let text = |problem: &tidegate_core::problem::Problem| {
        format!("{problem} ({})\n", problem.help.as_deref().unwrap_or("no help"))
    };
    problems(&files).iter().map(text).collect()
}

fn config_map(rest: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\n{rest}")
}

#[test]
fn a_misspelt_name_gets_the_nearest_known_one() {
    let patch = |target: &str| format!("  patches: [{{target: {target}, merge: {{}}}}]\n");
    let cases = [
        ("  namepsaces: [a]\n", String::new(), "did you mean `namespaces`?"),
        ("  prune: {budget: {percnt: 1}}\n", String::new(), "did you mean `percent`?"),
        ("  onFailure: rolback\n", String::new(), "did you mean `rollback`?"),
        ("  dependsOn: [dve]\n", String::new(), "did you mean `dev`?"),
        ("  sources: [{manifests: ap}]\n", String::new(), "did you mean `environments/dev/app`?"),
        (
            "  sources: [{manifests: app/wbe.yaml}]\n",
            String::new(),
            "did you mean `environments/dev/app/web.yaml`?",
        ),
        (&patch("{kind: Service, name: wbe}"), String::new(), "did you mean `web`?"),
        (&patch("{kind: Servcie}"), String::new(), "did you mean `Service`?"),
        ("  substitute: {LEVEL: a}\n", config_map("data: {a: \"${LEVLE}\"}\n"), "did you mean `${LEVEL}`?"),
        ("", config_map("").replace("name: c", "name: c, namespace: shpo"), "did you mean `shop`?"),
        ("", config_map("dta: {}\n"), "did you mean data?"),
        ("", config_map("").replace("ConfigMap", "ConfgMap"), "did you mean ConfigMap?"),
        ("", config_map("").replace("v1", "app/v1"), "ConfigMap is in v1"),
        (
            "",
            WEB.replace("name: web", "name: b").replace("{ports", "{type: NodPort, ports"),
            "did you mean NodePort?",
        ),
    ];
    for (spec, manifest, expected) in cases {
        let said = said(spec, &manifest);
        assert!(said.contains(expected), "{spec}{manifest}: {said}");
    }
}

#[test]
fn what_is_nothing_like_the_known_names_gets_no_guess() {
    for spec in [
        "  sources: [{manifests: elsewhere}]\n",
        "  patches: [{target: {kind: Service, name: database}, merge: {}}]\n",
    ] {
        let said = said(spec, "");
        assert!(said.contains("(no help)"), "{said}");
    }
}
