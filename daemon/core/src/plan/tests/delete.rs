//! What leaves git leaves the cluster, under every guard.

use super::*;

/// `kept` stays in git; `left` were applied and are no longer asked for.
fn left_over(left: &[Arc<DesiredObject>]) -> World {
    let mut world = World::converged(&[config("kept")]);
    for object in left {
        world.put(object);
    }
    world
}

#[test]
fn what_left_git_is_deleted_by_its_uid() {
    let world = left_over(&[config("old")]);
    assert_eq!(world.told(), ["delete ConfigMap shop/old"]);
    let plan = world.plan();
    let Some(Action::Delete(delete)) = plan.actions().next() else { panic!("a delete") };
    assert_eq!(delete.uid, "uid-ConfigMap shop/old");
    assert_eq!(plan.stages[0].phase, Phase::Prune);
    assert_eq!(plan.summary(), "1 to delete");
}

#[test]
fn what_is_gone_already_is_forgotten() {
    let mut world = left_over(&[config("old")]);
    world.remove(&config("old"));
    assert_eq!(world.told(), ["forget ConfigMap shop/old"]);
}

#[test]
fn an_object_that_somebody_else_made_took_or_freed_is_left_alone() {
    let foreign: [fn(&mut LiveObject); 4] = [
        |live| live.uid = "another".into(),
        |live| live.ownership = Ownership::Unmarked,
        |live| live.ownership = Ownership::Other { tool: "Helm", mark: "x".into() },
        |live| live.ownership = Ownership::ApplySet { id: "applyset-x-v1".into(), environment: None },
    ];
    for change in foreign {
        let mut world = left_over(&[config("old")]);
        change(world.live(&config("old")));
        assert_eq!(world.told(), ["forget ConfigMap shop/old"]);
        assert_eq!(world.codes(), [Code::Ownership]);
    }
}

#[test]
fn a_create_that_was_cut_short_is_cleaned_up_only_if_the_object_is_ours() {
    let mut world = left_over(&[config("old")]);
    world.inventory.entries.get_mut(&config("old").reference.id()).unwrap().uid = None;
    assert_eq!(world.told(), ["delete ConfigMap shop/old"]);
    world.live(&config("old")).ownership = Ownership::Unmarked;
    assert_eq!(world.told(), ["forget ConfigMap shop/old"]);
}

#[test]
fn nothing_is_deleted_while_anything_could_not_be_read() {
    let mut world = left_over(&[config("old")]);
    world.observed.unread.insert(config("kept").reference.id(), "forbidden".into());
    assert!(world.plan().stages.is_empty());
    world.put(&object("v1", "ResourceQuota", Some("shop"), "tight", json!({})));
    assert!(world.plan().stages.is_empty(), "also of the kinds that wait for nothing else");
    world.remove(&object("v1", "ResourceQuota", Some("shop"), "tight", json!({})));
    world.inventory.forget(&object("v1", "ResourceQuota", Some("shop"), "tight", json!({})).reference.id());
    world.observed.unread.clear();
    world.observed.unread.insert(config("old").reference.id(), "forbidden".into());
    assert_eq!(world.told(), ["ConfigMap shop/old: it could not be read: forbidden"]);
}

#[test]
fn objects_and_environments_can_ask_to_keep_what_left_git() {
    let mut world = left_over(&[config("old")]);
    world.live(&config("old")).prune_disabled = true;
    assert!(
        world.plan().waiting.iter().all(|waiting| !waiting.reason.holds_commit()),
        "that is what people want"
    );
    let kept = "ConfigMap shop/old: it left git and is kept:";
    assert_eq!(world.told(), [format!("{kept} `tidegate.dev/prune: disabled` stands on it")]);
    let mut world = left_over(&[config("old")]);
    world.settings.prune.enabled = false;
    assert_eq!(world.told(), [format!("{kept} `prune.enabled` is false in environment.yaml")]);
}

#[test]
fn namespaces_claims_and_definitions_need_a_permission_each() {
    let claim = object("v1", "PersistentVolumeClaim", Some("shop"), "data", json!({}));
    let elsewhere = object("v1", "Namespace", None, "elsewhere", json!({}));
    for (object, kind) in [
        (claim, "PersistentVolumeClaim"),
        (elsewhere, "Namespace"),
        (definition(), "CustomResourceDefinition"),
    ] {
        let mut world = left_over(&[object]);
        assert!(
            world.told()[0].ends_with(&format!("`prune.allow` in environment.yaml does not name {kind}"))
        );
        world.settings.prune.allow = vec![kind.into()];
        assert!(world.told()[0].starts_with("delete "), "{kind}");
    }
}

