//! Others who want it otherwise: what of it stays, and who is named when it never ends.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{World, check, config_map, deployment, eventually, within};

#[test]
fn a_rollout_restart_is_kept_and_happens_once() {
    let world = World::new("fight-restart");
    let commit = world.commit(
        "web",
        &[("environment.yaml", &world.environment("")), ("web.yaml", &deployment("web", 1, ""))],
    );
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    let live = || world.kube.get("deployment", "fight-restart", "web").unwrap();
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    world.kube.must(&["rollout", "restart", "deployment/web", "-n", "fight-restart"]);
    let at = live().pointer(restarted).cloned().expect("kubectl wrote it");
    world.kube.must(&["rollout", "status", "deployment/web", "-n", "fight-restart", "--timeout=60s"]);
    let generation = live()["metadata"]["generation"].clone();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(live().pointer(restarted), Some(&at), "the annotation stays");
    assert_eq!(live()["metadata"]["generation"], generation, "nobody changed the spec again");
    assert_eq!(
        world.kube.field(
            "deployment",
            "fight-restart",
            "web",
            "/metadata/annotations/deployment.kubernetes.io~1revision"
        ),
        "2"
    );

    // A new commit keeps it as well, and so does the repair of something else.
    let second =
        world.commit("more", &[("web.yaml", &deployment("web", 1, "        - {name: NEW, value: \"1\"}\n"))]);
    world.wait_for("live", &second);
    assert_eq!(live().pointer(restarted), Some(&at));
    world.kube.must(&["set", "env", "deployment/web", "-n", "fight-restart", "EXTRA=1"]);
    eventually("the variable is gone", || {
        let env = live().pointer("/spec/template/spec/containers/0/env").cloned().unwrap_or_default();
        check(env.as_array().is_some_and(|env| env.len() == 2), env.to_string())
    });
    assert_eq!(live().pointer(restarted), Some(&at));
    world.kube.must(&["rollout", "restart", "deployment/web", "-n", "fight-restart"]);
    let again = live().pointer(restarted).cloned();
    assert_ne!(again, Some(at), "it can be restarted again");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(live().pointer(restarted).cloned(), again);
}

