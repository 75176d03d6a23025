//! The small worlds that are walked: what each is about, and what may happen in it.

use std::collections::BTreeMap;

use super::content::{NEVER_READY, Shape, Spec};
use super::model::{Budget, Model};

/// The Deployment `web`, by its place in the items.
const WEB: usize = 3;

/// The models that are explored; `full`: with more that may happen in each.
pub fn models(full: bool) -> Vec<Model> {
    let spec = |objects: &[(usize, u8)], shape| {
        Some(Spec { objects: objects.iter().copied().collect::<BTreeMap<_, _>>(), shape, budget: 10 })
    };
    let more = u8::from(full);
    let one = spec(&[(0, 1)], Shape::Good);
    let model = |name, second: Option<Spec>, replicas, budget| Model {
        name,
        commits: [one.clone(), second],
        replicas,
        budget,
    };
    let goes_back = |name, replicas, budget| {
        let commits = [spec(&[(WEB, 1)], Shape::Good), spec(&[(WEB, NEVER_READY)], Shape::Good)];
        Model { name, commits, replicas, budget }
    };
    let kills = Budget { kills: 1 + more, ..Budget::default() };
    let late = Budget { late: 1, kills: more, ..Budget::default() };
    let lost = Budget { lost: 1, hands: more, ..Budget::default() };
    let hands = Budget { hands: 1, stale: more, kills: more, ..Budget::default() };
    let crowd = Budget { switches: more, ..Budget::default() };
    let changed = spec(&[(0, 2)], Shape::Good);
    let other = spec(&[(1, 1)], Shape::Good);
    let mut models = vec![
        model("another object, kills", other.clone(), 1, kills),
        model("another object, late writes", other.clone(), 1, late),
        model("a change, lost replies", changed.clone(), 1, lost),
        model("a change, hands", changed.clone(), 1, hands),
        model("a broken commit", spec(&[(0, 2)], Shape::Broken), 1, kills),
        model("a suspension", spec(&[(0, 2)], Shape::Suspended), 1, kills),
        model("a folder that goes", None, 1, kills),
        goes_back("a commit that goes back", 1, Budget { kills: 1, lost: more, ..Budget::default() }),
        model("two replicas, a change", changed, 2, crowd),
        model("two replicas, taken down", spec(&[], Shape::Decommission), 2, crowd),
    ];
    if full {
        models.push(goes_back("two replicas, a commit that goes back", 2, Budget::default()));
        models.push(model(
            "two replicas, another object",
            spec(&[(1, 1)], Shape::Good),
            2,
            Budget::default(),
        ));
    }
    models
}
