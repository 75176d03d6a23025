//! Reviews of changes that nobody would write by hand: what holds of every one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use tidegate_core::desired::{Environment, discover};
use tidegate_core::object::{DesiredObject, ObjectId};
use tidegate_core::review::markdown::{Comment, MAX_BYTES, markdown};
use tidegate_core::review::{Action, Compared, Complete, EnvironmentReview, Review, Side, review};
use tidegate_core::tree::FileTree;
use tidegate_proptests::objects::desired;

/// Texts that would like to be more than text.
const HOSTILE: [&str; 8] = [
    "```",
    "````````````",
    "|",
    "</details><script>",
    "@team",
    "a\n\n# b\n```\n",
    "\u{202e}\u{200b}\u{1b}[31m",
    "ééé [x](http://example.invalid)",
];

fn environment(name: &str, settings: &str) -> (FileTree, Arc<Environment>) {
    let text = format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  cluster: {{kubeconfig: {{}}}}\n  \
         namespaces: [n0]\n{settings}"
    );
    let path = format!("environments/{name}/environment.yaml");
    let tree: FileTree = [(path, text.into_bytes())].into_iter().collect();
    let found = discover(&tree).remove(0);
    (tree, found.environment.expect("it is whole"))
}

fn side(name: &str, settings: &str, objects: Vec<Arc<DesiredObject>>) -> Side {
    let (files, environment) = environment(name, settings);
    Side::Complete(Arc::new(Complete::new(&files, environment, objects, BTreeMap::new())))
}

fn compared(name: &str, base: Side, head: Side) -> Compared {
    Compared { name: name.to_owned(), base, head, base_problems: Vec::new(), notes: Vec::new() }
}

/// Settings that decide what becomes of what left git.
fn settings() -> impl Strategy<Value = String> {
    let allow = prop::sample::subsequence(vec!["Namespace", "PersistentVolumeClaim"], 0..=2);
    (any::<bool>(), 0..40_u32, 0..=100_u32, allow, prop::bool::weighted(0.1)).prop_map(
        |(enabled, max, percent, allow, down)| {
            format!(
                "  prune: {{enabled: {enabled}, budget: {{max: {max}, percent: {percent}}}, allow: [{}]}}\n  decommission: {down}\n",
                allow.join(", ")
            )
        },
    )
}

fn one(base: Side, head: Side) -> EnvironmentReview {
    review(&[compared("dev", base, head)]).environments.remove(0)
}

fn ids(objects: &[Arc<DesiredObject>]) -> BTreeSet<ObjectId> {
    objects.iter().map(|object| object.reference.id()).collect()
}

/// An object with hostile texts in its values.
fn with_texts(object: &DesiredObject, texts: &[String]) -> Arc<DesiredObject> {
    let mut value = object.value().clone();
    let data: serde_json::Map<String, serde_json::Value> =
        texts.iter().enumerate().map(|(n, text)| (format!("k{n}{text}"), text.as_str().into())).collect();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("spec".to_owned(), data.into());
    }
    Arc::new(object.clone().with_value(value))
}

/// A text of hostile parts, sometimes very long.
fn hostile() -> impl Strategy<Value = String> {
    let part =
        prop_oneof![3 => prop::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,20}"];
    (prop::collection::vec(part, 0..6), prop_oneof![9 => Just(1_usize), 1 => Just(300_usize)])
        .prop_map(|(parts, times)| parts.concat().repeat(times))
}

