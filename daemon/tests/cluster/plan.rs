//! `tidegate plan --live`: what a cluster says about a change before it is merged. Nothing is written.

use serde_json::Value;

use crate::scene::{allow, deny};
use crate::support::{Output, World, config_map, deployment, environment, eventually};

/// A plan of the branch `feature` on top of `main`, from the clone that commits are made in.
fn plan(world: &World, further: &[&str]) -> Output {
    let work = world.repo.work();
    let repo = work.to_str().unwrap();
    let flags = ["plan", "--repo", repo, "--base", "main", "--head", "feature", "--live"];
    let arguments: Vec<&str> = flags.into_iter().chain(further.iter().copied()).collect();
    world.tidegate(&arguments)
}

/// Applies `files` by a daemon, which is then ended: what is done by hand afterwards stays.
fn applied(world: &World, files: &[(&str, &str)]) {
    let environment = world.environment("");
    let all: Vec<(&str, &str)> =
        [("environment.yaml", environment.as_str())].into_iter().chain(files.iter().copied()).collect();
    let commit = world.commit("start", &all);
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    drop(daemon);
}

/// Commits changes on `feature`, where no daemon looks.
fn feature(world: &World, files: &[(&str, &str)]) {
    world.repo.git(&["checkout", "--quiet", "-b", "feature"]);
    for (path, text) in files {
        world.repo.write(&format!("environments/{}/{path}", world.name), text);
    }
    world.repo.git(&["add", "--all"]);
    world.repo.git(&["commit", "--quiet", "--allow-empty", "-m", "feature"]);
}

/// What the live part says about one object, by its kind and name.
fn found(plan: &Output, kind: &str, name: &str) -> Value {
    let json = plan.json();
    crate::schema::assert_valid("plan", &json);
    let objects = json["live"][0]["objects"].as_array().cloned().unwrap_or_default();
    let mut matching = objects
        .into_iter()
        .filter(|found| found["object"]["kind"] == kind && found["object"]["name"] == name);
    matching.next().unwrap_or(Value::Null)
}

