//! One revision of the repository as the daemon and the commands see it: its environments, their files, their inputs.
//!
//! Pure given the files; reading them is [`crate::source`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_core::desired::{self, Environment, KindScopes, KnownFiles, Loaded};
use tidegate_core::ids::{Digest, EnvironmentName};
use tidegate_core::ignore;
use tidegate_core::object::{DesiredObject, Gvk, ObjectId, Scope};
use tidegate_core::plan::plan_id;
use tidegate_core::policy::{self, Policies, PolicyFolder};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::render::encode_string_data;
use tidegate_core::schema::{self, Catalogue, suggest};
use tidegate_core::standing::Enforced;
use tidegate_core::tree::FileTree;
use tidegate_core::workload::{Split, Workload, split};

use crate::source::{CommitInfo, Partial, Revision, Snapshot};

/// The folder that holds the environments.
pub const ENVIRONMENTS: &str = "environments";
/// The folder that holds the policies.
pub const POLICIES: &str = policy::FOLDER;

/// The folders that are read of every revision; what environments point to comes on top.
pub fn folders() -> Vec<String> {
    vec![ENVIRONMENTS.to_owned(), POLICIES.to_owned()]
}

/// One revision of the repository.
#[derive(Debug, Clone)]
pub struct World {
    /// Which one.
    pub revision: Revision,
    /// What is known of the commit; none for a followed folder.
    pub info: Option<Arc<CommitInfo>>,
    /// The policies, those that no environment names included.
    pub policies: Arc<PolicyFolder>,
    /// What stands in front of every path for people: empty, or the sub-path with a `/`.
    pub prefix: String,
    /// Every folder with an `environment.yaml`.
    pub environments: BTreeMap<String, Arc<Target>>,
    /// The files.
    pub files: Arc<FileTree>,
    /// What could not be read at all.
    pub problems: Vec<Problem>,
}

/// What one revision asks of one environment.
#[derive(Debug, Clone)]
pub struct Target {
    /// The folder's name, which is the environment's.
    pub name: String,
    /// Which revision asks.
    pub revision: Revision,
    /// What is known of the commit.
    pub info: Option<Arc<CommitInfo>>,
    /// The environment, or what is wrong with its file.
    pub environment: Result<Arc<Environment>, Vec<Problem>>,
    /// The policies that it names, or what keeps it from having them. None where the environment's own file is broken.
    pub policies: Result<Arc<Policies>, Vec<Problem>>,
    /// The digest of everything that it is made from. Same inputs, same result.
    pub inputs: Digest,
    /// The files of the whole revision.
    pub files: Arc<FileTree>,
    /// What stands in front of every path for people: empty, or the sub-path with a `/`.
    pub prefix: String,
}

/// The objects of one environment at one revision, complete and free of errors.
#[derive(Debug, Clone)]
pub struct DesiredSet {
    /// The environment's settings.
    pub environment: Arc<Environment>,
    /// The policies that it names.
    pub policies: Arc<Policies>,
    /// Which revision asks.
    pub revision: Revision,
    /// What is known of the commit.
    pub info: Option<Arc<CommitInfo>>,
    /// See [`Target::inputs`].
    pub inputs: Digest,
    /// Everything that git asks for, in order.
    pub objects: Vec<Arc<DesiredObject>>,
    /// Those of them that are applied as they are, in the same order.
    pub ordinary: Vec<Arc<DesiredObject>>,
    /// What rolls out in colours, made of the others.
    pub workloads: Vec<Arc<Workload>>,
    /// Digest of the rendered objects.
    pub plan_id: Digest,
    /// What is odd but does not keep it from being applied.
    pub warnings: Vec<Problem>,
    /// Kinds without a schema.
    pub unchecked: Vec<String>,
    /// See [`Target::prefix`].
    pub prefix: String,
    /// Fields that are left to others, by object.
    pub ignored: BTreeMap<ObjectId, Vec<String>>,
}

