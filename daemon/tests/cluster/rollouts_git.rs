//! What else changes in git than the revision: ports, autoscalers, budgets, the policy itself; and what stands while nothing of
//! git may be begun.

use serde_json::{Value, json};

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::gone;
use crate::support::{Call, Daemon, FaultProxy, check, environment, eventually};

const PORTS: &str = "ports: [{name: http, port: 80, targetPort: http}]";

fn ports(scene: &Scene) -> Value {
    let ports = scene.field("service", APP, "/spec/ports");
    let told = ports.as_array().unwrap().iter().map(|port| json!([port["name"], port["port"]]));
    Value::Array(told.collect())
}

fn with_ports(scene: &Scene, release: Release, ports: &str) -> String {
    scene.world.commit("other ports", &[("app.yaml", &scene.manifests(release).replace(PORTS, ports))])
}

#[test]
fn ports_of_the_service_change_with_git_and_go_back_with_a_rollback() {
    let (scene, daemon, load) = Scene::installed("rollout-ports", Judged::WhileBaking, "2s");
    // Somebody once applied the same with kubectl, and holds the ports too.
    scene.kubectl(&[
        "patch",
        "service",
        APP,
        "--type=merge",
        "-p",
        r#"{"spec":{"ports":[{"name":"http","port":80,"targetPort":"http"}]}}"#,
    ]);
    let renamed =
        "ports: [{name: web, port: 80, targetPort: http}, {name: http, port: 8081, targetPort: http}]";
    let second = with_ports(&scene, Release::new("1"), renamed);
    scene.world.wait_for("live", &second);
    eventually("without a rollout", || {
        let now = ports(&scene);
        check(now == json!([["web", 80], ["http", 8081]]), format!("{now} {}", daemon.log()))
    });
    assert_eq!(scene.selected(), "blue");
    // A release that moves a name to another number, and goes back while it bakes.
    let moved =
        "ports: [{name: web, port: 80, targetPort: http}, {name: http, port: 8082, targetPort: http}]";
    let third = with_ports(&scene, Release::wrong("2"), moved);
    scene.world.wait_for("degraded", &third);
    assert_eq!(scene.selected(), "blue");
    assert_eq!(ports(&scene), json!([["web", 80], ["http", 8081]]), "{}", daemon.log());
    let fourth = with_ports(&scene, Release::new("3"), moved);
    scene.world.wait_for("live", &fourth);
    assert_eq!(ports(&scene), json!([["web", 80], ["http", 8082]]), "{}", daemon.log());
    load.ends_well(&["1", "2", "3"]);
}

const SIZED: &str = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: sized}\nspec:\n  \
    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: house-price}\n  minReplicas: 1\n  maxReplicas: 2\n  \
    metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 90}}}]\n\
    ---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: kept}\nspec:\n  minAvailable: 1\n  \
    selector: {matchLabels: {app: house-price}}\n";

