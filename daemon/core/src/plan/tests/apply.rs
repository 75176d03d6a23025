//! Creating, changing, repairing, taking over.

use super::*;

#[test]
fn a_converged_world_needs_nothing() {
    let world = World::converged(&[namespace(), config("settings"), deployment("web", "settings")]);
    assert!(world.plan().is_empty());
    assert_eq!(world.plan().summary(), "nothing to do");
}

#[test]
fn what_never_was_is_created_and_what_is_gone_comes_back() {
    let mut world = World::converged(&[config("a"), config("b")]);
    world.remove(&config("a"));
    world.desired.as_mut().unwrap().push(config("c"));
    assert_eq!(world.told(), ["recreate ConfigMap shop/a", "create ConfigMap shop/c"]);
    assert_eq!(world.plan().summary(), "2 to create");
    for action in world.plan().actions() {
        let Action::Apply(apply) = action else { panic!("only applies") };
        assert_eq!((&apply.uid, &apply.resource_version), (&None, &None));
    }
}

#[test]
fn a_changed_text_in_git_is_applied_to_the_object_that_was_seen() {
    let mut world = World::converged(&[deployment("web", "settings")]);
    world.desired = Some(vec![deployment("web", "other")]);
    assert_eq!(world.told(), ["change Deployment shop/web"]);
    let plan = world.plan();
    let Some(Action::Apply(apply)) = plan.actions().next() else { panic!("an apply") };
    assert_eq!(apply.uid.as_deref(), Some("uid-Deployment shop/web"));
    assert_eq!(apply.resource_version, None, "status churn must not hold up a rollout");
}

#[test]
fn a_suspicious_object_is_inspected_before_anything_is_decided() {
    let web = deployment("web", "settings");
    let mut world = World::converged(std::slice::from_ref(&web));
    world.live(&web).managed.own = Some(Digest::of(b"less"));
    assert_eq!(world.told(), ["inspect Deployment shop/web"]);

    world.dry_run(&web, vec![]).resource_version = "6".into();
    assert_eq!(world.told(), ["inspect Deployment shop/web"], "evidence of another resourceVersion is none");
    world.observed.dry_runs.clear();
    world.dry_run(&web, vec![]).desired = Digest::of(b"another text");
    assert_eq!(world.told(), ["inspect Deployment shop/web"], "evidence for another text is none");
}

#[test]
fn a_dry_run_without_changes_is_accepted_once() {
    let web = deployment("web", "settings");
    let mut world = World::converged(std::slice::from_ref(&web));
    world.live(&web).managed.own = Some(Digest::of(b"again"));
    world.dry_run(&web, vec![]);
    assert_eq!(world.told(), ["accept Deployment shop/web"]);
    let managed = world.live(&web).managed.clone();
    assert!(world.inventory.record_accepted(&web.reference.id(), &managed, &AllowList::default(), false));
    assert!(world.plan().is_empty());
}

#[test]
fn drift_is_repaired_under_the_resource_version_that_was_compared() {
    let web = deployment("web", "settings");
    let mut world = World::converged(std::slice::from_ref(&web));
    world.live(&web).managed.own = Some(Digest::of(b"less"));
    world.dry_run(&web, vec![change()]);
    let plan = world.plan();
    let Some(Action::Apply(apply)) = plan.actions().next() else { panic!("an apply") };
    assert_eq!(apply.reason, ApplyReason::Drift { changes: vec![change()], by: vec![by("kubectl-edit")] });
    assert_eq!(apply.resource_version.as_deref(), Some("7"));
    assert_eq!(plan.summary(), "1 to repair");
}

#[test]
fn fields_that_kubectl_added_are_migrated_even_if_nothing_else_differs() {
    let web = deployment("web", "settings");
    let mut world = World::converged(std::slice::from_ref(&web));
    world.live(&web).managed.foreign = vec![ForeignEntry { migrate: true, ..by("kubectl-edit") }];
    world.dry_run(&web, vec![]).migrate = true;
    let plan = world.plan();
    let Some(Action::Apply(apply)) = plan.actions().next() else { panic!("an apply") };
    assert!(apply.migrate);
}

#[test]
fn an_object_without_an_entry_of_ours_is_applied_again_even_if_its_values_are_right() {
    let web = deployment("web", "settings");
    let mut world = World::converged(std::slice::from_ref(&web));
    world.live(&web).managed.own = None;
    assert_eq!(world.told(), ["inspect Deployment shop/web"]);
    world.dry_run(&web, vec![]);
    assert_eq!(world.told(), ["repair Deployment shop/web"]);
}

