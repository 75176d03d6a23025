//! `tidegate diff [env]`: how live objects differ from what git asks for, by the API server's own dry-run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_core::diff::describe;
use tidegate_core::drift::ForeignField;
use tidegate_core::object::{DesiredObject, ObjectId};
use tidegate_core::observed::{DryRun, Observed};

use super::exit::{Exit, Failure};
use super::options::Global;
use super::style::{Style, Tone};
use super::target::unreachable;
use crate::cluster::connect::connect;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{Parents, apply_set_of};
use crate::reconcile::{access_of, inspect, observe};
use crate::world::DesiredSet;
use tidegate_core::inventory::Marks;

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// The environment; all of them when none is named
    pub environment: Option<String>,
    /// The repository or a folder in it, its files as they are, uncommitted changes included [default: what --repo names,
    /// the newest commit if it is bare or a URL; else the folder that we are in]
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
    missing: Vec<Arc<DesiredObject>>,
    changed: Vec<(Arc<DesiredObject>, DryRun)>,
    added: BTreeMap<ObjectId, Vec<ForeignField>>,
    surplus: Vec<ObjectId>,
    errors: Vec<String>,
}

/// Compares and prints.
pub async fn run(global: &Global, args: &DiffArgs) -> Result<Exit, Failure> {
    let world = super::world::read(global, args.path.as_deref(), args.reference.as_deref()).await?;
    super::world::say_revision(global, &world);
    let names: Vec<String> = match &args.environment {
        Some(name) => vec![name.clone()],
        None => world.environments.keys().cloned().collect(),
    };
    let mut differences = Vec::new();
    for name in names {
        let set = super::render::load(global, &world, &name)?;
        differences.push(compare(global, name, &set).await?);
    }
    let style = global.style();
    let text: String = differences.iter().map(|difference| text(difference, style)).collect();
    let data: Vec<Value> = differences.iter().map(data).collect();
    global.print(&text, &json!({ "schema": "tidegate.diff/v1", "environments": data }));
    let any = differences.iter().any(|difference| !difference.is_empty());
    let failed = differences.iter().any(|difference| !difference.errors.is_empty());
    Ok(match (failed, any && args.exit_code) {
        (true, _) => Exit::Invalid,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Ok,
    })
}

async fn compare(global: &Global, name: String, set: &DesiredSet) -> Result<Difference, Failure> {
    let access = access_of(&set.environment);
    let shown = access.to_string();
    let failed = |error| unreachable(&shown, &error);
    let client = connect(&access, global.kubeconfig.as_deref())
        .await
        .map_err(|error| Failure::new(Exit::OutOfReach, error.to_string()))?;
    let parents = Parents::new(client.clone());
    let environment = set.environment.name.clone();
    let inventory = match parents.read(&environment).await.map_err(failed)? {
        Some(parent) => parents.read_inventory(&parent).await.map_err(failed)?.0,
        None => tidegate_core::inventory::Inventory::default(),
    };
    let cluster = Cluster::new(client);
    cluster.kinds.refresh().await.map_err(failed)?;
    let observed = observe(&cluster, &set.objects, &inventory).await.map_err(failed)?;
    let marks = Marks { apply_set: apply_set_of(&environment), environment: environment.to_string() };
    let ids: Vec<ObjectId> = set
        .objects
        .iter()
        .map(|object| object.reference.id())
        .filter(|id| observed.objects.contains_key(id))
        .collect();
    let mut difference = sort_out(name, set, &inventory, &observed);
    for inspection in inspect(&cluster, set, &marks, &ids, b"tidegate.diff/v1").await {
        let object = set.objects.iter().find(|object| object.reference.id() == inspection.id);
        // What kubectl added is handed to us and removed by a repair; what others added stays.
        let added: Vec<ForeignField> = inspection
            .foreign
            .into_iter()
            .map(|record| record.field)
            .filter(|field| field.manager.starts_with("kubectl"))
            .collect();
        match (object, inspection.answer.into_dry_run()) {
            (Some(object), Some(DryRun { error: Some(error), .. })) => {
                difference.errors.push(format!("{}: {error}", object.reference));
            }
            (Some(object), Some(dry_run)) if !dry_run.changes.is_empty() || dry_run.migrate => {
                let shown =
                    |field: &ForeignField| dry_run.changes.iter().any(|change| change.path == field.path);
                let added = added.into_iter().filter(|field| !shown(field)).collect();
                difference.added.insert(object.reference.id(), added);
                difference.changed.push((object.clone(), dry_run));
            }
            (Some(object), None) => difference.missing.push(object.clone()),
            (_, _) => {}
        }
    }
    difference.changed.sort_by(|(a, _), (b, _)| a.reference.cmp(&b.reference));
    Ok(difference)
}

fn sort_out(
    name: String,
    set: &DesiredSet,
    inventory: &tidegate_core::inventory::Inventory,
    observed: &Observed,
) -> Difference {
    let is_missing = |id: &ObjectId| !observed.objects.contains_key(id) && !observed.unread.contains_key(id);
    let wanted = |id: &ObjectId| set.objects.iter().any(|object| object.reference.id() == *id);
    Difference {
        name,
        missing: set.objects.iter().filter(|object| is_missing(&object.reference.id())).cloned().collect(),
        changed: Vec::new(),
        added: BTreeMap::new(),
        surplus: inventory
            .entries
            .keys()
            .filter(|id| !wanted(id) && observed.objects.contains_key(id))
            .cloned()
            .collect(),
        errors: observed.unread.iter().map(|(id, why)| format!("{id}: {why}")).collect(),
    }
}

impl Difference {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.changed.is_empty() && self.surplus.is_empty()
    }
}

fn text(difference: &Difference, style: Style) -> String {
    let Difference { name, missing, changed, added, surplus, errors } = difference;
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
        let managers: std::collections::BTreeSet<&str> =
            dry_run.by.iter().map(|entry| entry.manager.as_str()).collect();
        if !managers.is_empty() {
            let managers: Vec<&str> = managers.into_iter().collect();
            text.push_str(&format!("    held by {}\n", managers.join(", ")));
        }
    }
    for id in surplus {
        text.push_str(&format!("{} {id} left git\n", style.paint(Tone::Bad, "-")));
    }
    for error in errors {
        text.push_str(&format!("{} {error}\n", style.paint(Tone::Bad, "error:")));
    }
    let summary = if difference.is_empty() && errors.is_empty() {
        "no changes".to_owned()
    } else {
        format!("{} missing, {} changed, {} to delete", missing.len(), changed.len(), surplus.len())
    };
    text.push_str(&format!("{}: {summary}\n", style.paint(Tone::Strong, name)));
    text
}

fn data(difference: &Difference) -> Value {
    let Difference { name, missing, changed, added, surplus, errors } = difference;
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
    json!({ "name": name, "missing": missing, "changed": changed, "toDelete": surplus, "errors": errors })
}