#[test]
fn a_field_that_is_flipped_again_and_again_is_left_for_a_while_and_the_status_names_the_fighter() {
    let world = World::new("fight-flips");
    let commit = world.commit(
        "settings",
        &[
            ("environment.yaml", &world.environment("")),
            ("settings.yaml", &config_map("settings", "colour", "blue")),
            ("other.yaml", &config_map("other", "colour", "blue")),
        ],
    );
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    let colour = |name: &str| world.kube.field("configmap", "fight-flips", name, "/data/colour");
    let flip = |name: &str| {
        let patch = [
            "patch",
            "configmap",
            name,
            "-n",
            "fight-flips",
            "--field-manager=script",
            "-p",
            r#"{"data":{"colour":"red"}}"#,
        ];
        world.kube.must(&patch);
    };
    // It is repaired at once for a few times, and then no more. (The log tells the pause: on a busy machine a look by kubectl
    // may take longer than the pause lasts.)
    let pauses = || daemon.log().contains("next repair at");
    for _ in 0..12 {
        flip("settings");
        eventually("it is repaired, or left for a while", || {
            check(pauses() || colour("settings") == "blue", "red")
        });
        if pauses() {
            break;
        }
    }
    assert!(pauses(), "it was repaired again and again without a pause: {}", daemon.log());
    let log = daemon.log();
    let repairs = log.lines().take_while(|line| !line.contains("next repair at"));
    let repairs = repairs.filter(|line| line.contains("drift repaired")).count();
    assert!((5..=7).contains(&repairs), "{repairs} repairs before the first pause: {log}");
    let status = eventually("status names the fighter", || {
        let status = world.status();
        let object = status["objects"]["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|item| item["object"]["name"] == "settings")
            .cloned();
        let reason = object.as_ref().map(|item| item["reason"].to_string()).unwrap_or_default();
        check(
            reason.contains("data.colour") && reason.contains("script") && reason.contains("next repair at"),
            format!("{status:#}"),
        )?;
        Ok(status)
    });
    assert_eq!(status["state"], "waiting", "{status:#}");
    // Another object is repaired as quickly as ever.
    flip("other");
    within(Duration::from_secs(2), "the other object is repaired", || {
        check(colour("other") == "blue", "red")
    });
    // When the pause is over it is repaired once more, and stays so when nobody fights.
    within(Duration::from_secs(30), "it is repaired after the pause", || {
        check(colour("settings") == "blue", "red")
    });
    eventually("live again", || {
        let status = world.status();
        check(status["state"] == "live", format!("{status:#}"))
    });
    assert!(daemon.log().matches("drift repaired").count() <= 9, "{}", daemon.log());
}

/// The canary with what stands around it, when one is found.
fn assert_lacks(text: &str, place: &str, canaries: &[&str]) {
    for canary in canaries {
        if let Some((before, _)) = text.split_once(canary) {
            let context: Vec<char> = before.chars().rev().take(300).collect();
            let context: String = context.iter().rev().collect();
            panic!("{canary} stands in the {place} after: {context}");
        }
    }
}

#[test]
fn a_secret_that_was_changed_by_hand_is_repaired_and_its_values_are_never_shown() {
    let world = World::new("fight-secret");
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: key}}\nstringData: {{token: {value}}}\n")
    };
    let commit = world.commit(
        "key",
        &[("environment.yaml", &world.environment("")), ("key.yaml", &secret("canary-in-git-4711"))],
    );
    let daemon =
        crate::support::Daemon::start_logging(&world.repo.url(), &world.kube.kubeconfig(), &[], "trace");
    world.wait_for("live", &commit);
    let canaries = [
        "canary-in-git-4711",
        "Y2FuYXJ5LWluLWdpdC00NzEx",
        "canary-by-hand-0815",
        "Y2FuYXJ5LWJ5LWhhbmQtMDgxNQ==",
    ];
    let token = || world.kube.field("secret", "fight-secret", "key", "/data/token");
    assert_eq!(token(), canaries[1]);
    let patches = [
        json!({"stringData": {"token": canaries[2]}}),
        json!({"data": {"further": canaries[3]}}),
        json!({"data": {"token": null}}),
    ];
    for patch in patches {
        world.kube.must(&["patch", "secret", "key", "-n", "fight-secret", "-p", &patch.to_string()]);
        eventually("the Secret is repaired", || {
            let data = world.kube.field("secret", "fight-secret", "key", "/data");
            check(data == json!({"token": canaries[1]}), data.to_string())
        });
    }
    let third = world.commit("next", &[("key.yaml", &secret("canary-by-hand-0815"))]);
    world.wait_for("live", &third);
    assert_eq!(token(), canaries[3]);
    // A refusal by the API server repeats what it was sent.
    let broken = secret("canary-in-git-4711").replace("stringData:", "type: kubernetes.io/tls\nstringData:");
    world.commit("broken", &[("key.yaml", &broken)]);
    eventually("refused", || {
        let status = world.status();
        check(status["state"] == "failed", format!("{status:#}"))
    });
    let status = eventually("the repairs are recorded", || {
        let status = world.status();
        let drift = status["drift"].as_array().map_or(0, Vec::len);
        check(drift >= 3, format!("{status:#}"))?;
        Ok(status)
    });
    assert!(status["drift"].to_string().contains("token"), "the key is named: {status:#}");
    let events = world.kube.must(&["get", "events", "-A", "-o", "yaml"]);
    let parents = world.kube.must(&["get", "configmaps", "-n", "tidegate-system", "-o", "yaml"]);
    let commands: Vec<String> =
        [["status", "fight-secret", "-o", "text"], ["status", "fight-secret", "-o", "json"]]
            .iter()
            .map(|arguments| world.tidegate(arguments))
            .map(|output| format!("{}{}", output.stdout, output.stderr))
            .collect();
    let diff = world.tidegate(&["diff", "fight-secret", "--repo", &world.repo.url()]);
    let shown = [
        ("log", daemon.log()),
        ("status record", status.to_string()),
        ("events", events),
        ("parents", parents),
        ("status", commands.concat()),
        ("diff", format!("{}{}", diff.stdout, diff.stderr)),
        ("metrics", daemon.http("/metrics")),
    ];
    for (place, text) in &shown {
        assert_lacks(text, place, &canaries);
    }
    // The log is that of trace, and long enough to have held them.
    let log = daemon.log();
    assert!(log.contains("TRACE") && log.len() > 50_000, "{} bytes", log.len());
}

#[test]
fn who_fights_is_said_with_every_name_when_two_do() {
    let world = World::new("fight-two");
    let commit = world.commit(
        "settings",
        &[
            ("environment.yaml", &world.environment("")),
            ("settings.yaml", &config_map("settings", "colour", "blue")),
        ],
    );
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    for manager in ["one", "two"] {
        let patch = [
            "patch",
            "configmap",
            "settings",
            "-n",
            "fight-two",
            "--field-manager",
            manager,
            "-p",
            r#"{"data":{"colour":"red"}}"#,
        ];
        world.kube.must(&patch);
        eventually("repaired", || {
            let colour = world.kube.field("configmap", "fight-two", "settings", "/data/colour");
            check(colour == "blue", colour.to_string())
        });
    }
    eventually("both are named", || {
        let drift: Value = world.status()["drift"].clone();
        let names: Vec<&str> =
            drift.as_array().into_iter().flatten().filter_map(|record| record["manager"].as_str()).collect();
        check(names == ["two", "one"], format!("{drift:#}"))
    });
}