impl DesiredSet {
    /// What is judged of it.
    pub fn enforced(&self) -> Enforced<'_> {
        Enforced { environment: &self.environment, objects: &self.ordinary, prefix: &self.prefix }
    }
}

impl World {
    /// Finds the environments among the files.
    pub fn new(revision: Revision, info: Option<Arc<CommitInfo>>, partial: Partial) -> Self {
        Self::again(revision, info, partial, &mut KnownFiles::default())
    }

    /// The same, after other revisions: what they have in common is not parsed again.
    pub fn again(
        revision: Revision,
        info: Option<Arc<CommitInfo>>,
        partial: Partial,
        known: &mut KnownFiles,
    ) -> Self {
        let Partial { snapshot: Snapshot { tree, prefix }, problems } = partial;
        let files = Arc::new(tree);
        let folder = known.policies.read(&files);
        let mut environments = BTreeMap::new();
        for mut found in desired::discover_again(&files, known) {
            let (paths, policies) = match &found.environment {
                Ok(environment) => (inputs_of(environment), folder.select(&environment.policies)),
                Err(_) => (vec![found.folder.clone()], Ok(Policies::default())),
            };
            let unread = unread(&problems, &prefix, &paths);
            let inputs = inputs(&files, &paths, &unread);
            found.environment = match found.environment {
                Ok(_) if !unread.is_empty() => Err(unread),
                Ok(environment) => Ok(environment),
                Err(found) => Err(prefixed(found, &prefix)),
            };
            let target = Target {
                name: found.name.clone(),
                revision: revision.clone(),
                info: info.clone(),
                environment: found.environment,
                policies: policies.map(Arc::new).map_err(|found| prefixed(found, &prefix)),
                inputs,
                files: files.clone(),
                prefix: prefix.clone(),
            };
            environments.insert(found.name, Arc::new(target));
        }
        Self { revision, info, policies: folder, prefix, environments, files, problems }
    }

    /// What is wrong with the policies, whoever names them, and what of their folder cannot be read.
    pub fn policy_problems(&self) -> Vec<Problem> {
        let mut problems = unread(&self.problems, &self.prefix, &[POLICIES.to_owned()]);
        problems.extend(prefixed(self.policies.problems(), &self.prefix));
        problems
    }

    /// What cannot be read in the folder of an environment, or in its place.
    pub fn problems_of(&self, name: &str) -> Vec<Problem> {
        let folder = format!("{ENVIRONMENTS}/{name}");
        let concerns = |problem: &&Problem| {
            problem.location.as_ref().is_some_and(|location| {
                let file = location.file.as_ref();
                file.ends_with(&folder) || file.contains(&format!("{folder}/"))
            })
        };
        self.problems.iter().filter(concerns).cloned().collect()
    }

    /// Environments whose standing depends on more than their inputs: those that are broken, that wait for others, or that
    /// others wait for. They look at every revision.
    pub fn watchful(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for (name, target) in &self.environments {
            match &target.environment {
                Ok(environment) if environment.depends_on.is_empty() => {}
                Ok(environment) => {
                    names.insert(name.as_str());
                    names.extend(environment.depends_on.iter().map(|other| other.value.as_str()));
                }
                Err(_) => drop(names.insert(name.as_str())),
            }
        }
        names
    }

