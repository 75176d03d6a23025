//! Behaviour of the inventory.

use super::*;
use crate::drift::ForeignEntry;
use crate::object::Gvk;

fn reference(kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
    let api_version = if kind == "ConfigMap" { "v1" } else { "apps/v1" };
    ObjectRef {
        gvk: Gvk::from_api_version(api_version, kind),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn managed() -> ManagedSummary {
    ManagedSummary { own: Some(Digest::of(b"own")), ..ManagedSummary::default() }
}

fn applied(name: &str) -> Applied {
    Applied { uid: format!("uid-of-{name}"), digest: Digest::of(name.as_bytes()), managed: managed() }
}

fn inventory(objects: usize) -> Inventory {
    let mut inventory = Inventory::default();
    for n in 0..objects {
        let name = format!("object-{n}");
        let object = reference("ConfigMap", Some("shop"), &name);
        inventory.record_applied(&object, applied(&name), &AllowList::default());
    }
    inventory
}

fn bytes(shards: &[Shard]) -> Vec<Vec<u8>> {
    shards.iter().map(|shard| shard.bytes.clone()).collect()
}

#[test]
fn the_id_of_an_apply_set_is_that_of_the_kep() {
    // printf 'environment-dev.tidegate.ConfigMap.' | openssl sha256 -binary | basenc --base64url, without padding.
    assert_eq!(
        apply_set_id("environment-dev", "tidegate", "ConfigMap", ""),
        "applyset-82_4PTSSwqst6VdvrzLANCGsMgQfD1EVxa_v1oxO6PI-v1"
    );
}

#[test]
fn an_inventory_survives_its_shards() {
    for objects in [0, 1, 700, 5_000] {
        let before = inventory(objects);
        let shards = encode(&before);
        assert!(shards.iter().all(|shard| shard.bytes.len() <= SHARD_LIMIT_BYTES));
        assert_eq!(decode(&bytes(&shards)), Ok(before.clone()));
        assert_eq!(encode(&before), shards, "the same inventory, the same bytes");
    }
}

#[test]
fn only_the_entry_of_a_create_that_was_never_done_is_taken_back() {
    let mut inventory = inventory(1);
    let made = reference("ConfigMap", Some("shop"), "object-0").id();
    let intended = reference("ConfigMap", Some("shop"), "theirs");
    inventory.record_pending(&intended);
    assert!(inventory.forget_intent(&intended.id()) && !inventory.forget_intent(&intended.id()));
    assert!(!inventory.forget_intent(&made));
    // Made once, deleted by somebody, and about to be made again: it was ours.
    inventory.entries.get_mut(&made).expect("it is there").uid = None;
    assert!(!inventory.forget_intent(&made) && inventory.entries.contains_key(&made));
}

#[test]
fn another_uid_and_a_missing_mark_are_doubted_and_nothing_else_is() {
    let inventory = inventory(1);
    let (id, entry) = inventory.entries.iter().next().expect("there is one");
    let ours = Ownership::ApplySet { id: "applyset-x-v1".to_owned(), environment: None };
    let live = |uid: &str, ownership: &Ownership| LiveObject {
        api_version: "v1".to_owned(),
        uid: uid.to_owned(),
        resource_version: "7".to_owned(),
        deleting: false,
        finalizers: Vec::new(),
        ownership: ownership.clone(),
        prune_disabled: false,
        managed: ManagedSummary::default(),
        health: None,
        kept: None,
        podless: false,
    };
    let uid = entry.uid.as_deref().expect("it was made");
    assert!(!inventory.doubts(id, &live(uid, &ours)));
    assert!(inventory.doubts(id, &live("another", &ours)));
    assert!(inventory.doubts(id, &live(uid, &Ownership::Unmarked)));
    let other = reference("ConfigMap", Some("shop"), "not-in-it").id();
    assert!(!inventory.doubts(&other, &live("another", &Ownership::Unmarked)));
}

#[test]
fn forty_thousand_objects_fit() {
    let shards = encode(&inventory(40_000));
    assert!(shards.len() <= 64);
    assert!(shards.iter().all(|shard| shard.bytes.len() <= SHARD_LIMIT_BYTES / 4));
}

#[test]
fn a_change_of_one_object_rewrites_one_shard() {
    let mut inventory = inventory(5_000);
    let before = encode(&inventory);
    inventory.record_applied(
        &reference("ConfigMap", Some("shop"), "object-7"),
        applied("x"),
        &AllowList::default(),
    );
    let after = encode(&inventory);
    assert_eq!(before.len(), after.len());
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1);
}

#[test]
fn the_number_of_shards_does_not_waver() {
    assert_eq!(encode(&inventory(1_025)).len(), 2);
    assert_eq!(encode_at(&inventory(1_000), 2).len(), 2, "one object fewer does not write everything anew");
    assert_eq!(encode_at(&inventory(1_000), 8).len(), 1);
    assert_eq!(encode_at(&inventory(1_000), 3).len(), 1, "only powers of two");
}

#[test]
fn a_damaged_or_missing_shard_is_an_error_and_never_an_empty_inventory() {
    let shards = bytes(&encode(&inventory(3_000)));
    assert_eq!(decode::<Vec<u8>>(&[]), Err(CorruptInventory::Missing));
    assert!(matches!(decode(&shards[1..]), Err(CorruptInventory::Incomplete(_))));
    assert!(matches!(
        decode(&[shards.clone(), shards.clone()].concat()),
        Err(CorruptInventory::Incomplete(_))
    ));

    let other = bytes(&encode(&inventory(10)));
    assert!(matches!(decode(&[&shards[1..], &other].concat()), Err(CorruptInventory::Incomplete(_))));

    for damage in [0, 20, shards[0].len() / 2, shards[0].len() - 1] {
        let mut damaged = shards.clone();
        damaged[0][damage] ^= 0x55;
        assert!(decode(&damaged).is_err(), "byte {damage}");
    }
    for length in [0, 1, 10, shards[0].len() / 2, shards[0].len() - 1] {
        let mut cut = shards.clone();
        cut[0].truncate(length);
        assert!(decode(&cut).is_err(), "cut at {length}");
    }
}

#[test]
fn a_shard_that_expands_without_end_is_refused() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..40 {
        encoder.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    }
    assert!(matches!(decode(&[encoder.finish().unwrap()]), Err(CorruptInventory::Unreadable(_))));
}

