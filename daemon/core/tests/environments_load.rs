//! From the files of a commit to objects: what is read, what is refused, and where it says so.
#![expect(clippy::panic, reason = "helpers of tests say what they expected")]

use std::sync::Arc;

use serde_json::json;
use tidegate_core::desired::{
    Environment, KindScopes, KnownFiles, Loaded, discover, discover_again, load, read_paths,
};
use tidegate_core::object::{Gvk, Scope};
use tidegate_core::render::to_yaml;
use tidegate_core::tree::FileTree;

struct Known;

impl KindScopes for Known {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        match gvk.kind.as_str() {
            "Namespace" | "ClusterRole" | "CustomResourceDefinition" => Some(Scope::Cluster),
            "ConfigMap" | "Secret" | "Deployment" | "Service" | "Role" => Some(Scope::Namespaced),
            _ => None,
        }
    }
}

const HEAD: &str = "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n";
const CLUSTER: &str = "  cluster: {kubeconfig: {}}\n  namespaces: [shop, extra]\n";

fn tree(spec: &str, files: &[(&str, &str)]) -> FileTree {
    let environment = format!("{HEAD}{spec}");
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes()));
    files.chain([("environments/dev/environment.yaml", environment.as_bytes())]).collect()
}

fn environment(tree: &FileTree) -> Environment {
    let found = discover(tree);
    match found.into_iter().find(|found| found.name == "dev").map(|found| found.environment) {
        Some(Ok(environment)) => Arc::unwrap_or_clone(environment),
        other => panic!("a good environment is expected: {other:#?}"),
    }
}

fn loaded(spec: &str, files: &[(&str, &str)]) -> Loaded {
    let tree = tree(&format!("{CLUSTER}{spec}"), files);
    load(&tree, &environment(&tree), &Known)
}

