//! Edits of one value: what changes, what stays, and what is refused, with the reason.

use tidegate_core::desired::KindScopes;
use tidegate_core::edit::{Edit, ImageRequest, Refusal, SubstituteRequest, set_image, set_substitute};
use tidegate_core::object::{Gvk, Scope};
use tidegate_core::schema::Catalogue;
use tidegate_core::tree::FileTree;

struct Bundled;

impl KindScopes for Bundled {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        Catalogue::kubernetes_1_35().scope(gvk)
    }
}

fn environment(name: &str, rest: &str) -> (String, String) {
    let text = format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  cluster: {{kubeconfig: {{}}}}\n  namespaces: [{name}]\n{rest}"
    );
    (format!("environments/{name}/environment.yaml"), text)
}

/// A Deployment with these containers, each `name=image`.
fn deployment(name: &str, containers: &[&str]) -> String {
    let container = |text: &&str| {
        let (name, image) = text.split_once('=').expect("name=image");
        format!("      - name: {name}   # who\n        image: {image} # what\n")
    };
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}}}\n    spec:\n      containers:\n{}",
        containers.iter().map(container).collect::<Vec<_>>().concat()
    )
}

fn tree(files: &[(String, String)]) -> FileTree {
    files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect()
}

fn dev(spec: &str, manifest: &str) -> FileTree {
    tree(&[environment("dev", spec), ("environments/dev/app.yaml".to_owned(), manifest.to_owned())])
}

fn image(tree: &FileTree, target: &str, image: &str) -> Result<Edit, Refusal> {
    set_image(tree, &Bundled, ImageRequest { environment: "dev", target, image })
}

fn substitute(tree: &FileTree, name: &str, value: &str) -> Result<Edit, Refusal> {
    set_substitute(tree, SubstituteRequest { environment: "dev", name, value })
}

/// `file:line:column: before -> after`.
fn told(edit: Result<Edit, Refusal>) -> String {
    let edit = edit.expect("it is edited");
    format!("{}: {} -> {}", edit.location, edit.lines.before.trim(), edit.lines.after.trim())
}

#[test]
fn an_image_is_set_where_the_manifest_has_it_by_container_or_object() {
    let tree = dev("", &deployment("web", &["main=shop:1", "log=log:1"]));
    let expected = "environments/dev/app.yaml:11:16: image: shop:1 # what -> image: shop:2 # what";
    for target in ["main", "Deployment/web/main", "deployment/web/main"] {
        assert_eq!(told(image(&tree, target, "shop:2")), expected, "{target}");
    }
    let one = dev("", &deployment("web", &["main=shop:1"]));
    for target in ["web", "Deployment/web"] {
        assert_eq!(told(image(&one, target, "shop:2")), expected, "{target}");
    }
    let same_name = dev("", &deployment("web", &["web=shop:1"]));
    assert!(image(&same_name, "web", "shop:2").is_ok(), "the object and its only container are one");
}

#[test]
fn an_image_is_set_in_the_patch_that_asks_for_it() {
    let manifest = deployment("web", &["main=shop:1"]);
    let at = "/spec/template/spec/containers/0";
    let patch = |operation: &str| {
        format!("  patches:\n  - target: {{kind: Deployment}}\n    patch:\n    - {operation}\n")
    };
    let value = format!("{{op: replace, path: {at}/image, value: \"shop:2\"}} # dev");
    assert_eq!(
        told(image(&dev(&patch(&value), &manifest), "web", "shop:3")),
        format!(
            "environments/dev/environment.yaml:10:74: - {value} -> - {}",
            value.replace("shop:2", "shop:3")
        )
    );
    let whole =
        format!("op: replace\n      path: {at}\n      value:\n        name: main\n        image: shop:2");
    assert_eq!(
        told(image(&dev(&patch(&whole), &manifest), "web", "shop:3")),
        "environments/dev/environment.yaml:14:16: image: shop:2 -> image: shop:3"
    );
    let merge = "  patches: [{target: {kind: Deployment}, merge: {spec: {template: {spec: {containers: [{name: m, image: 'shop:2'}]}}}}}]\n";
    let merged = image(&dev(merge, &manifest), "m", "shop:3").expect("it is edited");
    assert_eq!(
        (merged.text.as_str(), &*merged.location.file),
        ("'shop:3'", "environments/dev/environment.yaml")
    );
}

#[test]
fn an_image_with_a_name_in_it_sets_the_name() {
    let spec = "  substitute: {REGISTRY: example.com, TAG: \"1.0.0\", OTHER: x}\n";
    let tree = dev(spec, &deployment("web", &["main=${REGISTRY}/shop:${TAG}"]));
    let line = |text: &str| format!("environments/dev/environment.yaml:7:{text}");
    assert_eq!(
        told(image(&tree, "web", "example.com/shop:1.1.0")),
        line(
            "44: substitute: {REGISTRY: example.com, TAG: \"1.0.0\", OTHER: x} -> substitute: {REGISTRY: example.com, TAG: \"1.1.0\", OTHER: x}"
        )
    );
    assert!(told(image(&tree, "web", "mirror.example.com/shop:1.0.0")).starts_with(&line("26: ")));
    let refusal =
        image(&tree, "web", "other.example.com/shop:2").expect_err("two names would have to change");
    assert!(refusal.message.contains("which no one name makes"), "{refusal:?}");
}