#[test]
fn drift_that_a_merge_would_overwrite_is_named_with_who_when_and_where() {
    let world = World::new("plan-drift");
    applied(&world, &[("web.yaml", &deployment("web", 1, "")), ("m.yaml", &config_map("m", "k", "one"))]);
    world.kube.must(&["scale", "deployment/web", "-n", "plan-drift", "--replicas=2"]);
    world.kube.must(&["set", "env", "deployment/web", "-n", "plan-drift", "ADDED=by-hand"]);
    world.kube.must(&["patch", "configmap", "m", "-n", "plan-drift", "-p", "{\"data\":{\"k\":\"hand\"}}"]);
    feature(&world, &[("web.yaml", &deployment("web", 3, "")), ("m.yaml", &config_map("m", "k", "two"))]);
    let generation = world.kube.field("deployment", "plan-drift", "web", "/metadata/generation");

    let answer = plan(&world, &["-o", "json"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let web = found(&answer, "Deployment", "web");
    assert!(web["drift"].is_array(), "{}", answer.stdout);
    let drift = web["drift"].as_array().unwrap();
    let replicas = drift.iter().find(|drift| drift["path"] == "spec.replicas");
    let replicas = replicas.unwrap_or_else(|| panic!("{web:#}"));
    assert_eq!((&replicas["live"], &replicas["planned"]), (&Value::from(2), &Value::from(3)), "{web:#}");
    assert_eq!(replicas["by"][0]["manager"], "kubectl");
    assert_eq!(replicas["location"]["file"], "environments/plan-drift/web.yaml");
    assert!(drift.iter().any(|drift| drift["path"].as_str().unwrap().contains("env[ADDED]")), "{web:#}");
    let map = found(&answer, "ConfigMap", "m");
    assert_eq!(
        (&map["drift"][0]["live"], &map["drift"][0]["planned"]),
        (&Value::from("hand"), &Value::from("two"))
    );
    // A `kubectl scale` leaves no time behind; everybody else does.
    assert_eq!(map["drift"][0]["by"][0]["manager"], "kubectl-patch");
    assert!(map["drift"][0]["by"][0]["time"].to_string().starts_with("\"20"), "{map:#}");
    // Not mixed with what git says.
    let change = &answer.json()["environments"][0]["changes"][0];
    assert_eq!(
        (&change["fields"][0]["old"], &change["fields"][0]["new"]),
        (&Value::from("one"), &Value::from("two"))
    );

    let text = plan(&world, &[]).stdout;
    for wanted in [
        "live plan-drift in",
        "spec.replicas: 2 -> 3 (by kubectl)",
        "data.k: hand -> two (by kubectl-patch at 20",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(web["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()), "{web:#}");
    // Its controller writes the status meanwhile, so the resourceVersion alone would say nothing.
    let after = world.kube.field("deployment", "plan-drift", "web", "/metadata/generation");
    assert_eq!(generation, after, "nothing is written");
}

#[test]
fn a_live_object_as_base_asks_for_it_has_no_drift() {
    let world = World::new("plan-calm");
    applied(
        &world,
        &[("m.yaml", &config_map("m", "k", "one")), ("other.yaml", &config_map("other", "k", "one"))],
    );
    feature(&world, &[("m.yaml", &config_map("m", "k", "two"))]);
    let answer = plan(&world, &["-o", "json"]);
    let live = &answer.json()["live"][0];
    assert_eq!(live["objects"], Value::Array(Vec::new()), "{}", answer.stdout);
    assert_eq!(live["asked"], 1, "the metadata of what is unchanged says enough: {}", answer.stdout);
    assert!(plan(&world, &[]).stdout.contains("no drift, and nothing is refused"), "{}", answer.stdout);
}

#[test]
fn a_drifted_secret_shows_that_it_is_one_and_no_value() {
    let world = World::new("plan-secret");
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: {value}}}\n")
    };
    applied(&world, &[("s.yaml", &secret("hunter2-git"))]);
    let patch = "{\"stringData\":{\"password\":\"hunter2-hand\",\"extra\":\"hunter2-extra\"}}";
    world.kube.must(&["patch", "secret", "s", "-n", "plan-secret", "-p", patch]);
    feature(&world, &[("s.yaml", &secret("hunter2-next"))]);
    for form in [&[][..], &["-o", "json"], &["--markdown"]] {
        let answer = plan(&world, form);
        assert!(answer.stdout.contains("data.password"), "{}", answer.stdout);
        for word in ["hunter2", "aHVudGVyMi", "sha:"] {
            assert!(
                !answer.stdout.contains(word) && !answer.stderr.contains(word),
                "{word}: {}",
                answer.stdout
            );
        }
    }
}

#[test]
fn what_admission_refuses_is_an_error_at_its_place_in_git() {
    let world = World::new("plan-admission");
    applied(&world, &[("m.yaml", &config_map("m", "k", "one"))]);
    deny(
        &world,
        "plan-admission",
        "CREATE, UPDATE",
        "object.data.k != 'forbidden'",
        "k may not be forbidden",
    );
    feature(&world, &[("m.yaml", &config_map("m", "k", "forbidden"))]);
    let answer = eventually("the policy is in force", || {
        let answer = plan(&world, &["-o", "json"]);
        crate::support::check(answer.code == 2, answer.stdout.clone())?;
        Ok(answer)
    });
    allow(&world, "plan-admission");
    let map = found(&answer, "ConfigMap", "m");
    assert_eq!(map["problems"][0]["code"], "E0401", "{map:#}");
    assert!(map["problems"][0]["message"].as_str().unwrap().contains("k may not be forbidden"), "{map:#}");
    assert_eq!(map["problems"][0]["location"]["file"], "environments/plan-admission/m.yaml");
}

#[test]
fn immutable_fields_are_found_by_the_dry_run_and_kinds_without_state_are_replaced() {
    let world = World::new("plan-fixed");
    let job = |image: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: once}}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
             containers: [{{name: main, image: {image}, imagePullPolicy: IfNotPresent, args: [once]}}]\n"
        )
    };
    let set = |service: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: s}}\nspec:\n  replicas: 0\n  serviceName: {service}\n  \
             selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}}}\n    spec: {{containers: [{{name: c, image: c}}]}}\n"
        )
    };
    world.kube.must(&["create", "namespace", "plan-fixed"]);
    world.kube.apply("plan-fixed", &job("docker.io/local/pause:1"));
    world.kube.apply("plan-fixed", &set("one"));
    let environment = world.environment("");
    let files = [
        ("environment.yaml", environment.as_str()),
        ("job.yaml", &job("docker.io/local/pause:1")),
        ("s.yaml", &set("one")),
    ];
    world.commit("start", &files);
    feature(&world, &[("job.yaml", &job("docker.io/local/pause:2")), ("s.yaml", &set("two"))]);
    let answer = plan(&world, &["-o", "json"]);
    assert_eq!(answer.code, 2);
    assert_eq!(found(&answer, "Job", "once")["replaced"], "recreated", "{}", answer.stdout);
    let refused = found(&answer, "StatefulSet", "s");
    assert_eq!(
        (&refused["replaced"], &refused["problems"][0]["code"]),
        (&Value::from("refused"), &Value::from("E0402"))
    );
    assert_eq!(refused["problems"][0]["location"]["file"], "environments/plan-fixed/s.yaml", "{refused:#}");
}