#[test]
fn a_failed_dry_run_is_never_in_sync() {
    let web = deployment("web", "settings");
    let mut world = World::converged(std::slice::from_ref(&web));
    world.live(&web).managed.own = Some(Digest::of(b"less"));
    world.dry_run(&web, vec![]).error = Some("the webhook timed out".into());
    assert_eq!(world.told(), ["Deployment shop/web: its dry-run failed: the webhook timed out"]);
    assert_eq!(world.codes(), [Code::Rejected]);
}

#[test]
fn a_field_that_flips_again_and_again_is_held_and_the_fighter_named() {
    let web = deployment("web", "settings");
    let mut world = World::converged(std::slice::from_ref(&web));
    world.live(&web).managed.own = Some(Digest::of(b"less"));
    world.dry_run(&web, vec![change()]);
    world.flips = Flips::new(FlipSettings { limit: 2, ..FlipSettings::default() });
    let plan = world.plan();
    let Some(Action::Apply(apply)) = plan.actions().next() else { panic!("an apply") };
    for _ in 0..3 {
        world.flips.record_apply(apply, world.now.parse().unwrap());
    }
    let expected = "Deployment shop/web: spec.replicas was repaired 3 times and changed again by kubectl-edit; \
        next repair at 2026-11-21T12:00:10Z";
    assert_eq!(world.told(), [expected]);
    world.now = "2026-11-21T12:00:10Z";
    assert_eq!(world.told(), ["repair Deployment shop/web"]);
}

#[test]
fn an_object_that_is_deleted_again_and_again_is_held_too() {
    let mut world = World::converged(&[config("a")]);
    world.remove(&config("a"));
    let plan = world.plan();
    let Some(Action::Apply(apply)) = plan.actions().next() else { panic!("an apply") };
    for _ in 0..6 {
        world.flips.record_apply(apply, world.now.parse().unwrap());
    }
    assert!(world.told()[0].starts_with("ConfigMap shop/a: the object itself was repaired 6 times"));
}

#[test]
fn what_could_not_be_read_is_left_alone() {
    let mut world = World::converged(&[config("a"), config("b")]);
    world.remove(&config("a"));
    world.observed.unread.insert(config("a").reference.id(), "connection reset".into());
    assert_eq!(world.told(), ["ConfigMap shop/a: it could not be read: connection reset"]);
}

#[test]
fn what_is_being_deleted_is_waited_for() {
    let mut world = World::converged(&[config("a")]);
    world.live(&config("a")).deleting = true;
    world.live(&config("a")).finalizers = vec!["example.com/hold".into()];
    assert_eq!(
        world.told(),
        ["ConfigMap shop/a: it is being deleted; held by the finalizers example.com/hold"]
    );
}

#[test]
fn a_create_that_was_cut_short_is_taken_up_again() {
    let mut world = World::converged(&[config("a")]);
    let entry = world.inventory.entries.get_mut(&config("a").reference.id()).unwrap();
    (entry.uid, entry.applied, entry.own) = (None, None, None);
    assert_eq!(world.told(), ["resume ConfigMap shop/a"]);
    world.remove(&config("a"));
    assert_eq!(world.told(), ["create ConfigMap shop/a"]);
}

#[test]
fn a_re_creation_that_was_cut_short_is_taken_up_again_too() {
    let mut world = World::converged(&[config("a")]);
    world.remove(&config("a"));
    let plan = world.plan();
    let Some(Action::Apply(apply)) = plan.actions().next() else { panic!("an apply") };
    assert!(world.inventory.record_intent(apply));
    assert!(!world.inventory.record_intent(apply));
    assert_eq!(world.told(), ["recreate ConfigMap shop/a"], "it is still known that somebody deleted it");

    let known = world.inventory.clone();
    world.put(&config("a"));
    world.live(&config("a")).uid = "the new one".into();
    world.inventory = known;
    assert_eq!(world.told(), ["resume ConfigMap shop/a"]);
    world.desired = Some(vec![config("b")]);
    world.put(&config("b"));
    assert_eq!(world.told(), ["delete ConfigMap shop/a"], "its new uid is ours, so it is no orphan");
}