/// What is wrong with an environment's file.
fn refused(spec: &str) -> Vec<String> {
    match discover(&tree(spec, &[])).pop().map(|found| found.environment) {
        Some(Err(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("a refused environment is expected: {other:#?}"),
    }
}

fn problems(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().map(ToString::to_string).collect()
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

#[test]
fn files_that_are_as_they_were_read_before_say_the_same_and_others_are_read_anew() {
    let file = |name: &str, further: &str| {
        let text = HEAD.replace("name: dev", &format!("name: {name}")) + CLUSTER + further;
        (format!("environments/{name}/environment.yaml"), text.into_bytes())
    };
    let mut known = KnownFiles::default();
    let before: FileTree = [file("a", "  dependsOn: [b]\n"), file("b", "")].into_iter().collect();
    assert_eq!(discover_again(&before, &mut known), discover(&before));
    assert_eq!(discover_again(&before, &mut known), discover(&before), "a second time");
    // `b` is gone, which breaks `a` although its file is as before; `c` is new, and broken.
    let after: FileTree =
        [file("a", "  dependsOn: [b]\n"), file("c", "  nonsense: 1\n")].into_iter().collect();
    let found = discover_again(&after, &mut known);
    assert_eq!(found, discover(&after));
    assert!(found.iter().all(|found| found.environment.is_err()), "{found:?}");
    let mended: FileTree = [file("a", ""), file("c", "")].into_iter().collect();
    let found = discover_again(&mended, &mut known);
    assert_eq!(found, discover(&mended));
    assert!(found.iter().all(|found| found.environment.is_ok()), "{found:?}");
}

#[test]
fn every_error_of_the_file_is_named_at_its_place_in_one_pass() {
    let spec = "  cluster: {eks: {arn: x}}\n  namespaces: []\n  namespase: [a]\n  prune: {budget: {max: -1, percent: 101}}\n  deadlines: {apply: 5}\n  sources: [{kustomize: x}, {manifests: ../../../etc}]\n  promotion: {after: x}\n  patches: [{target: {kind: X}, patch: [{op: replce, path: /a, value: 1}]}, {merge: {}}]\n";
    let file = "environments/dev/environment.yaml";
    let expected = [
        ":5:13: error[E0207]: clusters by `eks` come with a later version",
        ":6:3: error[E0201]: spec.namespaces must be a list of at least one namespace",
        ":7:3: error[E0201]: unknown field spec.namespase",
        ":8:25: error[E0201]: spec.prune.budget.max must be a whole number from 0 to 4294967295",
        ":8:38: error[E0201]: spec.prune.budget.percent must be a whole number from 0 to 100",
        ":9:22: error[E0201]: spec.deadlines.apply must be a duration like 30s, 5m or 1h30m, from 1s to a year",
        ":10:25: error[E0207]: kustomize sources come with a later version",
        ":10:41: error[E0203]: the path `../../../etc` leaves the repository",
        ":11:3: error[E0207]: promotion comes with a later version; without it this environment would not wait for the other one",
        ":12:41: error[E0201]: not an operation of a JSON patch: unknown variant `replce`, expected one of `add`, `remove`, `replace`, `move`, `copy`, `test`",
        ":12:77: error[E0201]: spec.patches[1].target is missing",
    ];
    let expected: Vec<String> = expected.iter().map(|line| format!("{file}{line}")).collect();
    assert_eq!(refused(spec), expected);
}

#[test]
fn dependencies_on_nothing_and_in_circles_are_errors_of_those_concerned() {
    let file = |name: &str, depends_on: &str| {
        let text = HEAD.replace("name: dev", &format!("name: {name}"))
            + CLUSTER
            + &format!("  dependsOn: [{depends_on}]\n");
        (format!("environments/{name}/environment.yaml"), text.into_bytes())
    };
    let tree: FileTree = [file("a", "b"), file("b", "c"), file("c", "a"), file("d", "a, ee"), file("e", "d")]
        .into_iter()
        .collect();
    let errors: Vec<String> = discover(&tree)
        .into_iter()
        .flat_map(|found| found.environment.err().unwrap_or_default())
        .map(|problem| problem.to_string())
        .collect();
    assert_eq!(
        errors,
        [
            "environments/a/environment.yaml:7:15: error[E0206]: environments wait for each other: a -> b -> c -> a",
            "environments/b/environment.yaml:7:15: error[E0206]: environments wait for each other: b -> c -> a -> b",
            "environments/c/environment.yaml:7:15: error[E0206]: environments wait for each other: c -> a -> b -> c",
            "environments/d/environment.yaml:7:18: error[E0206]: there is no environment `ee`",
        ]
    );
}

#[test]
fn folders_without_the_file_are_no_environments() {
    let tree: FileTree = [
        ("environments/base/web.yaml", "a: 1"),
        ("environments/a/b/environment.yaml", "x"),
        ("environments/environment.yaml", "x"),
    ]
    .into_iter()
    .map(|(path, text)| (path, text.as_bytes()))
    .collect();
    assert_eq!(discover(&tree), []);
}

#[test]
fn the_inputs_are_the_own_folder_and_the_sources_and_nothing_twice() {
    let tree = tree(
        &format!(
            "{CLUSTER}  sources: [{{manifests: ../base/shop}}, {{manifests: extras}}, {{manifests: ../../apps}}]\n"
        ),
        &[],
    );
    assert_eq!(read_paths(&environment(&tree)), ["apps", "environments/base/shop", "environments/dev"]);
}

#[test]
fn objects_get_the_default_namespace_and_come_in_order() {
    let role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"system:reader\"}\n";
    let late =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {tidegate.dev/wave: \"2\"}}\n";
    let early = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z, namespace: extra, annotations: {tidegate.dev/wave: \"-1\"}}\n";
    let custom = "apiVersion: example.dev/v1\nkind: Thing\nmetadata: {name: t}\n";
    let files = [
        ("environments/dev/a.yaml", late),
        ("environments/dev/b.yml", early),
        ("environments/dev/c/d.yaml", role),
        (
            "environments/dev/e.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"s\"}}",
        ),
        ("environments/dev/thing.yaml", custom),
        ("environments/dev/.sops.yaml", "not: an object"),
        ("environments/dev/README.md", "not YAML: ["),
    ];
    let loaded = loaded("  clusterScoped: [ClusterRole]\n  createNamespaces: true\n", &files);
    assert_eq!(problems(&loaded), Vec::<String>::new());
    let order: Vec<String> = loaded.objects.iter().map(|object| object.reference.to_string()).collect();
    assert_eq!(
        order,
        [
            "ConfigMap extra/z",
            "Namespace extra",
            "Namespace shop",
            "Service shop/s",
            "Thing shop/t",
            "ClusterRole system:reader",
            "ConfigMap shop/a"
        ]
    );
    assert_eq!(loaded.objects[2].location().to_string(), "environments/dev/environment.yaml:6:16");
    assert_eq!(loaded.objects[3].value()["metadata"]["namespace"], json!("shop"));
}

#[test]
fn namespaces_and_cluster_scoped_kinds_must_be_allowed() {
    let files = [(
        "environments/dev/a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shopp}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: r\n  namespace: shop\n",
    )];
    let loaded = loaded("", &files);
    assert_eq!(
        problems(&loaded),
        [
            "environments/dev/a.yaml:3:32: error[E0305]: ConfigMap shopp/a: the namespace `shopp` is not on the environment's list",
            "environments/dev/a.yaml:10:7: error[E0306]: Namespace other: this environment may not own a Namespace, which lives in the cluster",
            "environments/dev/a.yaml:14:7: error[E0306]: ClusterRole r: this environment may not own a ClusterRole, which lives in the cluster",
            "environments/dev/a.yaml:17:14: error[E0302]: ClusterRole r: a ClusterRole lives in the cluster and has no namespace",
        ]
    );
    assert_eq!(
        loaded.problems[0].help.as_deref().map(|help| help.starts_with("did you mean `shop`?")),
        Some(true)
    );
}

#[test]
fn documents_that_are_no_objects_are_errors_each_at_its_place() {
    let files = [(
        "environments/dev/a.yaml",
        "a: 1\n---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_b}\n---\n- 1\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: in-list}}\n- {apiVersion: v1, kind: List, items: []}\n---\napiVersion: tidegate.dev/v1\nkind: ModelRelease\n---\napiVersion: tidegate.dev/v1\nkind: RolloutPolicy\n",
    )];
    let loaded = loaded("", &files);
    let file = "environments/dev/a.yaml";
    assert_eq!(
        problems(&loaded),
        [
            format!(
                "{file}:1:1: error[E0110]: the document is not a Kubernetes object: apiVersion or kind is missing"
            ),
            format!(
                "{file}:5:26: error[E0112]: `generateName` makes a new object each time, and has no place in desired state"
            ),
            format!("{file}:9:18: error[E0110]: `A_b` is not a name for a ConfigMap"),
            format!("{file}:11:1: error[E0110]: the document is not a Kubernetes object: it is no mapping"),
            format!("{file}:15:1: error[E0110]: metadata.name is missing"),
            format!("{file}:21:3: error[E0110]: a List stands in a List"),
            format!(
                "{file}:23:1: warning[E0207]: ModelRelease comes with a later version; this document does nothing yet"
            ),
            format!("{file}:26:1: warning[E0207]: RolloutPolicy does nothing among manifests"),
        ]
    );
    assert_eq!(loaded.objects.len(), 1);
    assert_eq!(loaded.objects[0].location().to_string(), format!("{file}:20:3"));
}

#[test]
fn an_object_that_stands_twice_names_both_places() {
    let map = config_map("a");
    let other = map.replace("{name: a}", "{name: a, namespace: shop}");
    let loaded = loaded("", &[("environments/dev/a.yaml", &map), ("environments/dev/b.yaml", &other)]);
    assert_eq!(
        problems(&loaded),
        [
            "environments/dev/b.yaml:1:1: error[E0111]: ConfigMap shop/a: ConfigMap shop/a stands twice in one environment"
        ]
    );
    assert_eq!(loaded.problems[0].related[0].location.to_string(), "environments/dev/a.yaml:1:1");
}

#[test]
fn unquoted_scalars_where_texts_belong_are_errors_that_say_quote_it() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {on: \"x\", \"a\": no}}\nspec:\n  replicas: 0b11\n  paused: no\n  template:\n    spec:\n      containers:\n      - name: y\n        args: [0777, \"0777\", 1.0]\n        env: [{name: A, value: 12:30}, {name: B, value: null}]\n";
    let map = config_map("a") + "data:\n  a: 8080\n  b: \"8080\"\n  c: ${PORT}\n";
    let loaded = loaded(
        "  substitute: {PORT: 1.10}\n",
        &[("environments/dev/a.yaml", text), ("environments/dev/b.yaml", &map)],
    );
    let file = "environments/dev/a.yaml";
    assert_eq!(
        problems(&loaded),
        [
            format!("{file}:3:32: error[E0105]: the unquoted key `on` would become `true`"),
            format!("{file}:3:46: error[E0105]: `no` stands where a text belongs, and unquoted it is the boolean false"),
            format!("{file}:10:15: error[E0105]: `y` stands where a text belongs, and unquoted it is the boolean true"),
            format!("{file}:11:16: error[E0105]: `0777` stands where a text belongs, and unquoted it is the number 511"),
            format!("{file}:11:30: error[E0105]: `1.0` stands where a text belongs, and unquoted it is the number 1"),
            format!("{file}:12:32: warning[E0105]: `12:30` is a number of base 60 to readers of YAML 1.1; it is sent as a text"),
            "environments/dev/b.yaml:5:6: error[E0105]: `8080` stands where a text belongs, and unquoted it is the number 8080".to_owned(),
            "environments/dev/b.yaml:7:6: error[E0105]: `${PORT}` stands where a text belongs, and unquoted it is the number 1.1".to_owned(),
        ]
    );
    let substituted = loaded.problems.last().and_then(|problem| problem.help.as_deref());
    assert_eq!(substituted, Some("quote it: \"${PORT}\""), "advice is about what stands in the file");
    let help = loaded.problems[2].help.as_deref();
    assert_eq!(
        (help, loaded.problems[2].field.as_deref()),
        (Some("quote it: \"y\""), Some("spec.template.spec.containers[0].name"))
    );
}

#[test]
fn patches_change_their_targets_and_their_lines_ask_for_the_fields() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  template: {spec: {containers: [{name: a, image: x}, {name: b, image: z}]}}\n";
    let spec = "  patches:\n  - target: {kind: Deployment, name: web}\n    patch:\n    - {op: replace, path: /spec/replicas, value: 3}\n    - {op: add, path: /spec/template/spec/containers/0, value: {name: first}}\n    - {op: remove, path: /spec/template/spec/containers/1}\n  - target: {kind: Deployment}\n    merge:\n      metadata:\n        labels: {team: shop}\n      spec: {paused: true}\n  - target: {kind: Deployment, name: wbe}\n    merge: {spec: {}}\n  - target: {kind: Deployment, namespace: shop}\n    patch:\n    - {op: replace, path: /spec/none, value: 3}\n";
    let loaded = loaded(spec, &[("environments/dev/a.yaml", deployment)]);
    let object = &loaded.objects[0];
    assert_eq!(
        object.value()["spec"],
        json!({"replicas": 3, "paused": true, "template": {"spec": {"containers": [{"name": "first"}, {"name": "b", "image": "z"}]}}})
    );
    let place = |field: &str| object.spans.locate_field(object.value(), field).to_string();
    assert_eq!(place("spec.replicas"), "environments/dev/environment.yaml:10:7");
    assert_eq!(place("spec.template.spec.containers[0].name"), "environments/dev/environment.yaml:11:7");
    assert_eq!(place("spec.template.spec.containers[1].image"), "environments/dev/a.yaml:6:72");
    assert_eq!(place("metadata.labels[team]"), "environments/dev/environment.yaml:16:24");
    assert_eq!(place("spec.paused"), "environments/dev/environment.yaml:17:22");
    assert_eq!(place("metadata.name"), "environments/dev/a.yaml:3:18");
    let errors = problems(&loaded);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(
        errors[0],
        "environments/dev/environment.yaml:18:5: error[E0205]: the patch matches no object: Deployment name `wbe`"
    );
    assert!(
        errors[1].starts_with(
            "environments/dev/environment.yaml:22:7: error[E0205]: the patch fails on Deployment web"
        ),
        "{errors:?}"
    );
}

#[test]
fn a_patch_that_doubles_an_object_again_and_again_is_refused() {
    let copies = "    - {op: copy, from: /data, path: /data/x}\n".repeat(60);
    let spec = format!(
        "  patches:\n  - target: {{kind: ConfigMap}}\n    patch:\n    - {{op: add, path: /data, value: {{a: b}}}}\n{copies}"
    );
    let loaded = loaded(&spec, &[("environments/dev/a.yaml", &config_map("a"))]);
    let wide = "    - {op: copy, from: /data, path: /data/-}\n".repeat(60);
    assert!(loaded.problems.len() <= 1 && !wide.is_empty());
    let spec = format!(
        "  patches:\n  - target: {{kind: ConfigMap}}\n    patch:\n    - {{op: add, path: /data, value: [[a]]}}\n{wide}"
    );
    let loaded = self::loaded(&spec, &[("environments/dev/a.yaml", &config_map("a"))]);
    assert_eq!(loaded.problems.len(), 1, "{:?}", problems(&loaded));
    assert!(loaded.problems[0].message.contains("larger than"), "{:?}", problems(&loaded));
}

#[test]
fn what_the_server_sets_is_dropped_and_said() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, uid: x, creationTimestamp: null}\nstatus: {a: 1}\ndata: null\n";
    let loaded = loaded("", &[("environments/dev/a.yaml", text)]);
    assert_eq!(
        problems(&loaded),
        [
            "environments/dev/a.yaml:3:26: warning[E0302]: metadata.uid is set by the server and is not sent",
            "environments/dev/a.yaml:4:1: warning[E0302]: status is set by the server and is not sent",
        ]
    );
    assert_eq!(
        *loaded.objects[0].value(),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": null})
    );
}

#[test]
fn definitions_in_the_same_commit_give_the_scopes_of_their_kinds() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.dev}\nspec: {group: example.dev, scope: Cluster, names: {kind: Thing}}\n";
    let thing = "apiVersion: example.dev/v1\nkind: Thing\nmetadata: {name: t}\n";
    let files = [("environments/dev/a.yaml", thing), ("environments/dev/b.yaml", definition)];
    let loaded = loaded("  clusterScoped: [CustomResourceDefinition, example.dev/Thing]\n", &files);
    assert_eq!(problems(&loaded), Vec::<String>::new());
    assert!(loaded.objects.iter().all(|object| object.reference.namespace.is_none()));
}