#[test]
fn what_cannot_be_asked_yet_is_said_and_what_the_cluster_does_not_know_is_an_error() {
    let world = World::new("plan-new");
    world.commit("nothing yet", &[("environment.yaml", &world.environment(""))]);
    let alien = "apiVersion: example.com/v1\nkind: Alien\nmetadata: {name: a}\n";
    feature(&world, &[("m.yaml", &config_map("m", "k", "one")), ("alien.yaml", alien)]);
    let answer = plan(&world, &["-o", "json"]);
    assert_eq!(answer.code, 2, "{}", answer.stdout);
    let map = found(&answer, "ConfigMap", "m");
    assert_eq!(map["note"], "not asked about: its namespace does not exist yet", "{}", answer.stdout);
    assert_eq!(found(&answer, "Alien", "a")["problems"][0]["code"], "E0304");
}

#[test]
fn the_cluster_knows_better_what_a_delete_comes_to() {
    let world = World::new("plan-gone");
    let keep = config_map("keep", "k", "v");
    applied(
        &world,
        &[
            ("keep.yaml", &keep),
            ("a.yaml", &config_map("a", "k", "v")),
            ("b.yaml", &config_map("b", "k", "v")),
        ],
    );
    world.kube.must(&["delete", "configmap", "a", "-n", "plan-gone"]);
    world.kube.must(&["annotate", "configmap", "b", "-n", "plan-gone", "tidegate.dev/prune=disabled"]);
    for file in ["a.yaml", "b.yaml"] {
        world.repo.remove(&format!("environments/plan-gone/{file}"));
    }
    feature(&world, &[]);
    let answer = plan(&world, &["-o", "json"]);
    assert_eq!(answer.json()["counts"]["delete"], 2, "as far as git knows: {}", answer.stdout);
    assert_eq!(found(&answer, "ConfigMap", "a")["note"], "it is gone already");
    let note = found(&answer, "ConfigMap", "b")["note"].to_string();
    assert!(note.contains("it stays: `tidegate.dev/prune: disabled` stands on it"), "{}", answer.stdout);
}

/// Manifest with `@` where the value stands, old and new value, and whether the API server lets it change.
const FIXED: &[(&str, &str, &str, bool)] = &[
    ("v1 Service", "spec: {clusterIP: @, ports: [{port: 80}]}", "None 10.96.201.9", false),
    ("v1 Service", "spec: {sessionAffinity: @, ports: [{port: 80}]}", "None ClientIP", true),
    (
        "v1 PersistentVolumeClaim",
        "spec: {storageClassName: none, accessModes: [@], resources: {requests: {storage: 1Gi}}}",
        "ReadWriteOnce ReadWriteMany",
        false,
    ),
    ("v1 ConfigMap", "immutable: true\ndata: {a: x@}", "1 2", false),
    ("v1 ConfigMap", "data: {a: x@}", "1 2", true),
    ("v1 Secret", "type: example.com/@", "a b", false),
    ("v1 ResourceQuota", "spec: {hard: {pods: 1}, scopes: [@]}", "Terminating NotTerminating", false),
    (
        "apps/v1 Deployment",
        "spec: {replicas: 0, selector: {matchLabels: {a: @}}, template: {metadata: {labels: {a: @}}, spec: {containers: [{name: c, image: c}]}}}",
        "b c",
        false,
    ),
    (
        "apps/v1 ReplicaSet",
        "spec: {replicas: 0, selector: {matchLabels: {a: @}}, template: {metadata: {labels: {a: @}}, spec: {containers: [{name: c, image: c}]}}}",
        "b c",
        false,
    ),
    (
        "apps/v1 DaemonSet",
        "spec: {selector: {matchLabels: {a: @}}, template: {metadata: {labels: {a: @}}, spec: {nodeSelector: {absent: node}, containers: [{name: c, image: c}]}}}",
        "b c",
        false,
    ),
    (
        "apps/v1 StatefulSet",
        "spec: {replicas: 0, serviceName: @, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}",
        "a b",
        false,
    ),
    (
        "apps/v1 StatefulSet",
        "spec: {replicas: 0, podManagementPolicy: @, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}",
        "Parallel OrderedReady",
        false,
    ),
    (
        "apps/v1 StatefulSet",
        "spec: {replicas: 0, revisionHistoryLimit: @, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}",
        "1 2",
        true,
    ),
    (
        "apps/v1 StatefulSet",
        "spec: {replicas: 0, minReadySeconds: @, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}",
        "1 2",
        true,
    ),
    (
        "batch/v1 Job",
        "spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: @}]}}}",
        "a b",
        false,
    ),
    (
        "batch/v1 Job",
        "spec: {suspend: true, completions: 2, completionMode: @, template: {spec: {restartPolicy: Never, containers: [{name: c, image: a}]}}}",
        "Indexed NonIndexed",
        false,
    ),
    (
        "batch/v1 Job",
        "spec: {suspend: true, parallelism: @, template: {spec: {restartPolicy: Never, containers: [{name: c, image: a}]}}}",
        "1 2",
        true,
    ),
    (
        "rbac.authorization.k8s.io/v1 RoleBinding",
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: @}",
        "a b",
        false,
    ),
    (
        "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: @}",
        "a b",
        false,
    ),
    ("scheduling.k8s.io/v1 PriorityClass", "value: @", "7 8", false),
    (
        "scheduling.k8s.io/v1 PriorityClass",
        "value: 7\npreemptionPolicy: @",
        "Never PreemptLowerPriority",
        false,
    ),
    ("storage.k8s.io/v1 StorageClass", "provisioner: example.com/@", "a b", false),
    ("storage.k8s.io/v1 StorageClass", "provisioner: example.com/a\nparameters: {a: b@}", "1 2", false),
    (
        "storage.k8s.io/v1 StorageClass",
        "provisioner: example.com/a\nreclaimPolicy: @",
        "Retain Delete",
        false,
    ),
    (
        "storage.k8s.io/v1 StorageClass",
        "provisioner: example.com/a\nvolumeBindingMode: @",
        "WaitForFirstConsumer Immediate",
        false,
    ),
    ("networking.k8s.io/v1 IngressClass", "spec: {controller: example.com/@}", "a b", false),
    ("node.k8s.io/v1 RuntimeClass", "handler: @", "a b", false),
    ("discovery.k8s.io/v1 EndpointSlice", "addressType: @\nendpoints: []", "IPv4 IPv6", false),
];

