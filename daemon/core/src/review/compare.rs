//! From the two sides of every environment to what changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::input::{Compared, Complete, Side};
use super::{
    Action, Counts, EnvironmentReview, Note, ObjectChange, Review, Standing, across, conceal, identity,
    immutable, leftovers, objects, rollouts, settings,
};
use crate::location::Location;
use crate::object::{DesiredObject, ObjectId};
use crate::plan::plan_id;
use crate::problem::{Code, Problem};

/// What changes in these environments, which are all of the repository: some changes concern several of them.
pub fn review(compared: &[Compared]) -> Review {
    let mut environments: Vec<EnvironmentReview> = compared.iter().map(environment).collect();
    across::moves(&mut environments, compared);
    across::claims(&mut environments, compared);
    for (review, compared) in environments.iter_mut().zip(compared) {
        review.counts = Counts::of(review);
        review.plan_id = identity::of_environment(review, compared);
    }
    environments.sort_by(|one, other| one.name.cmp(&other.name));
    Review { plan_id: identity::of_all(&environments), environments }
}

impl Review {
    /// The same review of fewer environments; its id is that of what is left.
    #[must_use]
    pub fn only(self, wanted: impl Fn(&str) -> bool) -> Self {
        let environments: Vec<_> =
            self.environments.into_iter().filter(|environment| wanted(&environment.name)).collect();
        Self { plan_id: identity::of_all(&environments), environments }
    }
}

fn environment(compared: &Compared) -> EnvironmentReview {
    let Compared { name, base, head, base_problems, notes } = compared;
    let mut review = EnvironmentReview {
        name: name.clone(),
        standing: Standing::Unchanged,
        plan_id: None,
        rendered: head.complete().map(|head| plan_id(&head.objects)),
        counts: Counts::default(),
        changes: Vec::new(),
        rollouts: Vec::new(),
        settings: Vec::new(),
        notes: notes.clone(),
        problems: Vec::new(),
        base_problems: base_problems.clone(),
    };
    match (base, head) {
        (_, Side::Broken(problems)) => {
            review.standing = Standing::Broken;
            review.problems.clone_from(problems);
        }
        (Side::Absent, Side::Absent) => {}
        (Side::Absent, Side::Complete(head)) => added(&mut review, head),
        (Side::Complete(base), Side::Complete(head)) => changed(&mut review, base, head),
        (Side::Complete(base), Side::Absent) => removed(&mut review, base),
        (Side::Broken(_), Side::Absent) => {
            review.standing = Standing::Removed;
            review.problems.push(missing(name, "what it owns"));
        }
        (Side::Broken(_), Side::Complete(head)) => {
            review.standing = Standing::Unknown;
            review.problems.clone_from(&head.warnings);
            let text = format!(
                "base has errors, and no commit before it is whole: what changes cannot be told; head asks for {} objects",
                head.wanted().len()
            );
            review.notes.push(Note::new(text));
        }
    }
    review
}

fn added(review: &mut EnvironmentReview, head: &Complete) {
    review.standing = Standing::Added;
    review.problems.clone_from(&head.warnings);
    review.changes = head.wanted().iter().map(|object| created(head, object)).collect();
    review.rollouts = rollouts::rollouts(None, head);
    review.notes.push(Note::at("the environment is new", head.place(head.environment.location.clone())));
    say_what_holds(review, head);
}

fn removed(review: &mut EnvironmentReview, base: &Complete) {
    review.standing = Standing::Removed;
    if base.environment.decommission {
        review.notes.push(Note::new("the environment was taken down before, and now leaves git"));
        return;
    }
    let why = "its environment left git without `decommission: true`";
    review.changes = base.objects.iter().map(|object| kept(base, object, why)).collect();
    let what = match base.objects.len() {
        1 => "its 1 object".to_owned(),
        count => format!("its {count} objects"),
    };
    let place = base.place(base.environment.location.clone());
    review.problems.push(missing(&review.name, &what).at(place));
    sort(&mut review.changes);
}

fn missing(name: &str, what: &str) -> Problem {
    let message = format!(
        "environment `{name}` leaves git without `decommission: true`: nothing is deleted, and the cluster keeps {what}"
    );
    let help = "to take it down, set `decommission: true` in one commit and remove its folder in a later one";
    Problem::error(Code::EnvironmentMissing, message).help(help)
}

fn changed(review: &mut EnvironmentReview, base: &Complete, head: &Complete) {
    review.problems.clone_from(&head.warnings);
    review.settings = settings::edits(base, head);
    if base.environment.cluster.value == head.environment.cluster.value {
        compare_objects(review, base, head);
        review.rollouts = rollouts::rollouts(Some(base), head);
    } else {
        other_cluster(review, base, head);
        review.rollouts = rollouts::rollouts(None, head);
    }
    sort(&mut review.changes);
    if !review.changes.is_empty() || !review.settings.is_empty() || !review.rollouts.is_empty() {
        review.standing = Standing::Changed;
        say_what_holds(review, head);
    }
}