#[test]
fn a_namespace_or_definition_is_not_deleted_while_git_asks_for_what_is_in_it() {
    let widget = object("example.com/v1", "Widget", Some("shop"), "w", json!({}));
    for left in [namespace(), definition()] {
        let mut world = World::converged(&[config("kept"), widget.clone()]);
        world.put(&left);
        world.settings.prune.allow = vec!["Namespace".into(), "CustomResourceDefinition".into()];
        assert!(world.plan().stages.is_empty());
        assert!(world.told()[0].ends_with("is in it and still desired"));
    }
}

#[test]
fn a_prune_beyond_the_budget_stops_whole_and_asks() {
    let many: Vec<_> = (0..11).map(|n| config(&format!("old-{n}"))).collect();
    let mut world = left_over(&many);
    assert!(world.plan().stages.is_empty());
    assert_eq!(world.plan().waiting.len(), 11);
    assert_eq!(world.codes(), [Code::PruneBudget]);
    world.settings.prune.percent = 95;
    assert_eq!(world.codes(), [Code::PruneBudget], "their number counts");
    (world.settings.prune.max, world.settings.prune.percent) = (11, 20);
    assert_eq!(world.codes(), [Code::PruneBudget], "a share of the inventory counts too");
    world.settings.prune.percent = 95;
    assert_eq!(world.plan().actions().count(), 11);
}

#[test]
fn the_share_counts_from_ten_objects_on() {
    let left: Vec<_> = (0..3).map(|n| config(&format!("old-{n}"))).collect();
    let mut world = left_over(&left);
    assert_eq!(world.plan().actions().count(), 3, "3 of 4");
    let kept: Vec<_> = (0..7).map(|n| config(&format!("kept-{n}"))).collect();
    for object in &kept {
        world.put(object);
    }
    world.desired = Some(kept);
    world.inventory.forget(&config("kept").reference.id());
    assert_eq!(world.codes(), [Code::PruneBudget], "3 of 10 are more than 20 %");
    world.settings.prune.percent = 30;
    assert_eq!(world.plan().actions().count(), 3);
}

#[test]
fn a_commit_that_asks_for_nothing_at_all_deletes_nothing() {
    let mut world = left_over(&[]);
    world.desired = Some(Vec::new());
    assert!(world.plan().stages.is_empty());
    assert_eq!(world.codes(), [Code::PruneBudget]);
}

#[test]
fn a_commit_that_leaves_only_what_create_namespaces_makes_deletes_nothing() {
    let own = own_namespace("shop");
    let mut world = World::converged(&[own.clone(), config("old")]);
    world.desired = Some(vec![own.clone()]);
    assert!(world.plan().stages.is_empty());
    assert_eq!(world.codes(), [Code::PruneBudget]);
    let message = &world.plan().problems[0].message;
    assert!(message.contains("nothing but the Namespaces of `createNamespaces`"), "{message}");
    // One that stands in a file of its own was asked for, and so was anything else.
    for asked in [namespace(), config("kept")] {
        world.desired = Some(vec![own.clone(), asked.clone()]);
        world.put(&asked);
        assert_eq!(world.told().first().map(String::as_str), Some("delete ConfigMap shop/old"));
    }
    world.desired = Some(vec![own]);
    world.settings.decommission = true;
    assert_eq!(world.plan().actions().count(), 2, "to take it down is to ask for it");
}

#[test]
fn decommission_deletes_all_but_what_needs_a_permission() {
    let many: Vec<_> = (0..30).map(|n| config(&format!("c-{n}"))).collect();
    let mut world = World::converged(&many);
    world.put(&namespace());
    world.settings.decommission = true;
    let plan = world.plan();
    assert_eq!(plan.actions().count(), 30);
    assert!(plan.actions().all(|action| matches!(action, Action::Delete(_))));
    assert_eq!(plan.waiting.len(), 1);
    world.settings.prune.allow = vec!["Namespace".into()];
    assert_eq!(world.plan().actions().count(), 31);
}