    /// Folders outside `environments/` that environments point to; read them too, then make the world anew.
    pub fn further_paths(files: &FileTree, known: &mut KnownFiles) -> Vec<String> {
        let mut paths: Vec<String> = desired::discover_again(files, known)
            .into_iter()
            .filter_map(|found| found.environment.ok())
            .flat_map(|environment| desired::read_paths(&environment))
            .filter(|path| path != ENVIRONMENTS && !path.starts_with("environments/"))
            .filter(|path| path != POLICIES)
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Everything whose content is an input of an environment.
fn inputs_of(environment: &Environment) -> Vec<String> {
    let mut paths = desired::read_paths(environment);
    if !environment.policies.is_empty() {
        // The whole folder: which file holds a policy is known only when all of them are read.
        paths.push(POLICIES.to_owned());
    }
    paths
}

/// What could not be read of these paths. Such an environment is broken, never smaller.
fn unread(problems: &[Problem], prefix: &str, paths: &[String]) -> Vec<Problem> {
    let concerns = |problem: &&Problem| {
        let file = problem.location.as_ref().map(|location| location.file.as_ref()).unwrap_or_default();
        let file = file.strip_prefix(prefix).unwrap_or(file);
        paths.iter().any(|path| {
            let below = |inner: &str, outer: &str| {
                outer.is_empty()
                    || inner == outer
                    || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
            };
            below(file, path) || below(path, file)
        })
    };
    problems.iter().filter(concerns).cloned().collect()
}

/// The same problems with the sub-path in front of their places.
pub fn prefixed(mut problems: Vec<Problem>, prefix: &str) -> Vec<Problem> {
    if prefix.is_empty() {
        return problems;
    }
    for problem in &mut problems {
        let related = problem.related.iter_mut().map(|related| &mut related.location);
        for location in problem.location.iter_mut().chain(related) {
            location.file = Arc::from(format!("{prefix}{}", location.file));
        }
    }
    problems
}

fn inputs(files: &FileTree, paths: &[String], unread: &[Problem]) -> Digest {
    let mut text = String::new();
    for problem in unread {
        text.push_str(&problem.to_string());
        text.push('\n');
    }
    for path in paths {
        text.push_str(path);
        text.push('\n');
        for digest in [Some(&files.digest_below(path)), files.file(path).map(|file| file.digest())] {
            text.push_str(digest.map_or("-", Digest::as_str));
            text.push('\n');
        }
    }
    Digest::of(text.as_bytes())
}

/// Scopes from the cluster where there is one, else from the schemas that we carry.
pub struct Scopes<'a> {
    /// The cluster's own kinds.
    pub cluster: Option<&'a dyn KindScopes>,
    /// Ours.
    pub catalogue: &'a Catalogue,
}

impl KindScopes for Scopes<'_> {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.cluster.and_then(|cluster| cluster.scope(gvk)).or_else(|| self.catalogue.scope(gvk))
    }
}

impl Target {
    /// Renders and validates; every problem at once. Warnings alone do not fail it.
    pub fn load(&self, scopes: &Scopes<'_>) -> Result<DesiredSet, Vec<Problem>> {
        self.check(self.render(scopes)?, scopes.catalogue)
    }

    /// Reads and renders the objects, whatever is wrong with them.
    pub fn render(&self, scopes: &Scopes<'_>) -> Result<Loaded, Vec<Problem>> {
        Ok(desired::load(&self.files, self.environment.as_ref().map_err(Clone::clone)?, scopes))
    }

    /// Validates what was rendered; every problem at once. Warnings alone do not fail it.
    pub fn check(&self, loaded: Loaded, catalogue: &Catalogue) -> Result<DesiredSet, Vec<Problem>> {
        let environment = self.environment.clone()?;
        let mut problems = environment.warnings.clone();
        problems.extend(loaded.problems);
        let is_whole = !problems.iter().any(Problem::is_error);
        let definitions: Vec<&serde_json::Value> = loaded
            .objects
            .iter()
            .filter(|object| object.reference.gvk.kind == "CustomResourceDefinition")
            .map(|object| object.value())
            .collect();
        let catalogue = catalogue.with_definitions(&definitions);
        let mut unchecked = Vec::new();
        for object in &loaded.objects {
            let checked = schema::check(object, &catalogue);
            if checked.is_unchecked() {
                let gvk = &object.reference.gvk;
                unchecked.push(format!("{} ({})", gvk.kind, gvk.api_version()));
            }
            problems.extend(checked.into_problems());
        }
        unchecked.sort();
        unchecked.dedup();
        if let Ok(policies) = &self.policies {
            problems.extend(policies.check(&loaded.objects));
        }
        problems = prefixed(problems, &self.prefix);
        let policies = self.policies.clone().unwrap_or_else(|found| {
            problems.extend(found);
            Arc::default()
        });
        problems.extend(prefixed(policies.warnings.clone(), &self.prefix));
        let objects: Vec<_> = loaded.objects.iter().map(encode_string_data).collect();
        let ignored = ignored(&environment, &objects);
        let plan_id = plan_id(&objects);
        let objects: Vec<_> = objects.into_iter().map(DesiredObject::at_rest).collect();
        // Never a later symptom when an earlier cause exists: what is missing from a workload may be what is broken.
        let Split { ordinary, workloads, problems: refused } =
            if is_whole { split(&objects, &policies.rollouts) } else { Split::default() };
        problems.extend(prefixed(refused, &self.prefix));
        problems.sort_by(|a, b| (&a.location, a.code).cmp(&(&b.location, b.code)));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        Ok(DesiredSet {
            plan_id,
            revision: self.revision.clone(),
            info: self.info.clone(),
            inputs: self.inputs.clone(),
            objects,
            ordinary,
            workloads,
            warnings: problems,
            unchecked,
            ignored,
            prefix: self.prefix.clone(),
            policies,
            environment,
        })
    }
}

