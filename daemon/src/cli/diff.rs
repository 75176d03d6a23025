//! `tidegate diff [env]`: how live objects differ from what git asks for, by the API server's own dry-run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_core::diff::describe;
use tidegate_core::drift::{Flips, ForeignField};
use tidegate_core::ids::short;
use tidegate_core::inventory::Inventory;
use tidegate_core::object::{DesiredObject, ObjectId};
use tidegate_core::observed::{DryRun, Observed};
use tidegate_core::plan::{Action, PlanInput, PlanSettings, Waiting, WaitingReason, plan};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::rollback::Held;

use super::exit::{Exit, Failure};
use super::options::Global;
use super::style::{Style, Tone};
use super::target::unreachable;
use crate::cluster::connect::connect;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{Parents, apply_set_of};
use crate::reconcile::{Inspection, Unseen, access_of, inspect, observe, settings};
use crate::world::DesiredSet;
use tidegate_core::inventory::Marks;

/// Environments that are compared side by side.
const COMPARISONS: usize = 4;

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// The environment; all of them when none is named
    pub environment: Option<String>,
    /// The repository or a folder in it, its files as they are, uncommitted changes included [default: what the flag --repo
    /// names, the newest commit if it is bare or a URL; else the folder that we are in or below, if it has environments;
    /// else what TIDEGATE_REPO names]
    pub path: Option<PathBuf>,
    /// Compare this commit instead of the files
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Exit with 1 when there are differences
    #[arg(long)]
    pub exit_code: bool,
}

/// The differences of one environment.
struct Difference {
    name: String,
    /// It is being taken down: git asks for nothing of it.
    decommission: bool,
    missing: Vec<Arc<DesiredObject>>,
    changed: Vec<(Arc<DesiredObject>, DryRun)>,
    added: BTreeMap<ObjectId, Vec<ForeignField>>,
    surplus: Surplus,
    errors: Vec<String>,
}

/// What the cluster holds of the environment and git does not ask for.
#[derive(Default)]
struct Surplus {
    /// To be deleted.
    delete: Vec<ObjectId>,
    /// Left as it is, and why.
    kept: Vec<(ObjectId, String)>,
    /// What people must know about the whole of it.
    notes: Vec<String>,
}

/// Compares and prints. An environment that cannot be compared keeps none of the others from being shown.
pub async fn run(global: &Global, args: &DiffArgs) -> Result<Exit, Failure> {
    let world = super::world::read(global, args.path.as_deref(), args.reference.as_deref()).await?;
    super::world::say_revision(global, &world);
    let names: Vec<String> = match &args.environment {
        Some(name) => vec![name.clone()],
        None => world.environments.keys().cloned().collect(),
    };
    if names.is_empty() {
        return Err(super::render::no_environments(global, &world));
    }
    let (mut differences, mut failures) = (Vec::new(), Vec::new());
    let compare_one = async |name: String| {
        let compared = match super::render::load(global, &world, &name) {
            Ok(set) => compare(global, name.clone(), &set).await,
            Err(failure) => Err(failure),
        };
        (name, compared)
    };
    let all = futures::stream::iter(names).map(compare_one).buffered(COMPARISONS);
    for (name, compared) in all.collect::<Vec<_>>().await {
        match compared {
            Ok(difference) => differences.push(difference),
            Err(failure) => failures.push((name, failure)),
        }
    }
    let style = global.style();
    let text: String = differences.iter().map(|difference| text(difference, style)).collect();
    let data: Vec<Value> = differences.iter().map(data).collect();
    let failed: Vec<Value> = failures
        .iter()
        .map(|(name, failure)| {
            json!({ "name": name, "exit": failure.exit.code(), "reason": failure.message.trim_end() })
        })
        .collect();
    global
        .print(&text, &json!({ "schema": "tidegate.diff/v1", "environments": data, "notCompared": failed }));
    for (name, failure) in &failures {
        global.complain(&format!("{name} is not compared: {}", failure.message.trim_end()));
    }
    let any = differences.iter().any(|difference| !difference.is_empty());
    let wrong = differences.iter().any(|difference| !difference.errors.is_empty());
    // A file that must be mended comes first: waiting for a cluster does not mend it.
    let invalid = failures.iter().any(|(_, failure)| failure.exit == Exit::Invalid);
    let failure = failures.first().map(|(_, failure)| failure.exit);
    Ok(match (wrong || invalid, failure, any && args.exit_code) {
        (true, _, _) => Exit::Invalid,
        (false, Some(exit), _) => exit,
        (false, None, true) => Exit::Changes,
        (false, None, false) => Exit::Ok,
    })
}