#[test]
fn a_budget_of_the_deployments_name_is_applied_once_and_comes_back_when_somebody_edits_or_deletes_it() {
    let scene = Scene::new("rollout-budget");
    scene.set_policy(&Scene::direct(&Scene::policy(Judged::BeforeSwitch, "1s")));
    let budget = "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: house-price}\nspec:\n  minAvailable: 1\n  \
                  selector: {matchLabels: {app: house-price}}\n";
    let release = |version| format!("{}{budget}", scene.manifests(Release::new(version)));
    let files = [("environment.yaml", scene.environment()), ("app.yaml", release("1"))];
    let first = scene.world.commit("1", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let proxy = FaultProxy::start(&scene.world.kube.kubeconfig());
    let _daemon = Daemon::start(&scene.world.repo.url(), &proxy.kubeconfig(), &[]);
    scene.world.wait_for("live", &first);
    let second = scene.world.commit("2", &[("app.yaml", &release("2"))]);
    scene.world.wait_for("live", &second);
    let of = |calls: &[Call], kind: &str| {
        let is_of = |call: &&Call| call.method == "PATCH" && call.path.contains(kind);
        calls.iter().filter(is_of).count()
    };
    let calls = proxy.calls();
    let (budgets, dry_runs) = (of(&calls, "/poddisruptionbudgets/"), of(&calls, "/deployments/"));
    // Each colour's is made, and looked at once more. Deployments are written in each phase, and tried where they have changed.
    assert!((2..=6).contains(&budgets), "{budgets} applies of budgets, {dry_runs} of Deployments");
    assert!(dry_runs <= 60, "{budgets} applies of budgets, {dry_runs} of Deployments");

    let budget = format!("{APP}-green");
    let least = || scene.field("pdb", &budget, "/spec/minAvailable");
    let edit = ["patch", "pdb", &budget, "--type=merge", "-p", r#"{"spec":{"minAvailable":0}}"#];
    let delete = ["delete", "pdb", &budget];
    for (damage, number) in [&edit[..], &edit[..], &delete[..]].into_iter().zip(1..) {
        scene.kubectl(damage);
        // Nobody watches budgets: a workload at rest is looked at when something else of it changes.
        scene.kubectl(&[
            "annotate",
            "deployment",
            &budget,
            &format!("tests.example.com/look={number}"),
            "--overwrite",
        ]);
        eventually("it is as git asks", || check(least() == json!(1), least().to_string()));
    }
}

#[test]
fn autoscalers_and_budgets_come_to_the_colours_and_go_with_git_and_hand_made_bounds_go_back() {
    let (scene, _daemon, load) = Scene::installed("rollout-sized", Judged::BeforeSwitch, "1s");
    load.end();
    let sized = format!("{}{SIZED}", scene.manifests(Release::new("1")));
    scene.world.commit("sized", &[("app.yaml", &sized)]);
    let is_there = |kind: &str, name: &str| scene.world.kube.get(kind, &scene.world.name, name).is_some();
    eventually("the live colour has them", || {
        check(is_there("hpa", "sized-blue") && is_there("pdb", "kept-blue"), "it has not")
    });
    assert!(!is_there("hpa", "sized") && !is_there("pdb", "kept"), "those of git's names are nobody's");
    scene.kubectl(&["patch", "hpa", "sized-blue", "--type=merge", "-p", r#"{"spec":{"maxReplicas":9}}"#]);
    scene.kubectl(&["label", "deployment", &format!("{APP}-blue"), "tidegate.dev/slot-"]);
    eventually("its bounds are git's again", || {
        let max = scene.field("hpa", "sized-blue", "/spec/maxReplicas");
        check(max == 2, max.to_string())
    });
    eventually("its label is there again", || {
        let slot = scene.field("deployment", &format!("{APP}-blue"), "/metadata/labels/tidegate.dev~1slot");
        check(slot == "blue", slot.to_string())
    });
    // A port that somebody has put in the place of git's goes again.
    let edited = r#"[{"op":"replace","path":"/spec/ports","value":[{"name":"http","port":8080,"targetPort":"http"}]}]"#;
    scene.kubectl(&["patch", "service", APP, "--type=json", "-p", edited]);
    eventually("the port is git's again", || {
        let now = ports(&scene);
        check(now == json!([["http", 80]]), now.to_string())
    });
    let renamed = sized.replace("{name: sized}", "{name: other}");
    scene.world.commit("another name", &[("app.yaml", &renamed)]);
    eventually("the copy has the new name", || {
        check(is_there("hpa", "other-blue") && !is_there("hpa", "sized-blue"), "it has not")
    });
    let last = scene.release(Release::new("1"));
    scene.world.wait_for("live", &last);
    eventually("they have gone", || {
        check(!is_there("hpa", "other-blue") && !is_there("pdb", "kept-blue"), "they are there")
    });
    assert_eq!(scene.replicas("blue"), Some(2), "it has git's size again");
}

#[test]
fn a_bake_is_watched_by_a_new_daemon_while_another_environment_comes_first() {
    let (scene, mut daemon, load) = Scene::installed("rollout-held", Judged::BeforeSwitch, "1s");
    let name = scene.world.name.clone();
    scene.world.repo.write("policies/blue-green.yaml", &Scene::policy(Judged::BeforeSwitch, "50s"));
    scene.release(Release::new("2"));
    eventually("green answers", || check(load.so_far().versions().contains(&"2"), "it does not"));
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
    // The environment that comes first never becomes live.
    let first = format!("{name}-first");
    scene.world.repo.write(
        &format!("environments/{first}/environment.yaml"),
        &environment(&first, &name, "").replace("createNamespaces: true", "createNamespaces: false"),
    );
    let sick = crate::support::deployment("sick", 1, "")
        .replace("image: ", "image: docker.io/local/none-of-this-name:0 # ");
    scene.world.repo.write(&format!("environments/{first}/sick.yaml"), &sick);
    let held = scene.environment().replace("  policies:", &format!("  dependsOn: [{first}]\n  policies:"));
    daemon.kill();
    scene.world.commit("it waits", &[("environment.yaml", &held)]);
    daemon.restart();
    eventually("it waits for the other one", || {
        let shown = scene.world.tidegate(&["status", &name]).stdout;
        check(shown.contains(&first), shown)
    });
    let gone_bad = ["set", "image", &format!("deployment/{APP}-green"), "main=docker.io/local/none:0"];
    scene.kubectl(&gone_bad);
    scene.kubectl(&["scale", "deployment", &format!("{APP}-green"), "--replicas=0"]);
    eventually("the live colour is repaired", || {
        let image =
            scene.field("deployment", &format!("{APP}-green"), "/spec/template/spec/containers/0/image");
        check(
            scene.replicas("green") == Some(2) && image != "docker.io/local/none:0",
            format!("{image} {}", daemon.log()),
        )
    });
}

#[test]
fn a_workload_without_colours_is_an_ordinary_one_when_its_policy_goes() {
    let (scene, _daemon, load) = Scene::installed("rollout-plain", Judged::BeforeSwitch, "1s");
    let none = Scene::policy(Judged::BeforeSwitch, "1s").replace("{mode: service}", "{mode: none}");
    scene.world.repo.write("policies/blue-green.yaml", &none);
    let plain = scene.world.repo.commit("without colours");
    scene.world.wait_for("live", &plain);
    gone(&scene.world, "deployment", &scene.world.name, &format!("{APP}-blue"));
    load.ends_well(&["1"]);
    let environment = scene.environment().replace("  policies: [blue-green]\n", "");
    let without = scene.world.commit("no policy", &[("environment.yaml", &environment)]);
    scene.world.wait_for("live", &without);
    // The ordinary engine has the Service: a port that is another one replaces the old.
    let moved = "ports: [{name: http, port: 8083, targetPort: http}]";
    let last = with_ports(&scene, Release::new("1"), moved);
    scene.world.wait_for("live", &last);
    assert_eq!(ports(&scene), json!([["http", 8083]]));
}

#[test]
fn a_live_colour_is_kept_by_a_new_daemon_that_cannot_reach_git() {
    let (scene, mut daemon, load) = Scene::installed("rollout-away", Judged::BeforeSwitch, "1s");
    daemon.kill();
    let here = std::path::PathBuf::from(scene.world.repo.url());
    let away = here.with_extension("away");
    std::fs::rename(&here, &away).unwrap();
    daemon.restart();
    let image = ["set", "env", &format!("deployment/{APP}-blue"), "EXTRA=1"];
    scene.kubectl(&image);
    eventually("the live colour is repaired", || {
        let env = scene.field("deployment", &format!("{APP}-blue"), "/spec/template/spec/containers/0/env");
        check(env.as_array().is_some_and(|all| all.len() == 1), format!("{env} {}", daemon.log()))
    });
    std::fs::rename(&away, &here).unwrap();
    load.ends_well(&["1"]);
}