#[test]
fn what_others_use_too_is_not_changed_and_they_are_named() {
    let two =
        [deployment("web", &["main=shop:${TAG}"]), deployment("api", &["main2=shop:${TAG}"])].join("---\n");
    let tree_of_name = dev("  substitute: {TAG: a}\n", &two);
    let refusal = image(&tree_of_name, "web", "shop:b").expect_err("api would change");
    assert_eq!(refusal.candidates, ["dev: apps/Deployment dev/api".replace("apps/", "")], "{refusal:?}");
    assert!(refusal.help.is_some_and(|help| help.contains("tidegate set substitute")));
    let source = "  sources: [{manifests: ../base}]\n";
    let shared = tree(&[
        environment("dev", source),
        environment("live", source),
        ("environments/base/app.yaml".to_owned(), deployment("web", &["main=shop:1"])),
    ]);
    let refusal = image(&shared, "web", "shop:2").expect_err("live would change");
    assert_eq!(refusal.candidates, ["live: Deployment live/web"]);
    assert_eq!(
        refusal.location.map(|at| at.to_string()).as_deref(),
        Some("environments/base/app.yaml:11:16")
    );
}

#[test]
fn an_ambiguous_or_unknown_target_is_refused_with_what_could_be_meant() {
    let tree = dev("", &deployment("web", &["main=shop:1", "log=log:1"]));
    let all = ["Deployment/web/main", "Deployment/web/log"];
    let refusal = image(&tree, "web", "shop:2").expect_err("two containers");
    assert_eq!(
        (refusal.message.as_str(), refusal.candidates.as_slice()),
        ("`web` can mean 2 containers", &all.map(str::to_owned)[..])
    );
    let refusal = image(&tree, "mian", "shop:2").expect_err("no such container");
    assert_eq!(refusal.help.as_deref(), Some("did you mean `main`?"));
    assert_eq!(refusal.candidates, all);
    for bad in ["", "a b", "a\nb", "${TAG}", "a:", "-x", "a#b"] {
        assert!(
            image(&tree, "main", bad).is_err_and(|refusal| refusal.message.contains("not the name")),
            "{bad}"
        );
    }
    let elsewhere = ImageRequest { environment: "dve", target: "web", image: "shop:2" };
    let refusal = set_image(&tree, &Bundled, elsewhere).expect_err("no such environment");
    assert_eq!(
        (refusal.help.as_deref(), refusal.candidates.as_slice()),
        (Some("did you mean `dev`?"), &["dev".to_owned()][..])
    );
}

#[test]
fn an_environment_with_errors_is_not_edited() {
    let tree = dev("  substitute: {A: b}\n", "apiVersion: v1\nkind: [\n");
    assert!(image(&tree, "web", "shop:2").is_err_and(|refusal| refusal.message.contains("has errors")));
    let broken = dev("  substitute: {A: b}\n  prnue: {}\n", "");
    assert!(substitute(&broken, "A", "c").is_err_and(|refusal| refusal.message.contains("has errors")));
}

#[test]
fn a_name_is_set_in_its_own_quotes_and_line_ends_stay() {
    let spec = "  substitute:\r\n    A: 1.0 # one\r\n    B: 'x'\r\n    C: \"y\" \r\n";
    let tree = dev(spec, "");
    let after = |name, value| {
        String::from_utf8(substitute(&tree, name, value).expect("it is edited").bytes).expect("UTF-8")
    };
    let file = environment("dev", spec).1;
    assert_eq!(after("A", "1.10"), file.replace("A: 1.0 ", "A: 1.10 "));
    assert_eq!(after("A", "v 2"), file.replace("A: 1.0 ", "A: \"v 2\" "));
    assert_eq!(after("B", "it's"), file.replace("'x'", "'it''s'"));
    assert_eq!(after("C", "a\"b"), file.replace("\"y\"", "\"a\\\"b\""));
    assert!(substitute(&tree, "A", "1.0").is_ok_and(|edit| edit.is_nothing));
}

#[test]
fn values_that_stand_in_several_places_or_lines_are_refused() {
    let cases = [
        "  substitute: {A: &x a, B: *x}\n",
        "  substitute:\n    B: b\n    A: |\n      a\n",
        "  substitute:\n    A: \"a\n      b\"\n",
    ];
    for spec in cases {
        assert!(substitute(&dev(spec, ""), "A", "c").is_err(), "{spec}");
    }
    let refusal = substitute(&dev("  substitute: {LEVEL: a}\n", ""), "LEVLE", "b").expect_err("no such name");
    assert_eq!(
        (refusal.help.as_deref(), refusal.candidates.as_slice()),
        (Some("did you mean `LEVEL`?"), &["LEVEL".to_owned()][..])
    );
    for bad in ["a\nb", "a\u{0}"] {
        assert!(substitute(&dev("  substitute: {A: a}\n", ""), "A", bad).is_err());
    }
}