async fn compare(global: &Global, name: String, set: &DesiredSet) -> Result<Difference, Failure> {
    let access = access_of(&set.environment);
    let shown = access.to_string();
    let failed = |error| unreachable(&shown, &error);
    let client = connect(&access, &global.means(), Arc::default())
        .await
        .map_err(|error| Failure::new(Exit::OutOfReach, error.to_string()))?;
    let parents = Parents::new(client.clone());
    let environment = set.environment.name.clone();
    let (inventory, held) = match parents.read(&environment).await.map_err(failed)? {
        Some(parent) => (parents.read_inventory(&parent).await.map_err(failed)?.0, parent.held),
        None => (Inventory::default(), None),
    };
    let cluster = Cluster::new(client);
    cluster.kinds.refresh().await.map_err(failed)?;
    let mut settings = settings(&environment, &set.environment);
    // Compared with what is enforced in place of a held commit, the cluster keeps what that one has taken over.
    let is_enforced = |held: &&Held| held.to.inputs == set.inputs;
    settings.rolled_back_from =
        held.as_deref().filter(is_enforced).map(|held| short(&held.commit.id).to_owned());
    let desired: &[Arc<DesiredObject>] = if settings.decommission { &[] } else { &set.ordinary };
    let observed =
        observe(&cluster, desired, &inventory, Unseen::Read, &BTreeMap::new()).await.map_err(failed)?;
    let is_missing = |id: &ObjectId| !observed.objects.contains_key(id) && !observed.unread.contains_key(id);
    let mut difference = Difference {
        name,
        decommission: settings.decommission,
        missing: desired.iter().filter(|object| is_missing(&object.reference.id())).cloned().collect(),
        changed: Vec::new(),
        added: BTreeMap::new(),
        surplus: surplus(&settings, desired, &inventory, &observed),
        errors: observed.unread.iter().map(|(id, why)| format!("{id}: {why}")).collect(),
    };
    let marks = Marks { apply_set: apply_set_of(&environment), environment: environment.to_string() };
    let ids: Vec<ObjectId> = desired
        .iter()
        .map(|object| object.reference.id())
        .filter(|id| observed.objects.contains_key(id))
        .collect();
    for inspection in inspect(&cluster, set, &marks, &ids, b"tidegate.diff/v1").await {
        difference.add(desired, inspection);
    }
    difference.surplus.notes.extend(held.map(|held| {
        // Files that are other than those of the held commit would be tried.
        let is_this = held.inputs == set.inputs;
        let until = if is_this { "; what differs stays so until git asks for something else" } else { "" };
        format!("{}{until}", held.outline())
    }));
    difference.changed.sort_by(|(a, _), (b, _)| a.reference.cmp(&b.reference));
    Ok(difference)
}

/// What the daemon would do about everything that git does not ask for: its own plan says so.
fn surplus(
    settings: &PlanSettings,
    desired: &[Arc<DesiredObject>],
    inventory: &Inventory,
    observed: &Observed,
) -> Surplus {
    let plan = plan(&PlanInput {
        settings,
        desired: Some(desired),
        observed,
        inventory,
        failed: &BTreeMap::new(),
        flips: &Flips::default(),
        now: Timestamp::now(),
    });
    let wanted: BTreeSet<ObjectId> = desired.iter().map(|object| object.reference.id()).collect();
    let mut surplus = Surplus::default();
    for action in plan.stages.iter().flat_map(|stage| &stage.actions) {
        match action {
            Action::Delete(delete) => surplus.delete.push(delete.object.id()),
            Action::Apply(_) => {}
        }
    }
    for Waiting { object, reason } in plan.waiting.into_iter().filter(|it| !wanted.contains(&it.object)) {
        match reason {
            WaitingReason::PruneAfter(_) => surplus.delete.push(object),
            WaitingReason::PruneNotAllowed(why) => surplus.kept.push((object, why)),
            // Its error stands there already.
            WaitingReason::Unread(_) if observed.unread.contains_key(&object) => {}
            other => surplus.kept.push((object, other.to_string())),
        }
    }
    let about_it = |problem: &&Problem| {
        problem.code == Code::PruneBudget || problem.code == Code::Ownership && !problem.is_error()
    };
    surplus.notes = plan.problems.iter().filter(about_it).map(|problem| problem.message.clone()).collect();
    surplus.delete.sort();
    surplus.kept.sort();
    surplus
}

