//! Waves, phases, dependencies.

use super::*;

fn phases(plan: &Plan) -> Vec<(i32, Phase, usize)> {
    plan.stages.iter().map(|stage| (stage.wave, stage.phase, stage.actions.len())).collect()
}

#[test]
fn kinds_are_applied_in_the_order_in_which_they_need_each_other() {
    let service = object("v1", "Service", Some("shop"), "web", json!({}));
    let webhook = json!({"webhooks": [{"clientConfig": {"service": {"namespace": "shop", "name": "web"}}}]});
    let hook =
        object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", None, "h", webhook);
    let role = object("rbac.authorization.k8s.io/v1", "ClusterRole", None, "r", json!({}));
    let world =
        World::new(vec![hook, service, deployment("web", "settings"), config("settings"), role, namespace()]);
    let expected = [
        Phase::Namespaces,
        Phase::ClusterScoped,
        Phase::Config,
        Phase::Workloads,
        Phase::Routes,
        Phase::Admission,
    ];
    assert_eq!(phases(&world.plan()), expected.map(|phase| (0, phase, 1)));
}

#[test]
fn objects_of_one_phase_that_need_each_other_stand_in_separate_stages() {
    let role = object("rbac.authorization.k8s.io/v1", "Role", Some("shop"), "z", json!({}));
    let reference = json!({"roleRef": {"kind": "Role", "name": "z"}});
    let binding = object("rbac.authorization.k8s.io/v1", "RoleBinding", Some("shop"), "a", reference);
    let world = World::new(vec![binding.clone(), role.clone(), config("settings")]);
    assert_eq!(phases(&world.plan()), [(0, Phase::Config, 2), (0, Phase::Config, 1)]);
    assert_eq!(world.plan().needs, BTreeMap::from([(binding.reference.id(), vec![role.reference.id()])]));
}