#[test]
fn sources_that_do_not_exist_and_encrypted_files_are_errors() {
    let encrypted = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nsops: {mac: x}\n";
    let loaded = loaded(
        "  sources: [{manifests: extra}, {manifests: ../s.yaml}]\n",
        &[("environments/s.yaml", encrypted)],
    );
    assert_eq!(
        problems(&loaded),
        [
            "environments/dev/environment.yaml:7:25: error[E0203]: there is no file or folder `environments/dev/extra`",
            "environments/s.yaml:4:1: error[E0207]: the document is encrypted with SOPS, which comes with a later version",
        ]
    );
}

#[test]
fn what_is_wrong_with_a_secrets_value_is_said_without_it() {
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: {x: 5}}\n";
    let secret = format!("{head}stringData: {{a: 918273645, b: true}}\ndata: {{c: 12:34:56}}\n");
    let loaded = loaded("", &[("environments/dev/a.yaml", &secret)]);
    let file = "environments/dev/a.yaml";
    assert_eq!(
        problems(&loaded),
        [
            format!(
                "{file}:3:33: error[E0105]: `5` stands where a text belongs, and unquoted it is the number 5"
            ),
            format!("{file}:4:17: error[E0105]: a text belongs here, and unquoted the value is a number"),
            format!("{file}:4:31: error[E0105]: a text belongs here, and unquoted the value is a boolean"),
            format!(
                "{file}:5:11: warning[E0105]: the value is a number of base 60 to readers of YAML 1.1; it is sent as a text"
            ),
        ]
    );
    let helps: Vec<_> = loaded.problems.iter().filter_map(|problem| problem.help.as_deref()).collect();
    assert_eq!(helps, ["quote it: \"5\"", "quote it", "quote it", "quote it"]);
}