/// The manifests of the table with their old or their new values, each under a name of its own.
fn table(value: impl Fn(&str) -> String) -> String {
    let object = |(index, (kind, manifest, values, _)): (usize, &(&str, &str, &str, bool))| {
        let (version, kind) = kind.split_once(' ').unwrap();
        let text = manifest.replace('@', &value(values));
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {}}}\n{text}\n", name(index))
    };
    FIXED.iter().enumerate().map(object).collect::<Vec<_>>().join("---\n")
}

fn name(index: usize) -> String {
    format!("plan-table-{index}")
}

#[test]
fn what_git_alone_calls_immutable_is_what_the_api_server_refuses() {
    let world = World::new("plan-table");
    world.kube.must(&["create", "namespace", "plan-table"]);
    let old = table(|values| values.split_once(' ').unwrap().0.to_owned());
    let new = table(|values| values.split_once(' ').unwrap().1.to_owned());
    let apply = |text: &str, flags: &[&str]| {
        let all = ["apply", "--server-side", "--field-manager=tidegate", "-n", "plan-table", "-f", "-"];
        let arguments: Vec<&str> = all.into_iter().chain(flags.iter().copied()).collect();
        world.kube.run_with(&arguments, text)
    };
    apply(&old, &[]).unwrap();
    let refusals = apply(&new, &["--dry-run=server"]).expect_err("most of it is refused");
    let deleted = ["delete", "-n", "plan-table", "--ignore-not-found", "--wait=false", "-f", "-"];
    world.kube.run_with(&deleted, &old).unwrap();

    let kinds: Vec<&str> = FIXED.iter().map(|(kind, ..)| kind.split_once(' ').unwrap().1).collect();
    let settings = format!("  clusterScoped: [{}]\n", kinds.join(", "));
    world.repo.write("environments/t/environment.yaml", &environment("t", "t", &settings));
    world.repo.write("environments/t/a.yaml", &old);
    world.repo.commit("old");
    world.repo.write("environments/t/a.yaml", &new);
    world.repo.commit("new");
    let work = world.repo.work();
    let arguments = ["plan", "--repo", work.to_str().unwrap(), "--base", "HEAD~1", "-o", "json"];
    let answer = world.tidegate(&arguments).json();
    let changes = answer["environments"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), FIXED.len(), "{answer:#}");
    for (index, (kind, manifest, _, can_change)) in FIXED.iter().enumerate() {
        let refused = refusals.contains(&format!("\"{}\"", name(index)));
        assert_eq!(refused, !can_change, "the API server: {kind} {manifest}: {refusals}");
        let change = changes.iter().find(|change| change["object"]["name"] == name(index).as_str()).unwrap();
        assert_eq!(change["action"] == "replace", refused, "the plan: {kind} {manifest}: {change:#}");
    }
}