#[test]
fn an_object_of_an_early_phase_that_needs_a_later_one_stands_after_it() {
    let scale =
        json!({"spec": {"scaleTargetRef": {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w"}}});
    let autoscaler = object("autoscaling/v2", "HorizontalPodAutoscaler", Some("shop"), "h", scale);
    let widget = object("example.com/v1", "Widget", Some("shop"), "w", json!({}));
    let world = World::new(vec![autoscaler, widget]);
    let told = world.told();
    assert_eq!(told, ["create Widget shop/w", "create HorizontalPodAutoscaler shop/h"]);
}

#[test]
fn autoscalers_that_name_each_other_end_in_some_order() {
    let scaler = |name: &str, target: &str| {
        let target =
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": target});
        let spec = json!({"spec": {"scaleTargetRef": target}});
        object("autoscaling/v2", "HorizontalPodAutoscaler", Some("shop"), name, spec)
    };
    let world = World::new(vec![scaler("a", "b"), scaler("b", "a"), scaler("c", "c")]);
    assert_eq!(world.plan().actions().count(), 3);
}

#[test]
fn a_later_wave_waits_until_the_earlier_one_is_applied_and_healthy() {
    let late = waved(1, "v1", "ConfigMap", Some("shop"), "late", json!({}));
    let mut world = World::new(vec![config("early"), late]);
    let waits = "ConfigMap shop/late: wave 0 is not healthy yet";
    assert_eq!(world.told(), ["create ConfigMap shop/early", waits]);
    world.put(&config("early"));
    world.live(&config("early")).health = Some(unwell(HealthState::Progressing));
    assert_eq!(world.told(), [waits]);
    world.live(&config("early")).health = None;
    assert_eq!(world.told(), ["create ConfigMap shop/late"], "a kind without a rule is taken as it is");
}

#[test]
fn drift_of_a_later_wave_is_repaired_while_an_earlier_one_is_unwell() {
    let late = waved(1, "v1", "ConfigMap", Some("shop"), "late", json!({}));
    let gone = waved(1, "v1", "ConfigMap", Some("shop"), "gone", json!({}));
    let mut world = World::converged(&[config("early"), late.clone(), gone.clone()]);
    world.live(&config("early")).health = Some(unwell(HealthState::Degraded));
    world.remove(&gone);
    world.live(&late).managed.own = Some(Digest::of(b"less"));
    world.dry_run(&late, vec![change()]);
    assert_eq!(world.told(), ["recreate ConfigMap shop/gone", "repair ConfigMap shop/late"]);
}

#[test]
fn the_dependents_of_a_refused_object_wait_and_the_rest_goes_on() {
    let mut world =
        World::new(vec![config("settings"), deployment("web", "settings"), deployment("api", "other")]);
    let id = config("settings").reference.id();
    let problem = Problem::error(Code::Rejected, "no");
    let desired = Some(config("settings").digest());
    world.failed.insert(id, Failure { desired, uid: None, problem, retry_at: None });
    assert_eq!(
        world.told(),
        [
            "create Deployment shop/api",
            "ConfigMap shop/settings: the API server refused it: no",
            "Deployment shop/web: it needs ConfigMap shop/settings, which is not ready",
        ]
    );
}

#[test]
fn waiting_passes_on_to_the_dependents_of_dependents() {
    let service = object("v1", "Service", Some("shop"), "web", json!({}));
    let backend = json!({"spec": {"defaultBackend": {"service": {"name": "web"}}}});
    let ingress = object("networking.k8s.io/v1", "Ingress", Some("shop"), "web", backend);
    let mut world = World::converged(&[namespace()]);
    world.live(&namespace()).deleting = true;
    world.desired.as_mut().unwrap().extend([service, ingress]);
    assert!(world.plan().stages.is_empty());
    assert_eq!(world.plan().waiting.len(), 3);
}

#[test]
fn waiting_passes_on_along_a_chain_of_any_length_and_order() {
    let scaler = |name: &str, target: &str| {
        let target =
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": target});
        let spec = json!({"spec": {"scaleTargetRef": target}});
        object("autoscaling/v2", "HorizontalPodAutoscaler", Some("shop"), name, spec)
    };
    let last = scaler("e", "none");
    let chain = vec![scaler("a", "b"), scaler("b", "c"), scaler("c", "d"), scaler("d", "e"), last.clone()];
    let mut world = World::new(chain);
    let problem = Problem::error(Code::Rejected, "no");
    let failure = Failure { desired: Some(last.digest()), uid: None, problem, retry_at: None };
    world.failed.insert(last.reference.id(), failure);
    assert_eq!(world.plan().waiting.len(), 5);
}

#[test]
fn custom_objects_wait_until_their_definition_is_served() {
    let widget = object("example.com/v1", "Widget", Some("shop"), "w", json!({}));
    let mut world = World::new(vec![widget, definition()]);
    let waits = "Widget shop/w: it needs CustomResourceDefinition widgets.example.com, which is not ready";
    assert_eq!(world.told(), ["create CustomResourceDefinition widgets.example.com", waits]);
    world.put(&definition());
    world.live(&definition()).health = Some(unwell(HealthState::Progressing));
    assert_eq!(world.told(), [waits]);
    world.put(&definition());
    assert_eq!(world.told(), ["create Widget shop/w"]);
}

#[test]
fn two_definitions_of_one_kind_count_in_any_order_alike() {
    let spec = json!({"spec": {"group": "example.com", "names": {"kind": "Widget"}}});
    let other =
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, "gadgets.example.com", spec);
    let widget = object("example.com/v1", "Widget", Some("shop"), "w", json!({}));
    let forward = World::new(vec![definition(), other.clone(), widget.clone()]).plan();
    assert_eq!(forward, World::new(vec![widget, other, definition()]).plan());
}

#[test]
fn a_dependency_in_a_later_wave_does_not_lock_the_earlier_one() {
    let late = waved(1, "v1", "ConfigMap", Some("shop"), "settings", json!({}));
    let world = World::new(vec![deployment("web", "settings"), late]);
    assert_eq!(world.told()[0], "create Deployment shop/web");
}

#[test]
fn a_restored_object_does_not_wait_for_a_refused_change_of_what_it_needs() {
    let web = deployment("web", "settings");
    let mut world = World::converged(&[config("settings"), web.clone()]);
    world.remove(&web);
    let changed = object("v1", "ConfigMap", Some("shop"), "settings", json!({"data": {"a": "c"}}));
    let failure = Failure {
        desired: Some(changed.digest()),
        uid: Some("uid-ConfigMap shop/settings".into()),
        problem: Problem::error(Code::Rejected, "no"),
        retry_at: None,
    };
    world.failed.insert(changed.reference.id(), failure);
    world.desired = Some(vec![changed, web]);
    assert_eq!(world.told()[0], "recreate Deployment shop/web");
}

#[test]
fn what_a_pod_names_is_what_it_needs_except_what_is_optional() {
    let spec = json!({
        "serviceAccountName": "runner",
        "imagePullSecrets": [{"name": "pull"}],
        "initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "init", "key": "k"}}}]}],
        "containers": [{
            "envFrom": [{"configMapRef": {"name": "env"}}, {"secretRef": {"name": "maybe", "optional": true}}],
            "env": [{"valueFrom": {"configMapKeyRef": {"name": "key", "key": "k"}}}, {"value": "plain"}],
        }],
        "volumes": [
            {"configMap": {"name": "files"}},
            {"secret": {"secretName": "tls"}},
            {"persistentVolumeClaim": {"claimName": "data"}},
            {"projected": {"sources": [{"configMap": {"name": "part"}}, {"secret": {"name": "half"}}]}},
        ],
    });
    let template = json!({"template": {"spec": spec}});
    for (version, kind, value) in [
        ("v1", "Pod", json!({"spec": spec})),
        ("apps/v1", "StatefulSet", json!({"spec": template})),
        ("batch/v1", "Job", json!({"spec": template})),
        ("batch/v1", "CronJob", json!({"spec": {"jobTemplate": {"spec": template}}})),
    ] {
        let needed = dependencies(&object(version, kind, Some("shop"), "x", value));
        let names: Vec<String> = needed.iter().map(ToString::to_string).collect();
        let expected = [
            "ConfigMap shop/env",
            "ConfigMap shop/files",
            "ConfigMap shop/key",
            "ConfigMap shop/part",
            "Namespace shop",
            "PersistentVolumeClaim shop/data",
            "Secret shop/half",
            "Secret shop/init",
            "Secret shop/pull",
            "Secret shop/tls",
            "ServiceAccount shop/runner",
        ];
        assert_eq!(names, expected, "{kind}");
    }
}

#[test]
fn a_plan_id_depends_on_the_objects_and_not_on_their_order() {
    let id = |objects: &[Arc<DesiredObject>]| plan_id(objects);
    let (a, b) = (config("a"), config("b"));
    assert_eq!(id(&[a.clone(), b.clone()]), id(&[b.clone(), a.clone()]));
    assert_ne!(id(&[a.clone(), b]), id(std::slice::from_ref(&a)));
    let waved = waved(1, "v1", "ConfigMap", Some("shop"), "a", json!({"data": {"a": "b"}}));
    assert_ne!(id(&[a]), id(&[waved]));
}

#[test]
fn matchers_are_read_as_they_are_written() {
    for text in
        ["apps/Deployment house-price/api", "ConfigMap a/b", "rbac.authorization.k8s.io/ClusterRole reader"]
    {
        assert_eq!(text.parse::<ObjectMatcher>().unwrap().to_string(), text);
    }
    for text in
        ["", "Deployment", "Deployment /x", "Deployment a/", "a b c", "apps/ a/b", "x/y/z a/b", "K a/b/c"]
    {
        assert!(text.parse::<ObjectMatcher>().is_err(), "{text}");
    }
}
