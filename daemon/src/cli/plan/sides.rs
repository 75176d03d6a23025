//! The two commits that are compared, read and rendered. No cluster is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_core::desired::KnownFiles;
use tidegate_core::ids::CommitId;
use tidegate_core::problem::Problem;
use tidegate_core::review::{Compared, Complete, Note, Side};
use tidegate_core::schema::Catalogue;
use tidegate_core::tree::FileTree;

use crate::source::{Folder, FolderConfig, LocalClone, Named, Relation, Revision};
use crate::world::{ENVIRONMENTS, Scopes, Target, World, folders};

/// So many commits before a broken base are looked through for one that can be applied.
const PAST_CAP: u32 = 50;
/// The commit of the work tree.
const HEAD: &str = "HEAD";
/// How the files end that environments are made of.
const MANIFESTS: [&str; 3] = [".yaml", ".yml", ".json"];
/// Files that a note names.
const NAMED: usize = 3;
/// Folders above a path that are looked through for `environments/`.
const LEVELS_CAP: u32 = 20;

/// What the command line asks for.
pub struct Wanted {
    /// The clone, or a folder in it.
    pub place: PathBuf,
    /// The folder that holds `environments/`, when it is named.
    pub subpath: String,
    /// The commit to compare with.
    pub base: Option<String>,
    /// The commit that would be applied.
    pub head: String,
}

/// Two commits, and every environment of either.
pub struct Comparison {
    /// The commit that is compared with.
    pub base: Named,
    /// The commit that would be applied.
    pub head: Named,
    /// What is to be known of the comparison.
    pub notes: Vec<String>,
    /// The environments, by name.
    pub environments: Vec<Compared>,
    /// The files of head, for excerpts.
    pub files: Arc<FileTree>,
}

impl Comparison {
    /// What base is called.
    pub fn base_label(&self) -> String {
        label(&self.base)
    }

    /// What head is called.
    pub fn head_label(&self) -> String {
        label(&self.head)
    }
}

fn label(Named { name, commit }: &Named) -> String {
    if commit.as_str().starts_with(name.as_str()) {
        return commit.short().to_owned();
    }
    format!("{name} ({})", commit.short())
}

/// Reads and renders both commits.
pub fn compare(wanted: &Wanted) -> Result<Comparison, Vec<Problem>> {
    let one = |problem: Problem| vec![problem];
    let place = wanted.place.as_path();
    let clone = LocalClone::open(place).map_err(one)?;
    let subpath = subpath(wanted, place, &clone);
    let head = clone.resolve(&wanted.head).map_err(one)?;
    let mut notes = Vec::new();
    let base = match &wanted.base {
        Some(base) => clone.resolve(base).map_err(one)?,
        None => clone.default_base(&head.commit).map_err(one)?,
    };
    notes.extend(relation(&clone, wanted, &base, &head));
    let before = world(&clone, &base.commit, &subpath)?;
    let after = world(&clone, &head.commit, &subpath)?;
    if wanted.head == HEAD {
        notes.extend(uncommitted(&clone, &subpath, &after));
    }
    let files = after.files.clone();
    let environments = Sides { clone: &clone, subpath: &subpath, base: &base }.all(&before, &after);
    Ok(Comparison { base, head, notes, environments, files })
}

/// What stands in the work tree and in no commit, which whoever has just edited a file would look for in the plan.
fn uncommitted(clone: &LocalClone, subpath: &str, head: &World) -> Option<String> {
    let folder = Folder::new(FolderConfig::new(clone.work_tree()?, subpath));
    let further = World::further_paths(&head.files, &mut KnownFiles::default());
    let paths: Vec<String> = folders().into_iter().chain(further).collect();
    let now = folder.scan().ok().and_then(|digest| folder.read_partly(&digest, &paths).ok())?.snapshot;
    let manifests = |path: &&str| {
        MANIFESTS.iter().any(|end| path.ends_with(end)) && !path.split('/').any(|part| part.starts_with('.'))
    };
    let names: BTreeSet<&str> =
        now.tree.iter().chain(head.files.iter()).map(|(path, _)| path).filter(manifests).collect();
    let changed: Vec<String> = names
        .into_iter()
        .filter(|path| now.tree.get(path) != head.files.get(path))
        .map(|path| format!("{}{path}", now.prefix))
        .collect();
    let more = changed.len().saturating_sub(NAMED);
    let and = if more == 0 { String::new() } else { format!(" and {more} more") };
    let first = changed.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    (!changed.is_empty()).then(|| format!("not committed, and not in this plan: {first}{and}"))
}

/// What the comparison would mislead about, if it was not said.
fn relation(clone: &LocalClone, wanted: &Wanted, base: &Named, head: &Named) -> Option<String> {
    let explicit = wanted.base.is_some();
    match clone.relation(&base.commit, &head.commit) {
        Relation::Forward => None,
        Relation::Same if explicit => None,
        Relation::Same if clone.parent(&head.commit).is_none() => {
            Some(format!("{} is contained in {}, so there is nothing to merge", head.name, base.name))
        }
        Relation::Same => Some(format!(
            "{} is contained in {}, so there is nothing to merge; --base {}~1 compares with the commit before it",
            head.name, base.name, head.name
        )),
        Relation::Backward => Some(format!("{} is older than {}: this is a way back", head.name, base.name)),
        Relation::Diverged => Some(format!(
            "{} has commits that {} lacks: what they changed is shown as taken back; without --base, the comparison is with the newest commit that both have",
            base.name, head.name
        )),
    }
}