/// Fails when a block or a code span is left open, or anything of others stands outside of them.
fn closed(text: &str) -> Result<(), TestCaseError> {
    let mut fence: Option<usize> = None;
    let (mut opened, mut ended) = (0, 0);
    for line in text.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            Some(open) if ticks >= open && line.trim_end_matches('`').is_empty() => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some(ticks),
            None => {
                prop_assert_eq!(line.matches('`').count() % 2, 0, "{}", line);
                let plain: String = line.split('`').step_by(2).collect();
                // What stands in a `<code>` is escaped, and no Markdown.
                let plain: String = plain
                    .split("<code>")
                    .map(|part| part.rsplit("</code>").next().unwrap_or_default())
                    .collect();
                for word in ["@", "script", "http", "# b", "\u{202e}", "\u{1b}"] {
                    prop_assert!(!plain.contains(word), "{}: {}", word, line);
                }
                // In a code span it is text.
                opened += plain.matches("<details").count();
                ended += plain.matches("</details>").count();
            }
        }
    }
    prop_assert_eq!(fence, None);
    prop_assert_eq!(opened, ended);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_states_have_no_changes(objects in desired(40), settings in settings()) {
        let both = side("dev", &settings, objects);
        let review = one(both.clone(), both);
        prop_assert!(!review.has_changes(), "{:#?}", review);
        prop_assert_eq!(review.counts.line(), "no changes");
    }

    #[test]
    fn the_order_of_objects_is_no_content(
        (base, turned) in desired(30).prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle())),
        (head, turned_head) in desired(30).prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle())),
        settings in settings(),
    ) {
        let straight = one(side("dev", &settings, base), side("dev", &settings, head));
        let shuffled = one(side("dev", &settings, turned), side("dev", &settings, turned_head));
        prop_assert_eq!(straight, shuffled);
    }

    #[test]
    fn other_states_have_other_ids(base in desired(10), head in desired(10), other in desired(10)) {
        let of = |head: &[Arc<DesiredObject>]| one(side("dev", "", base.clone()), side("dev", "", head.to_vec())).plan_id;
        let content = |objects: &[Arc<DesiredObject>]| -> BTreeMap<ObjectId, (i32, String)> {
            objects.iter().map(|object| (object.reference.id(), (object.wave, object.value().to_string()))).collect()
        };
        prop_assert_eq!(content(&head) == content(&other), of(&head) == of(&other));
    }

    #[test]
    fn every_object_that_differs_is_listed_once_and_counted(
        base in desired(40), head in desired(40), settings in settings(),
    ) {
        let review = one(side("dev", "", base.clone()), side("dev", &settings, head.clone()));
        let down = settings.contains("decommission: true");
        let (before, after) = (ids(&base), if down { BTreeSet::new() } else { ids(&head) });
        let listed: Vec<ObjectId> = review.changes.iter().map(|change| change.object.id()).collect();
        let distinct: BTreeSet<ObjectId> = listed.iter().cloned().collect();
        prop_assert_eq!(listed.len(), distinct.len());
        let (mut left, mut came, mut changed) = (0, 0, 0);
        for change in &review.changes {
            let id = change.object.id();
            match &change.action {
                Action::Delete | Action::Keep { .. } => {
                    prop_assert!(before.contains(&id) && !after.contains(&id));
                    left += 1;
                }
                Action::Create => {
                    prop_assert!(!before.contains(&id) && after.contains(&id));
                    came += 1;
                }
                Action::Replace { .. } | Action::Update => {
                    prop_assert!(before.contains(&id) && after.contains(&id));
                    prop_assert!(!change.fields.is_empty());
                    changed += 1;
                }
            }
        }
        prop_assert_eq!(left, before.difference(&after).count());
        prop_assert_eq!(came, after.difference(&before).count());
        let values = |objects: &[Arc<DesiredObject>]| -> BTreeMap<ObjectId, serde_json::Value> {
            objects.iter().map(|object| (object.reference.id(), object.value().clone())).collect()
        };
        let (old, new) = (values(&base), values(&head));
        prop_assert_eq!(changed, before.intersection(&after).filter(|id| old.get(id) != new.get(id)).count());
        let counts = review.counts;
        let counted = counts.delete + counts.keep + counts.replace + counts.create + counts.update;
        prop_assert_eq!(counted, review.changes.len());
        prop_assert_eq!(review.has_changes(), counted + counts.settings > 0);
    }

    #[test]
    fn deletes_keep_to_the_budget_and_the_guards(base in desired(48), head in desired(48), settings in settings()) {
        let (_, environment) = environment("dev", &settings);
        let review = one(side("dev", &settings.replace("true\n", "false\n"), base), side("dev", &settings, head));
        let prune = &environment.prune;
        if !environment.decommission {
            prop_assert!(review.counts.delete <= prune.budget.max as usize);
            prop_assert!(prune.enabled || review.counts.delete == 0);
        }
        for change in review.changes.iter().filter(|change| change.action == Action::Delete) {
            let kind = change.object.gvk.kind.as_str();
            let guarded = matches!(kind, "Namespace" | "PersistentVolumeClaim" | "CustomResourceDefinition");
            prop_assert!(!guarded || prune.allow.contains(kind), "{}", change.object);
        }
    }

    #[test]
    fn what_can_hurt_comes_first(base in desired(40), head in desired(40)) {
        let review = one(side("dev", "", base), side("dev", "", head));
        let ranks: Vec<u8> = review.changes.iter().map(|change| match change.action {
            Action::Delete => 0,
            Action::Replace { .. } => 1,
            Action::Keep { .. } => 2,
            Action::Create => 3,
            Action::Update => 4,
        }).collect();
        prop_assert!(ranks.is_sorted(), "{:?}", ranks);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_comment_is_short_and_closed_whatever_stands_in_it(
        base in desired(24),
        head in desired(24),
        texts in prop::collection::vec(hostile(), 0..4),
        names in prop::collection::vec(hostile(), 1..90),
        label in hostile(),
    ) {
        let turned: Vec<String> = texts.iter().rev().cloned().collect();
        let with = |objects: &[Arc<DesiredObject>], texts: &[String]| -> Vec<Arc<DesiredObject>> {
            objects.iter().map(|object| with_texts(object, texts)).collect()
        };
        let settings = "  prune: {budget: {max: 1000, percent: 100}}\n";
        let (old, new) = (side("dev", settings, with(&base, &texts)), side("dev", settings, with(&head, &turned)));
        let Review { plan_id, environments } = review(&[compared("dev", old, new)]);
        // Folders can be called anything.
        let environments: Vec<EnvironmentReview> = names
            .iter()
            .flat_map(|name| environments.iter().map(|one| EnvironmentReview { name: name.clone(), ..one.clone() }))
            .collect();
        let all = Review { plan_id, environments };
        let notes = vec![label.clone(); 20];
        let text = markdown(&Comment { review: &all, base: &label, head: &label, notes: &notes, live: &[] });
        prop_assert!(text.len() < MAX_BYTES, "{}", text.len());
        closed(&text)?;
        let deletes: usize = all.environments.iter().map(|one| one.counts.delete).sum();
        let shown = text.lines().filter(|line| line.contains(": deleted")).count();
        if shown < deletes {
            let said = format!("and {} more deletes", deletes - shown);
            prop_assert!(text.contains(&said), "{} of {}", shown, deletes);
        }
    }
}