impl Difference {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.changed.is_empty() && self.surplus.delete.is_empty()
    }

    /// Takes in what the dry-run of one object showed.
    fn add(&mut self, desired: &[Arc<DesiredObject>], inspection: Inspection) {
        let object = desired.iter().find(|object| object.reference.id() == inspection.id);
        // What kubectl added is handed to us and removed by a repair; what others added stays.
        let added: Vec<ForeignField> = inspection
            .foreign
            .into_iter()
            .map(|record| record.field)
            .filter(|field| field.manager.starts_with("kubectl"))
            .collect();
        match (object, inspection.answer.into_dry_run()) {
            (Some(object), Some(DryRun { error: Some(error), .. })) => {
                self.errors.push(format!("{}: {error}", object.reference));
            }
            (Some(object), Some(dry_run)) if !dry_run.changes.is_empty() || dry_run.migrate => {
                let shown =
                    |field: &ForeignField| dry_run.changes.iter().any(|change| change.path == field.path);
                let added = added.into_iter().filter(|field| !shown(field)).collect();
                self.added.insert(object.reference.id(), added);
                self.changed.push((object.clone(), dry_run));
            }
            (Some(object), None) => self.missing.push(object.clone()),
            (_, _) => {}
        }
    }
}

fn text(difference: &Difference, style: Style) -> String {
    let Difference { name, decommission, missing, changed, added, surplus, errors } = difference;
    let Surplus { delete, kept, notes } = surplus;
    let mut text = String::new();
    for object in missing {
        let place = style.paint(Tone::Place, &object.location().to_string());
        text.push_str(&format!(
            "{} {} is missing  {place}\n",
            style.paint(Tone::Good, "+"),
            object.reference
        ));
    }
    for (object, dry_run) in changed {
        text.push_str(&format!("{} {}\n", style.paint(Tone::Notice, "~"), object.reference));
        for change in &dry_run.changes {
            let place = object.spans.locate(&change.pointer).to_string();
            text.push_str(&format!("    {}  {}\n", describe(change), style.paint(Tone::Place, &place)));
        }
        for field in added.get(&object.reference.id()).into_iter().flatten() {
            text.push_str(&format!("    - {} (added by {})\n", field.path, field.manager));
        }
        let managers: BTreeSet<&str> = dry_run.by.iter().map(|entry| entry.manager.as_str()).collect();
        if !managers.is_empty() {
            let managers: Vec<&str> = managers.into_iter().collect();
            text.push_str(&format!("    held by {}\n", managers.join(", ")));
        }
    }
    let why = if *decommission { "is taken down" } else { "left git" };
    for id in delete {
        text.push_str(&format!("{} {id} {why}\n", style.paint(Tone::Bad, "-")));
    }
    for (id, reason) in kept {
        text.push_str(&format!("{} {id} is kept: {reason}\n", style.paint(Tone::Notice, "=")));
    }
    for note in notes {
        text.push_str(&format!("{} {note}\n", style.paint(Tone::Notice, "note:")));
    }
    for error in errors {
        text.push_str(&format!("{} {error}\n", style.paint(Tone::Bad, "error:")));
    }
    let summary = if difference.is_empty() && errors.is_empty() {
        "no changes".to_owned()
    } else {
        format!("{} missing, {} changed, {} to delete", missing.len(), changed.len(), delete.len())
    };
    let summary = match (*decommission, kept.len()) {
        (false, _) => summary,
        (true, 0) => format!("decommission: {} to delete", delete.len()),
        (true, kept) => format!("decommission: {} to delete, {kept} kept", delete.len()),
    };
    text.push_str(&format!("{}: {summary}\n", style.paint(Tone::Strong, name)));
    text
}

fn data(difference: &Difference) -> Value {
    let Difference { name, decommission, missing, changed, added, surplus, errors } = difference;
    let Surplus { delete, kept, notes } = surplus;
    let kept: Vec<_> = kept.iter().map(|(id, reason)| json!({ "object": id, "reason": reason })).collect();
    let missing: Vec<_> = missing.iter().map(|object| &object.reference).collect();
    let changed: Vec<_> = changed
        .iter()
        .map(|(object, dry_run)| {
            json!({
                "object": object.reference, "changes": dry_run.changes, "heldBy": dry_run.by,
                "added": added.get(&object.reference.id()),
            })
        })
        .collect();
    json!({
        "name": name, "decommission": decommission, "missing": missing, "changed": changed,
        "toDelete": delete, "kept": kept, "notes": notes, "errors": errors,
    })
}