/// The folder that holds `environments/`: as it is named, else the one that the path is, is in, or is below.
fn subpath(wanted: &Wanted, place: &Path, clone: &LocalClone) -> String {
    if !wanted.subpath.is_empty() {
        return wanted.subpath.clone();
    }
    let top = clone.work_tree().and_then(|top| top.canonicalize().ok());
    let (Some(top), Ok(place)) = (top, place.canonicalize()) else { return String::new() };
    let mut at = Some(place.as_path());
    for _ in 0..LEVELS_CAP {
        let Some(folder) = at else { break };
        let Ok(below) = folder.strip_prefix(&top) else { break };
        if folder.join(ENVIRONMENTS).is_dir() {
            return below.to_string_lossy().into_owned();
        }
        at = folder.parent();
    }
    String::new()
}

/// Everything that environments are made from at one commit.
fn world(clone: &LocalClone, commit: &CommitId, subpath: &str) -> Result<World, Vec<Problem>> {
    let mut partial = clone.read(commit, subpath, &folders())?;
    let mut known = KnownFiles::default();
    let further = World::further_paths(&partial.snapshot.tree, &mut known);
    if !further.is_empty() {
        let paths: Vec<String> = folders().into_iter().chain(further).collect();
        partial = clone.read(commit, subpath, &paths)?;
    }
    Ok(World::again(Revision::Commit(commit.clone()), None, partial, &mut known))
}

/// Renders environments of several commits.
struct Sides<'a> {
    clone: &'a LocalClone,
    subpath: &'a str,
    base: &'a Named,
}

impl Sides<'_> {
    fn all(&self, before: &World, after: &World) -> Vec<Compared> {
        let names: BTreeSet<&String> = before.environments.keys().chain(after.environments.keys()).collect();
        let mut all: Vec<Compared> = names
            .into_iter()
            .map(|name| {
                let head = side(after, name);
                let same = inputs(before, name).is_some() && inputs(before, name) == inputs(after, name);
                // Same inputs, same result.
                let base = if same { head.clone() } else { side(before, name) };
                let base_problems = match &base {
                    Side::Broken(problems) if !same => problems.clone(),
                    Side::Broken(_) | Side::Absent | Side::Complete(_) => Vec::new(),
                };
                Compared { name: name.clone(), base, head, base_problems, notes: Vec::new() }
            })
            .collect();
        self.replace_broken(&mut all);
        all
    }

    /// Where base is broken, what is applied is the newest commit before it that was whole: that is what head is compared
    /// with.
    fn replace_broken(&self, all: &mut [Compared]) {
        let lacks = |compared: &Compared| {
            matches!(compared.base, Side::Broken(_)) && matches!(compared.head, Side::Complete(_))
        };
        let mut at = self.base.commit.clone();
        for _ in 0..PAST_CAP {
            if !all.iter().any(lacks) {
                return;
            }
            let Some(parent) = self.clone.parent(&at) else { return };
            let Ok(world) = world(self.clone, &parent, self.subpath) else { return };
            for compared in all.iter_mut().filter(|compared| lacks(compared)) {
                let older = side(&world, &compared.name);
                let what = match &older {
                    Side::Broken(_) => continue,
                    Side::Absent => {
                        "has errors from its first commit on: nothing of it was applied".to_owned()
                    }
                    Side::Complete(_) => {
                        format!(
                            "has errors in base; compared with {}, which stays applied meanwhile",
                            parent.short()
                        )
                    }
                };
                compared.base = older;
                compared.notes.push(Note::new(format!("the environment {what}")));
            }
            at = parent;
        }
    }
}

fn inputs<'w>(world: &'w World, name: &str) -> Option<&'w tidegate_core::ids::Digest> {
    world.environments.get(name).map(|target| &target.inputs)
}

fn side(world: &World, name: &str) -> Side {
    match world.environments.get(name) {
        Some(target) => rendered(target),
        None => absent(world, name),
    }
}

fn rendered(target: &Target) -> Side {
    let scopes = Scopes { cluster: None, catalogue: Catalogue::kubernetes_1_35() };
    match target.load(&scopes) {
        Ok(set) => {
            let complete = Complete::new(&target.files, set.environment, set.objects, set.ignored);
            Side::Complete(Arc::new(Complete {
                warnings: set.warnings,
                prefix: set.prefix,
                workloads: set.workloads,
                ..complete
            }))
        }
        Err(problems) => Side::Broken(problems),
    }
}

/// A folder that cannot be read (a symlink in its place, say) is not one that is missing.
fn absent(world: &World, name: &str) -> Side {
    let problems = world.problems_of(name);
    if problems.is_empty() { Side::Absent } else { Side::Broken(problems) }
}

/// The objects of one side by their identity.
pub fn by_id(
    complete: &Complete,
) -> BTreeMap<tidegate_core::object::ObjectId, Arc<tidegate_core::object::DesiredObject>> {
    let wanted = if complete.environment.decommission { &[][..] } else { &complete.objects[..] };
    wanted.iter().map(|object| (object.reference.id(), object.clone())).collect()
}