#[test]
fn a_pending_entry_is_written_once_and_completed_by_the_apply() {
    let mut inventory = Inventory::default();
    let web = reference("Deployment", Some("shop"), "web");
    assert!(inventory.record_pending(&web));
    assert!(!inventory.record_pending(&web));
    assert_eq!(inventory.pending().collect::<Vec<_>>(), [&web.id()]);

    inventory.record_applied(&web, applied("web"), &AllowList::default());
    assert_eq!(inventory.pending().count(), 0);
    assert!(!inventory.record_pending(&web), "what is known stays");
    assert_eq!(inventory.entries[&web.id()].uid.as_deref(), Some("uid-of-web"));
    assert!(inventory.forget(&web.id()));
    assert!(!inventory.forget(&web.id()));
}

#[test]
fn an_apply_accepts_what_others_added_unless_it_is_to_be_migrated() {
    let web = reference("Deployment", Some("shop"), "web");
    let other = |migrate| ForeignEntry {
        manager: "kubectl-edit".into(),
        apply: false,
        subresource: String::new(),
        time: None,
        fields: Digest::of(b"fields"),
        migrate,
    };
    for (migrate, accepted) in [(false, true), (true, false)] {
        let mut inventory = Inventory::default();
        let managed = ManagedSummary { foreign: vec![other(migrate)], ..managed() };
        inventory.record_applied(&web, Applied { managed, ..applied("web") }, &AllowList::default());
        assert_eq!(inventory.entries[&web.id()].foreign.is_some(), accepted);
    }
}

#[test]
fn a_dry_run_without_changes_is_recorded_once() {
    let web = reference("Deployment", Some("shop"), "web");
    let mut inventory = Inventory::default();
    let allow = AllowList::default();
    assert!(!inventory.record_accepted(&web.id(), &managed(), &allow, true), "only what is ours");
    inventory.record_applied(&web, applied("web"), &allow);
    let seen = ManagedSummary { own: Some(Digest::of(b"other")), ..managed() };
    assert!(inventory.record_accepted(&web.id(), &seen, &allow, true));
    assert!(!inventory.record_accepted(&web.id(), &seen, &allow, true));
    assert_eq!(inventory.entries[&web.id()].own, seen.own);
}

#[test]
fn the_parent_names_kinds_and_namespaces() {
    let mut inventory = Inventory::default();
    inventory.record_pending(&reference("Deployment", Some("shop"), "web"));
    inventory.record_pending(&reference("ConfigMap", Some("tidegate"), "web"));
    inventory.record_pending(&reference("ConfigMap", None, "web"));
    let texts = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>();
    assert_eq!(texts(inventory.group_kinds()), ["ConfigMap", "Deployment.apps"]);
    assert_eq!(texts(inventory.additional_namespaces("tidegate")), ["shop"]);
}

#[test]
fn before_a_migration_what_is_remembered_of_our_entry_is_dropped_and_else_it_stays() {
    let object = reference("ConfigMap", Some("shop"), "object-0");
    let apply = |migrate| Apply {
        object: std::sync::Arc::new(crate::object::DesiredObject::new(
            object.clone(),
            serde_json::json!({}),
            crate::yaml::Spans::new("a.yaml".into(), crate::location::Position::START),
            0,
        )),
        reason: ApplyReason::Drift { changes: Vec::new(), by: Vec::new() },
        uid: Some("uid-of-object-0".to_owned()),
        resource_version: None,
        migrate,
    };
    let mut inventory = inventory(1);
    let before = inventory.clone();
    assert!(!inventory.record_intent(&apply(false)));
    assert_eq!(inventory, before);
    assert!(inventory.record_intent(&apply(true)));
    let entry = &inventory.entries[&object.id()];
    // The live entry looks as the last apply left it; the doubt must remain.
    assert!(crate::drift::suspect(&managed(), entry, &AllowList::default()).is_some());
    assert_eq!(entry.uid.as_deref(), Some("uid-of-object-0"));
}