#[test]
fn the_render_is_yaml_with_the_place_of_each_object() {
    let map = config_map("a")
        + "data:\n  yes-and-no: \"no\"\n  number: \"0777\"\n  list: |\n    one\n    two\n  empty: \"\"\n  time: \"12:30\"\n  text: a b\n";
    let loaded = loaded("", &[("environments/dev/a.yaml", &map)]);
    let expected = "---\n# Source: environments/dev/a.yaml:1\napiVersion: v1\ndata:\n  empty: \"\"\n  list: |\n    one\n    two\n  number: \"0777\"\n  text: a b\n  time: \"12:30\"\n  yes-and-no: \"no\"\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: shop\n";
    assert_eq!(to_yaml(&loaded.objects), expected);
}

#[test]
fn a_patch_for_an_object_that_cannot_be_read_is_not_reported_as_well() {
    let spec = "  patches: [{target: {kind: ConfigMap, name: a}, merge: {data: {}}}]\n";
    let loaded = loaded(spec, &[("environments/dev/a.yaml", "kind: [")]);
    let codes: Vec<&str> = loaded.problems.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes, ["E0101"]);
}

#[test]
fn what_tidegate_itself_keeps_is_no_desired_state() {
    let named = |kind: &str, name: &str| {
        let group = if kind == "Lease" { "coordination.k8s.io/v1" } else { "v1" };
        format!("apiVersion: {group}\nkind: {kind}\nmetadata: {{name: {name}}}\n---\n")
    };
    let objects = [("ConfigMap", "tidegate-other"), ("Lease", "tidegate-x-y"), ("ConfigMap", "settings")];
    let text: String = objects.iter().map(|(kind, name)| named(kind, name)).collect();
    let spec = "  cluster: {kubeconfig: {}}\n  namespaces: [tidegate-system]\n  createNamespaces: true\n";
    let tree = tree(spec, &[("environments/dev/a.yaml", &text)]);
    let loaded = load(&tree, &environment(&tree), &Known);
    let expected = [
        "environments/dev/a.yaml:3:18: error[E0403]: ConfigMap tidegate-system/tidegate-other: ConfigMaps `tidegate-*` in tidegate-system are Tidegate's own",
        "environments/dev/a.yaml:7:18: error[E0403]: Lease tidegate-system/tidegate-x-y: Leases `tidegate-*` in tidegate-system are Tidegate's own",
    ];
    assert_eq!(problems(&loaded), expected);
    let namespaces = loaded.objects.iter().filter(|object| object.reference.gvk.kind == "Namespace").count();
    assert_eq!(namespaces, 0, "Tidegate's namespace is not an environment's to make or to prune");
}