#[test]
fn objects_without_marks_are_taken_over_and_those_of_others_are_not() {
    let mut world = World::converged(&[config("a")]);
    world.inventory = Inventory::default();
    let owned_by = |ownership: Ownership, world: &mut World| {
        world.live(&config("a")).ownership = ownership;
        world.told()
    };
    assert_eq!(owned_by(Ownership::Unmarked, &mut world), ["adopt ConfigMap shop/a"]);
    assert_eq!(owned_by(ours(), &mut world), ["adopt ConfigMap shop/a"], "a lost inventory is no loss");

    let helm = Ownership::Other { tool: "Helm", mark: "app.kubernetes.io/managed-by=Helm".into() };
    let refused = "ConfigMap shop/a: it belongs to Helm (`app.kubernetes.io/managed-by=Helm`)";
    assert_eq!(owned_by(helm.clone(), &mut world), [refused]);
    assert_eq!(world.codes(), [Code::Ownership]);
    let other = Ownership::ApplySet { id: "applyset-x-v1".into(), environment: Some("prod".into()) };
    assert_eq!(
        owned_by(other.clone(), &mut world),
        ["ConfigMap shop/a: it belongs to the environment `prod`"]
    );

    world.settings.adopt = vec!["ConfigMap shop/a".parse().unwrap()];
    assert_eq!(owned_by(helm, &mut world), ["adopt ConfigMap shop/a"]);
    assert_eq!(owned_by(other, &mut world), ["adopt ConfigMap shop/a"]);
}

#[test]
fn an_object_made_anew_under_our_name_is_taken_over_under_its_new_uid() {
    let mut world = World::converged(&[config("a")]);
    world.live(&config("a")).uid = "restored from a backup, labels included".into();
    assert_eq!(world.told(), ["adopt ConfigMap shop/a"]);
}

#[test]
fn the_uid_in_the_inventory_is_stronger_than_marks_put_on_later() {
    let mut world = World::converged(&[config("a")]);
    for ownership in [
        Ownership::Unmarked,
        Ownership::Other { tool: "Flux", mark: "x".into() },
        Ownership::ApplySet { id: "applyset-x-v1".into(), environment: None },
    ] {
        world.live(&config("a")).ownership = ownership;
        assert_eq!(world.codes(), []);
    }
    world.live(&config("a")).ownership =
        Ownership::ApplySet { id: "applyset-x-v1".into(), environment: Some("prod".into()) };
    assert_eq!(world.codes(), [Code::Ownership], "two environments never fight over one object");
}

#[test]
fn what_was_refused_is_not_sent_again_until_something_changes() {
    let mut world = World::new(vec![config("a")]);
    let failure = Failure {
        desired: Some(config("a").digest()),
        uid: None,
        problem: Problem::error(Code::Rejected, "data is too long"),
        retry_at: "2026-11-21T12:05:00Z".parse().ok(),
    };
    world.failed.insert(config("a").reference.id(), failure);
    assert_eq!(world.told(), ["ConfigMap shop/a: the API server refused it: data is too long"]);
    assert_eq!(world.codes(), [Code::Rejected]);
    assert_eq!(world.plan().summary(), "nothing to do; 1 waits");

    world.now = "2026-11-21T12:05:00Z";
    assert_eq!(world.told(), ["create ConfigMap shop/a"], "its time has come");
    world.now = "2026-11-21T12:00:00Z";
    world.put(&config("a"));
    world.inventory = Inventory::default();
    assert_eq!(world.told(), ["adopt ConfigMap shop/a"], "somebody made it");
    world.remove(&config("a"));
    world.desired = Some(vec![object("v1", "ConfigMap", Some("shop"), "a", json!({}))]);
    assert_eq!(world.told(), ["create ConfigMap shop/a"], "git changed");
}

#[test]
fn a_suspended_environment_says_what_it_would_do_and_does_nothing() {
    let mut world = World::converged(&[config("a"), config("b")]);
    world.put(&config("old"));
    world.remove(&config("a"));
    world.settings.suspended = Some("incident 4711".into());
    let why = "the environment is suspended: incident 4711";
    assert_eq!(world.told()[0], format!("ConfigMap shop/a: {why}"));
    assert_eq!(world.plan().stages, []);
    world.put(&config("a"));
    assert_eq!(world.told(), [format!("ConfigMap shop/old: {why}")]);
}

#[test]
fn without_a_known_commit_nothing_is_done() {
    let mut world = World::converged(&[config("a"), config("b")]);
    world.remove(&config("a"));
    world.desired = None;
    assert!(world.plan().is_empty());
    world.settings.decommission = true;
    assert!(world.plan().is_empty());
}