#[test]
fn deletes_come_after_everything_that_git_asks_for_is_applied_and_healthy() {
    let mut world = left_over(&[deployment("web", "kept")]);
    world.desired.as_mut().unwrap().push(deployment("web2", "kept"));
    let after = "Deployment shop/web: it is deleted after Deployment shop/web2 is applied and healthy";
    assert_eq!(world.told(), ["create Deployment shop/web2", after]);
    assert_eq!(world.plan().summary(), "1 to create, 1 to delete");

    world.put(&deployment("web2", "kept"));
    world.live(&deployment("web2", "kept")).health = Some(unwell(HealthState::Degraded));
    assert_eq!(world.told(), [after]);
    world.live(&deployment("web2", "kept")).health = Some(unwell(HealthState::Unknown));
    assert_eq!(world.told(), ["delete Deployment shop/web"]);
}

#[test]
fn what_keeps_others_from_becoming_healthy_is_deleted_all_the_same() {
    let quota = object("v1", "ResourceQuota", Some("shop"), "tight", json!({}));
    let mut world = left_over(&[quota, config("old")]);
    world.live(&config("kept")).health = Some(unwell(HealthState::Degraded));
    assert_eq!(world.told()[0], "delete ResourceQuota shop/tight");
    assert_eq!(world.plan().actions().count(), 1);
}

#[test]
fn a_rollback_deletes_what_the_held_commit_made_and_keeps_what_it_took_over() {
    let mut world = left_over(&[config("made"), config("taken-over")]);
    let id = config("taken-over").reference.id();
    world.inventory.entries.get_mut(&id).unwrap().adopted = true;
    assert_eq!(world.told().len(), 2, "anybody else's commit deletes both");
    world.settings.rolled_back_from = Some("abc1234".into());
    let told = world.told();
    assert_eq!(told[0], "delete ConfigMap shop/made");
    assert!(told[1].contains("taken-over") && told[1].contains("abc1234 took it over"), "{told:?}");
}

#[test]
fn deletes_go_in_reverse_order_of_kinds() {
    let ingress = object("networking.k8s.io/v1", "Ingress", Some("shop"), "i", json!({}));
    let role = object("rbac.authorization.k8s.io/v1", "ClusterRole", None, "r", json!({}));
    let world = left_over(&[config("old"), role, deployment("d", "kept"), ingress]);
    let expected = ["Ingress shop/i", "Deployment shop/d", "ConfigMap shop/old", "ClusterRole r"];
    assert_eq!(world.told(), expected.map(|object| format!("delete {object}")));
}

#[test]
fn a_refused_delete_stays_in_the_inventory_and_is_tried_again_at_its_time() {
    let mut world = left_over(&[config("old")]);
    let problem = Problem::error(Code::Forbidden, "may not delete configmaps");
    let retry_at = "2026-11-21T12:05:00Z".parse().ok();
    let uid = Some("uid-ConfigMap shop/old".to_owned());
    world.failed.insert(config("old").reference.id(), Failure { desired: None, uid, problem, retry_at });
    assert_eq!(world.told(), ["ConfigMap shop/old: the API server refused it: may not delete configmaps"]);
    world.now = "2026-11-21T12:05:00Z";
    assert_eq!(world.told(), ["delete ConfigMap shop/old"]);
}

#[test]
fn one_object_under_two_groups_is_not_deleted_for_its_old_name() {
    let old = object("extensions/v1beta1", "Ingress", Some("shop"), "i", json!({}));
    let new = object("networking.k8s.io/v1", "Ingress", Some("shop"), "i", json!({}));
    let mut world = World::converged(std::slice::from_ref(&new));
    world.put(&old);
    world.live(&old).uid = "one".into();
    world.live(&new).uid = "one".into();
    for entry in world.inventory.entries.values_mut() {
        entry.uid = Some("one".into());
    }
    assert_eq!(world.told(), ["forget Ingress shop/i"]);
}

#[test]
fn the_catalogue_of_codes_quotes_what_the_budget_says() {
    let objects: Vec<_> = (0..60).map(|n| config(&format!("c{n}"))).collect();
    let mut world = World::converged(&objects);
    world.desired = Some(objects[..48].to_vec());
    let problems = world.plan().problems;
    let crate::explain::Example::Situation { when: _, says } =
        crate::explain::explain(Code::PruneBudget).example
    else {
        panic!("a situation")
    };
    assert_eq!((problems[0].code, problems[0].message.as_str()), (Code::PruneBudget, says));
}