#[test]
fn a_namespace_or_a_definition_in_a_later_wave_than_what_needs_it_is_refused_with_both_places() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  annotations:\n    tidegate.dev/wave: \"1\"\n";
    let inside = format!("{}---\n{}", config_map("b"), config_map("a"));
    let files = [("environments/dev/n.yaml", namespace), ("environments/dev/c.yaml", &inside)];
    let found = loaded("", &files).problems;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        found[0].to_string().lines().next().unwrap_or_default(),
        "environments/dev/n.yaml:6:24: error[E0308]: Namespace shop: it comes in wave 1, after 2 objects that cannot be made \
         without it: neither would ever be applied"
    );
    assert_eq!(found[0].related[0].location.to_string(), "environments/dev/c.yaml:7:1");
    assert!(found[0].help.as_deref().is_some_and(|help| help.contains("wave 0 or an earlier one")));
    let same = namespace.replace("\"1\"", "\"0\"");
    assert_eq!(problems(&loaded("", &[("environments/dev/n.yaml", &same), files[1]])), [""; 0]);

    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com, annotations: {tidegate.dev/wave: \"3\"}}\nspec: {group: example.com, scope: Namespaced, names: {kind: Widget}}\n";
    let widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, annotations: {tidegate.dev/wave: \"2\"}}\n";
    let found = loaded(
        "  clusterScoped: [CustomResourceDefinition]\n",
        &[("environments/dev/d.yaml", definition), ("environments/dev/w.yaml", widget)],
    );
    assert!(problems(&found)[0].contains("E0308") && found.problems.len() == 1, "{:#?}", found.problems);
}

#[test]
fn a_namespace_that_is_made_for_objects_of_an_early_wave_comes_with_the_first_of_them() {
    let early = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z, namespace: extra, annotations: {tidegate.dev/wave: \"-1\"}}\n";
    let loaded = loaded("  createNamespaces: true\n", &[("environments/dev/c.yaml", early)]);
    assert_eq!(problems(&loaded), [""; 0]);
    let waves: Vec<(String, i32)> =
        loaded.objects.iter().map(|object| (object.reference.to_string(), object.wave)).collect();
    let expected = [("ConfigMap extra/z", -1), ("Namespace extra", -1), ("Namespace shop", 0)];
    assert_eq!(waves, expected.map(|(name, wave)| (name.to_owned(), wave)));
}

#[test]
fn a_name_that_is_not_its_folders_is_mended_on_the_side_that_can_be() {
    let help = |folder: &str, name: &str| {
        let text = HEAD.replace("dev", name) + CLUSTER;
        let path = format!("environments/{folder}/environment.yaml");
        let tree: FileTree = [(path.as_str(), text.as_bytes())].into_iter().collect();
        match discover(&tree).pop().map(|found| found.environment) {
            Some(Err(problems)) => problems.into_iter().find_map(|problem| problem.help).unwrap_or_default(),
            other => panic!("a refused environment is expected: {other:#?}"),
        }
    };
    assert_eq!(help("dev", "prod"), "write `name: dev`");
    assert_eq!(help("Dev_1", "prod"), "rename the folder to `prod`");
    let both = help("Dev_1", "Prod_1");
    assert!(both.starts_with("rename the folder: `Dev_1` is not an environment name"), "{both}");
}