fn ignored(environment: &Environment, objects: &[Arc<DesiredObject>]) -> BTreeMap<ObjectId, Vec<String>> {
    objects
        .iter()
        .map(|object| (object.reference.id(), ignore::pointers(environment, object, objects)))
        .filter(|(_, pointers)| !pointers.is_empty())
        .collect()
}

/// The problem of an environment that a command was asked about and that does not exist.
pub fn unknown_environment(name: &str, world: &World) -> Problem {
    let known: Vec<&str> = world.environments.keys().map(String::as_str).collect();
    let near = suggest::nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
    let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
    Problem::error(Code::EnvironmentMissing, format!("there is no environment `{name}`")).help(format!(
        "{}environments at {}: {known}",
        near.unwrap_or_default(),
        world.revision
    ))
}

/// The names of a world's environments that are valid names.
pub fn names(world: &World) -> Vec<EnvironmentName> {
    world.environments.keys().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::Wanted;

    fn world(files: &[(&str, &str)]) -> World {
        let environment = |name: &str, further: &str| {
            format!(
                "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  \
                 cluster: {{kubeconfig: {{}}}}\n  namespaces: [{name}]\n{further}"
            )
        };
        let tree = files
            .iter()
            .map(|(path, text)| {
                let name = path.split('/').nth(1).unwrap_or_default();
                let text = if path.ends_with("environment.yaml") {
                    environment(name, text)
                } else {
                    (*text).to_owned()
                };
                (*path, text.into_bytes())
            })
            .collect();
        let snapshot = Snapshot { tree, prefix: String::new() };
        World::new(Revision::Folder(Digest::of(b"x")), None, Partial { snapshot, problems: Vec::new() })
    }

    #[test]
    fn environments_that_wait_are_waited_for_or_are_broken_look_at_every_revision() {
        let world = world(&[
            ("environments/alone/environment.yaml", ""),
            ("environments/broken/environment.yaml", "  nonsense: 1\n"),
            ("environments/production/environment.yaml", "  dependsOn: [staging]\n"),
            ("environments/staging/environment.yaml", ""),
        ]);
        assert_eq!(world.watchful().into_iter().collect::<Vec<_>>(), ["broken", "production", "staging"]);
    }

    #[test]
    fn a_commit_asks_the_same_of_an_environment_whose_files_it_leaves_as_they_are() {
        let file = "environments/dev/environment.yaml";
        let wanted = |files: &[(&str, &str)]| match world(files).environments.get("dev") {
            Some(target) => Wanted::Present(target.clone()),
            None => Wanted::Missing,
        };
        let before = wanted(&[(file, ""), ("environments/other/a.yaml", "a: 1\n")]);
        assert!(before.asks_the_same(&wanted(&[(file, ""), ("environments/other/a.yaml", "a: 2\n")])));
        assert!(!before.asks_the_same(&wanted(&[(file, ""), ("environments/dev/a.yaml", "a: 2\n")])));
        assert!(!before.asks_the_same(&wanted(&[])));
        assert!(!wanted(&[(file, "  nonsense: 1\n")]).asks_the_same(&wanted(&[(file, "  nonsense: 1\n")])));
    }

    const POLICY: &str = "apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {name: blue-green}\nspec: {match: {names: [a]}}\n";

    #[test]
    fn a_changed_policy_wakes_who_names_policies_and_nobody_else() {
        let (named, other) = ("environments/dev/environment.yaml", "environments/other/environment.yaml");
        let at = |policy: &str| {
            world(&[(named, "  policies: [blue-green]\n"), (other, ""), ("policies/p.yaml", policy)])
        };
        let (before, after) = (at(POLICY), at(&format!("{POLICY}# a comment\n")));
        let inputs =
            |world: &World, name: &str| world.environments.get(name).map(|target| target.inputs.clone());
        assert_ne!(inputs(&before, "dev"), inputs(&after, "dev"));
        assert_eq!(inputs(&before, "other"), inputs(&after, "other"));
        let policies =
            |world: &World| world.environments.get("dev").and_then(|dev| dev.policies.clone().ok());
        assert_eq!(policies(&before).map(|policies| policies.rollouts.len()), Some(1));
        assert_eq!(policies(&before), policies(&after));
    }

    #[test]
    fn a_broken_policy_breaks_who_names_it_and_is_told_to_everybody() {
        let (named, other) = ("environments/dev/environment.yaml", "environments/other/environment.yaml");
        let policy = POLICY.replace("match:", "mtach:");
        let world =
            world(&[(named, "  policies: [blue-green]\n"), (other, ""), ("policies/p.yaml", &policy)]);
        let scopes = Scopes { cluster: None, catalogue: Catalogue::kubernetes_1_35() };
        let load = |name: &str| world.environments.get(name).expect("it is there").load(&scopes);
        let codes = |problems: &[Problem]| problems.iter().map(|problem| problem.code).collect::<Vec<_>>();
        let problems = load("dev").expect_err("its policy is broken");
        assert_eq!(codes(&problems), [Code::ConfigField, Code::ConfigField], "unknown field, missing match");
        assert!(problems.iter().all(|problem| problem.to_string().starts_with("policies/p.yaml:4:")));
        assert_eq!(world.policy_problems(), problems);
        assert!(load("other").is_ok());
    }

    const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {app: a}}\n  \
                       template:\n    metadata: {labels: {app: a}}\n    spec:\n      containers:\n        - {name: a, image: a, \
                       readinessProbe: {tcpSocket: {port: 80}}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n";

    #[test]
    fn what_a_policy_matches_rolls_out_and_what_cannot_is_an_error_at_its_place() {
        let file = "environments/dev/environment.yaml";
        let scopes = Scopes { cluster: None, catalogue: Catalogue::kubernetes_1_35() };
        let load = |manifests: &str, further: &str| {
            let files =
                [(file, further), ("environments/dev/a.yaml", manifests), ("policies/p.yaml", POLICY)];
            world(&files).environments.get("dev").expect("it is there").load(&scopes)
        };
        let whole = format!("{WEB}{SERVICE}");
        let set = load(&whole, "  policies: [blue-green]\n").expect("nothing is wrong with it");
        assert_eq!((set.objects.len(), set.ordinary.len(), set.workloads.len()), (3, 1, 1));
        let set = load(&whole, "").expect("nothing is wrong with it");
        assert_eq!((set.objects.len(), set.ordinary.len(), set.workloads.len()), (3, 3, 0));
        let refused = load(WEB, "  policies: [blue-green]\n").expect_err("no Service leads to it");
        let texts: Vec<String> = refused.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(
            texts[0].starts_with("environments/dev/a.yaml:1:1: error[E0604]: Deployment dev/a:"),
            "{texts:?}"
        );
    }
}