fn compare_objects(review: &mut EnvironmentReview, base: &Complete, head: &Complete) {
    let old: BTreeMap<ObjectId, &Arc<DesiredObject>> =
        base.wanted().iter().map(|object| (object.reference.id(), object)).collect();
    let wanted: BTreeSet<ObjectId> = head.wanted().iter().map(|object| object.reference.id()).collect();
    for object in head.wanted() {
        match old.get(&object.reference.id()) {
            None => review.changes.push(created(head, object)),
            Some(before) => {
                if let Some(change) = updated(review, (base, before), (head, object)) {
                    review.changes.push(change);
                }
            }
        }
    }
    let left = base.wanted().iter().filter(|object| !wanted.contains(&object.reference.id()));
    let mut left: Vec<ObjectChange> =
        left.map(|object| change(base, object, leftovers::fate(object, head, &wanted))).collect();
    let deletes = left.iter().filter(|change| change.action == Action::Delete).count();
    let created = wanted.iter().filter(|id| !old.contains_key(id)).count();
    if let Some(problem) = leftovers::over_budget(deletes, old.len() + created, head) {
        for change in left.iter_mut().filter(|change| change.action == Action::Delete) {
            change.action = Action::Keep { why: "the prune budget is exceeded".to_owned() };
        }
        review.problems.push(problem);
    }
    review.changes.append(&mut left);
    if head.environment.decommission && !base.environment.decommission {
        let place = head.place(head.file.spans.locate("/spec/decommission"));
        review.notes.push(Note::at("the environment is taken down: what it owns is deleted", place));
    }
    if base.environment.decommission && !head.environment.decommission {
        review.notes.push(Note::new("the environment was taken down, and comes back"));
    }
}

/// An environment that moves to another cluster leaves what it owns in the old one.
fn other_cluster(review: &mut EnvironmentReview, base: &Complete, head: &Complete) {
    let why = "it stands in the cluster that the environment leaves";
    review.changes = head.wanted().iter().map(|object| created(head, object)).collect();
    review.changes.extend(base.wanted().iter().map(|object| kept(base, object, why)));
    let text = format!(
        "the environment moves to another cluster: its {} objects in the old one stay there; take it down there first (`decommission: true`) if they are to go",
        base.wanted().len()
    );
    review.notes.push(Note::at(text, head.place(head.environment.cluster.location.clone())));
}

fn updated(
    review: &mut EnvironmentReview,
    base: (&Complete, &DesiredObject),
    head: (&Complete, &DesiredObject),
) -> Option<ObjectChange> {
    let mut fields = objects::edits(base, head);
    if fields.is_empty() {
        return None;
    }
    let (head, object) = head;
    if fields.iter().any(|field| field.immutable) && head.coloured().contains(&object.reference.id()) {
        // What is sent is a slot's, whose selector is ours.
        for field in &mut fields {
            field.immutable = false;
        }
    }
    let way = immutable::replaces(&object.reference.id(), &fields);
    if way == Some(super::Way::Refused) {
        review.problems.extend(fields.iter().filter(|field| field.immutable && !field.left_to_others).map(
            |field| {
                Problem::error(Code::Immutable, format!("{}: this field cannot change", field.path))
                .object(&object.reference)
                .field(&field.path)
                .at(field.location.clone())
                .help("the API server will refuse it: give the object another name, or take the change back")
            },
        ));
    }
    let action = way.map_or(Action::Update, |way| Action::Replace { way });
    Some(ObjectChange { fields, ..change(head, object, action) })
}

fn created(side: &Complete, object: &DesiredObject) -> ObjectChange {
    ObjectChange { content: Some(conceal::shown(object.value())), ..change(side, object, Action::Create) }
}

fn kept(side: &Complete, object: &DesiredObject, why: &str) -> ObjectChange {
    change(side, object, Action::Keep { why: why.to_owned() })
}

fn change(side: &Complete, object: &DesiredObject, action: Action) -> ObjectChange {
    let location: Location = side.place(object.location());
    let object = object.reference.clone();
    ObjectChange { object, action, location, fields: Vec::new(), content: None, moved: None }
}

fn sort(changes: &mut [ObjectChange]) {
    changes.sort_by_cached_key(|change| (rank(&change.action), change.object.id()));
}

/// What can hurt comes first.
fn rank(action: &Action) -> u8 {
    match action {
        Action::Delete => 0,
        Action::Replace { .. } => 1,
        Action::Keep { .. } => 2,
        Action::Create => 3,
        Action::Update => 4,
    }
}

/// Why changes will not happen at once.
fn say_what_holds(review: &mut EnvironmentReview, head: &Complete) {
    let Some(suspend) = &head.environment.suspend else { return };
    let until = suspend.until.map_or_else(|| "it is lifted".to_owned(), |until| until.to_string());
    let text = format!("suspended ({}): nothing is written until {until}", suspend.reason);
    review.notes.push(Note::at(text, head.place(suspend.location.clone())));
}
